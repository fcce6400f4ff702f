"""What logins show of friends and groups, in memory."""

from __future__ import annotations

from ...model import Member, Roster
from .friends import MemoryFriends
from .groups import MemoryGroups
from .tables import answered


class MemoryRosters:
    """See :class:`chat.interfaces.Rosters`."""

    def __init__(self, friends: MemoryFriends, groups: MemoryGroups) -> None:
        self._friends = friends
        self._groups = groups

    @answered
    def read(self, user_id: int, friends: int, groups: int, members: int) -> Roster:
        some_friends, more_friends = self._friends.friends_page(user_id, 0, friends)
        some_groups, more_groups = self._groups.groups_page(user_id, 0, groups)
        room = members
        found: dict[int, list[Member]] = {}
        for group in some_groups:
            if room <= 0:
                break
            found[group.id], _ = self._groups.members_page(group.id, 0, room)
            room -= len(found[group.id])
        return Roster(some_friends, more_friends, some_groups, more_groups, found)
