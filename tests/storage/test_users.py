"""Accounts, over every store."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import DeferredList, maybeDeferred
from twisted.trial.unittest import TestCase

from chat.errors import NameTaken
from chat.model import Account, Deletion, Group, Left, Role, User

from .support import InMemory, OnMariaDB, OnSqlite, OverAStore, kept, key_of

NASTY = (
    "Robert'); DROP TABLE user;--",
    '" OR ""="',
    "\\",
    "%s %d %(x)s ?",
    "nul\0in the middle",
    "tab\tnewline\n",
    "😀",
    "😃",
    "我爱北京",
    "a" * 200,
)
"""Texts that must come back as they went in, each another name."""


class UsersContract(OverAStore):
    async def test_a_user_is_found_by_id_and_by_name(self) -> None:
        bob = await self.store.users.register("Bob", "bob's key", "his hash")
        self.assertEqual(await self.store.users.account(bob), Account(bob, "Bob", "his hash"))
        self.assertEqual(await self.store.users.user(bob), User(bob, "Bob"))
        self.assertEqual(await self.store.users.find("bob's key"), User(bob, "Bob"))

    async def test_nobody(self) -> None:
        await self.people("bob")
        for nobody in (0, 2, 2**63 - 1):
            self.assertIsNone(await self.store.users.account(nobody))
            self.assertIsNone(await self.store.users.user(nobody))
        self.assertIsNone(await self.store.users.find("Bob"))

    async def test_ids_count_from_one_and_are_given_once(self) -> None:
        bob, eve = await self.people("bob", "eve")
        self.assertTrue(0 < bob < eve)
        await self.store.users.delete(eve)
        self.assertTrue((await self.people("eve"))[0] > eve)

    async def test_a_name_is_given_once(self) -> None:
        await self.people("bob")
        with self.assertRaises(NameTaken):
            await self.store.users.register("bob!", "bob", "another hash")

    async def test_names_are_compared_exactly(self) -> None:
        names = ("bob", "Bob", "bob ", " bob", "böb", "b\u200bob", "ß", "ss", *NASTY)
        ids = await self.people(*names)
        self.assertEqual(len(set(ids)), len(names))
        for user_id, name in zip(ids, names, strict=True):
            self.assertEqual(await self.store.users.find(name), User(user_id, name))

    async def test_of_many_who_want_a_name_at_once_one_gets_it(self) -> None:
        answers: list[tuple[bool, Any]] = await DeferredList(
            [maybeDeferred(self.store.users.register, "bob", "bob", "a hash") for _ in range(50)],
            consumeErrors=True,
        )
        won = [result for done, result in answers if done]
        lost = [result for done, result in answers if not done]
        self.assertEqual(len(won), 1)
        self.assertEqual(len(lost), 49)
        for failure in lost:
            failure.trap(NameTaken)
        self.assertEqual(await self.store.users.find("bob"), User(won[0], "bob"))

    async def test_an_account_knows_the_highest_stamp_that_waits_of_it(self) -> None:
        bob, eve = await self.people("bob", "eve")
        rows = [kept(eve, 10, bob), kept(bob, 30, bob), kept(eve, 20, bob), kept(bob, 99, eve)]
        await self.store.offline.keep(rows)
        self.assertEqual(await self.last_stamp(bob), 30)
        await self.store.offline.forget([key_of(rows[1])])
        self.assertEqual(await self.last_stamp(bob), 20)
        await self.store.offline.forget([key_of(row) for row in rows])
        self.assertEqual(await self.last_stamp(bob), 0)

    async def last_stamp(self, user_id: int) -> int:
        account = await self.store.users.account(user_id)
        assert account is not None
        return account.last_stamp

    async def test_a_password_is_replaced_and_the_tokens_go(self) -> None:
        bob, eve = await self.people("bob", "eve")
        await self.store.tokens.issue(bob, b"b" * 32, 1.0, 100.0, "::1")
        await self.store.tokens.issue(eve, b"e" * 32, 1.0, 100.0, "::1")
        await self.store.users.set_password(bob, "new hash")
        self.assertEqual(await self.store.users.account(bob), Account(bob, "bob", "new hash"))
        self.assertEqual(await self.store.tokens.list(bob), [])
        self.assertEqual(len(await self.store.tokens.list(eve)), 1)

    async def test_states_of_many_and_of_nobody(self) -> None:
        ids = await self.people(*(f"user {number}" for number in range(20)))
        await self.store.users.set_states(dict.fromkeys([*ids, 2**62], True))
        await self.store.users.set_states({})
        await self.store.users.set_states({ids[0]: False, ids[1]: True})
        await self.store.users.reset_states()
        self.assertEqual(await self.store.users.user(ids[0]), User(ids[0], "user 0"))

    async def test_a_deleted_user_leaves_nothing_behind(self) -> None:
        bob, eve, ann, kim, joe = await self.people("bob", "eve", "ann", "kim", "joe")
        friends, groups = self.store.friends, self.store.groups
        for one, other in ((bob, eve), (eve, bob), (ann, bob)):
            await friends.add(one, other, 10)
        await friends.ask(bob, kim, "", 1.0, 10, 10)
        await friends.ask(joe, bob, "", 1.0, 10, 10)
        await friends.block(bob, ann)
        await friends.block(eve, bob)
        tea = await groups.create("tea", "tea", "", eve, 10)
        await groups.join(tea, bob, 10)
        await self.store.offline.keep([kept(bob, 1, eve), kept(bob, 2, ann), kept(eve, 3, bob)])
        await self.store.tokens.issue(bob, b"b" * 32, 1.0, 100.0, "::1")

        self.assertEqual(
            await self.store.users.delete(bob),
            Deletion(
                {"groups": 1, "friends": 1, "requests": 2, "blocks": 1, "messages": 2, "tokens": 1},
                [Left(tea, None)],
            ),
        )
        self.assertIsNone(await self.store.users.account(bob))
        self.assertIsNone(await self.store.users.find("bob"))
        self.assertFalse(await friends.are_friends(eve, bob))
        self.assertEqual(await friends.page(ann, 0, 10), ([], False))
        self.assertEqual(await friends.requests(kim, 0, 10), ([], False))
        self.assertEqual(await friends.watchers(bob), [])
        self.assertEqual(await friends.blocked(eve), [])
        self.assertEqual(await groups.member_ids(tea), [eve])
        self.assertEqual(await groups.group(tea, eve), Group(tea, "tea", "", Role.CREATOR, 1))
        self.assertEqual(await self.store.offline.page(bob, (0, 0), 10, 1000), ([], False))
        self.assertEqual(await self.store.offline.census([bob]), {})
        self.assertIsNone(await self.store.tokens.account(bob, b"b" * 32, 2.0))
        # What others are to read from the deleted user waits on.
        waiting, _ = await self.store.offline.page(eve, (0, 0), 10, 1000)
        self.assertEqual([row.stamp for row in waiting], [3])
        # And the name is free.
        self.assertNotEqual(await self.people("bob"), [bob])

    async def test_the_groups_of_a_deleted_user_go_to_the_oldest_member(self) -> None:
        bob, eve, ann = await self.people("bob", "eve", "ann")
        groups = self.store.groups
        tea = await groups.create("tea", "tea", "", bob, 10)
        alone = await groups.create("alone", "alone", "", bob, 10)
        self.now += 1
        await groups.join(tea, ann, 10)
        self.now += 1
        await groups.join(tea, eve, 10)
        deleted = await self.store.users.delete(bob)
        self.assertEqual(deleted.counts["groups"], 2)
        self.assertEqual(deleted.left, [Left(tea, User(ann, "ann")), Left(alone, None)])
        self.assertFalse(await groups.exists(alone))
        self.assertEqual(await groups.group(tea, ann), Group(tea, "tea", "", Role.CREATOR, 2))
        self.assertEqual(await groups.group(tea, eve), Group(tea, "tea", "", Role.NORMAL, 2))
        # Its name is free again.
        self.assertTrue(await groups.create("alone", "alone", "", eve, 10))

    async def test_deleting_nobody_deletes_nothing(self) -> None:
        (bob,) = await self.people("bob")
        deleted = await self.store.users.delete(bob + 1)
        self.assertEqual(set(deleted.counts.values()), {0})
        self.assertEqual(deleted.left, [])
        self.assertEqual(await self.store.users.user(bob), User(bob, "bob"))


class UsersInMemoryTests(InMemory, UsersContract, TestCase):
    """In memory."""


class UsersOnSqliteTests(OnSqlite, UsersContract, TestCase):
    """On SQLite."""


class UsersOnMariaDBTests(OnMariaDB, UsersContract, TestCase):
    """On MariaDB."""
