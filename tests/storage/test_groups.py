"""Groups and their members, over every store."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import DeferredList, maybeDeferred
from twisted.trial.unittest import TestCase

from chat.errors import NameTaken
from chat.model import Group, Member, Role

from .support import InMemory, OnMariaDB, OnSqlite, OverAStore
from .test_users import NASTY


class GroupsContract(OverAStore):
    async def group(self, name: str, creator: int, *members: int) -> int:
        group_id = await self.store.groups.create(name, name, "about it", creator, 100)
        for member in members:
            await self.store.groups.join(group_id, member, 100)
        return group_id

    async def test_a_group_as_its_members_see_it(self) -> None:
        bob, eve, ann = await self.people("bob", "eve", "ann")
        tea = await self.group("tea", bob, eve)
        groups = self.store.groups
        self.assertEqual(
            await groups.group(tea, bob), Group(tea, "tea", "about it", Role.CREATOR, 2)
        )
        self.assertEqual(
            await groups.group(tea, eve), Group(tea, "tea", "about it", Role.NORMAL, 2)
        )
        self.assertIsNone(await groups.group(tea, ann))
        self.assertIsNone(await groups.group(tea + 1, bob))
        self.assertEqual(
            await groups.members(tea, 0, 10),
            ([Member(bob, "bob", Role.CREATOR), Member(eve, "eve", Role.NORMAL)], False),
        )
        self.assertEqual(await groups.member_ids(tea), [bob, eve])
        self.assertTrue(await groups.exists(tea))

    async def test_no_such_group(self) -> None:
        (bob,) = await self.people("bob")
        groups = self.store.groups
        self.assertFalse(await groups.exists(7))
        self.assertIsNone(await groups.join(7, bob, 10))
        self.assertFalse(await groups.leave(7, bob))
        self.assertFalse(await groups.hand_over(7, bob, bob))
        self.assertIsNone(await groups.member_ids(7))
        self.assertEqual(await groups.members(7, 0, 10), ([], False))
        self.assertEqual(await groups.page(bob, 0, 10), ([], False))

    async def test_a_name_is_given_once_and_compared_exactly(self) -> None:
        (bob,) = await self.people("bob")
        names = ("tea", "Tea", "tea ", *NASTY)
        ids = [await self.group(name, bob) for name in names]
        self.assertEqual(len(set(ids)), len(names))
        with self.assertRaises(NameTaken):
            await self.store.groups.create("TEA", "tea", "", bob, 100)
        page, _ = await self.store.groups.page(bob, 0, 100)
        self.assertEqual([group.name for group in page], list(names))

    async def test_of_many_who_make_a_group_at_once_one_does(self) -> None:
        (bob,) = await self.people("bob")
        answers: list[tuple[bool, Any]] = await DeferredList(
            [
                maybeDeferred(self.store.groups.create, "tea", "tea", "", bob, 100)
                for _ in range(20)
            ],
            consumeErrors=True,
        )
        for failure in (result for done, result in answers if not done):
            failure.trap(NameTaken)
        self.assertEqual(sum(done for done, _ in answers), 1)
        page, _ = await self.store.groups.page(bob, 0, 100)
        self.assertEqual(len(page), 1)

    async def test_joining_twice_changes_nothing(self) -> None:
        bob, eve = await self.people("bob", "eve")
        tea = await self.group("tea", bob)
        self.assertEqual(
            await self.store.groups.join(tea, eve, 10),
            Group(tea, "tea", "about it", Role.NORMAL, 2),
        )
        self.assertEqual(
            await self.store.groups.join(tea, eve, 10),
            Group(tea, "tea", "about it", Role.NORMAL, 2),
        )
        self.assertEqual(
            await self.store.groups.join(tea, bob, 10),
            Group(tea, "tea", "about it", Role.CREATOR, 2),
        )

    async def test_the_number_of_members_is_true_after_many_at_once(self) -> None:
        ids = await self.people(*(f"user {number}" for number in range(20)))
        tea = await self.group("tea", ids[0])
        coming = [maybeDeferred(self.store.groups.join, tea, one, 10) for one in ids]
        await DeferredList(coming, fireOnOneErrback=True)
        seen = await self.store.groups.group(tea, ids[0])
        assert seen is not None
        self.assertEqual(seen.members, 20)
        going = [maybeDeferred(self.store.groups.leave, tea, one) for one in ids[1:]]
        await DeferredList(going, fireOnOneErrback=True)
        seen = await self.store.groups.group(tea, ids[0])
        assert seen is not None
        self.assertEqual(seen.members, 1)

    async def test_only_so_many_groups_a_user(self) -> None:
        bob, eve = await self.people("bob", "eve")
        groups = self.store.groups
        one, two = await self.group("one", eve), await self.group("two", eve)
        await groups.join(one, bob, 2)
        self.assertTrue(await groups.create("three", "three", "", bob, 2))
        self.assertEqual(await groups.create("four", "four", "", bob, 2), 0)
        with self.assertRaises(ValueError):
            await groups.join(two, bob, 2)
        self.assertIsNotNone(await groups.join(one, bob, 2))  # is in it already
        self.assertEqual(await groups.member_ids(two), [eve])
        # The name was not taken by the attempt.
        self.assertTrue(await groups.create("four", "four", "", eve, 10))

    async def test_leaving(self) -> None:
        bob, eve, ann = await self.people("bob", "eve", "ann")
        tea = await self.group("tea", bob, eve)
        groups = self.store.groups
        self.assertFalse(await groups.leave(tea, ann))
        self.assertTrue(await groups.leave(tea, eve))
        self.assertFalse(await groups.leave(tea, eve))
        self.assertEqual(await groups.member_ids(tea), [bob])
        self.assertEqual(
            await groups.group(tea, bob), Group(tea, "tea", "about it", Role.CREATOR, 1)
        )

    async def test_a_creator_leaves_only_alone(self) -> None:
        bob, eve = await self.people("bob", "eve")
        tea = await self.group("tea", bob, eve)
        with self.assertRaises(ValueError):
            await self.store.groups.leave(tea, bob)
        self.assertEqual(await self.store.groups.member_ids(tea), [bob, eve])
        await self.store.groups.hand_over(tea, bob, eve)
        self.assertTrue(await self.store.groups.leave(tea, bob))
        self.assertTrue(await self.store.groups.leave(tea, eve))

    async def test_a_group_without_members_is_gone_and_its_id_is_not_given_again(self) -> None:
        (bob,) = await self.people("bob")
        tea = await self.group("tea", bob)
        self.assertTrue(await self.store.groups.leave(tea, bob))
        self.assertFalse(await self.store.groups.exists(tea))
        self.assertTrue(await self.group("tea", bob) > tea)

    async def test_handing_over(self) -> None:
        bob, eve, ann = await self.people("bob", "eve", "ann")
        tea = await self.group("tea", bob, eve)
        groups = self.store.groups
        self.assertFalse(await groups.hand_over(tea, eve, bob))
        self.assertFalse(await groups.hand_over(tea, bob, ann))
        self.assertFalse(await groups.hand_over(tea, ann, bob))
        self.assertTrue(await groups.hand_over(tea, bob, eve))
        members, _ = await groups.members(tea, 0, 10)
        self.assertEqual([one.role for one in members], [Role.NORMAL, Role.CREATOR])
        self.assertTrue(await groups.hand_over(tea, eve, eve))
        members, _ = await groups.members(tea, 0, 10)
        self.assertEqual([one.role for one in members], [Role.NORMAL, Role.CREATOR])

    async def test_groups_and_members_come_by_page(self) -> None:
        ids = await self.people(*(f"user {number}" for number in range(5)))
        groups = [await self.group(f"group {number}", ids[0], *ids[1:]) for number in range(5)]
        await self.store.groups.leave(groups[2], ids[3])
        page, more = await self.store.groups.page(ids[3], 0, 2)
        self.assertEqual(([one.id for one in page], more), (groups[:2], True))
        page, more = await self.store.groups.page(ids[3], groups[1], 2)
        self.assertEqual(([one.id for one in page], more), (groups[3:], False))
        members, more = await self.store.groups.members(groups[0], 0, 3)
        self.assertEqual(([one.id for one in members], more), (ids[:3], True))
        members, more = await self.store.groups.members(groups[0], ids[2], 3)
        self.assertEqual(([one.id for one in members], more), (ids[3:], False))


class GroupsInMemoryTests(InMemory, GroupsContract, TestCase):
    """In memory."""


class GroupsOnSqliteTests(OnSqlite, GroupsContract, TestCase):
    """On SQLite."""


class GroupsOnMariaDBTests(OnMariaDB, GroupsContract, TestCase):
    """On MariaDB."""
