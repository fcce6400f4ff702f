"""Who is in which group, in memory, so that no query is on a group message's way.

Nothing here is believed beyond this process's own changes: whoever learns that a group has changed
elsewhere calls :meth:`Rooms.forget`.
"""

from __future__ import annotations

from collections.abc import Iterable

from .errors import ChatError, Code
from .interfaces import Groups

MEMBERS = 1_000_000
"""Members that all rooms together remember; rooms that were not used lately are forgotten first."""


class Room:
    """The members of one group."""

    __slots__ = ("_ids", "group_id", "members")

    def __init__(self, group_id: int, ids: Iterable[int]) -> None:
        self.group_id = group_id
        self.members = dict.fromkeys(ids)
        self._ids: tuple[int, ...] | None = None

    def __contains__(self, user_id: int) -> bool:
        return user_id in self.members

    def __len__(self) -> int:
        return len(self.members)

    @property
    def ids(self) -> tuple[int, ...]:
        """All members as they are now, the longest there first, as far as is known."""
        if self._ids is None:
            self._ids = tuple(self.members)
        return self._ids

    def change(self, user_id: int, member: bool) -> None:
        """Somebody has come or gone."""
        if member:
            self.members[user_id] = None
        else:
            self.members.pop(user_id, None)
        self._ids = None


class _Look:
    """The store is being asked about a group: what happens meanwhile."""

    __slots__ = ("changes", "stale")

    def __init__(self) -> None:
        self.changes: dict[int, bool] = {}
        self.stale = False
        """Whether to ask again."""


class Rooms:
    """The rooms that were used lately.

    :param most: members that all of them together remember.
    """

    def __init__(self, groups: Groups, most: int = MEMBERS) -> None:
        self._groups = groups
        self._most = most
        self._rooms: dict[int, Room] = {}
        """The one used last is the last."""
        self._remembered = 0
        self._looks: dict[int, list[_Look]] = {}

    def known(self, group_id: int) -> Room | None:
        """The room of this group, if its members are known."""
        room = self._rooms.pop(group_id, None)
        if room is not None:
            self._rooms[group_id] = room
        return room

    async def room(self, group_id: int) -> Room:
        """The room of this group.

        :raises ChatError: 105.
        """
        while (room := self.known(group_id)) is None:
            look = _Look()
            looks = self._looks.setdefault(group_id, [])
            looks.append(look)
            try:
                ids = await self._groups.member_ids(group_id)
            finally:
                looks.remove(look)
                if not looks:
                    del self._looks[group_id]
            if ids is None and not look.changes:
                raise ChatError(Code.NO_SUCH_GROUP)
            if not look.stale and group_id not in self._rooms:
                self._remember(Room(group_id, ids or ()), look.changes)
        return room

    def _remember(self, room: Room, changes: dict[int, bool]) -> None:
        for user_id, member in changes.items():
            room.change(user_id, member)
        self._rooms[room.group_id] = room
        self._remembered += len(room)
        while self._remembered > self._most and len(self._rooms) > 1:
            self.forget(next(iter(self._rooms)))

    async def room_of(self, group_id: int, user_id: int) -> Room:
        """The same, for one of its members.

        :raises ChatError: 105; 103, the user is none of them.
        """
        room = await self.room(group_id)
        if user_id not in room:
            raise not_a_member()
        return room

    def change(self, group_id: int, user_id: int, member: bool) -> None:
        """The store has it that this user is a member now, or is none any more."""
        for look in self._looks.get(group_id, ()):
            look.changes[user_id] = member
        room = self._rooms.get(group_id)
        if room is not None:
            self._remembered -= len(room)
            room.change(user_id, member)
            self._remembered += len(room)
            if not room.members:
                self.forget(group_id)

    def forget(self, group_id: int) -> None:
        """This group has changed elsewhere: ask the store again."""
        for look in self._looks.get(group_id, ()):
            look.stale = True
        room = self._rooms.pop(group_id, None)
        if room is not None:
            self._remembered -= len(room)

    def forget_all(self) -> None:
        """Any group may have changed elsewhere."""
        for group_id in list(self._rooms):
            self.forget(group_id)

    def forget_user(self, user_id: int) -> None:
        """This user is in no group any more."""
        groups = [group_id for group_id, room in self._rooms.items() if user_id in room]
        for group_id in {*groups, *self._looks}:
            self.change(group_id, user_id, False)


def not_a_member() -> ChatError:
    """Errno 103 of who is not in the group."""
    return ChatError(Code.FORBIDDEN, "not a member of this group")
