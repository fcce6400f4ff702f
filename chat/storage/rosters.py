"""What logins show of friends and groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from twisted.internet.defer import Deferred

from ..model import Group, Member, Roster
from .dialects import Statements
from .friends import friends_of, friends_page
from .gathering import Gathering
from .groups import groups_of, groups_page, members_page
from .sql import Database

ROWS_TOGETHER = 2000
"""Friends, and groups, that are read for several users at a time; if there are more, each user is
read alone, within the bounds that were asked for."""

T = TypeVar("T")

_Asked = tuple[int, int, int, int]
"""A user's id, and how many friends, groups and members of groups."""


class SqlRosters:
    """See :class:`chat.interfaces.Rosters`."""

    def __init__(self, database: Database) -> None:
        self._rosters = Gathering(database, "roster", _rosters)

    def read(self, user_id: int, friends: int, groups: int, members: int) -> Deferred[Roster]:
        return self._rosters.ask((user_id, friends, groups, members))


def _rosters(statements: Statements, asked: Sequence[_Asked]) -> list[Roster]:
    ids = [user_id for user_id, *_ in asked]
    friends = friends_of(statements, ids, ROWS_TOGETHER)
    groups = groups_of(statements, ids, ROWS_TOGETHER)
    rosters = []
    for user_id, most_friends, most_groups, most_members in asked:
        some_friends, more_friends = (
            _cut(friends[user_id], most_friends)
            if friends is not None
            else friends_page(statements, user_id, 0, most_friends)
        )
        some_groups, more_groups = (
            _cut(groups[user_id], most_groups)
            if groups is not None
            else groups_page(statements, user_id, 0, most_groups)
        )
        members = _members(statements, some_groups, most_members)
        rosters.append(Roster(some_friends, more_friends, some_groups, more_groups, members))
    return rosters


def _cut(items: list[T], most: int) -> tuple[list[T], bool]:
    return items[:most], len(items) > most


def _members(statements: Statements, groups: list[Group], room: int) -> dict[int, list[Member]]:
    found: dict[int, list[Member]] = {}
    for group in groups:
        if room <= 0:
            break
        found[group.id], _ = members_page(statements, group.id, 0, room)
        room -= len(found[group.id])
    return found
