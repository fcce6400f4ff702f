"""The history, in memory."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence

from ...messages import MAX_ID
from ...model import Conversation, Page, Said
from ..rows import Gap, Pair, fits, holes_of, newest_first, pair_between, pair_of
from .tables import Tables, answered

Place = tuple[int, int]
"""Stamp and sender."""


class MemoryHistory:
    """See :class:`chat.interfaces.History`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._lines: dict[Pair, dict[Place, Said]] = {}
        self._order: dict[Pair, list[Place]] = {}
        """Sorted."""
        self._pairs: dict[int, set[Pair]] = {}
        """By user, the conversations with somebody."""

    @answered
    def record(self, lines: Sequence[Said], gaps: Iterable[Gap]) -> None:
        self._tables.gaps.update(gaps)
        for line in lines:
            if not fits(line):
                self._tables.gaps.update(holes_of(line))
                continue
            pair = pair_of(line)
            place = (line.stamp, line.sender)
            there = self._lines.setdefault(pair, {})
            if place not in there:
                there[place] = line
                insort(self._order.setdefault(pair, []), place)
            for user_id in pair if pair[0] else ():
                self._pairs.setdefault(user_id, set()).add(pair)

    @answered
    def between(self, user_id: int, peer: int, before: int, limit: int) -> Page:
        holes = ((user_id, 0), (peer, 0))
        return self._page(pair_between(user_id, peer), holes, 0, before, limit)

    @answered
    def in_group(self, group_id: int, user_id: int, before: int, limit: int) -> Page:
        since = self._joined(group_id, user_id)
        if since is None:
            return Page([], False, False)
        return self._page((0, group_id), ((0, group_id),), since, before, limit)

    @answered
    def conversations(
        self, user_id: int, before: int, limit: int
    ) -> tuple[list[Conversation], bool]:
        newest: list[tuple[int, int, int]] = []
        groups: list[Pair] = [(0, one) for one in self._tables.memberships.of(user_id)]
        for pair in [*self._pairs.get(user_id, ()), *groups]:
            order = self._order.get(pair)
            since = 0 if pair[0] else self._joined(pair[1], user_id)
            if order and since is not None and order[-1][0] >= since:
                newest.append((order[-1][0], *pair))
        page, more = newest_first(newest, before, limit)
        return [self._conversation((low, high), user_id) for _, low, high in page], more

    @answered
    def expire(self, before: int, limit: int) -> int:
        oldest = sorted((place, pair) for pair in self._order for place in self._order[pair])
        gone = [(place, pair) for place, pair in oldest if place[0] < before][:limit]
        for place, pair in gone:
            self._order[pair].remove(place)
            del self._lines[pair][place]
            if not self._order[pair]:
                del self._order[pair], self._lines[pair]
                for user_id in set(pair) if pair[0] else ():
                    self._pairs[user_id].discard(pair)
        self._tables.gaps = {gap for gap in self._tables.gaps if gap[2] >= before}
        return len(gone)

    def _joined(self, group_id: int, user_id: int) -> int | None:
        group = self._tables.groups.get(group_id)
        member = group.members.get(user_id) if group else None
        return member.joined if member else None

    def _conversation(self, pair: Pair, user_id: int) -> Conversation:
        line = self._lines[pair][self._order[pair][-1]]
        if not pair[0]:
            return Conversation(0, pair[1], self._tables.groups[pair[1]].name, line)
        peer = pair[1] if pair[0] == user_id else pair[0]
        user = self._tables.users.get(peer)
        return Conversation(peer, 0, user.name if user else "", line)

    def _page(
        self, pair: Pair, holes: Sequence[tuple[int, int]], since: int, before: int, limit: int
    ) -> Page:
        before = before or MAX_ID
        order = self._order.get(pair, [])
        first = bisect_left(order, (since, 0))
        end = bisect_left(order, (before, 0))
        start = max(first, end - limit)
        # The next page begins below this one's last stamp: who shares it belongs to this one.
        while start > first and order[start - 1][0] == order[start][0]:
            start -= 1
        more = start > first
        lines = [self._lines[pair][place] for place in reversed(order[start:end])]
        if more:
            since = lines[-1].stamp
        gap = any(gap[:2] in holes and since <= gap[2] < before for gap in self._tables.gaps)
        return Page(lines, more, gap)
