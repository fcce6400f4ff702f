"""What is stored arrives without a new login, also where no other node can say so."""

from __future__ import annotations

import asyncio

from twisted.trial.unittest import SynchronousTestCase

from tests.faults.world import PATIENCE

from .guest import Guest, newcomer
from .havoc import cut
from .shared import shared
from .world import Cluster

MESSAGES = 20


class LostWordsTests(SynchronousTestCase):
    def test_a_node_that_hears_nothing_looks_by_itself(self) -> None:
        shared().run(self._play(shared().cluster))

    async def _play(self, cluster: Cluster) -> None:
        async with asyncio.timeout(2 * PATIENCE):
            ann, bob = [await newcomer(cluster.port, f"{name} of words") for name in ("ann", "bob")]
            here, there = cluster.places[0], cluster.places[1]
            alone, other = await Guest.at(here.node.port), await Guest.at(there.node.port)
            try:
                for guest, user in ((alone, ann), (other, bob)):
                    self.assertEqual((await guest.log_in(user))["errno"], 0)
                async with cut(here.to_bus):
                    await self._say(other, alone, ann.id, "to who is alone")
                    await self._say(alone, other, bob.id, "from who is alone")
                # The way over the bus is used again.
                number = 0
                while await other.say(ann.id, f"again {number}") != "delivered":
                    number += 1
                    await asyncio.sleep(0.1)
                self.assertFalse(alone.gone.is_set() or other.gone.is_set())
            finally:
                await alone.leave()
                await other.leave()

    async def _say(self, sender: Guest, recipient: Guest, user_id: int, name: str) -> None:
        """All of it is taken, and all of it arrives."""
        cids = [f"{name} {number}" for number in range(MESSAGES)]
        for state in await asyncio.gather(*(sender.say(user_id, cid) for cid in cids)):
            self.assertIn(state, ("stored", "delivered"))
        for cid in cids:
            await recipient.has_got(cid).wait()
