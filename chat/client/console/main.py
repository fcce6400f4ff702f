"""``chat``: from a command line to an exit status."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from twisted.internet import asyncioreactor
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)

from ..client import Client
from ..endpoints import global_reactor
from ..errors import LedgerError, Refused
from ..register import register
from . import pipe, text
from .futures import asked
from .options import DONE, INTERRUPTED, REFUSED, USAGE, Setup, Usage, read
from .places import state_folder

TRIES = 3
"""How often a password may be wrong."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks for; the exit status."""
    try:
        setup = read(arguments, os.environ)
        if setup.options.command:
            work = partial(pipe.COMMANDS[setup.options.command], setup)
        elif sys.stdin.isatty() and sys.stdout.isatty():
            work = partial(_talk, setup)
        else:
            raise Usage("no terminal here: chat send and chat listen are for pipes")
        return _run(setup, work)
    except Usage as error:
        return _tell(str(error), USAGE)
    except LedgerError as error:
        return _tell(str(error), REFUSED)
    except KeyboardInterrupt:
        return INTERRUPTED


def _tell(words: str, status: int) -> int:
    print(f"chat: {text.plain(words)}", file=sys.stderr)  # noqa: T201
    return status


async def _talk(setup: Setup) -> int:
    """Sessions, one after another, until the user has enough."""
    # Only this needs prompt_toolkit, which takes its time to import.
    from .talker import Outcome, Talker

    user = setup.user
    refused = 0
    while True:
        account = await _choose(setup, user)
        if account is None:
            return DONE
        user_id, password = account

        def connect(user_id: int = user_id, password: str | None = password, **more: Any) -> Client:
            return Client(
                setup.endpoint,
                user_id,
                password,
                ledger=setup.ledger(user_id),
                remember=setup.options.stay,
                takeover=setup.options.takeover,
                **more,
            )

        learn = partial(setup.known.learn, setup.server)
        outcome = await Talker(user_id, connect, setup.server, learn).run()
        user = ""
        if outcome is Outcome.QUIT:
            return DONE
        if outcome is Outcome.ENDED:
            return REFUSED
        if outcome is Outcome.REFUSED:
            refused += 1
            if refused == TRIES or setup.given_password() is not None:
                return REFUSED


async def _choose(setup: Setup, user: str) -> tuple[int, str | None] | None:
    """Who logs in, with the password; None: nobody.  Nothing is connected meanwhile, so the
    questions may block."""
    while True:
        try:
            if not user:
                user = input("User, by name or id (or: register): ").strip()
                if user == "register":
                    return await _register(setup)
            if user:
                user_id = setup.user_id(user)
                return user_id, setup.password(user_id, user, True)
        except EOFError:
            print()  # noqa: T201
            return None
        except (Usage, Refused) as error:
            if setup.options.user:
                raise
            _tell(text.why(error), USAGE)
            user = ""


async def _register(setup: Setup) -> tuple[int, str]:
    name = input("Name: ").strip()
    password = pipe.new_password(name)
    user_id = await asked(register(setup.endpoint, name, password))
    setup.known.learn(setup.server, name, user_id)
    print(f"You are {text.plain(name)}, id {user_id}.")  # noqa: T201
    return user_id, password


def _run(setup: Setup, work: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """Run the work with a reactor on asyncio, which prompt_toolkit needs."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    asyncioreactor.install(loop)
    reactor = global_reactor()
    _log(setup)
    task = loop.create_task(work())
    task.add_done_callback(lambda _: reactor.stop())
    # Python's own SIGINT is wanted: it ends a question for a password.
    reactor.run(installSignalHandlers=False)
    return task.result()


def _log(setup: Setup) -> None:
    """What goes wrong unexpectedly goes to a file: the terminal is not the place."""
    folder = state_folder(setup.environ)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = (folder / "console.log").open("a", encoding="utf-8")
    warnings = LogLevelFilterPredicate(LogLevel.warn)
    observer = FilteringLogObserver(textFileLogObserver(file), [warnings])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False, discardBuffer=True)
