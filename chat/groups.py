"""The rules of groups: make one, join, speak, leave; members, and who may put them out.

A group has one creator.  Changes of membership are told to the members who are here (msgid 33), in
their place among the group's messages.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from . import interfaces
from .config import Settings
from .delivery import Delivery, Peer, sender_of
from .errors import ChatError, Code, NameTaken
from .lists import fitting
from .memberships import Memberships
from .messages import (
    AddGroup,
    CreateGroup,
    GroupChat,
    HandOver,
    LeaveGroup,
    ListGroups,
    ListMembers,
    MsgId,
    RemoveMember,
)
from .model import Group, Member, Role, User
from .names import checked_name
from .presence import state_word
from .rooms import Rooms, not_a_member
from .rounds import Rounds

DESC_LENGTH = 200
"""Characters of a group's description, at most."""

Fields = Mapping[str, Any]


class Groups:
    """Who talks with whom in company."""

    def __init__(
        self,
        groups: interfaces.Groups,
        users: interfaces.Users,
        delivery: Delivery,
        rooms: Rooms,
        rounds: Rounds,
        memberships: Memberships,
        settings: Settings,
    ) -> None:
        self._groups = groups
        self._users = users
        self._delivery = delivery
        self._rooms = rooms
        self._rounds = rounds
        self._memberships = memberships
        self._settings = settings

    # Messages

    def chat(self, me: Peer, ask: GroupChat) -> None:
        """Send a message to all other members.

        :raises ChatError: 100, 103, 108, 110; other refusals come through the receipt.
        """
        copy = self._delivery.prepare(me, ask, MsgId.GROUP_CHAT, ask.groupid)
        if copy is not None:
            self._rounds.send(ask.groupid, copy)

    # Membership

    async def create(self, me: Peer, ask: CreateGroup) -> Fields:
        """Make a group; who makes it is its creator and first member."""
        sender = sender_of(me, ask.id)
        name, key = checked_name(ask.groupname)
        if len(ask.groupdesc) > DESC_LENGTH:
            text = f"a description has at most {DESC_LENGTH} characters"
            raise ChatError(Code.BAD_REQUEST, text)
        try:
            group_id = await self._groups.create(
                name, key, ask.groupdesc, sender.id, self._settings.groups_per_user
            )
        except NameTaken:
            raise ChatError(Code.REFUSED, "the name is taken") from None
        if group_id == 0:
            raise _too_many_groups()
        return {"groupid": group_id}

    async def join(self, me: Peer, ask: AddGroup) -> Fields:
        """Become a member; once more is harmless."""
        sender = sender_of(me, ask.id)
        group_id = ask.groupid
        member = sender.id in await self._rooms.room(group_id)
        try:
            group = await self._groups.join(group_id, sender.id, self._settings.groups_per_user)
        except ValueError:
            raise _too_many_groups() from None
        if group is None:
            self._rooms.forget(group_id)
            raise ChatError(Code.NO_SUCH_GROUP)
        if not member:
            one = User(sender.id, sender.name)
            self._memberships.changed(group_id, one, "joined", True, but=sender.id)
        return {"group": group_entry(group)}

    async def leave(self, me: Peer, ask: LeaveGroup) -> Fields:
        """Cease to be a member; the last one takes the group along."""
        sender = sender_of(me)
        await self._rooms.room_of(ask.groupid, sender.id)
        try:
            if not await self._groups.leave(ask.groupid, sender.id):
                raise not_a_member()
        except ValueError:
            raise ChatError(Code.FORBIDDEN, "hand the group over first") from None
        one = User(sender.id, sender.name)
        self._memberships.changed(ask.groupid, one, "left", False, but=sender.id)
        return {}

    async def remove(self, me: Peer, ask: RemoveMember) -> Fields:
        """The creator puts somebody out, who is told as well."""
        sender = sender_of(me)
        group_id = ask.groupid
        await self._check_creator(group_id, sender.id)
        if ask.userid == sender.id:
            raise ChatError(Code.FORBIDDEN, "that is you")
        if not await self._groups.leave(group_id, ask.userid):
            raise ChatError(Code.FORBIDDEN, "this user is not a member")
        one = await self._user(ask.userid)
        line = self._memberships.changed(group_id, one, "removed", False, but=sender.id)
        self._delivery.hint([ask.userid], line)
        return {}

    async def hand_over(self, me: Peer, ask: HandOver) -> Fields:
        """The creator makes another member the creator."""
        sender = sender_of(me)
        group_id = ask.groupid
        await self._check_creator(group_id, sender.id)
        if ask.userid == sender.id:
            return {}
        if not await self._groups.hand_over(group_id, sender.id, ask.userid):
            raise ChatError(Code.FORBIDDEN, "this user is not a member")
        one = await self._user(ask.userid)
        self._memberships.changed(group_id, one, "creator", True, but=sender.id)
        return {}

    async def _check_creator(self, group_id: int, user_id: int) -> None:
        await self._rooms.room_of(group_id, user_id)
        group = await self._groups.group(group_id, user_id)
        if group is None or group.role is not Role.CREATOR:
            raise ChatError(Code.FORBIDDEN, "only the creator may do that")

    async def _user(self, user_id: int) -> User:
        return await self._users.user(user_id) or User(user_id, "")

    # Lists

    async def groups(self, me: Peer, ask: ListGroups) -> Fields:
        """A page of the groups one is in."""
        groups, more = await self._groups.page(sender_of(me).id, ask.after, ask.limit)
        fit, cut = fitting(map(group_entry, groups), self._settings.send_line_bound)
        return {"groups": fit, "more": more or cut}

    async def members(self, me: Peer, ask: ListMembers) -> Fields:
        """A page of the members of a group one is in."""
        viewer = sender_of(me).id
        await self._rooms.room_of(ask.groupid, viewer)
        members, more = await self._groups.members(ask.groupid, ask.after, ask.limit)
        ids = [one.id for one in members]
        elsewhere = await self._delivery.online_elsewhere(ids, viewer)
        entries = (member_entry(self._delivery, one, viewer, elsewhere) for one in members)
        fit, cut = fitting(entries, self._settings.send_line_bound)
        return {"members": fit, "more": more or cut}


def group_entry(group: Group) -> Fields:
    """A group as one of its members sees it."""
    return {
        "id": group.id, "groupname": group.name, "groupdesc": group.desc,
        "role": group.role.value, "members": group.members,
    }  # fmt: skip


def member_entry(
    delivery: Delivery, member: Member, viewer: int, elsewhere: Set[int]
) -> Fields:
    """A member as another one sees it.

    :param elsewhere: whom the viewer sees online on other nodes.
    """
    state = state_word(delivery.shows(member.id, viewer) or member.id in elsewhere)
    return {"id": member.id, "name": member.name, "state": state, "role": member.role.value}


def _too_many_groups() -> ChatError:
    return ChatError(Code.FORBIDDEN, "you are in as many groups as one may be")
