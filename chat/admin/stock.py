"""What lies in the database beside people: invitations, waiting messages, the schema."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable

from ..errors import BadStart
from ..storage import schema
from ..storage.direct import Direct, answer_of
from ..storage.tokens import SqlInvites
from ..tokens import digest_of, new_secret
from .show import when

DAY = 86_400


def create_invite(direct: Direct, days: float, uses: int) -> dict[str, object]:
    """A new invitation; the code is told this once."""
    code, now = new_secret(), time.time()
    expires = now + days * DAY
    answer_of(SqlInvites(direct.database).issue(digest_of(code), now, expires, uses))
    return {"code": code, "uses": uses, "expires": when(int(expires * 1e6))}


def invites(direct: Direct) -> list[dict[str, object]]:
    """Every invitation, without its code, which nobody knows any more."""
    sql = "SELECT id, created, expires, uses FROM invite ORDER BY id"
    return [
        {"id": row[0], "created": when(row[1]), "expires": when(row[2]), "uses": row[3]}
        for row in direct.in_one(lambda statements: statements.rows(sql))
    ]


def revoke_invite(direct: Direct, invite_id: int) -> bool:
    """It is of no use any more; False: there is none."""
    sql = "DELETE FROM invite WHERE id = ?"
    return direct.in_one(lambda statements: statements.change(sql, (invite_id,))) > 0


def nodes(direct: Direct) -> list[dict[str, object]]:
    """The servers that hold a lease now, by name."""
    clock = direct.dialect.clock
    users = "(SELECT COUNT(*) FROM claim WHERE claim.node = node.id)"
    rows = direct.in_one(lambda statements: statements.rows(
        f"SELECT id, name, {users}, expires - {clock} FROM node"
        f" WHERE expires > {clock} AND name IS NOT NULL ORDER BY name"
    ))  # fmt: skip
    return [
        {"id": row[0], "name": row[1], "users": row[2], "seconds": round(int(row[3]) / 1e6, 1)}
        for row in rows
    ]


def online(direct: Direct) -> list[dict[str, object]]:
    """Who is on one of them, by id."""
    rows = direct.in_one(lambda statements: statements.rows(
        "SELECT user.id, user.name, node.name FROM node JOIN claim ON claim.node = node.id"
        f" JOIN user ON user.id = claim.userid WHERE node.expires > {direct.dialect.clock}"
        " ORDER BY user.id"
    ))  # fmt: skip
    return [{"id": row[0], "name": row[1], "node": row[2]} for row in rows]


def waiting(direct: Direct) -> dict[str, object]:
    """How much waits, for how many, since when."""
    row = direct.in_one(lambda statements: statements.row(
        "SELECT COUNT(*), COUNT(DISTINCT userid), COALESCE(SUM(LENGTH(message)), 0), MIN(stamp)"
        " FROM offlinemessage"
    ))  # fmt: skip
    assert row is not None
    oldest = when(row[3]) if row[3] else ""
    return {"messages": row[0], "users": row[1], "bytes": int(row[2]), "oldest": oldest}


def waiting_by_user(direct: Direct, limit: int) -> list[dict[str, object]]:
    """For whom most waits."""
    rows = direct.in_one(lambda statements: statements.rows(
        "SELECT userid, MAX(name), COUNT(*), MIN(stamp) FROM offlinemessage"
        " LEFT JOIN user ON user.id = userid GROUP BY userid ORDER BY 3 DESC, 1 LIMIT ?", (limit,)
    ))  # fmt: skip
    return [
        {"id": row[0], "name": row[1] or "", "messages": row[2], "oldest": when(row[3])}
        for row in rows
    ]


def purge(
    direct: Direct, days: float, user_id: int | None, tell: Callable[[str, int, int], None]
) -> int:
    """Delete what has waited for longer, a user at a time; how many messages."""
    before = int((time.time() - days * DAY) * 1e6)
    only, args = ("AND userid = ?", (before, user_id)) if user_id else ("", (before,))
    users = direct.in_one(lambda statements: statements.rows(
        f"SELECT DISTINCT userid FROM offlinemessage WHERE stamp < ? {only} ORDER BY userid", args
    ))  # fmt: skip

    def delete(one: int) -> int:
        sql = "DELETE FROM offlinemessage WHERE userid = ? AND stamp < ?"
        return direct.in_one(lambda statements: statements.change(sql, (one, before)))

    deleted = 0
    for done, (one,) in enumerate(users, 1):
        deleted += delete(one)
        tell("users", done, len(users))
    return deleted


def versions(direct: Direct) -> dict[str, object]:
    """Of the schema: what the database has, and what this program wants."""
    have = schema.version(direct.dialect, direct.raw)
    newest = schema.newest(direct.dialect)
    return {"version": have, "newest": newest, "current": have == newest}


def check(direct: Direct) -> list[str]:
    """What is wrong with the database; empty: nothing."""
    state = versions(direct)
    wrong = []
    if not state["current"]:
        wrong.append(f"version {state['version']} of the schema, {state['newest']} is wanted")
    if isinstance(direct.raw, sqlite3.Connection):
        found = direct.raw.execute("PRAGMA integrity_check").fetchall()
        return wrong + [text for (text,) in found if text != "ok"]

    def tables(name: str) -> list[str]:
        rows = direct.in_one(lambda statements: statements.rows(f"CHECK TABLE {name}"))
        return [f"{row[0]}: {row[3]}" for row in rows if row[2] != "status" or row[3] != "OK"]

    there = direct.in_one(direct.dialect.tables)
    for name in sorted(there):
        wrong += tables(name)
    return wrong


def need_current(direct: Direct) -> None:
    """Nothing else is done to a database of another version.

    :raises BadStart: it is of one.
    """
    state = versions(direct)
    if not state["current"]:
        raise BadStart(
            f"the database {direct.place} has version {state['version']} of the schema, and this"
            f" program wants {state['newest']}: chat-admin schema upgrade"
        )
