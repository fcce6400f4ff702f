"""The table ``user``."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.defer import Deferred

from ..errors import NameTaken
from ..model import Account, Deletion, Left, Role, User
from .claims import live_claim, set_offline
from .dialects import IDS_A_STATEMENT, Row, Statements, Trouble, marks
from .groups import drop_member, set_role
from .sql import Database

_OWN = (
    ("friends", "friend"),
    ("requests", "friendrequest"),
    ("blocks", "block"),
    ("messages", "offlinemessage"),
    ("tokens", "token"),
)

ACCOUNT = """
    user.id, user.name, user.password, user.disabled,
    (SELECT MAX(stamp) FROM offlinemessage WHERE sender = user.id)
"""


def account_of(row: Row) -> Account:
    """From the columns of :data:`ACCOUNT`."""
    user_id, name, password, disabled, last_stamp = row
    return Account(user_id, name, password, last_stamp or 0, bool(disabled))


class SqlUsers:
    """See :class:`chat.interfaces.Users`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def register(self, name: str, name_key: str, password: str) -> Deferred[int]:
        def work(statements: Statements) -> int:
            try:
                return statements.insert(
                    "INSERT INTO user (name, name_key, password) VALUES (?, ?, ?)",
                    (name, name_key.encode(), password),
                )
            except statements.dialect.error as error:
                if statements.dialect.trouble(error) is Trouble.DUPLICATE:
                    raise NameTaken(name_key) from None
                raise

        return self._database.write("register", work)

    def account(self, user_id: int) -> Deferred[Account | None]:
        def work(statements: Statements) -> Account | None:
            row = statements.row(f"SELECT {ACCOUNT} FROM user WHERE id = ?", (user_id,))
            return account_of(row) if row else None

        return self._database.read("account", work)

    def user(self, user_id: int) -> Deferred[User | None]:
        return self._one("SELECT id, name FROM user WHERE id = ?", user_id)

    def find(self, name_key: str) -> Deferred[User | None]:
        return self._one("SELECT id, name FROM user WHERE name_key = ?", name_key.encode())

    def _one(self, sql: str, key: int | bytes) -> Deferred[User | None]:
        def work(statements: Statements) -> User | None:
            row = statements.row(sql, (key,))
            return User(*row) if row else None

        return self._database.read("user", work)

    def set_states(self, states: Mapping[int, bool]) -> Deferred[None]:
        online = sorted(user_id for user_id, here in states.items() if here)
        offline = sorted(user_id for user_id, here in states.items() if not here)

        def work(statements: Statements) -> None:
            for start in range(0, len(online), IDS_A_STATEMENT):
                some = online[start : start + IDS_A_STATEMENT]
                statements.change(
                    f"UPDATE user SET state = 'online' WHERE id IN ({marks(len(some))})", some
                )
            for start in range(0, len(offline), IDS_A_STATEMENT):
                set_offline(statements, offline[start : start + IDS_A_STATEMENT])

        return self._database.write("states", work, again=True)

    def reset_states(self) -> Deferred[None]:
        def work(statements: Statements) -> None:
            statements.change(
                "UPDATE user SET state = 'offline' WHERE state = 'online'"
                f" AND NOT {live_claim(statements, 'user.id')}"
            )

        return self._database.write("states", work, again=True)

    def set_password(self, user_id: int, password: str) -> Deferred[None]:
        def work(statements: Statements) -> None:
            statements.change("UPDATE user SET password = ? WHERE id = ?", (password, user_id))
            statements.change("DELETE FROM token WHERE userid = ?", (user_id,))

        return self._database.write("password", work, again=True)

    def delete(self, user_id: int) -> Deferred[Deletion]:
        return self._database.write("delete user", lambda statements: _delete(statements, user_id))


def _delete(statements: Statements, user_id: int) -> Deletion:
    groups = statements.rows(
        "SELECT groupid, grouprole FROM groupuser WHERE userid = ? ORDER BY groupid", (user_id,)
    )
    left = []
    for group_id, role in groups:
        drop_member(statements, group_id, user_id)
        heir = _inherit(statements, group_id) if role == Role.CREATOR else None
        left.append(Left(group_id, heir))
    deleted = {"groups": len(left)}
    for what, table in _OWN:
        deleted[what] = statements.change(f"DELETE FROM {table} WHERE userid = ?", (user_id,))
    deleted["requests"] += statements.change(
        "DELETE FROM friendrequest WHERE friendid = ?", (user_id,)
    )
    # Others' rows about the user are not counted: who blocks whom is not told.
    statements.change("DELETE FROM friend WHERE friendid = ?", (user_id,))
    statements.change("DELETE FROM block WHERE blockedid = ?", (user_id,))
    statements.change("DELETE FROM gap WHERE userid = ?", (user_id,))
    statements.change("DELETE FROM claim WHERE userid = ?", (user_id,))
    statements.change("DELETE FROM user WHERE id = ?", (user_id,))
    return Deletion(deleted, left)


def _inherit(statements: Statements, group_id: int) -> User | None:
    """The oldest member becomes the creator."""
    row = statements.row(
        "SELECT user.id, user.name FROM groupuser JOIN user ON user.id = groupuser.userid"
        " WHERE groupid = ? ORDER BY joined, userid LIMIT 1",
        (group_id,),
    )
    if row is None:
        return None
    set_role(statements, group_id, row[0], Role.CREATOR)
    return User(*row)
