"""Storms, short enough for every run: each fault there is, in an order that a seed decides.

``FAULTS_SEED=N`` repeats the choices of a run that said ``seed N``; the moments are its own.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests import mariadb

from .storm import PEOPLE, SHOWN_BETWEEN, Storm, bounds, register, tell
from .world import ChatServer, Data, MariaData, SqliteData


class StormTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.seed = int(os.environ.get("FAULTS_SEED") or random.randrange(1_000_000))
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    async def storm(self, data: Data) -> None:
        """One round, with every fault there is, and a second time those that kill the server."""
        chance = random.Random(f"{self.seed} round")
        await data.open()
        server = ChatServer(self.folder, data, bounds(chance))
        try:
            await server.start()
            users = await register(server, PEOPLE)
            storm = Storm.of(server, users, self.seed)
            faults = list(storm.havoc.faults)
            faults += [name for name in faults if name.startswith("kill server")]
            chance.shuffle(faults)
            report = await storm.run(faults, tell)
        finally:
            server.end()
            await data.close()
        tell(str(report))
        self.assertTrue(report.verdict.good, f"{report}\n{report.verdict.examples()}")
        self.assertEqual(report.faults, Counter(faults))
        self.assertGreaterEqual(len(report.ledger.answers), SHOWN_BETWEEN * len(faults))

    def test_sqlite(self) -> None:
        asyncio.run(self.storm(SqliteData(self.folder)))

    def test_mariadb(self) -> None:
        server = mariadb.shared()
        self.addCleanup(server.start)
        asyncio.run(self.storm(MariaData(server)))
