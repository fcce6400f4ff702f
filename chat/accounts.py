"""The rules of accounts: register, log in, log out."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any, Protocol

from msgspec import UNSET

from .delivery import Delivery, Peer, sender_of
from .errors import INVALID_LOGIN, ChatError, Code, NameTaken, StoreAway
from .interfaces import Users
from .mailbox import Mailbox, busy
from .messages import Login, LogOut, MsgId, Ping, Reg
from .model import Account, Roster
from .names import checked_name
from .roster import Logins
from .senders import Sender
from .wire import encode

PASSWORD_BYTES = 1024


class Passwords(Protocol):
    """Hashing, off the reactor's thread; raises 107 when too much of it waits."""

    def hash(self, password: str) -> Awaitable[str]:
        """The encoded hash."""

    def verify(self, encoded: str | None, password: str) -> Awaitable[bool]:
        """Whether it fits; None stands for an unknown user, and costs the same."""


class Me(Peer, Protocol):
    """The session as the rules of accounts see it."""

    closed: bool
    address: str

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


def checked_password(password: str) -> str:
    """A password within its bounds.

    :raises ChatError: 100.
    """
    if not 1 <= len(password.encode()) <= PASSWORD_BYTES:
        raise ChatError(Code.BAD_REQUEST, f"a password has 1 to {PASSWORD_BYTES} bytes")
    return password


class Accounts:
    """Who people are, and that they are who they say."""

    def __init__(
        self, users: Users, passwords: Passwords, delivery: Delivery, logins: Logins
    ) -> None:
        self._users = users
        self._logins = logins
        self._passwords = passwords
        self._delivery = delivery

    async def register(self, me: Me, ask: Reg) -> None:
        """Make an account."""
        name, key = checked_name(ask.name)
        encoded = await self._passwords.hash(checked_password(ask.password))
        try:
            user_id = await self._users.register(name, key, encoded)
        except NameTaken:
            raise ChatError(Code.REFUSED, "the name is taken") from None
        except StoreAway:
            raise busy() from None
        me.answer(b'{"msgid":%d,"errno":0,"id":%d}' % (MsgId.REG_ACK, user_id))

    async def login(self, me: Me, ask: Login) -> None:
        """Log in, with what waits for the user in one step."""
        if me.sender is not None:
            raise ChatError(Code.FORBIDDEN, "already logged in on this connection")
        level = min(ask.proto, 2)
        takeover = level == 2 and ask.takeover
        if type(takeover) is not bool:
            raise ChatError(Code.BAD_REQUEST, "takeover is not valid")
        try:
            account = await self._authenticate(ask)
            # Both are looked up at the same time, and before anybody is taken over.
            self._delivery.mailbox(account.id)
            roster = await self._logins.read(account.id, level)
            if me.closed:
                return
            await self._delivery.claim(account.id, me, takeover)
            try:
                await self._enter(me, account, level, roster)
            except BaseException:
                self._delivery.release(account.id, me)
                me.forget()
                raise
        except StoreAway:
            raise busy() from None

    async def _authenticate(self, ask: Login) -> Account:
        if ask.password is UNSET:
            raise ChatError(Code.BAD_REQUEST, "password is missing")
        account = await self._users.account(ask.id)
        encoded = None if account is None else account.password
        fits = await self._passwords.verify(encoded, ask.password)
        if account is None or not fits or account.disabled:
            raise ChatError(Code.REFUSED, INVALID_LOGIN)
        return account

    async def _enter(self, me: Me, account: Account, level: int, roster: Roster) -> None:
        if me.closed:
            self._delivery.release(account.id, me)
            return
        sender = self._delivery.sender(account.id, account.name, account.last_stamp)
        me.identify(sender, level, self._logins.fields(account, level, roster))
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
