"""A store whose MariaDB a test may break."""

from __future__ import annotations

import threading
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import DeferredList
from twisted.trial.unittest import TestCase

from chat.errors import StoreAway
from chat.model import Kept
from chat.storage import mysql, open_store
from chat.storage.store import SqlStore

from ..mariadb import MariaDB, shared


class FaultCase(TestCase):
    """A store on a MariaDB that is sound again after each test."""

    server: MariaDB
    store: SqlStore

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        self.server = shared()
        self.addCleanup(self.server.start)
        self.url = self.server.emptied()
        self.store = await self.opened(self.url)

    async def opened(self, url: str) -> SqlStore:
        store = open_store(url, reactor)
        assert isinstance(store, SqlStore)
        await store.open()
        self.addCleanup(store.close)
        return store

    async def everything(self, recipient: int) -> list[Kept]:
        rows, _ = await self.store.offline.page(recipient, (0, 0), 100_000, 1 << 30)
        return rows

    async def away(self, answer: Any) -> StoreAway:
        """What a call that must fail for want of the store says."""
        with self.assertRaises(StoreAway) as raised:
            await answer
        away: StoreAway = raised.exception
        return away

    def repeats(self) -> int:
        return sum(figures.repeats for figures in self.store.database.figures.values())

    async def warm(self) -> None:
        """Have every thread connected."""
        gate = threading.Barrier(mysql.Mysql.threads)
        await DeferredList(
            [
                self.store.database.read("warm", lambda _: gate.wait(100))
                for _ in range(mysql.Mysql.threads)
            ],
            fireOnOneErrback=True,
        )
