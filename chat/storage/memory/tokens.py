"""Tokens and invitations, in memory."""

from __future__ import annotations

import builtins

import msgspec

from ...model import Account, Token
from ..times import micros, seconds
from ..tokens import MOST_TOKENS
from .tables import Ids, Tables, TokenRow, answered
from .users import MemoryUsers


class MemoryTokens:
    """See :class:`chat.interfaces.Tokens`."""

    def __init__(self, tables: Tables, users: MemoryUsers) -> None:
        self._tables = tables
        self._users = users
        self._ids = Ids()

    @answered
    def issue(
        self,
        user_id: int,
        digest: bytes,
        now: float,
        expires: float,
        address: str,
        password: str | None = None,
    ) -> int:
        user = self._tables.users.get(user_id)
        if password is not None and (user is None or user.password != password):
            return 0
        tokens = self._tables.tokens
        for old in [old for old, row in tokens.items() if row.token.expires < _rounded(now)]:
            del tokens[old]
        token = Token(self._ids.next(), _rounded(now), _rounded(now), _rounded(expires), address)
        tokens[digest] = TokenRow(user_id, token)
        kept = {token.id for token in self._of(user_id)[:MOST_TOKENS]}
        for old, row in list(tokens.items()):
            if row.user_id == user_id and row.token.id not in kept:
                del tokens[old]
        return token.id

    @answered
    def account(self, user_id: int, digest: bytes, now: float) -> tuple[Account, Token] | None:
        row = self._tables.tokens.get(digest)
        user = self._tables.users.get(user_id)
        if row is None or user is None or row.user_id != user_id:
            return None
        if row.token.expires <= _rounded(now):
            return None
        return self._users.account_of(user), row.token

    @answered
    def renew(self, digest: bytes, now: float, expires: float) -> None:
        row = self._tables.tokens.get(digest)
        if row is not None:
            row.token = msgspec.structs.replace(
                row.token, used=_rounded(now), expires=_rounded(expires)
            )

    @answered
    def list(self, user_id: int) -> list[Token]:
        return self._of(user_id)

    @answered
    def revoke(self, user_id: int, token_id: int) -> bool:
        for digest, row in self._tables.tokens.items():
            if row.user_id == user_id and row.token.id == token_id:
                del self._tables.tokens[digest]
                return True
        return False

    def _of(self, user_id: int) -> builtins.list[Token]:
        mine = [row.token for row in self._tables.tokens.values() if row.user_id == user_id]
        return sorted(mine, key=lambda token: (token.created, token.id), reverse=True)


class Invite(msgspec.Struct):
    """A row of ``invite``."""

    expires: float
    uses: int


class MemoryInvites:
    """See :class:`chat.interfaces.Invites`."""

    def __init__(self) -> None:
        self._invites: dict[bytes, Invite] = {}

    @answered
    def issue(self, digest: bytes, now: float, expires: float, uses: int) -> None:
        self._invites[digest] = Invite(_rounded(expires), uses)

    @answered
    def redeem(self, digest: bytes, now: float) -> bool:
        invite = self._invites.get(digest)
        if invite is None or invite.uses <= 0 or invite.expires <= _rounded(now):
            return False
        invite.uses -= 1
        return True


def _rounded(time: float) -> float:
    """As a column would keep it."""
    return seconds(micros(time))
