"""Clients that are killed: each runs as a process of its own and prints what it has done.

``python -m tests.client.programs send ENDPOINT ID PASSWORD LEDGER TOID FIRST LAST``
``python -m tests.client.programs show ENDPOINT ID PASSWORD LEDGER``
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.task import react

from chat.client import Client, Sent, Unsent
from chat.client.results import AnyMessage

LINE = 512
"""Bytes of a line.  The pipe holds a page: who does not read on has the program wait."""


def say(*words: object) -> None:
    """One line, at once."""
    print(" ".join(map(str, words)).ljust(LINE - 1), flush=True)


async def send(
    reactor: Any, endpoint: str, user_id: str, password: str, ledger: str, *more: str
) -> None:
    """Send the numbers from FIRST to LAST, with what an earlier run left going first."""

    def sent(unsent: Unsent, result: Sent | Exception) -> None:
        say("sent", unsent.text, result.state if isinstance(result, Sent) else result)

    # The token of the first login spares the server the hash of the password at the others.
    client = Client(endpoint, int(user_id), password, ledger=ledger, remember=True, on_sent=sent)
    client.startService()
    await client.when_online()
    toid, first, last = map(int, more)
    for number in range(first, last + 1):
        client.send(toid, str(number)).addErrback(lambda _: None)
        say("kept", number)
    say("all kept")
    await client.when_stopped()


async def show(reactor: Any, endpoint: str, user_id: str, password: str, ledger: str) -> None:
    """Print what comes."""

    def shown(message: AnyMessage) -> None:
        say("shown", message.msg)

    client = Client(
        endpoint, int(user_id), password, ledger=ledger, remember=True, on_message=shown
    )
    client.startService()
    await client.when_stopped()


if __name__ == "__main__":
    react({"send": send, "show": show}[sys.argv[1]], sys.argv[2:])
