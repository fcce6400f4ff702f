"""Comings and goings, told to friends who asked for it."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import TestCase

from tests.cables import Client
from tests.support import Conversation, InMemory, OverTcp


def shown(client: Client, name: str, state: str) -> dict[str, Any]:
    """A PRESENCE_MSG."""
    return {"msgid": 28, "id": client.id, "name": name, "state": state}


class Watching(Conversation):
    async def watch(self, watcher: Client, *friends: Client) -> None:
        """Befriend them (one-sided) and ask for their presence."""
        for friend in friends:
            await watcher.ask({"msgid": 6, "friendid": friend.id})
        answer = await watcher.ask({"msgid": 28, "cid": "w"})
        self.assertEqual(answer, {"msgid": 11, "errno": 0, "ack": 28, "cid": "w"})

    async def test_comes_and_goes(self) -> None:
        ann, eve = await self.enter("ann", 2), await self.enter("eve", 2)
        for level in (1, 2):
            bob = await self.enter(f"bob {level}", level)
            await self.watch(ann, bob)
            bob.cable.close()
            self.assertEqual(await self.later(ann), shown(bob, f"bob {level}", "offline"))
            await self.login(bob.id, level)
            self.assertEqual(await ann.get(), shown(bob, f"bob {level}", "online"))
        # eve is no friend of ann's, and has not asked.
        eve.cable.close()
        await ann.nothing()

    async def later(self, client: Client) -> dict[str, Any]:
        """The next message, which takes a moment."""
        if isinstance(self, InMemory):
            self.go(2)
        return await client.get()

    async def test_log_out_is_a_going(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        await self.watch(ann, bob)
        await bob.ask({"msgid": 10})
        self.assertEqual(await self.later(ann), shown(bob, "bob", "offline"))
        await self.log_in(bob, bob.id, 2)
        self.assertEqual(await ann.get(), shown(bob, "bob", "online"))

    async def test_enough(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        await self.watch(ann, bob)
        await ann.ask({"msgid": 28, "watch": False})
        await bob.ask({"msgid": 10})
        await self.log_in(bob, bob.id, 2)
        await ann.nothing()
        self.assert_refused(await ann.ask({"msgid": 28, "watch": 1}), 100, 28)


class MemoryWatchingTests(InMemory, Watching, TestCase):
    async def test_coming_back_at_once_is_no_going(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        await self.watch(ann, bob)
        bob.cable.abort()
        self.go(0.5)
        bob = await self.login(bob.id, 2)
        self.go(5)
        await ann.nothing()
        taking_over = await self.login(bob.id, 2, takeover=True)
        self.go(5)
        await ann.nothing()
        # A going that follows is told all the same.
        taking_over.cable.close()
        self.go(2)
        self.assertEqual(await ann.get(), shown(bob, "bob", "offline"))

    async def test_a_watch_ends_with_the_login(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        await self.watch(ann, bob)
        await ann.ask({"msgid": 10})
        await self.log_in(ann, ann.id, 2)
        bob.cable.close()
        self.go(5)
        await ann.nothing()

    async def test_who_is_blocked_sees_a_going_once(self) -> None:
        ann, bob, eve = [await self.enter(name, 2) for name in ("ann", "bob", "eve")]
        for watcher in (ann, eve):
            await self.watch(watcher, bob)
        await bob.ask({"msgid": 18, "userid": ann.id})
        self.assertEqual(await ann.get(), shown(bob, "bob", "offline"))
        for _ in range(2):
            await bob.ask({"msgid": 18, "userid": ann.id})
        await eve.nothing()
        await bob.ask({"msgid": 10})
        self.go(5)
        self.assertEqual(await eve.get(), shown(bob, "bob", "offline"))
        await self.log_in(bob, bob.id, 2)
        self.assertEqual(await eve.get(), shown(bob, "bob", "online"))
        await ann.nothing()
        await bob.ask({"msgid": 18, "userid": ann.id, "block": False})
        self.assertEqual(await ann.get(), shown(bob, "bob", "online"))

    async def test_a_block_says_nothing_to_who_is_no_friend(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        await self.watch(ann)
        await bob.ask({"msgid": 18, "userid": ann.id})
        await ann.nothing()

    async def test_nobody_is_asked_for_where_nobody_watches(self) -> None:
        ann = await self.enter("ann", 2)
        ann.cable.close()
        self.go(5)
        self.assertEqual(self.faults.calls["watchers"], 0)

    async def test_the_store_away(self) -> None:
        ann, bob, eve = [await self.enter(name, 2) for name in ("ann", "bob", "eve")]
        await self.watch(ann, bob, eve)
        self.faults.away("watchers")
        for one in (bob, eve):
            one.cable.close()
        self.go(5)
        await ann.nothing()
        self.faults.recover()
        await self.login(bob.id, 2)
        self.assertEqual(await ann.get(), shown(bob, "bob", "online"))

    async def test_who_went_while_it_was_looked_up_is_told_as_gone(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        await self.watch(ann, bob)
        bob.cable.close()
        self.go(5)
        self.assertEqual(await ann.get(), shown(bob, "bob", "offline"))
        self.faults.hang("watchers")
        client = await self.login(bob.id, 2)
        client.cable.close()
        self.go(5)
        self.faults.recover()
        self.go(1)
        states = [await ann.get() for _ in range(len(ann.lines))]
        self.assertEqual(states[-1], shown(bob, "bob", "offline"))

    async def test_a_client_that_does_not_read_gets_no_hints(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        ann.cable.hold()
        mark = {"msgid": 30, "toid": ann.id, "upto": "\U0001f600" * 64}
        for _ in range(40):
            bob.send(*[mark] * 50)
        await bob.get_all(2000)
        ann.cable.let_go()
        self.time.settle()
        self.assertGreater(len(ann.lines), 500)
        self.assertLess(len(ann.lines), 1800)


class TcpWatchingTests(OverTcp, Watching, TestCase):
    """Over TCP and SQLite."""
