"""The mailbox against a model: any interleaving of messages, answers, logins and losses."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

from chat.config import Settings
from chat.copies import Copy
from chat.errors import ChatError, Code
from chat.mailbox import UNCOUNTED_MESSAGES, Mailbox, Phase
from chat.messages import OneChat
from chat.model import Census, Keeping, Kept, Outcome
from chat.receipts import SentTogether, State
from chat.runs import Run
from chat.senders import Sender

ME = 9
BOUNDS = Settings(
    window_messages=4,
    waiting_messages=3,
    page_rows=2,
    mailbox_messages=12,
    mailbox_per_sender=8,
)

KEEPING = (*["done"] * 6, *["done again"] * 3, "failed", "unknown", "unknown, and done", "late")
"""How the store answers what is to be kept."""


class Told:
    """A receipt that remembers what the sender was told."""

    def __init__(self) -> None:
        self.state: State | None = None
        self.error: ChatError | None = None

    def settle(self, state: State) -> None:
        assert self.state is None and self.error is None, "told twice"
        self.state = state

    def refuse(self, error: ChatError) -> None:
        assert self.state is None and self.error is None, "told twice"
        self.error = error


class Author:
    """A sender's connection: what it is answered is written into ``told``."""

    level = 2

    def __init__(self, sender: int, told: dict[tuple[int, str], Told]) -> None:
        self._sender = sender
        self._told = told

    def answer(self, line: bytes) -> None:
        fields = json.loads(line)
        told = self._told[self._sender, fields["cid"]]
        if fields["errno"]:
            told.refuse(ChatError(Code(fields["errno"])))
        else:
            told.settle(State[fields["state"].upper()])

    def answer_all(self, lines: list[bytes]) -> None:
        for line in lines:
            self.answer(line)


class FakeShelf:
    """A store that answers when the test says so; :attr:`rows` is the disk."""

    def __init__(self) -> None:
        self.rows: dict[tuple[int, str], Kept] = {}
        self.keeps: list[tuple[Mailbox, Sequence[Copy]]] = []
        self.committed: list[Outcome] | None = None
        """Of the first of them: it is on the disk, and the answer is on its way."""
        self.looked: tuple[list[Kept], bool] | None = None
        """The same for the first of the fetches."""
        self.late: list[Sequence[Copy]] = []
        self.fetches: list[tuple[Mailbox, tuple[int, int], int]] = []
        self.forgets: list[tuple[Mailbox, Sequence[Copy]]] = []
        self.counts: list[Mailbox] = []

    def census(self, mailbox: Mailbox) -> None:
        self.counts.append(mailbox)

    def keep(self, mailbox: Mailbox, copies: Sequence[Copy]) -> None:
        self.keeps.append((mailbox, list(copies)))

    def fetch(self, mailbox: Mailbox, after: tuple[int, int], login: int) -> None:
        self.fetches.append((mailbox, after, login))

    def forget(self, mailbox: Mailbox, copies: Sequence[Copy]) -> None:
        self.forgets.append((mailbox, list(copies)))

    def pretend(self, mailbox: Mailbox, copy: Copy) -> None:
        raise AssertionError("nobody is blocked here")

    def write(self, copies: Sequence[Copy]) -> list[Outcome]:
        outcomes = []
        for copy in copies:
            there = self.rows.get(copy.name)
            if there is None:
                self.rows[copy.name] = Kept(
                    ME, copy.stamp, copy.sender, copy.cid, copy.given, 5, b"", copy.body
                )
                outcomes.append(Outcome(Keeping.STORED, copy.stamp))
            else:
                outcomes.append(Outcome(Keeping.REPEATED, there.stamp))
        return outcomes

    def answer_census(self, reached: bool) -> None:
        mailbox = self.counts.pop(0)
        if not reached:
            mailbox.not_opened()
            return
        by_sender: dict[int, int] = {}
        for sender, _ in self.rows:
            by_sender[sender] = by_sender.get(sender, 0) + 1
        mailbox.opened(Census(len(self.rows), by_sender))

    def answer_keep(self, how: str) -> None:
        mailbox, copies = self.keeps.pop(0)
        outcomes, self.committed = self.committed, None
        if how == "done again":
            # The answer to the commit was cut, and the transaction done once more.
            self.write(copies)
            outcomes = self.write(copies)
        if how.startswith("done"):
            mailbox.kept(copies, outcomes or self.write(copies))
            return
        if how == "unknown, and done" and outcomes is None:
            self.write(copies)
        elif how == "late":
            self.late.append(copies)
        given_up = [(mailbox, copies, how != "failed" or outcomes is not None)]
        # A writer that fails gives up what is behind as well.
        given_up += [(box, behind, False) for box, behind in self.keeps]
        self.keeps.clear()
        for box, some, unknown in given_up:
            box.not_kept(some, unknown)

    def answer_fetch(self, reached: bool, now: float) -> None:
        mailbox, after, login = self.fetches.pop(0)
        looked, self.looked = self.looked, None
        if not reached:
            mailbox.no_page(login, now)
            return
        rows, more = looked or self.look(after)
        mailbox.page(login, rows, more, now)

    def look(self, after: tuple[int, int]) -> tuple[list[Kept], bool]:
        rows = sorted(
            (r for r in self.rows.values() if (r.stamp, r.sender) > after),
            key=lambda r: (r.stamp, r.sender),
        )
        return rows[: BOUNDS.page_rows], len(rows) > BOUNDS.page_rows

    def answer_forget(self, done: bool) -> None:
        mailbox, copies = self.forgets.pop(0)
        if done:
            for copy in copies:
                row = self.rows.get(copy.name)
                if row is not None and row.stamp == copy.stamp:
                    del self.rows[copy.name]
        mailbox.forgotten(copies, done)


class FakeClient:
    """A connection, and the client at its end, which acknowledges when the test says so."""

    def __init__(self, level: int) -> None:
        self.level = level
        self.lines: list[bytes] = []
        """What was pushed, whether it has arrived or not."""
        self.arrived = 0
        self.welcomed = False
        self.refused = False
        self.offset = 0

    def push(self, line: bytes) -> int:
        assert self.welcomed, "a push before the login's answer"
        self.lines.append(line)
        self.offset += len(line) + 1
        return self.offset

    def push_all(self, lines: list[bytes]) -> int:
        for line in lines:
            self.push(line)
        return self.offset

    def flush(self) -> None:
        pass

    def welcome(self, backlog: int, waiting: Sequence[Copy]) -> tuple[int, int]:
        self.welcomed = True
        taken = [copy.body for copy in waiting[:3]]
        self.lines.extend(taken)
        self.offset += sum(map(len, taken)) + 1
        return len(taken), self.offset

    def not_welcome(self, error: ChatError) -> None:
        self.refused = True


class Messages(RuleBasedStateMachine):
    """Two senders, one recipient; the model is what was told, shown and kept."""

    def __init__(self) -> None:
        super().__init__()
        self.shelf = FakeShelf()
        self.mailbox = Mailbox(ME, BOUNDS, self.shelf)
        self.client: FakeClient | None = None
        self.now = 100.0
        self.stamp = 0
        self.told: dict[tuple[int, str], Told] = {}
        self.senders = {n: Sender(n, "", BOUNDS, lambda: self.now) for n in (1, 2)}
        self.authors = {n: Author(n, self.told) for n in (1, 2)}
        self.runs: list[SentTogether] = []
        self.shown: list[tuple[int, str]] = []
        """What the recipient has seen for the first time, in order."""
        self.acknowledged: set[tuple[int, str]] = set()
        self.acknowledged_before: set[tuple[int, str]] = set()
        self.unsure = False
        """The store has left something open: a message may be pushed again."""

    @initialize(waiting=st.integers(0, 6), level=st.sampled_from([0, 1, 2, 2, 2]))
    def begin(self, waiting: int, level: int) -> None:
        for _ in range(waiting):
            copy = self._message(1)
            self.shelf.write([copy])
            copy.settle(State.STORED)
        self.mailbox.open()
        if level:
            self.log_in(level)
            self.keep_up()

    def _message(self, sender: int) -> Copy:
        self.stamp += 1
        cid = f"{self.stamp}"
        told = self.told[sender, cid] = Told()
        fields = {"msgid": 5, "id": sender, "toid": ME, "msg": "", "cid": cid}
        body = json.dumps(fields).encode()
        ask = OneChat(toid=ME, msg="")
        return Copy(sender, self.stamp, cid, False, 5, body, told, self.now, ask)

    @rule(sender=st.sampled_from([1, 2]), count=st.integers(1, 9))
    def send(self, sender: int, count: int) -> None:
        for _ in range(count):
            self.mailbox.send(self._message(sender))

    @rule(sender=st.sampled_from([1, 2]), count=st.integers(1, 4))
    def send_together(self, sender: int, count: int) -> None:
        """As many as there is room for go as one, the others one by one."""
        together = min(count, self.mailbox.room(sender))
        if together > 0:
            copies = [self._message(sender) for _ in range(together)]
            cids = [copy.cid for copy in copies]
            me = self.senders[sender]
            receipt = SentTogether(me, self.authors[sender], ME, cids, [0] * together)
            me.sent.update(dict.fromkeys(cids, receipt))
            me.unanswered += together
            me.remember_all(receipt)
            lines = [copy.body for copy in copies]
            size = sum(map(len, lines)) + together
            self.mailbox.push_run(
                Run(sender, copies[0].stamp, cids, "", lines, receipt, self.now, size)
            )
            self.runs.append(receipt)
        self.send(sender, count - max(0, together))

    @rule(back=st.integers(1, 3), index=st.integers(0, 3))
    @precondition(lambda self: self.runs)
    def tell_apart(self, back: int, index: int) -> None:
        """One of those that went together is asked for by its name."""
        run = self.runs[-min(back, len(self.runs))]
        cid = run.cids[index % len(run.cids)]
        sent = run.sender.known(cid)
        assert sent is None or (sent.cid, sent.state) == (cid, self.told[run.sender.id, cid].state)

    @rule(before=st.integers(0, 3), after=st.integers(0, 5))
    @precondition(lambda self: self.shelf.fetches)
    def send_around_a_page(self, before: int, after: int) -> None:
        """Traffic while the store is drained."""
        for count in (before, after):
            if count:
                self.send(2, count)
            if self.shelf.fetches:
                self.store_reads(True)

    @rule(count=st.integers(1, 3))
    @precondition(lambda self: self.shelf.fetches and self.shelf.looked is None)
    def send_behind_a_page(self, count: int) -> None:
        """What is kept after a page was read, and before it is handed over."""
        self.store_looks()
        self.send(1, count)
        while self.shelf.keeps:
            self.store_keeps("done")
        self.store_reads(True)

    @rule(how=st.sampled_from(["done", "unknown, and done"]))
    @precondition(lambda self: self.mailbox.phase is Phase.LIVE)
    def acknowledge_late(self, how: str) -> None:
        """What is being kept already when it is acknowledged."""
        self.send(2, 2)
        self.wait(1.1)
        self._arrive(99)
        self.acknowledge(0)
        if self.shelf.keeps:
            self.store_keeps(how)

    @rule(level=st.sampled_from([1, 2, 2]))
    @precondition(lambda self: self.client is None)
    def log_in(self, level: int) -> None:
        self.client = FakeClient(level)
        self.acknowledged_before = set(self.acknowledged)
        self.mailbox.attach(self.client)

    @rule(arrived=st.integers(0, 9), once_in=st.integers(1, 3))
    @precondition(lambda self: self.client is not None and self.client.welcomed)
    def lose(self, arrived: int, once_in: int) -> None:
        """The connection ends, with some of what was pushed still on its way."""
        if once_in > 1:
            return
        self._arrive(arrived)
        self.client = None
        self.mailbox.detach(self.now)

    @rule(first=st.booleans(), once_in=st.integers(1, 3))
    @precondition(lambda self: self.client is not None)
    def take_over(self, first: bool, once_in: int) -> None:
        if once_in > 1:
            return
        self.mailbox.detach(self.now)
        self.client = FakeClient(2 if first else 1)
        self.acknowledged_before = set(self.acknowledged)
        self.mailbox.attach(self.client)

    @rule()
    @precondition(lambda self: self.client is not None)
    def keep_up(self) -> None:
        """Everything is done that can be."""
        for _ in range(20):
            self.store_catches_up()
            if self.client is not None and self.client.welcomed:
                self.acknowledge(0)
                if self.client.level == 2:
                    self._arrive(99)

    @rule(count=st.integers(0, 9))
    @precondition(lambda self: self.client is not None and self.client.welcomed)
    def arrive(self, count: int) -> None:
        self._arrive(count)

    def _arrive(self, count: int) -> None:
        client = self.client
        assert client is not None
        for line in client.lines[client.arrived : client.arrived + count]:
            client.arrived += 1
            fields = json.loads(line)
            name = (fields["id"], fields["cid"])
            if name not in self.shown:
                self.shown.append(name)
            if client.level == 2:
                assert fields["seq"] == client.arrived

    @rule(fewer=st.integers(0, 3))
    @precondition(lambda self: self.client is not None and self.client.welcomed)
    def acknowledge(self, fewer: int) -> None:
        client = self.client
        assert client is not None
        if client.level == 1:
            self._arrive(len(client.lines))
            self.acknowledged |= {_name(line) for line in client.lines}
            self.mailbox.written(client.offset)
        else:
            upto = max(0, client.arrived - fewer)
            self.acknowledged |= {_name(line) for line in client.lines[:upto]}
            self.mailbox.received(upto)

    @rule()
    @precondition(lambda self: self.client is not None and self.client.welcomed)
    def acknowledge_too_much(self) -> None:
        client = self.client
        assert client is not None
        if client.level == 2:
            try:
                self.mailbox.received(len(client.lines) + 1)
            except ChatError as error:
                assert error.code == Code.BAD_REQUEST
            else:
                raise AssertionError("acknowledged what was not pushed")

    @rule(seconds=st.sampled_from([0.3, 1.1, 2.5]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.mailbox.tick(self.now)

    @rule(reached=st.sampled_from([True] * 6 + [False]))
    @precondition(lambda self: self.shelf.counts)
    def store_counts(self, reached: bool) -> None:
        self.shelf.answer_census(reached)
        self._login_may_have_failed()

    @rule()
    @precondition(lambda self: self.shelf.keeps and self.shelf.committed is None)
    def store_commits(self) -> None:
        """The rows are there before anybody is told."""
        self.shelf.committed = self.shelf.write(self.shelf.keeps[0][1])

    @rule()
    @precondition(lambda self: self.shelf.fetches and self.shelf.looked is None)
    def store_looks(self) -> None:
        """A page is what was there some time before it is answered."""
        self.shelf.looked = self.shelf.look(self.shelf.fetches[0][1])

    @rule()
    def store_catches_up(self) -> None:
        """Everything that was asked of it is done."""
        for _ in range(100):
            if self.shelf.counts:
                self.shelf.answer_census(True)
            elif self.shelf.keeps:
                self.shelf.answer_keep("done")
            elif self.shelf.fetches:
                self.shelf.answer_fetch(True, self.now)
            elif self.shelf.forgets:
                self.shelf.answer_forget(True)
            else:
                break

    @rule(how=st.sampled_from(KEEPING))
    @precondition(lambda self: self.shelf.keeps)
    def store_keeps(self, how: str) -> None:
        self.unsure = self.unsure or not how.startswith("done")
        self.shelf.answer_keep(how)

    @rule()
    @precondition(lambda self: self.shelf.late)
    def store_kept_after_all(self) -> None:
        self.shelf.write(self.shelf.late.pop(0))
        self.mailbox.appeared()

    @rule(reached=st.sampled_from([True] * 6 + [False]))
    @precondition(lambda self: self.shelf.fetches)
    def store_reads(self, reached: bool) -> None:
        self.shelf.answer_fetch(reached, self.now)
        self._login_may_have_failed()

    @rule(done=st.sampled_from([True] * 6 + [False]))
    @precondition(lambda self: self.shelf.forgets)
    def store_forgets(self, done: bool) -> None:
        self.unsure = self.unsure or not done
        self.shelf.answer_forget(done)

    def _login_may_have_failed(self) -> None:
        if self.client is not None and self.client.refused:
            self.client = None

    # What must hold

    @invariant()
    def nothing_told_is_lost(self) -> None:
        for name, told in self.told.items():
            if told.state is State.DELIVERED:
                assert name in self.acknowledged, f"{name} is not delivered"
            elif told.state is State.STORED:
                kept = name in self.shelf.rows or name in self.acknowledged
                assert kept, f"{name} is lost"

    @invariant()
    def order_is_kept(self) -> None:
        for sender in (1, 2):
            # What was refused with 108 may turn up or not, and is sent again by its sender.
            order = [int(c) for s, c in self.shown if s == sender and not self._refused(s, c)]
            assert order == sorted(order), f"out of order: {order}"

    def _refused(self, sender: int, cid: str) -> bool:
        return self.told[sender, cid].error is not None

    @invariant()
    def nothing_is_pushed_twice(self) -> None:
        client = self.client
        if client is None or self.unsure:
            return
        names = [_name(line) for line in client.lines]
        assert len(names) == len(set(names)), f"pushed twice: {names}"
        again = self.acknowledged_before & set(names)
        assert not again, f"pushed again after its acknowledgement: {again}"

    @invariant()
    def who_is_away_keeps_nobody_waiting(self) -> None:
        if self.client is None and self._quiet() and self.mailbox.known:
            open_ = [n for n, t in self.told.items() if t.state is None and t.error is None]
            assert not open_, f"never answered: {open_}"

    @invariant()
    def what_is_unanswered_is_counted(self) -> None:
        for number, sender in self.senders.items():
            names = [(number, cid) for run in self.runs if run.sender is sender for cid in run.cids]
            answers = [self.told[name] for name in names]
            open_ = sum(told.state is None and told.error is None for told in answers)
            assert sender.unanswered == open_

    @invariant()
    def memory_is_bounded(self) -> None:
        box = self.mailbox
        assert box._window.size == sum(
            len(copy.body) if isinstance(copy, Copy) else copy.size
            for copy in box._window.copies
        )
        assert box.pushed == sum(
            1 if isinstance(copy, Copy) else len(copy.lines) for copy in box._window.copies
        )
        assert box.pushed <= BOUNDS.window_messages + BOUNDS.waiting_messages + BOUNDS.page_rows + 1
        assert box.waiting <= (BOUNDS.waiting_messages if box.known else UNCOUNTED_MESSAGES)

    def teardown(self) -> None:
        """The store is there again, and the recipient takes everything, in two logins."""
        self._come_to_rest()
        if self.mailbox.receiver is not None:
            self.mailbox.detach(self.now)
            self.client = None
        self._come_to_rest()
        self.nothing_told_is_lost()
        self.order_is_kept()
        for name, told in self.told.items():
            assert told.state is not None or told.error is not None, f"{name} was never answered"
            if told.state in (State.STORED, State.DELIVERED):
                assert name in self.shown, f"{name} was never shown"
        assert not self.shelf.rows, f"left in the store: {list(self.shelf.rows)}"

    def _come_to_rest(self) -> None:
        for _ in range(400):
            while self.shelf.late:
                self.store_kept_after_all()
            if self.shelf.counts:
                self.store_counts(True)
            elif self.shelf.keeps:
                self.store_keeps("done")
            elif self.shelf.fetches:
                self.store_reads(True)
            elif self.shelf.forgets:
                self.shelf.answer_forget(True)
            elif self.client is None:
                self.log_in(2)
            elif self.client.welcomed and self.client.arrived < len(self.client.lines):
                self._arrive(99)
                self.acknowledge(0)
            else:
                self.acknowledge(0)
                self.wait(1.1)
                if self.mailbox.phase is Phase.LIVE and self._quiet():
                    break
        else:
            raise AssertionError(f"never comes to rest in {self.mailbox.phase}")

    def _quiet(self) -> bool:
        shelf = self.shelf
        return not (shelf.keeps or shelf.fetches or shelf.forgets or shelf.counts)


def _name(line: bytes) -> tuple[int, str]:
    fields = json.loads(line)
    return fields["id"], fields["cid"]


class MailboxTests(SynchronousTestCase):
    """The machine above, run inside a test: trial would pass over it otherwise."""

    def test_rows_appear_while_something_waits(self) -> None:
        """What waits in memory goes before what comes after it and is stored."""
        machine = Messages()
        machine.begin(waiting=0, level=0)
        machine.store_catches_up()
        machine.send(count=1, sender=1)
        machine.log_in(level=1)
        machine.store_keeps(how="late")
        machine.send_around_a_page(before=1, after=1)
        machine.store_kept_after_all()
        machine.send(count=1, sender=2)
        machine.teardown()

    def test_a_commit_that_had_to_be_repeated_is_counted(self) -> None:
        """The answer to a commit was cut: the rows are there, and nobody had counted them."""
        machine = Messages()
        machine.begin(waiting=0, level=0)
        machine.store_catches_up()
        machine.send(count=1, sender=1)
        machine.store_keeps(how="done again")
        self.assertEqual(machine.mailbox.stored, 1)
        machine.teardown()

    def test_a_login_that_fails_has_not_looked(self) -> None:
        """What may be in the store is looked for by the next one."""
        machine = Messages()
        machine.begin(waiting=0, level=1)
        machine.acknowledge_late(how="unknown, and done")
        machine.store_forgets(done=False)
        machine.take_over(first=False, once_in=1)
        machine.store_reads(reached=False)
        machine.teardown()

    def test_any_interleaving(self) -> None:
        run_state_machine_as_test(
            Messages,
            settings=settings(
                max_examples=400,
                stateful_step_count=60,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
