"""Two clients and a server between them, and everything that can go wrong on the way.

The server is a model of what PROTOCOL promises; connections are cut, processes killed, the store is
away now and then, answers come late, and the server forgets which cids it has answered.  Whatever
happens, each message is shown once, and to each recipient in the order in which it was written.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import TestCase

from chat.client.dialogue import Dialogue
from chat.client.events import Answered, Arrived, Broken, Limits, Phase
from chat.client.receiving import Key
from chat.client.sending import Unsent

ANN, BOB, TEA = 7, 8, 3
LIMITS = Limits(window=4, keepalive=1e9)


@dataclass
class Disk:
    """What a client's ledger holds, and what its user saw."""

    outbox: dict[str, Unsent] = field(default_factory=dict)
    seen: list[Key] = field(default_factory=list)
    shown: list[tuple[int, str]] = field(default_factory=list)
    run: int = 0


class Server:
    """Custody of one recipient's messages, and of one sender's answers."""

    def __init__(self) -> None:
        self.mailbox: list[dict[str, Any]] = []
        self.pushed = 0
        self.known: set[str] = set()
        self.gates: dict[tuple[int, int], str] = {}
        self.unread: list[dict[str, Any]] = []
        self.answers: list[dict[str, Any]] = []

    def sender_gone(self) -> None:
        self.unread.clear()
        self.answers.clear()
        self.gates.clear()

    def recipient_gone(self) -> None:
        self.pushed = 0

    def read(self, store_is_away: bool) -> None:
        line = self.unread.pop(0)
        cid = line["cid"]
        lane = line["msgid"], line.get("toid") or line["groupid"]
        if self.gates.get(lane, cid) != cid or store_is_away:
            self.gates.setdefault(lane, cid)
            self.answers.append({"errno": 108, "retry_after": 1, "cid": cid, "ack": lane[0]})
            return
        self.gates.pop(lane, None)
        if cid not in self.known:
            self.known.add(cid)
            self.mailbox.append(line)
        self.answers.append({"errno": 0, "state": "stored", "cid": cid, "ack": lane[0]})

    def push(self) -> dict[str, Any] | None:
        if self.pushed == len(self.mailbox):
            return None
        line = self.mailbox[self.pushed]
        self.pushed += 1
        return {**line, "id": ANN, "name": "ann", "seq": self.base + self.pushed}

    base = 0

    def received(self, seq: int) -> None:
        done = seq - self.base
        del self.mailbox[:done]
        self.pushed -= done
        self.base = seq


class Journey(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.server = Server()
        self.disks = {ANN: Disk(), BOB: Disk()}
        self.running: list[Key] = []
        self.written: list[tuple[int, str]] = []
        self.ann = self.start(ANN)
        self.bob = self.start(BOB)

    def start(self, user_id: int) -> Dialogue:
        disk = self.disks[user_id]
        disk.run += 1
        return Dialogue(
            user_id,
            nonce=f"{user_id}.{disk.run}",
            password="x",
            waiting=disk.outbox.values(),
            seen=disk.seen,
            limits=LIMITS,
        )

    def tell(self, dialogue: Dialogue, line: dict[str, Any]) -> None:
        for event in dialogue.line(json.dumps(line).encode(), self.now):
            assert not isinstance(event, Broken), event
            if isinstance(event, Answered):
                del self.disks[ANN].outbox[event.unsent.cid]
            elif isinstance(event, Arrived):
                self.running.append(event.message.key)
                target = getattr(event.message, "groupid", BOB)
                self.disks[BOB].shown.append((target, event.message.msg))

    def login(self, dialogue: Dialogue) -> None:
        dialogue.connected(self.now)
        dialogue.take(self.now)
        self.tell(dialogue, {"msgid": 2, "errno": 0, "id": 0, "name": "x", "proto": 2})

    def flow(self) -> None:
        """What the clients have to say is on the wire."""
        self.server.unread += map(json.loads, self.ann.take(self.now).splitlines())
        for line in map(json.loads, self.bob.take(self.now).splitlines()):
            self.server.received(line["seq"])

    @rule(to=st.sampled_from([BOB, TEA]))
    def write(self, to: int) -> None:
        text = str(len(self.written))
        self.written.append((to, text))
        unsent = self.ann.compose(9 if to == TEA else 5, to, text, "now", None)
        self.disks[ANN].outbox[unsent.cid] = unsent
        self.ann.send(unsent)
        self.flow()

    @precondition(lambda self: self.ann.phase is Phase.OFFLINE)
    @rule()
    def ann_connects(self) -> None:
        self.login(self.ann)
        self.flow()

    @precondition(lambda self: self.bob.phase is Phase.OFFLINE)
    @rule()
    def bob_connects(self) -> None:
        self.server.base = 0
        self.login(self.bob)
        self.flow()

    @precondition(lambda self: self.ann.phase is Phase.ONLINE)
    @rule(killed=st.booleans(), read=st.integers(0, 4), away=st.booleans())
    def ann_goes(self, killed: bool, read: int, away: bool) -> None:
        for _ in range(min(read, len(self.server.unread))):
            self.server.read(away)
        self.server.sender_gone()
        self.ann.lost()
        if killed:
            self.ann = self.start(ANN)

    @precondition(lambda self: self.bob.phase is Phase.ONLINE)
    @rule(killed=st.booleans())
    def bob_goes(self, killed: bool) -> None:
        self.server.recipient_gone()
        self.bob.lost()
        if killed:
            # What was shown just now, and not recorded, is what a kill may show again: the
            # application is asked to be done with a message before anything else can happen.
            for key in list(self.running):
                self.done(key)
            self.bob = self.start(BOB)

    @precondition(lambda self: self.server.unread)
    @rule(away=st.booleans())
    def server_reads(self, away: bool) -> None:
        self.server.read(away)

    @precondition(lambda self: self.server.answers)
    @rule(data=st.data())
    def server_answers(self, data: st.DataObject) -> None:
        which = data.draw(st.integers(0, len(self.server.answers) - 1))
        self.tell(self.ann, {"msgid": 11, **self.server.answers.pop(which)})
        self.flow()

    @precondition(lambda self: self.bob.phase is Phase.ONLINE)
    @rule()
    def server_pushes(self) -> None:
        line = self.server.push()
        if line is not None:
            self.tell(self.bob, line)
            self.flow()

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def bob_is_done(self, data: st.DataObject) -> None:
        self.done(data.draw(st.sampled_from(self.running)))
        self.flow()

    def done(self, key: Key) -> None:
        self.running.remove(key)
        self.disks[BOB].seen.append(key)
        self.bob.handled(key)

    @rule()
    def server_forgets(self) -> None:
        """Restarted, or it is long ago.  What is stored, it knows."""
        self.server.known = {line["cid"] for line in self.server.mailbox}

    @rule(seconds=st.sampled_from([0.5, 1.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.flow()

    @invariant()
    def nothing_is_shown_twice_or_out_of_order(self) -> None:
        shown = self.disks[BOB].shown
        assert len(set(shown)) == len(shown), shown
        for target in (BOB, TEA):
            numbers = [int(text) for to, text in shown if to == target]
            assert numbers == sorted(numbers), numbers

    @invariant()
    def the_window_holds(self) -> None:
        assert self.ann.outbox.in_flight <= LIMITS.window

    def teardown(self) -> None:
        """Everything works again: all that was written arrives."""
        if self.ann.phase is Phase.OFFLINE:
            self.ann_connects()
        if self.bob.phase is Phase.OFFLINE:
            self.bob_connects()
        for _ in range(4 * len(self.written) + 4):
            self.now += 1.0
            self.flow()
            while self.server.unread:
                self.server.read(False)
            while self.server.answers:
                self.tell(self.ann, {"msgid": 11, **self.server.answers.pop(0)})
            while (line := self.server.push()) is not None:
                self.tell(self.bob, line)
            while self.running:
                self.done(self.running[0])
        self.flow()
        self.nothing_is_shown_twice_or_out_of_order()
        assert sorted(self.disks[BOB].shown) == sorted(self.written)
        assert not self.disks[ANN].outbox
        assert not len(self.ann.outbox)
        assert not self.server.mailbox


class ResendTests(TestCase):
    def test_each_message_is_shown_once_and_in_order(self) -> None:
        run_state_machine_as_test(
            Journey,
            settings=settings(max_examples=150, stateful_step_count=40, deadline=None),
        )
