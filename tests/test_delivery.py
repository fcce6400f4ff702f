"""The routes of messages: order numbers, and what is kept of whom in memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chat import delivery
from chat.delivery import Stamps, written
from tests.support import InMemory, received, say, told


class HandClock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now


class StampTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = HandClock()
        self.stamps = Stamps(self.clock)

    def test_microseconds(self) -> None:
        self.clock.now = 1_700_000_000.25
        self.assertEqual(self.stamps.next(), 1_700_000_000_250_000)

    def test_clock_that_stands_or_is_set_back(self) -> None:
        self.clock.now = 10.0
        self.assertEqual(
            [self.stamps.next() for _ in range(3)], [10_000_000, 10_000_001, 10_000_002]
        )
        self.clock.now = 1.0
        self.assertEqual(self.stamps.next(), 10_000_003)

    def test_above_what_the_store_has(self) -> None:
        self.stamps.exceed(77_000_000)
        self.clock.now = 10.0
        self.assertEqual(self.stamps.next(), 77_000_001)
        self.stamps.exceed(5)
        self.assertEqual(self.stamps.next(), 77_000_002)

    @given(st.lists(st.tuples(st.floats(0, 1e6), st.integers(1, 50))))
    def test_always_increasing(self, moments: list[tuple[float, int]]) -> None:
        stamps = Stamps(clock := HandClock())
        last = -1
        for now, count in moments:
            clock.now = now
            first = stamps.reserve(count)
            self.assertGreater(first, last)
            last = first + count - 1

    def test_time_as_messages_say_it(self) -> None:
        self.assertEqual(written(1_700_000_000.9), "2023-11-14 22:13:20")


class MemoryTests(InMemory):
    """What is kept of users who have gone."""

    bounds = {"remembered_total": 1000}  # noqa: RUF012

    async def test_order_after_a_restart_with_the_clock_set_back(self) -> None:
        ann, away = await self.enter("ann", 2), await self.register("bob")
        self.server.delivery.stamps.exceed(2**61)
        await ann.ask(say(away, "before", cid="a"))
        self.stop()
        self.start()
        ann = await self.login(ann.id, 2)
        await ann.ask(say(away, "after", cid="b"))
        bob = await self.login(away, 2)
        self.assertEqual([it["msg"] for it in await bob.get_all(2)], ["before", "after"])

    async def test_senders_are_forgotten_with_their_answers(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        ann.send(say(bob.id, "hi", cid="a"))
        await bob.get()
        bob.send(received(1))
        await ann.get()
        ann.cable.abort()
        self.go(250)
        self.assertIn(ann.id, self.server.delivery.senders)
        self.go(60)
        self.assertEqual(self.server.delivery.senders, {})

    async def test_answers_of_all_senders_are_bounded(self) -> None:
        senders = [await self.enter(f"user {number}", 2) for number in range(4)]
        recipient = await self.enter("bob")
        for sender in senders:
            cids = [f"c{number}" for number in range(500)]
            sender.send(*(say(recipient.id, "hi", cid=cid) for cid in cids))
            await sender.get_all(500)
        await recipient.get_all(2000)
        self.go(1)
        remembered = sum(it.remembered for it in self.server.delivery.senders.values())
        self.assertLessEqual(remembered, 1000)
        newest = await senders[3].ask(say(recipient.id, "hi", cid="c499"))
        self.assertEqual(newest, told("c499", "pushed"))
        await recipient.nothing()

    async def test_mailboxes_of_nobody_are_dropped(self) -> None:
        ann = await self.enter("ann", 2)
        for number in range(100, 200):
            await ann.ask(say(number, "hi", cid=str(number)))
        self.go(1)
        self.assertEqual(set(self.server.delivery.mailboxes), {ann.id})

    async def test_idle_mailboxes_are_bounded(self) -> None:
        self.patch(delivery, "IDLE_MAILBOXES", 5)
        ann = await self.enter("ann", 2)
        others = [await self.register(f"user {number}") for number in range(20)]
        for other in others:
            await ann.ask(say(other, "hi", cid=str(other)))
        self.go(5)
        self.assertLessEqual(len(self.server.delivery.mailboxes), 5)
        for other in others:
            self.assertEqual((await self.login(other, 2)).ack["backlog"], 1)

    async def test_failed_login_leaves_nothing(self) -> None:
        user_id = await self.register("ann")
        self.faults.away("census")
        client = await self.connect()
        answer = await client.ask({"msgid": 1, "id": user_id, "password": "correct horse"})
        self.assertEqual(answer["errno"], 108)
        self.assertEqual(self.server.delivery.online, {})
        self.assertEqual(self.server.delivery.here, set())
        self.faults.recover()
        self.go(1)
        self.assertEqual(self.server.delivery.mailboxes, {})
