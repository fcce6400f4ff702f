"""The library and the real server, in memory: time is the test's own."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from chat.client import AlreadyOnline, Client, Limits, Refused, State, TakenOver
from chat.client.results import AnyMessage, DirectMessage, Sent

from .live import LiveCase


class LiveTests(LiveCase, TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.ann, self.bob = self.account("ann"), self.account("bob")
        self.shown: list[str] = []

    def show(self, message: AnyMessage) -> None:
        assert isinstance(message, DirectMessage)
        self.assertEqual((message.id, message.name, message.toid), (self.ann, "ann", self.bob))
        self.shown.append(message.msg)

    def test_delivered(self) -> None:
        ann, _ = self.client(self.ann), self.client(self.bob, on_message=self.show)
        sent = ann.send(self.bob, "héllo 🔑\n")
        self.time.settle()
        self.assertEqual(self.successResultOf(sent).state, "delivered")
        self.assertEqual(self.shown, ["héllo 🔑\n"])

    def test_stored_and_delivered_later_in_order(self) -> None:
        ann = self.client(self.ann)
        sent = [ann.send(self.bob, str(number)) for number in range(600)]
        self.go(2)
        self.assertEqual({self.successResultOf(one).state for one in sent}, {"stored"})
        bob = self.client(self.bob, on_message=self.show)
        assert bob.welcome is not None
        self.assertEqual(bob.welcome.backlog, 600)
        self.go(2)
        self.assertEqual(self.shown, [str(number) for number in range(600)])

    def test_stored_while_the_callback_takes_its_time(self) -> None:
        work: Deferred[None] = Deferred()
        ann, bob = self.client(self.ann), self.client(self.bob, on_message=lambda _: work)
        sent = ann.send(self.bob, "hi")
        self.go(0.5)
        self.assertNoResult(sent)
        self.go(2)
        self.assertEqual(self.successResultOf(sent).state, "stored")
        # It is not acknowledged, so it comes again to whoever logs in next.
        bob.stopService()
        self.go(1)
        self.client(self.bob, on_message=self.show)
        self.go(1)
        self.assertEqual(self.shown, ["hi"])
        work.callback(None)

    def test_two_clients_of_one_user(self) -> None:
        first = self.client(self.ann)
        second = self.client(self.ann)
        self.go(3)
        self.assertIsInstance(second.error, AlreadyOnline)
        self.assertIs(first.state, State.ONLINE)
        third = self.client(self.ann, takeover=True)
        self.go(3)
        self.assertIs(third.state, State.ONLINE)
        self.assertIsInstance(first.error, TakenOver)

    def test_a_message_too_long_for_this_server_does_not_come_back_for_ever(self) -> None:
        ann = self.client(self.ann, limits=Limits(line=10**6))
        self.client(self.bob, on_message=self.show)
        long, short = ann.send(self.bob, "x" * 70_000), ann.send(self.bob, "short")
        self.go(10)
        self.failureResultOf(long, Refused)
        self.assertEqual(self.successResultOf(short).state, "delivered")
        self.assertEqual(self.shown, ["short"])


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(1, 30)),
        st.tuples(st.just("cut"), st.sampled_from(["ann", "bob"])),
        st.tuples(st.just("kill"), st.sampled_from(["ann", "bob"])),
        st.tuples(st.just("time"), st.sampled_from([0.0, 0.3, 1.1, 3.0])),
        st.tuples(st.just("slow"), st.booleans()),
    ),
    max_size=12,
)


class FaultTests(LiveCase, TestCase):
    """Connections cut and clients killed at random, with ledgers."""

    @settings(
        max_examples=60,
        deadline=None,
        suppress_health_check=[HealthCheck.differing_executors],
    )
    @given(ACTIONS, st.randoms(use_true_random=False))
    def test_each_message_once_and_in_order(
        self, actions: list[tuple[str, Any]], chance: random.Random
    ) -> None:
        journey = Journey(self, chance)
        for action, what in actions:
            getattr(journey, action)(what)
        journey.finish()


class Journey:
    """Ann writes to Bob, and things go wrong."""

    number = 0

    def __init__(self, case: FaultTests, chance: random.Random) -> None:
        Journey.number += 1
        self.case = case
        self.chance = chance
        self.ids = {name: case.account(f"{name} {Journey.number}") for name in ("ann", "bob")}
        self.ledgers = {name: case.mktemp() for name in self.ids}
        self.is_slow = False
        self.works: list[Deferred[None]] = []
        self.written: list[str] = []
        self.shown: list[str] = []
        self.answers: list[str] = []
        self.clients = {name: self.start(name) for name in self.ids}

    def start(self, name: str) -> Client:
        return self.case.client(
            self.ids[name],
            ledger=self.ledgers[name],
            on_message=self.show,
            on_sent=self.answered,
        )

    def show(self, message: AnyMessage) -> Deferred[None] | None:
        self.shown.append(message.msg)
        if not self.is_slow:
            return None
        work: Deferred[None] = Deferred()
        self.works.append(work)
        return work

    def answered(self, _: object, result: Sent | Exception) -> None:
        assert isinstance(result, Sent), result
        self.answers.append(result.state)

    def send(self, how_many: int) -> None:
        for _ in range(how_many):
            text = str(len(self.written))
            self.written.append(text)
            sent = self.clients["ann"].send(self.ids["bob"], text)
            sent.addErrback(lambda _: None)
            if self.chance.random() < 0.3:
                self.case.time.advance(0)

    def cut(self, name: str) -> None:
        self.case.endpoints[self.ids[name]].cut()

    def kill(self, name: str) -> None:
        """The process is gone, as if killed: nothing is said, only the file is there."""
        if name == "bob":
            self.finish_work()
        client = self.clients[name]
        self.cut(name)
        ledger = client._ledger
        assert ledger is not None
        ledger.close()
        client.stopService()
        self.case.time.settle()
        self.clients[name] = self.start(name)

    def time(self, seconds: float) -> None:
        self.case.go(seconds)

    def slow(self, slow: bool) -> None:
        self.is_slow = slow

    def finish_work(self) -> None:
        works, self.works = self.works, []
        self.chance.shuffle(works)
        for work in works:
            work.callback(None)

    def finish(self) -> None:
        self.is_slow = False
        for _ in range(20):
            self.finish_work()
            self.case.go(1)
        assert self.shown == self.written, (self.shown, self.written)
        assert self.clients["ann"].unacknowledged == []
        assert set(self.answers) <= {"delivered", "stored"}
        for client in self.clients.values():
            client.stopService()
        self.case.time.settle()
