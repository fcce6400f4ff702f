"""A level 2 client that does what a test tells it, step by step."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from contextlib import suppress
from typing import Any

from .ledger import Ledger, Message
from .visit import PASSWORD
from .wire import Fields, Wire, line


class Scripted:
    """One user on one connection at a time; what it has seen it remembers over all of them."""

    def __init__(self, port: int, user_id: int, ledger: Ledger) -> None:
        self.id = user_id
        self.size = 10
        """About how many bytes the texts have that are said."""
        self.backlog = 0
        self.pushed = 0
        """Pushes that were read on this connection."""
        self.states: Counter[str] = Counter()
        """Answers to what was said on this connection."""
        self.busy: deque[Fields] = deque()
        """Answers with errno 108."""
        self._port = port
        self._ledger = ledger
        self._wire: Wire | None = None
        self._seen: set[tuple[int, str]] = set()
        self._fresh: list[Message] = []
        self._numbers: Counter[int] = Counter()
        self._owed: set[str] = set()
        self._asked = False
        """Whether a ping of ours is unanswered."""

    @property
    def wire(self) -> Wire:
        """The connection, which there must be."""
        assert self._wire is not None
        return self._wire

    async def log_in(self) -> Fields:
        """Connect and log in; the answer, good or bad."""
        self._wire = await Wire.connect(self._port)
        self.pushed = 0
        self._fresh = []
        answer = await self.wire.ask(msgid=1, id=self.id, password=PASSWORD, proto=2)
        self.backlog = answer.get("backlog", 0)
        return answer

    async def enter(self) -> None:
        """Log in, however often it takes: the end of the last connection may not have been seen."""
        while (await self.log_in())["errno"]:
            self.leave()
            await asyncio.sleep(0.1)

    async def read(self) -> None:
        """Take what has come, at least a line.

        :raises Gone: the connection has ended.
        """
        for fields in await self.wire.lines():
            match fields["msgid"]:
                case 5:
                    self._push(fields)
                case 11 if fields["ack"] == 5:
                    self._answer(fields)
                case 13:
                    await self.wire.send(line(msgid=14))
                case 14:
                    self._asked = False
                case _:
                    self._ledger.complaints.append(f"unexpected: {fields}")

    async def read_for(self, seconds: float) -> None:
        """The same, but nothing may come within so many seconds."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.read(), seconds)

    def _push(self, fields: Fields) -> None:
        self.pushed += 1
        if fields["seq"] != self.pushed:
            self._ledger.complaints.append(f"seq {self.pushed} was expected: {fields}")
        name = (fields["id"], fields["cid"])
        message = Message(*map(int, fields["msg"].split(" ", 3)[:3]))
        if name in self._seen:
            self._ledger.dropped += 1
        else:
            self._seen.add(name)
            self._ledger.show(message)
        self._fresh.append(message)

    def _answer(self, fields: Fields) -> None:
        self._owed.discard(fields["cid"])
        if fields["errno"] == 0:
            recipient, number = map(int, fields["cid"].split("."))
            self.states[fields["state"]] += 1
            self._ledger.answered(Message(self.id, recipient, number), fields["state"])
        elif fields["errno"] == 108:
            self.busy.append(fields)
        else:
            self._ledger.complaints.append(f"refused: {fields}")

    async def take(self, count: int) -> None:
        """Read until so many pushes have come on this connection, or a few more."""
        while self.pushed < count:
            await self.read()

    async def acknowledge(self, but: int = 0) -> None:
        """All that was pushed, but for the last ones."""
        self._ledger.acknowledged.update(self._fresh[: len(self._fresh) - but])
        self._fresh = self._fresh[len(self._fresh) - but :]
        await self.wire.send(line(msgid=12, seq=self.pushed - but))

    async def say(self, recipient: int, count: int) -> None:
        """So many new messages; does not wait for answers."""
        data = []
        for _ in range(count):
            self._numbers[recipient] += 1
            message = Message(self.id, recipient, self._numbers[recipient])
            self._ledger.sent.add(message)
            data.append(self._line(message))
        await self.wire.send(b"".join(data))

    async def say_again(self, most: int) -> None:
        """What was refused with errno 108, in its order and some of it at a time, until it is not;
        between two tries as long as the server wants."""
        while self.busy:
            await asyncio.sleep(self.busy[0]["retry_after"])
            again = sorted(tuple(map(int, fields["cid"].split("."))) for fields in self.busy)
            self.busy.clear()
            for at in range(0, len(again), most):
                some = [Message(self.id, *number) for number in again[at : at + most]]
                await self.wire.send(b"".join(map(self._line, some)))
                await self.answers()

    def _line(self, message: Message) -> bytes:
        cid = f"{message.recipient}.{message.number}"
        self._owed.add(cid)
        fields: dict[str, Any] = {"msgid": 5, "toid": message.recipient, "cid": cid}
        text = f"{message.sender} {message.recipient} {message.number} {'x' * self.size}"
        return line(**fields, msg=text)

    async def answers(self) -> None:
        """Read until all that was said has been answered."""
        while self._owed:
            await self.read()

    async def heard(self) -> None:
        """Read until the server has worked off what was sent to it."""
        self._asked = True
        await self.wire.send(line(msgid=13))
        while self._asked:
            await self.read()

    def leave(self) -> None:
        """RST."""
        self.wire.reset()
