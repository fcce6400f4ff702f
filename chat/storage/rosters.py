"""What logins show of friends and groups, in one interaction."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from ..model import Member, Roster
from .dialects import Statements
from .friends import friends_page
from .groups import groups_page, members_page
from .sql import Database


class SqlRosters:
    """See :class:`chat.interfaces.Rosters`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, user_id: int, friends: int, groups: int, members: int) -> Deferred[Roster]:
        def work(statements: Statements) -> Roster:
            some_friends, more_friends = friends_page(statements, user_id, 0, friends)
            some_groups, more_groups = groups_page(statements, user_id, 0, groups)
            room = members
            found: dict[int, list[Member]] = {}
            for group in some_groups:
                if room <= 0:
                    break
                found[group.id], _ = members_page(statements, group.id, 0, room)
                room -= len(found[group.id])
            return Roster(some_friends, more_friends, some_groups, more_groups, found)

        return self._database.read("roster", work)
