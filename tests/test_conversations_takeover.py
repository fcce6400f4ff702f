"""A user logs in a second time: who stays, and what becomes of what was in flight."""

from __future__ import annotations

from tests.cables import Client
from tests.support import Conversation, InMemory, OverTcp, login, received, say, told


class TakingOver(Conversation):
    async def assert_taken_over(self, client: Client) -> None:
        """The last words on a connection that another login has replaced."""
        answer = await client.get()
        self.assert_refused(answer, 103, 0)
        self.assertEqual(answer["errmsg"], "taken over by another login")
        self.assertEqual(await client.end(), [])

    async def test_at_once(self) -> None:
        for level in (1, 2):
            older = await self.enter(f"user of level {level}", level)
            newer = await self.login(older.id, 2, takeover=True)
            await self.assert_taken_over(older)
            await self.assert_chatting(newer, await self.enter(f"other at level {level}"))

    async def test_again_and_again(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob")
        for _ in range(5):
            newer = await self.login(ann.id, 2, takeover=True)
            await self.assert_taken_over(ann)
            ann = newer
        await self.assert_chatting(ann, bob)

    async def test_only_with_the_password(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob")
        thief = await self.connect()
        answer = await thief.ask({**login(ann.id, 2, takeover=True), "password": "wrong"})
        self.assertEqual(answer["errno"], 1)
        await self.assert_chatting(ann, bob)

    async def test_nobody_is_there(self) -> None:
        ann = await self.login(await self.register("ann"), 2, takeover=True)
        await self.assert_chatting(ann, await self.enter("bob"))

    async def test_without_it_the_older_one_is_asked(self) -> None:
        """Any line is an answer."""
        older = await self.enter("ann", 2)
        for sign in ({"msgid": 14}, {"msgid": 13}, {"msgid": 99}, b"hello"):
            newer = await self.connect()
            newer.send(login(older.id, 2))
            self.assertEqual(await older.line(), b'{"msgid":13}')
            older.send(sign)
            self.assert_in_use(await newer.get())
            if sign != {"msgid": 14}:
                await older.get()
        await older.nothing()

    async def test_older_one_goes_while_it_is_asked(self) -> None:
        older = await self.enter("ann", 2)
        newer = await self.connect()
        newer.send(login(older.id, 2))
        self.assertEqual(await older.get(), {"msgid": 13})
        older.cable.close()
        self.assertEqual((await newer.get())["errno"], 0)

    async def test_what_was_in_flight_comes_first(self) -> None:
        ann, older = await self.enter("ann", 2), await self.enter("bob", 2)
        ann.send(*(say(older.id, str(number), cid=f"c{number}") for number in range(5)))
        await older.get_all(5)
        older.send(received(2))
        await ann.get_all(2)
        newer = await self.login(older.id, 2, takeover=True)
        self.assertEqual(newer.ack["backlog"], 3)
        ann.send(say(older.id, "news", cid="n"))
        pushed = await newer.get_all(4)
        self.assertEqual([it["msg"] for it in pushed], ["2", "3", "4", "news"])
        self.assertEqual([it["seq"] for it in pushed], [1, 2, 3, 4])
        newer.send(received(4))
        answers = {it["cid"]: it["state"] for it in await ann.get_all(4)}
        self.assertEqual(set(answers), {"c2", "c3", "c4", "n"})
        self.assertLessEqual(set(answers.values()), {"stored", "delivered"})
        await self.assert_taken_over(older)
        await newer.ask({"msgid": 10})
        await self.log_in(newer, newer.id, 2)
        self.assertEqual(newer.ack["backlog"], 0)

    async def test_old_acknowledgements_mean_nothing_on_the_new_connection(self) -> None:
        ann, older = await self.enter("ann", 2), await self.enter("bob", 2)
        ann.send(*(say(older.id, "x", cid=f"c{number}") for number in range(3)))
        await older.get_all(3)
        newer = await self.login(older.id, 2, takeover=True)
        older.send(received(3))
        self.assertEqual([it["cid"] for it in await newer.get_all(3)], ["c0", "c1", "c2"])
        self.assert_refused(await newer.ask(received(4)), 100, 12)
        await self.assert_taken_over(older)
        newer.cable.abort()
        await newer.end()
        again = await self.login(older.id, 2)
        self.assertEqual(again.ack["backlog"], 3)

    async def test_answers_go_to_the_connection_that_asked(self) -> None:
        """The newer one sends again what was not answered, and is answered itself."""
        older, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        older.send(say(bob.id, "hi", cid="a"))
        await bob.get()
        newer = await self.login(older.id, 2, takeover=True)
        newer.send(say(bob.id, "hi", cid="a"))
        await newer.nothing()
        await bob.nothing()
        bob.send(received(1))
        self.assertEqual(await newer.get(), told("a", "delivered"))
        await self.assert_taken_over(older)


class MemoryTakingOverTests(TakingOver, InMemory):
    async def test_one_that_does_not_answer(self) -> None:
        """It has two seconds, whoever asked before."""
        older = await self.enter("ann", 2)
        first, second = await self.connect(), await self.connect()
        first.send(login(older.id, 2))
        self.assertEqual(await older.get(), {"msgid": 13})
        self.go(1)
        older.send({"msgid": 14})
        self.assert_in_use(await first.get())
        self.go(0.5)
        second.send(login(older.id, 1))
        self.assertEqual(await older.get(), {"msgid": 13})
        self.go(1.9)
        self.assertEqual(list(second.lines), [])
        self.go(0.2)
        self.assertEqual((await second.get())["errno"], 0)
        await self.assert_taken_over(older)

    async def test_in_flight_to_one_that_does_not_answer(self) -> None:
        ann, older = await self.enter("ann", 2), await self.enter("bob", 2)
        ann.send(say(older.id, "hi", cid="a"))
        newer = await self.connect()
        newer.send(login(older.id, 2))
        self.go(2.1)
        self.assertEqual((await newer.get())["backlog"], 1)
        self.assertEqual((await newer.get())["cid"], "a")
        self.assertEqual((await ann.get())["state"], "stored")
        newer.send(received(1))
        await ann.nothing()

    async def test_several_ask_at_once(self) -> None:
        """One of them is the first; the others find it there."""
        older = await self.enter("ann", 2)
        newer = [await self.connect() for _ in range(4)]
        for client in newer:
            client.send(login(older.id, 2))
        self.assertEqual(await older.get(), {"msgid": 13})
        self.go(2.1)
        self.assertEqual((await newer[0].get())["errno"], 0)
        self.assertEqual(await newer[0].get(), {"msgid": 13})
        newer[0].send({"msgid": 14})
        for client in newer[1:]:
            self.assert_in_use(await client.get())
        await newer[0].nothing()

    async def test_newer_one_vanishes_while_the_older_one_is_asked(self) -> None:
        older = await self.enter("ann", 2)
        newer = await self.connect()
        newer.send(login(older.id, 2))
        self.assertEqual(await older.get(), {"msgid": 13})
        newer.cable.abort()
        self.go(0.5)
        older.send({"msgid": 14})
        self.go(3)
        await self.assert_chatting(older, await self.enter("bob"))

    async def test_newer_one_vanishes_and_the_older_one_does_not_answer(self) -> None:
        older = await self.enter("ann", 2)
        newer = await self.connect()
        newer.send(login(older.id, 2))
        newer.cable.abort()
        self.go(3)
        await self.login(older.id)

    async def test_one_whose_login_is_under_way_is_there(self) -> None:
        """Nothing comes before the answer to its login, a ping neither."""
        user_id = await self.register("ann")
        self.faults.hang("census")
        first, second = await self.connect(), await self.connect()
        first.send(login(user_id, 2))
        self.assert_in_use(await second.ask(login(user_id, 2)))
        self.faults.recover()
        self.assertEqual((await first.get())["errno"], 0)
        await first.nothing()

    async def test_level_1_is_not_asked(self) -> None:
        older = await self.enter("ann")
        newer = await self.connect()
        self.assert_in_use(await newer.ask(login(older.id, 2)))
        self.go(100)
        self.assertEqual(list(older.lines), [])
        self.assertFalse(older.closed)

    async def test_unread_input_is_dropped(self) -> None:
        older, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        self.passwords.hold()
        older.send({"msgid": 3, "name": "x", "password": "x"}, say(bob.id, "unread", cid="u"))
        newer = await self.connect()
        newer.send(login(older.id, 2, takeover=True))
        self.passwords.release()
        self.time.settle()
        self.assertEqual((await newer.get())["errno"], 0)
        older.send(say(bob.id, "too late", cid="l"))
        self.go(3)
        self.assertTrue(older.closed)
        await bob.nothing()

    async def test_from_memory_without_waiting_for_the_store(self) -> None:
        ann, older = await self.enter("ann", 2), await self.enter("bob", 2)
        ann.send(say(older.id, "hi", cid="a"))
        self.faults.hang("offline")
        newer = await self.login(older.id, 2, takeover=True)
        self.assertEqual((await newer.get())["cid"], "a")
        newer.send(received(1))
        self.assertEqual(await ann.get(), told("a", "delivered"))
        self.faults.recover()


class TcpTakingOverTests(TakingOver, OverTcp):
    pass
