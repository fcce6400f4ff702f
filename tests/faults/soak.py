"""``python -m tests.faults.soak --minutes N``: round after round, on both databases in turn.

Every round is a :class:`~.storm.Storm` with a seed of its own, on the data that the rounds before
have left.  It ends with status 1 at the first round that finds anything, keeps that round's folder,
and says how to run the round again.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random

from tests.mariadb import MariaDB

from .storm import PEOPLE, Report, Storm, bounds, register, tell
from .world import ChatServer, Data, MariaData, SqliteData

FAULTS_A_ROUND = 12
PROGRESS = 10.0
"""Seconds between two lines about a round that is under way."""


class Soak:
    """One database, and the rounds on it."""

    def __init__(self, data: Data, folder: Path) -> None:
        self.data = data
        self.folder = folder
        self.sums: Counter[str] = Counter()
        self._server = ChatServer(folder, data)
        self._users: list[int] = []

    async def round(self, seed: int) -> Report:
        """One more, with a new server on the same data."""
        chance = Random(f"{seed} round")
        if not self._users:
            await self.data.open()
        self._server.options = bounds(chance)
        await self._server.start()
        try:
            if not self._users:
                self._users = await register(self._server, PEOPLE)
            storm = Storm.of(self._server, self._users, seed)
            faults = chance.choices(list(storm.havoc.faults), k=FAULTS_A_ROUND)
            report = await storm.run(faults, Progress(self.data.name, seed))
        finally:
            self._server.end()
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


class Progress:
    """Says how far a round is, but not too often."""

    _told = 0.0

    def __init__(self, name: str, seed: int) -> None:
        self._what = f"{name}, seed {seed}"

    def __call__(self, text: str) -> None:
        if time.monotonic() - Progress._told >= PROGRESS:
            Progress._told = time.monotonic()
            tell(f"{self._what}: {text}")


def soak(minutes: float, names: Sequence[str], seed: int) -> int:
    """Round after round until the time is up; the exit status."""
    folder = Path(tempfile.mkdtemp(prefix="chat-faults-"))
    maria = MariaDB() if "mariadb" in names else None
    soaks: list[Soak] = []
    for name in names:
        (folder / name).mkdir()
        data = MariaData(maria) if maria and name == "mariadb" else SqliteData(folder / name)
        soaks.append(Soak(data, folder / name))
    try:
        return asyncio.run(_rounds(soaks, seed, time.monotonic() + 60 * minutes))
    finally:
        if maria is not None:
            maria.end()


async def _rounds(soaks: Sequence[Soak], seed: int, until: float) -> int:
    good = True
    while good and time.monotonic() < until:
        for it in soaks:
            report = await it.round(seed)
            tell(f"{it.data.name}, {report}")
            good = report.verdict.good
            if not good:
                print(report.verdict.examples())
                for wrong in report.verdict.first():
                    print(f"\n{wrong}:\n{report.ledger.story(wrong)}")
                print(f"kept: {it.folder}; again: --database {it.data.name} --seed {seed}")
                break
        seed += 1
    for it in soaks:
        sums = ", ".join(f"{name} {count}" for name, count in it.sums.items())
        tell(f"{it.data.name} in all: {sums}")
        await it.data.close()
        if good:
            shutil.rmtree(it.folder, ignore_errors=True)
    print("lost, out of order, shown twice: none" if good else "something is wrong, see above")
    return 0 if good else 1


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--database", choices=("both", "sqlite", "mariadb"), default="both")
    given = parser.parse_args()
    names = ("sqlite", "mariadb") if given.database == "both" else (given.database,)
    return soak(given.minutes, names, given.seed)


if __name__ == "__main__":
    sys.exit(main())
