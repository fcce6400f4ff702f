"""The server's tables as the benchmarks need them.

Users and groups are put straight into the database: registering 5,000 would be a minute of hashing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache

from argon2 import PasswordHasher

from .databases import Database
from .talk import user_name

PASSWORD = "benchmark"
FIRST_USER = 10_001
"""Ids of five digits, so that the lines of all users have one length."""


@cache
def cheap_hash() -> str:
    """A hash of :data:`PASSWORD` that is verified in no time: its parameters stand in it."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


def seed_users(database: Database, number: int, password_hash: str = "") -> int:
    """Make users with ids one after the other; the first one's id.  Once a database."""
    stored = password_hash or cheap_hash()
    database.insert(
        "INSERT INTO user (id, name, name_key, password) VALUES (?, ?, ?, ?)",
        [
            (user, user_name(user), user_name(user).encode(), stored)
            for user in range(FIRST_USER, FIRST_USER + number)
        ],
    )
    return FIRST_USER


def seed_group(database: Database, members: Sequence[int]) -> int:
    """Make a group of these users, the first its creator; its id."""
    group = 1001 + int(database.ask("SELECT COUNT(*) FROM allgroup")[0][0])
    name = f"group{group}"
    database.insert(
        "INSERT INTO allgroup (id, groupname, name_key, members) VALUES (?, ?, ?, ?)",
        [(group, name, name.encode(), len(members))],
    )
    database.insert(
        "INSERT INTO groupuser (groupid, userid, grouprole, joined) VALUES (?, ?, ?, ?)",
        [
            (group, user, "normal" if place else "creator", 0)
            for place, user in enumerate(members)
        ],
    )  # fmt: skip
    return group


def waiting(database: Database, recipient: int) -> int:
    """How many messages wait for somebody."""
    found = database.ask("SELECT COUNT(*) FROM offlinemessage WHERE userid = ?", recipient)
    return int(found[0][0])


def await_waiting(database: Database, recipient: int, rows: int, patience: float = 60) -> None:
    """Look until so many rows wait for the recipient.

    :raises TimeoutError: they do not come.
    """
    deadline = time.monotonic() + patience
    while (seen := waiting(database, recipient)) != rows:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{seen} rows wait for user {recipient}, and not {rows}")
        time.sleep(0.02)


def recorded(database: Database) -> int:
    """How many lines the history has."""
    return int(database.ask("SELECT COUNT(*) FROM message")[0][0])
