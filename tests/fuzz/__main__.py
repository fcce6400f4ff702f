"""``python -m tests.fuzz [libFuzzer's options] FOLDER…``: hostile bytes for codec and session.

A line must become a request or a :class:`~chat.wire.BadLine`; and a server in memory, fed the bytes
of one read as they are, must answer whole lines of JSON, fail on nothing (errno 199) and serve the
next client.
"""

from __future__ import annotations

import json
import sys

import atheris

with atheris.instrument_imports(include=["chat"]):
    from chat.wire import BadLine, parse
    from tests.cables import Client, MemoryCable
    from tests.support import InMemory


class Target(InMemory):
    """A server that lives as long as the fuzzer."""

    def runTest(self) -> None:  # noqa: N802
        """Not a test of trial's."""


def lines(data: bytes) -> None:
    """Each line by itself."""
    for line in data.split(b"\n"):
        try:
            parse(line)
        except BadLine:
            continue


def session(target: Target, data: bytes) -> None:
    """All of it as one client's bytes."""
    client = Client(lambda one: MemoryCable(target.time, target.factory, one, "127.0.0.1"))
    client.cable.write(data)
    target.go(0.1)
    for line in client.lines:
        if json.loads(line).get("errno") == 199:
            raise AssertionError(f"errno 199 for {data!r}")
    client.cable.abort()
    target.go(0.1)
    if target.server.sessions:
        raise AssertionError("a session is left behind")


def main() -> None:
    """Until the time is over, or something is found."""
    target = Target()
    target.begin()

    def one(data: bytes) -> None:
        lines(data)
        session(target, data)

    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
