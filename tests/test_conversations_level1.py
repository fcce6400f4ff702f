"""Level 1: the original's messages, and nothing more."""

from __future__ import annotations

import json

from chat.errors import INVALID_LOGIN
from tests.cables import Client
from tests.support import PASSWORD, TIME, Conversation, InMemory, OverTcp, login, received, say


class Registering(Conversation):
    async def reg(self, name: object, password: object = PASSWORD) -> dict[str, object]:
        client = await self.connect()
        answer = await client.ask({"msgid": 3, "name": name, "password": password})
        self.assertEqual(answer.pop("msgid"), 4)
        await client.nothing()
        client.cable.close()
        return answer

    async def assert_name(self, errno: int, *names: object) -> None:
        for name in names:
            answer = await self.reg(name)
            self.assertEqual(answer["errno"], errno, name)
            self.assertEqual(set(answer), {"errno", "errmsg" if errno else "id"})

    async def test_ids_are_numbers_that_log_in(self) -> None:
        first, second = await self.register("ann"), await self.register("bob")
        self.assertNotEqual(first, second)
        self.assertEqual((await self.login(second)).ack["name"], "bob")

    async def test_names_of_people(self) -> None:
        await self.assert_name(
            0, "a", "x" * 50, "🔑" * 50, "O'Brien", 'Robert"); DROP TABLE user;--', "%s%n", "\\",
            "Zoë", "Zoe", "李小龍", "a b", "null", "Ann", "ann",
        )  # fmt: skip

    async def test_names_that_are_not_allowed(self) -> None:
        await self.assert_name(
            1, "", " ", "\t\n ", "\u3000", "x" * 51, "🔑" * 51, "\ufdfa" * 3, "a\0b", "a\nb",
            "a\x7f", "a\x85b", "\u2028x\u2029y",
        )  # fmt: skip

    async def test_names_of_a_wrong_type(self) -> None:
        await self.assert_name(100, 1, None, True, ["ann"], {"name": "ann"})

    async def test_name_is_trimmed(self) -> None:
        answer = await self.reg("  ann\t")
        await self.assert_name(1, "ann", "ann ")
        client = await self.connect()
        ack = await client.ask(login(int(str(answer["id"]))))
        self.assertEqual(ack["name"], "ann")

    async def test_name_is_kept_as_typed_and_compared_as_nfkc(self) -> None:
        user_id = await self.register("\ufb01sh\u2460")
        self.assertEqual((await self.login(user_id)).ack["name"], "\ufb01sh\u2460")
        await self.assert_name(1, "fish1", "ﬁsh1", "\ufb01sh\u2460")
        await self.register("Zoe\u0308")
        await self.assert_name(1, "Zo\u00eb")
        await self.assert_name(0, "Zoe", "zoe\u0308")

    async def test_passwords(self) -> None:
        for password in ("x", " ", "x" * 1024, "é" * 512, "\0", "'; DROP TABLE user;--"):
            answer = await self.reg(f"user of {password[:20]!r} {len(password)}", password)
            self.assertEqual(answer["errno"], 0)
            client = await self.connect()
            user_id = int(str(answer["id"]))
            ack = await client.ask({"msgid": 1, "id": user_id, "password": password})
            self.assertEqual(ack["errno"], 0)
            wrong = await self.connect()
            ack = await wrong.ask({"msgid": 1, "id": user_id, "password": password + "x"})
            self.assertEqual(ack["errno"], 1)
        for password in ("", "x" * 1025, "é" * 513, 1, None, True, ["x"]):  # type: ignore[assignment]
            self.assertEqual((await self.reg("ann", password))["errno"], 100)
        await self.register("ann")

    async def test_what_is_missing(self) -> None:
        client = await self.connect()
        for message in ({"msgid": 3}, {"msgid": 3, "name": "ann"}, {"msgid": 3, "password": "x"}):
            answer = await client.ask(message)
            expected = {"msgid": 4, "errno": 100, "errmsg": answer.get("errmsg")}
            self.assertEqual(answer, expected)

    async def test_two_at_once_with_one_name(self) -> None:
        clients = [await self.connect() for _ in range(5)]
        for client in clients:
            client.send({"msgid": 3, "name": "ann", "password": PASSWORD})
        errnos = [(await client.get())["errno"] for client in clients]
        self.assertEqual(sorted(errnos), [0, 1, 1, 1, 1])


class LoggingIn(Conversation):
    async def test_answer(self) -> None:
        ann = await self.enter("ann")
        self.assertEqual(ann.ack, {"msgid": 2, "errno": 0, "id": ann.id, "name": "ann"})

    async def test_proto_1_is_level_1(self) -> None:
        client = await self.connect()
        user_id = await self.register("ann")
        ack = await client.ask({**login(user_id), "proto": 1, "takeover": 7})
        self.assertEqual(ack, {"msgid": 2, "errno": 0, "id": user_id, "name": "ann"})

    async def test_unknown_id_and_wrong_password_alike(self) -> None:
        user_id = await self.register("ann")
        client = await self.connect()
        refusal = {"msgid": 2, "errno": 1, "errmsg": INVALID_LOGIN}
        self.assertEqual(INVALID_LOGIN, "id or password is invalid!")
        for fields in (
            {"id": user_id, "password": PASSWORD + "x"},
            {"id": user_id, "password": ""},
            {"id": user_id, "password": "x" * 10_000},
            {"id": user_id + 1000, "password": PASSWORD},
            {"id": 2**63 - 1, "password": PASSWORD},
            {"id": user_id, "password": "' OR '1'='1"},
            {"id": user_id, "password": "a\0b"},
        ):
            self.assertEqual(await client.ask({"msgid": 1, **fields}), refusal)
        await self.log_in(client, user_id)

    async def test_bad_requests(self) -> None:
        user_id = await self.register("ann")
        client = await self.connect()
        for fields in (
            {"id": str(user_id)}, {"id": float(user_id)}, {"id": True}, {"id": None}, {"id": 0},
            {"id": -1}, {"id": 2**63}, {"id": f"{user_id} OR 1=1"}, {"password": 1},
            {"password": None}, {"proto": 0}, {"proto": -1}, {"proto": "2"}, {"proto": 1.5},
            {"proto": None}, {"proto": True}, {"proto": 2, "takeover": 1},
            {"proto": 2, "takeover": "true"}, {"proto": 3, "takeover": None},
        ):  # fmt: skip
            answer = await client.ask({**login(user_id), **fields})
            expected = {"msgid": 2, "errno": 100, "errmsg": answer.get("errmsg")}
            self.assertEqual(answer, expected, fields)
        for line in (b'{"msgid":1}', b'{"msgid":1,"id":1}', b'{"msgid":1,"password":"x"}'):
            self.assertEqual((await client.ask(line))["errno"], 100)
        await self.log_in(client, user_id)

    async def test_twice_on_one_connection(self) -> None:
        ann = await self.enter("ann")
        bob = await self.register("bob")
        for user_id in (ann.id, bob):
            answer = await ann.ask(login(user_id))
            expected = {"msgid": 2, "errno": 103, "errmsg": answer.get("errmsg")}
            self.assertEqual(answer, expected)
        await self.assert_chatting(ann, await self.login(bob))

    async def test_one_user_one_login(self) -> None:
        ann, bob = await self.enter("ann"), await self.enter("bob")
        for fields in ({}, {"proto": 2}, {"proto": 1, "takeover": True}, {"takeover": True}):
            client = await self.connect()
            self.assert_in_use(await client.ask({**login(ann.id), **fields}))
            await client.nothing()
        await self.assert_chatting(ann, bob)

    async def test_wrong_password_is_told_nothing_of_who_is_online(self) -> None:
        ann = await self.enter("ann")
        client = await self.connect()
        answer = await client.ask({"msgid": 1, "id": ann.id, "password": "wrong"})
        self.assertEqual(answer["errno"], 1)

    async def test_user_is_free_when_the_connection_is_gone(self) -> None:
        ann = await self.enter("ann")
        ann.cable.close()
        await ann.end()
        ann = await self.login(ann.id)
        ann.cable.abort()
        await ann.end()
        await self.login(ann.id)

    async def test_before_login(self) -> None:
        client = await self.connect()
        for message in (say(1, "hi"), {"msgid": 10}, received(1)):
            self.assert_refused(await client.ask(message), 102, message["msgid"])
        self.assert_refused(await client.ask(say(1, "hi", cid="a")), 102, 5, "a")
        client.send({"msgid": 14})
        await client.nothing()

    async def test_log_out_and_in_again(self) -> None:
        ann, bob = await self.enter("ann"), await self.enter("bob")
        ann.send({"msgid": 10, "cid": "bye"})
        await ann.nothing()
        self.assert_refused(await ann.ask({"msgid": 10}), 102, 10)
        self.assert_refused(await ann.ask(say(bob.id, "hi")), 102, 5)
        carl = await self.register("carl")
        await self.log_in(ann, carl)
        await self.assert_chatting(ann, bob)

    async def test_log_out_of_somebody_else(self) -> None:
        ann, bob = await self.enter("ann"), await self.enter("bob")
        self.assert_refused(await ann.ask({"msgid": 10, "id": bob.id}), 103, 10)
        self.assert_refused(await ann.ask({"msgid": 10, "id": "1"}), 100, 10)
        await self.assert_chatting(ann, bob)
        ann.send({"msgid": 10, "id": ann.id})
        await ann.nothing()
        await self.login(ann.id)


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


class MemoryRegisteringTests(InMemory, Registering):
    pass


class TcpRegisteringTests(OverTcp, Registering):
    pass


class MemoryLoggingInTests(InMemory, LoggingIn):
    pass


class TcpLoggingInTests(OverTcp, LoggingIn):
    pass


class MemoryChattingTests(InMemory, Chatting):
    pass


class TcpChattingTests(OverTcp, Chatting):
    pass


class MemoryBeingAwayTests(InMemory, BeingAway):
    pass


class TcpBeingAwayTests(OverTcp, BeingAway):
    pass
