"""Custody as a whole, in memory: senders that follow the protocol, one recipient, a store that
answers when and how it likes, and a process that is killed.

Relay, delivery, senders, mailbox and shelf are the real ones; the senders' clients and the judge
are those of the faults.  What takes a storm an hour to meet, Hypothesis meets in seconds, and says
how.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Sequence
from random import Random
from typing import Any

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
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock as TwistedClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from chat.config import Settings
from chat.copies import Copy
from chat.delivery import Delivery
from chat.errors import ChatError, StoreAway
from chat.messages import MsgId, OneChat
from chat.model import Census, Keeping, Kept, KeptKey, Outcome, Place
from chat.receipts import Nameless
from chat.relay import Relay
from chat.senders import Sender
from chat.shelf import StoreShelf
from chat.wire import parse, refusal
from tests.faults.ledger import Ledger, Message, judge
from tests.faults.outgoing import Outgoing

SENDERS = (1, 2)
ME = 9
BOUNDS = Settings(
    window_messages=4,
    waiting_messages=3,
    page_rows=2,
    keep_after_seconds=0.4,
    store_patience_seconds=2.0,
    no_limits=True,
)


class Time:
    """The clock of the rules."""

    def __init__(self) -> None:
        self.reactor = TwistedClock()
        self.monotonic: Callable[[], float] = self.reactor.seconds

    def time(self) -> float:
        """Seconds since some epoch."""
        return 1e9 + self.reactor.seconds()


class Call:
    """Something that the store has been asked for."""

    def __init__(self, name: str, work: Callable[[], Any]) -> None:
        self.name = name
        self.work = work
        self.done = False
        """Whether the disk has it."""
        self.names: set[tuple[int, str]] = set()
        """Of the messages to be kept."""
        self.answer: Deferred[Any] = Deferred()
        self.result: Any = None

    def do(self) -> None:
        """The transaction, or the look."""
        if not self.done:
            self.done = True
            self.result = self.work()

    def do_again(self) -> None:
        """The answer to the transaction was cut, and it is done once more."""
        self.do()
        self.result = self.work()


class Disk:
    """Implements :class:`chat.interfaces.Offline`: what is in :attr:`rows` survives."""

    def __init__(self) -> None:
        self.rows: dict[tuple[int, str], Kept] = {}
        self.calls: list[Call] = []
        self.late: list[Call] = []
        """Nobody waits for them any more, but they may still happen."""

    def _ask(self, name: str, work: Callable[[], Any]) -> Deferred[Any]:
        call = Call(name, work)
        self.calls.append(call)
        return call.answer

    def census(self, recipients: Sequence[int]) -> Deferred[dict[int, Census]]:
        return self._ask("census", lambda: {ME: self._count()} if ME in recipients else {})

    def keep(self, rows: Sequence[Kept]) -> Deferred[list[Outcome]]:
        done = self._ask("keep", lambda: list(map(self._keep, rows)))
        self.calls[-1].names = {(row.sender, row.cid) for row in rows}
        return done

    def page(
        self, recipient: int, after: tuple[int, int], rows: int, size: int
    ) -> Deferred[tuple[list[Kept], bool]]:
        return self._ask("page", lambda: self._page(after, rows))

    def places(self, recipient: int, upto: tuple[int, int]) -> Deferred[list[Place]]:
        raise AssertionError("there is one node here")

    def forget(self, keys: Sequence[KeptKey]) -> Deferred[None]:
        return self._ask("forget", lambda: self._forget(keys))

    def _count(self) -> Census:
        by_sender: dict[int, int] = {}
        for sender, _ in self.rows:
            by_sender[sender] = by_sender.get(sender, 0) + 1
        return Census(len(self.rows), by_sender)

    def _keep(self, row: Kept) -> Outcome:
        there = self.rows.setdefault((row.sender, row.cid), row)
        return Outcome(Keeping.STORED if there is row else Keeping.REPEATED, there.stamp)

    def _page(self, after: tuple[int, int], rows: int) -> tuple[list[Kept], bool]:
        found = sorted((row.stamp, row.sender, row.cid) for row in self.rows.values())
        page = [self.rows[sender, cid] for stamp, sender, cid in found if (stamp, sender) > after]
        return page[:rows], len(page) > rows

    def _forget(self, keys: Sequence[KeptKey]) -> None:
        gone = {(key.stamp, key.sender) for key in keys}
        self.rows = {
            name: row for name, row in self.rows.items() if (row.stamp, row.sender) not in gone
        }


class Line:
    """A level 2 connection from the server's side; implements :class:`chat.delivery.Peer`.

    What the server says waits in :attr:`down` until it arrives.
    """

    level = 2
    nameless: Nameless
    line = b""

    def __init__(self, time: Time) -> None:
        self.down: list[dict[str, Any]] = []
        self.sender: Sender | None = None
        self.closed = False
        self.welcomed = False
        self.backlog = 0
        self.now = time.monotonic()

    def answer(self, line: bytes) -> None:
        if not self.closed:
            self.down.append(json.loads(line))

    def answer_all(self, lines: list[bytes]) -> None:
        for line in lines:
            self.answer(line)

    def push(self, line: bytes) -> int:
        assert self.welcomed and not self.closed
        self.answer(line)
        return 0

    def push_all(self, lines: list[bytes]) -> int:
        for line in lines:
            self.push(line)
        return 0

    def flush(self) -> None:
        pass

    def hint(self, line: bytes) -> None:
        raise AssertionError("nobody gives hints here")

    def welcome(self, backlog: int, waiting: Sequence[Copy]) -> tuple[int, int]:
        self.welcomed = True
        self.backlog = backlog
        return 0, 0

    def not_welcome(self, error: ChatError) -> None:
        self.closed = True

    def still_there(self) -> Deferred[bool]:
        raise AssertionError("nobody is asked")

    def replaced(self) -> None:
        self.closed = True

    def dismissed(self, why: str) -> None:
        raise AssertionError("no operator is here")


class Author:
    """A sender's client."""

    def __init__(self, user_id: int, ledger: Ledger) -> None:
        self.id = user_id
        name = str(user_id) if user_id == SENDERS[0] else None
        self.outgoing = Outgoing(user_id, name, "t", ledger, Random(0))
        self.line: Line | None = None
        self.up: list[bytes] = []
        """Lines that the server has not read yet."""
        self.owed: Any = None


class Custody(RuleBasedStateMachine):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self.time = Time()
        self.disk = Disk()
        self.ledger = Ledger()
        self.authors = {user_id: Author(user_id, self.ledger) for user_id in SENDERS}
        self.line: Line | None = None
        """The recipient's."""
        self.seen: set[tuple[int, str]] = set()
        self.unacknowledged: list[Message] = []
        self.pushed = 0
        self.failures: list[BaseException | None] = []
        self.came_late = False
        """The store did something when nobody waited for it any more: a row of a message that was
        sent again, and has come since, may stay until the next start."""
        self._start()

    def _start(self) -> None:
        self.shelf = StoreShelf(
            self.disk, BOUNDS, self.time, self._spawn, self.time.reactor.callLater
        )
        self.delivery = Delivery(BOUNDS, self.shelf, self.time)
        self.relay = Relay(self.delivery, BOUNDS.unanswered_per_sender)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        Deferred.fromCoroutine(work).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        self.failures.append(failure.value)

    @initialize(online=st.sampled_from([True, True, False]))
    def begin(self, online: bool) -> None:
        if online:
            self._log_in()
            self.store_is_there()

    # The server

    def _turn(self, seconds: float = 0.0) -> None:
        self.time.reactor.advance(seconds)
        if seconds:
            now = self.time.monotonic()
            self.shelf.tick(now)
            self.delivery.tick(now)
            self.time.reactor.advance(0)
        assert not self.failures, self.failures

    @rule(seconds=st.sampled_from([0.05, 0.5, 0.5, 1.1, 2.5]))
    def wait(self, seconds: float) -> None:
        self._turn(seconds)

    @rule(once_in=st.integers(1, 3))
    def kill(self, once_in: int) -> None:
        """The process is gone; what it had asked of the store may happen, or not, or later."""
        if once_in > 1:
            return
        self.line = None
        for author in self.authors.values():
            author.line = None
        self.disk.late += self.disk.calls
        self.disk.calls = []
        for call in self.time.reactor.getDelayedCalls():
            call.cancel()
        self.time.reactor.advance(0.5)
        self._start()

    # The senders

    @rule(sender=st.sampled_from(SENDERS))
    def author_logs_in(self, sender: int) -> None:
        self._author_logs_in(self.authors[sender])

    def _author_logs_in(self, author: Author) -> None:
        if author.line is not None:
            author.line.closed = True
        line = author.line = Line(self.time)
        stamps = [row.stamp for row in self.disk.rows.values() if row.sender == author.id]
        line.sender = self.delivery.sender(author.id, f"{author.id}", max(stamps, default=0))
        author.owed, data = author.outgoing.begin()
        author.up = data.splitlines()

    @rule(sender=st.sampled_from(SENDERS), count=st.integers(1, 6), read=st.booleans())
    def say(self, sender: int, count: int, read: bool) -> None:
        author = self.authors[sender]
        if author.line is None:
            self._author_logs_in(author)
        author.up += [author.outgoing.fresh(ME).strip() for _ in range(count)]
        if read:
            self._server_reads(author, len(author.up))

    @rule(sender=st.sampled_from(SENDERS), count=st.integers(1, 3))
    def say_to_who_is_slow(self, sender: int, count: int) -> None:
        """What is not acknowledged in time is on its way into the store, and more is said."""
        self.say(sender, count, True)
        self._turn(0.5)
        self.say(sender, count, True)

    @rule(sender=st.sampled_from(SENDERS))
    def exchange(self, sender: int) -> None:
        """The sender hears its answers, and says again what it is time for."""
        author = self.authors[sender]
        self._answers_arrive(author, 1000)
        self._say_again(author)
        self._server_reads(author, 1000)

    def _say_again(self, author: Author) -> None:
        if author.line is not None:
            author.up += author.outgoing.due_again(self.time.monotonic()).splitlines()

    @rule(sender=st.sampled_from(SENDERS), count=st.integers(1, 9))
    def server_reads(self, sender: int, count: int) -> None:
        self._server_reads(self.authors[sender], count)

    def _server_reads(self, author: Author, count: int) -> None:
        line = author.line
        if line is None:
            return
        lines, author.up = author.up[:count], author.up[count:]
        line.now = self.time.monotonic()
        at = 0
        while at < len(lines):
            at = self.relay.pass_on(line, lines, at, len(lines))
            if at < len(lines):
                self._one_by_one(line, lines[at])
                at += 1
        self._turn()

    def _one_by_one(self, line: Line, text: bytes) -> None:
        ask = parse(text)
        assert type(ask) is OneChat
        line.line = text
        try:
            self.delivery.one_chat(line, ask)
        except ChatError as error:
            assert type(ask.cid) is str
            line.answer(refusal(MsgId.ACK, error, ack=5, cid=ask.cid))

    @rule(sender=st.sampled_from(SENDERS), count=st.integers(1, 9))
    def answers_arrive(self, sender: int, count: int) -> None:
        self._answers_arrive(self.authors[sender], count)

    def _answers_arrive(self, author: Author, count: int) -> None:
        line = author.line
        if line is None:
            return
        answers, line.down = line.down[:count], line.down[count:]
        for fields in answers:
            author.outgoing.answered(fields, author.owed, self.time.monotonic())

    # The recipient

    @rule()
    @precondition(lambda self: self.line is None)
    def log_in(self) -> None:
        self._log_in()

    def _log_in(self) -> None:
        line = self.line = Line(self.time)
        line.sender = self.delivery.sender(ME, f"{ME}", 0)
        self.unacknowledged = []
        self.pushed = 0
        self.delivery.online[ME] = line
        self.delivery.mailbox(ME).attach(line)
        self._turn()

    @rule(once_in=st.integers(1, 2))
    @precondition(lambda self: self.line is not None)
    def lose(self, once_in: int) -> None:
        if once_in == 1:
            self._lose()

    def _lose(self) -> None:
        line, self.line = self.line, None
        assert line is not None
        line.closed = True
        self.delivery.release(ME, line)
        self._turn()

    @rule(once_in=st.integers(1, 2))
    @precondition(lambda self: self.line is not None)
    def take_over(self, once_in: int) -> None:
        if once_in == 1:
            self._lose()
            self._log_in()

    @rule(count=st.integers(1, 9), acknowledged=st.integers(0, 9))
    @precondition(lambda self: self.line is not None)
    def arrive(self, count: int, acknowledged: int) -> None:
        self._arrive(count, acknowledged)

    def _arrive(self, count: int, acknowledged: int) -> None:
        line = self.line
        assert line is not None
        pushes, line.down = line.down[:count], line.down[count:]
        for fields in pushes:
            self.pushed += 1
            assert fields["seq"] == self.pushed
            message = Message(*map(int, fields["msg"].split(" ", 3)[:3]))
            if (fields["id"], fields["cid"]) in self.seen:
                self.ledger.dropped += 1
            else:
                self.seen.add((fields["id"], fields["cid"]))
                self.ledger.show(message)
            self.unacknowledged.append(message)
        some = self.unacknowledged[:acknowledged]
        if some and line.welcomed and not line.closed:
            self.ledger.acknowledged.update(some)
            del self.unacknowledged[:acknowledged]
            self.delivery.mailboxes[ME].received(self.pushed - len(self.unacknowledged))
            self._turn()

    # The store

    @rule(
        index=st.integers(0, 3),
        answer=st.sampled_from([True, True, False]),
        again=st.sampled_from([False, False, True]),
    )
    @precondition(lambda self: self.disk.calls)
    def store_does(self, index: int, answer: bool, again: bool = False) -> None:
        """What was asked of it, at once or in two steps."""
        call = self.disk.calls[index % len(self.disk.calls)]
        call.do()
        if again:
            call.do_again()
        if answer:
            self.disk.calls.remove(call)
            call.answer.callback(call.result)
            self._turn()

    @rule(index=st.integers(0, 3), unknown=st.booleans())
    @precondition(lambda self: self.disk.calls)
    def store_fails(self, index: int, unknown: bool) -> None:
        """It cannot be reached, and what it was asked for may happen all the same."""
        call = self.disk.calls.pop(index % len(self.disk.calls))
        unknown = unknown or call.done
        if unknown:
            self.disk.late.append(call)
        call.answer.errback(StoreAway("away", unknown=unknown))
        self._turn()

    @rule()
    def store_is_away(self) -> None:
        """It is not reached for what it has been asked."""
        for _ in range(len(self.disk.calls)):
            self.store_fails(0, False)

    @rule()
    def store_is_there(self) -> None:
        """All that it has been asked for is done."""
        while self.disk.calls:
            self.store_does(0, True)

    @rule(index=st.integers(0, 3))
    @precondition(lambda self: self.disk.late)
    def store_does_late(self, index: int) -> None:
        call = self.disk.late.pop(index % len(self.disk.late))
        # A transaction that can still be committed has its rows, and nobody else had them since.
        if not call.names & self.disk.rows.keys():
            call.do()
            self.came_late = True

    @rule()
    def all_is_well(self) -> None:
        """Everybody does all there is to do."""
        self._all_is_well()

    def _all_is_well(self) -> None:
        self.store_is_there()
        for sender in SENDERS:
            self.exchange(sender)
            self._answers_arrive(self.authors[sender], 1000)
        if self.line is not None:
            if self.line.closed:
                self._lose()
            else:
                self._arrive(1000, 1000)

    # What must hold

    @invariant()
    def nothing_told_is_lost(self) -> None:
        for message in self.ledger.answers:
            cid = f"t.{ME}.{message.number}"
            kept = (message.sender, cid) in self.disk.rows or message in self.ledger.acknowledged
            assert kept, f"{message} is lost"

    @invariant()
    def order_is_kept(self) -> None:
        verdict = judge(self.ledger)
        assert not verdict.out_of_order, f"{self.ledger.shown}"
        assert not verdict.twice and not verdict.untrue and not verdict.complaints, (
            verdict.examples()
        )

    def teardown(self) -> None:
        """The store is well again, everybody comes back, and waits for what there is."""
        self._come_to_rest()
        assert judge(self.ledger).good, judge(self.ledger).examples()
        if self.line is not None:
            self._lose()
        self._all_is_well()
        self._log_in()
        self._all_is_well()
        assert self.line is not None
        assert self.came_late or self.line.backlog == 0, f"backlog {self.line.backlog}"

    def _come_to_rest(self) -> None:
        open_: list[int] = []
        for _ in range(100):
            for author in self.authors.values():
                if author.line is None:
                    self._author_logs_in(author)
            if self.line is None:
                self._log_in()
            self._all_is_well()
            open_ = [author.outgoing.open for author in self.authors.values()]
            left = set(self.disk.rows)
            if self.came_late:
                left -= self.seen
            if not (any(open_) or left or self.disk.calls):
                return
            self._turn(1.1)
        raise AssertionError(f"never comes to rest: {open_}, {list(self.disk.rows)}")


class CustodyTests(SynchronousTestCase):
    """The machine above, run inside a test: trial would pass over it otherwise."""

    def test_any_interleaving(self) -> None:
        run_state_machine_as_test(
            Custody,
            settings=settings(
                max_examples=300,
                stateful_step_count=60,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
