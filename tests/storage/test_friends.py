"""Friends, requests and blocks, over every store."""

from __future__ import annotations

from twisted.trial.unittest import TestCase

from chat.model import Asking, Friend, FriendRequest, User

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

    async def befriend(self, one: int, other: int) -> None:
        """Make them friends in both directions."""
        await self.store.friends.add(one, other, 100)
        await self.store.friends.add(other, one, 100)

    async def ask(self, user_id: int, friend_id: int, note: str = "", now: float = 1.0) -> Asking:
        return await self.store.friends.ask(user_id, friend_id, note, now, 10, 100)

    async def test_adding_goes_in_one_direction(self) -> None:
        bob, eve = await self.people("bob", "eve")
        self.assertTrue(await self.store.friends.add(bob, eve, 100))
        self.assertFalse(await self.store.friends.add(bob, eve, 100))
        self.assertEqual(await self.store.friends.page(bob, 0, 10), ([Friend(eve, "eve")], False))
        self.assertEqual(await self.ids(eve), [])
        self.assertTrue(await self.store.friends.are_friends(bob, eve))
        self.assertFalse(await self.store.friends.are_friends(eve, bob))

    async def test_accepting_goes_in_both(self) -> None:
        bob, eve, ann = await self.people("bob", "eve", "ann")
        self.assertFalse(await self.store.friends.accept(bob, eve, 100))
        self.assertIs(await self.ask(eve, bob), Asking.WAITS)
        self.assertIs(await self.ask(ann, bob), Asking.WAITS)
        self.assertFalse(await self.store.friends.accept(eve, bob, 100))
        self.assertTrue(await self.store.friends.accept(bob, eve, 100))
        self.assertFalse(await self.store.friends.accept(bob, eve, 100))
        self.assertEqual(await self.ids(bob), [eve])
        self.assertEqual(await self.ids(eve), [bob])
        self.assertEqual(await self.askers(bob), [ann])

    async def test_who_asks_an_asker_or_somebody_who_is_a_friend_already_is_one(self) -> None:
        bob, eve, ann = await self.people("bob", "eve", "ann")
        await self.ask(eve, bob)
        self.assertIs(await self.ask(bob, eve), Asking.FRIENDS)
        self.assertEqual((await self.ids(bob), await self.ids(eve)), ([eve], [bob]))
        self.assertEqual((await self.askers(bob), await self.askers(eve)), ([], []))
        await self.store.friends.add(ann, bob, 100)
        self.assertIs(await self.ask(bob, ann), Asking.FRIENDS)
        self.assertEqual(await self.ids(bob), [eve, ann])
        self.assertIs(await self.ask(bob, ann), Asking.FRIENDS)

    async def test_only_so_many_friends_a_user(self) -> None:
        bob, eve, ann = await self.people("bob", "eve", "ann")
        friends = self.store.friends
        await friends.add(bob, eve, 1)
        self.assertFalse(await friends.add(bob, eve, 1))
        with self.assertRaises(ValueError):
            await friends.add(bob, ann, 1)
        await self.ask(ann, bob)
        for user_id, other in ((bob, ann), (ann, bob)):
            with self.assertRaises(ValueError):
                await friends.ask(user_id, other, "", 1.0, 10, 1)
            if user_id == bob:
                with self.assertRaises(ValueError):
                    await friends.accept(user_id, other, 1)
                await friends.settle(bob, ann)
                await self.ask(bob, ann)
        self.assertEqual((await self.ids(bob), await self.ids(ann)), ([eve], []))

    async def test_removing_goes_in_both(self) -> None:
        bob, eve, ann = await self.people("bob", "eve", "ann")
        await self.befriend(bob, eve)
        await self.store.friends.add(ann, bob, 100)
        self.assertTrue(await self.store.friends.remove(eve, bob))
        self.assertFalse(await self.store.friends.remove(eve, bob))
        self.assertEqual(await self.ids(bob), [])
        self.assertTrue(await self.store.friends.remove(bob, ann))
        self.assertEqual(await self.ids(ann), [])

    async def test_friends_come_by_page_in_the_order_of_ids(self) -> None:
        ids = await self.people(*(f"user {number}" for number in range(8)))
        for friend in (5, 2, 7, 1, 4):
            await self.store.friends.add(ids[0], ids[friend], 100)
        page, more = await self.store.friends.page(ids[0], 0, 2)
        self.assertEqual(page, [Friend(ids[1], "user 1"), Friend(ids[2], "user 2")])
        self.assertTrue(more)
        page, more = await self.store.friends.page(ids[0], ids[2], 3)
        self.assertEqual([friend.id for friend in page], [ids[4], ids[5], ids[7]])
        self.assertFalse(more)
        self.assertEqual(await self.store.friends.page(ids[0], ids[7], 3), ([], False))

    async def test_who_is_blocked_by_a_friend_sees_it_hidden_and_watches_in_vain(self) -> None:
        bob, eve, ann = await self.people("bob", "eve", "ann")
        await self.befriend(bob, eve)
        await self.befriend(bob, ann)
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

    async def test_a_block_settles_requests_and_later_ones_do_not_arrive(self) -> None:
        bob, eve, ann = await self.people("bob", "eve", "ann")
        await self.ask(eve, bob)
        await self.ask(bob, ann)
        await self.store.friends.block(bob, eve)
        await self.store.friends.block(bob, ann)
        self.assertEqual((await self.askers(bob), await self.askers(ann)), ([], []))
        self.assertIs(await self.ask(eve, bob), Asking.WAITS)
        self.assertEqual(await self.askers(bob), [])
        # In the other direction a block is no hindrance.
        self.assertIs(await self.ask(bob, ann), Asking.WAITS)
        self.assertEqual(await self.askers(ann), [bob])

    async def test_requests_wait_with_their_newest_note(self) -> None:
        bob, eve, ann = await self.people("bob", "eve", "ann")
        self.assertIs(await self.ask(ann, bob, "it's me'); --", 1.25), Asking.WAITS)
        self.assertIs(await self.ask(eve, bob, "first", 2.0), Asking.WAITS)
        self.assertIs(await self.ask(eve, bob, "😀" * 200, 3.5), Asking.WAITS)
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
        ask = self.store.friends.ask
        self.assertIs(await ask(eve, bob, "", 1.0, 1, 100), Asking.WAITS)
        self.assertIs(await ask(ann, bob, "", 2.0, 1, 100), Asking.FULL)
        self.assertIs(await ask(eve, bob, "newer", 3.0, 1, 100), Asking.WAITS)
        self.assertEqual(await self.askers(bob), [eve])

    async def test_settling(self) -> None:
        bob, eve = await self.people("bob", "eve")
        await self.ask(eve, bob)
        self.assertFalse(await self.store.friends.settle(eve, bob))
        self.assertTrue(await self.store.friends.settle(bob, eve))
        self.assertFalse(await self.store.friends.settle(bob, eve))
        self.assertEqual(await self.askers(bob), [])

    async def test_adding_settles_requests(self) -> None:
        bob, eve, ann = await self.people("bob", "eve", "ann")
        for adder, added in ((bob, eve), (eve, bob)):
            await self.ask(eve, bob)
            await self.ask(ann, bob)
            await self.store.friends.add(adder, added, 100)
            self.assertEqual(await self.askers(bob), [ann])
            await self.store.friends.remove(bob, eve)


class FriendsInMemoryTests(InMemory, FriendsContract, TestCase):
    """In memory."""


class FriendsOnSqliteTests(OnSqlite, FriendsContract, TestCase):
    """On SQLite."""


class FriendsOnMariaDBTests(OnMariaDB, FriendsContract, TestCase):
    """On MariaDB."""
