"""What a ``cid`` is for: sending again until there is an answer, and never being shown twice."""

from __future__ import annotations

from tests.support import Conversation, InMemory, OverTcp, received, say, told


class Repeating(Conversation):
    async def test_twice_in_one_packet(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        ann.send(say(bob.id, "hi", cid="a"), say(bob.id, "hi", cid="a"))
        self.assertEqual((await bob.get())["seq"], 1)
        await bob.nothing()
        bob.send(received(1))
        self.assertEqual(await ann.get_all(2), [told("a", "delivered")] * 2)

    async def test_after_the_answer(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        ann.send(say(bob.id, "hi", cid="a"))
        await bob.get()
        bob.send(received(1))
        self.assertEqual(await ann.get(), told("a", "delivered"))
        for _ in range(3):
            self.assertEqual(await ann.ask(say(bob.id, "hi", cid="a")), told("a", "delivered"))
        await bob.nothing()

    async def test_other_fields_do_not_make_it_another_message(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        ann.send(say(bob.id, "hi", cid="a", time="then", mood="good"))
        await bob.get()
        bob.send(received(1))
        await ann.get()
        answer = await ann.ask(say(bob.id, "hi", cid="a", time="now", name="x", id=ann.id))
        self.assertEqual(answer, told("a", "delivered"))
        await bob.nothing()

    async def test_stored(self) -> None:
        ann, away = await self.enter("ann", 2), await self.register("bob")
        ann.send(say(away, "hi", cid="a"), say(away, "hi", cid="a"))
        self.assertEqual(await ann.get_all(2), [told("a", "stored")] * 2)
        self.assertEqual(await ann.ask(say(away, "hi", cid="a")), told("a", "stored"))
        bob = await self.login(away, 2)
        self.assertEqual(bob.ack["backlog"], 1)
        self.assertEqual((await bob.get())["cid"], "a")
        await bob.nothing()
        self.assertEqual(await ann.ask(say(away, "hi", cid="a")), told("a", "stored"))
        await bob.nothing()

    async def test_pushed(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob")
        for _ in range(2):
            self.assertEqual(await ann.ask(say(bob.id, "hi", cid="a")), told("a", "pushed"))
        await bob.get()
        await bob.nothing()

    async def test_other_content(self) -> None:
        """Another text or another recipient, whether it is answered yet or not."""
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        ann.send(say(bob.id, "hi", cid="a"))
        await bob.get()
        others = say(bob.id, "ho", cid="a"), say(ann.id, "hi", cid="a")
        for other in others:
            self.assert_refused(await ann.ask(other), 110, 5, "a")
        bob.send(received(1))
        self.assertEqual(await ann.get(), told("a", "delivered"))
        for other in others:
            self.assert_refused(await ann.ask(other), 110, 5, "a")
        await bob.nothing()
        self.assertEqual(await ann.ask(say(bob.id, "hi", cid="a")), told("a", "delivered"))

    async def test_two_senders_with_one_cid(self) -> None:
        ann, bob, carl = [await self.enter(name, 2) for name in ("ann", "bob", "carl")]
        ann.send(say(carl.id, "from ann", cid="a"))
        self.assertEqual((await carl.get())["id"], ann.id)
        bob.send(say(carl.id, "from bob", cid="a"))
        self.assertEqual((await carl.get())["id"], bob.id)
        carl.send(received(2))
        for sender in (ann, bob):
            self.assertEqual(await sender.get(), told("a", "delivered"))

    async def test_two_senders_with_one_cid_to_somebody_away(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        away = await self.register("carl")
        for sender in (ann, bob):
            self.assertEqual(await sender.ask(say(away, "hi", cid="a")), told("a", "stored"))
        carl = await self.login(away, 2)
        self.assertEqual([it["id"] for it in await carl.get_all(2)], [ann.id, bob.id])

    async def test_of_a_level_1_sender(self) -> None:
        ann, bob = await self.enter("ann"), await self.enter("bob", 2)
        ann.send(*[say(bob.id, "hi", cid="a")] * 3)
        await bob.get()
        await bob.nothing()
        bob.send(received(1))
        await bob.nothing()
        ann.send(say(bob.id, "hi", cid="a"))
        await ann.nothing()
        await bob.nothing()
        self.assert_refused(await ann.ask(say(bob.id, "ho", cid="a")), 110, 5, "a")

    async def test_from_a_new_connection(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        ann.send(say(bob.id, "hi", cid="a"))
        await bob.get()
        ann.cable.abort()
        await ann.end()
        ann = await self.login(ann.id, 2)
        ann.send(say(bob.id, "hi", cid="a"))
        await ann.nothing()
        bob.send(received(1))
        self.assertEqual(await ann.get(), told("a", "delivered"))
        await bob.nothing()

    async def test_on_the_connection_on_which_each_came(self) -> None:
        """After log out and log in on the same one there are two answers."""
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        ann.send(say(bob.id, "hi", cid="a"), {"msgid": 10})
        await bob.get()
        bob.send(received(1))
        self.assertEqual(await ann.get(), told("a", "delivered"))
        self.assertEqual((await ann.get())["ack"], 10)
        await self.log_in(ann, ann.id, 2)
        self.assertEqual(await ann.ask(say(bob.id, "hi", cid="a")), told("a", "delivered"))

    async def test_refused_ones_may_be_used_again(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        self.assert_refused(await ann.ask(say(bob.id + 1000, "hi", cid="a")), 104, 5, "a")
        ann.send(say(bob.id, "hi", cid="a"))
        self.assertEqual((await bob.get())["cid"], "a")

    async def test_line_that_is_not_sound_is_refused_though_its_cid_is_known(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        ann.send(say(bob.id, "hi", cid="a"))
        await bob.get()
        line = b'{"msgid":5,"toid":%d,"msg":"hi","cid":"a","x":1e999}' % bob.id
        self.assert_refused(await ann.ask(line), 100, 5, "a")


class MemoryRepeatingTests(Repeating, InMemory):
    async def test_remembered_for_five_minutes(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        ann.send(say(bob.id, "hi", cid="a"))
        await bob.get()
        bob.send(received(1))
        await ann.get()
        for _ in range(14):
            self.go(20)
            await ann.nothing()
            await bob.nothing()
        self.assertEqual(await ann.ask(say(bob.id, "hi", cid="a")), told("a", "delivered"))
        await bob.nothing()
        self.go(25)
        await ann.nothing()
        ann.send(say(bob.id, "hi", cid="a"))
        self.assertEqual((await bob.get())["seq"], 2)

    async def test_remembered_over_a_login(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        ann.send(say(bob.id, "hi", cid="a"))
        await bob.get()
        bob.send(received(1))
        await ann.get()
        ann.cable.close()
        self.go(20)
        ann = await self.login(ann.id, 2)
        self.assertEqual(await ann.ask(say(bob.id, "hi", cid="a")), told("a", "delivered"))
        self.assert_refused(await ann.ask(say(bob.id, "ho", cid="a")), 110, 5, "a")

    async def test_last_thousand_are_remembered(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        for number in range(1100):
            ann.send(say(bob.id, "hi", cid=f"c{number}"))
            bob.send(received((await bob.get())["seq"]))
            await ann.get()
        for number in (100, 600, 1099):
            answer = await ann.ask(say(bob.id, "hi", cid=f"c{number}"))
            self.assertEqual(answer, told(f"c{number}", "delivered"))
        self.assert_refused(await ann.ask(say(bob.id, "ho", cid="c1000")), 110, 5, "c1000")
        await bob.nothing()
        ann.send(say(bob.id, "hi", cid="c0"))
        self.assertEqual((await bob.get())["cid"], "c0")

    async def test_in_the_store_for_as_long_as_it_is_there(self) -> None:
        ann, away = await self.enter("ann", 2), await self.register("bob")
        ann.send(say(away, "hi", cid="a"))
        await self.assert_stored(ann, "a")
        for _ in range(20):
            self.go(20)
            await ann.nothing()
        self.assertEqual(await ann.ask(say(away, "hi", cid="a")), told("a", "stored"))
        bob = await self.login(away, 2)
        self.assertEqual(bob.ack["backlog"], 1)

    async def test_another_message_under_a_cid_that_is_in_the_store(self) -> None:
        ann, away = await self.enter("ann", 2), await self.register("bob")
        ann.send(say(away, "hi", cid="a"))
        await self.assert_stored(ann, "a")
        for _ in range(20):
            self.go(20)
            await ann.nothing()
        self.assert_refused(await ann.ask(say(away, "ho", cid="a")), 110, 5, "a")
        bob = await self.login(away, 2)
        self.assertEqual((await bob.get())["msg"], "hi")
        await bob.nothing()

    async def test_one_that_waits_for_its_recipient(self) -> None:
        """Under way is under way, however long and however many come after it."""
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        ann.send(say(bob.id, "hi", cid="a"))
        await bob.get()
        ann.send(*[say(bob.id, "hi", cid="a")] * 10)
        await ann.nothing()
        self.go(1.5)
        self.assertEqual(await ann.get_all(11), [told("a", "stored")] * 11)


class TcpRepeatingTests(Repeating, OverTcp):
    pass


class GivenCidTests(InMemory):
    async def test_never_repeated(self) -> None:
        """Neither within a process nor over a restart with the same store."""
        seen = set()
        ann, bob = await self.register("ann"), await self.register("bob")
        for _ in range(3):
            one, other = await self.login(ann), await self.login(bob, 2)
            for _ in range(20):
                one.send(say(bob, "hi"))
                pushed = await other.get()
                other.send(received(pushed["seq"]))
                seen.add(pushed["cid"])
            self.stop()
            self.start()
        self.assertEqual(len(seen), 60)
