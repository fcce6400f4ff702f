"""Level 2: every message has an answer that says where it is."""

from __future__ import annotations

from typing import Any

from tests.cables import Client
from tests.support import TIME, Conversation, InMemory, OverTcp, login, received, say, told


class LoggingIn(Conversation):
    async def test_answer(self) -> None:
        ann = await self.enter("ann", 2)
        ack = dict(ann.ack)
        ack.pop("token", None)
        self.assertEqual(
            ack,
            {"msgid": 2, "errno": 0, "id": ann.id, "name": "ann", "proto": 2, "backlog": 0,
             "friends": [], "groups": []},
        )  # fmt: skip

    async def test_higher_levels_are_answered_with_2(self) -> None:
        user_id = await self.register("ann")
        for proto in (3, 99, 2**63, 2**64):
            client = await self.login(user_id, proto)
            self.assertEqual(client.ack["proto"], 2)
            client.send({"msgid": 10})
            await client.get()

    async def test_log_out_is_answered(self) -> None:
        ann = await self.enter("ann", 2)
        self.assertEqual(await ann.ask({"msgid": 10}), {"msgid": 11, "errno": 0, "ack": 10})
        await self.log_in(ann, ann.id, 2)
        answer = await ann.ask({"msgid": 10, "cid": "bye"})
        self.assertEqual(answer, {"msgid": 11, "errno": 0, "ack": 10, "cid": "bye"})
        self.assert_refused(await ann.ask(received(0)), 102, 12)

    async def test_level_belongs_to_the_login(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob")
        await ann.ask({"msgid": 10})
        await self.log_in(ann, ann.id, 1)
        ann.send(say(bob.id, "no cid"))
        self.assertNotIn("cid", await bob.get())
        ann.send({"msgid": 10})
        await ann.nothing()


class Chatting(Conversation):
    async def test_delivered(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        ann.send(say(bob.id, "hi", cid="a", mood=1))
        pushed = await bob.get()
        self.assertRegex(pushed.pop("time"), TIME)
        self.assertEqual(
            pushed,
            {"msgid": 5, "toid": bob.id, "msg": "hi", "cid": "a", "mood": 1, "id": ann.id,
             "name": "ann", "seq": 1},
        )  # fmt: skip
        await ann.nothing()
        bob.send(received(1))
        self.assertEqual(await ann.get(), told("a", "delivered"))
        await bob.nothing()

    async def test_bytes_of_the_sender_with_a_seq(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        line = b'{"id":%d,"msg":"\xc3\xa9","msgid":5,"name":"ann","time":"","toid":%d,"cid":"a"}'
        ann.send(line % (ann.id, bob.id))
        self.assertEqual(await bob.line(), line[:-1] % (ann.id, bob.id) + b',"seq":1}')

    async def test_one_acknowledgement_for_many(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        ann.send(*(say(bob.id, "hi", cid=f"c{number}") for number in range(100)))
        pushed = await bob.get_all(100)
        self.assertEqual([it["seq"] for it in pushed], list(range(1, 101)))
        self.assertEqual([it["cid"] for it in pushed], [f"c{number}" for number in range(100)])
        bob.send(received(60))
        self.assertEqual(
            await ann.get_all(60), [told(f"c{number}", "delivered") for number in range(60)]
        )
        await ann.nothing()
        bob.send(received(60), received(3), received(0))
        await bob.nothing()
        await ann.nothing()
        bob.send(received(100))
        self.assertEqual(len(await ann.get_all(40)), 40)

    async def test_acknowledgement_beyond_what_was_pushed(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        self.assert_refused(await bob.ask(received(1)), 100, 12)
        ann.send(say(bob.id, "hi", cid="a"))
        await bob.get()
        self.assert_refused(await bob.ask({"msgid": 12, "seq": 2, "cid": "r"}), 100, 12, "r")
        await ann.nothing()
        for seq in (-1, "1", 1.0, None, True, 2**63):
            self.assert_refused(await bob.ask({"msgid": 12, "seq": seq}), 100, 12)
        bob.send(received(1))
        self.assertEqual(await ann.get(), told("a", "delivered"))

    async def test_received_of_a_level_1_client(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob")
        ann.send(say(bob.id, "hi", cid="a"))
        await bob.get()
        self.assert_refused(await bob.ask(received(1)), 100, 12)

    async def test_cid_is_wanted(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        self.assert_refused(await ann.ask(say(bob.id, "hi")), 100, 5)
        for cid in ("", "x" * 65, 7, None):
            self.assert_refused(await ann.ask(say(bob.id, "hi", cid=cid)), 100, 5)
        for cid in ("x" * 64, "🔑" * 64, " ", "\0"):
            ann.send(say(bob.id, "hi", cid=cid))
            self.assertEqual((await bob.get())["cid"], cid)
        await ann.nothing()

    async def test_refusals_name_the_cid(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        nobody = bob.id + 1000
        self.assert_refused(await ann.ask(say(nobody, "hi", cid="a")), 104, 5, "a")
        self.assert_refused(await ann.ask(say(bob.id, "hi", cid="a", id=bob.id)), 103, 5, "a")
        self.assert_refused(await ann.ask({"msgid": 5, "toid": bob.id, "cid": "a"}), 100, 5, "a")
        self.assert_refused(await ann.ask({"msgid": 77, "cid": "a"}), 101, 77, "a")
        ann.send(say(bob.id, "none of these used it", cid="a"))
        self.assertEqual((await bob.get())["cid"], "a")

    async def test_oneself(self) -> None:
        ann = await self.enter("ann", 2)
        pushed = await ann.ask(say(ann.id, "note", cid="a"))
        self.assertEqual((pushed["id"], pushed["cid"], pushed["seq"]), (ann.id, "a", 1))
        ann.send(received(1))
        self.assertEqual(await ann.get(), told("a", "delivered"))

    async def test_oneself_right_behind_the_login(self) -> None:
        user_id = await self.register("ann")
        ann = await self.connect()
        ann.send(login(user_id, 2), say(user_id, "note", cid="a"), {"msgid": 13})
        self.assertEqual((await ann.get())["backlog"], 0)
        self.assertEqual({it["msgid"] for it in await ann.get_all(2)}, {5, 14})
        ann.send(received(1))
        self.assertEqual(await ann.get(), told("a", "delivered"))

    async def test_level_1_recipient_gets_the_bytes(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob")
        line = b'{"id":%d,"msg":"hi","msgid":5,"name":"ann","time":"","toid":%d,"cid":"a"}'
        ann.send(line % (ann.id, bob.id))
        self.assertEqual(await bob.line(), line % (ann.id, bob.id))
        self.assertEqual(await ann.get(), told("a", "pushed"))
        await bob.nothing()

    async def test_level_1_sender(self) -> None:
        """The server gives a cid, which only level 2 recipients see."""
        ann, bob = await self.enter("ann"), await self.enter("bob", 2)
        ann.send(*(say(bob.id, "hi") for _ in range(3)))
        pushed = await bob.get_all(3)
        cids = {it["cid"] for it in pushed}
        self.assertEqual(len(cids), 3)
        self.assertTrue(all(1 <= len(cid) <= 64 for cid in cids))
        self.assertEqual([it["seq"] for it in pushed], [1, 2, 3])
        ann.send(say(bob.id, "hi", cid="own"))
        self.assertEqual((await bob.get())["cid"], "own")
        bob.send(received(4))
        await bob.nothing()
        await ann.nothing()


class BeingAway(Conversation):
    async def get_backlog(self, client: Client, number: int) -> list[dict[str, Any]]:
        """What a login brings, with its numbers tested."""
        pushed = await client.get_all(number)
        self.assertEqual([it["seq"] for it in pushed], list(range(1, number + 1)))
        return pushed

    async def test_stored_and_pushed_later(self) -> None:
        ann, away = await self.enter("ann", 2), await self.register("bob")
        ann.send(say(away, "1", cid="a"), say(away, "2", cid="b"))
        self.assertEqual(await ann.get_all(2), [told("a", "stored"), told("b", "stored")])
        bob = await self.login(away, 2)
        self.assertEqual(bob.ack["backlog"], 2)
        self.assertNotIn("offlinemsg", bob.ack)
        pushed = await self.get_backlog(bob, 2)
        self.assertEqual([(it["msg"], it["cid"]) for it in pushed], [("1", "a"), ("2", "b")])
        ann.send(say(away, "3", cid="c"))
        self.assertEqual((await bob.get())["seq"], 3)
        bob.send(received(3))
        self.assertEqual(await ann.get(), told("c", "delivered"))

    async def test_what_was_not_acknowledged_comes_again(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        ann.send(*(say(bob.id, str(number), cid=str(number)) for number in range(5)))
        await bob.get_all(5)
        bob.send(received(2))
        self.assertEqual([it["state"] for it in await ann.get_all(2)], ["delivered"] * 2)
        bob.cable.abort()
        self.assertEqual([it["state"] for it in await ann.get_all(3)], ["stored"] * 3)
        bob = await self.login(bob.id, 2)
        self.assertEqual(bob.ack["backlog"], 3)
        pushed = await self.get_backlog(bob, 3)
        self.assertEqual([it["msg"] for it in pushed], ["2", "3", "4"])
        bob.send(received(3), {"msgid": 10, "cid": "bye"})
        self.assertEqual((await bob.get())["cid"], "bye")
        await self.log_in(bob, bob.id, 2)
        await ann.nothing()

    async def test_acknowledged_backlog_is_gone(self) -> None:
        ann, away = await self.enter("ann", 2), await self.register("bob")
        ann.send(say(away, "1", cid="a"))
        await self.assert_stored(ann, "a")
        bob = await self.login(away, 2)
        await self.get_backlog(bob, 1)
        bob.send(received(1))
        await bob.ask({"msgid": 10})
        bob = await self.login(away)
        self.assertNotIn("offlinemsg", bob.ack)

    async def test_long_backlog_before_news(self) -> None:
        ann, away = await self.enter("ann", 2), await self.register("bob")
        cids = [f"c{number}" for number in range(900)]
        ann.send(*(say(away, cid, cid=cid) for cid in cids[:700]))
        for cid in cids[:700]:
            await self.assert_stored(ann, cid)
        bob = await self.login(away, 2)
        self.assertEqual(bob.ack["backlog"], 700)
        ann.send(*(say(away, cid, cid=cid) for cid in cids[700:]))
        for number, cid in enumerate(cids, 1):
            pushed = await bob.get()
            self.assertEqual((pushed["cid"], pushed["seq"]), (cid, number))
            if number % 50 == 0:
                bob.send(received(number))
        answers = await ann.get_all(200)
        self.assertEqual(sorted(it["cid"] for it in answers), cids[700:])
        self.assertLessEqual({it["state"] for it in answers}, {"stored", "delivered"})

    async def test_drops_after_the_first_page(self) -> None:
        ann, away = await self.enter("ann", 2), await self.register("bob")
        cids = [f"c{number}" for number in range(500)]
        ann.send(*(say(away, cid, cid=cid) for cid in cids))
        await ann.get_all(500)
        bob = await self.login(away, 2)
        self.assertEqual([(await bob.get())["cid"] for _ in range(100)], cids[:100])
        bob.cable.abort()
        await bob.end()
        bob = await self.login(away, 2)
        self.assertEqual(bob.ack["backlog"], 500)
        for number, cid in enumerate(cids, 1):
            self.assertEqual((await bob.get())["cid"], cid)
            bob.send(received(number))

    async def test_level_1_sender_and_level_1_recipient_in_between(self) -> None:
        ann, away = await self.enter("ann"), await self.register("bob")
        ann.send(say(away, "1"), say(away, "2", cid="own"))
        await ann.nothing()
        bob = await self.login(away, 2)
        one, two = await self.get_backlog(bob, 2)
        self.assertTrue(one["cid"])
        self.assertEqual(two["cid"], "own")
        bob.cable.abort()
        await bob.end()
        bob = await self.login(away)
        self.assertEqual(len(bob.ack["offlinemsg"]), 2)
        self.assertNotIn("cid", bob.ack["offlinemsg"][0])

    async def test_sender_that_disconnects_right_after_sending(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob")
        away = await self.register("carl")
        ann.send(say(bob.id, "live", cid="a"), say(away, "away", cid="b"))
        ann.cable.close()
        self.assertEqual((await bob.get())["msg"], "live")
        await self.login(ann.id)
        carl = await self.login(away, 2)
        self.assertEqual((await carl.get())["msg"], "away")

    async def test_log_out_with_messages_in_flight(self) -> None:
        """What the user has not acknowledged waits; what the user said is answered before."""
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        away = await self.register("carl")
        ann.send(say(bob.id, "hi", cid="a"))
        self.assertEqual((await bob.get())["seq"], 1)
        bob.send(*(say(away, "x", cid=f"c{number}") for number in range(20)), {"msgid": 10})
        answers = await bob.get_all(21)
        self.assertEqual([it["ack"] for it in answers], [5] * 20 + [10])
        await self.assert_stored(ann, "a")
        await self.log_in(bob, bob.id, 2)
        self.assertEqual(bob.ack["backlog"], 1)
        self.assertEqual((await bob.get())["cid"], "a")


class MemoryLoggingInTests(LoggingIn, InMemory):
    pass


class TcpLoggingInTests(LoggingIn, OverTcp):
    pass


class MemoryChattingTests(Chatting, InMemory):
    pass


class TcpChattingTests(Chatting, OverTcp):
    pass


class MemoryBeingAwayTests(BeingAway, InMemory):
    pass


class TcpBeingAwayTests(BeingAway, OverTcp):
    pass
