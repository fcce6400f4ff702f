"""The history is written behind: off the way of the messages, in batches.

A message is recorded once its sender has been told that it is taken, or would have been; what was
refused is not recorded, and neither is what somebody wrote to a user who blocks the writer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from .config import Settings
from .copies import Copy
from .delivery import Delivery
from .errors import StoreAway
from .interfaces import Clock, History
from .model import Said
from .receipts import NamelessGroup, SentToGroup
from .runs import Run

BATCH_LINES = 5000
BATCH_BYTES = 4 << 20
"""What one transaction takes at most (beyond it by one line)."""

WAITING_BYTES = 64 << 20
"""Lines that wait may have so many bytes; beyond it they are left out as well."""

GAPS = 100_000
"""Gaps that wait to be recorded; beyond it they are forgotten."""

GAP_MICROS = 60_000_000
"""Of the gaps of one user, or group, within as long one is noted."""

RETRY_SECONDS = 1.0
EXPIRE_LINES = 1000
EXPIRE_SECONDS = 600.0
"""How often it is looked whether lines are too old; as long as some are, every second."""

DAY = 86_400


_Gaps = dict[tuple[int, int, int], int]
"""By user or group (the other is 0) and about when: the first stamp."""


class _Waiting(NamedTuple):
    said: Copy | Run
    recipient: int
    group: int
    receipt: SentToGroup | NamelessGroup | None
    """Of a group message."""
    messages: int
    size: int
    """How many these are, and their bytes, about."""

    @property
    def open(self) -> bool:
        """Whether it is not known yet what becomes of it."""
        receipt = self.receipt
        return self.said.receipt is not None if receipt is None else receipt.open > 0

    @property
    def taken(self) -> bool:
        """Whether it was."""
        if self.receipt is not None:
            return self.receipt.error is None
        return type(self.said) is Run or not self.said.void  # type: ignore[union-attr]

    def parts(self) -> list[_Waiting]:
        """What went together and has been taken apart, one by one."""
        parts = self.said.parts if type(self.said) is Run else None
        return [
            _Waiting(copy, self.recipient, self.group, None, 1, len(copy.body))
            for copy in parts or ()
        ]

    def lines(self) -> list[Said]:
        """The lines of the history."""
        said = self.said
        if isinstance(said, Run):
            return [
                Said(said.stamp + index, said.sender, self.recipient, 0, said.cid(index), line)
                for index, line in enumerate(said.lines)
            ]
        return [Said(said.stamp, said.sender, self.recipient, self.group, said.cid, said.body)]


class Recorder:
    """Collects what is said and writes it down.

    :param spawn: runs a coroutine and logs what it raises.
    """

    def __init__(
        self,
        history: History,
        delivery: Delivery,
        settings: Settings,
        clock: Clock,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self.recorded = 0
        self.missed = 0
        """Lines that were left out because too many waited."""
        self._history = history
        self._days = settings.history_days
        self._most = settings.history_waiting
        self._clock = clock
        self._spawn = spawn
        self._waiting: deque[_Waiting] = deque()
        self._count = 0
        self._bytes = 0
        self._enough = BATCH_LINES
        """With so many waiting, writing does not wait for the next tick."""
        self._again: list[Said] = []
        """A batch that could not be written."""
        self._gaps: _Gaps = {}
        self._writing = False
        self._retry_at: float | None = None
        self._expire_at = 0.0
        self._expiring = False
        if self._days:
            delivery.said.append(self.said)

    @property
    def idle(self) -> bool:
        """Whether everything is written, or cannot be written now."""
        return self._retry_at is not None or not (self._writing or self._has_work)

    @property
    def _has_work(self) -> bool:
        return bool(self._waiting or self._again or self._gaps)

    def said(self, said: Copy | Run, recipient: int, group: int) -> None:
        """Messages are on their way to a recipient or to a group; the other is 0."""
        count, size = (len(said.lines), said.size) if type(said) is Run else (1, len(said.body))  # type: ignore[union-attr]
        if self._count + count > self._most or self._bytes >= WAITING_BYTES:
            self._miss(said.sender, recipient, group, said.stamp, count)
            return
        receipt = None
        if group:
            assert isinstance(said.receipt, SentToGroup | NamelessGroup)
            receipt = said.receipt
        self._waiting.append(_Waiting(said, recipient, group, receipt, count, size))
        self._count += count
        self._bytes += size
        if self._count >= self._enough and self._retry_at is None:
            self.write()

    def _miss(self, sender: int, recipient: int, group: int, stamp: int, count: int = 1) -> None:
        self.missed += count
        about = stamp // GAP_MICROS
        for place in ((0, group),) if group else ((sender, 0), (recipient, 0)):
            if len(self._gaps) < GAPS:
                self._gaps.setdefault((*place, about), stamp)

    def tick(self, now: float) -> None:
        """Write what waits; call it a few times a second."""
        if self._retry_at is not None:
            if now < self._retry_at:
                return
            self._retry_at = None
        self.write()

    def write(self) -> None:
        """Write what waits, now."""
        if self._has_work and not self._writing:
            self._writing = True
            self._spawn(self._write())

    async def _write(self) -> None:
        try:
            while self._retry_at is None:
                batch = self._take()
                gaps, self._gaps = self._gaps, {}
                if not batch and not gaps:
                    break
                await self._record(batch, gaps)
        finally:
            self._writing = False
            self._enough = self._count + BATCH_LINES

    async def _record(self, batch: list[Said], gaps: _Gaps) -> None:
        try:
            await self._history.record(
                batch, [(user, group, stamp) for (user, group, _), stamp in gaps.items()]
            )
        except StoreAway:
            self._retry_at = self._clock.monotonic() + RETRY_SECONDS
            self._gaps = gaps | self._gaps
            self._again = batch
        except Exception:
            # Never the same lines for ever.
            for line in batch:
                self._miss(line.sender, line.recipient, line.group, line.stamp)
            raise
        else:
            self.recorded += len(batch)

    def _take(self) -> list[Said]:
        """The next lines of which it is known that they are to be recorded."""
        batch, self._again = self._again, []
        still_open: list[_Waiting] = []
        count = size = 0
        while self._waiting and len(batch) < BATCH_LINES and size < BATCH_BYTES:
            one = self._waiting.popleft()
            if parts := one.parts():
                self._waiting.extendleft(reversed(parts))
                continue
            if one.open:
                still_open.append(one)
                continue
            count += one.messages
            size += one.size
            if one.taken:
                batch += one.lines()
        self._count -= count
        self._bytes -= size
        self._waiting.extendleft(reversed(still_open))
        return batch

    # What is too old

    def sweep(self, now: float) -> None:
        """Delete what has been kept for long enough; call it every second or so."""
        if self._days and now >= self._expire_at and not self._expiring:
            self._expiring = True
            self._spawn(self._expire(now))

    async def _expire(self, now: float) -> None:
        self._expire_at = now + EXPIRE_SECONDS
        before = int((self._clock.time() - self._days * DAY) * 1_000_000)
        try:
            if await self._history.expire(before, EXPIRE_LINES) >= EXPIRE_LINES:
                self._expire_at = now
        except StoreAway:
            self._expire_at = now + RETRY_SECONDS
        finally:
            self._expiring = False
