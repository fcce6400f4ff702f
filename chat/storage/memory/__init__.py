"""The store that forgets everything with its process; the same contract as over a database."""

from __future__ import annotations

from collections.abc import Callable
from time import time

from ...cluster import Members
from ...interfaces import (
    Friends,
    Groups,
    History,
    Invites,
    Offline,
    Rosters,
    Tokens,
    Users,
)
from .friends import MemoryFriends
from .groups import MemoryGroups
from .history import MemoryHistory
from .members import MemoryMembers
from .offline import MemoryOffline
from .rosters import MemoryRosters
from .tables import Tables, answered
from .tokens import MemoryInvites, MemoryTokens
from .users import MemoryUsers


class MemoryStore:
    """See :class:`chat.interfaces.Store`.

    :param now: seconds since the epoch, for what the store dates itself.
    """

    def __init__(self, now: Callable[[], float] = time) -> None:
        tables = Tables(now)
        offline = MemoryOffline(tables)
        friends = MemoryFriends(tables)
        users = MemoryUsers(tables, offline, friends)
        self.users: Users = users
        self.offline: Offline = offline
        self.friends: Friends = friends
        groups = MemoryGroups(tables)
        self.groups: Groups = groups
        self.rosters: Rosters = MemoryRosters(friends, groups)
        self.history: History = MemoryHistory(tables)
        self.tokens: Tokens = MemoryTokens(tables, users)
        self.invites: Invites = MemoryInvites()
        self.members: Members = MemoryMembers(tables)

    @answered
    def open(self) -> None:
        """Nothing to connect to."""

    @answered
    def close(self) -> None:
        """Nothing to close."""

    @answered
    def ping(self) -> None:
        """It is always there."""

    def describe(self) -> str:
        return "memory:"
