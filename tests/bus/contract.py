"""What every bus promises, as tests; a bus runs them by deriving from :class:`Contract`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import TypeVar, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import TestCase

from chat.cluster import Bus, BusAway, Message, NoResponder

T = TypeVar("T")
LONG = 60.0
"""Seconds that no test waits for."""
SHORT = 0.05
"""Seconds after which a request that nobody answers is over."""


class Contract:
    """Tests of two buses that are joined; mixed with a ``TestCase``."""

    a: Bus
    b: Bus
    """Both are open when a test begins."""
    numbers = count(1)

    async def until(self, condition: Callable[[], object]) -> None:
        """Let time pass until this is true."""
        raise NotImplementedError

    async def break_it(self) -> None:
        """Both buses are down, and have noticed."""
        raise NotImplementedError

    async def mend_it(self) -> None:
        """Both buses are up again."""
        raise NotImplementedError

    @property
    def case(self) -> TestCase:
        return cast(TestCase, self)

    async def result(self, waited_for: object) -> bytes:
        assert isinstance(waited_for, Deferred)
        await self.until(lambda: waited_for.called)
        return cast(bytes, await waited_for)

    async def ask(self, bus: Bus, subject: str, data: bytes = b"", seconds: float = LONG) -> bytes:
        return await self.result(bus.request(subject, data, seconds))

    async def fails(self, kind: type[Exception], waited_for: object) -> None:
        try:
            await self.result(waited_for)
        except kind:
            return
        self.case.fail(f"{kind.__name__} was not raised")

    async def settle(self, *buses: Bus) -> None:
        """What was done at these buses is in force, and what came before has been delivered."""
        for bus in buses:
            subject = f"settle.{next(self.numbers)}"
            mine = bus.subscribe(subject, self.answering(bus))
            await self.ask(bus, subject)
            mine.close()

    def answering(self, bus: Bus, answer: bytes = b"") -> Callable[[Message], None]:
        def call(message: Message) -> None:
            bus.publish(message.reply, answer + message.data)

        return call

    async def heard(self, bus: Bus, subject: str) -> list[Message]:
        """What comes to a subject, from now on."""
        messages: list[Message] = []
        bus.subscribe(subject, messages.append)
        await self.settle(bus)
        return messages

    async def flush(self, sender: Bus, receiver: Bus) -> None:
        """All that one has sent the other has got, if it comes at all."""
        subject = f"flush.{next(self.numbers)}"
        mark = await self.heard(receiver, subject)
        self.case.assertTrue(sender.publish(subject, b""))
        await self.until(lambda: mark)

    async def test_published(self) -> None:
        mine = await self.heard(self.a, "some.subject")
        first = await self.heard(self.b, "some.subject")
        second = await self.heard(self.b, "some.subject")
        other = await self.heard(self.b, "some.other")
        self.case.assertTrue(self.a.publish("some.subject", b"\x00data\r\n\xff", "some.reply"))
        self.case.assertTrue(self.a.publish("some.subject", b""))
        await self.flush(self.a, self.b)
        await self.flush(self.a, self.a)
        expected = [
            Message("some.subject", b"\x00data\r\n\xff", "some.reply"),
            Message("some.subject", b""),
        ]
        for messages in (mine, first, second):
            self.case.assertEqual(messages, expected)
        self.case.assertEqual(other, [])

    async def test_nothing_comes_in_the_turn_in_which_it_was_published(self) -> None:
        mine = await self.heard(self.a, "here")
        self.a.publish("here", b"")
        self.case.assertEqual(mine, [])
        await self.until(lambda: mine)

    async def test_in_order_and_once(self) -> None:
        here = await self.heard(self.b, "order.>")
        sent = [(f"order.{number % 7}", str(number).encode()) for number in range(2000)]
        for at, (subject, data) in enumerate(sent):
            self.case.assertTrue(self.a.publish(subject, data))
            if at % 500 == 0:
                await self.until(lambda: here)
        await self.flush(self.a, self.b)
        self.case.assertEqual([(message.subject, message.data) for message in here], sent)

    async def test_request(self) -> None:
        self.b.subscribe("ask", self.answering(self.b, b"yes, "))
        await self.settle(self.b)
        self.case.assertEqual(await self.ask(self.a, "ask", b"ann"), b"yes, ann")
        self.case.assertEqual(await self.ask(self.b, "ask", b"bob"), b"yes, bob")
        both = [self.a.request("ask", data, LONG) for data in (b"1", b"2")]
        self.case.assertEqual([await self.result(it) for it in both], [b"yes, 1", b"yes, 2"])

    async def test_request_where_nobody_listens(self) -> None:
        await self.fails(NoResponder, self.a.request("nobody", b"", LONG))

    async def test_request_that_is_not_answered(self) -> None:
        here = await self.heard(self.b, "ask")
        await self.fails(BusAway, self.a.request("ask", b"", SHORT))
        await self.flush(self.a, self.b)
        self.b.publish(here[0].reply, b"too late")
        await self.flush(self.b, self.a)

    async def test_only_the_first_answer_counts(self) -> None:
        def twice(message: Message) -> None:
            self.b.publish(message.reply, b"first")
            self.b.publish(message.reply, b"second")

        self.b.subscribe("ask", twice)
        await self.settle(self.b)
        self.case.assertEqual(await self.ask(self.a, "ask"), b"first")
        await self.flush(self.b, self.a)

    async def test_who_cancels_waits_no_longer(self) -> None:
        here = await self.heard(self.b, "ask")
        asked = self.a.request("ask", b"", LONG)
        assert isinstance(asked, Deferred)
        asked.cancel()
        await self.fails(CancelledError, asked)
        await self.until(lambda: here)
        self.b.publish(here[0].reply, b"too late")
        await self.flush(self.b, self.a)

    async def test_undelivered(self) -> None:
        notices = await self.heard(self.a, "notices.a")
        elsewhere = await self.heard(self.b, "notices.b")
        self.case.assertTrue(self.a.publish("nobody", b"data", "notices.a"))
        await self.until(lambda: notices)
        self.case.assertEqual(notices, [Message("notices.a", b"", undelivered=True)])
        self.a.publish("nobody", b"no reply wanted")
        here = await self.heard(self.b, "somebody")
        self.a.publish("somebody", b"", "notices.a")
        await self.flush(self.a, self.b)
        await self.settle(self.a)
        self.case.assertEqual(len(here), 1)
        self.case.assertEqual((len(notices), elsewhere), (1, []))

    async def test_undelivered_below_a_subject(self) -> None:
        notices = await self.heard(self.a, "notices.>")
        self.a.publish("nobody", b"", "notices.5")
        await self.until(lambda: notices)
        self.case.assertEqual(notices, [Message("notices.5", b"", undelivered=True)])

    async def test_everything_below(self) -> None:
        below = await self.heard(self.b, "one.two.>")
        everything = await self.heard(self.b, "one.>")
        exactly = await self.heard(self.b, "one.two.three")
        subjects = ["one", "one.two", "one.two.three", "one.two.three.four", "one.twofold.x"]
        for subject in subjects:
            self.a.publish(subject, b"")
        await self.flush(self.a, self.b)
        self.case.assertEqual([it.subject for it in below], subjects[2:4])
        self.case.assertEqual([it.subject for it in everything], subjects[1:])
        self.case.assertEqual([it.subject for it in exactly], subjects[2:3])

    async def test_who_closes_hears_no_more(self) -> None:
        got: list[Message] = []
        first = self.b.subscribe("some", got.append)
        kept = await self.heard(self.b, "some")
        first.close()
        first.close()
        await self.settle(self.b)
        self.a.publish("some", b"")
        await self.flush(self.a, self.b)
        self.case.assertEqual((len(got), len(kept)), (0, 1))
        last = self.b.subscribe("other", got.append)
        last.close()
        await self.settle(self.b)
        await self.fails(NoResponder, self.a.request("other", b"", LONG))
        self.case.assertEqual(got, [])

    async def test_who_closes_while_listening(self) -> None:
        got: list[Message] = []

        def once(message: Message) -> None:
            got.append(message)
            mine.close()

        mine = self.b.subscribe("some", once)
        await self.settle(self.b)
        for _ in range(3):
            self.a.publish("some", b"")
        await self.flush(self.a, self.b)
        self.case.assertEqual(len(got), 1)

    async def test_a_call_that_fails_is_logged_and_harms_nobody(self) -> None:
        def wrong(message: Message) -> None:
            raise ZeroDivisionError

        self.b.subscribe("some", wrong)
        here = await self.heard(self.b, "some")
        self.a.publish("some", b"1")
        self.a.publish("some", b"2")
        await self.flush(self.a, self.b)
        self.case.assertEqual([message.data for message in here], [b"1", b"2"])
        self.case.assertEqual(len(self.case.flushLoggedErrors(ZeroDivisionError)), 2)

    async def test_so_is_who_is_told_of_a_change(self) -> None:
        def wrong(up: bool) -> None:
            raise ZeroDivisionError

        changes: list[bool] = []
        self.a.changed += [wrong, changes.append]
        await self.break_it()
        await self.mend_it()
        self.case.assertEqual(changes, [False, True])
        self.a.changed.clear()
        await self.flush(self.a, self.b)
        self.case.assertEqual(len(self.case.flushLoggedErrors(ZeroDivisionError)), 2)

    async def test_size(self) -> None:
        here = await self.heard(self.b, "large")
        data = b"\xa5" * self.a.most
        self.case.assertTrue(self.a.publish("large", data))
        self.case.assertRaises(ValueError, self.a.publish, "large", data + b"1")
        self.case.assertRaises(ValueError, self.a.request, "large", data + b"1", LONG)
        await self.flush(self.a, self.b)
        self.case.assertEqual(len(here), 1)
        self.case.assertEqual(here[0].data, data)

    async def test_down_and_up_again(self) -> None:
        changes: list[tuple[str, bool]] = []
        self.a.changed.append(lambda up: changes.append(("a", up)))
        self.b.changed.append(lambda up: changes.append(("b", up)))
        kept = await self.heard(self.b, "kept")
        given_up: list[Message] = []
        closed = self.b.subscribe("kept", given_up.append)
        await self.settle(self.b)
        waiting = self.a.request("kept", b"before", LONG)
        await self.until(lambda: kept)

        await self.break_it()
        self.case.assertEqual((self.a.up, self.b.up), (False, False))
        self.case.assertEqual(sorted(changes), [("a", False), ("b", False)])
        await self.fails(BusAway, waiting)
        self.case.assertFalse(self.a.publish("kept", b"lost"))
        asked = self.a.request("kept", b"lost too", LONG)
        assert isinstance(asked, Deferred)
        self.case.failureResultOf(asked, BusAway)
        closed.close()
        new: list[Message] = []
        self.b.subscribe("new", new.append)
        never: list[Message] = []
        self.b.subscribe("never", never.append).close()
        self.case.assertFalse(self.b.publish("kept", b"lost as well"))

        await self.mend_it()
        self.case.assertEqual((self.a.up, self.b.up), (True, True))
        self.case.assertEqual(sorted(changes[2:]), [("a", True), ("b", True)])
        self.case.assertTrue(self.a.publish("kept", b"after"))
        self.case.assertTrue(self.a.publish("new", b"after"))
        await self.fails(NoResponder, self.a.request("never", b"", LONG))
        await self.flush(self.a, self.b)
        await self.flush(self.b, self.a)
        self.case.assertEqual([message.data for message in kept], [b"before", b"after"])
        self.case.assertEqual([message.data for message in new], [b"after"])
        self.case.assertEqual(len(given_up), 1)

    async def test_close(self) -> None:
        here = await self.heard(self.b, "some")
        mine = await self.heard(self.a, "mine")
        changes: list[bool] = []
        self.a.changed.append(changes.append)
        waiting = self.a.request("some", b"0", LONG)
        for number in range(1, 100):
            self.a.publish("some", str(number).encode())
        closed = self.a.close()
        await self.fails(BusAway, waiting)
        await self.result(closed)
        await self.until(lambda: len(here) == 100)
        self.case.assertEqual([int(message.data) for message in here], list(range(100)))
        self.case.assertEqual((self.a.up, changes), (False, [False]))
        self.case.assertFalse(self.a.publish("some", b"no more"))
        await self.fails(BusAway, self.a.request("some", b"", LONG))
        await self.fails(NoResponder, self.b.request("mine", b"", LONG))
        self.case.assertEqual(mine, [])
        await self.result(self.a.close())
