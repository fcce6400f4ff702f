"""Honest pairs: how long their messages take, and whether one that was acknowledged is lost."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

PATIENCE = 120.0
PASSWORD = "correct horse"
PAUSE = 0.1
"""Seconds from one message of a pair to the next: half of what a user may send."""


def home(number: int) -> str:
    """An address of this machine for one of many."""
    return f"127.{1 + number // 60_000}.{number // 250 % 240}.{1 + number % 250}"


class Line:
    """A connection of somebody honest."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int, number: int) -> Line:
        """From an address of one's own."""
        connecting = asyncio.open_connection("127.0.0.1", port, local_addr=(home(number), 0))
        return cls(*await asyncio.wait_for(connecting, PATIENCE))

    def send(self, message: dict[str, Any]) -> None:
        """One message."""
        self._writer.write(json.dumps(message).encode() + b"\n")

    async def get(self) -> dict[str, Any]:
        """The next one."""
        line = await asyncio.wait_for(self._reader.readline(), PATIENCE)
        if not line:
            raise ConnectionError("an honest client was closed")
        message: dict[str, Any] = json.loads(line)
        return message

    async def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """One out, one in."""
        self.send(message)
        return await self.get()

    def close(self) -> None:
        """The end."""
        self._writer.close()


async def register(port: int, count: int, first: int) -> list[int]:
    """New users, each from an address of its own."""
    users = []
    for number in range(first, first + count):
        line = await Line.open(port, number)
        answer = await line.ask({"msgid": 3, "name": f"user {number}", "password": PASSWORD})
        users.append(int(answer["id"]))
        line.close()
    return users


async def enter(port: int, user_id: int, number: int) -> Line:
    """Somebody who has logged in at level 2."""
    line = await Line.open(port, number)
    ask = {"msgid": 1, "id": user_id, "password": PASSWORD, "proto": 2}
    answer = await line.ask(ask)
    if answer["errno"]:
        raise AssertionError(f"an honest login was refused: {answer}")
    return line


class Queues:
    """How long processes have been ready to run and had no processor, by the kernel's count.

    :param pids: of which the first threads count.
    """

    def __init__(self, *pids: int) -> None:
        self._paths = [Path(f"/proc/{pid}/schedstat") for pid in pids]

    def seconds(self) -> float:
        """Since they began; nothing where the kernel does not count."""
        try:
            return sum(int(path.read_text().split()[1]) for path in self._paths) / 1e9
        except OSError:
            return 0.0


class Took(NamedTuple):
    """The seconds of one message, from the message to its acknowledgement, through the
    recipient's."""

    gross: float
    net: float
    """Without those in which somebody waited for a processor."""


class Pair:
    """One writes to the other, and now and then to somebody who is away."""

    def __init__(self, sender: Line, recipient: Line, users: Sequence[int], queues: Queues) -> None:
        self.took: list[Took] = []
        self.delivered: list[str] = []
        self.stored: list[str] = []
        self.arrived: set[str] = set()
        self._sender = sender
        self._recipient = recipient
        self._queues = queues
        self._me, self._friend, self._away = users
        self._sent = 0

    async def listen(self) -> None:
        """Be the recipient, until cancelled."""
        while True:
            message = await self._recipient.get()
            if message["msgid"] == 5:
                self.arrived.add(message["cid"])
                self._recipient.send({"msgid": 12, "seq": message["seq"]})
            elif message["msgid"] == 13:
                self._recipient.send({"msgid": 14})

    async def talk(self, until: asyncio.Event) -> None:
        """Write, wait for the answer, pause, and again."""
        while not until.is_set():
            self._sent += 1
            cid = f"{self._me}-{self._sent}"
            target = self._away if self._sent % 10 == 0 else self._friend
            waited = self._queues.seconds()
            began = time.perf_counter()
            self._sender.send({"msgid": 5, "toid": target, "msg": "hello", "cid": cid})
            answer = await self.get_answer()
            took = time.perf_counter() - began
            waited = self._queues.seconds() - waited
            if answer.get("cid") != cid or answer["errno"]:
                raise AssertionError(f"an honest message was refused: {answer}")
            if answer["state"] == "delivered":
                self.delivered.append(cid)
                self.took.append(Took(took, max(0.0, took - waited)))
            else:
                self.stored.append(cid)
            await asyncio.sleep(max(0.0, PAUSE - took))  # the pace of somebody who writes

    async def get_answer(self) -> dict[str, Any]:
        """The next acknowledgement."""
        while (message := await self._sender.get())["msgid"] != 11:
            if message["msgid"] == 13:
                self._sender.send({"msgid": 14})
        return message

    def close(self) -> None:
        """The end."""
        self._sender.close()
        self._recipient.close()


def share(seconds: Sequence[float], part: float) -> float:
    """The value below which this part of them is."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]
