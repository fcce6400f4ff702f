"""Messages on their way out: what is not acknowledged yet, in order.

Pure: no I/O, the time (seconds, monotonic) is passed in.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from itertools import count

import msgspec

from ..errors import Code
from ..messages import GroupChat, MsgId, OneChat

DEFAULT_WAIT = 1.0
"""Seconds after which to try again where the server does not say."""

Lane = tuple[int, int]
"""Where a message goes: its msgid (5 or 9) and the user's or group's id."""


class Unsent(msgspec.Struct, frozen=True):
    """A message that the server has not acknowledged; ``kind`` is 5 or 9, ``target`` an id."""

    cid: str
    kind: int
    target: int
    text: str
    time: str

    @property
    def lane(self) -> Lane:
        return self.kind, self.target

    def line(self) -> bytes:
        """It as a line, with its end.

        :raises ValueError: the text has no UTF-8 form (half a surrogate pair).
        """
        request: OneChat | GroupChat
        if self.kind == MsgId.GROUP_CHAT:
            request = GroupChat(groupid=self.target, msg=self.text, time=self.time, cid=self.cid)
        else:
            request = OneChat(toid=self.target, msg=self.text, time=self.time, cid=self.cid)
        return msgspec.json.encode(request) + b"\n"


class _Item:
    __slots__ = ("line", "number", "unsent")

    def __init__(self, number: int, unsent: Unsent) -> None:
        self.number = number
        self.unsent = unsent
        self.line = unsent.line()


class Outbox:
    """What is sent and what waits to be sent, at most ``window`` messages or about
    ``window_bytes`` at a time in flight.

    After an errno 108 everything for that recipient is held back until what is in flight to it is
    answered and the server's ``retry_after`` is over; then it goes out again in its original
    order, the first refused one first, which is what the server waits for.  After a 107 all waits.
    """

    def __init__(
        self, waiting: Iterable[Unsent] = (), *, window: int = 500, window_bytes: int = 2**20
    ) -> None:
        self._window = window
        self._window_bytes = window_bytes
        self._numbers = count()
        self._items: dict[str, _Item] = {}
        self._queue: deque[_Item] = deque()
        self._flying: dict[str, _Item] = {}
        self._flying_bytes = 0
        self._lanes: Counter[Lane] = Counter()
        self._held: list[_Item] = []
        self._held_lanes: set[Lane] = set()
        self._release_at = 0.0
        self._paused_until = 0.0
        self._open = False
        for unsent in waiting:
            self.add(unsent)

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, cid: str) -> bool:
        return cid in self._items

    @property
    def in_flight(self) -> int:
        """How many are sent and not answered."""
        return len(self._flying)

    def unsent(self, cid: str) -> Unsent | None:
        """The message of this ``cid``, if it is here."""
        item = self._items.get(cid)
        return item.unsent if item else None

    def all(self) -> list[Unsent]:
        """Everything that is not acknowledged, in order."""
        return [item.unsent for item in self._items.values()]

    def add(self, unsent: Unsent) -> None:
        """One more, behind all others.

        :raises ValueError: the cid is here already, or the text cannot be sent.
        """
        if unsent.cid in self._items:
            raise ValueError(f"cid {unsent.cid} is used already")
        item = _Item(next(self._numbers), unsent)
        self._items[unsent.cid] = item
        self._queue.append(item)

    def opened(self) -> None:
        """Logged in: all goes out (again), in the original order."""
        self.closed()
        self._open = True

    def closed(self) -> None:
        """The connection is gone, and what it had in flight is not known to have arrived."""
        self._open = False
        self._queue = deque(self._items.values())
        self._flying.clear()
        self._flying_bytes = 0
        self._lanes.clear()
        self._held.clear()
        self._held_lanes.clear()
        self._release_at = self._paused_until = 0.0

    def take(self, now: float) -> list[bytes]:
        """The lines to write now."""
        lines: list[bytes] = []
        if not self._open:
            return lines
        self._release(now)
        if now < self._paused_until:
            return lines
        queue = self._queue
        while queue and len(self._flying) < self._window:
            item = queue[0]
            if self._flying and self._flying_bytes + len(item.line) > self._window_bytes:
                break
            queue.popleft()
            lane = item.unsent.lane
            if lane in self._held_lanes:
                self._held.append(item)
                continue
            self._flying[item.unsent.cid] = item
            self._flying_bytes += len(item.line)
            self._lanes[lane] += 1
            lines.append(item.line)
        return lines

    def answered(self, cid: str, errno: int, retry_after: float, now: float) -> bool:
        """The server's answer to one; True: that was its last word on it."""
        item = self._flying.pop(cid, None)
        if item is None:
            return False
        lane = item.unsent.lane
        self._flying_bytes -= len(item.line)
        self._lanes[lane] -= 1
        if not self._lanes[lane]:
            del self._lanes[lane]
        until = now + (retry_after if retry_after > 0 else DEFAULT_WAIT)
        if errno == Code.BUSY:
            self._held.append(item)
            self._held_lanes.add(lane)
            self._release_at = max(self._release_at, until)
            return False
        if errno == Code.TOO_FAST:
            self._put_back([item])
            self._paused_until = max(self._paused_until, until)
            return False
        del self._items[cid]
        return True

    def longest_in_flight(self) -> tuple[str, int]:
        """The cid and size of the longest message in flight; ``""`` and 0 when there is none."""
        item = max(self._flying.values(), key=lambda item: len(item.line), default=None)
        return (item.unsent.cid, len(item.line)) if item else ("", 0)

    @property
    def wake_at(self) -> float | None:
        """When :meth:`take` may have more to give, of itself."""
        times = []
        if self._queue and self._paused_until:
            times.append(self._paused_until)
        if any(lane not in self._lanes for lane in self._held_lanes):
            times.append(self._release_at)
        return min(times) if self._open and times else None

    def _release(self, now: float) -> None:
        if now >= self._paused_until:
            self._paused_until = 0.0
        if not self._held_lanes or now < self._release_at:
            return
        free = {lane for lane in self._held_lanes if lane not in self._lanes}
        if free:
            self._held_lanes -= free
            self._put_back([item for item in self._held if item.unsent.lane in free])
            self._held = [item for item in self._held if item.unsent.lane not in free]

    def _put_back(self, items: list[_Item]) -> None:
        self._queue = deque(sorted([*items, *self._queue], key=lambda item: item.number))
