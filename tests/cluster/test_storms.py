"""A storm, short enough for every run; ``CLUSTER_SEED=N`` repeats the choices of one that said
``seed N``; the moments are its own."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tests.faults.storm import SHOWN_BETWEEN, Report, tell
from tests.faults.world import PATIENCE

from .absence import Absence
from .shared import shared
from .weather import Weather, bounds, register_company
from .world import Cluster

FIRST = ("restart all in turn", "lose a node")
AMONG_TWO = (
    "kill NATS",
    "stop NATS",
    "cut a node from NATS",
    "stop a node",
    "kill the database",
    "cut a node from the database",
)
LAST = ("find the lost node", "kill a node at an answer")


class StormTests(SynchronousTestCase):
    def test_nothing_is_lost(self) -> None:
        seed = int(os.environ.get("CLUSTER_SEED") or random.randrange(1_000_000))
        among_two = list(AMONG_TWO)
        Random(f"{seed} faults").shuffle(among_two)
        faults = [*FIRST, *among_two, *LAST]
        report, stopping = shared().run(self._storm(shared().cluster, seed, faults))
        tell(str(report))
        tell(f"ended in order: {', '.join(f'{seconds:.1f} s' for seconds in stopping)}")
        self.assertTrue(
            report.verdict.good,
            "\n".join(
                [f"{report}", report.verdict.examples()]
                + [report.ledger.story(message) for message in report.verdict.first()]
            ),
        )
        self.assertEqual(report.faults, Counter(faults))
        self.assertGreaterEqual(len(report.ledger.answers), SHOWN_BETWEEN * len(faults))

    async def _storm(
        self, cluster: Cluster, seed: int, faults: list[str]
    ) -> tuple[Report, list[float]]:
        chance = Random(f"{seed} round")
        await asyncio.to_thread(cluster.forget_names)
        options = bounds(chance)
        for node in cluster.nodes:
            node.options = options  # from the first fault on, which restarts them
        users, group_id = await register_company(cluster)
        weather = Weather(cluster, users, group_id, seed)
        absence = await Absence.begin(cluster, users, chance)
        weather.havoc.faults |= {"lose a node": absence.lose, "find the lost node": absence.find}
        weather.at_rest = lambda: absence.all_are("online", users)
        try:
            report = await weather.run(faults, tell)
            # Everybody has gone, and nobody is left who seems to be there.
            async with asyncio.timeout(PATIENCE):
                await absence.all_are("offline", users)
        finally:
            await absence.end()
        return report, weather.havoc.stopping
