"""Groups and their members, in memory."""

from __future__ import annotations

from ...errors import NameTaken
from ...model import Group, Member, Role
from .tables import GroupRow, Ids, MemberRow, Tables, answered


class MemoryGroups:
    """See :class:`chat.interfaces.Groups`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._ids = Ids()

    @answered
    def create(self, name: str, name_key: str, desc: str, creator: int, most: int) -> int:
        if len(self._tables.memberships.of(creator)) >= most:
            return 0
        if name_key in self._tables.group_names:
            raise NameTaken(name_key)
        group_id = self._ids.next()
        self._tables.groups[group_id] = GroupRow(group_id, name, name_key, desc)
        self._tables.group_names[name_key] = group_id
        self._enter(group_id, creator, Role.CREATOR)
        return group_id

    @answered
    def join(self, group_id: int, user_id: int, most: int) -> Group | None:
        if group_id not in self._tables.groups:
            return None
        if (user_id, group_id) not in self._tables.memberships:
            if len(self._tables.memberships.of(user_id)) >= most:
                raise ValueError("in too many groups")
            self._enter(group_id, user_id, Role.NORMAL)
        return self._group(group_id, user_id)

    @answered
    def leave(self, group_id: int, user_id: int) -> bool:
        group = self._group(group_id, user_id)
        if group and group.role is Role.CREATOR and group.members > 1:
            raise ValueError("a creator among others")
        return self._tables.drop_member(group_id, user_id)

    @answered
    def hand_over(self, group_id: int, creator: int, user_id: int) -> bool:
        group = self._tables.groups.get(group_id)
        members = group.members if group else {}
        if (
            creator not in members
            or members[creator].role is not Role.CREATOR
            or user_id not in members
        ):
            return False
        members[creator].role = Role.NORMAL
        members[user_id].role = Role.CREATOR
        return True

    @answered
    def group(self, group_id: int, user_id: int) -> Group | None:
        return self._group(group_id, user_id)

    @answered
    def exists(self, group_id: int) -> bool:
        return group_id in self._tables.groups

    @answered
    def page(self, user_id: int, after: int, limit: int) -> tuple[list[Group], bool]:
        return self.groups_page(user_id, after, limit)

    def groups_page(self, user_id: int, after: int, limit: int) -> tuple[list[Group], bool]:
        """What :meth:`page` answers."""
        ids = [one for one in self._tables.memberships.of(user_id) if one > after]
        page = [group for one in ids[:limit] if (group := self._group(one, user_id))]
        return page, len(ids) > limit

    @answered
    def members(self, group_id: int, after: int, limit: int) -> tuple[list[Member], bool]:
        return self.members_page(group_id, after, limit)

    def members_page(self, group_id: int, after: int, limit: int) -> tuple[list[Member], bool]:
        """What :meth:`members` answers."""
        group = self._tables.groups.get(group_id)
        members = group.members if group else {}
        page = [
            Member(user_id, self._tables.users[user_id].name, members[user_id].role)
            for user_id in sorted(members)
            if user_id > after and user_id in self._tables.users
        ]
        return page[:limit], len(page) > limit

    @answered
    def member_ids(self, group_id: int) -> list[int] | None:
        group = self._tables.groups.get(group_id)
        return sorted(group.members) if group else None

    def _enter(self, group_id: int, user_id: int, role: Role) -> None:
        self._tables.memberships.add(user_id, group_id)
        self._tables.groups[group_id].members[user_id] = MemberRow(role, self._tables.stamp())

    def _group(self, group_id: int, user_id: int) -> Group | None:
        group = self._tables.groups.get(group_id)
        member = group.members.get(user_id) if group else None
        if group is None or member is None:
            return None
        return Group(group.id, group.name, group.desc, member.role, len(group.members))
