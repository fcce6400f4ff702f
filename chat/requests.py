"""The requests of one connection, in order: what waits, and for what."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from .messages import Request
from .wire import BadLine

QUEUED_REQUESTS = 200
QUEUED_BYTES = 256 << 10
"""What may wait behind a request before the transport is not read any more."""

BUSY = 1
UNANSWERED = 2
CLOGGED = 4
RATE = 8
"""Why requests wait: one is being worked off; too many messages are unanswered; the client does not
take its answers; they come too fast."""


class Tap(Protocol):
    """Where requests come from."""

    def pause(self) -> None:
        """Do not read."""

    def resume(self) -> None:
        """Read on."""


class Requests:
    """Performs requests one after the other, or keeps them until they may be.

    :param perform: works off one request; it may call :meth:`hold`.
    """

    __slots__ = ("_bytes", "_perform", "_tap", "holds", "paused", "queue")

    def __init__(self, tap: Tap, perform: Callable[[Request | BadLine, bytes], None]) -> None:
        self.holds = 0
        """The reasons to wait, as bits; 0: none."""
        self.queue: deque[tuple[Request | BadLine, bytes]] | None = None
        """What waits; None, not empty, as most connections never need one."""
        self.paused = False
        """Whether the connection is not read, because enough waits."""
        self._tap = tap
        self._perform = perform
        self._bytes = 0

    @property
    def done(self) -> bool:
        """Whether nothing waits, and nothing is being worked off."""
        return not self.holds and self.queue is None

    def take(self, request: Request | BadLine, line: bytes) -> None:
        """Perform it when its turn comes, which may be now."""
        if not self.holds and self.queue is None:
            self._perform(request, line)
            return
        if self.queue is None:
            self.queue = deque()
        self.queue.append((request, line))
        self._bytes += len(line)
        if not self.paused and self._is_full():
            self.paused = True
            self._tap.pause()

    def hold(self, reason: int) -> None:
        """What comes after the current request waits."""
        self.holds |= reason

    def release(self, reason: int) -> bool:
        """That reason is gone: go on with what waits; whether the connection is read again."""
        self.holds &= ~reason
        while self.queue and not self.holds:
            request, line = self.queue.popleft()
            self._bytes -= len(line)
            self._perform(request, line)
        if not self.queue:
            self.queue = None
        if self.paused and not self._is_full():
            self.paused = False
            self._tap.resume()
            return True
        return False

    def end(self, tap: Tap) -> None:
        """Nothing is performed any more.

        :param tap: in place of the one that is gone.
        """
        self.clear()
        self._tap = tap
        self._perform = _nothing

    def clear(self) -> None:
        """Nothing of what waits will be performed."""
        self.queue = None
        self._bytes = 0

    def _is_full(self) -> bool:
        queue = self.queue
        return queue is not None and (len(queue) >= QUEUED_REQUESTS or self._bytes >= QUEUED_BYTES)


def _nothing(request: Request | BadLine, line: bytes) -> None:
    """The connection is gone."""
