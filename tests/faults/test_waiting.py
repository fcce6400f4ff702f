"""Ten thousand messages wait for somebody who takes them badly, and memory stays flat."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from .ledger import Ledger, judge
from .scripted import Scripted
from .storm import register
from .world import PATIENCE, ChatServer, SqliteData

WAITING = 10_000
SIZE = 4000
GROWTH = 16 << 20
"""Bytes by which the server may grow; what waits has more than twice as many."""
WINDOW = 256
PAGE = 100
FLIGHT = 500
SETTLES = 0.5
"""Seconds that a server is given to push more than it should."""

OPTIONS = (
    "--no-limits", "--hashing-threads=1", "--status=none",
    "--window-bytes=4194304", "--page-bytes=4194304",  # so that the numbers above are the bounds
    "--store-patience-seconds=60",  # however slow the disk is
)  # fmt: skip

Steps = Callable[[ChatServer, Scripted, Scripted, Ledger], Awaitable[None]]


class WaitingTests(SynchronousTestCase):
    def run_with(self, steps: Steps) -> None:
        """The steps with a fresh server, somebody who has said all that waits, and the recipient;
        then everything has come, once and in order."""
        asyncio.run(asyncio.wait_for(self._whole(steps), 5 * PATIENCE))

    async def _whole(self, steps: Steps) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        server = ChatServer(folder, SqliteData(folder), OPTIONS)
        ledger = Ledger()
        try:
            await server.start()
            ids = await register(server, 2)
            ann, bob = (Scripted(server.port, user_id, ledger) for user_id in ids)
            await ann.enter()
            ann.size = SIZE
            for _ in range(WAITING // FLIGHT):
                await ann.say(bob.id, FLIGHT)
                await ann.answers()
            ann.size = 10
            self.assertEqual(ann.states, {"stored": WAITING})
            ann.leave()
            # A process that has not had it all in its hands before.
            await server.terminate()
            await server.start()
            server.forget_peak()
            await ann.enter()
            ann.states.clear()
            # With what a password's hash takes for a moment.
            before = server.peak()
            await steps(server, ann, bob, ledger)
            grown = server.peak() - before
            self.assertLess(grown, GROWTH)
            await self._rest(server, bob)
        finally:
            server.end()
        verdict = judge(ledger)
        self.assertTrue(verdict.good, f"{verdict}\n{verdict.examples()}")
        self.assertEqual(server.mistakes(), [])

    async def _rest(self, server: ChatServer, bob: Scripted) -> None:
        """Bob takes what is left, and no row stays."""
        while server.data.rows():
            await bob.read_for(0.1)
            await bob.acknowledge()

    def test_leaves_after_the_first_page(self) -> None:
        """First it waits for more, and acknowledges nothing; later it acknowledges a little."""

        async def steps(server: ChatServer, ann: Scripted, bob: Scripted, ledger: Ledger) -> None:
            for _ in range(3):
                await bob.enter()
                self.assertEqual(bob.backlog, WAITING)
                await bob.take(PAGE)
                until = asyncio.get_running_loop().time() + SETTLES
                while asyncio.get_running_loop().time() < until:
                    await bob.read_for(0.1)
                self.assertLessEqual(bob.pushed, WINDOW + PAGE)
                bob.leave()
            self.assertEqual(server.data.rows(), WAITING)
            for number in range(20):
                await bob.enter()
                self.assertEqual(bob.backlog, WAITING - 10 * number)
                await bob.take(PAGE)
                await bob.acknowledge(but=bob.pushed - 10)
                await bob.heard()
                bob.leave()
            await bob.enter()

        self.run_with(steps)

    def test_acknowledges_slowly(self) -> None:
        async def steps(server: ChatServer, ann: Scripted, bob: Scripted, ledger: Ledger) -> None:
            await bob.enter()
            for upto in range(50, WAITING + 1, 50):
                await bob.take(upto)
                self.assertLessEqual(bob.pushed, upto + WINDOW + PAGE)
                # All but what has been read most lately.
                await bob.acknowledge(but=25)
            self.assertEqual(ledger.dropped, 0)

        self.run_with(steps)

    def test_talk_goes_on_while_it_drains(self) -> None:
        """As fast as it is answered; backlog before news, and in the end the straight way."""

        async def steps(server: ChatServer, ann: Scripted, bob: Scripted, ledger: Ledger) -> None:
            await bob.enter()
            await ann.say(bob.id, FLIGHT)
            talking = asyncio.create_task(self._talk(ann, bob.id))
            while not talking.done() or server.data.rows():
                await bob.read_for(0.1)
                await bob.acknowledge()
            await talking
            self.assertEqual(ledger.dropped, 0)
            ann.states.clear()
            while not ann.states["delivered"]:
                await ann.say(bob.id, 1)
                await bob.take(bob.pushed + 1)
                await bob.acknowledge()
                await ann.answers()

        self.run_with(steps)

    async def _talk(self, ann: Scripted, recipient: int) -> None:
        for _ in range(20):
            await ann.answers()
            await ann.say(recipient, FLIGHT)
        await ann.answers()
