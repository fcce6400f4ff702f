"""Messages on their way in: what is shown, what was seen before, and what may be acknowledged.

Pure: no I/O.
"""

from __future__ import annotations

from collections.abc import Iterable

Key = tuple[int, str]
"""What names a message for who receives it: its sender's id and its cid."""


class OutOfStep(Exception):
    """The server's numbering has a hole: something got lost on the way, or it is no such server."""


class Inbox:
    """The deliveries of one connection after another.

    A message is *new*, then *running* (the application has it), then *seen*.  RECEIVED_MSG names
    the highest ``seq`` up to which all is seen.  A message that comes again while it runs, or
    within the last ``bound`` that were seen, is not given to the application again, but
    acknowledged all the same.
    """

    def __init__(self, seen: Iterable[Key] = (), *, bound: int = 20_000) -> None:
        self._bound = bound
        self._seen: dict[Key, None] = dict.fromkeys(seen)
        self._running: dict[Key, list[int]] = {}
        self._last = 0
        self._done: set[int] = set()
        self._done_to = 0
        self._told = 0
        self._trim()

    def opened(self) -> None:
        """A new login: the numbering begins with 1 again."""
        self._last = self._done_to = self._told = 0
        self._done.clear()
        for seqs in self._running.values():
            seqs.clear()

    def pushed(self, key: Key, seq: int) -> bool:
        """A delivery came in; True: the application is to have it.

        :raises OutOfStep: ``seq`` is not the next one.
        """
        self._step(seq)
        if key in self._seen:
            self._finish(seq)
            return False
        if key in self._running:
            self._running[key].append(seq)
            return False
        self._running[key] = [seq]
        return True

    def skipped(self, seq: int) -> None:
        """A delivery came in of which the application can make nothing.

        :raises OutOfStep: ``seq`` is not the next one.
        """
        self._step(seq)
        self._finish(seq)

    def handled(self, key: Key) -> None:
        """The application has done what it does with this message."""
        seqs = self._running.pop(key, None)
        if seqs is None:
            return
        self._seen[key] = None
        self._trim()
        for seq in seqs:
            self._finish(seq)

    def received(self) -> int | None:
        """The ``seq`` to acknowledge, if there is more to acknowledge than last time."""
        if self._done_to == self._told:
            return None
        self._told = self._done_to
        return self._told

    def _step(self, seq: int) -> None:
        if seq != self._last + 1:
            raise OutOfStep(f"delivery {seq} after {self._last}")
        self._last = seq

    def _finish(self, seq: int) -> None:
        self._done.add(seq)
        while self._done_to + 1 in self._done:
            self._done_to += 1
            self._done.remove(self._done_to)

    def _trim(self) -> None:
        while len(self._seen) > self._bound:
            del self._seen[next(iter(self._seen))]
