"""One login of a level 2 client: what it reads, acknowledges and writes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from .ledger import Ledger, Message
from .outgoing import Outgoing
from .wire import Fields, Gone, Wire, line

PASSWORD = "correct horse"
TOO_MANY = 100_000
"""Nobody has so many messages pushed in one login."""


@dataclass(frozen=True)
class Manner:
    """How somebody behaves during one login."""

    seconds: float
    """How long it lasts."""
    ending: str
    acknowledges: float = 1.0
    """How much of what was pushed and not acknowledged yet it acknowledges at a time; 0: nothing
    at all."""
    reads_every: float = 0.0
    """Seconds between two reads, of a few kilobytes if there are any."""
    takes_over: bool = False


@dataclass
class Mind:
    """What a client remembers from one login to the next."""

    user_id: int
    ledger: Ledger
    outgoing: Outgoing
    chance: Random
    writes_to: Sequence[int]
    """The ids of those it writes to."""
    flight: int
    """How many messages it leaves unanswered before it waits."""
    seen: set[tuple[int, str]] = field(default_factory=set)
    settling: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it is time to behave, and to say nothing new."""


class Visit:
    """A login on a connection, from its answer to its end."""

    def __init__(self, wire: Wire, mind: Mind, manner: Manner) -> None:
        self.wire = wire
        self.manner = manner
        self._mind = mind
        self._ledger = mind.ledger
        self._pushed = 0
        self._unacknowledged: list[Message] = []
        self._lied = 0
        self._logging_out = False
        self._owed: Counter[Message] = Counter()

    async def log_in(self) -> int:
        """The backlog that the answer tells.

        :raises Gone: not this time.
        """
        answer = await self.wire.ask(
            msgid=1,
            id=self._mind.user_id,
            password=PASSWORD,
            proto=2,
            takeover=self.manner.takes_over,
        )
        while answer["msgid"] == 13 or (answer["msgid"], answer.get("ack")) == (11, 12):
            # For the login before this one: a ping, or an acknowledgement came too late.
            answer = await self.wire.next()
        if answer["msgid"] != 2 or answer["errno"] not in (0, 2, 107, 108):
            self._ledger.complaints.append(f"login: {answer}")
            raise Gone
        if answer["errno"]:
            await asyncio.sleep(min(answer.get("retry_after", 0.2), 0.5))
            raise Gone
        backlog = int(answer["backlog"])
        self._ledger.note(f"{self._mind.user_id} logs in, {backlog} waiting, {self.manner}")
        return backlog

    # Reading

    async def read(self) -> None:
        """Read on; returns when a logout has been answered.

        :raises Gone: the connection has ended.
        """
        while True:
            lines = await self.wire.lines()
            while lines:
                fields = lines.pop(0)
                if self._logging_out and fields["msgid"] == 11 and fields["ack"] == 10:
                    self._logged_out(fields)
                    self.wire.put_back(lines)
                    return
                answer = self._take(fields)
                if answer and self.wire.writable:
                    await self.wire.send(answer)
            if self.wire.writable:
                await self._acknowledge()
            await asyncio.sleep(self.manner.reads_every)

    def _take(self, fields: Fields) -> bytes:
        match fields["msgid"]:
            case 5:
                self._pushed_to_us(fields)
            case 11 if fields["ack"] == 5:
                now = asyncio.get_running_loop().time()
                self._mind.outgoing.answered(fields, self._owed, now)
            case 11 if fields["ack"] == 12 and fields["errno"] == 100 and self._lied:
                self._lied -= 1
            case 11 if fields["ack"] == 0 and fields["errno"] == 103:
                pass  # taken over
            case 13:
                return line(msgid=14)
            case 38:
                pass  # the server is about to stop
            case _:
                self._ledger.complaints.append(f"unexpected: {fields}")
        return b""

    def _pushed_to_us(self, fields: Fields) -> None:
        self._pushed += 1
        if fields["seq"] != self._pushed:
            self._ledger.complaints.append(f"seq {self._pushed} was expected: {fields}")
        message = self._message(fields)
        name = (fields["id"], fields["cid"])
        if name in self._mind.seen:
            self._ledger.dropped += 1
            self._ledger.note("dropped", message)
        else:
            self._mind.seen.add(name)
            self._ledger.show(message)
        self._unacknowledged.append(message)

    def _message(self, fields: Fields) -> Message:
        sender, recipient, number = map(int, fields["msg"].split(" ", 3)[:3])
        if (fields["id"], fields["toid"]) != (sender, self._mind.user_id):
            self._ledger.complaints.append(f"misdirected: {fields}")
        return Message(sender, recipient, number)

    async def _acknowledge(self) -> None:
        count = round(len(self._unacknowledged) * self.manner.acknowledges)
        if self._mind.chance.random() < 0.02:
            # One for a seq that was never pushed: refused, and nothing comes of it.
            self._lied += 1
            await self.wire.send(line(msgid=12, seq=self._pushed + TOO_MANY))
        if count:
            self._ledger.acknowledged.update(self._unacknowledged[:count])
            self._ledger.note(f"{self._mind.user_id} acknowledges", self._unacknowledged[count - 1])
            del self._unacknowledged[:count]
            await self.wire.send(line(msgid=12, seq=self._pushed - len(self._unacknowledged)))

    # Writing

    async def write(self) -> None:
        """Send again what is open, then talk until cancelled.

        :raises Gone: the connection has ended.
        """
        mind, outgoing, chance = self._mind, self._mind.outgoing, self._mind.chance
        self._owed, data = outgoing.begin()
        while True:
            if data:
                await self.wire.send(data)
            await asyncio.sleep(chance.uniform(0.0, 0.05))
            data = outgoing.due_again(asyncio.get_running_loop().time())
            if not mind.settling.is_set():
                room = mind.flight - outgoing.open
                recipient = chance.choice(mind.writes_to)
                for _ in range(min(room, chance.choice((1, 1, 5, 20, 100)))):
                    if chance.random() < 0.2:
                        recipient = chance.choice(mind.writes_to)
                    data += self._something(recipient)

    def _something(self, recipient: int) -> bytes:
        outgoing, chance = self._mind.outgoing, self._mind.chance
        if outgoing.is_held(recipient) and chance.random() < 0.8:
            return b""  # it would be answered 108 as well
        if chance.random() < 0.03:
            return outgoing.repeated(recipient)
        data = outgoing.fresh(recipient)
        if chance.random() < 0.03:
            data += outgoing.last_again(recipient)
        return data

    async def log_out(self) -> None:
        """Ask for it: :meth:`read` returns when it is answered."""
        self._logging_out = True
        await self.wire.send(line(msgid=10))

    def _logged_out(self, fields: Fields) -> None:
        if fields["errno"]:
            self._ledger.complaints.append(f"logout: {fields}")
        if self._owed.total():
            self._ledger.complaints.append("logged out before its messages were answered")
