"""The rules of contacts: friends, requests to be friends, blocks, looking somebody up.

Who blocks somebody is ``offline`` for that user, and nothing that the user sends or asks arrives;
the user is answered as if it did.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from msgspec import UNSET

from .config import Settings
from .delivery import Delivery, Peer, sender_of, written
from .errors import ChatError, Code
from .interfaces import Clock, Friends, Users
from .lists import fitting
from .messages import (
    AddFriend,
    AnswerFriend,
    AskFriend,
    Block,
    FindUser,
    ListBlocked,
    ListFriends,
    ListRequests,
    MsgId,
    RemoveFriend,
)
from .model import Asking, Friend, User
from .names import name_key
from .presence import Presence, state_word
from .senders import Sender
from .wire import encode

Fields = Mapping[str, Any]


class Contacts:
    """Who knows whom."""

    def __init__(
        self,
        users: Users,
        friends: Friends,
        delivery: Delivery,
        presence: Presence,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._users = users
        self._friends = friends
        self._delivery = delivery
        self._presence = presence
        self._settings = settings
        self._clock = clock

    # Friends

    async def add(self, me: Peer, ask: AddFriend) -> Fields:
        """A friend at once and in one direction, as in the original; once more is harmless."""
        sender = sender_of(me, ask.id)
        other = await self._other(sender, ask.friendid)
        try:
            await self._friends.add(sender.id, other.id, self._settings.friends_per_user)
        except ValueError:
            raise _too_many_friends() from None
        return {"friend": await self._entry(other, sender)}

    async def ask(self, me: Peer, ask: AskFriend) -> Fields:
        """Ask somebody to be friends; who is asked by somebody whom they asked has accepted."""
        sender = sender_of(me)
        other = await self._other(sender, ask.friendid)
        settings = self._settings
        now = self._clock.time()
        try:
            asking = await self._friends.ask(
                sender.id, other.id, ask.note, now,
                settings.requests_per_user, settings.friends_per_user,
            )  # fmt: skip
        except ValueError:
            raise _too_many_friends() from None
        if asking is Asking.FULL:
            raise ChatError(Code.MAILBOX_FULL, "too many requests wait for this user")
        if asking is Asking.FRIENDS:
            self._tell_accepted(sender, other.id)
        else:
            self._signal(
                sender, other.id, MsgId.FRIEND_REQUEST, {"note": ask.note, "time": written(now)}
            )
        return {"friends": asking is Asking.FRIENDS}

    async def answer(self, me: Peer, ask: AnswerFriend) -> Fields:
        """Accept or decline a request."""
        sender = sender_of(me)
        other = await self._other(sender, ask.friendid)
        if not ask.accept:
            if not await self._friends.settle(sender.id, other.id):
                raise _no_request()
            self._signal(sender, other.id, MsgId.FRIEND_ANSWER, {"accept": False})
            return {}
        try:
            most = self._settings.friends_per_user
            if not await self._friends.accept(sender.id, other.id, most):
                raise _no_request()
        except ValueError:
            raise _too_many_friends() from None
        self._tell_accepted(sender, other.id)
        return {"friend": await self._entry(other, sender)}

    async def remove(self, me: Peer, ask: RemoveFriend) -> Fields:
        """The friendship ends, for both; where there is none, nothing happens."""
        sender = sender_of(me)
        if await self._friends.remove(sender.id, ask.friendid):
            self._signal(sender, ask.friendid, MsgId.REMOVE_FRIEND, {})
        return {}

    def _tell_accepted(self, sender: Sender, asker: int) -> None:
        state = state_word(self._delivery.shows(sender.id, asker))
        self._signal(sender, asker, MsgId.FRIEND_ANSWER, {"accept": True, "state": state})

    # Blocks

    async def block(self, me: Peer, ask: Block) -> Fields:
        """Hear nothing more of somebody, or again; what waits already still comes."""
        sender = sender_of(me)
        other = await self._other(sender, ask.userid)
        mailbox = self._delivery.mailbox(sender.id)
        blocked = mailbox.blocked
        if ask.block:
            if other.id not in blocked and len(blocked) >= self._settings.blocked_per_user:
                raise ChatError(Code.FORBIDDEN, "you block as many users as one may")
            await self._friends.block(sender.id, other.id)
            mailbox.block(mailbox.blocked | {other.id})
        else:
            await self._friends.unblock(sender.id, other.id)
            mailbox.block(mailbox.blocked - {other.id})
        if mailbox.blocked != blocked:
            await self._presence.visibility(sender.id, sender.name, other.id)
        return {}

    async def blocked(self, me: Peer, ask: ListBlocked) -> Fields:
        """Whom one blocks."""
        users = await self._friends.blocked(sender_of(me).id)
        fit, _ = fitting(map(_plain, users), self._settings.send_line_bound)
        return {"blocked": fit}

    # Lists

    async def friends(self, me: Peer, ask: ListFriends) -> Fields:
        """A page of friends."""
        sender = sender_of(me)
        friends, more = await self._friends.page(sender.id, ask.after, ask.limit)
        elsewhere = await self._delivery.online_elsewhere(friend.id for friend in friends)
        entries = (friend_entry(self._delivery, friend, elsewhere) for friend in friends)
        return self._page("friends", entries, more)

    async def requests(self, me: Peer, ask: ListRequests) -> Fields:
        """A page of the requests that wait for one's answer."""
        requests, more = await self._friends.requests(sender_of(me).id, ask.after, ask.limit)
        entries = (
            {"id": one.id, "name": one.name, "note": one.note, "time": written(one.asked)}
            for one in requests
        )
        return self._page("requests", entries, more)

    def _page(self, name: str, entries: Any, more: bool) -> Fields:
        fit, cut = fitting(entries, self._settings.send_line_bound)
        return {name: fit, "more": more or cut}

    async def find(self, me: Peer, ask: FindUser) -> Fields:
        """Look somebody up by id, or by the exact name."""
        if (ask.name is UNSET) == (ask.userid is UNSET):
            raise ChatError(Code.BAD_REQUEST, "either name or userid")
        if ask.userid is not UNSET:
            user = await self._users.user(ask.userid)
        else:
            assert ask.name is not UNSET
            user = await self._users.find(name_key(ask.name))
        if user is None:
            raise ChatError(Code.NO_SUCH_USER)
        return {"user": _plain(user)}

    # What all share

    async def _other(self, sender: Sender, user_id: int) -> User:
        """The other one; nobody befriends or blocks oneself.

        :raises ChatError: 103, 104.
        """
        if user_id == sender.id:
            raise ChatError(Code.FORBIDDEN, "that is you")
        user = await self._users.user(user_id)
        if user is None:
            raise ChatError(Code.NO_SUCH_USER)
        return user

    async def _entry(self, user: User, viewer: Sender) -> Fields:
        elsewhere = await self._delivery.online_elsewhere([user.id], viewer.id)
        state = state_word(self._delivery.shows(user.id, viewer.id) or user.id in elsewhere)
        return {"id": user.id, "name": user.name, "state": state}

    def _signal(self, sender: Sender, user_id: int, msgid: MsgId, fields: Fields) -> None:
        head = {"msgid": int(msgid), "id": sender.id, "name": sender.name}
        self._delivery.signal(sender.id, user_id, encode({**head, **fields}))


def friend_entry(delivery: Delivery, friend: Friend, elsewhere: Set[int]) -> Fields:
    """A friend as the friend's friends see one.

    :param elsewhere: who is online on other nodes.
    """
    online = not friend.hidden and (friend.id in delivery.online or friend.id in elsewhere)
    return {"id": friend.id, "name": friend.name, "state": state_word(online)}


def _plain(user: User) -> Fields:
    return {"id": user.id, "name": user.name}


def _no_request() -> ChatError:
    return ChatError(Code.FORBIDDEN, "this user has not asked")


def _too_many_friends() -> ChatError:
    return ChatError(Code.FORBIDDEN, "as many friends as one may have")
