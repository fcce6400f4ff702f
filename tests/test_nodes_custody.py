"""Custody across nodes, in memory: three servers, one store, a bus that fails, and people who move.

The servers are whole; the people are those of the faults: senders who send again what was not
answered, and a recipient who drops what was seen.  Nodes are killed, ends of the bus are cut off
with or without noticing it, and the store of one node is away, hangs or loses its answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chat.bus.local import Hub
from chat.service import Server
from chat.storage import open_store
from chat.tcp import ChatFactory
from tests.broken import breakable
from tests.cables import Client, MemoryCable, Time
from tests.faults.ledger import Ledger, Message, judge
from tests.faults.outgoing import Outgoing
from tests.support import PASSWORD, PasswordsInMemory
from tests.support import settings as chat_settings

NODES = 3
ME = 3
SENDERS = (1, 2)
BOUNDS = {
    "window_messages": 4,
    "waiting_messages": 3,
    "page_rows": 2,
    "keep_after_seconds": 0.4,
    "store_patience_seconds": 1.0,
    "takeover_seconds": 0.5,
    "no_limits": True,
}


class NodeTime(Clock):
    """The time of one node, which ends with it."""

    def __init__(self, time: Time) -> None:
        super().__init__()
        self.time = time
        self.alive = True

    def seconds(self) -> float:
        return self.time.seconds()

    def callLater(
        self,
        delay: float,
        callable: Callable[..., object],  # noqa: A002 - as Clock has it
        *args: object,
        **kw: object,
    ) -> IDelayedCall:
        return self.time.callLater(delay, self._call, callable, args, kw)

    def _call(self, call: Callable[..., object], args: Any, named: Any) -> None:
        if self.alive:
            call(*args, **named)


class Running:
    """One node."""

    def __init__(self, machine: Across, name: str) -> None:
        self.time = NodeTime(machine.time)
        self.bus = machine.hub.end()
        store, self.faults = breakable(machine.store)
        self.server = Server(
            chat_settings({**BOUNDS, "node": name}), store, self.time, PasswordsInMemory(), self.bus
        )
        self.factory = ChatFactory(self.server, self.server.turn)
        self.server.start()
        opened = Deferred.fromCoroutine(self.server.open())
        machine.time.go(0.05)
        assert opened.called

    def kill(self, committed: bool) -> None:
        """The process is gone; what it had asked of the store may have happened."""
        self.time.alive = False
        self.bus.cut(noticed=False)
        if committed:
            self.faults.delay()
        else:
            self.faults.hang()
        for session in list(self.server.sessions):
            transport: Any = session.transport
            cable = transport.transport
            if not cable.gone:
                cable.gone = True
                cable.client.lost()


class Person:
    """A level 2 client."""

    def __init__(self, user_id: int, ledger: Ledger) -> None:
        self.id = user_id
        self.outgoing = Outgoing(user_id, None, "t", ledger, Random(0))
        self.client: Client | None = None
        self.inside = False
        """Whether the login was answered."""
        self.seen: set[tuple[int, str]] = set()
        self.unacknowledged: list[Message] = []
        self.pushed = 0
        self.owed: Any = None
        self.up: list[bytes] = []


class Across(RuleBasedStateMachine):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self.time = Time()
        self.hub = Hub(self.time.callLater)
        self.store = open_store("memory:", self.time, lambda: 1e9 + self.time.seconds())
        self.ledger = Ledger()
        self.people = {user_id: Person(user_id, self.ledger) for user_id in (*SENDERS, ME)}
        encoded: list[str] = []
        Deferred.fromCoroutine(_hash(encoded))
        for user_id in self.people:
            name = f"user{user_id}"
            Deferred.fromCoroutine(_register(self.store, name, encoded[0]))
        self.nodes = [Running(self, f"n{number}") for number in range(NODES)]

    @initialize(apart=st.booleans())
    def begin(self, apart: bool) -> None:
        """Everybody is on a node, the recipient perhaps on another one than the senders."""
        for user_id in SENDERS:
            self._log_in(user_id, 0)
        self._log_in(ME, 1 if apart else 0)
        self._settle()

    def _settle(self) -> None:
        self.time.settle()
        for person in self.people.values():
            if not person.inside:
                self._hear(person, 1)

    # People come and go

    def _log_in(self, user_id: int, node: int) -> None:
        person = self.people[user_id]
        running = self.nodes[node]
        client = Client(lambda client: MemoryCable(self.time, running.factory, client))
        person.client, person.inside = client, False
        client.id = user_id
        fields = {"msgid": 1, "id": user_id, "password": PASSWORD, "proto": 2, "takeover": True}
        client.send(fields)

    @rule(user_id=st.sampled_from((*SENDERS, ME)), node=st.integers(0, NODES - 1))
    def move(self, user_id: int, node: int) -> None:
        """Log in on a node; the former connection, if there is one, is taken over."""
        self._log_in(user_id, node)
        self._settle()

    @rule(user_id=st.sampled_from((*SENDERS, ME)))
    def lose(self, user_id: int) -> None:
        """A connection breaks."""
        person = self.people[user_id]
        if person.client is not None and not person.client.closed:
            person.client.cable.abort()
        self._settle()

    def _gone(self, person: Person) -> None:
        person.client = None
        person.inside = False

    # What they say and hear

    @rule(sender=st.sampled_from(SENDERS), count=st.integers(1, 6))
    def say(self, sender: int, count: int) -> None:
        person = self.people[sender]
        if person.client is None or person.client.closed or not person.inside:
            return
        data = b"".join(person.outgoing.fresh(ME) for _ in range(count))
        person.client.send_raw(data)
        self._settle()

    @rule(user_id=st.sampled_from((*SENDERS, ME)), count=st.integers(1, 9))
    def hear(self, user_id: int, count: int) -> None:
        self._hear(self.people[user_id], count)
        self._settle()

    def _hear(self, person: Person, count: int) -> None:
        client = person.client
        if client is None:
            return
        for _ in range(min(count, len(client.lines))):
            fields = json.loads(client.lines.popleft())
            if fields["msgid"] == 2:
                self._welcomed(person, client, fields)
            elif fields["msgid"] == 13:
                client.send({"msgid": 14})
            elif fields["msgid"] == 5:
                self._pushed(person, fields)
            elif fields["msgid"] == 11 and fields["ack"] == 5:
                person.outgoing.answered(fields, person.owed, self.time.seconds())
        if client.closed and not client.lines:
            self._gone(person)

    def _welcomed(self, person: Person, client: Client, fields: dict[str, Any]) -> None:
        if fields["errno"]:
            assert fields["errno"] in (2, 108), fields
            client.cable.abort()
            self._gone(person)
            return
        person.inside = True
        person.pushed = 0
        person.unacknowledged = []
        person.owed, data = person.outgoing.begin()
        if data:
            client.send_raw(data)

    def _pushed(self, person: Person, fields: dict[str, Any]) -> None:
        person.pushed += 1
        assert fields["seq"] == person.pushed, fields
        message = Message(*map(int, fields["msg"].split(" ", 3)[:3]))
        if (fields["id"], fields["cid"]) in person.seen:
            self.ledger.dropped += 1
        else:
            person.seen.add((fields["id"], fields["cid"]))
            self.ledger.show(message)
        person.unacknowledged.append(message)

    @rule(count=st.integers(1, 9))
    def acknowledge(self, count: int) -> None:
        self._acknowledge(count)
        self._settle()

    def _acknowledge(self, count: int) -> None:
        person = self.people[ME]
        client = person.client
        some = person.unacknowledged[:count]
        if client is None or client.closed or not some:
            return
        del person.unacknowledged[:count]
        self.ledger.acknowledged.update(some)
        client.send({"msgid": 12, "seq": person.pushed - len(person.unacknowledged)})

    @rule(sender=st.sampled_from(SENDERS))
    def say_again(self, sender: int) -> None:
        self._say_again(self.people[sender])
        self._settle()

    def _say_again(self, person: Person) -> None:
        client = person.client
        if client is None or client.closed or not person.inside:
            return
        if data := person.outgoing.due_again(self.time.seconds()):
            client.send_raw(data)

    # What goes wrong

    @rule(seconds=st.sampled_from([0.05, 0.3, 0.5, 1.1, 2.5, 12.0]))
    def wait(self, seconds: float) -> None:
        self.time.go(seconds)
        self._settle()

    @rule(node=st.integers(0, NODES - 1), noticed=st.booleans())
    def cut(self, node: int, noticed: bool) -> None:
        self.nodes[node].bus.cut(noticed=noticed)
        self._settle()

    @rule(node=st.integers(0, NODES - 1))
    def heal(self, node: int) -> None:
        self.nodes[node].bus.heal()
        self._settle()

    @rule(node=st.integers(0, NODES - 1), how=st.sampled_from(["away", "lose", "hang", "delay"]))
    def store_fails(self, node: int, how: str) -> None:
        faults = self.nodes[node].faults
        faults.recover()
        if how == "away":
            faults.away("offline")
        elif how == "lose":
            faults.lose_answers("offline")
        elif how == "hang":
            faults.hang("keep", "page", "forget")
        else:
            faults.delay("keep", "page", "forget")
        self._settle()

    @rule(node=st.integers(0, NODES - 1))
    def store_is_well(self, node: int) -> None:
        self.nodes[node].faults.recover()
        self._settle()

    @rule(node=st.integers(0, NODES - 1), committed=st.booleans(), once_in=st.integers(1, 3))
    def kill(self, node: int, committed: bool, once_in: int) -> None:
        if once_in > 1:
            return
        self.nodes[node].kill(committed)
        self.nodes[node] = Running(self, f"n{node}")
        self._settle()

    @rule()
    def all_is_well(self) -> None:
        """Everybody does all there is to do."""
        self._all_is_well()

    def _all_is_well(self) -> None:
        for running in self.nodes:
            running.faults.recover()
            running.bus.heal()
        for _ in range(4):
            for person in self.people.values():
                self._hear(person, 1000)
                self._say_again(person)
            self._acknowledge(1000)
            self._settle()
        self.time.go(0.1)

    # What must hold

    @invariant()
    def nothing_told_is_lost(self) -> None:
        rows = self._rows()
        for message in self.ledger.answers:
            cid = f"t.{ME}.{message.number}"
            kept = (message.sender, cid) in rows or message in self.ledger.acknowledged
            assert kept, f"{message} is lost"

    def _rows(self) -> set[tuple[int, str]]:
        found: list[Any] = []
        Deferred.fromCoroutine(_page(self.store, found))
        return {(row.sender, row.cid) for row in found}

    @invariant()
    def order_is_kept(self) -> None:
        verdict = judge(self.ledger)
        assert not verdict.out_of_order, f"{self.ledger.shown}"
        assert not verdict.twice and not verdict.untrue and not verdict.complaints, (
            verdict.examples()
        )

    def teardown(self) -> None:
        """All is well again, and nobody has to log in anew to get what there is."""
        self._all_is_well()
        open_: list[int] = []
        for _ in range(60):
            for user_id, person in self.people.items():
                if person.client is None:
                    self._log_in(user_id, user_id % NODES)
            self._all_is_well()
            open_ = [self.people[sender].outgoing.open for sender in SENDERS]
            if not any(open_) and not self._rows():
                break
            self.time.go(1.1)
        else:
            raise AssertionError(f"never comes to rest: {open_}, {self._rows()}")
        assert judge(self.ledger).good, judge(self.ledger).examples()


async def _hash(into: list[str]) -> None:
    into.append(await PasswordsInMemory().hash(PASSWORD))


async def _register(store: Any, name: str, encoded: str) -> None:
    await store.users.register(name, name, encoded)


async def _page(store: Any, into: list[Any]) -> None:
    rows, _ = await store.offline.page(ME, (0, 0), 100_000, 1 << 30)
    into += rows


class AcrossTests(SynchronousTestCase):
    """The machine above, run inside a test: trial would pass over it otherwise."""

    def test_any_interleaving(self) -> None:
        run_state_machine_as_test(
            Across,
            settings=settings(
                max_examples=100,
                stateful_step_count=40,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
