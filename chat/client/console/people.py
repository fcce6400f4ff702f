"""What the commands about friends and groups do."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ..client import Client
from ..errors import ClientError
from . import text, view
from .futures import asked
from .orders import Do
from .roster import Roster
from .view import Line

if TYPE_CHECKING:
    from .talker import Talker


class People:
    """The part of the commands that is about friends and groups."""

    def __init__(self, talker: Talker) -> None:
        self._talker = talker

    async def learn_friends(self) -> None:
        """Ask for all friends."""
        with suppress(ClientError):
            friends = await asked(self._client.friends())
            self._roster.set_friends(friends)

    async def learn_groups(self) -> None:
        """Ask for all groups."""
        with suppress(ClientError):
            groups = await asked(self._client.groups())
            self._roster.set_groups(groups)

    async def learn_requests(self) -> None:
        """Ask who waits to be a friend, and tell of those that were not known."""
        with suppress(ClientError):
            for one in await asked(self._client.friend_requests()):
                if one.id not in self._roster.asking:
                    self._roster.asking[one.id] = one.name
                    self._say(*view.asks(one.name, one.note))

    @property
    def _client(self) -> Client:
        return self._talker.client

    @property
    def _roster(self) -> Roster:
        return self._talker.roster

    def _say(self, *lines: Line) -> None:
        self._talker.say(*lines)

    async def _user(self, name: str) -> tuple[int, str]:
        """The id and the name of a user.

        :raises ValueError: there is none.
        """
        user_id = self._roster.find_user(name)
        if user_id is not None:
            return user_id, self._roster.talk(False, user_id).name
        user = await asked(self._client.find_user(name))
        if user is None:
            raise ValueError(f"There is no user {text.plain(name)}.")
        self._roster.people[user.id] = user.name
        return user.id, user.name

    def _group(self, name: str) -> int:
        """The id of a group; of the one in which one is where no name is given.

        :raises ValueError: one is not in it.
        """
        if name:
            group = self._roster.find_group(name)
            if group is None:
                raise ValueError(f"You are in no group {text.plain(name)}.")
            return group.id
        talk = self._talker.talk
        if talk is None or not talk.group:
            raise ValueError("Which group? You are in none of them just now.")
        return talk.id

    def _list(self, nothing: str, lines: list[Line]) -> None:
        self._say(*(lines or [view.note(nothing)]))

    # Friends

    async def _friends(self, order: Do) -> None:
        friends = await asked(self._client.friends())
        self._roster.set_friends(friends)
        self._list("No friends yet: /add NAME asks somebody.", view.friends(friends))

    async def _find(self, order: Do) -> None:
        user = await asked(self._client.find_user(order.argument))
        if user is None:
            raise ValueError(f"There is no user {text.plain(order.argument)}.")
        self._roster.people[user.id] = user.name
        self._say(*view.table([(text.plain(user.name), f"id {user.id}")]))

    async def _add(self, order: Do) -> None:
        user_id, name = await self._user(order.argument)
        if await asked(self._client.ask_friend(user_id, order.text)):
            self._say(view.notice(f"{text.plain(name)} is your friend now"))
            await self.learn_friends()
        else:
            self._say(view.note(f"{text.plain(name)} is asked"))

    async def _addfriend(self, order: Do) -> None:
        friend = await asked(self._client.add_friend(int(order.argument)))
        name = friend.name if friend else order.argument
        self._say(view.notice(f"{text.plain(name)} is your friend now"))
        await self.learn_friends()

    async def _requests(self, order: Do) -> None:
        requests = await asked(self._client.friend_requests())
        self._roster.asking = {it.id: it.name for it in requests}
        rows = [(text.plain(it.name), text.shortened(it.note, 60)) for it in requests]
        self._list("Nobody asks.", view.table(rows))

    async def _accept(self, order: Do) -> None:
        await self._answer(order.argument, True)

    async def _decline(self, order: Do) -> None:
        await self._answer(order.argument, False)

    async def _answer(self, name: str, accept: bool) -> None:
        user_id, name = await self._user(name)
        await asked(self._client.answer_friend(user_id, accept))
        self._roster.asking.pop(user_id, None)
        did = "is your friend now" if accept else "is declined"
        self._say(view.notice(f"{text.plain(name)} {did}"))
        await self.learn_friends()

    async def _unfriend(self, order: Do) -> None:
        user_id, name = await self._user(order.argument)
        await asked(self._client.remove_friend(user_id))
        self._roster.friends.pop(user_id, None)
        self._say(view.note(f"{text.plain(name)} is no friend of yours any more"))

    async def _block(self, order: Do) -> None:
        user_id, name = await self._user(order.argument)
        await asked(self._client.block(user_id))
        self._say(view.note(f"{text.plain(name)} is blocked"))

    async def _unblock(self, order: Do) -> None:
        user_id, name = await self._user(order.argument)
        await asked(self._client.block(user_id, False))
        self._say(view.note(f"{text.plain(name)} is not blocked any more"))

    async def _blocked(self, order: Do) -> None:
        rows = [(text.plain(it.name), f"id {it.id}") for it in await asked(self._client.blocked())]
        self._list("You block nobody.", view.table(rows))

    # Groups

    async def _groups(self, order: Do) -> None:
        groups = await asked(self._client.groups())
        self._roster.set_groups(groups)
        self._list("You are in no group: /create NAME or /join ID.", view.groups(groups))

    async def _create(self, order: Do) -> None:
        group_id = await asked(self._client.create_group(order.argument, order.text))
        await self.learn_groups()
        self._say(view.notice(f"#{text.plain(order.argument)} is group {group_id}"))

    async def _join(self, order: Do) -> None:
        if not (order.argument.isascii() and order.argument.isdigit()):
            raise ValueError("A group is joined by its id; who is in it can tell you: /groups")
        group = await asked(self._client.join_group(int(order.argument)))
        self._roster.set_groups([*self._roster.groups.values(), group])
        self._say(view.notice(f"You are in #{text.plain(group.groupname)}"))

    async def _members(self, order: Do) -> None:
        group_id = self._group(order.argument)
        members = await asked(self._client.members(group_id))
        self._roster.members[group_id] = [it.name for it in members]
        self._say(
            *view.table([tuple(map(text.plain, (it.name, it.state, it.role))) for it in members])
        )

    async def _learn_members(self, group_id: int) -> None:
        with suppress(ClientError):
            members = await asked(self._client.members(group_id))
            self._roster.members[group_id] = [it.name for it in members]

    async def _leave(self, order: Do) -> None:
        group_id = self._group(order.argument)
        talk = self._roster.talk(True, group_id)
        await asked(self._client.leave_group(group_id))
        self._roster.groups.pop(group_id, None)
        if self._talker.talk is talk:
            self._talker.talk = None
        self._say(view.note(f"You have left {text.plain(talk.title)}"))

    async def _remove(self, order: Do) -> None:
        group_id = self._group("")
        user_id, name = await self._member(group_id, order.argument)
        await asked(self._client.remove_member(group_id, user_id))
        self._say(view.note(f"{text.plain(name)} is out"))

    async def _handover(self, order: Do) -> None:
        group_id = self._group("")
        user_id, name = await self._member(group_id, order.argument)
        await asked(self._client.hand_over(group_id, user_id))
        self._say(view.note(f"{text.plain(name)} is the creator now"))
        await self.learn_groups()

    async def _member(self, group_id: int, name: str) -> tuple[int, str]:
        for member in await asked(self._client.members(group_id)):
            if name in (member.name, str(member.id)):
                return member.id, member.name
        raise ValueError(f"{text.plain(name)} is not in this group.")
