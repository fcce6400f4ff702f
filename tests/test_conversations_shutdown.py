"""The server stops in the middle of conversations: what was said is answered and stored."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from chat.stopping import COME_AGAIN_HERE
from tests.cables import Client
from tests.support import TIME, InMemory, login, received, say, told


class ShutdownTests(InMemory):
    def begin_to_stop(self) -> Deferred[None]:
        """What a signal sets off; fires at the end."""
        stopped = Deferred.fromCoroutine(self.server.stop())
        self.time.settle()
        return stopped

    async def restarted(self, user_id: int) -> Client:
        """The user, on the next server with the same store."""
        self.start()
        return await self.login(user_id, 2)

    async def last_words(self, client: Client) -> list[dict[str, Any]]:
        """What a level 2 client hears before the notice that the server stops, its last line."""
        *before, notice = await client.end()
        first, last = COME_AGAIN_HERE
        self.assertEqual((notice["msgid"], notice["msg"]), (38, "the server stops"))
        self.assertTrue(first <= notice["reconnect"] <= last, notice)
        self.assertRegex(notice["time"], TIME)
        return before

    async def test_messages_in_flight_are_stored_and_answered(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        away = await self.register("carl")
        cids = [f"c{number}" for number in range(20)]
        ann.send(*(say(bob.id, "hi", cid=cid) for cid in cids), say(away, "hi", cid="x"))
        self.stop()
        answers = {it["cid"]: it["state"] for it in await self.last_words(ann)}
        self.assertEqual(answers, dict.fromkeys([*cids, "x"], "stored"))
        self.assertEqual([it["cid"] for it in await self.last_words(bob)], cids)
        bob = await self.restarted(bob.id)
        self.assertEqual(bob.ack["backlog"], 20)
        self.assertEqual([it["cid"] for it in await bob.get_all(20)], cids)
        await bob.nothing()

    async def test_what_waits_behind_a_full_window(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        cids = [f"c{number}" for number in range(600)]
        ann.send(*(say(bob.id, "hi", cid=cid) for cid in cids))
        await bob.get_all(256)
        self.stop()
        answers = await self.last_words(ann)
        self.assertEqual(sorted(it["cid"] for it in answers), sorted(cids))
        bob = await self.restarted(bob.id)
        for number, cid in enumerate(cids, 1):
            self.assertEqual((await bob.get())["cid"], cid)
            bob.send(received(number))

    async def test_level_1_client_that_does_not_read(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob")
        bob.cable.hold()
        cids = [f"c{number}" for number in range(10)]
        ann.send(*(say(bob.id, "x" * 30_000, cid=cid) for cid in cids))
        self.stop()
        answers = {it["cid"]: it["state"] for it in await self.last_words(ann)}
        self.assertEqual(set(answers), set(cids))
        stored = [cid for cid in cids if answers[cid] == "stored"]
        self.assertTrue(stored)
        bob = await self.restarted(bob.id)
        self.assertEqual([(await bob.get())["cid"] for _ in stored], stored)

    async def test_acknowledged_ones_do_not_come_again(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        ann.send(*(say(bob.id, "hi", cid=f"c{number}") for number in range(5)))
        await bob.get_all(5)
        self.go(2)
        bob.send(received(5))
        self.stop()
        self.assertEqual((await self.restarted(bob.id)).ack["backlog"], 0)

    async def test_answer_under_way_is_given(self) -> None:
        user_id = await self.register("ann")
        client = await self.connect()
        self.faults.hang("account")
        client.send(login(user_id, 2))
        stopped = self.begin_to_stop()
        self.assertFalse(client.closed)
        self.faults.recover()
        self.go(4)
        self.successResultOf(stopped)
        said = await self.last_words(client)
        self.assertEqual([(it["msgid"], it["errno"]) for it in said], [(2, 0)])
        self.start()

    async def test_nothing_new_is_taken(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        away = await self.register("carl")
        self.faults.hang("keep")
        ann.send(say(away, "before", cid="a"))
        self.time.settle()
        stopped = self.begin_to_stop()
        ann.send(say(bob.id, "after", cid="b"))
        self.faults.recover()
        self.go(4)
        self.successResultOf(stopped)
        self.assertEqual(await self.last_words(ann), [told("a", "stored")])
        self.assertEqual(await self.last_words(bob), [])
        self.start()

    async def test_store_that_is_away(self) -> None:
        """Senders are told so, and it ends all the same."""
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        ann.send(say(bob.id, "hi", cid="a"))
        self.faults.away("offline")
        self.stop()
        answers = await self.last_words(ann)
        self.assertEqual([it["errno"] for it in answers], [108])
        self.faults.recover()
        self.start()

    async def test_store_that_hangs_and_a_client_that_does_not_read(self) -> None:
        """It ends within ten seconds whoever does not answer."""
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        bob.cable.hold()
        ann.send(*(say(bob.id, "x" * 30_000, cid=f"c{number}") for number in range(10)))
        self.faults.hang("offline")
        stopped = self.begin_to_stop()
        self.go(10)
        self.successResultOf(stopped)
        self.assertTrue(ann.closed)
        self.faults.recover()
        self.start()

    async def test_clients_at_rest_are_closed_at_once(self) -> None:
        ann, client = await self.enter("ann"), await self.connect()
        stopped = self.begin_to_stop()
        self.go(1)
        self.successResultOf(stopped)
        self.assertEqual(await ann.end(), [])
        self.assertEqual(await client.end(), [])
        self.start()

    async def test_they_are_not_told_to_come_all_at_once(self) -> None:
        people = [await self.enter(f"user {number}", 2) for number in range(20)]
        self.stop()
        seconds = {(await person.end())[-1]["reconnect"] for person in people}
        self.assertGreater(len(seconds), 1)
        self.start()
