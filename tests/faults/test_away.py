"""The store is away, in each way it can be: who is online does not notice, the others are told to
come again, nothing piles up, and all goes on by itself when it is back."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests import mariadb

from .ledger import Ledger, judge
from .scripted import Scripted
from .storm import register
from .world import PATIENCE, ChatServer, Data, MariaData, SqliteData

PATIENT = float(os.environ.get("FAULTS_AWAY_SECONDS", "1"))
"""Seconds for which the store is away; 60 is worth a try by hand."""
MANY = 400
"""Messages for somebody who is away, said while they cannot be stored."""
FLIGHT = 20
SIZE = 60_000
GROWTH = 12 << 20
"""Bytes by which the server may grow with them; they have more than twice as many."""
FULL = 128 << 10
"""The bytes of a file that fills its disk: there is room for the log, and for no more messages."""

OPTIONS = (
    "--no-limits", "--hashing-threads=1", "--status=none",
    "--store-patience-seconds=0.5",
    "--keep-after-seconds=30",  # however long bob's acknowledgements take
)  # fmt: skip

Act = Callable[[], Awaitable[None]]


class AwayTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.ledger = Ledger()

    async def outage(self, data: Data, away: Callable[[ChatServer], tuple[Act, Act]]) -> None:
        """Ann and bob talk, eve is away and is written to, while the store is away; later what was
        refused is said again, and eve gets all of it."""
        await data.open()
        server = ChatServer(self.folder, data, OPTIONS)
        try:
            await server.start()
            ids = await register(server, 3)
            ann, bob, eve = (Scripted(server.port, user_id, self.ledger) for user_id in ids)
            await ann.enter()
            await bob.enter()
            await ann.say(eve.id, 1)
            await ann.answers()
            await ann.say_again(1)  # on a slow machine it is not stored in time at once
            self.assertEqual(ann.states, {"stored": 1})
            ann.size = SIZE
            begin, end = away(server)
            await begin()
            try:
                await self._while_away(server, ann, bob, eve)
            finally:
                await end()
            await ann.say_again(FLIGHT)
            await eve.enter()
            while server.data.rows():
                await eve.read_for(0.1)
                await eve.acknowledge()
        finally:
            server.end()
            await data.close()
        verdict = judge(self.ledger)
        self.assertTrue(verdict.good, f"{verdict}\n{verdict.examples()}")
        self.assertEqual(server.mistakes(), [])

    async def _while_away(
        self, server: ChatServer, ann: Scripted, bob: Scripted, eve: Scripted
    ) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENT
        before = server.forget_peak()
        # Some, with which the server finds out; the others one behind the other.
        for count in (FLIGHT, MANY - FLIGHT):
            await ann.say(eve.id, count)
            await ann.answers()
        self.assertEqual(len(ann.busy), MANY)
        self.assertTrue(all(answer["retry_after"] > 0 for answer in ann.busy))
        self.assertLess(server.peak() - before, GROWTH)
        ann.states.clear()
        said = 0
        while said < 100 or loop.time() < until:
            await ann.say(bob.id, 1)
            await bob.take(bob.pushed + 1)
            await bob.acknowledge()
            await ann.answers()
            said += 1
        self.assertEqual(ann.states, {"delivered": said})

    def run_outage(self, data: Data, away: Callable[[ChatServer], tuple[Act, Act]]) -> None:
        """All of it, within its time."""
        asyncio.run(asyncio.wait_for(self.outage(data, away), 5 * PATIENCE + PATIENT))

    # SQLite

    def test_disk_is_full(self) -> None:
        data = SqliteData(self.folder)

        def away(server: ChatServer) -> tuple[Act, Act]:
            async def fill() -> None:
                server.bound_files(FULL)

            async def clear() -> None:
                server.bound_files()

            return fill, clear

        self.run_outage(data, away)

    def test_file_is_locked(self) -> None:
        """By another program, for as long."""
        data = SqliteData(self.folder)

        def away(server: ChatServer) -> tuple[Act, Act]:
            other = data.connect()

            async def lock() -> None:
                other.execute("BEGIN IMMEDIATE")

            async def unlock() -> None:
                other.execute("ROLLBACK")
                other.close()

            return lock, unlock

        self.run_outage(data, away)

    # MariaDB

    def maria(self) -> MariaData:
        """A database, whose server runs again at the end."""
        server = mariadb.shared()
        self.addCleanup(server.start)
        return MariaData(server)

    def test_mariadb_hangs(self) -> None:
        data = self.maria()

        def away(server: ChatServer) -> tuple[Act, Act]:
            async def stop() -> None:
                data.server.stop()

            return stop, data.start

        self.run_outage(data, away)

    def test_mariadb_is_dead(self) -> None:
        data = self.maria()

        def away(server: ChatServer) -> tuple[Act, Act]:
            async def kill() -> None:
                data.server.kill()

            return kill, data.start

        self.run_outage(data, away)

    def test_mariadb_is_read_only(self) -> None:
        data = self.maria()
        self.addCleanup(data.server.ask, "SET GLOBAL read_only = 0")

        def away(server: ChatServer) -> tuple[Act, Act]:
            async def forbid() -> None:
                data.server.ask("SET GLOBAL read_only = 1")

            async def allow() -> None:
                data.server.ask("SET GLOBAL read_only = 0")

            return forbid, allow

        self.run_outage(data, away)
