"""Level 1: the original's messages, live and after an absence, and nothing more."""

from __future__ import annotations

import json

from tests.cables import Client
from tests.support import TIME, Conversation, InMemory, OverTcp, login, say


class Chatting(Conversation):
    async def test_nothing_is_answered_when_all_is_well(self) -> None:
        ann, bob = await self.enter("ann"), await self.enter("bob")
        ann.send(say(bob.id, "hi"))
        self.assertEqual((await bob.get())["msg"], "hi")
        ann.send(say(bob.id, "with a cid", cid="a"))
        self.assertEqual((await bob.get())["cid"], "a")
        await ann.nothing()
        away = await self.register("carl")
        ann.send(say(away, "stored"), say(away, "stored", cid="b"))
        await ann.nothing()
        carl = await self.login(away)
        self.assertEqual(len(carl.ack["offlinemsg"]), 2)
        await ann.nothing()

    async def test_recipient_gets_what_the_sender_wrote(self) -> None:
        ann, bob = await self.enter("ann"), await self.enter("bob")
        line = (
            f'{{"id":{ann.id},"msg":"héllo 🔑","msgid":5,"name":"ann",'
            f'"time":"2020-01-01 00:00:00","toid":{bob.id}}}'
        ).encode()
        ann.send(line)
        self.assertEqual(await bob.line(), line)
        ann.send(b'{"toid": %d ,"msgid":5,"msg":"hi","mood":{"is": [1.0]}}' % bob.id)
        pushed = await bob.line()
        self.assertIn(b'"mood":{"is": [1.0]}', pushed)
        message = json.loads(pushed)
        self.assertRegex(message.pop("time"), TIME)
        self.assertEqual(
            message,
            {"toid": bob.id, "msgid": 5, "msg": "hi", "mood": {"is": [1.0]}, "id": ann.id,
             "name": "ann"},
        )  # fmt: skip

    async def test_server_vouches_for_the_sender(self) -> None:
        ann, bob = await self.enter("ann"), await self.enter("bob")
        ann.send(say(bob.id, "hi", name="bob"))
        self.assertEqual((await bob.get())["name"], "ann")
        for field in (b'"name":7', b'"name":null', b'"name":"ann","name":"bob"'):
            ann.send(b'{"msgid":5,"toid":%d,"msg":"hi",%b}' % (bob.id, field))
            message = await bob.get()
            self.assertEqual((message["id"], message["name"]), (ann.id, "ann"))
        self.assert_refused(await ann.ask(say(bob.id, "hi", id=bob.id)), 103, 5)
        self.assert_refused(await ann.ask(say(bob.id, "hi", id=bob.id, cid="c")), 103, 5, "c")
        self.assert_refused(await ann.ask(say(bob.id, "hi", id=str(ann.id))), 100, 5)
        ann.send(say(bob.id, "me", id=ann.id))
        self.assertEqual((await bob.get())["msg"], "me")

    async def test_time(self) -> None:
        ann, bob = await self.enter("ann"), await self.enter("bob")
        for time in ("", "soon", "2020-01-01 00:00:00"):
            ann.send(say(bob.id, "hi", time=time))
            self.assertEqual((await bob.get())["time"], time)
        for wrong in (None, 7, ["x"], {"a": "b"}):
            ann.send(say(bob.id, "hi", time=wrong))
            self.assertRegex((await bob.get())["time"], TIME)

    async def test_texts(self) -> None:
        ann, bob = await self.enter("ann"), await self.enter("bob")
        for text in (
            "",
            "'; DROP TABLE user;--",
            "🔑" * 1000,
            "a\0b\r\nc",
            "\\",
            '"',
            "x" * 60_000,
        ):
            ann.send(say(bob.id, text))
            self.assertEqual((await bob.get())["msg"], text)

    async def test_seq_is_dropped(self) -> None:
        ann, bob = await self.enter("ann"), await self.enter("bob")
        ann.send(say(bob.id, "hi", seq=9))
        self.assertNotIn("seq", await bob.get())

    async def test_nobody(self) -> None:
        ann = await self.enter("ann")
        for user_id in (ann.id + 1000, 2**63 - 1):
            self.assert_refused(await ann.ask(say(user_id, "hi")), 104, 5)
            self.assert_refused(await ann.ask(say(user_id, "hi", cid="a")), 104, 5, "a")
        self.assert_refused(await ann.ask(b'{"msgid":5,"toid":0,"msg":"hi"}'), 100, 5)

    async def test_nothing_is_kept_for_nobody(self) -> None:
        ann = await self.enter("ann")
        self.assert_refused(await ann.ask(say(ann.id + 1, "hi")), 104, 5)
        bob = await self.enter("bob")
        self.assertNotIn("offlinemsg", bob.ack)

    async def test_oneself(self) -> None:
        ann = await self.enter("ann")
        message = await ann.ask(say(ann.id, "note"))
        self.assertEqual((message["id"], message["toid"], message["msg"]), (ann.id, ann.id, "note"))
        await ann.nothing()

    async def test_oneself_right_behind_the_login(self) -> None:
        user_id = await self.register("ann")
        ann = await self.connect()
        ann.send(login(user_id), say(user_id, "1"), say(user_id, "2"), {"msgid": 13})
        self.assertEqual((await ann.get())["errno"], 0)
        rest = [await ann.get() for _ in range(3)]
        self.assertEqual([it["msg"] for it in rest if it["msgid"] == 5], ["1", "2"])

    async def test_many_at_once_keep_their_order(self) -> None:
        ann, bob = await self.enter("ann"), await self.enter("bob")
        ann.send(*(say(bob.id, str(number)) for number in range(300)))
        texts = [(await bob.get())["msg"] for _ in range(300)]
        self.assertEqual(texts, [str(number) for number in range(300)])
        await ann.nothing()

    async def test_answers_and_refusals_in_order(self) -> None:
        ann, bob = await self.enter("ann"), await self.enter("bob")
        ann.send(
            say(bob.id, "1"), say(bob.id, "x", id=bob.id), b"no JSON", {"msgid": 13},
            say(bob.id, "2"), {"msgid": 99}, {"msgid": 13},
        )  # fmt: skip
        answers = await ann.get_all(5)
        self.assertEqual([it.get("errno") for it in answers], [103, 100, None, 101, None])
        self.assertEqual([it["msg"] for it in await bob.get_all(2)], ["1", "2"])


class BeingAway(Conversation):
    def texts_of_login(self, client: Client) -> list[str]:
        """What a login was told that waited."""
        return [json.loads(text)["msg"] for text in client.ack.get("offlinemsg", [])]

    async def test_what_waited_is_in_the_answer(self) -> None:
        ann, bob = await self.enter("ann"), await self.register("bob")
        line = b'{"id":%d,"msg":"\xc3\xa9","msgid":5,"name":"ann","time":"then","toid":%d}'
        ann.send(line % (ann.id, bob), say(bob, "2", mood="good"))
        await ann.nothing()
        client = await self.login(bob)
        self.assertEqual(client.ack["offlinemsg"][0], (line % (ann.id, bob)).decode())
        second = json.loads(client.ack["offlinemsg"][1])
        self.assertRegex(second.pop("time"), TIME)
        self.assertEqual(second, {**say(bob, "2", mood="good"), "id": ann.id, "name": "ann"})
        self.assertNotIn("friends", client.ack)
        await client.nothing()

    async def test_once_only(self) -> None:
        ann, bob = await self.enter("ann"), await self.register("bob")
        ann.send(say(bob, "hi"))
        await ann.nothing()
        first = await self.login(bob)
        self.assertEqual(self.texts_of_login(first), ["hi"])
        first.send({"msgid": 10})
        await first.nothing()
        self.assertNotIn("offlinemsg", (await self.login(bob)).ack)

    async def test_hundred_in_the_answer_and_the_rest_behind_it(self) -> None:
        ann, bob = await self.enter("ann"), await self.register("bob")
        ann.send(*(say(bob, str(number)) for number in range(350)))
        await ann.nothing()
        client = await self.login(bob)
        texts = self.texts_of_login(client)
        self.assertEqual(len(texts), 100)
        texts += [(await client.get())["msg"] for _ in range(250)]
        self.assertEqual(texts, [str(number) for number in range(350)])
        await self.assert_chatting(ann, client)

    async def test_48_kib_in_the_answer(self) -> None:
        ann, bob = await self.enter("ann"), await self.register("bob")
        ann.send(*(say(bob, str(number) + "\\" * 5000) for number in range(20)))
        await ann.nothing()
        client = await self.login(bob)
        waited = client.ack["offlinemsg"]
        self.assertLess(len(json.dumps(waited)), 50_000)
        texts = self.texts_of_login(client)
        self.assertTrue(0 < len(texts) < 20)
        texts += [(await client.get())["msg"] for _ in range(20 - len(texts))]
        self.assertEqual([text.strip("\\") for text in texts], [str(it) for it in range(20)])

    async def test_message_larger_than_the_answer(self) -> None:
        ann, bob = await self.enter("ann"), await self.register("bob")
        ann.send(say(bob, "x" * 60_000), say(bob, "small"))
        await ann.nothing()
        client = await self.login(bob)
        self.assertNotIn("offlinemsg", client.ack)
        self.assertEqual(len((await client.get())["msg"]), 60_000)
        self.assertEqual((await client.get())["msg"], "small")

    async def test_what_comes_meanwhile_comes_after_it(self) -> None:
        ann, bob = await self.enter("ann"), await self.register("bob")
        ann.send(*(say(bob, str(number)) for number in range(150)))
        client = await self.connect()
        client.send(login(bob))
        ann.send(*(say(bob, str(number)) for number in range(150, 300)))
        client.ack = await client.get()
        self.assertEqual(client.ack["msgid"], 2)
        texts = self.texts_of_login(client)
        texts += [(await client.get())["msg"] for _ in range(300 - len(texts))]
        self.assertEqual(texts, [str(number) for number in range(300)])

    async def test_cid_of_a_level_1_sender_waits_with_the_message(self) -> None:
        ann, bob = await self.enter("ann"), await self.register("bob")
        ann.send(say(bob, "with"), say(bob, "with", cid="a"))
        await ann.nothing()
        client = await self.login(bob)
        without, named = map(json.loads, client.ack["offlinemsg"])
        self.assertNotIn("cid", without)
        self.assertEqual(named["cid"], "a")


class MemoryChattingTests(Chatting, InMemory):
    pass


class TcpChattingTests(Chatting, OverTcp):
    pass


class MemoryBeingAwayTests(BeingAway, InMemory):
    pass


class TcpBeingAwayTests(BeingAway, OverTcp):
    pass
