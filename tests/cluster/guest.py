"""Level 2 clients who answer what they are asked, and acknowledge what they are pushed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Any

from tests.faults.visit import PASSWORD
from tests.faults.wire import Fields, Gone, Wire, line

LOOKS = 20
"""After so many looks at what was told it is asked."""


@dataclass
class User:
    """Somebody with a token, by which a login costs no hash."""

    id: int
    token: str


async def newcomer(port: int, name: str) -> User:
    """Somebody new, who has been in once."""
    wire = await Wire.connect(port)
    user_id = (await wire.ask(msgid=3, name=name, password=PASSWORD))["id"]
    answer = await wire.ask(msgid=1, id=user_id, password=PASSWORD, proto=2)
    await wire.ask(msgid=10)
    wire.close()
    return User(user_id, answer["token"])


class Guest:
    """One connection; whoever makes it leaves it (:meth:`leave`).

    What waits for an answer raises :class:`~tests.faults.wire.Gone` when the connection ends.
    """

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.gone = asyncio.Event()
        self.states: dict[int, str] = {}
        """Of friends, once they are watched."""
        self._got: dict[str, asyncio.Event] = {}
        self._asked: dict[str, asyncio.Future[Fields]] = {}
        self._numbers = count(1)
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def at(cls, port: int) -> Guest:
        """One who is connected there."""
        return cls(await Wire.connect(port))

    async def log_in(self, user: User, **fields: Any) -> Fields:
        """The answer."""
        return await self._answer("login", msgid=1, id=user.id, token=user.token, proto=2, **fields)

    async def ask(self, **fields: Any) -> Fields:
        """The answer to any other request, by a cid of its own if it has none."""
        cid = fields.setdefault("cid", f"ask {next(self._numbers)}")
        return await self._answer(cid, **fields)

    async def say(self, recipient: int, cid: str, text: str = "hello") -> str:
        """Say something; what became of it."""
        answer = await self.ask(msgid=5, toid=recipient, cid=cid, msg=text)
        return str(answer.get("state", answer))

    async def _answer(self, name: str, **fields: Any) -> Fields:
        if self.gone.is_set():
            raise Gone
        answer: asyncio.Future[Fields] = asyncio.get_running_loop().create_future()
        self._asked[name] = answer
        await self.wire.send(line(**fields))
        return await answer

    def has_got(self, cid: str) -> asyncio.Event:
        """Set when that message was pushed."""
        return self._got.setdefault(cid, asyncio.Event())

    async def watch(self) -> None:
        """Keep :attr:`states` true from now on."""
        await self.ask(msgid=28)
        answer = await self.ask(msgid=22, limit=500)
        friends = answer.get("friends", ())  # none where the store is away
        self.states |= {friend["id"]: friend["state"] for friend in friends}

    async def leave(self) -> None:
        """The end of the connection."""
        self.wire.close()
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self) -> None:
        with contextlib.suppress(Gone):
            while True:
                for fields in await self.wire.lines():
                    await self._take(fields)
        self.gone.set()
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(Gone())

    async def _take(self, fields: Fields) -> None:
        match fields["msgid"]:
            case 2:
                self._asked["login"].set_result(fields)
            case 5:
                self.has_got(fields["cid"]).set()
                await self.wire.send(line(msgid=12, seq=fields["seq"]))
            case 11 if "cid" in fields:
                self._asked[fields["cid"]].set_result(fields)
            case 13:
                await self.wire.send(line(msgid=14))
            case 28:
                self.states[fields["id"]] = fields["state"]


class Watcher:
    """Somebody who always comes back, anywhere, and sees which friends are there."""

    def __init__(self, user: User, ports: Sequence[int], chance: Random) -> None:
        self.guest: Guest | None = None
        """The connection, once its friends are known."""
        self._user = user
        self._ports = ports
        self._chance = chance

    async def live(self) -> None:
        """Until cancelled."""
        while True:
            with contextlib.suppress(Gone):
                guest = await Guest.at(self._chance.choice(self._ports))
                try:
                    if (await guest.log_in(self._user, takeover=True))["errno"] == 0:
                        await guest.watch()
                        self.guest = guest
                        await guest.gone.wait()
                finally:
                    self.guest = None
                    await guest.leave()
            await asyncio.sleep(0.2)

    async def until(self, users: Sequence[int], state: str) -> None:
        """Until that is seen of all of them.

        What is told of comings and goings may be lost with the bus, so now and then it is asked.
        """
        looks = 0
        while (guest := self.guest) is None or any(guest.states.get(it) != state for it in users):
            await asyncio.sleep(0.05)
            looks += 1
            if guest is not None and looks % LOOKS == 0:
                with contextlib.suppress(Gone):
                    await guest.watch()
