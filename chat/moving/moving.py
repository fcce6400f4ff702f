"""From the one database into the other, table by table.

It can be repeated, after it broke off or after the original went on for a while: what is there
already is left as it is.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec

from ..errors import BadStart
from ..model import Kept
from ..names import name_key
from .clean import Unreadable, message_of, name_of, text_of, told_apart
from .source import Source
from .target import Adopted, Target

T = TypeVar("T")

BATCH = 500
EXAMPLES = 20
"""Of what was left out, so many of each table are named in the report."""

NO_LOGIN = "!"
"""In place of a hash: nobody logs in with it."""

DESCRIPTION = 200
"""Characters of a group's description."""

Progress = Callable[[str, int, int], None]
"""Called with the table, the rows done and the rows there are."""


class Table(msgspec.Struct):
    """What became of one table."""

    name: str
    read: int = 0
    imported: int = 0
    there: int = 0
    left_out: int = 0
    missing: bool = False
    notes: list[str] = []
    """What was changed or left out, and why."""

    def note(self, text: str) -> None:
        """Remember an example."""
        if len(self.notes) < EXAMPLES:
            self.notes.append(text)

    def leave_out(self, text: str) -> None:
        """A row that is not imported."""
        self.left_out += 1
        self.note(f"left out: {text}")


def batches(rows: Iterator[T]) -> Iterator[list[T]]:
    """The rows in lists of :data:`BATCH`."""
    batch: list[T] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


class Move:
    """One import.

    :param hash_password: the encoded hash of a password; called in several threads.
    :param threads: how many.
    """

    def __init__(
        self,
        source: Source,
        target: Target,
        hash_password: Callable[[str], str],
        threads: int,
        progress: Progress,
    ) -> None:
        self.tables: list[Table] = []
        self._source = source
        self._target = target
        self._hash = hash_password
        self._threads = threads
        self._progress = progress

    def all(self) -> None:
        """Everything, in the order in which one thing needs another.

        :raises SourceLost: the source could not be read to its end.
        :raises BadStart: the target holds other users with these ids, or cannot be written.
        """
        self._users()
        self._friends()
        self._groups()
        self._members()
        self._messages()

    def _begin(self, name: str) -> tuple[Table, int]:
        table = Table(name, missing=not self._source.has(name), notes=[])
        self.tables.append(table)
        return table, self._source.count(name)

    # Users

    def _users(self) -> None:
        table, total = self._begin("user")
        with ThreadPoolExecutor(self._threads) as threads:
            for page in self._source.users():
                table.read += len(page)
                new = self._new_ones(table, "user", page, "user {}")
                users = []
                for start in range(0, len(new), self._threads * 4):
                    some = new[start : start + self._threads * 4]
                    users += list(threads.map(self._hashed, some))
                    done = table.read - len(page) + len(users)
                    self._progress("user", done, total)
                for user in users:
                    if user.secret == NO_LOGIN:
                        table.note(f"user {user.id} had no password and cannot log in")
                self._target.users(users)
                table.imported += len(users)
                self._progress("user", table.read, total)

    def _hashed(self, user: Adopted) -> Adopted:
        secret = self._hash(user.secret) if user.secret else NO_LOGIN
        return user._replace(secret=secret)

    def _new_ones(
        self, table: Table, kind: str, page: Sequence[Any], otherwise: str
    ) -> list[Adopted]:
        """Those of a page that are not there yet, with names of their own."""
        there = self._target.names(kind, [row[0] for row in page])
        keys: set[str] = set()
        new = []
        for row_id, raw_name, raw_text in page:
            if row_id < 1:
                table.leave_out(f"{kind} {row_id}: an id is at least 1")
                continue
            name = name_of(raw_name or b"", otherwise.format(row_id))
            apart = told_apart(name, row_id)
            if row_id in there:
                if there[row_id] not in (name_key(name), name_key(apart)):
                    raise BadStart(
                        f"{self._target.place} has another {kind} with the id {row_id}:"
                        " import into an empty database"
                    )
                table.there += 1
                continue
            if name_key(name) in keys or self._target.taken(kind, name_key(name)):
                table.note(f"{kind} {row_id} is {apart!r} now: the name {name!r} was taken")
                name = apart
            keys.add(name_key(name))
            new.append(Adopted(row_id, name, name_key(name), text_of(raw_text or b"")))
        return new

    # The others

    def _known(self, kind: str, ids: set[int]) -> set[int]:
        return set(self._target.names(kind, sorted(ids)))

    def _friends(self) -> None:
        table, total = self._begin("friend")
        for page in batches(self._source.rows("friend", "userid", "friendid")):
            table.read += len(page)
            users = self._known("user", {one for pair in page for one in pair})
            pairs = []
            for user_id, friend_id in page:
                if user_id in users and friend_id in users:
                    pairs.append((user_id, friend_id))
                else:
                    table.leave_out(f"friend {user_id}-{friend_id}: no such user")
            new = self._target.friends(pairs)
            table.imported += new
            table.there += len(pairs) - new
            self._progress("friend", table.read, total)

    def _groups(self) -> None:
        table, total = self._begin("allgroup")
        rows = self._source.rows("allgroup", "id", "binary:groupname", "binary:groupdesc")
        for page in batches(rows):
            table.read += len(page)
            new = self._new_ones(table, "allgroup", page, "group {}")
            self._target.groups([g._replace(secret=g.secret[:DESCRIPTION]) for g in new])
            table.imported += len(new)
            self._progress("allgroup", table.read, total)

    def _members(self) -> None:
        table, total = self._begin("groupuser")
        joined = int(time.time() * 1_000_000)
        rows = self._source.rows("groupuser", "groupid", "userid", "binary:grouprole")
        for page in batches(rows):
            table.read += len(page)
            users = self._known("user", {row[1] for row in page})
            groups = self._known("allgroup", {row[0] for row in page})
            members = []
            for group_id, user_id, role in page:
                if user_id in users and group_id in groups:
                    is_creator = text_of(role or b"") == "creator"
                    kind = "creator" if is_creator else "normal"
                    members.append((group_id, user_id, kind, joined))
                else:
                    table.leave_out(f"member {user_id} of group {group_id}: no such user or group")
            new = self._target.members(members)
            table.imported += new
            table.there += len(members) - new
            self._progress("groupuser", table.read, total)

    def _messages(self) -> None:
        table, total = self._begin("offlinemessage")
        stamp = int(time.time() * 1_000_000) - total
        seen: Counter[tuple[int, bytes]] = Counter()
        for page in batches(self._source.rows("offlinemessage", "userid", "binary:message")):
            table.read += len(page)
            users = self._known("user", {row[0] for row in page})
            kept: list[Kept] = []
            for user_id, data in page:
                stamp += 1
                seen[user_id, data] += 1
                try:
                    if user_id not in users:
                        raise Unreadable("no such user")
                    kept.append(message_of(user_id, data, stamp, seen[user_id, data]))
                except Unreadable as why:
                    table.leave_out(f"a message for user {user_id}: {why}")
            new = self._target.messages(kept)
            table.imported += new
            table.there += len(kept) - new
            self._progress("offlinemessage", table.read, total)
