"""The table ``node``, and what its rows and those of ``claim`` say together.

Each statement is a transaction of its own wherever it can be: a server that is stopped for half a
minute must not keep rows locked that the others need just then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.python.failure import Failure

from ..cluster import Claim, Renewal
from ..errors import StoreAway
from ..model import User
from .claims import Asked, claim_all, online_all, release_all, users_here
from .dialects import IDS_A_STATEMENT, Statements, Trouble, marks
from .gathering import Gathering
from .sql import Database
from .times import micros

REAPED_A_CALL = 5000
"""Users whom one call of ``reap`` takes from ended memberships, more or less."""
ENDED_KEPT = 3600.0
"""Seconds that an ended membership's row is kept: a server that was stopped in the middle of a
claim finishes it when it wakes, and that user is to be found as well."""


class SqlMembers:
    """See :class:`chat.cluster.Members`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._claims = Gathering(database, "claim", claim_all, steps=True)
        self._releases = Gathering(database, "release", release_all, steps=True)
        self._lookups = Gathering(database, "online", online_all)
        self._unknown: set[int] = set()
        """Users whose claim may have been written, though who asked was told that it failed."""

    def join(self, name: str, seconds: float) -> Deferred[int]:
        def work(statements: Statements) -> int:
            clock = statements.dialect.clock
            while True:
                statements.change(
                    f"UPDATE node SET name = NULL, expires = {clock} WHERE name = ?", (name,)
                )
                try:
                    return statements.insert(
                        f"INSERT INTO node (name, expires) VALUES (?, {clock} + ?)",
                        (name, micros(seconds)),
                    )
                except statements.dialect.error as error:
                    # Another one of this name was between the two.
                    if statements.dialect.trouble(error) is not Trouble.DUPLICATE:
                        raise

        return self._database.steps("join", work)

    def renew(self, node: int, seconds: float, claims: Mapping[int, int]) -> Deferred[Renewal]:
        thought = dict(claims)
        unknown = set(self._unknown)

        def work(statements: Statements) -> tuple[Renewal, dict[int, int]]:
            clock = statements.dialect.clock
            statements.change(
                f"UPDATE node SET expires = {clock} + ? WHERE id = ? AND expires > {clock}",
                (micros(seconds), node),
            )
            members: dict[int, str] = dict(
                statements.rows(f"SELECT id, name FROM node WHERE expires > {clock} ORDER BY name")
            )
            held = members.pop(node, None) is not None
            there: dict[int, int] = {}
            if held:
                there.update(
                    statements.rows("SELECT userid, epoch FROM claim WHERE node = ?", (node,))
                )
            lost = [user_id for user_id, epoch in thought.items() if there.get(user_id) != epoch]
            strays = {user_id: there[user_id] for user_id in unknown & there.keys()}
            return Renewal(held, lost, list(members.values())), strays

        def settle(result: tuple[Renewal, dict[int, int]]) -> Renewal:
            renewal, strays = result
            # Not those who are claimed again at this moment.
            strays = {user_id: strays[user_id] for user_id in strays.keys() & self._unknown}
            if strays:
                # If it fails, the next renewal finds them again.
                self.release(node, strays).addErrback(lambda failure: failure.trap(StoreAway))
            if not renewal.held:
                self._unknown.clear()
            return renewal

        return self._database.steps("renew", work).addCallback(settle)

    def leave(self, node: int) -> Deferred[None]:
        def work(statements: Statements) -> None:
            clock = statements.dialect.clock
            statements.change(
                f"UPDATE node SET expires = {clock} WHERE id = ? AND expires > {clock}", (node,)
            )

        return self._database.steps("leave", work)

    def claim(self, user_id: int, node: int, after: int = 0) -> Deferred[Claim]:
        def failed(failure: Failure) -> Failure:
            if isinstance(failure.value, StoreAway) and failure.value.unknown:
                self._unknown.add(user_id)
            return failure

        def answer(claim: Claim | None) -> Claim:
            self._unknown.discard(user_id)
            if claim is None:
                raise StoreAway(
                    "this node has no lease any more, or too many claim this user", unknown=False
                )
            return claim

        self._unknown.discard(user_id)
        return self._claims.ask(Asked(user_id, node, after)).addCallbacks(answer, failed)

    def release(self, node: int, epochs: Mapping[int, int]) -> Deferred[None]:
        return self._releases.ask((node, dict(epochs)))

    def online(self, users: Sequence[int], viewer: int = 0) -> Deferred[set[int]]:
        return self._lookups.ask((tuple(users), viewer))

    def reap(self) -> Deferred[list[User]]:
        return ensureDeferred(self._reap())

    async def _reap(self) -> list[User]:
        users: list[User] = []
        more = True
        while more and len(users) < REAPED_A_CALL:
            # A portion of them at a time: their logins elsewhere wait for it.
            reaping = _Reaping()
            try:
                more = await self._database.write("reap", reaping.some, again=True)
            except StoreAway:
                if not users:
                    raise
                break
            users += reaping.users.values()
        return users


class _Reaping:
    """One transaction of ``reap``, and the next attempts at it."""

    def __init__(self) -> None:
        self.users: dict[int, User] = {}

    def some(self, statements: Statements) -> bool:
        """Take some users, if there are any; whether there may be more."""
        # An attempt whose commit was not answered may have taken them; some have come back since.
        for user_id in users_here(statements, self.users):
            del self.users[user_id]
        clock = statements.dialect.clock
        rows = statements.rows(
            f"SELECT id, expires <= {clock} - ? FROM node WHERE expires <= {clock}",
            (micros(ENDED_KEPT),),
        )
        if not rows:
            return False
        nodes = [node for node, _ in rows]
        ended = marks(len(nodes))
        users = [
            user_id
            for (user_id,) in statements.rows(
                f"SELECT userid FROM claim WHERE node IN ({ended}) LIMIT {IDS_A_STATEMENT}", nodes
            )
        ]
        if not users:
            statements.delete_keys("node", ("id",), [(node,) for node, old in rows if old])
            return False
        # Not those whom another one takes at the same time, or who are somewhere else by now.
        taken = [
            user_id
            for (user_id,) in statements.rows(
                f"SELECT userid FROM claim WHERE userid IN ({marks(len(users))})"
                f" AND node + 0 IN ({ended}) ORDER BY userid{statements.dialect.for_update}",
                (*sorted(users), *nodes),
            )
        ]
        if taken:
            some = marks(len(taken))
            statements.change(f"UPDATE claim SET node = 0 WHERE userid IN ({some})", taken)
            statements.change(f"UPDATE user SET state = 'offline' WHERE id IN ({some})", taken)
            names = statements.rows(f"SELECT id, name FROM user WHERE id IN ({some})", taken)
            self.users.update((user_id, User(user_id, name)) for user_id, name in names)
        return True
