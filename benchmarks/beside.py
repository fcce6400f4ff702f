"""People who chat beside a load, and how long each of their messages takes.

They live in a process of their own, so that what is measured is the server's delay and not the
load generator's.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection

from .load import Loop, Plug
from .talk import PING, TIME, chat_line, login_all


@dataclass
class Delays:
    """Seconds from sending to arrival."""

    pings: list[float] = field(default_factory=list)
    """PING_MSG to PONG_MSG on one connection: how long a request waits for the event loop."""
    messages: list[float] = field(default_factory=list)
    """From one user to another."""


class Paced:
    """A message sent every so often, at most one on its way."""

    def __init__(
        self, loop: Loop, sender: Plug, receiver: Plug, line: bytes, delays: list[float]
    ) -> None:
        self._sender = sender
        self._line = line
        self._delays = delays
        self._sent_at: float | None = None
        loop.add(receiver, self._arrived)

    def send(self) -> None:
        """It is time for another, if the last one has arrived."""
        if self._sent_at is None:
            self._sent_at = time.perf_counter()
            self._sender.send(self._line)

    def end(self) -> None:
        """What has not arrived has taken as long as this, at least."""
        if self._sent_at is not None:
            self._delays.append(time.perf_counter() - self._sent_at)

    def _arrived(self, size: int) -> None:
        assert self._sent_at is not None, "a line that nobody sent"
        self._delays.append(time.perf_counter() - self._sent_at)
        self._sent_at = None


def _talk(
    pipe: Connection, port: int, pinger: int, pairs: Sequence[tuple[int, int]],
    password: str, interval: float,
) -> None:  # fmt: skip
    """The process: log in, say so, talk until told to stop, report."""
    delays = Delays()
    users = [pinger, *(user for pair in pairs for user in pair)]
    with ExitStack() as stack, closing(Loop()) as loop:
        plugs = [Plug(stack.enter_context(sock)) for sock in login_all(port, users, password)]
        talks = [Paced(loop, plugs[0], plugs[0], PING, delays.pings)]
        for place, (one, other) in enumerate(pairs):
            line = chat_line(one, other, f"still there? {TIME}")
            sender, receiver = plugs[1 + 2 * place : 3 + 2 * place]
            talks.append(Paced(loop, sender, receiver, line, delays.messages))
        pipe.send(None)
        due = time.perf_counter()
        while not pipe.poll():
            for talk in talks:
                talk.send()
            due += interval
            while (left := due - time.perf_counter()) > 0:
                loop.once(left)
            loop.once(0)
        for talk in talks:
            talk.end()
        pipe.send(delays)


@contextmanager
def beside(
    port: int, pinger: int, pairs: Sequence[tuple[int, int]], password: str, interval: float
) -> Iterator[Delays]:
    """Level 1 users who talk as long as the block lasts; the delays are filled in at its end.

    :param pinger: who pings; ``pairs``: who writes to whom; every ``interval`` seconds.
    """
    delays = Delays()
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(
        target=_talk, args=(theirs, port, pinger, pairs, password, interval), daemon=True
    )
    process.start()
    theirs.close()
    try:
        _hear(ours)
        yield delays
        ours.send(None)
        heard = _hear(ours)
        delays.pings += heard.pings
        delays.messages += heard.messages
    finally:
        process.terminate()
        process.join()


def _hear(pipe: Connection) -> Delays:
    if not pipe.poll(30):
        raise TimeoutError("the process that talks beside the load says nothing")
    heard: Delays = pipe.recv()
    return heard
