"""Who is on which node, over every store; several stores of one database stand for several nodes.

No test waits for a lease to end: one that is renewed for no time has ended.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, TypeVar

from twisted.internet.defer import DeferredList, ensureDeferred
from twisted.trial.unittest import TestCase

from chat.cluster import Claim, Members
from chat.errors import StoreAway
from chat.interfaces import Store
from chat.model import User
from chat.storage import claims, members
from chat.storage.memory import members as memory_members
from chat.storage.store import SqlStore

from .support import InMemory, OnMariaDB, OnSqlite, OverAStore

T = TypeVar("T")
LONG = 3600.0
"""Seconds of a lease that does not end."""


async def together(*asked: Awaitable[T]) -> list[T]:
    """What is asked at the same time, answered."""

    async def one(it: Awaitable[T]) -> T:
        return await it

    answers: list[tuple[bool, Any]] = await DeferredList(
        [ensureDeferred(one(it)) for it in asked], fireOnOneErrback=True
    )
    return [answer for _, answer in answers]


class MembersContract(OverAStore):
    @property
    def members(self) -> Members:
        return self.store.members

    async def end(self, node: int) -> None:
        """The lease of a node ends."""
        await self.members.renew(node, 0.0, {})

    async def refused(self, user_id: int, node: int, after: int = 0) -> None:
        """The node cannot claim the user."""
        with self.assertRaises(StoreAway):
            await self.members.claim(user_id, node, after)

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

    async def test_a_user_is_on_one_node(self) -> None:
        bob, eve = await self.people("bob", "eve")
        one = await self.members.join("one", LONG)
        two = await self.members.join("two", LONG)
        claim = await self.members.claim(bob, one)
        self.assertEqual((claim.node, claim.name), (one, "one"))
        self.assertGreater(claim.epoch, 0)
        self.assertEqual(await self.members.claim(bob, two), claim)
        self.assertEqual((await self.members.claim(eve, two)).name, "two")
        self.assertEqual(await self.members.online([bob, eve]), {bob, eve})
        self.assertEqual((await self.members.renew(one, LONG, {bob: claim.epoch})).lost, [])

    async def test_each_claim_has_a_new_epoch(self) -> None:
        (bob,) = await self.people("bob")
        one = await self.members.join("one", LONG)
        epochs = [(await self.members.claim(bob, one)).epoch for _ in range(3)]
        await self.members.release(one, {bob: epochs[-1]})
        two = await self.members.join("two", LONG)
        epochs.append((await self.members.claim(bob, two)).epoch)
        await self.end(two)
        await self.members.reap()
        epochs.append((await self.members.claim(bob, one)).epoch)
        # Several of one node at the same time.
        claims = await together(*(self.members.claim(bob, one) for _ in range(20)))
        epochs += sorted(claim.epoch for claim in claims)
        self.assertEqual(epochs, sorted(set(epochs)))

    async def test_who_knows_the_epoch_takes_over(self) -> None:
        (bob,) = await self.people("bob")
        one = await self.members.join("one", LONG)
        two = await self.members.join("two", LONG)
        first = await self.members.claim(bob, one)
        second = await self.members.claim(bob, one)
        self.assertEqual(await self.members.claim(bob, two, first.epoch), second)
        self.assertEqual(await self.members.claim(bob, two, second.epoch + 1), second)
        third = await self.members.claim(bob, two, second.epoch)
        self.assertEqual((third.node, third.name), (two, "two"))
        self.assertGreater(third.epoch, second.epoch)
        self.assertEqual((await self.members.renew(one, LONG, {bob: second.epoch})).lost, [bob])
        # What was known of the one before is of no use.
        self.assertEqual(await self.members.claim(bob, one, second.epoch), third)

    async def test_the_claims_of_an_ended_lease_hold_nobody_up(self) -> None:
        bob, eve = await self.people("bob", "eve")
        one = await self.members.join("one", LONG)
        two = await self.members.join("two", LONG)
        old = await self.members.claim(bob, one)
        await self.members.claim(eve, one)
        await self.end(one)
        self.assertEqual(await self.members.online([bob, eve]), set())
        new = await self.members.claim(bob, two)
        self.assertEqual(new.node, two)
        self.assertGreater(new.epoch, old.epoch)
        self.assertEqual(await self.members.online([bob, eve]), {bob})
        # The other one is told; who is somewhere else is not.
        self.assertEqual(await self.members.reap(), [User(eve, "eve")])
        self.assertEqual(await self.members.online([bob, eve]), {bob})

    async def test_who_has_no_lease_claims_nobody(self) -> None:
        (bob,) = await self.people("bob")
        one = await self.members.join("one", 0.0)
        await self.refused(bob, one)
        await self.refused(bob, one + 1)
        two = await self.members.join("two", LONG)
        claim = await self.members.claim(bob, two)
        await self.refused(bob, one, claim.epoch)
        self.assertEqual(await self.members.claim(bob, two), Claim(two, "two", claim.epoch + 1))
        await self.members.leave(two)
        await self.refused(bob, two)
        self.assertEqual(await self.members.online([bob]), set())

    async def test_claims_that_come_together_are_each_their_own(self) -> None:
        people = await self.people(*(f"p{number}" for number in range(150)))
        one = await self.members.join("one", LONG)
        two = await self.members.join("two", LONG)
        ended = await self.members.join("ended", 0.0)
        first = await together(*(self.members.claim(bob, one) for bob in people[::2]))
        self.assertEqual({claim.node for claim in first}, {one})
        refusals = [ensureDeferred(self.refused(bob, ended)) for bob in people[:10]]
        claims = await together(*(self.members.claim(bob, two) for bob in people))
        self.assertEqual([claim.node for claim in claims], [one, two] * 75)
        self.assertEqual(claims[::2], first)
        for refusal in refusals:
            await refusal

    async def test_two_logins_at_the_same_instant(self) -> None:
        (bob,) = await self.people("bob")
        other = (await self.another()).members
        one = await self.members.join("one", LONG)
        two = await other.join("two", LONG)
        last = 0
        for turn in range(200):
            asked = [self.members.claim(bob, one), other.claim(bob, two)]
            mine, its = await together(*(asked if turn % 2 else asked[::-1]))
            self.assertEqual(mine, its)
            self.assertIn(mine.node, (one, two))
            self.assertGreater(mine.epoch, last)
            last = mine.epoch
            await self.members.release(mine.node, {bob: last})

    async def test_of_two_who_know_the_epoch_one_succeeds(self) -> None:
        people = await self.people(*(f"p{number}" for number in range(50)))
        stores: list[Store] = [self.store, await self.another()]
        old = await self.members.join("old", LONG)
        nodes = [await self.members.join(f"new {number}", LONG) for number in range(4)]
        before = {bob: (await self.members.claim(bob, old)).epoch for bob in people}
        claims = await together(
            *(
                stores[number % 2].members.claim(bob, node, before[bob])
                for number, node in enumerate(nodes)
                for bob in people
            )
        )
        for bob in people:
            of_bob = claims[people.index(bob) :: len(people)]
            self.assertEqual(len(set(of_bob)), 1, of_bob)
            self.assertIn(of_bob[0].node, nodes)
            self.assertEqual(of_bob[0].epoch, before[bob] + 1)

    async def test_release(self) -> None:
        bob, eve, ann = await self.people("bob", "eve", "ann")
        one = await self.members.join("one", LONG)
        two = await self.members.join("two", LONG)
        first = await self.members.claim(bob, one)
        second = await self.members.claim(bob, one)
        its = await self.members.claim(eve, two)
        await self.members.claim(ann, one)
        # An epoch that is another one by now, another's user, and nobody's.
        await self.members.release(one, {bob: first.epoch, eve: its.epoch, ann + 1: 1})
        await self.members.release(one, {})
        self.assertEqual(await self.members.online([bob, eve, ann]), {bob, eve, ann})
        await self.members.release(one, {bob: second.epoch})
        self.assertEqual(await self.members.online([bob, eve, ann]), {eve, ann})
        third = await self.members.claim(bob, two)
        self.assertEqual(third.node, two)
        self.assertGreater(third.epoch, second.epoch)

    async def test_releases_of_many(self) -> None:
        people = await self.people(*(f"p{number}" for number in range(120)))
        self.patch(claims, "IDS_A_STATEMENT", 50)
        one = await self.members.join("one", LONG)
        two = await self.members.join("two", LONG)
        made = {
            bob: await self.members.claim(bob, two if number % 3 else one)
            for number, bob in enumerate(people)
        }
        stale = {bob: made[bob].epoch - 1 for bob in people[:30]}
        gone = {bob: made[bob].epoch for bob in people[20:]}
        await together(
            self.members.release(one, stale),
            self.members.release(two, stale),
            self.members.release(one, gone),
            *(self.members.release(two, {bob: epoch}) for bob, epoch in gone.items()),
        )
        self.assertEqual(await self.members.online(people), set(people[:20]))

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

    async def test_online_without_those_who_block_the_viewer(self) -> None:
        people = await self.people("bob", "eve", "ann", "kim")
        bob, eve, ann, kim = people
        one = await self.members.join("one", LONG)
        two = await self.members.join("two", LONG)
        for user_id, node in ((bob, one), (eve, two), (ann, one)):
            await self.members.claim(user_id, node)
        await self.store.friends.block(bob, kim)
        await self.store.friends.block(kim, eve)
        self.assertEqual(await self.members.online([]), set())
        self.assertEqual(await self.members.online([ann, kim, 2**62]), {ann})
        self.assertEqual(await self.members.online([bob, bob]), {bob})
        # All are asked before the first is answered.
        views = await together(*(self.members.online(people, viewer) for viewer in (0, *people)))
        here = {bob, eve, ann}
        self.assertEqual(views, [here, here, here, here, {eve, ann}])

    async def test_online_of_many(self) -> None:
        people = await self.people(*(f"p{number}" for number in range(120)))
        self.patch(claims, "IDS_A_STATEMENT", 50)
        one = await self.members.join("one", LONG)
        for bob in people[::3]:
            await self.members.claim(bob, one)
        self.assertEqual(await self.members.online(people), set(people[::3]))

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

    async def test_a_deleted_user_is_nowhere(self) -> None:
        bob, eve = await self.people("bob", "eve")
        one = await self.members.join("one", LONG)
        epochs = {who: (await self.members.claim(who, one)).epoch for who in (bob, eve)}
        await self.store.users.delete(bob)
        self.assertEqual(await self.members.online([bob, eve]), {eve})
        self.assertEqual((await self.members.renew(one, LONG, epochs)).lost, [bob])
        # A login that was under way.
        await self.members.claim(bob, one)
        await self.end(one)
        self.assertEqual(await self.members.reap(), [User(eve, "eve")])
        self.assertEqual(await self.members.reap(), [])


class OverSqlContract(MembersContract):
    """What can be seen in the tables as well."""

    async def rows(self, sql: str) -> list[Any]:
        assert isinstance(self.store, SqlStore)
        return await self.store.database.read("look", lambda statements: statements.rows(sql))

    async def change(self, sql: str) -> None:
        assert isinstance(self.store, SqlStore)
        await self.store.database.write("change", lambda statements: statements.change(sql))

    async def online_users(self) -> list[int]:
        """Whom other programs see online."""
        rows = await self.rows("SELECT id FROM user WHERE state = 'online' ORDER BY id")
        return [user_id for (user_id,) in rows]

    async def test_a_late_offline_does_not_hide_who_is_somewhere_else(self) -> None:
        bob, eve, ann = await self.people("bob", "eve", "ann")
        users = self.store.users
        one = await self.members.join("one", LONG)
        two = await self.members.join("two", LONG)
        await users.set_states({bob: True, eve: True, ann: True})
        claims = {who: await self.members.claim(who, one) for who in (bob, eve)}
        await self.members.claim(bob, two, claims[bob].epoch)
        await self.members.release(one, {who: claim.epoch for who, claim in claims.items()})
        await users.set_states({bob: False, eve: False, ann: False})
        self.assertEqual(await self.online_users(), [bob])
        await self.end(two)
        await users.set_states({bob: False})
        self.assertEqual(await self.online_users(), [])

    async def test_the_state_is_true_whichever_is_written_first(self) -> None:
        bob, eve = await self.people("bob", "eve")
        one = await self.members.join("one", LONG)
        claims = {who: (await self.members.claim(who, one)).epoch for who in (bob, eve)}
        await self.store.users.set_states({bob: True, eve: True})
        # The offline of who has gone comes before the release.
        await self.store.users.set_states({bob: False})
        await self.members.release(one, {bob: claims[bob]})
        self.assertEqual(await self.online_users(), [eve])
        # A release that comes too late changes nothing.
        await self.members.claim(eve, one)
        await self.members.release(one, {eve: claims[eve]})
        self.assertEqual(await self.online_users(), [eve])

    async def test_a_server_that_starts_leaves_the_others_users_online(self) -> None:
        bob, eve, ann = await self.people("bob", "eve", "ann")
        one = await self.members.join("one", LONG)
        ended = await self.members.join("ended", LONG)
        await self.members.claim(bob, one)
        await self.members.claim(eve, ended)
        await self.store.users.set_states({bob: True, eve: True, ann: True})
        await self.end(ended)
        await self.store.users.reset_states()
        self.assertEqual(await self.online_users(), [bob])

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


class MembersOnSqliteTests(OnSqlite, OverSqlContract, TestCase):
    """On SQLite."""


class MembersOnMariaDBTests(OnMariaDB, OverSqlContract, TestCase):
    """On MariaDB."""
