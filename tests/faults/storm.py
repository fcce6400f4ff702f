"""One round: people talk, faults happen, everybody comes back, and the ledger is judged."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from .havoc import Faults, Havoc
from .ledger import Ledger, Verdict, judge
from .outgoing import Outgoing
from .person import WELL_BEHAVED, Person
from .proxy import Proxy
from .visit import PASSWORD, Mind, Visit
from .wire import Wire
from .world import PATIENCE, ChatServer, Data

PEOPLE = 10
SHOWN_BETWEEN = 150
"""So many messages are shown between two faults, so that each meets traffic."""

START = time.monotonic()

Say = Callable[[str], None]


def tell(text: str) -> None:
    """One line, with the seconds since the start."""
    print(f"[{time.monotonic() - START:7.1f} s] {text}", flush=True)


def bounds(chance: Random) -> list[str]:
    """Options for a server: often small bounds, so that no way through it is gone seldom."""
    return [
        f"--window-messages={chance.choice((4, 32, 256))}",
        f"--waiting-messages={chance.choice((8, 64, 512))}",
        f"--page-rows={chance.choice((3, 20, 100))}",
        f"--keep-after-seconds={chance.choice((0.2, 1))}",
        f"--store-patience-seconds={chance.choice((0.5, 2))}",
        "--takeover-seconds=0.5",
        "--ping-seconds=1.5",
        "--stall-seconds=2",
        "--no-limits",
    ]


def name_of(number: int) -> str:
    """What somebody is called."""
    return f"person {number}"


class Served(Protocol):
    """What people talk to."""

    port: int

    @property
    def data(self) -> Data:
        """What waits in it is waited for."""

    def mistakes(self) -> list[str]:
        """Exceptions in its log."""


async def register(server: Served, people: int) -> list[int]:
    """Accounts; their ids."""
    wire = await Wire.connect(server.port)
    answers = [
        await wire.ask(msgid=3, name=name_of(number), password=PASSWORD) for number in range(people)
    ]
    wire.close()
    return [int(answer["id"]) for answer in answers]


@dataclass
class Report:
    """What a round came to."""

    seed: int
    verdict: Verdict
    ledger: Ledger
    faults: Counter[str]
    endings: Counter[str]

    def __str__(self) -> str:
        states = Counter(self.ledger.answers.values())
        done = ", ".join(f"{name} {count}" for name, count in sorted(self.faults.items()))
        return (
            f"seed {self.seed}: {len(self.ledger.sent)} sent, "
            f"{states['delivered']} delivered, {states['stored']} stored, "
            f"{self.ledger.busy} times busy, {self.ledger.dropped} repeats dropped, "
            f"{self.endings.total()} logins; {done}\n    {self.verdict}"
        )


class Storm:
    """One round, by a seed; the choices are the same for the same seed, the moments are not.

    :param users: what :func:`register` gave, an even number; nothing waits for them.
    """

    def __init__(self, server: Served, havoc: Faults, users: Sequence[int], seed: int) -> None:
        self.seed = seed
        self.ledger = self._new_ledger()
        self.havoc = havoc
        self._server = server
        self._doors = [Proxy(server.port) for _ in users]
        self._people = [
            self._person(self._mind(users, at, Random(f"{seed} {at}")), door)
            for at, door in enumerate(self._doors)
        ]

    @classmethod
    def of(cls, server: ChatServer, users: Sequence[int], seed: int) -> Storm:
        """One on a single server."""
        return cls(server, Havoc(server, Random(f"{seed} havoc")), users, seed)

    def _new_ledger(self) -> Ledger:
        return Ledger()

    def _person(self, mind: Mind, door: Proxy) -> Person:
        return Person(mind, door, self.havoc.watch)

    def _mind(self, users: Sequence[int], at: int, chance: Random) -> Mind:
        me, partner = users[at], users[at ^ 1]
        # The first one hears from everybody, and some talk to themselves.
        writes_to = [partner] * 4 + [users[0]] + ([me] if at % 4 == 0 else [])
        name = chance.choice((None, name_of(at)))
        outgoing = Outgoing(me, name, f"{self.seed}", self.ledger, chance)
        flight = chance.choice((1, 20, 60, 60, 400))
        return Mind(me, self.ledger, outgoing, chance, writes_to, flight)

    async def run(self, faults: Sequence[str], say: Say) -> Report:
        """All of it: the faults one after the other, then the end of every one of them."""
        for door in self._doors:
            await door.open()
        living = [asyncio.create_task(person.live()) for person in self._people]
        faulting = asyncio.create_task(self._faults(faults, say))
        try:
            await _first(faulting, *living)
            resting = asyncio.create_task(self._rest())
            await _first(resting, *living)
        finally:
            for task in (faulting, *living):
                task.cancel()
            await asyncio.gather(faulting, *living, return_exceptions=True)
            for door in self._doors:
                await door.close()
        await self._look_again()
        self.ledger.complaints += self._server.mistakes()
        endings = sum((person.endings for person in self._people), Counter[str]())
        return Report(self.seed, judge(self.ledger), self.ledger, self.havoc.counts, endings)

    async def _faults(self, faults: Sequence[str], say: Say) -> None:
        for name in faults:
            await self._traffic()
            say(f"{name} ({len(self.ledger.sent)} sent, {len(self.ledger.answers)} answered)")
            self.ledger.note(f"fault: {name}")
            async with asyncio.timeout(PATIENCE):
                await self.havoc.do(name)
            self.ledger.note(f"fault: {name} is over")
        await self._traffic()

    async def _traffic(self) -> None:
        """Until some messages more have been shown."""
        before = self._shown()
        async with asyncio.timeout(PATIENCE):
            while self._shown() < before + SHOWN_BETWEEN:
                await asyncio.sleep(0.02)

    def _shown(self) -> int:
        return sum(map(len, self.ledger.shown.values()))

    async def _rest(self) -> None:
        """Everybody behaves, until all is answered and nothing waits."""
        for person in self._people:
            person.mind.settling.set()
        try:
            async with asyncio.timeout(PATIENCE):
                while self._open() or await asyncio.to_thread(self._server.data.rows):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            rows = self._server.data.rows()
            self.ledger.complaints.append(
                f"does not come to rest: {self._open()} unanswered, {rows} rows wait"
            )

    def _open(self) -> int:
        return sum(person.mind.outgoing.open for person in self._people)

    async def _look_again(self) -> None:
        """Everybody logs in once more: nothing waits, and nobody says so."""
        for person in self._people:
            wire = await Wire.connect(self._server.port)
            visit = Visit(wire, person.mind, WELL_BEHAVED)
            backlog = await visit.log_in()
            if backlog:
                self.ledger.complaints.append(f"user {person.mind.user_id}: backlog {backlog}")
            wire.close()


async def _first(*tasks: asyncio.Task[None]) -> None:
    """Until the first of them is done; the others are not to end before, but by an exception."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
