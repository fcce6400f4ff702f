"""The tables ``message`` and ``gap``: what was said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from twisted.internet.defer import Deferred

from ..messages import MAX_ID
from ..model import Conversation, Page, Said
from .dialects import Row, Statements, portions
from .rows import Gap, Pair, fits, holes_of, newest_first, pair_between, pair_of
from .sql import Database

_KEY = "low, high, stamp, sender"
_COLUMNS = f"{_KEY}, cid, message"


class SqlHistory:
    """See :class:`chat.interfaces.History`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, lines: Sequence[Said], gaps: Iterable[Gap]) -> Deferred[None]:
        holes = set(gaps)
        rows: list[Row] = []
        for line in lines:
            if fits(line):
                rows.append(_values(line))
            else:
                holes.update(holes_of(line))
        rows.sort()  # as the index is: two who write do not wait for each other in a circle

        def work(statements: Statements) -> None:
            ending = statements.dialect.unless_there("stamp")
            for some in portions(rows, lambda row: len(row[-1])):
                statements.insert_all("message", _COLUMNS, some, ending)
            for places in portions(sorted(holes), len):
                statements.insert_all("gap", "userid, groupid, stamp", places, ending)

        return self._database.write("record", work, again=True)

    def between(self, user_id: int, peer: int, before: int, limit: int) -> Deferred[Page]:
        def work(statements: Statements) -> Page:
            gaps = ((user_id, 0), (peer, 0))
            return _page(statements, pair_between(user_id, peer), gaps, 0, before or MAX_ID, limit)

        return self._database.read("history", work)

    def in_group(self, group_id: int, user_id: int, before: int, limit: int) -> Deferred[Page]:
        def work(statements: Statements) -> Page:
            row = statements.row(
                "SELECT joined FROM groupuser WHERE groupid = ? AND userid = ?",
                (group_id, user_id),
            )
            if row is None:
                return Page([], False, False)
            gaps = ((0, group_id),)
            return _page(statements, (0, group_id), gaps, row[0], before or MAX_ID, limit)

        return self._database.read("history", work)

    def conversations(
        self, user_id: int, before: int, limit: int
    ) -> Deferred[tuple[list[Conversation], bool]]:
        def work(statements: Statements) -> tuple[list[Conversation], bool]:
            newest = statements.rows(statements.dialect.newest_lines, (user_id, user_id))
            newest += statements.rows(
                "SELECT 0, groupid, (SELECT MAX(stamp) FROM message WHERE low = 0"
                " AND high = groupid AND stamp >= joined) FROM groupuser WHERE userid = ?",
                (user_id,),
            )
            keys = [(stamp, low, high) for low, high, stamp in newest if stamp is not None]
            keys, more = newest_first(keys, before, limit)
            page = [(low, high, stamp) for stamp, low, high in keys]
            return _conversations(statements, user_id, page), more

        return self._database.read("conversations", work)

    def expire(self, before: int, limit: int) -> Deferred[int]:
        def work(statements: Statements) -> int:
            statements.delete_oldest("gap", "stamp", before, limit)
            return statements.delete_oldest("message", "stamp", before, limit)

        return self._database.write("expire", work)


def _page(
    statements: Statements,
    pair: Pair,
    holes: Sequence[tuple[int, int]],
    since: int,
    before: int,
    limit: int,
) -> Page:
    """The newest ``limit`` lines of a conversation with ``since <= stamp < before``."""
    where = "FROM message WHERE low = ? AND high = ?"
    rows = statements.rows(
        f"SELECT {_COLUMNS} {where} AND stamp >= ? AND stamp < ?"
        " ORDER BY stamp DESC, sender DESC LIMIT ?",
        (*pair, since, before, limit + 1),
    )
    more = len(rows) > limit
    if more and rows[limit][2] == rows[limit - 1][2]:
        # The next page begins below this one's last stamp: who shares it belongs to this one.
        last = rows[limit][2]
        rows = [row for row in rows if row[2] > last]
        rows += statements.rows(
            f"SELECT {_COLUMNS} {where} AND stamp = ? ORDER BY sender DESC", (*pair, last)
        )
        older = f"SELECT 1 {where} AND stamp >= ? AND stamp < ? LIMIT 1"
        more = statements.row(older, (*pair, since, last)) is not None
    elif more:
        del rows[limit:]
    if more:
        since = rows[-1][2]
    gap = any(
        statements.row(
            "SELECT 1 FROM gap WHERE userid = ? AND groupid = ? AND stamp >= ? AND stamp < ?"
            " LIMIT 1",
            (*hole, since, before),
        )
        for hole in holes
    )
    return Page([_said(row) for row in rows], more, gap)


def _conversations(statements: Statements, user_id: int, keys: Sequence[Row]) -> list[Conversation]:
    lines: dict[tuple[int, int], Said] = {}
    # Of two lines with one stamp the greater sender's is the newer one, as in a page.
    for row in sorted(statements.select_keys(_COLUMNS, "message", ("low", "high", "stamp"), keys)):
        lines[row[0], row[1]] = _said(row)
    peers = {pair: _peer(pair, user_id) for pair in lines}
    people = _names(statements, "user", "name", [peer for peer in peers.values() if peer])
    groups = _names(statements, "allgroup", "groupname", [high for low, high in lines if not low])
    found: list[Conversation] = []
    for low, high, _ in keys:
        line = lines.get((low, high))
        if line is None:  # it expired between two statements
            continue
        peer = peers[low, high]
        name = people.get(peer, "") if peer else groups.get(high, "")
        found.append(Conversation(peer, line.group, name, line))
    return found


def _names(statements: Statements, table: str, column: str, ids: Sequence[int]) -> dict[int, str]:
    keys = [(one,) for one in ids]
    return dict(statements.select_keys(f"id, {column}", table, ("id",), keys)) if keys else {}


def _peer(pair: Pair, user_id: int) -> int:
    """With whom the user talks; 0 in a group."""
    low, high = pair
    if not low:
        return 0
    return high if low == user_id else low


def _values(line: Said) -> Row:
    return (*pair_of(line), line.stamp, line.sender, line.cid.encode(), line.body)


def _said(row: Row) -> Said:
    low, high, stamp, sender, cid, body = row
    if low:
        return Said(stamp, sender, high if sender == low else low, 0, cid.decode(), body)
    return Said(stamp, sender, 0, high, cid.decode(), body)
