"""The tables ``token`` and ``invite``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred

from ..model import Account, Token
from .dialects import Statements, marks
from .gathering import Gathering
from .sql import Database
from .times import micros, seconds
from .users import ACCOUNT, account_of

MOST_TOKENS = 20
"""How many a user has; the oldest beyond are dropped."""
EXPIRED_A_TIME = 100
"""How many tokens, of whomever, that have expired go when another is issued."""

_TOKEN = "token.id, token.created, token.used, token.expires, token.address"


_Login = tuple[int, bytes, float]
"""A user's id, a digest, and the time."""


def _logins(
    statements: Statements, asked: Sequence[_Login]
) -> list[tuple[Account, Token] | None]:
    found = {
        row[0]: (account_of(row[6:]), _token_of(row[1:6]))
        for row in statements.rows(
            f"SELECT token.digest, {_TOKEN}, {ACCOUNT} FROM token"
            f" JOIN user ON user.id = token.userid WHERE token.digest IN ({marks(len(asked))})",
            [digest for _, digest, _ in asked],
        )
    }
    answers: list[tuple[Account, Token] | None] = []
    for user_id, digest, now in asked:
        login = found.get(digest)
        valid = (
            login is not None and login[0].id == user_id and micros(login[1].expires) > micros(now)
        )
        answers.append(login if valid else None)
    return answers


class SqlTokens:
    """See :class:`chat.interfaces.Tokens`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._logins = Gathering(database, "token login", _logins)

    def issue(
        self,
        user_id: int,
        digest: bytes,
        now: float,
        expires: float,
        address: str,
        password: str | None = None,
    ) -> Deferred[int]:
        def work(statements: Statements) -> int:
            if password is not None:
                # Whoever changes it has to wait, and deletes this token then.
                statements.lock("user", user_id)
                kept = statements.row("SELECT password FROM user WHERE id = ?", (user_id,))
                if kept != (password,):
                    return 0
            statements.delete_oldest("token", "expires", micros(now), EXPIRED_A_TIME)
            # An attempt before this one may have come through.
            statements.change("DELETE FROM token WHERE digest = ?", (digest,))
            token_id = statements.insert(
                "INSERT INTO token (userid, digest, created, used, expires, address)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (user_id, digest, micros(now), micros(now), micros(expires), address),
            )
            beyond = statements.rows(
                "SELECT id FROM token WHERE userid = ? ORDER BY created DESC, id DESC"
                " LIMIT 100 OFFSET ?",
                (user_id, MOST_TOKENS),
            )
            if beyond:
                statements.delete_keys("token", ("id",), beyond)
            return token_id

        return self._database.write("issue token", work, again=True)

    def account(
        self, user_id: int, digest: bytes, now: float
    ) -> Deferred[tuple[Account, Token] | None]:
        return self._logins.ask((user_id, digest, now))

    def renew(self, digest: bytes, now: float, expires: float) -> Deferred[None]:
        def work(statements: Statements) -> None:
            statements.change(
                "UPDATE token SET used = ?, expires = ? WHERE digest = ?",
                (micros(now), micros(expires), digest),
            )

        return self._database.write("renew token", work, again=True)

    def list(self, user_id: int) -> Deferred[list[Token]]:
        def work(statements: Statements) -> list[Token]:
            rows = statements.rows(
                f"SELECT {_TOKEN} FROM token WHERE userid = ? ORDER BY created DESC, id DESC",
                (user_id,),
            )
            return [_token_of(row) for row in rows]

        return self._database.read("tokens", work)

    def revoke(self, user_id: int, token_id: int) -> Deferred[bool]:
        def work(statements: Statements) -> bool:
            sql = "DELETE FROM token WHERE id = ? AND userid = ?"
            return statements.change(sql, (token_id, user_id)) > 0

        return self._database.write("revoke token", work)


class SqlInvites:
    """See :class:`chat.interfaces.Invites`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def issue(self, digest: bytes, now: float, expires: float, uses: int) -> Deferred[None]:
        def work(statements: Statements) -> None:
            statements.change("DELETE FROM invite WHERE digest = ?", (digest,))
            statements.change(
                "INSERT INTO invite (digest, created, expires, uses) VALUES (?, ?, ?, ?)",
                (digest, micros(now), micros(expires), uses),
            )

        return self._database.write("issue invite", work, again=True)

    def redeem(self, digest: bytes, now: float) -> Deferred[bool]:
        def work(statements: Statements) -> bool:
            return (
                statements.change(
                    "UPDATE invite SET uses = uses - 1"
                    " WHERE digest = ? AND expires > ? AND uses > 0",
                    (digest, micros(now)),
                )
                > 0
            )

        return self._database.write("redeem invite", work)


def _token_of(row: Sequence[Any]) -> Token:
    token_id, created, used, expires, address = row
    return Token(token_id, seconds(created), seconds(used), seconds(expires), address)
