"""Windows, quotas and slow readers: what is bounded, and who is told."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.cables import Client
from tests.support import Conversation, InMemory, OverTcp, login, received, say, told


def states(answers: list[dict[str, Any]]) -> dict[str | None, int]:
    """How many were told what."""
    return Counter(it.get("state") for it in answers)


class Windows(Conversation):
    bounds = {"keep_after_seconds": 1.0}  # noqa: RUF012

    async def test_at_most_256_unacknowledged(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        cids = [f"c{number}" for number in range(300)]
        ann.send(*(say(bob.id, "hi", cid=cid) for cid in cids))
        self.assertEqual([it["cid"] for it in await bob.get_all(256)], cids[:256])
        await bob.nothing()
        self.go(1.5)
        self.assertEqual(states(await ann.get_all(300)), {"stored": 300})
        bob.send(received(256))
        self.assertEqual([it["cid"] for it in await bob.get_all(44)], cids[256:])
        bob.send(received(300))
        await bob.nothing()
        await ann.nothing()

    async def test_at_most_256_kib_unacknowledged(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        ann.send(*(say(bob.id, "x" * 50_000, cid=f"c{number}") for number in range(10)))
        pushed = await bob.get_all(6)
        await bob.nothing()
        self.go(1.5)
        self.assertEqual(states(await ann.get_all(10)), {"stored": 10})
        bob.send(received(6))
        pushed += await bob.get_all(4)
        self.assertEqual([it["cid"] for it in pushed], [f"c{number}" for number in range(10)])

    async def test_one_that_never_acknowledges_a_long_backlog(self) -> None:
        ann, away = await self.enter("ann", 2), await self.register("bob")
        ann.send(*(say(away, "hi", cid=f"c{number}") for number in range(900)))
        await ann.get_all(900)
        bob = await self.login(away, 2)
        self.assertEqual(bob.ack["backlog"], 900)
        first = await bob.get_all(200)
        await self.assert_chatting(ann, await self.enter("carl"))
        bob.cable.abort()
        await bob.end()
        bob = await self.login(away, 2)
        self.assertEqual(bob.ack["backlog"], 900)
        again = await bob.get_all(200)
        self.assertEqual([it["cid"] for it in again], [it["cid"] for it in first])

    async def test_recipient_that_keeps_up_is_live_again(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        ann.send(*(say(bob.id, "hi", cid=f"c{number}") for number in range(900)))
        for number in range(1, 901):
            self.assertEqual((await bob.get())["seq"], number)
            if number % 100 == 0:
                bob.send(received(number))
        await ann.get_all(900)
        await bob.nothing()
        ann.send(say(bob.id, "hi", cid="live"))
        await bob.get()
        bob.send(received(901))
        self.assertEqual(await ann.get(), told("live", "delivered"))


class Quotas(Conversation):
    bounds = {"mailbox_messages": 20, "mailbox_per_sender": 8}  # noqa: RUF012

    async def fill(self, senders: list[Client], away: int) -> dict[str, int]:
        """Ten messages from each sender; what each was told."""
        errnos = {}
        for sender in senders:
            for number in range(10):
                cid = f"{sender.id} {number}"
                answer = await sender.ask(say(away, cid, cid=cid))
                errnos[cid] = answer["errno"]
                if answer["errno"]:
                    self.assert_refused(answer, 109, 5, cid)
        return errnos

    async def test_full(self) -> None:
        senders = [await self.enter(name, 2) for name in ("ann", "bob", "carl")]
        away = await self.register("dora")
        errnos = await self.fill(senders, away)
        taken = [cid for cid, errno in errnos.items() if errno == 0]
        expected = [f"{one.id} {number}" for one in senders for number in range(8)][:20]
        self.assertEqual(taken, expected)
        level_1 = await self.enter("emil")
        self.assert_refused(await level_1.ask(say(away, "hi")), 109, 5)
        dora = await self.login(away, 2)
        self.assertEqual([it["cid"] for it in await dora.get_all(20)], expected)
        dora.send(received(20))
        senders[0].send(say(away, "room again", cid="new"))
        self.assertEqual((await dora.get())["cid"], "new")

    async def test_burst(self) -> None:
        """All in one packet: the bound holds before the first commit."""
        ann, away = await self.enter("ann", 2), await self.register("bob")
        ann.send(*(say(away, "hi", cid=f"c{number}") for number in range(30)))
        answers = {it["cid"]: it["errno"] for it in await ann.get_all(30)}
        self.assertEqual([answers[f"c{number}"] for number in range(30)], [0] * 8 + [109] * 22)

    async def test_quota_is_counted_after_a_restart(self) -> None:
        ann, away = await self.enter("ann", 2), await self.register("bob")
        await self.fill([ann], away)
        for box in list(self.server.delivery.mailboxes):
            del self.server.delivery.mailboxes[box]
        self.assert_refused(await ann.ask(say(away, "hi", cid="x")), 109, 5, "x")

    async def test_repeat_of_a_stored_one_is_not_beyond_it(self) -> None:
        ann, away = await self.enter("ann", 2), await self.register("bob")
        await self.fill([ann], away)
        self.assertEqual(
            await ann.ask(say(away, f"{ann.id} 0", cid=f"{ann.id} 0")),
            told(f"{ann.id} 0", "stored"),
        )

    async def test_oneself_is_no_exception(self) -> None:
        ann = await self.enter("ann", 2)
        answer = await ann.ask(say(ann.id, "hi", cid="a"))
        self.assertEqual(answer["seq"], 1)


class NoQuotas(Conversation):
    bounds = {"no_limits": True}  # noqa: RUF012

    async def test_lifted(self) -> None:
        ann, away = await self.enter("ann", 2), await self.register("bob")
        for start in range(0, 6000, 500):
            cids = [f"c{number}" for number in range(start, start + 500)]
            ann.send(*(say(away, "hi", cid=cid) for cid in cids))
            self.assertEqual(states(await ann.get_all(500)), {"stored": 500})
        bob = await self.login(away, 2)
        self.assertEqual(bob.ack["backlog"], 6000)


class SlowReaders(Conversation):
    bounds = {"keep_after_seconds": 1.0}  # noqa: RUF012

    async def test_what_it_does_not_read_is_stored_and_comes_in_order(self) -> None:
        for level in (1, 2):
            ann, bob = await self.enter(f"a{level}", 2), await self.enter(f"b{level}", level)
            bob.cable.hold()
            texts = [str(number).ljust(40_000, ".") for number in range(300)]
            told_of: dict[str | None, int] = {}
            for start in range(0, 300, 50):
                ann.send(*(say(bob.id, texts[n], cid=f"c{n}") for n in range(start, start + 50)))
                self.go(1.5)
                told_of = states(await ann.get_all(50))
                self.assertLessEqual(set(told_of), {"pushed", "stored"})
            self.assertIn("stored", told_of)
            box = self.server.delivery.mailboxes[bob.id]
            self.assertLessEqual(box.pushed + box.waiting, 256 + 512)
            bob.cable.let_go()
            for number in range(300):
                pushed = await bob.get()
                self.assertEqual(pushed["cid"], f"c{number}")
                if level == 2:
                    bob.send(received(pushed["seq"]))
            await bob.nothing()


class MemoryWindowsTests(Windows, InMemory):
    pass


class TcpWindowsTests(Windows, OverTcp):
    pass


class MemoryQuotasTests(Quotas, InMemory):
    pass


class TcpQuotasTests(Quotas, OverTcp):
    pass


class MemoryNoQuotasTests(NoQuotas, InMemory):
    pass


class MemorySlowReadersTests(SlowReaders, InMemory):
    pass


class TcpSlowReadersTests(SlowReaders, OverTcp):
    pass


class UnansweredTests(InMemory):
    """Beyond a bound a sender's requests wait, and in the end its socket is not read."""

    bounds = {"unanswered_per_sender": 10}  # noqa: RUF012

    async def test_requests_wait_and_acknowledgements_do_not(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        ann.send(*(say(bob.id, "hi", cid=f"c{number}") for number in range(15)), {"msgid": 13})
        self.assertEqual(len(await bob.get_all(10)), 10)
        await bob.nothing()
        self.time.settle()
        self.assertEqual(list(ann.lines), [])
        bob.send(say(ann.id, "an answer", cid="b"))
        self.assertEqual((await ann.get())["cid"], "b")
        ann.send(received(1))
        self.assertEqual(await bob.get(), told("b", "delivered"))
        bob.send(received(5))
        await bob.get_all(5)
        self.assertEqual([it["cid"] for it in await ann.get_all(5)], [f"c{n}" for n in range(5)])
        self.assertEqual(list(ann.lines), [], "it is not its turn yet")
        bob.send(received(15))
        answers = await ann.get_all(11)
        self.assertEqual(states(answers), {"delivered": 10, None: 1})

    async def test_socket_is_not_read(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        cids = [f"c{number}" for number in range(1000)]
        for cid in cids:
            ann.send(say(bob.id, "hi", cid=cid))
        transport = self.server_side(ann)
        self.assertTrue(transport.paused)
        self.assertGreater(len(transport.unread), 700)
        for number, cid in enumerate(cids, 1):
            self.assertEqual((await bob.get())["cid"], cid)
            bob.send(received(number))
        self.time.settle()
        self.assertEqual([it["cid"] for it in await ann.get_all(1000)], cids)
        self.assertFalse(transport.paused)

    async def test_silence_while_it_is_not_read_is_not_held_against_it(self) -> None:
        ann, away = await self.enter("ann", 2), await self.register("bob")
        self.faults.hang()
        for number in range(400):
            ann.send(say(away, "hi", cid=f"c{number}"))
        self.assertTrue(self.server_side(ann).paused)
        self.go(4)
        self.faults.recover()
        self.time.settle()
        self.assertEqual(len(await ann.get_all(400)), 400)

    async def test_level_1(self) -> None:
        ann, away = await self.enter("ann"), await self.register("bob")
        self.faults.hang()
        ann.send(*(say(away, "hi") for _ in range(15)), {"msgid": 13})
        self.time.settle()
        self.assertEqual(list(ann.lines), [])
        self.faults.recover()
        self.assertEqual(await ann.get(), {"msgid": 14})


class AnswersNotTakenTests(InMemory):
    async def test_requests_wait(self) -> None:
        client = await self.connect()
        client.cable.hold()
        for number in range(30_000):
            client.send({"msgid": 13, "cid": f"{number:060}"})
        session = self.server_side(client).protocol.session
        self.assertLess(session.outbox.pending, 1 << 20)
        self.assertTrue(self.server_side(client).paused)
        client.cable.let_go()
        for number in range(30_000):
            self.assertEqual((await client.get())["cid"], f"{number:060}")

    async def test_login_that_is_not_taken(self) -> None:
        user_id = await self.register("ann")
        client = await self.connect()
        client.cable.hold()
        client.send(login(user_id))
        self.time.settle()
        client.cable.let_go()
        self.assertEqual((await client.get())["errno"], 0)
