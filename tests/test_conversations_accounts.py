"""Accounts, whatever the level: who may register, and who may log in."""

from __future__ import annotations

from chat.errors import INVALID_LOGIN
from tests.support import PASSWORD, Conversation, InMemory, OverTcp, login, received, say


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


class MemoryRegisteringTests(Registering, InMemory):
    pass


class TcpRegisteringTests(Registering, OverTcp):
    pass


class MemoryLoggingInTests(LoggingIn, InMemory):
    pass


class TcpLoggingInTests(LoggingIn, OverTcp):
    pass
