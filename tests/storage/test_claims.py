"""Who is on which node, over every store."""

from __future__ import annotations

from twisted.internet.defer import ensureDeferred
from twisted.trial.unittest import TestCase

from chat.cluster import Claim
from chat.interfaces import Store
from chat.model import User
from chat.storage import claims as claims_module

from .nodes import LONG, NodesCase, OverSql, together
from .support import InMemory, OnMariaDB, OnSqlite


class ClaimsContract(NodesCase):
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
        self.patch(claims_module, "IDS_A_STATEMENT", 50)
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
        self.patch(claims_module, "IDS_A_STATEMENT", 50)
        one = await self.members.join("one", LONG)
        for bob in people[::3]:
            await self.members.claim(bob, one)
        self.assertEqual(await self.members.online(people), set(people[::3]))

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


class ClaimsOverSqlContract(OverSql, ClaimsContract):
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


class ClaimsInMemoryTests(InMemory, ClaimsContract, TestCase):
    """In memory."""


class ClaimsOnSqliteTests(OnSqlite, ClaimsOverSqlContract, TestCase):
    """On SQLite."""


class ClaimsOnMariaDBTests(OnMariaDB, ClaimsOverSqlContract, TestCase):
    """On MariaDB."""
