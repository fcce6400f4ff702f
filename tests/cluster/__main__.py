"""``python -m tests.cluster --minutes N``: round after round of faults, the long ones too.

Every round is a :class:`~.weather.Weather` with a seed of its own, on nodes with options of its own
and on the data that the rounds before have left.  It ends with status 1 at the first round that
finds anything, and says where the nodes' logs are and how to run the round again.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

from tests.faults.storm import Report, tell
from tests.faults.world import PATIENCE
from tests.mariadb import MariaDB

from .absence import Absence
from .weather import Weather, bounds, register_company
from .world import Cluster

FAULTS_A_ROUND = 10
LONG_ONES_A_ROUND = 1


class Rounds:
    """One cluster, and what was done to it."""

    def __init__(self, cluster: Cluster) -> None:
        self.sums: Counter[str] = Counter()
        self.stopping: list[float] = []
        self._cluster = cluster
        self._users: list[int] = []
        self._group_id = 0
        self._absence: Absence | None = None

    async def begin(self) -> None:
        """Start everything, and register people."""
        await self._cluster.open()
        self._users, self._group_id = await register_company(self._cluster)
        self._absence = await Absence.begin(self._cluster, self._users, Random(1))

    async def round(self, seed: int) -> Report:
        """One more."""
        absence, users = self._absence, self._users
        assert absence is not None
        chance = Random(f"{seed} round")
        options = bounds(chance)
        for node in self._cluster.nodes:
            node.options = options  # from the next start on
        weather = Weather(self._cluster, users, self._group_id, seed)
        havoc = weather.havoc
        havoc.faults |= {"lose a node": absence.lose, "find the lost node": absence.find}
        short = [name for name in havoc.faults if name not in havoc.long_faults]
        short.remove("lose a node")
        short.remove("find the lost node")
        faults = chance.choices(short, k=FAULTS_A_ROUND)
        faults += chance.choices(list(havoc.long_faults), k=LONG_ONES_A_ROUND)
        chance.shuffle(faults)
        faults += ["lose a node", "cut a node from NATS", "find the lost node"]
        weather.at_rest = lambda: absence.all_are("online", users)
        report = await weather.run(faults, tell)
        async with asyncio.timeout(PATIENCE):
            await absence.all_are("offline", users)
        self.stopping += havoc.stopping
        self._add(report)
        return report

    def _add(self, report: Report) -> None:
        states = Counter(report.ledger.answers.values())
        self.sums.update(
            rounds=1,
            sent=len(report.ledger.sent),
            delivered=states["delivered"],
            stored=states["stored"],
            busy=report.ledger.busy,
            dropped=report.ledger.dropped,
            logins=report.endings.total(),
        )
        self.sums.update(report.faults)

    async def end(self) -> None:
        """Everything is gone."""
        if self._absence is not None:
            await self._absence.end()
        await self._cluster.close()


async def _run(maria: MariaDB, folder: Path, minutes: float, seed: int) -> bool:
    rounds = Rounds(Cluster(folder, maria, ["--no-limits"]))
    good = True
    try:
        await rounds.begin()
        until = time.monotonic() + 60 * minutes
        while good and time.monotonic() < until:
            report = await rounds.round(seed)
            tell(str(report))
            good = report.verdict.good
            if not good:
                print(report.verdict.examples())
                for wrong in report.verdict.first():
                    print(f"\n{wrong}:\n{report.ledger.story(wrong)}")
                print(f"the nodes' logs are in {folder}; again: --seed {seed}")
            seed += 1
    finally:
        await rounds.end()
    tell(", ".join(f"{name} {count}" for name, count in rounds.sums.items()))
    if rounds.stopping:
        longest = max(rounds.stopping)
        tell(f"{len(rounds.stopping)} times ended in order, in {longest:.1f} s at most")
    return good


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    maria = MariaDB()
    try:
        folder = Path(tempfile.mkdtemp(prefix="chat-cluster-"))
        good = asyncio.run(_run(maria, folder, given.minutes, given.seed))
    finally:
        maria.end()
    print("lost, out of order, shown twice: none" if good else "something is wrong, see above")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
