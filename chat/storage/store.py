"""The store over a SQL database: its parts, and its life."""

from __future__ import annotations

from collections.abc import Callable
from time import time
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.threads import deferToThread

from ..cluster import Members
from ..interfaces import Friends, Groups, History, Invites, Offline, Rosters, Tokens, Users
from . import schema
from .dialects import Dialect, Statements
from .friends import SqlFriends
from .groups import SqlGroups
from .history import SqlHistory
from .members import SqlMembers
from .offline import SqlOffline
from .rosters import SqlRosters
from .sql import Database
from .tokens import SqlInvites, SqlTokens
from .users import SqlUsers


class SqlStore:
    """See :class:`chat.interfaces.Store`.

    :param now: seconds since the epoch, for what the store dates itself.
    """

    def __init__(self, dialect: Dialect, reactor: Any, now: Callable[[], float] = time) -> None:
        self._dialect = dialect
        # Waiting messages are written on a connection of their own, so that nothing delays them,
        # and that no page waits for a commit.
        self.database = Database(dialect, reactor, own=1)
        self.users: Users = SqlUsers(self.database)
        self.offline: Offline = SqlOffline(self.database)
        self.friends: Friends = SqlFriends(self.database)
        self.groups: Groups = SqlGroups(self.database, now)
        self.rosters: Rosters = SqlRosters(self.database)
        self.history: History = SqlHistory(self.database)
        self.tokens: Tokens = SqlTokens(self.database)
        self.invites: Invites = SqlInvites(self.database)
        self.members: Members = SqlMembers(self.database)

    def open(self) -> Deferred[None]:
        return deferToThread(self._open)

    def _open(self) -> None:
        raw = self._dialect.connect(patient=True)
        try:
            schema.upgrade(self._dialect, raw)
        finally:
            raw.close()

    def close(self) -> Deferred[None]:
        return ensureDeferred(self.database.close())

    def ping(self) -> Deferred[None]:
        def work(statements: Statements) -> None:
            statements.row("SELECT 1")

        return self.database.read("ping", work)

    def describe(self) -> str:
        return self._dialect.place
