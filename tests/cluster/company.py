"""People of a group, who come in at any node: their ledger, what they send, what they see."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from tests.faults.ledger import Ledger, Message
from tests.faults.outgoing import Outgoing
from tests.faults.person import Person
from tests.faults.proxy import Proxy
from tests.faults.visit import Manner, Mind, Visit
from tests.faults.wire import Fields, Wire

from .world import SECONDS_OF_A_LEASE

BUFFERED = 10.0
"""Seconds beyond a lease for what a node had written before, and for a machine that is busy."""


def to_group(group_id: int) -> int:
    """How a ledger names a group as a recipient."""
    return -group_id


class GroupLedger(Ledger):
    """Knows who is in a group: a message to it is one to each other member, by a sender who is the
    user in that group.

    :param groups: the members, by the group's id.
    """

    def __init__(self, groups: Mapping[int, Sequence[int]]) -> None:
        super().__init__()
        self.groups = groups
        self.sessions: dict[int, list[tuple[float, object]]] = defaultdict(list)
        """By user, the logins and when they were answered, the newest last."""
        self.logins = 0

    # Groups

    def voice(self, sender: int, group_id: int) -> int:
        """The sender of what a user says in a group."""
        return -(sender + group_id * 1_000_000)

    def _copies(self, message: Message) -> Iterator[Message]:
        if message.recipient > 0:
            yield message
            return
        group_id = -message.recipient
        voice = self.voice(message.sender, group_id)
        for member in self.groups[group_id]:
            if member != message.sender:
                yield Message(voice, member, message.number)

    def send(self, message: Message) -> None:
        for copy in self._copies(message):
            super().send(copy)

    def answered(self, message: Message, state: str) -> None:
        for copy in self._copies(message):
            super().answered(copy, state)

    # Sessions

    def begin(self, user_id: int, session: object) -> None:
        """A login was answered."""
        self.logins += 1
        self.sessions[user_id].append((asyncio.get_running_loop().time(), session))

    def alive(self, user_id: int, session: object) -> None:
        """A session was pushed something, or answered: nobody else may have the user for long."""
        (since, newest) = self.sessions[user_id][-1]
        if session is newest:
            return
        seconds = asyncio.get_running_loop().time() - since
        if seconds > SECONDS_OF_A_LEASE + BUFFERED:
            self.complaints.append(f"user {user_id} has had two sessions for {seconds:.1f} s")


class GroupOutgoing(Outgoing):
    """Writes to groups as well."""

    def _to(self, recipient: int) -> Fields:
        if recipient > 0:
            return super()._to(recipient)
        return {"msgid": 9, "groupid": -recipient}


class GroupVisit(Visit):
    """A login of somebody in groups.

    :param ledger: also the mind's.
    """

    def __init__(self, wire: Wire, mind: Mind, manner: Manner, ledger: GroupLedger) -> None:
        super().__init__(wire, mind, manner)
        self._company = ledger

    async def log_in(self) -> int:
        backlog = await super().log_in()
        self._company.begin(self._mind.user_id, self)
        return backlog

    def _take(self, fields: Fields) -> bytes:
        match fields["msgid"]:
            case 9:
                self._pushed_to_us(fields)
            case 11 if fields["ack"] == 9:
                self._answered_by_a_group(fields)
            case _:
                answer = super()._take(fields)
                if fields["msgid"] == 5 or (fields["msgid"] == 11 and fields.get("cid")):
                    self._is_alive()
                return answer
        self._is_alive()
        return b""

    def _is_alive(self) -> None:
        if not self.manner.reads_every:  # who reads slowly may read what was said long ago
            self._company.alive(self._mind.user_id, self)

    def _answered_by_a_group(self, fields: Fields) -> None:
        now = asyncio.get_running_loop().time()
        self._mind.outgoing.answered(fields, self._owed, now)
        if fields["errno"] == 0:
            others = len(self._company.groups[-int(fields["cid"].rsplit(".", 2)[1])]) - 1
            if fields["members"] != others or "refused" in fields:
                self._ledger.complaints.append(f"{others} others: {fields}")

    def _message(self, fields: Fields) -> Message:
        if fields["msgid"] != 9:
            return super()._message(fields)
        sender, recipient, number = map(int, fields["msg"].split(" ", 3)[:3])
        if (fields["id"], fields["groupid"]) != (sender, -recipient):
            self._ledger.complaints.append(f"misdirected: {fields}")
        return Message(self._company.voice(sender, -recipient), self._mind.user_id, number)


class Traveller(Person):
    """Comes in at another port each time.

    :param ports: where one may come in.
    """

    def __init__(
        self,
        mind: Mind,
        ledger: GroupLedger,
        door: Proxy,
        watch: Callable[[bytes], None],
        ports: Sequence[int],
    ) -> None:
        super().__init__(mind, door, watch)
        self._ports = ports
        self._ledger = ledger

    async def _connect(self, manner: Manner) -> None:
        self._door.target = self.mind.chance.choice(self._ports)
        self._ledger.note(f"{self.mind.user_id} goes to port {self._door.target}")
        await super()._connect(manner)

    def _visit(self, wire: Wire, manner: Manner) -> Visit:
        return GroupVisit(wire, self.mind, manner, self._ledger)
