"""Who means harm: ``python -m tests.abuse.attackers PLAN``, PLAN as JSON.

Prints a line of JSON for each attack, with what the attacker saw.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from .honest import PASSWORD, home

CHUNK = 64 << 10
SEEN = 300.0
"""Seconds that an attacker waits for anything."""
SLOW = 60.0
"""Seconds from one byte of a slow connection to its next."""


class Plan(msgspec.Struct):
    """What is attacked, and how much."""

    port: int
    web: int
    tls: int
    victim: int
    """A user whose password is guessed."""
    sink: int
    """A user with the attackers' own password, who never reads."""
    seconds: float
    """For each of those attacks that could go on for ever."""
    slow: int
    """Connections of the slowloris, which is there throughout."""
    flood: int
    """So many more before that; the server is full with 10,000 of all kinds."""
    outlast: bool
    """Whether the slow ones stay until the server has closed them, as nobody has logged in."""
    accounts: int
    addresses: int
    tries: int
    """Passwords guessed from each of these."""
    megabytes: int


Seen = Counter[str]


class Foe:
    """One hostile connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int, number: int) -> Foe:
        """From an address of the attackers'."""
        local = (home(100_000 + number), 0)
        connecting = asyncio.open_connection("127.0.0.1", port, local_addr=local)
        return cls(*await asyncio.wait_for(connecting, SEEN))

    async def pour(self, data: bytes, patience: float = SEEN) -> bool:
        """Write it; False: the server has closed, or did not take it in time."""
        try:
            self.writer.write(data)
            await asyncio.wait_for(self.writer.drain(), patience)
        except (TimeoutError, OSError):
            return False
        return True

    async def rest(self) -> tuple[bytes, bool]:
        """Everything that comes, and whether the server closed in time."""
        parts: list[bytes] = []
        try:
            while part := await asyncio.wait_for(self.reader.read(CHUNK), SEEN):
                parts.append(part)
        except OSError:
            return b"".join(parts), True
        except TimeoutError:
            return b"".join(parts), False
        return b"".join(parts), True

    async def answers(self, seen: Seen, count: int) -> None:
        """So many, counted by errno."""
        for _ in range(count):
            line = await asyncio.wait_for(self.reader.readline(), SEEN)
            if not line:
                seen["closed"] += 1
                return
            seen[f"errno {json.loads(line).get('errno')}"] += 1

    def end(self) -> None:
        """Without a word."""
        self.writer.transport.abort()


def _note(seen: Seen, data: bytes, closed: bool) -> None:
    seen["closed" if closed else "left open"] += 1
    for line in data.splitlines():
        with suppress(ValueError):
            seen[f"errno {json.loads(line).get('errno')}"] += 1


async def long_lines(plan: Plan, seen: Seen) -> None:
    """Lines of many megabytes, with no end."""
    for number in range(4):
        foe = await Foe.open(plan.port, number)
        for _ in range(plan.megabytes * 16):
            if not await foe.pour(b"x" * CHUNK):
                break
        _note(seen, *await foe.rest())
        foe.end()


async def bad_lines(plan: Plan, seen: Seen) -> None:
    """Lines that are no requests."""
    foe = await Foe.open(plan.port, 10)
    await foe.pour(b"{nonsense}\n" * 20_000)
    _note(seen, *await foe.rest())
    foe.end()


async def guess_accounts(plan: Plan, seen: Seen) -> None:
    """Many accounts from one address."""
    foe = await Foe.open(plan.port, 20)
    for user_id in range(1, plan.accounts + 1):
        line = {"msgid": 1, "id": user_id + 10**6, "password": "123456"}
        await foe.pour(json.dumps(line).encode() + b"\n")
        if user_id <= 60:
            await foe.answers(seen, 1)
    foe.end()


async def guess_addresses(plan: Plan, seen: Seen) -> None:
    """One account from many addresses, all at the same time."""

    async def one(number: int) -> None:
        foe = await Foe.open(plan.port, 250 + number * 250)
        line = json.dumps({"msgid": 1, "id": plan.victim, "password": "123456"}).encode() + b"\n"
        await foe.pour(line * plan.tries)
        await foe.answers(seen, plan.tries)
        foe.end()

    await asyncio.gather(*(one(number) for number in range(plan.addresses)))


async def registrations(plan: Plan, seen: Seen) -> None:
    """New accounts from one address."""
    foe = await Foe.open(plan.port, 30)
    for number in range(40):
        line = {"msgid": 3, "name": f"flood {number}", "password": "x"}
        await foe.pour(json.dumps(line).encode() + b"\n")
        await foe.answers(seen, 1)
    foe.end()


async def pings(plan: Plan, seen: Seen) -> None:
    """As many as the server takes, and its answers are not read."""
    foe = await Foe.open(plan.port, 40)
    clock = asyncio.get_running_loop().time
    until = clock() + plan.seconds
    while clock() < until and await foe.pour(b'{"msgid":13}\n' * 1000, until - clock()):
        seen["thousands"] += 1
    foe.end()


async def never_reads(plan: Plan, seen: Seen) -> None:
    """Somebody logs in and reads nothing, while a friend writes long messages."""
    deaf, friend = await Foe.open(plan.port, 50), await Foe.open(plan.port, 51)
    for foe, user_id in ((deaf, plan.sink), (friend, plan.sink + 1)):
        ask = {"msgid": 1, "id": user_id, "password": PASSWORD, "proto": 2}
        await foe.pour(json.dumps(ask).encode() + b"\n")
        await foe.answers(seen, 1)
    message = {"msgid": 5, "toid": plan.sink, "msg": "x" * 50_000}
    clock = asyncio.get_running_loop().time
    until = clock() + plan.seconds
    while clock() < until:
        line = json.dumps({**message, "cid": f"long {seen['sent']}"}).encode() + b"\n"
        if not await friend.pour(line, until - clock()):
            break
        seen["sent"] += 1
    deaf.end()
    friend.end()


async def half_closed(plan: Plan, seen: Seen) -> None:
    """Connections that shut their writing side at once."""

    async def one(number: int) -> None:
        foe = await Foe.open(plan.port, 1000 + number)
        await foe.pour(b'{"msgid":13}\n{"msgid":')
        foe.writer.write_eof()
        _note(seen, *await foe.rest())
        foe.end()

    await asyncio.gather(*(one(number) for number in range(100)))


async def wrong_protocols(plan: Plan, seen: Seen) -> None:
    """TLS and HTTP where lines are spoken, lines where HTTP is, garbage where TLS is."""
    hello = bytes.fromhex("16030100c8010000c40303") + os.urandom(200)
    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 200
    for name, port, data in (
        ("tls on chat", plan.port, hello * 2000),
        ("http on chat", plan.port, request),
        ("chat on http", plan.web, b'{"msgid":13}\n' * 2000),
        ("garbage on tls", plan.tls, os.urandom(100_000)),
        ("chat on tls", plan.tls, b'{"msgid":13}\n' * 2000),
    ):
        foe = await Foe.open(port, 60)
        await foe.pour(data)
        _, closed = await foe.rest()
        seen[f"{name} {'closed' if closed else 'left open'}"] += 1
        foe.end()


class Crowd:
    """A slowloris: connections that begin a line and go on a byte a minute."""

    def __init__(self) -> None:
        self.seen: Seen = Counter()
        self._foes: list[Foe] = []

    async def come(self, port: int, count: int) -> None:
        """Connect."""
        for number in range(count):
            try:
                # 50 of an address: fewer than are refused there.
                foe = await Foe.open(port, 20_000 + number // 50)
            except (OSError, TimeoutError):
                self.seen["failed"] += 1
                continue
            foe.writer.write(b"{")
            self._foes.append(foe)
            self.seen["open"] += 1

    async def drip(self) -> None:
        """A byte of each a minute, until cancelled."""
        while self._foes:
            for foe in self._foes:
                foe.writer.write(b" ")
                await asyncio.sleep(SLOW / len(self._foes))

    async def stay(self) -> None:
        """Drip until the server has closed all of them."""
        dripping = asyncio.ensure_future(self.drip())
        for foe in self._foes:
            _note(self.seen, *await foe.rest())
        dripping.cancel()

    def go(self) -> None:
        """Those that are left."""
        for foe in self._foes:
            foe.end()


Attack = Callable[[Plan, Seen], Awaitable[None]]
ATTACKS: Mapping[str, Attack] = {
    attack.__name__: attack
    for attack in (
        long_lines, bad_lines, guess_accounts, guess_addresses, registrations, pings, never_reads,
        half_closed, wrong_protocols,
    )
}  # fmt: skip


def say(name: str, seen: Mapping[str, Any]) -> None:
    """One line for whoever started this."""
    print(json.dumps({"attack": name, **seen}), flush=True)


async def attack(plan: Plan) -> None:
    """All of them, one after the other, beside the slow ones."""
    flood = Crowd()
    await flood.come(plan.port, plan.flood)
    await flood.stay()
    say("flood", flood.seen)
    crowd = Crowd()
    await crowd.come(plan.port, plan.slow)
    staying = asyncio.ensure_future(crowd.stay() if plan.outlast else crowd.drip())
    for name, one in ATTACKS.items():
        seen: Seen = Counter()
        try:
            await one(plan, seen)
        except (TimeoutError, OSError) as error:
            seen[f"broken off: {type(error).__name__}"] += 1
        say(name, seen)
    if plan.outlast:
        await staying
    else:
        staying.cancel()
    crowd.go()
    say("slowloris", crowd.seen)


if __name__ == "__main__":
    os.nice(19)
    asyncio.run(attack(msgspec.json.decode(sys.argv[1], type=Plan)))
