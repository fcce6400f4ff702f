"""What an operator asks of one node is done on all."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred

from chat.decrees import ANSWER_SECONDS
from chat.envelopes import DECREES, Decree, pack
from chat.leases import RENEW_SECONDS
from chat.model import Left, User
from chat.oversight import Outcome

from .across import AcrossNodes
from .cables import Client
from .support import login, received, say


class DecreesTests(AcrossNodes):
    """An operator at the first of three nodes; Ann, Bob and Carl are on one each."""

    nodes = 3

    def setUp(self) -> None:
        super().setUp()
        # Each knows of the others.
        self.go(RENEW_SECONDS + 1)

    async def people(self, level: int = 2) -> list[Client]:
        """Who talks."""
        return [await self.enter(name, level) for name in ("ann", "bob", "carl")]

    def wish(self, work: Coroutine[Any, Any, Outcome], seconds: float = 0.2) -> Outcome:
        """What becomes of it, within so long."""
        done = Deferred.fromCoroutine(work)
        self.go(seconds)
        return self.successResultOf(done)

    async def test_a_user_anywhere_is_disconnected(self) -> None:
        oversight = self.servers[0].oversight
        ann, bob, carl = await self.people()
        for one in (ann, bob):
            self.assertEqual(self.wish(oversight.disconnect(one.id)), Outcome(1))
            (refused,) = await one.end()
            self.assert_refused(refused, 103, 0)
            self.assertEqual(refused["errmsg"], "disconnected by the operator")
        self.assertEqual(self.wish(oversight.disconnect(bob.id)), Outcome(0))
        self.assertEqual(self.wish(oversight.disconnect(10**6)), Outcome(0))
        await carl.nothing()

    async def test_what_was_in_flight_to_who_is_disconnected_is_kept(self) -> None:
        ann, bob, _ = await self.people()
        ann.send(say(bob.id, "hi", cid="a"))
        await bob.get()
        self.wish(self.servers[2].oversight.disconnect(bob.id))
        await self.assert_stored(ann, "a")
        again = await self.connect(node=0)
        await self.log_in(again, bob.id, 2)
        self.assertEqual((await again.get())["msg"], "hi")

    async def test_everybody_is_told(self) -> None:
        people = await self.people()
        original = await self.enter("dave")
        self.assertEqual(self.wish(self.servers[1].oversight.notice("at noon\u2026")), Outcome(3))
        for person in people:
            notice = await person.get()
            self.assertEqual((notice["msgid"], notice["msg"]), (38, "at noon\u2026"))
            self.assertNotIn("reconnect", notice)
            await person.nothing()
        await original.nothing()

    async def test_who_is_deleted_is_nobody_on_any_node(self) -> None:
        ann, bob, carl = await self.people()
        await self.assert_chatting(carl, bob)
        group = (await ann.ask({"msgid": 7, "groupname": "tea", "groupdesc": ""}))["groupid"]
        await bob.ask({"msgid": 8, "groupid": group})
        await ann.get()
        deleted = self.successResultOf(Deferred.fromCoroutine(self.delete(bob.id)))
        left = [Left(group, None)]
        self.assertEqual(deleted, left)
        user = User(bob.id, "bob")
        self.assertEqual(self.wish(self.servers[0].oversight.gone(user, left)), Outcome(1))
        self.assertEqual((await bob.end())[-1]["errno"], 103)
        told = await ann.get()
        self.assertEqual((told["msgid"], told["event"], told["id"]), (33, "left", bob.id))
        for person in (ann, carl):
            self.assertEqual((await person.ask(say(bob.id, "hi", cid="x")))["errno"], 104)
        again = await self.connect(node=1)
        self.assertEqual((await again.ask(login(bob.id, 2)))["errno"], 1)
        await self.assert_chatting(ann, carl)

    async def delete(self, user_id: int) -> list[Left]:
        """As chat-admin does it."""
        return list((await self.store.users.delete(user_id)).left)

    async def test_who_does_not_answer_is_named(self) -> None:
        _, bob, carl = await self.people()
        self.buses[1].cut(noticed=False)
        oversight = self.servers[0].oversight
        outcome = self.wish(oversight.notice("hi"), ANSWER_SECONDS + 0.1)
        self.assertEqual(outcome, Outcome(2, ("node1",)))
        self.assertEqual((await carl.get())["msg"], "hi")
        await bob.nothing()
        self.buses[0].cut()
        self.assertEqual(self.wish(oversight.disconnect(bob.id)), Outcome(0, ("node1", "node2")))

    async def test_what_a_later_version_wants_is_not_done(self) -> None:
        ann, bob, carl = await self.people()
        bus = self.hub.end()
        bus.open()
        heard: list[bytes] = []
        bus.subscribe("answers", lambda message: heard.append(message.data))
        self.go(0.1)
        later = Decree(node=9, number=1, what="later", user=bob.id, name="bob", line=b"")
        for data in (pack(later), b"", b"\xc1", pack(later)[:-1]):
            bus.publish(DECREES, data, "answers")
        self.go(0.1)
        self.assertEqual(len(heard), 3)
        await self.assert_chatting(ann, bob)
        carl.send(say(bob.id, "hi", cid="c"))
        bob.send(received((await bob.get())["seq"]))
        self.assertEqual((await carl.get())["state"], "delivered")

    async def test_a_node_that_has_lost_its_lease_has_nobody(self) -> None:
        _, bob, _ = await self.people()
        lease = self.servers[1].lease
        assert lease is not None
        lease.end = self.time.seconds()
        self.assertEqual(self.wish(self.servers[0].oversight.disconnect(bob.id)), Outcome(0))
        self.assertEqual(await bob.end(), [])
