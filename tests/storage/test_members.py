"""The nodes that hold a lease, over every store."""

from __future__ import annotations

from twisted.trial.unittest import TestCase

from chat.model import User
from chat.storage import members
from chat.storage.memory import members as memory_members

from .nodes import LONG, NodesCase, OverSql, together
from .support import InMemory, OnMariaDB, OnSqlite


class MembersContract(NodesCase):
    async def test_numbers_rise_and_are_never_given_again(self) -> None:
        one = await self.members.join("one", LONG)
        two = await self.members.join("two", LONG)
        self.assertTrue(0 < one < two)
        await self.members.leave(two)
        await self.members.reap()
        self.assertGreater(await self.members.join("two", LONG), two)

    async def test_the_others_are_those_with_a_lease(self) -> None:
        one = await self.members.join("one", LONG)
        self.assertEqual((await self.members.renew(one, LONG, {})).others, [])
        two = await self.members.join("two", LONG)
        three = await self.members.join("three", LONG)
        self.assertEqual((await self.members.renew(one, LONG, {})).others, ["three", "two"])
        self.assertEqual((await self.members.renew(two, LONG, {})).others, ["one", "three"])
        await self.members.leave(two)
        self.assertEqual((await self.members.renew(one, LONG, {})).others, ["three"])
        await self.end(three)
        self.assertEqual((await self.members.renew(one, LONG, {})).others, [])

    async def test_a_lease_that_has_ended_is_not_renewed(self) -> None:
        bob, eve = await self.people("bob", "eve")
        one = await self.members.join("one", 0.0)
        renewal = await self.members.renew(one, LONG, {bob: 1, eve: 7})
        self.assertFalse(renewal.held)
        self.assertEqual(sorted(renewal.lost), [bob, eve])
        self.assertFalse((await self.members.renew(one, LONG, {})).held)
        two = await self.members.join("two", LONG)
        self.assertTrue((await self.members.renew(two, LONG, {})).held)
        self.assertFalse((await self.members.renew(two + 1, LONG, {})).held)
        await self.members.leave(two)
        self.assertFalse((await self.members.renew(two, LONG, {})).held)

    async def test_a_name_that_is_taken_again_ends_the_older_membership(self) -> None:
        (bob,) = await self.people("bob")
        one = await self.members.join("one", LONG)
        two = await self.members.join("two", LONG)
        await self.members.claim(bob, one)
        again = await self.members.join("one", LONG)
        self.assertGreater(again, two)
        self.assertFalse((await self.members.renew(one, LONG, {})).held)
        self.assertEqual(await self.members.online([bob]), set())
        renewal = await self.members.renew(again, LONG, {})
        self.assertEqual((renewal.held, renewal.others), (True, ["two"]))
        self.assertEqual(await self.members.reap(), [User(bob, "bob")])

    async def test_of_many_who_join_with_one_name_one_stays(self) -> None:
        stores = [self.store, await self.another()]
        nodes = await together(*(stores[n % 2].members.join("one", LONG) for n in range(10)))
        self.assertEqual(len(set(nodes)), 10)
        renewals = [await self.members.renew(node, LONG, {}) for node in nodes]
        self.assertEqual(sum(renewal.held for renewal in renewals), 1)

    async def test_what_a_renewal_tells_of_claims(self) -> None:
        bob, eve, ann, kim, joe = await self.people("bob", "eve", "ann", "kim", "joe")
        one = await self.members.join("one", LONG)
        two = await self.members.join("two", LONG)
        thought = {
            user_id: (await self.members.claim(user_id, one)).epoch for user_id in (bob, eve, ann)
        }
        thought[kim] = (await self.members.claim(kim, two)).epoch
        thought[joe] = 1
        await self.members.claim(eve, two, thought[eve])
        await self.members.claim(ann, one)
        renewal = await self.members.renew(one, LONG, thought)
        self.assertTrue(renewal.held)
        self.assertEqual(sorted(renewal.lost), [eve, ann, kim, joe])
        self.assertEqual((await self.members.renew(one, LONG, {bob: thought[bob]})).lost, [])

    async def test_each_of_an_ended_memberships_users_is_told_once(self) -> None:
        people = await self.people(*(f"p{number}" for number in range(60)))
        for module in (members, memory_members):
            self.patch(module, "REAPED_A_CALL", 25)
        self.patch(members, "IDS_A_STATEMENT", 10)
        other = await self.another()
        lasting = await self.members.join("lasting", LONG)
        for name in ("one", "two"):
            node = await self.members.join(name, LONG)
            await together(*(self.members.claim(bob, node) for bob in people[::2]))
            await self.members.claim(people[1], lasting)
            self.assertEqual(await self.members.reap(), [])
            await self.end(node)
            told: list[User] = []
            calls = 0
            while some := await together(
                self.members.reap(), other.members.reap(), self.members.reap()
            ):
                calls += 1
                told += [user for users in some for user in users]
                if not any(some):
                    break
            self.assertGreater(calls, 1)
            self.assertEqual(sorted(user.id for user in told), people[::2])
            self.assertEqual({user.name for user in told}, {f"p{n}" for n in range(0, 60, 2)})
        self.assertEqual(await self.members.online(people), {people[1]})

    async def test_a_node_that_leaves_leaves_nobody_online(self) -> None:
        bob, eve = await self.people("bob", "eve")
        one = await self.members.join("one", LONG)
        claim = await self.members.claim(bob, one)
        await self.members.claim(eve, one)
        await self.members.release(one, {bob: claim.epoch})
        await self.members.leave(one)
        await self.members.leave(one)
        self.assertEqual(await self.members.online([bob, eve]), set())
        self.assertEqual(await self.members.reap(), [User(eve, "eve")])
        self.assertEqual(await self.members.reap(), [])


class MembersOverSqlContract(OverSql, MembersContract):
    async def test_who_is_reaped_is_offline(self) -> None:
        bob, eve = await self.people("bob", "eve")
        one = await self.members.join("one", LONG)
        two = await self.members.join("two", LONG)
        await self.members.claim(bob, one)
        await self.members.claim(eve, two)
        await self.store.users.set_states({bob: True, eve: True})
        await self.end(one)
        await self.members.reap()
        self.assertEqual(await self.online_users(), [eve])

    async def test_a_claim_that_is_finished_after_the_lease_is_found_as_well(self) -> None:
        bob, eve = await self.people("bob", "eve")
        one = await self.members.join("one", LONG)
        await self.members.claim(bob, one)
        await self.end(one)
        self.assertEqual(await self.members.reap(), [User(bob, "bob")])
        # What a process writes that was stopped after it had looked at its lease.
        await self.change(f"INSERT INTO claim VALUES ({eve}, {one}, 1)")
        self.assertEqual(await self.members.reap(), [User(eve, "eve")])
        self.assertEqual(await self.members.reap(), [])

    async def test_rows_of_ended_memberships_go_after_a_while(self) -> None:
        names = ("one", "two", "three")
        nodes = [await self.members.join(name, LONG) for name in names]
        await self.end(nodes[0])
        await self.end(nodes[1])
        hour = round(members.ENDED_KEPT * 1_000_000)
        await self.change(f"UPDATE node SET expires = expires - {hour} WHERE id = {nodes[0]}")
        await self.members.reap()
        self.assertEqual(
            await self.rows("SELECT id, name FROM node ORDER BY id"),
            list(zip(nodes, names, strict=True))[1:],
        )


class MembersInMemoryTests(InMemory, MembersContract, TestCase):
    """In memory."""


class MembersOnSqliteTests(OnSqlite, MembersOverSqlContract, TestCase):
    """On SQLite."""


class MembersOnMariaDBTests(OnMariaDB, MembersOverSqlContract, TestCase):
    """On MariaDB."""
