"""The table ``offlinemessage``: what waits for its recipients."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred

from ..model import Census, Kept, KeptKey, Outcome, Place
from .dialects import IDS_A_STATEMENT, Row, Statements, marks
from .keeping import COLUMNS, TABLE, Keep
from .sql import Database

_PLACE = ("userid", "stamp", "sender")

FIRST_ROWS = 16
"""The first rows tell how long rows are, before many are read that have no place in a page."""

REMEMBERED = 1000
"""Recipients of whom it is remembered how long the rows of their last page were."""


class SqlOffline:
    """See :class:`chat.interfaces.Offline`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._means: dict[int, int] = {}
        """Bytes of a row of the last page, of recipients for whom there was more."""

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
        mean = self._means.pop(recipient, 0)

        def work(statements: Statements) -> tuple[list[Kept], bool]:
            return _page(statements, recipient, after, rows, size, mean)

        return self._database.read("page", work).addCallback(self._note, recipient)

    def places(self, recipient: int, upto: tuple[int, int]) -> Deferred[list[Place]]:
        def work(statements: Statements) -> list[Place]:
            found = statements.rows(
                f"SELECT stamp, sender, cid FROM {TABLE} {statements.dialect.waiting_in_order}"
                " WHERE userid = ? AND stamp <= ? AND (stamp < ? OR sender <= ?)"
                " ORDER BY stamp, sender",
                (recipient, upto[0], upto[0], upto[1]),
            )
            return [Place(stamp, sender, cid.decode()) for stamp, sender, cid in found]

        return self._database.read("places", work)

    def _note(self, found: tuple[list[Kept], bool], recipient: int) -> tuple[list[Kept], bool]:
        page, more = found
        if more:
            if len(self._means) >= REMEMBERED:
                self._means.clear()
            self._means[recipient] = sum(len(row.body) for row in page) // len(page) + 1
        return found

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
    statements: Statements,
    recipient: int,
    after: tuple[int, int],
    rows: int,
    size: int,
    mean: int,
) -> tuple[list[Kept], bool]:
    # mean: bytes that a row may have; 0: who knows.
    page: list[Kept] = []
    stamp, sender = after
    room = size
    take = min(rows + 1, size // mean + 2 if mean else FIRST_ROWS)
    while True:
        found = statements.rows(
            f"SELECT {COLUMNS} FROM {TABLE} {statements.dialect.waiting_in_order}"
            " WHERE userid = ? AND stamp >= ?"
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
