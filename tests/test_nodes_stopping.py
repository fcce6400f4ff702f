"""A node of several stops: what its clients are told, what is left, and who does not answer."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from chat.service import Server
from chat.stopping import COME_AGAIN_ELSEWHERE
from tests.broken import Faults, breakable

from .across import AcrossNodes
from .cables import Client
from .support import login, received, say, told


class StoppingTests(AcrossNodes):
    """Ann is on the first node, which goes on, Bob on the second, which stops."""

    def start(self) -> None:
        self.every: list[Faults] = []
        super().start()

    def add_node(self, name: str) -> Server:
        """One more, with faults of its own."""
        store = self.store
        self.store, faults = breakable(store)
        self.every.append(faults)
        try:
            return super().add_node(name)
        finally:
            self.store = store

    def stop_node(self, number: int) -> Deferred[None]:
        """What a signal sets off."""
        return Deferred.fromCoroutine(self.servers[number].stop())

    def stopped(self, stopping: Deferred[None], number: int) -> None:
        """It has come to its end, within ten seconds."""
        for _ in range(100):
            if not stopping.called:
                self.go(0.1)
        self.successResultOf(stopping)
        self.assertFalse(self.servers[number].sessions)

    async def people(self) -> tuple[Client, Client]:
        """Who talks."""
        return await self.enter("ann", 2), await self.enter("bob", 2)

    async def elsewhere(self, client: Client) -> Client:
        """The same user, on the first node."""
        assert client.id is not None
        again = await self.connect(node=0)
        await self.log_in(again, client.id, 2)
        return again

    async def test_clients_are_told_when_to_come_again(self) -> None:
        _, bob = await self.people()
        stranger = await self.connect(node=1)
        carl = await self.register("carl")
        original = await self.connect(node=1)
        await self.log_in(original, carl)
        self.stopped(self.stop_node(1), 1)
        (notice,) = await bob.end()
        first, last = COME_AGAIN_ELSEWHERE
        self.assertEqual(notice["msgid"], 38)
        self.assertTrue(first <= notice["reconnect"] <= last, notice)
        self.assertEqual(await stranger.end(), [])
        self.assertEqual(await original.end(), [])

    async def test_they_log_in_elsewhere_while_it_still_stops(self) -> None:
        ann, bob = await self.people()
        stuck = await self.register("carl")
        slow = await self.connect(node=1)
        self.every[1].hang("account")
        slow.send(login(stuck, 2))
        self.go(0.1)
        stopping = self.stop_node(1)
        self.go(1)
        self.assertFalse(stopping.called)
        bob = await self.elsewhere(bob)
        await self.assert_chatting(ann, bob)
        self.every[1].recover()
        self.stopped(stopping, 1)
        await self.assert_chatting(ann, bob)

    async def test_nothing_that_is_sent_meanwhile_is_lost(self) -> None:
        ann, bob = await self.people()
        await self.assert_chatting(ann, bob)
        ann.send(*(say(bob.id, f"{number}", cid=f"c{number}") for number in range(20)))
        self.time.advance(0)
        stopping = self.stop_node(1)
        ann.send(*(say(bob.id, f"{number}", cid=f"c{number}") for number in range(20, 40)))
        self.stopped(stopping, 1)
        ann.send(say(bob.id, "40", cid="c40"))
        answers = [await ann.get() for _ in range(41)]
        self.assertEqual({it["state"] for it in answers}, {"stored"})
        bob = await self.elsewhere(bob)
        for number in range(41):
            self.assertEqual((await bob.get())["msg"], str(number))
            bob.send(received(number + 1))

    async def test_what_its_own_clients_have_sent_is_answered(self) -> None:
        ann, bob = await self.people()
        await self.assert_chatting(ann, bob)
        bob.send(*(say(ann.id, f"{number}", cid=f"b{number}") for number in range(20)))
        self.time.advance(0)
        stopping = self.stop_node(1)
        for number in range(20):
            pushed = await ann.get()
            self.assertEqual(pushed["msg"], str(number))
            ann.send(received(pushed["seq"]))
        self.stopped(stopping, 1)
        *answers, notice = await bob.end()
        self.assertEqual([it["cid"] for it in answers], [f"b{number}" for number in range(20)])
        self.assertEqual({it["state"] for it in answers}, {"delivered"})
        self.assertEqual(notice["msgid"], 38)

    async def test_its_membership_ends(self) -> None:
        _, bob = await self.people()
        self.stopped(self.stop_node(1), 1)
        lease = self.servers[0].lease
        assert lease is not None
        found = Deferred.fromCoroutine(self.online(bob.id))
        self.assertEqual(self.successResultOf(found), set())
        self.go(6)
        self.assertEqual(lease.others, [])

    async def online(self, user_id: int) -> set[int]:
        """Whether the store says so."""
        return await self.store.members.online([user_id])

    async def test_the_bus_is_away(self) -> None:
        for noticed in (True, False):
            ann, bob = await self.enter(f"ann {noticed}", 2), await self.enter(f"bob {noticed}", 2)
            await self.assert_chatting(ann, bob)
            self.buses[1].cut(noticed=noticed)
            bob.send(say(ann.id, "hi", cid="a"))
            self.time.advance(0)
            self.stopped(self.stop_node(1), 1)
            *answers, _ = await bob.end()
            self.assertEqual(answers, [told("a", "stored")])
            self.go(10)
            self.assertEqual((await ann.get())["msg"], "hi")
            for ended in (self.servers, self.buses, self.factories, self.every):
                ended.pop()
            self.add_node("node1")
            self.next_node = 0

    async def test_the_store_is_away(self) -> None:
        """What cannot be stored there is to be sent again."""
        ann, bob = await self.people()
        await self.assert_chatting(ann, bob)
        ann.send(say(bob.id, "hi", cid="a"))
        self.time.advance(0)
        self.every[1].away()
        self.stopped(self.stop_node(1), 1)
        self.assert_refused(await ann.get(), 108, 5, "a")
        bob = await self.elsewhere(bob)
        ann.send(say(bob.id, "hi", cid="a"))
        self.assertEqual((await bob.get())["cid"], "a")

    async def test_the_store_hangs_and_so_does_the_bus(self) -> None:
        ann, bob = await self.people()
        await self.assert_chatting(ann, bob)
        bob.send(say(ann.id, "hi", cid="a"))
        self.time.advance(0)
        self.every[1].hang()
        self.buses[1].cut(noticed=False)
        self.patch(self.buses[1], "close", Deferred)
        self.stopped(self.stop_node(1), 1)
        said = await bob.end()
        self.assertNotIn(told("a", "stored"), said)
        self.assertEqual(said[-1]["msgid"], 38)
        self.every[1].recover()

    async def test_it_has_no_lease(self) -> None:
        _, bob = await self.people()
        self.every[1].away("members")
        self.go(16)
        self.assertTrue(bob.closed)
        stopping = self.stop_node(1)
        self.every[1].recover()
        self.stopped(stopping, 1)
        self.go(6)
        lease = self.servers[0].lease
        assert lease is not None
        self.assertEqual(lease.others, [])
