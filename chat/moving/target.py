"""Our database, written with the ids that the original gave.

Each call is one transaction, and may be repeated: what is there stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..model import Keeping, Kept
from ..storage import schema
from ..storage.dialects import IDS_A_STATEMENT, Dialect, Statements, marks, portions
from ..storage.direct import Direct
from ..storage.keeping import Keep


class Adopted(NamedTuple):
    """A user, or a group (``secret`` is then its description)."""

    id: int
    name: str
    key: str
    secret: str


class Target:
    """The database that is imported into; its schema is brought up to date.

    :raises BadStart: it cannot be reached, or is of a newer schema.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.place = dialect.place
        self._dialect = dialect
        self._direct = Direct(dialect)
        schema.upgrade(dialect, self._direct.raw)

    def close(self) -> None:
        """The connection is not needed any more."""
        self._direct.close()

    def names(self, table: str, ids: Sequence[int]) -> dict[int, str]:
        """The keys of the names of those of these users, or groups, that are there."""

        def work(statements: Statements) -> dict[int, str]:
            found: dict[int, str] = {}
            for start in range(0, len(ids), IDS_A_STATEMENT):
                some = ids[start : start + IDS_A_STATEMENT]
                sql = f"SELECT id, name_key FROM {table} WHERE id IN ({marks(len(some))})"
                found |= {row[0]: bytes(row[1]).decode() for row in statements.rows(sql, some)}
            return found

        return self._direct.in_one(work)

    def taken(self, table: str, key: str) -> bool:
        """Whether somebody, or a group, has this name."""
        sql = f"SELECT id FROM {table} WHERE name_key = ?"
        return self._direct.in_one(lambda s: s.row(sql, (key.encode(),))) is not None

    def users(self, users: Sequence[Adopted]) -> None:
        """New users with their hashed passwords."""
        rows = [(user.id, user.name, user.key.encode(), user.secret) for user in users]
        self._insert("user", "id, name, name_key, password", rows)

    def groups(self, groups: Sequence[Adopted]) -> None:
        """New groups."""
        rows = [(group.id, group.name, group.key.encode(), group.secret) for group in groups]
        self._insert("allgroup", "id, groupname, name_key, groupdesc", rows)

    def friends(self, pairs: Iterable[tuple[int, int]]) -> int:
        """Friendships, a direction each; how many are new."""
        return self._add("friend", "userid, friendid", list(pairs), "userid")

    def members(self, rows: Iterable[tuple[int, int, str, int]]) -> int:
        """Members with their roles and when they joined (microseconds); how many are new."""
        members = list(rows)
        new = self._add("groupuser", "groupid, userid, grouprole, joined", members, "groupid")
        groups = sorted({row[0] for row in members})

        def count(statements: Statements) -> None:
            for group_id in groups:
                statements.change(
                    "UPDATE allgroup SET members ="
                    " (SELECT COUNT(*) FROM groupuser WHERE groupid = ?) WHERE id = ?",
                    (group_id, group_id),
                )

        self._direct.in_one(count)
        return new

    def messages(self, rows: Sequence[Kept]) -> int:
        """Messages that wait; how many are new."""
        outcomes = self._direct.in_one(lambda statements: Keep(statements, rows).all())
        return sum(outcome.keeping is Keeping.STORED for outcome in outcomes)

    def _insert(self, table: str, columns: str, rows: Sequence[tuple[object, ...]]) -> None:
        def work(statements: Statements) -> None:
            for some in portions(rows, lambda row: sum(len(str(value)) for value in row)):
                statements.insert_all(table, columns, some)

        self._direct.in_one(work)

    def _add(
        self, table: str, columns: str, rows: Sequence[tuple[object, ...]], column: str
    ) -> int:
        def count(statements: Statements) -> int:
            row = statements.row(f"SELECT COUNT(*) FROM {table}")
            assert row is not None
            return int(row[0])

        def work(statements: Statements) -> int:
            before = count(statements)
            for some in portions(rows, lambda row: 64):
                ending = self._dialect.unless_there(column)
                statements.insert_all(table, columns, some, ending)
            return count(statements) - before

        return self._direct.in_one(work)
