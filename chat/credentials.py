"""Who is whom: a password or a token is looked at, and guessing has its bounds."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Protocol

from msgspec import UNSET

from .errors import INVALID_LOGIN, ChatError, Code
from .interfaces import Clock, Users
from .limits import Limits
from .messages import Login
from .model import Account
from .standing import Standing
from .tokens import TokenLogins

PASSWORD_BYTES = 1024


class Passwords(Protocol):
    """Hashing, off the reactor's thread; raises 107 when too much of it waits."""

    def hash(self, password: str) -> Awaitable[str]:
        """The encoded hash."""

    def verify(self, encoded: str | None, password: str) -> Awaitable[bool]:
        """Whether it fits; None stands for an unknown user, and costs the same."""


def checked_password(password: str) -> str:
    """A password within its bounds.

    :raises ChatError: 100.
    """
    if not 1 <= len(password.encode("utf-8", "surrogatepass")) <= PASSWORD_BYTES:
        raise ChatError(Code.BAD_REQUEST, f"a password has 1 to {PASSWORD_BYTES} bytes")
    return password


class Credentials:
    """Looks at passwords and tokens."""

    def __init__(
        self,
        users: Users,
        passwords: Passwords,
        tokens: TokenLogins,
        limits: Limits,
        clock: Clock,
    ) -> None:
        self._users = users
        self._passwords = passwords
        self._tokens = tokens
        self._guesses = limits.guesses
        self._clock = clock

    async def login(self, whence: Standing, ask: Login, level: int) -> tuple[Account, str, int]:
        """Who logs in; and the token by which it did, and that one's id, or nothing and 0.

        Where there are a token and a password, the password counts if the token does not fit.

        :raises ChatError: 1, 100, 107.
        """
        if level >= 2 and ask.token is not UNSET:
            token: Any = ask.token
            if type(token) is not str:
                raise ChatError(Code.BAD_REQUEST, "token is not valid")
            found = await self._by_token(whence, ask.id, token)
            if found is not None:
                account, token_id = found
                return account, token, token_id
            if ask.password is UNSET:
                raise ChatError(Code.REFUSED, INVALID_LOGIN)
        if ask.password is UNSET:
            raise ChatError(Code.BAD_REQUEST, "password is missing")
        return await self.by_password(whence, ask.id, ask.password), "", 0

    async def _by_token(
        self, whence: Standing, user_id: int, token: str
    ) -> tuple[Account, int] | None:
        origin = whence.origin or ""
        guess = self._guesses.begin(user_id, origin, self._clock.monotonic(), token=True)
        try:
            found = await self._tokens.account(user_id, token)
        except BaseException:
            guess.void()
            raise
        if found is None or found[0].disabled:
            return None
        guess.right()
        return found[0], found[1].id

    async def by_password(self, whence: Standing, user_id: int, password: str) -> Account:
        """The user's account, if this is its password; an unknown one takes as long.

        :raises ChatError: 1, or 107 before anything is hashed.
        """
        guess = self._guesses.begin(user_id, whence.origin or "", self._clock.monotonic())
        try:
            account = await self._users.account(user_id)
            encoded = None if account is None else account.password
            fits = await self._passwords.verify(encoded, password)
        except BaseException:
            guess.void()
            raise
        if account is None or not fits or account.disabled:
            guess.wrong(self._clock.monotonic())
            raise ChatError(Code.REFUSED, INVALID_LOGIN)
        guess.right()
        return account

    def new_hash(self, password: str) -> Awaitable[str]:
        """What is to be kept of a new password.

        :raises ChatError: 100, 107.
        """
        return self._passwords.hash(checked_password(password))
