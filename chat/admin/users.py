"""Users: look for them, make them, lock them out, delete them, export what is theirs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ..errors import ChatError, NameTaken
from ..model import Deletion
from ..names import checked_name, name_key
from ..storage.dialects import Row, Statements
from ..storage.direct import Direct, answer_of
from ..storage.tokens import SqlTokens
from ..storage.users import SqlUsers
from .show import when

PAGE = 500
"""Lines of the history read at once."""

_COLUMNS = """
    user.id, user.name, user.state, user.disabled,
    (SELECT COUNT(*) FROM offlinemessage WHERE userid = user.id),
    (SELECT COUNT(*) FROM token WHERE userid = user.id)
"""
_ASKED = "id, name, note, asked"
SHOWN = ("id", "name", "online", "disabled", "waiting", "tokens")


class Unfit(Exception):
    """The command cannot be done so; one line that says why."""


class People:
    """The users of one database."""

    def __init__(self, direct: Direct) -> None:
        self._direct = direct
        self._users = SqlUsers(direct.database)

    def some(self, after: int, limit: int, disabled: bool) -> list[dict[str, object]]:
        """Some of them, by id."""
        only = "AND disabled <> 0 " if disabled else ""
        sql = f"SELECT {_COLUMNS} FROM user WHERE id > ? {only}ORDER BY id LIMIT ?"
        return [_shown(row) for row in self._rows(sql, after, limit)]

    def find(self, who: str) -> dict[str, object]:
        """One, by id or by name (``name:7`` is the name 7).

        :raises Unfit: there is none.
        """
        if who.isdecimal():
            rows = self._rows(f"SELECT {_COLUMNS} FROM user WHERE id = ?", int(who))
        else:
            key = name_key(who.removeprefix("name:")).encode("utf-8", "replace")
            rows = self._rows(f"SELECT {_COLUMNS} FROM user WHERE name_key = ?", key)
        if not rows:
            raise Unfit(f"there is no user {who}")
        return _shown(rows[0])

    def add(self, name: str, secret: str) -> int:
        """A new one with this hashed password; the id.

        :raises Unfit: the name is taken, or no name.
        """
        try:
            typed, key = checked_name(name)
            return answer_of(self._users.register(typed, key, secret))
        except NameTaken:
            raise Unfit(f"the name {name} is taken") from None
        except ChatError as error:
            raise Unfit(error.text) from None

    def set_password(self, user_id: int, secret: str) -> None:
        """Another hashed password; all tokens are gone."""
        answer_of(self._users.set_password(user_id, secret))

    def disable(self, user_id: int, disabled: bool) -> None:
        """Nobody logs in as this user, or somebody may again."""
        sql = "UPDATE user SET disabled = ? WHERE id = ?"
        self._direct.in_one(lambda statements: statements.change(sql, (int(disabled), user_id)))

    def delete(self, user_id: int) -> Deletion:
        """The user is gone, with what is said here."""
        return answer_of(self._users.delete(user_id))

    def _rows(self, sql: str, *args: object) -> list[Row]:
        return self._direct.in_one(lambda statements: statements.rows(sql, args))

    # Export

    def export(self, user_id: int) -> Iterator[dict[str, Any]]:
        """Everything that is about one user, a record each with its ``kind``: no password, no
        token; of groups what the user wrote there."""
        user = self.find(str(user_id))
        yield {"kind": "user", **{key: user[key] for key in ("id", "name", "disabled")}}
        for kind, columns, source in (
            ("friend", "id, name", "friend JOIN user ON id = friendid WHERE userid = ?"),
            ("asked", _ASKED, "friendrequest JOIN user ON id = friendid WHERE userid = ?"),
            ("asked_by", _ASKED, "friendrequest JOIN user ON id = userid WHERE friendid = ?"),
            ("blocked", "id, name", "block JOIN user ON id = blockedid WHERE userid = ?"),
        ):
            for row in self._rows(f"SELECT {columns} FROM {source} ORDER BY id", user_id):
                record = {"kind": kind, "id": row[0], "name": row[1]}
                yield record if len(row) == 2 else {**record, "note": row[2], "time": when(row[3])}
        groups = self._rows(
            "SELECT id, groupname, grouprole, joined FROM groupuser JOIN allgroup ON id = groupid"
            " WHERE userid = ? ORDER BY id", user_id,
        )  # fmt: skip
        for group_id, name, role, joined in groups:
            yield {"kind": "group", "id": group_id, "name": name, "role": role,
                   "joined": when(joined)}  # fmt: skip
        for token in answer_of(SqlTokens(self._direct.database).list(user_id)):
            yield {"kind": "token", "id": token.id, "created": when(int(token.created * 1e6)),
                   "expires": when(int(token.expires * 1e6)), "address": token.address}  # fmt: skip
        yield from self._lines("waiting", "offlinemessage", "userid = ?", (user_id,))
        for (peer,) in self._rows(
            "SELECT high FROM message WHERE low = ?"
            " UNION SELECT low FROM message WHERE high = ? AND low > 0", user_id, user_id,
        ):  # fmt: skip
            pair = (min(user_id, peer), max(user_id, peer))
            yield from self._lines("said", "message", "low = ? AND high = ?", pair)
        for (group_id,) in self._rows(
            "SELECT DISTINCT high FROM message WHERE low = 0 AND sender = ?", user_id
        ):
            where = "low = 0 AND high = ? AND sender = ?"
            yield from self._lines("said", "message", where, (group_id, user_id))

    def _lines(
        self, kind: str, table: str, where: str, args: tuple[int, ...]
    ) -> Iterator[dict[str, Any]]:
        stamp = sender = -1
        while True:
            rows = self._rows(
                f"SELECT stamp, sender, cid, message FROM {table} WHERE {where}"
                " AND (stamp > ? OR (stamp = ? AND sender > ?)) ORDER BY stamp, sender LIMIT ?",
                *args, stamp, stamp, sender, PAGE,
            )  # fmt: skip
            for stamp, sender, cid, message in rows:
                yield {"kind": kind, "stamp": stamp, "sender": sender,
                       "cid": bytes(cid).decode("utf-8", "replace"),
                       "message": json.loads(bytes(message))}  # fmt: skip
            if len(rows) < PAGE:
                return


def groups(direct: Direct, after: int, limit: int) -> list[dict[str, object]]:
    """Groups, by id."""

    def work(statements: Statements) -> list[Row]:
        return statements.rows(
            "SELECT id, groupname, groupdesc, members FROM allgroup WHERE id > ?"
            " ORDER BY id LIMIT ?", (after, limit),
        )  # fmt: skip

    names = ("id", "name", "description", "members")
    return [dict(zip(names, row, strict=True)) for row in direct.in_one(work)]


def _shown(row: Row) -> dict[str, object]:
    user_id, name, state, disabled, waiting, tokens = row
    values = (user_id, name, state == "online", bool(disabled), waiting, tokens)
    return dict(zip(SHOWN, values, strict=True))
