"""What a login shows of friends and groups, and how much of it."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import TestCase

from tests.cables import Client
from tests.support import InMemory

MIB = 1 << 20


class RosterTests(InMemory, TestCase):
    async def people(self, number: int, name: str = "user") -> list[int]:
        """Users who never log in."""
        return [
            await self.store.users.register(f"{name} {one}", f"{name} {one}", "x")
            for one in range(number)
        ]

    async def befriend(self, user_id: int, friends: list[int]) -> None:
        for friend in friends:
            await self.store.friends.add(user_id, friend, 100_000)

    async def ack(self, user_id: int, level: int) -> tuple[dict[str, Any], int]:
        """A login's answer, and its length."""
        client = await self.connect()
        proto = {"proto": 2} if level == 2 else {}
        client.send({"msgid": 1, "id": user_id, "password": "correct horse", **proto})
        line = await client.line()
        answer: dict[str, Any] = json.loads(line)
        self.assertEqual(answer["errno"], 0)
        client.send({"msgid": 10})
        self.time.settle()
        client.cable.close()
        return answer, len(line)

    async def test_level_2_has_500_of_each(self) -> None:
        ann = await self.register("ann")
        friends = await self.people(501)
        await self.befriend(ann, friends)
        answer, _ = await self.ack(ann, 2)
        self.assertEqual([one["id"] for one in answer["friends"]], friends[:500])
        self.assertTrue(answer["more_friends"])
        self.assertNotIn("more_groups", answer)
        groups = [
            await self.store.groups.create(f"group {one}", f"group {one}", "about", ann, 1000)
            for one in range(501)
        ]
        await self.store.friends.remove(ann, friends[0])
        answer, _ = await self.ack(ann, 2)
        self.assertEqual(len(answer["friends"]), 500)
        self.assertNotIn("more_friends", answer)
        self.assertTrue(answer["more_groups"])
        self.assertEqual([one["id"] for one in answer["groups"]], groups[:500])
        first = {"id": groups[0], "groupname": "group 0", "groupdesc": "about", "role": "creator",
                 "members": 1}  # fmt: skip
        self.assertEqual(answer["groups"][0], first)

    async def test_level_2_stays_below_a_mebibyte(self) -> None:
        ann = await self.register("ann")
        long = "e\u0301" * 50 + "\U0001f600" * 100
        friends = [
            await self.store.users.register(f"{long}{one:03}"[-200:], f"{one}", "x")
            for one in range(500)
        ]
        await self.befriend(ann, friends)
        for one in range(500):
            await self.store.groups.create(
                f"{long}{one:03}"[-200:], f"{one}", "\U0001f600" * 200, ann, 1000
            )
        answer, size = await self.ack(ann, 2)
        self.assertLessEqual(size, MIB)
        self.assertEqual(len(answer["friends"]), 500)
        self.assertTrue(answer["more_groups"])
        self.assertGreater(len(answer["groups"]), 200)

    async def test_ten_thousand_friends(self) -> None:
        ann = await self.register("ann")
        friends = await self.people(10_000)
        await self.befriend(ann, friends)
        answer, size = await self.ack(ann, 1)
        self.assertLessEqual(size, MIB)
        entries = [json.loads(text) for text in answer["friends"]]
        self.assertEqual([one["id"] for one in entries], friends)
        self.assertEqual(entries[0], {"id": friends[0], "name": "user 0", "state": "offline"})
        answer, _ = await self.ack(ann, 2)
        self.assertEqual(len(answer["friends"]), 500)
        self.assertTrue(answer["more_friends"])

        # The rest by page.
        client = await self.login(ann, 2)
        seen = [one["id"] for one in answer["friends"]]
        more = True
        while more:
            page = await client.ask({"msgid": 22, "after": seen[-1], "limit": 500})
            seen += [one["id"] for one in page["friends"]]
            more = page["more"]
        self.assertEqual(seen, friends)

    async def test_level_1_ends_where_the_line_is_full(self) -> None:
        ann = await self.register("ann")
        friends = await self.people(10_000, "\U0001f600" * 40)
        await self.befriend(ann, friends)
        await self.store.groups.create("left out", "left out", "", ann, 10)
        answer, size = await self.ack(ann, 1)
        self.assertLessEqual(size, MIB)
        self.assertGreater(size, MIB - (100 << 10))
        shown = [json.loads(text)["id"] for text in answer["friends"]]
        self.assertEqual(shown, friends[: len(shown)])
        self.assertNotIn("groups", answer)

    async def test_level_1_with_a_great_group(self) -> None:
        ann = await self.register("ann")
        crowd = await self.people(9000)
        great = await self.store.groups.create("great", "great", "", crowd[0], 10)
        for one in [*crowd[1:], ann]:
            await self.store.groups.join(great, one, 10)
        answer, size = await self.ack(ann, 1)
        self.assertLessEqual(size, MIB)
        (group,) = [json.loads(text) for text in answer["groups"]]
        users = [json.loads(text) for text in group["users"]]
        self.assertEqual(users[0], {"id": ann, "name": "ann", "state": "online", "role": "normal"})
        # As many of the others as fit.
        self.assertGreater(len(users), 7000)
        self.assertEqual(users[1]["role"], "creator")
        self.assertEqual(len({user["id"] for user in users}), len(users))

    async def test_members_are_read_in_bounds(self) -> None:
        ann = await self.register("ann")
        crowd = await self.people(300)
        for name in ("one", "two", "three"):
            group = await self.store.groups.create(name, name, "", crowd[0], 10)
            for user_id in [*crowd[1:], ann]:
                await self.store.groups.join(group, user_id, 10)
        answer, _ = await self.ack(ann, 1)
        groups = [json.loads(text) for text in answer["groups"]]
        self.assertEqual([len(group["users"]) for group in groups], [301, 301, 301])

    async def test_one_look_into_the_store(self) -> None:
        ann = await self.register("ann")
        await self.ack(ann, 1)
        for level in (1, 2):
            self.faults.calls.clear()
            await self.ack(ann, level)
            looks = {name: self.faults.calls[name] for name in ("account", "read", "page")}
            self.assertEqual(looks, {"account": 1, "read": 1, "page": 0})

    async def test_the_store_away(self) -> None:
        ann = await self.register("ann")
        self.faults.away("rosters")
        client = await self.connect()
        answer = await client.ask({"msgid": 1, "id": ann, "password": "correct horse"})
        self.assertEqual((answer["msgid"], answer["errno"]), (2, 108))
        self.assertGreater(answer["retry_after"], 0)
        self.faults.recover()
        await self.log_in(client, ann)

    async def test_states_are_those_of_the_moment(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        await ann.ask({"msgid": 6, "friendid": bob.id})
        for state in ("online", "offline"):
            self.assertEqual(await self.state(ann), state)
            if state == "online":
                await bob.ask({"msgid": 10})

    async def state(self, client: Client) -> str:
        """Of the only friend."""
        await client.ask({"msgid": 10})
        await self.log_in(client, client.id, 2)
        (friend,) = client.ack["friends"]
        return str(friend["state"])
