"""Friends, requests, blocks, looking somebody up."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import TestCase

from tests.cables import Client
from tests.support import TIME, Conversation, InMemory, OverTcp, received, say, told


def done(ack: int, **fields: Any) -> dict[str, Any]:
    """An ACK_MSG of success."""
    return {"msgid": 11, "errno": 0, "ack": ack, **fields}


def friend(client: Client, name: str, state: str = "online") -> dict[str, Any]:
    """A friend as in lists."""
    return {"id": client.id, "name": name, "state": state}


class Waiting(Conversation):
    async def feigned(self, client: Client) -> dict[str, Any]:
        """The next message, which takes the time of a commit."""
        if isinstance(self, InMemory):
            self.go(0.1)
        return await client.get()


class AddingFriends(Conversation):
    async def test_one_sided_and_told_on_level_2(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        answer = await ann.ask({"msgid": 6, "friendid": bob.id, "id": ann.id, "cid": "f"})
        self.assertEqual(answer, done(6, cid="f", friend=friend(bob, "bob")))
        # Once more is harmless.
        answer = await ann.ask({"msgid": 6, "friendid": bob.id})
        self.assertEqual(answer, done(6, friend=friend(bob, "bob")))
        page = done(22, friends=[friend(bob, "bob")], more=False)
        self.assertEqual(await ann.ask({"msgid": 22}), page)
        self.assertEqual(await bob.ask({"msgid": 22}), done(22, friends=[], more=False))

    async def test_level_1_is_not_answered(self) -> None:
        ann, bob = await self.enter("ann"), await self.enter("bob")
        ann.send({"msgid": 6, "friendid": bob.id, "id": ann.id, "cid": "f"})
        await ann.nothing()
        ann.send({"msgid": 10})
        await self.log_in(ann, ann.id)
        entry = f'{{"id":{bob.id},"name":"bob","state":"online"}}'
        self.assertEqual(ann.ack["friends"], [entry])
        self.assertNotIn("groups", ann.ack)

    async def test_refusals(self) -> None:
        for level in (1, 2):
            ann = await self.enter(f"ann {level}", level)
            bob = await self.enter(f"bob {level}", level)
            refused: list[tuple[dict[str, Any], int]] = [
                ({"friendid": ann.id}, 103),
                ({"friendid": ann.id + 100}, 104),
                ({"friendid": 2**63 - 1}, 104),
                ({"friendid": bob.id, "id": bob.id}, 103),
                ({"friendid": 0}, 100),
                ({"friendid": -1}, 100),
                ({"friendid": True}, 100),
                ({"friendid": str(bob.id)}, 100),
                ({"friendid": 2**63}, 100),
                ({}, 100),
            ]
            for fields, errno in refused:
                answer = await ann.ask({"msgid": 6, "cid": "f", **fields})
                self.assert_refused(answer, errno, 6, "f")
            ann.send({"msgid": 10})
            if level == 2:
                await ann.get()
            self.assert_refused(await ann.ask({"msgid": 6, "friendid": bob.id}), 102, 6)

    async def test_removing_is_for_both(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        await ann.ask({"msgid": 6, "friendid": bob.id})
        await bob.ask({"msgid": 6, "friendid": ann.id})
        self.assertEqual(await ann.ask({"msgid": 17, "friendid": bob.id, "cid": "r"}),
                         done(17, cid="r"))  # fmt: skip
        self.assertEqual(await bob.get(), {"msgid": 17, "id": ann.id, "name": "ann"})
        for one in (ann, bob):
            self.assertEqual(await one.ask({"msgid": 22}), done(22, friends=[], more=False))
        # Where nothing is, nothing happens, and nobody is told.
        for nobody in (bob.id, ann.id, 999):
            self.assertEqual(await ann.ask({"msgid": 17, "friendid": nobody}), done(17))
        await bob.nothing()

    async def test_by_page(self) -> None:
        ann = await self.enter("ann", 2)
        ids = [await self.register(f"friend {number}") for number in range(5)]
        for user_id in reversed(ids):
            await ann.ask({"msgid": 6, "friendid": user_id})
        first = await ann.ask({"msgid": 22, "limit": 3})
        self.assertEqual(([one["id"] for one in first["friends"]], first["more"]), (ids[:3], True))
        rest = await ann.ask({"msgid": 22, "limit": 3, "after": ids[2]})
        self.assertEqual(([one["id"] for one in rest["friends"]], rest["more"]), (ids[3:], False))
        self.assertEqual(rest["friends"][0]["state"], "offline")
        for fields in ({"limit": 0}, {"limit": 501}, {"limit": "1"}, {"after": -1}):
            self.assert_refused(await ann.ask({"msgid": 22, **fields}), 100, 22)

    async def test_what_is_new_is_level_2(self) -> None:
        ann = await self.enter("ann")
        for msgid in (*range(15, 33),):
            fields: dict[str, Any] = {
                "friendid": 1, "accept": True, "userid": 1, "groupid": 1, "upto": "c",
            }  # fmt: skip
            self.assert_refused(await ann.ask({"msgid": msgid, **fields}), 101, msgid)


class Asking(Conversation):
    async def test_accepted(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        answer = await ann.ask({"msgid": 15, "friendid": bob.id, "note": "it's me", "cid": "a"})
        self.assertEqual(answer, done(15, cid="a", friends=False))
        pushed = await bob.get()
        self.assertRegex(pushed.pop("time"), TIME)
        self.assertEqual(pushed, {"msgid": 15, "id": ann.id, "name": "ann", "note": "it's me"})

        waiting = await bob.ask({"msgid": 23})
        time = waiting["requests"][0].pop("time")
        self.assertRegex(time, TIME)
        entry = {"id": ann.id, "name": "ann", "note": "it's me"}
        self.assertEqual(waiting, done(23, requests=[entry], more=False))

        answer = await bob.ask({"msgid": 16, "friendid": ann.id, "accept": True, "cid": "y"})
        self.assertEqual(answer, done(16, cid="y", friend=friend(ann, "ann")))
        told_ann = {"msgid": 16, "id": bob.id, "name": "bob", "accept": True, "state": "online"}
        self.assertEqual(await ann.get(), told_ann)
        for one, other, name in ((ann, bob, "bob"), (bob, ann, "ann")):
            page = await one.ask({"msgid": 22})
            self.assertEqual(page["friends"], [friend(other, name)])
        self.assertEqual(await bob.ask({"msgid": 23}), done(23, requests=[], more=False))

    async def test_declined(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        await ann.ask({"msgid": 15, "friendid": bob.id})
        await bob.get()
        answer = await bob.ask({"msgid": 16, "friendid": ann.id, "accept": False})
        self.assertEqual(answer, done(16))
        self.assertEqual(
            await ann.get(), {"msgid": 16, "id": bob.id, "name": "bob", "accept": False}
        )
        self.assertEqual((await bob.ask({"msgid": 22}))["friends"], [])
        for accept in (True, False):
            answer = await bob.ask({"msgid": 16, "friendid": ann.id, "accept": accept})
            self.assert_refused(answer, 103, 16)

    async def test_somebody_away_finds_it_later(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.register("bob")
        await ann.ask({"msgid": 15, "friendid": bob, "note": "first"})
        await ann.ask({"msgid": 15, "friendid": bob, "note": "second"})
        waiting = await (await self.login(bob, 2)).ask({"msgid": 23})
        self.assertEqual([one["note"] for one in waiting["requests"]], ["second"])

    async def test_both_ask(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        await ann.ask({"msgid": 15, "friendid": bob.id})
        await bob.get()
        self.assertEqual(await bob.ask({"msgid": 15, "friendid": ann.id}), done(15, friends=True))
        self.assertEqual((await ann.get())["accept"], True)
        self.assertEqual((await ann.ask({"msgid": 22}))["friends"], [friend(bob, "bob")])
        self.assertEqual((await bob.ask({"msgid": 22}))["friends"], [friend(ann, "ann")])

    async def test_refusals(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        await ann.ask({"msgid": 15, "friendid": bob.id, "note": "é" * 200})
        await bob.get()
        for fields, errno in (
            ({"friendid": ann.id}, 103),
            ({"friendid": 999}, 104),
            ({"friendid": bob.id, "note": "é" * 201}, 100),
            ({"friendid": bob.id, "note": 1}, 100),
            ({}, 100),
        ):
            self.assert_refused(await ann.ask({"msgid": 15, **fields}), errno, 15)
        for fields, errno in (
            ({"friendid": ann.id}, 100),
            ({"friendid": ann.id, "accept": 1}, 100),
            ({"friendid": 999, "accept": True}, 104),
            ({"friendid": bob.id, "accept": True}, 103),
        ):
            self.assert_refused(await bob.ask({"msgid": 16, **fields}), errno, 16)


class Looking(Conversation):
    async def test_by_id_and_by_exact_name(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.register("Bob")
        found = done(27, user={"id": bob, "name": "Bob"})
        self.assertEqual(await ann.ask({"msgid": 27, "userid": bob}), found)
        # Compared as names are compared when they are taken.
        for name in ("Bob", " Bob ", "\uff22\uff4f\uff42"):
            self.assertEqual(await ann.ask({"msgid": 27, "name": name}), found)
        for fields, errno in (
            ({"name": "bob"}, 104),
            ({"name": ""}, 104),
            ({"name": "B\u0000"}, 104),
            ({"name": "x" * 60_000}, 104),
            ({"userid": 999}, 104),
            ({}, 100),
            ({"userid": bob, "name": "Bob"}, 100),
            ({"name": 1}, 100),
            ({"userid": 0}, 100),
        ):
            self.assert_refused(await ann.ask({"msgid": 27, **fields}), errno, 27)


class Blocking(Waiting):
    async def test_list(self) -> None:
        ann, bob, eve = [await self.enter(name, 2) for name in ("ann", "bob", "eve")]
        for other in (eve, bob, bob):
            answer = await ann.ask({"msgid": 18, "userid": other.id, "cid": "b"})
            self.assertEqual(answer, done(18, cid="b"))
        blocked = [{"id": bob.id, "name": "bob"}, {"id": eve.id, "name": "eve"}]
        self.assertEqual(await ann.ask({"msgid": 24}), done(24, blocked=blocked))
        for _ in range(2):
            await ann.ask({"msgid": 18, "userid": bob.id, "block": False})
        self.assertEqual(await ann.ask({"msgid": 24}), done(24, blocked=blocked[1:]))
        for fields, errno in (
            ({"userid": ann.id}, 103),
            ({"userid": 999}, 104),
            ({"userid": bob.id, "block": 1}, 100),
            ({}, 100),
        ):
            self.assert_refused(await ann.ask({"msgid": 18, **fields}), errno, 18)

    async def test_messages_are_answered_and_go_nowhere(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        await ann.ask({"msgid": 18, "userid": bob.id})
        for number in range(3):
            bob.send(say(ann.id, "hello?", cid=f"h{number}"))
        for number in range(3):
            self.assertEqual(await self.feigned(bob), told(f"h{number}", "stored"))
        # The same cid again is answered as a repeat, another message with it is not.
        bob.send(say(ann.id, "hello?", cid="h0"))
        self.assertEqual(await bob.get(), told("h0", "stored"))
        self.assert_refused(await bob.ask(say(ann.id, "hey", cid="h0")), 110, 5, "h0")
        await ann.nothing()
        await ann.ask({"msgid": 10})
        await self.log_in(ann, ann.id, 2)
        self.assertEqual(ann.ack["backlog"], 0)
        # In the other direction nothing is blocked.
        await self.assert_chatting_one_way(ann, bob)
        await ann.ask({"msgid": 18, "userid": bob.id, "block": False})
        await self.assert_chatting(ann, bob)

    async def assert_chatting_one_way(self, ann: Client, bob: Client) -> None:
        ann.send(say(bob.id, "but I", cid="but"))
        pushed = await bob.get()
        self.assertEqual(pushed["msg"], "but I")
        bob.send(received(pushed["seq"]))
        self.assertEqual(await ann.get(), told("but", "delivered"))

    async def test_while_away_as_well(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        await ann.ask({"msgid": 18, "userid": bob.id})
        await ann.ask({"msgid": 10})
        bob.send(say(ann.id, "hello?", cid="h"))
        self.assertEqual(await self.feigned(bob), told("h", "stored"))
        await self.log_in(ann, ann.id, 2)
        self.assertEqual(ann.ack["backlog"], 0)
        await ann.nothing()

    async def test_what_waits_still_comes(self) -> None:
        ann, bob = await self.register("ann"), await self.enter("bob", 2)
        bob.send(say(ann, "before", cid="b"))
        await bob.get()
        client = await self.login(ann, 2)
        self.assertEqual((await client.get())["msg"], "before")
        await client.ask({"msgid": 18, "userid": bob.id})
        await client.ask({"msgid": 10})
        await self.log_in(client, ann, 2)
        self.assertEqual((await client.get())["msg"], "before")

    async def test_offline_to_who_is_blocked(self) -> None:
        ann, bob, eve = [await self.enter(name, 2) for name in ("ann", "bob", "eve")]
        group = (await eve.ask({"msgid": 7, "groupname": "tea"}))["groupid"]
        for one in (ann, bob):
            await one.ask({"msgid": 8, "groupid": group})
            await eve.get()
        await ann.get()
        for one in (bob, eve):
            await one.ask({"msgid": 6, "friendid": ann.id})
        await ann.ask({"msgid": 18, "userid": bob.id})
        for viewer, state in ((bob, "offline"), (eve, "online")):
            friends = (await viewer.ask({"msgid": 22}))["friends"]
            self.assertEqual(friends, [friend(ann, "ann", state)])
            members = (await viewer.ask({"msgid": 26, "groupid": group}))["members"]
            states = {one["name"]: one["state"] for one in members}
            self.assertEqual(states.pop("ann"), state)
            self.assertEqual(set(states.values()), {"online"})
            answer = await viewer.ask({"msgid": 6, "friendid": ann.id})
            self.assertEqual(answer["friend"]["state"], state)
        for level in (1, 2):
            bob.send({"msgid": 10})
            if "proto" in bob.ack:
                await bob.get()
            await self.log_in(bob, bob.id, level)
            self.assertIn("offline", str(bob.ack["friends"]))
            if level == 1:
                self.assertEqual(str(bob.ack["groups"]).count("offline"), 1)

    async def test_requests_and_hints_do_not_arrive(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        await bob.ask({"msgid": 15, "friendid": ann.id})
        await ann.get()
        await ann.ask({"msgid": 18, "userid": bob.id})
        self.assertEqual((await ann.ask({"msgid": 23}))["requests"], [])
        answer = await bob.ask({"msgid": 15, "friendid": ann.id})
        self.assertEqual(answer, done(15, friends=False))
        self.assertEqual(await bob.ask({"msgid": 29, "toid": ann.id}), done(29))
        self.assertEqual(await bob.ask({"msgid": 30, "toid": ann.id, "upto": "c"}), done(30))
        await ann.nothing()
        self.assertEqual((await ann.ask({"msgid": 23}))["requests"], [])

    async def test_a_group_is_not_blocked(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        group = (await ann.ask({"msgid": 7, "groupname": "tea"}))["groupid"]
        await bob.ask({"msgid": 8, "groupid": group})
        await ann.get()
        await ann.ask({"msgid": 18, "userid": bob.id})
        bob.send({"msgid": 9, "groupid": group, "msg": "hi all", "cid": "g"})
        self.assertEqual((await ann.get())["msg"], "hi all")


class MemoryAddingFriendsTests(InMemory, AddingFriends, TestCase):
    """In memory."""


class TcpAddingFriendsTests(OverTcp, AddingFriends, TestCase):
    """Over TCP and SQLite."""


class MemoryAskingTests(InMemory, Asking, TestCase):
    """In memory."""


class TcpAskingTests(OverTcp, Asking, TestCase):
    """Over TCP and SQLite."""


class MemoryLookingTests(InMemory, Looking, TestCase):
    """In memory."""


class TcpLookingTests(OverTcp, Looking, TestCase):
    """Over TCP and SQLite."""


class MemoryBlockingTests(InMemory, Blocking, TestCase):
    """In memory."""


class TcpBlockingTests(OverTcp, Blocking, TestCase):
    """Over TCP and SQLite."""


class BoundsTests(InMemory, Waiting, TestCase):
    bounds = {  # noqa: RUF012
        "friends_per_user": 2, "requests_per_user": 2, "blocked_per_user": 2,
        "mailbox_per_sender": 3,
    }  # fmt: skip

    async def test_friends(self) -> None:
        ann = await self.enter("ann", 2)
        others = [await self.enter(f"user {number}", 2) for number in range(3)]
        for other in others[:2]:
            self.assertEqual((await ann.ask({"msgid": 6, "friendid": other.id}))["errno"], 0)
        self.assert_refused(await ann.ask({"msgid": 6, "friendid": others[2].id}), 103, 6)
        await others[2].ask({"msgid": 15, "friendid": ann.id})
        await ann.get()
        answer = await ann.ask({"msgid": 16, "friendid": others[2].id, "accept": True})
        self.assert_refused(answer, 103, 16)
        self.assert_refused(await ann.ask({"msgid": 15, "friendid": others[2].id}), 103, 15)
        # One who is one already is no more than before.
        self.assertEqual((await ann.ask({"msgid": 6, "friendid": others[0].id}))["errno"], 0)

    async def test_requests(self) -> None:
        ann = await self.register("ann")
        others = [await self.enter(f"user {number}", 2) for number in range(3)]
        for other in others[:2]:
            self.assertEqual((await other.ask({"msgid": 15, "friendid": ann}))["errno"], 0)
        self.assert_refused(await others[2].ask({"msgid": 15, "friendid": ann}), 109, 15)

    async def test_blocks(self) -> None:
        ann = await self.enter("ann", 2)
        others = [await self.register(f"user {number}") for number in range(3)]
        for other in others[:2]:
            await ann.ask({"msgid": 18, "userid": other})
        self.assert_refused(await ann.ask({"msgid": 18, "userid": others[2]}), 103, 18)
        self.assertEqual((await ann.ask({"msgid": 18, "userid": others[0]}))["errno"], 0)

    async def test_who_is_blocked_is_under_the_same_quota(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        await ann.ask({"msgid": 18, "userid": bob.id})
        for number in range(3):
            bob.send(say(ann.id, "hello?", cid=f"h{number}"))
            self.assertEqual(await self.feigned(bob), told(f"h{number}", "stored"))
        self.assert_refused(await bob.ask(say(ann.id, "hello?", cid="full")), 109, 5, "full")
        await ann.ask({"msgid": 18, "userid": bob.id, "block": False})
        await self.assert_chatting(bob, ann)

    async def test_who_is_blocked_is_told_of_a_store_that_is_away(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        eve = await self.register("eve")
        await ann.ask({"msgid": 18, "userid": bob.id})
        self.faults.away("keep")
        bob.send(say(eve, "stored?", cid="e"))
        self.assert_refused(await bob.get(), 108, 5, "e")
        self.assert_refused(await bob.ask(say(ann.id, "stored?", cid="a")), 108, 5, "a")
        self.faults.recover()
        self.go(2)
        bob.send(say(ann.id, "stored?", cid="a"))
        self.assertEqual(await self.feigned(bob), told("a", "stored"))

    async def test_feigned_and_real_messages_are_answered_with_one_commit(self) -> None:
        ann, bob, eve = [await self.enter(name, 2) for name in ("ann", "bob", "eve")]
        joe = await self.register("joe")
        await ann.ask({"msgid": 18, "userid": bob.id})
        eve.send(say(joe, "opens the mailbox", cid="o"))
        self.assertEqual(await eve.get(), told("o", "stored"))
        self.faults.hang("keep")
        bob.send(say(ann.id, "feigned", cid="b"))
        eve.send(say(joe, "real", cid="e"))
        await bob.nothing()
        await eve.nothing()
        self.faults.recover()
        self.assertEqual(await bob.get(), told("b", "stored"))
        self.assertEqual(await eve.get(), told("e", "stored"))

    async def test_requests_while_the_store_is_away(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        self.faults.away("users", "friends")
        for request in (
            {"msgid": 6, "friendid": bob.id},
            {"msgid": 15, "friendid": bob.id},
            {"msgid": 22},
            {"msgid": 27, "userid": bob.id},
        ):
            answer = await ann.ask({**request, "cid": "x"})
            self.assert_refused(answer, 108, request["msgid"], "x")
        await self.assert_chatting(ann, bob)
