"""Everything that can be asked of the server beside sending messages; ``docs/protocol.md`` has it.

All methods return a Deferred.  It fails with :class:`~chat.client.errors.Refused` when the server
says no, with :class:`~chat.client.errors.NotOnline` when there is no connection, and with
:class:`~chat.client.errors.Disconnected` when it ends before the answer.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from .. import messages
from ..errors import Code
from .results import (
    Conversation,
    Friend,
    FriendRequest,
    Group,
    HistoryPage,
    Member,
    Record,
    Token,
    User,
)

T = TypeVar("T")
R = TypeVar("R", bound=User | Group)

PAGE = 500
"""Entries asked for at a time."""


class _Nothing(Record, frozen=True):
    pass


class _Friend(Record, frozen=True):
    friend: Friend | None = None


class _GroupId(Record, frozen=True):
    groupid: int


class _Group(Record, frozen=True):
    group: Group


class _Asked(Record, frozen=True):
    friends: bool = False


class _User(Record, frozen=True):
    user: User


class _Blocked(Record, frozen=True):
    blocked: list[User]


class _Conversations(Record, frozen=True):
    conversations: list[Conversation]
    more: bool = False


class _NewToken(Record, frozen=True):
    token: str = ""


class _Tokens(Record, frozen=True):
    tokens: list[Token]


class _Deleted(Record, frozen=True):
    deleted: dict[str, int] = msgspec.field(default_factory=dict)


class _Page(Record, frozen=True):
    friends: tuple[Friend, ...] = ()
    requests: tuple[FriendRequest, ...] = ()
    groups: tuple[Group, ...] = ()
    members: tuple[Member, ...] = ()
    more: bool = False


class Requests:
    """The requests as methods."""

    @abstractmethod
    def ask(self, request: messages.Request, answer: type[T]) -> Deferred[T]:
        """Send a request; its answer, decoded as ``answer``."""

    # Friends

    def add_friend(self, friendid: int) -> Deferred[Friend | None]:
        """Make ``friendid`` a friend at once, in one direction, as in the original."""
        return self.ask(messages.AddFriend(friendid=friendid), _Friend).addCallback(
            lambda answer: answer.friend
        )

    def ask_friend(self, friendid: int, note: str = "") -> Deferred[bool]:
        """Ask to be friends; True: the other had asked too, so now you are."""
        return self.ask(messages.AskFriend(friendid=friendid, note=note), _Asked).addCallback(
            lambda answer: answer.friends
        )

    def answer_friend(self, friendid: int, accept: bool) -> Deferred[Friend | None]:
        """Accept or decline; the friend, when accepted."""
        return self.ask(
            messages.AnswerFriend(friendid=friendid, accept=accept), _Friend
        ).addCallback(lambda answer: answer.friend)

    def remove_friend(self, friendid: int) -> Deferred[None]:
        """End a friendship, for both."""
        return self._do(messages.RemoveFriend(friendid=friendid))

    def friends(self) -> Deferred[list[Friend]]:
        """All friends, by id."""
        return self._all(lambda after: messages.ListFriends(after=after, limit=PAGE), "friends")

    def friend_requests(self) -> Deferred[list[FriendRequest]]:
        """All who wait for one's answer, by id."""
        return self._all(lambda after: messages.ListRequests(after=after, limit=PAGE), "requests")

    def block(self, userid: int, block: bool = True) -> Deferred[None]:
        """Get nothing more from that user; ``False`` takes it back."""
        return self._do(messages.Block(userid=userid, block=block))

    def blocked(self) -> Deferred[list[User]]:
        """Whom one blocks."""
        return self.ask(messages.ListBlocked(), _Blocked).addCallback(lambda answer: answer.blocked)

    def find_user(self, name: str) -> Deferred[User | None]:
        """The user of this name; None: there is none."""
        return self._find(messages.FindUser(name=name))

    def user(self, userid: int) -> Deferred[User | None]:
        """The user of this id; None: there is none."""
        return self._find(messages.FindUser(userid=userid))

    # Groups

    def create_group(self, groupname: str, groupdesc: str = "") -> Deferred[int]:
        """Make a group; its id."""
        return self.ask(
            messages.CreateGroup(groupname=groupname, groupdesc=groupdesc), _GroupId
        ).addCallback(lambda answer: answer.groupid)

    def join_group(self, groupid: int) -> Deferred[Group]:
        """Become a member."""
        return self.ask(messages.AddGroup(groupid=groupid), _Group).addCallback(
            lambda answer: answer.group
        )

    def leave_group(self, groupid: int) -> Deferred[None]:
        """Cease to be a member."""
        return self._do(messages.LeaveGroup(groupid=groupid))

    def remove_member(self, groupid: int, userid: int) -> Deferred[None]:
        """Put somebody out; for the creator."""
        return self._do(messages.RemoveMember(groupid=groupid, userid=userid))

    def hand_over(self, groupid: int, userid: int) -> Deferred[None]:
        """Make another member the creator; for the creator."""
        return self._do(messages.HandOver(groupid=groupid, userid=userid))

    def groups(self) -> Deferred[list[Group]]:
        """All groups one is in, by id."""
        return self._all(lambda after: messages.ListGroups(after=after, limit=PAGE), "groups")

    def members(self, groupid: int) -> Deferred[list[Member]]:
        """All members of a group one is in, by id."""
        return self._all(
            lambda after: messages.ListMembers(groupid=groupid, after=after, limit=PAGE),
            "members",
        )

    # What was said, and what is going on

    def history(
        self, toid: int | None = None, *, groupid: int | None = None, before: int = 0,
        limit: int = 50,
    ) -> Deferred[HistoryPage]:  # fmt: skip
        """A page, newest first, of what was said with a user or in a group.

        :param before: 0 for the newest page, then :attr:`HistoryPage.before` of the last one.
        :param limit: 1 to 500 messages.
        """
        return self.ask(
            messages.AskHistory(
                toid=UNSET if toid is None else toid,
                groupid=UNSET if groupid is None else groupid,
                before=before,
                limit=limit,
            ),
            HistoryPage,
        )

    def conversations(self, limit: int = 100) -> Deferred[list[Conversation]]:
        """With whom one talked last, the newest first."""

        async def pages() -> list[Conversation]:
            found: list[Conversation] = []
            while len(found) < limit:
                before = found[-1].last.stamp if found else 0
                left = min(limit - len(found), PAGE)
                ask = messages.ListConversations(before=before, limit=left)
                page = await self.ask(ask, _Conversations)
                found += page.conversations
                if not page.more or not page.conversations:
                    break
            return found

        return Deferred.fromCoroutine(pages())

    def typing(
        self, toid: int | None = None, *, groupid: int | None = None, typing: bool = True
    ) -> None:
        """Tell the other side that one types.  A hint: nothing is told when it fails."""
        self._hint(
            messages.Typing(
                toid=UNSET if toid is None else toid,
                groupid=UNSET if groupid is None else groupid,
                typing=typing,
            )
        )

    def read(self, upto: str, toid: int | None = None, *, groupid: int | None = None) -> None:
        """Tell that all is read up to the message whose cid is ``upto``.  A hint as well."""
        self._hint(
            messages.Read(
                upto=upto,
                toid=UNSET if toid is None else toid,
                groupid=UNSET if groupid is None else groupid,
            )
        )

    # The account

    def change_password(self, password: str, newpassword: str) -> Deferred[str]:
        """Change it; a new token, as the old ones are gone."""
        return self.ask(
            messages.ChangePassword(password=password, newpassword=newpassword), _NewToken
        ).addCallback(lambda answer: answer.token)

    def tokens(self) -> Deferred[list[Token]]:
        """Where one stays logged in."""
        return self.ask(messages.ListTokens(), _Tokens).addCallback(lambda answer: answer.tokens)

    def revoke(self, token: int) -> Deferred[None]:
        """End one of them, by the id that :meth:`tokens` gives."""
        return self._do(messages.Revoke(token=token))

    def delete_account(self, password: str) -> Deferred[dict[str, int]]:
        """Delete the account; what was deleted, with counts."""
        return self.ask(messages.DeleteAccount(password=password), _Deleted).addCallback(
            lambda answer: answer.deleted
        )

    def _do(self, request: messages.Request) -> Deferred[None]:
        return self.ask(request, _Nothing).addCallback(lambda answer: None)

    def _hint(self, request: messages.Request) -> None:
        self._do(request).addErrback(lambda failure: None)

    def _find(self, request: messages.FindUser) -> Deferred[User | None]:
        def nobody(failure: Failure) -> None:
            if getattr(failure.value, "code", None) != Code.NO_SUCH_USER:
                failure.raiseException()

        asked: Deferred[User | None] = self.ask(request, _User).addCallback(
            lambda answer: answer.user
        )
        return asked.addErrback(nobody)

    def _all(self, request: Callable[[int], messages.Request], field: str) -> Deferred[list[Any]]:
        async def pages() -> list[Any]:
            found: list[Any] = []
            while True:
                page = await self.ask(request(found[-1].id if found else 0), _Page)
                entries = getattr(page, field)
                found += entries
                if not page.more or not entries:
                    return found

        return Deferred.fromCoroutine(pages())
