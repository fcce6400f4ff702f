"""The table ``offlinemessage``: what waits for its recipients."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred

from ..model import Census, Kept, KeptKey, Outcome
from .dialects import IDS_A_STATEMENT, Row, Statements, marks
from .keeping import COLUMNS, TABLE, Keep
from .sql import Database

_PLACE = ("userid", "stamp", "sender")

FIRST_ROWS = 16
"""A page's first rows tell how long its rows are, before many are read that have no place in it."""


class SqlOffline:
    """See :class:`chat.interfaces.Offline`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def census(self, recipients: Sequence[int]) -> Deferred[dict[int, Census]]:
        def work(statements: Statements) -> dict[int, Census]:
            found: dict[int, Census] = {}
            for start in range(0, len(recipients), IDS_A_STATEMENT):
                some = recipients[start : start + IDS_A_STATEMENT]
                _count(statements, some, found)
            return found

        return self._database.read("census", work)

    def keep(self, rows: Sequence[Kept]) -> Deferred[list[Outcome]]:
        batch = tuple(rows)

        def work(statements: Statements) -> list[Outcome]:
            return Keep(statements, batch).all()

        return self._database.write("keep", work, again=True, own=True)

    def page(
        self, recipient: int, after: tuple[int, int], rows: int, size: int
    ) -> Deferred[tuple[list[Kept], bool]]:
        return self._database.read(
            "page", lambda statements: _page(statements, recipient, after, rows, size)
        )

    def forget(self, keys: Sequence[KeptKey]) -> Deferred[None]:
        # In the order of the index, so that two who delete do not wait for each other in a circle.
        places = sorted((key.recipient, key.stamp, key.sender) for key in keys)

        def work(statements: Statements) -> None:
            statements.delete_keys(TABLE, _PLACE, places)

        return self._database.write("forget", work, again=True, own=True)


def _count(statements: Statements, ids: Sequence[int], found: dict[int, Census]) -> None:
    these = f"IN ({marks(len(ids))})"
    for (user_id,) in statements.rows(f"SELECT id FROM user WHERE id {these}", ids):
        found[user_id] = Census(by_sender={})
    for user_id, sender, waiting in statements.rows(
        f"SELECT userid, sender, COUNT(*) FROM {TABLE} {statements.dialect.waiting_by_sender}"
        f" WHERE userid {these} GROUP BY userid, sender",
        ids,
    ):
        if user_id in found:
            found[user_id].waiting += waiting
            found[user_id].by_sender[sender] = waiting
    for user_id, blocked in statements.rows(
        f"SELECT userid, blockedid FROM block WHERE userid {these}", ids
    ):
        if user_id in found:
            found[user_id].blocked |= {blocked}


def _page(
    statements: Statements, recipient: int, after: tuple[int, int], rows: int, size: int
) -> tuple[list[Kept], bool]:
    page: list[Kept] = []
    stamp, sender = after
    room = size
    take = min(rows + 1, FIRST_ROWS)
    while True:
        found = statements.rows(
            f"SELECT {COLUMNS} FROM {TABLE} WHERE userid = ? AND stamp >= ?"
            " AND (stamp > ? OR sender > ?) ORDER BY stamp, sender LIMIT ?",
            (recipient, stamp, stamp, sender, take),
        )
        for row in found:
            if len(page) == rows or (page and room <= 0):
                return page, True
            page.append(_kept(row))
            room -= len(page[-1].body)
        if len(found) < take:
            return page, False
        stamp, sender = page[-1].stamp, page[-1].sender
        # As many as there is room for, if they are as long as those so far.
        mean = (size - room) // len(page) + 1
        take = max(1, min(rows + 1 - len(page), room // mean + 2))


def _kept(row: Row) -> Kept:
    userid, stamp, sender, cid, given, kind, digest, message = row
    return Kept(userid, stamp, sender, cid.decode(), bool(given), kind, digest, message)
