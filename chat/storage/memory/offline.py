"""The waiting messages, in memory."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Sequence

from ...model import Census, Keeping, Kept, KeptKey, Outcome, Place
from ..rows import repeated, storable
from .tables import Tables, answered

Stand = tuple[int, int]
"""Stamp and sender: where a message stands in its recipient's order."""


class Shelf:
    """What waits for one recipient."""

    def __init__(self) -> None:
        self.rows: dict[Stand, Kept] = {}
        self.cids: dict[tuple[int, str], Stand] = {}
        self._order: list[Stand] = []
        """Sorted; holds places whose row is gone until :meth:`remove` clears them away."""

    def put(self, row: Kept) -> Outcome:
        place = (row.stamp, row.sender)
        there = self.cids.get((row.sender, row.cid))
        if there is not None:
            return repeated(row, there[0], self.rows[there].digest)
        if place in self.rows or not storable(row):
            return Outcome(Keeping.REFUSED, row.stamp)
        self.rows[place] = row
        self.cids[row.sender, row.cid] = place
        found = bisect_right(self._order, place)
        if not found or self._order[found - 1] != place:
            insort(self._order, place)
        return Outcome(Keeping.STORED, row.stamp)

    def page(self, after: Stand, rows: int, size: int) -> tuple[list[Kept], bool]:
        page: list[Kept] = []
        for number in range(bisect_right(self._order, after), len(self._order)):
            row = self.rows.get(self._order[number])
            if row is None:
                continue
            if len(page) == rows or (page and size <= 0):
                return page, True
            page.append(row)
            size -= len(row.body)
        return page, False

    def remove(self, place: Stand) -> Kept | None:
        row = self.rows.pop(place, None)
        if row is not None:
            del self.cids[row.sender, row.cid]
            if len(self._order) > 2 * len(self.rows) + 100:
                self._order = sorted(self.rows)
        return row


class MemoryOffline:
    """See :class:`chat.interfaces.Offline`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._shelves: dict[int, Shelf] = {}
        self._stamps: dict[int, Counter[int]] = {}
        """By sender, how many rows have a stamp."""

    def last_stamp(self, sender: int) -> int:
        """The highest stamp of a message from this sender; 0 if there is none."""
        return max(self._stamps.get(sender, ()), default=0)

    @answered
    def census(self, recipients: Sequence[int]) -> dict[int, Census]:
        return {
            user_id: self._census(user_id)
            for user_id in recipients
            if user_id in self._tables.users
        }

    def _census(self, user_id: int) -> Census:
        shelf = self._shelves.get(user_id)
        rows = shelf.rows if shelf else {}
        return Census(
            waiting=len(rows),
            by_sender=dict(Counter(sender for _, sender in rows)),
            blocked=frozenset(self._tables.blocks.of(user_id)),
        )

    @answered
    def keep(self, rows: Sequence[Kept]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for row in rows:
            shelf = self._shelves.get(row.recipient) or Shelf()
            outcome = shelf.put(row)
            if outcome.keeping is Keeping.STORED:
                self._shelves[row.recipient] = shelf
                self._stamps.setdefault(row.sender, Counter())[row.stamp] += 1
            outcomes.append(outcome)
        return outcomes

    @answered
    def page(
        self, recipient: int, after: tuple[int, int], rows: int, size: int
    ) -> tuple[list[Kept], bool]:
        shelf = self._shelves.get(recipient)
        return shelf.page(after, rows, size) if shelf else ([], False)

    @answered
    def places(self, recipient: int, upto: tuple[int, int]) -> list[Place]:
        shelf = self._shelves.get(recipient)
        places = sorted(place for place in (shelf.rows if shelf else ()) if place <= upto)
        rows = shelf.rows if shelf else {}
        return [Place(stamp, sender, rows[stamp, sender].cid) for stamp, sender in places]

    @answered
    def forget(self, keys: Sequence[KeptKey]) -> None:
        for key in keys:
            self._remove(key.recipient, (key.stamp, key.sender))

    def clear(self, recipient: int) -> int:
        """Drop all that waits for a user; how many there were."""
        places = list(self._shelves[recipient].rows) if recipient in self._shelves else []
        for place in places:
            self._remove(recipient, place)
        return len(places)

    def _remove(self, recipient: int, place: Stand) -> None:
        shelf = self._shelves.get(recipient)
        row = shelf.remove(place) if shelf else None
        if shelf is None or row is None:
            return
        if not shelf.rows:
            del self._shelves[recipient]
        stamps = self._stamps[row.sender]
        stamps[row.stamp] -= 1
        if not stamps[row.stamp]:
            del stamps[row.stamp]
            if not stamps:
                del self._stamps[row.sender]
