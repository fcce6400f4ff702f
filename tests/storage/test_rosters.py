"""What logins show of friends and groups, over every store."""

from __future__ import annotations

from twisted.trial.unittest import TestCase

from chat.model import Friend, Group, Member, Role, Roster

from .support import InMemory, OnMariaDB, OnSqlite, OverAStore


class RostersContract(OverAStore):
    async def test_nobody_and_nothing(self) -> None:
        (bob,) = await self.people("bob")
        nothing = Roster([], False, [], False, {})
        self.assertEqual(await self.store.rosters.read(bob, 10, 10, 10), nothing)
        self.assertEqual(await self.store.rosters.read(bob + 1, 10, 10, 10), nothing)

    async def test_friends_groups_and_members_in_bounds(self) -> None:
        bob, eve, ann = await self.people("bob", "eve", "ann")
        await self.store.friends.add(bob, eve, 10)
        await self.store.friends.add(bob, ann, 10)
        await self.store.friends.block(ann, bob)
        tea = await self.store.groups.create("tea", "tea", "at five", bob, 10)
        rye = await self.store.groups.create("rye", "rye", "", eve, 10)
        await self.store.groups.join(tea, ann, 10)
        await self.store.groups.join(rye, bob, 10)

        friends = [Friend(eve, "eve"), Friend(ann, "ann", True)]
        groups = [
            Group(tea, "tea", "at five", Role.CREATOR, 2),
            Group(rye, "rye", "", Role.NORMAL, 2),
        ]
        members = {
            tea: [Member(bob, "bob", Role.CREATOR), Member(ann, "ann", Role.NORMAL)],
            rye: [Member(bob, "bob", Role.NORMAL), Member(eve, "eve", Role.CREATOR)],
        }
        read = self.store.rosters.read
        self.assertEqual(await read(bob, 2, 2, 4), Roster(friends, False, groups, False, members))
        self.assertEqual(await read(bob, 2, 2, 0), Roster(friends, False, groups, False, {}))
        self.assertEqual(
            await read(bob, 1, 1, 1),
            Roster(friends[:1], True, groups[:1], True, {tea: members[tea][:1]}),
        )
        # What one group uses up the next one has not.
        roster = await read(bob, 0, 2, 3)
        self.assertEqual((roster.friends, roster.more_friends), ([], True))
        self.assertEqual(roster.members, {tea: members[tea], rye: members[rye][:1]})


class RostersInMemoryTests(InMemory, RostersContract, TestCase):
    """In memory."""


class RostersOnSqliteTests(OnSqlite, RostersContract, TestCase):
    """On SQLite."""


class RostersOnMariaDBTests(OnMariaDB, RostersContract, TestCase):
    """On MariaDB."""
