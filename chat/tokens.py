"""Secrets that the server makes and afterwards only recognises: tokens, invitations.

What is kept is their SHA-256: they are random enough that nobody finds one from it, and looking one
up costs no password hashing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Coroutine
from contextlib import suppress
from hashlib import sha256
from typing import Any

from . import interfaces
from .errors import INVALID_LOGIN, ChatError, Code, StoreAway
from .interfaces import Clock
from .model import Account, Token

RANDOM_BYTES = 32

LIFETIME_SECONDS = 14 * 86_400.0
"""How long a token logs in, from its last renewal."""

RENEWAL_SECONDS = 86_400.0
"""A token that is used is renewed when the last renewal is as old."""


def new_secret() -> str:
    """A secret for somebody, in letters, digits, ``-`` and ``_``."""
    return secrets.token_urlsafe(RANDOM_BYTES)


def digest_of(secret: str) -> bytes:
    """What is kept of a secret."""
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()


class TokenLogins:
    """Logins without a password: one interaction each, and a write once a day.

    :param spawn: runs a coroutine, and logs what it raises.
    """

    def __init__(
        self,
        tokens: interfaces.Tokens,
        clock: Clock,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._tokens = tokens
        self._clock = clock
        self._spawn = spawn

    async def issue(self, user_id: int, address: str, password: str) -> tuple[str, int]:
        """A new token for this user, and its id.

        :param address: from where it was asked for, to be shown to its owner.
        :param password: the hash of who asked; if it is another one by now, that was too late.
        :raises ChatError: 1.
        """
        secret = new_secret()
        now = self._clock.time()
        token_id = await self._tokens.issue(
            user_id, digest_of(secret), now, now + LIFETIME_SECONDS, address, password
        )
        if not token_id:
            raise ChatError(Code.REFUSED, INVALID_LOGIN)
        return secret, token_id

    async def account(self, user_id: int, secret: str) -> tuple[Account, Token] | None:
        """Whose token this is, if it is this user's and has not expired."""
        digest = digest_of(secret)
        now = self._clock.time()
        found = await self._tokens.account(user_id, digest, now)
        if found is not None and now - found[1].used >= RENEWAL_SECONDS:
            self._spawn(self._renew(digest, now))
        return found

    async def _renew(self, digest: bytes, now: float) -> None:
        with suppress(StoreAway):  # the next login tries again
            await self._tokens.renew(digest, now, now + LIFETIME_SECONDS)
