"""The rules of accounts: register, log in, log out."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any, Protocol

from msgspec import UNSET

from .credentials import Credentials, checked_password
from .delivery import Delivery, Peer, sender_of
from .errors import ChatError, Code, NameTaken, StoreAway
from .interfaces import Clock, Store
from .limits import Limits
from .mailbox import Mailbox, busy
from .messages import Login, LogOut, MsgId, Ping, Reg
from .model import Account
from .names import checked_name
from .roster import Logins, People
from .senders import Sender
from .standing import Standing
from .tokens import TokenLogins, digest_of
from .wire import encode


class Me(Peer, Protocol):
    """The session as the rules of accounts see it."""

    closed: bool
    standing: Standing
    token_id: int
    """The token by which it logged in or may the next time; 0: there is none."""

    def identify(self, sender: Sender, level: int, roster: Mapping[str, Any]) -> None:
        """The client is this user from now on; ``roster`` goes into the login's answer."""

    async def enter(self, mailbox: Mailbox) -> None:
        """Be the mailbox' receiver, and wait for its welcome, which answers the login.

        :raises ChatError: the mailbox could not be opened.
        """

    def forget(self) -> None:
        """Back to where one logs in."""

    def answered(self) -> Awaitable[None]:
        """Until every chat message before this request is answered."""


class Accounts:
    """Who people are, and that they are who they say."""

    def __init__(
        self,
        store: Store,
        credentials: Credentials,
        tokens: TokenLogins,
        delivery: Delivery,
        logins: Logins,
        limits: Limits,
        registration: str,
        clock: Clock,
    ) -> None:
        self._users = store.users
        self._invites = store.invites
        self._credentials = credentials
        self._tokens = tokens
        self._delivery = delivery
        self._logins = logins
        self._limits = limits
        self._registration = registration
        self._clock = clock

    async def register(self, me: Me, ask: Reg) -> None:
        """Make an account, if whoever asks may."""
        invite = self._invite(ask)
        name, key = checked_name(ask.name)
        password = checked_password(ask.password)
        # A name that is taken costs no hashing, and none of the registrations from that address.
        if await self._users.find(key) is not None:
            raise _name_taken()
        bucket = self._limits.registration(me.standing.origin or "", self._clock.monotonic())
        try:
            encoded = await self._credentials.new_hash(password)
        except BaseException:
            if bucket is not None:
                bucket.give_back()
            raise
        if invite is not None and not await self._invites.redeem(invite, self._clock.time()):
            raise _not_open("the invitation is not valid", "invite")
        try:
            user_id = await self._users.register(name, key, encoded)
        except NameTaken:
            raise _name_taken() from None
        me.answer(b'{"msgid":%d,"errno":0,"id":%d}' % (MsgId.REG_ACK, user_id))

    def _invite(self, ask: Reg) -> bytes | None:
        """What is kept of the invitation, where one is needed.

        :raises ChatError: 1, 100.
        """
        if self._registration == "open":
            return None
        if self._registration == "closed":
            raise _not_open("nobody can register here", "closed")
        if ask.invite is UNSET:
            raise _not_open("an invitation is needed", "invite")
        invite: Any = ask.invite
        if type(invite) is not str:
            raise ChatError(Code.BAD_REQUEST, "invite is not valid")
        return digest_of(invite)

    async def login(self, me: Me, ask: Login) -> None:
        """Log in, with what waits for the user in one step."""
        if me.sender is not None:
            raise ChatError(Code.FORBIDDEN, "already logged in on this connection")
        level = min(ask.proto, 2)
        takeover = level == 2 and ask.takeover
        if type(takeover) is not bool:
            raise ChatError(Code.BAD_REQUEST, "takeover is not valid")
        try:
            account, token, token_id = await self._credentials.login(me.standing, ask, level)
            # Both are looked up at the same time, and before anybody is taken over.
            self._delivery.mailbox(account.id)
            people = await self._logins.read(account.id, level)
            if me.closed:
                return
            await self._delivery.claim(account.id, me, takeover)
            try:
                await self._enter(me, account, level, people, token, token_id)
            except BaseException:
                self._delivery.release(account.id, me)
                me.forget()
                raise
        except StoreAway:
            raise busy() from None

    async def _enter(
        self, me: Me, account: Account, level: int, people: People, token: str, token_id: int
    ) -> None:
        if level >= 2 and not token:
            token, token_id = await self._tokens.issue(
                account.id, me.standing.host, account.password
            )
        if me.closed:
            self._delivery.release(account.id, me)
            return
        sender = self._delivery.sender(account.id, account.name, account.last_stamp)
        fields = self._logins.fields(account, level, people)
        me.identify(sender, level, {"token": token, **fields} if token else fields)
        me.token_id = token_id
        await me.enter(self._delivery.mailbox(account.id))
        self._delivery.came(sender)

    async def log_out(self, me: Me, ask: LogOut) -> Mapping[str, Any]:
        """The connection stays open and may log in again."""
        sender = sender_of(me, ask.id)
        await me.answered()
        self._delivery.release(sender.id, me)
        me.forget()
        return {}

    def ping(self, me: Me, ask: Ping) -> None:
        """Answered, before login too."""
        if ask.cid is UNSET:
            me.answer(b'{"msgid":14}')
        else:
            me.answer(b'{"msgid":14,"cid":%b}' % encode(ask.cid))


def _not_open(text: str, registration: str) -> ChatError:
    """It is not the name: not everybody may register here."""
    return ChatError(Code.REFUSED, text, fields={"registration": registration})


def _name_taken() -> ChatError:
    return ChatError(Code.REFUSED, "the name is taken")
