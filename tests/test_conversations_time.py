"""What happens when nothing happens: time limits, and what waits for its turn."""

from __future__ import annotations

from tests.support import InMemory, login, received, say, told


class TimeTests(InMemory):
    async def test_no_login_within_30_seconds(self) -> None:
        silent, chatty = await self.connect(), await self.connect()
        user_id = await self.register("ann")
        for _ in range(29):
            chatty.send({"msgid": 13})
            self.go(1)
        self.assertFalse(silent.closed or chatty.closed)
        self.go(2)
        for client in (silent, chatty):
            said = await client.end()
            self.assert_refused(said[-1], 102, 0)
        await self.login(user_id)

    async def test_a_thousand_that_send_nothing(self) -> None:
        clients = [await self.connect() for _ in range(1000)]
        await self.assert_chatting(await self.enter("ann"), await self.enter("bob"))
        self.go(34)
        self.assertTrue(all(client.closed for client in clients))
        self.assertEqual(len(self.server.sessions), 2)

    async def test_who_has_logged_out_has_30_seconds_again(self) -> None:
        ann = await self.enter("ann")
        self.go(100)
        ann.send({"msgid": 10})
        self.go(29)
        self.assertFalse(ann.closed)
        await self.log_in(ann, ann.id)
        ann.send({"msgid": 10})
        self.go(32)
        self.assert_refused((await ann.end())[-1], 102, 0)

    async def test_login_under_way_is_no_silence(self) -> None:
        user_id = await self.register("ann")
        client = await self.connect()
        self.passwords.hold()
        client.send(login(user_id))
        self.go(60)
        self.assertFalse(client.closed)
        self.passwords.release()
        self.assertEqual((await client.get())["errno"], 0)

    async def test_level_1_may_be_silent(self) -> None:
        ann, bob = await self.enter("ann"), await self.enter("bob")
        self.go(3600)
        self.assertEqual(list(ann.lines), [])
        await self.assert_chatting(ann, bob)

    async def test_silent_level_2_client_is_asked_and_given_up_after_two_pings(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        for _ in range(29):
            self.go(1)
            bob.send({"msgid": 14})
        self.assertEqual(list(ann.lines), [])
        self.go(2)
        self.assertEqual(await ann.get(), {"msgid": 13})
        for _ in range(30):
            self.go(1)
            bob.send({"msgid": 14})
        self.assertEqual(await ann.get(), {"msgid": 13})
        bob.send(say(ann.id, "are you there?", cid="a"))
        self.assertEqual((await ann.get())["cid"], "a")
        self.go(2)
        self.assertEqual(await bob.get(), told("a", "stored"))
        for _ in range(30):
            self.go(1)
            bob.send({"msgid": 14})
        self.assertEqual(await ann.end(), [])
        ann = await self.login(ann.id, 2)
        self.assertEqual((await ann.get())["cid"], "a")

    async def test_any_line_is_a_sign_of_life(self) -> None:
        ann = await self.enter("ann", 2)
        for sign in ({"msgid": 14}, {"msgid": 13}, b"hello", {"msgid": 14, "cid": "x"}):
            self.go(31)
            self.assertEqual(await ann.get(), {"msgid": 13})
            ann.send(sign)
            ann.lines.clear()
        self.go(25)
        self.assertFalse(ann.closed)
        self.assertEqual(list(ann.lines), [])

    async def test_stored_after_a_second_without_acknowledgement(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        ann.send(say(bob.id, "hi", cid="a"))
        await bob.get()
        self.go(0.7)
        await ann.nothing()
        self.go(1)
        self.assertEqual(await ann.get(), told("a", "stored"))
        bob.send(received(1))
        await bob.nothing()
        self.go(1)
        await ann.nothing()
        bob.send({"msgid": 10})
        await bob.get()
        await self.log_in(bob, bob.id, 2)
        self.assertEqual(bob.ack["backlog"], 0)
        await bob.nothing()

    async def test_stored_one_is_not_pushed_again_on_the_same_connection(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        for number in range(1, 21):
            ann.send(say(bob.id, "hi", cid=f"c{number}"))
            self.assertEqual((await bob.get())["seq"], number)
            self.go(0.4)
        self.go(2)
        self.assertEqual(len(await ann.get_all(20)), 20)
        await bob.nothing()
        bob.send(received(20))
        await bob.nothing()

    async def test_level_1_client_that_takes_nothing(self) -> None:
        """Stored within about a second, pushed when it reads, and the row is gone."""
        ann, bob = await self.enter("ann", 2), await self.enter("bob")
        bob.cable.hold()
        ann.send(*(say(bob.id, "x" * 30_000, cid=f"c{number}") for number in range(10)))
        self.time.settle()
        pushed = [it["cid"] for it in await ann.get_all(len(ann.lines))]
        self.go(1.6)
        answers = await ann.get_all(10 - len(pushed))
        self.assertEqual({it["state"] for it in answers}, {"stored"})
        bob.cable.let_go()
        self.assertEqual([it["cid"] for it in await bob.get_all(10)], [f"c{n}" for n in range(10)])
        self.go(1)
        bob.cable.abort()
        self.assertNotIn("offlinemsg", (await self.login(bob.id)).ack)

    async def test_client_that_takes_nothing_for_30_seconds_is_closed(self) -> None:
        for level in (1, 2):
            ann, bob = await self.enter(f"a{level}", 2), await self.enter(f"b{level}", level)
            bob.cable.hold()
            cids = [f"c{number}" for number in range(20)]
            ann.send(*(say(bob.id, "x" * 30_000, cid=cid) for cid in cids))
            self.go(25)
            self.assertFalse(bob.closed)
            bob.send({"msgid": 14})
            self.go(10)
            ann.send({"msgid": 14})
            self.assertTrue(bob.closed)
            answers = {it["cid"]: it["state"] for it in await ann.get_all(20)}
            self.assertEqual(set(answers), set(cids))
            again = await self.login(bob.id, 2)
            stored = [cid for cid in cids if answers[cid] == "stored"]
            self.assertGreater(len(stored), 10)
            for number, cid in enumerate(stored, 1):
                self.assertEqual((await again.get())["cid"], cid)
                again.send(received(number))

    async def test_slow_but_steady_is_not_closed(self) -> None:
        ann, bob = await self.enter("ann"), await self.enter("bob")
        for _ in range(10):
            bob.cable.hold()
            ann.send(*(say(bob.id, "x" * 30_000) for _ in range(10)))
            self.go(20)
            bob.cable.let_go()
            await bob.get_all(10)
        self.assertFalse(bob.closed)


class TurnTests(InMemory):
    """Requests are worked off in the order in which they came."""

    async def test_what_is_behind_a_login_waits(self) -> None:
        user_id, bob = await self.register("ann"), await self.enter("bob")
        ann = await self.connect()
        self.passwords.hold()
        ann.send(
            {"msgid": 13}, login(user_id), say(bob.id, "hi"), {"msgid": 99}, b"no JSON",
            {"msgid": 13, "cid": "behind"}, {"msgid": 14},
        )  # fmt: skip
        self.assertEqual(await ann.get(), {"msgid": 14})
        self.go(1)
        self.assertEqual(list(ann.lines), [])
        await bob.nothing()
        self.passwords.release()
        answers = await ann.get_all(4)
        self.assertEqual([it["msgid"] for it in answers], [2, 11, 11, 14])
        self.assertEqual([it.get("errno") for it in answers], [0, 101, 100, None])
        self.assertEqual((await bob.get())["msg"], "hi")

    async def test_what_is_behind_a_refused_login_is_refused(self) -> None:
        user_id = await self.register("ann")
        ann = await self.connect()
        self.passwords.hold()
        ann.send({**login(user_id), "password": "wrong"}, say(user_id, "hi"), login(user_id))
        self.passwords.release()
        answers = await ann.get_all(3)
        self.assertEqual([it["errno"] for it in answers], [1, 102, 0])

    async def test_acknowledgements_do_not_wait(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        bob.send(say(ann.id, "hi", cid="b"))
        await ann.get()
        self.passwords.hold()
        ann.send({"msgid": 3, "name": "carl", "password": "x"}, {"msgid": 13})
        ann.send(received(1))
        self.assertEqual(await bob.get(), told("b", "delivered"))
        self.assert_refused(await ann.ask(received(2)), 100, 12)
        self.assertEqual(list(ann.lines), [])
        self.passwords.release()
        self.assertEqual([it["msgid"] for it in await ann.get_all(2)], [4, 14])

    async def test_received_of_who_is_not_logged_in_does_not_wait_either(self) -> None:
        user_id = await self.register("ann")
        ann = await self.connect()
        self.passwords.hold()
        ann.send(login(user_id, 2), received(0))
        self.assert_refused(await ann.get(), 102, 12)
        self.passwords.release()
        self.assertEqual((await ann.get())["errno"], 0)

    async def test_messages_for_who_is_logging_in_wait_for_the_answer(self) -> None:
        ann_id, bob = await self.register("ann"), await self.register("bob")
        for level in (1, 2):
            self.stop()
            self.start()
            ann, client = await self.login(ann_id, 2), await self.connect()
            self.faults.hang("census", "page")
            client.send(login(bob, level))
            ann.send(say(bob, "meanwhile", cid=f"at level {level}"))
            self.time.settle()
            self.assertEqual(list(client.lines), [])
            self.faults.recover()
            ack = await client.get()
            self.assertEqual((ack["msgid"], ack["errno"]), (2, 0))
            if level == 1:
                self.assertEqual(len(ack["offlinemsg"]), 1)
            else:
                self.assertEqual((await client.get())["cid"], f"at level {level}")
                client.send(received(1))
            await self.assert_stored(ann, f"at level {level}")

    async def test_client_that_goes_with_a_request_under_way(self) -> None:
        user_id = await self.register("ann")
        reg = {"msgid": 3, "name": "x", "password": "x"}
        for request in (login(user_id), login(user_id, 2), reg):
            client = await self.connect()
            self.passwords.hold()
            client.send(request)
            client.cable.abort()
            self.passwords.release()
            self.go(1)
            await self.login(user_id)
            self.stop()
            self.start()

    async def test_client_that_goes_while_its_mailbox_is_opened(self) -> None:
        ann_id, user_id = await self.register("ann"), await self.register("bob")
        ann = await self.login(ann_id, 2)
        await ann.ask(say(user_id, "hi", cid="a"))
        for part in ("account", "census", "page"):
            for level in (1, 2):
                self.stop()
                self.start()
                self.faults.hang(part)
                client = await self.connect()
                client.send(login(user_id, level))
                client.cable.abort()
                self.go(0.1)
                self.faults.recover()
                self.go(0.1)
                bob = await self.login(user_id, 2)
                self.assertEqual((bob.ack["backlog"], (await bob.get())["cid"]), (1, "a"))
