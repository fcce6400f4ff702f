"""Nodes under test: several stores of one database stand for several of them.

No test waits for a lease to end: one that is renewed for no time has ended.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, TypeVar

from twisted.internet.defer import DeferredList, ensureDeferred

from chat.cluster import Members
from chat.errors import StoreAway
from chat.storage import sql
from chat.storage.store import SqlStore

from .support import OverAStore

T = TypeVar("T")
LONG = 3600.0
"""Seconds of a lease that does not end."""


async def together(*asked: Awaitable[T]) -> list[T]:
    """What is asked at the same time, answered."""

    async def one(it: Awaitable[T]) -> T:
        return await it

    answers: list[tuple[bool, Any]] = await DeferredList(
        [ensureDeferred(one(it)) for it in asked], fireOnOneErrback=True
    )
    return [answer for _, answer in answers]


class NodesCase(OverAStore):
    """A contract of nodes and claims."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        # Two stores of one SQLite file wait for each other.
        self.patch(sql, "PATIENCE", 60.0)
        await super().setUp()

    @property
    def members(self) -> Members:
        return self.store.members

    async def end(self, node: int) -> None:
        """The lease of a node ends."""
        await self.members.renew(node, 0.0, {})

    async def refused(self, user_id: int, node: int, after: int = 0) -> None:
        """The node cannot claim the user."""
        with self.assertRaises(StoreAway):
            await self.members.claim(user_id, node, after)


class OverSql(NodesCase):
    """What can be seen in the tables as well."""

    async def rows(self, sql: str) -> list[Any]:
        assert isinstance(self.store, SqlStore)
        return await self.store.database.read("look", lambda statements: statements.rows(sql))

    async def change(self, sql: str) -> None:
        assert isinstance(self.store, SqlStore)
        await self.store.database.write("change", lambda statements: statements.change(sql))

    async def online_users(self) -> list[int]:
        """Whom other programs see online."""
        rows = await self.rows("SELECT id FROM user WHERE state = 'online' ORDER BY id")
        return [user_id for (user_id,) in rows]
