"""A server under siege: idle, then attacked, and what became of it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from tests.test_plugin import TWISTD
from tests.test_tls import make_certificate

from .attackers import Plan
from .honest import PATIENCE, Pair, Queues, Took, enter, register

ROOT = Path(__file__).parents[2]
PAIRS = 10
FILES = 25_000
"""Descriptors that a process here needs."""


class Siege(msgspec.Struct):
    """What was seen."""

    idle: list[Took]
    attacked: list[Took]
    """The pairs' messages, before the attacks and during them."""
    peak: int
    """The server's memory at its highest, in bytes."""
    seen: dict[str, dict[str, int]]
    """What each attack saw."""
    plan: Plan
    acknowledged: int = 0
    lost: int = 0
    """Of those, messages that are nowhere."""


def raise_files() -> None:
    """As many descriptors as are allowed; what is started from here has them too."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(FILES, hard), hard))


def peak_of(pid: int) -> int:
    """The highest resident memory that this process has had."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


class Fort:
    """The server, with its limits as they are by default, but for these options."""

    def __init__(self, folder: Path, environ: dict[str, str], *options: str) -> None:
        make_certificate(folder)
        self._output = folder / "output"
        local = "tcp:0:interface=127.0.0.1"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [TWISTD, "--nodaemon", "--pidfile=", "chat", "--listen", local, "--web", local,
                 "--status", "none", "--tls-listen", local,
                 "--tls-certificate", "chat.pem", "--tls-key", "chat.key", *options],
                cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip

    async def ports(self) -> tuple[int, int, int]:
        """Of the chat, of the page, of the chat over TLS; once they are open."""
        place = r"(?:http://)?127\.0\.0\.1:(\d+)"
        patterns = (rf"listening on {place}\n", rf"page is at {place}\n",
                    rf"listening on {place} over TLS")  # fmt: skip
        async with asyncio.timeout(PATIENCE):
            while True:
                text = self._output.read_text()
                found = [re.search(pattern, text) for pattern in patterns]
                if all(found):
                    chat, page, tls = (int(it[1]) for it in found if it)
                    return chat, page, tls
                if self.process.poll() is not None:
                    raise AssertionError(text)
                await asyncio.sleep(0.05)  # between two looks at the condition awaited

    def end(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()


async def besiege(
    fort: Fort, idle: float, make_plan: Callable[..., Plan], tell: Callable[[str], None]
) -> Siege:
    """Talk, be attacked while talking, and count."""
    port, page, tls = await fort.ports()
    users = await register(port, 3 * PAIRS + 3, 0)
    away = users[2 * PAIRS : 3 * PAIRS]
    queues = Queues(fort.process.pid, os.getpid())
    pairs = []
    for number in range(PAIRS):
        me, friend = users[2 * number : 2 * number + 2]
        lines = [await enter(port, one, 500 + one) for one in (me, friend)]
        pairs.append(Pair(lines[0], lines[1], (me, friend, away[number]), queues))
    listening = [asyncio.ensure_future(pair.listen()) for pair in pairs]
    stop = asyncio.Event()
    talking = [asyncio.ensure_future(pair.talk(stop)) for pair in pairs]
    try:
        await asyncio.sleep(idle)  # so long the pairs are alone
        before = [len(pair.took) for pair in pairs]
        victim, sink, _ = users[3 * PAIRS :]
        plan = make_plan(port=port, web=page, tls=tls, victim=victim, sink=sink)
        seen = await _attack(
            plan, lambda text: tell(f"{text}, {peak_of(fort.process.pid) >> 20} MiB so far")
        )
    finally:
        stop.set()
        results = await asyncio.gather(*talking, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    siege = Siege(
        idle=[it for pair, n in zip(pairs, before, strict=True) for it in pair.took[:n]],
        attacked=[it for pair, n in zip(pairs, before, strict=True) for it in pair.took[n:]],
        peak=peak_of(fort.process.pid),
        seen=seen,
        plan=plan,
    )
    for pair, user_id in zip(pairs, away, strict=True):
        siege.acknowledged += len(pair.delivered) + len(pair.stored)
        siege.lost += len(set(pair.delivered) - pair.arrived)
        siege.lost += await _missing(port, user_id, pair.stored)
    for task in listening:
        task.cancel()
    for pair in pairs:
        pair.close()
    return siege


async def _attack(plan: Plan, tell: Callable[[str], None]) -> dict[str, dict[str, int]]:
    attackers = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.abuse.attackers", msgspec.json.encode(plan).decode(),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    seen: dict[str, dict[str, int]] = {}
    try:
        assert attackers.stdout is not None
        async for line in attackers.stdout:
            tell(line.decode().strip())
            found: dict[str, Any] = json.loads(line)
            seen[found.pop("attack")] = found
    finally:
        if attackers.returncode is None:
            attackers.kill()
        await attackers.wait()
    return seen


async def _missing(port: int, user_id: int, stored: list[str]) -> int:
    """How many of these the user, back again, does not get."""
    line = await enter(port, user_id, 500 + user_id)
    wanted = set(stored)
    while wanted:
        try:
            message = await asyncio.wait_for(line.get(), PATIENCE)
        except TimeoutError:
            break
        if message["msgid"] == 5:
            wanted.discard(message["cid"])
            line.send({"msgid": 12, "seq": message["seq"]})
    line.close()
    return len(wanted)
