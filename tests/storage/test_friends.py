"""Friends, requests and blocks, over every store."""

from __future__ import annotations

from twisted.trial.unittest import TestCase

from chat.model import Friend, FriendRequest, User

from .support import InMemory, OnMariaDB, OnSqlite, OverAStore


class FriendsContract(OverAStore):
    async def ids(self, user_id: int) -> list[int]:
        page, more = await self.store.friends.page(user_id, 0, 100)
        self.assertFalse(more)
        return [friend.id for friend in page]

    async def askers(self, user_id: int) -> list[int]:
        page, more = await self.store.friends.requests(user_id, 0, 100)
        self.assertFalse(more)
        return [request.id for request in page]

    async def test_adding_goes_in_one_direction(self) -> None:
        bob, eve = await self.people("bob", "eve")
        self.assertTrue(await self.store.friends.add(bob, eve))
        self.assertFalse(await self.store.friends.add(bob, eve))
        self.assertEqual(await self.store.friends.page(bob, 0, 10), ([Friend(eve, "eve")], False))
        self.assertEqual(await self.ids(eve), [])
        self.assertTrue(await self.store.friends.are_friends(bob, eve))
        self.assertFalse(await self.store.friends.are_friends(eve, bob))

    async def test_befriending_goes_in_both(self) -> None:
        bob, eve = await self.people("bob", "eve")
        await self.store.friends.add(eve, bob)
        await self.store.friends.befriend(bob, eve)
        await self.store.friends.befriend(eve, bob)
        self.assertEqual(await self.ids(bob), [eve])
        self.assertEqual(await self.ids(eve), [bob])

    async def test_removing_goes_in_both(self) -> None:
        bob, eve, ann = await self.people("bob", "eve", "ann")
        await self.store.friends.befriend(bob, eve)
        await self.store.friends.add(ann, bob)
        self.assertTrue(await self.store.friends.remove(eve, bob))
        self.assertFalse(await self.store.friends.remove(eve, bob))
        self.assertEqual(await self.ids(bob), [])
        self.assertTrue(await self.store.friends.remove(bob, ann))
        self.assertEqual(await self.ids(ann), [])

    async def test_friends_come_by_page_in_the_order_of_ids(self) -> None:
        ids = await self.people(*(f"user {number}" for number in range(8)))
        for friend in (5, 2, 7, 1, 4):
            await self.store.friends.add(ids[0], ids[friend])
        page, more = await self.store.friends.page(ids[0], 0, 2)
        self.assertEqual(page, [Friend(ids[1], "user 1"), Friend(ids[2], "user 2")])
        self.assertTrue(more)
        page, more = await self.store.friends.page(ids[0], ids[2], 3)
        self.assertEqual([friend.id for friend in page], [ids[4], ids[5], ids[7]])
        self.assertFalse(more)
        self.assertEqual(await self.store.friends.page(ids[0], ids[7], 3), ([], False))

    async def test_who_is_blocked_by_a_friend_sees_it_hidden_and_watches_in_vain(self) -> None:
        bob, eve, ann = await self.people("bob", "eve", "ann")
        await self.store.friends.befriend(bob, eve)
        await self.store.friends.befriend(bob, ann)
        await self.store.friends.block(bob, eve)
        page, _ = await self.store.friends.page(eve, 0, 10)
        self.assertEqual(page, [Friend(bob, "bob", True)])
        page, _ = await self.store.friends.page(bob, 0, 10)
        self.assertEqual(page, [Friend(eve, "eve", False), Friend(ann, "ann", False)])
        self.assertEqual(await self.store.friends.watchers(bob), [ann])
        self.assertEqual(await self.store.friends.watchers(eve), [bob])
        await self.store.friends.unblock(bob, eve)
        self.assertEqual(await self.store.friends.watchers(bob), [eve, ann])
        page, _ = await self.store.friends.page(eve, 0, 10)
        self.assertEqual(page, [Friend(bob, "bob", False)])

    async def test_blocks(self) -> None:
        bob, eve, ann = await self.people("bob", "eve", "ann")
        await self.store.friends.block(bob, ann)
        await self.store.friends.block(bob, eve)
        await self.store.friends.block(bob, eve)
        self.assertEqual(
            await self.store.friends.blocked(bob), [User(eve, "eve"), User(ann, "ann")]
        )
        self.assertEqual(await self.store.friends.blocked(eve), [])
        await self.store.friends.unblock(bob, ann)
        await self.store.friends.unblock(bob, ann)
        self.assertEqual(await self.store.friends.blocked(bob), [User(eve, "eve")])

    async def test_a_block_settles_the_blocked_ones_request(self) -> None:
        bob, eve = await self.people("bob", "eve")
        await self.store.friends.ask(eve, bob, "", 1.0, 10)
        await self.store.friends.block(bob, eve)
        self.assertEqual(await self.askers(bob), [])

    async def test_requests_wait_with_their_newest_note(self) -> None:
        bob, eve, ann = await self.people("bob", "eve", "ann")
        self.assertTrue(await self.store.friends.ask(ann, bob, "it's me'); --", 1.25, 10))
        self.assertTrue(await self.store.friends.ask(eve, bob, "first", 2.0, 10))
        self.assertTrue(await self.store.friends.ask(eve, bob, "😀" * 200, 3.5, 10))
        self.assertEqual(
            await self.store.friends.requests(bob, 0, 10),
            (
                [
                    FriendRequest(eve, "eve", "😀" * 200, 3.5),
                    FriendRequest(ann, "ann", "it's me'); --", 1.25),
                ],
                False,
            ),
        )
        page, more = await self.store.friends.requests(bob, 0, 1)
        self.assertEqual(([one.id for one in page], more), ([eve], True))
        page, more = await self.store.friends.requests(bob, eve, 1)
        self.assertEqual(([one.id for one in page], more), ([ann], False))
        self.assertEqual(await self.askers(eve), [])

    async def test_only_so_many_requests_wait(self) -> None:
        bob, eve, ann = await self.people("bob", "eve", "ann")
        self.assertTrue(await self.store.friends.ask(eve, bob, "", 1.0, 1))
        self.assertFalse(await self.store.friends.ask(ann, bob, "", 2.0, 1))
        self.assertTrue(await self.store.friends.ask(eve, bob, "newer", 3.0, 1))
        self.assertEqual(await self.askers(bob), [eve])

    async def test_settling(self) -> None:
        bob, eve = await self.people("bob", "eve")
        await self.store.friends.ask(eve, bob, "", 1.0, 10)
        self.assertFalse(await self.store.friends.settle(eve, bob))
        self.assertTrue(await self.store.friends.settle(bob, eve))
        self.assertFalse(await self.store.friends.settle(bob, eve))
        self.assertEqual(await self.askers(bob), [])

    async def test_becoming_friends_settles_requests_in_both_directions(self) -> None:
        bob, eve, ann = await self.people("bob", "eve", "ann")
        for way in (self.store.friends.add, self.store.friends.befriend):
            await self.store.friends.ask(eve, bob, "", 1.0, 10)
            await self.store.friends.ask(bob, eve, "", 1.0, 10)
            await self.store.friends.ask(ann, bob, "", 1.0, 10)
            await way(bob, eve)
            self.assertEqual(await self.askers(bob), [ann])
            self.assertEqual(await self.askers(eve), [])


class FriendsInMemoryTests(InMemory, FriendsContract, TestCase):
    """In memory."""


class FriendsOnSqliteTests(OnSqlite, FriendsContract, TestCase):
    """On SQLite."""


class FriendsOnMariaDBTests(OnMariaDB, FriendsContract, TestCase):
    """On MariaDB."""
