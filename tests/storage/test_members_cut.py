"""Claims and memberships while the connection to the database breaks."""

from __future__ import annotations

from chat.cluster import Members
from chat.model import User
from chat.storage import members, sql

from .broken import FaultCase
from .nodes import LONG, together
from .proxy import CutNetwork

COMMIT = b"\x03COMMIT"
CLAIM = b"INSERT INTO claim"


class CutTests(FaultCase):
    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        self.patch(sql, "PATIENCE", 60.0)
        await super().setUp()
        self.others: Members = self.store.members
        """Of a node whose connection is sound."""
        self.network, port = CutNetwork.listen(self, self.server.port)
        self.store = await self.opened(self.url.replace(f":{self.server.port}/", f":{port}/"))
        self.members = self.store.members
        self.bob = await self.store.users.register("bob", "bob", "a hash")
        self.one = await self.members.join("one", LONG)
        self.two = await self.others.join("two", LONG)

    async def lose_the_answer(self) -> None:
        """A claim of bob is written, and who asked is told that it failed."""
        self.network.cut(CLAIM, 100, answer_only=True)
        self.assertTrue((await self.away(self.members.claim(self.bob, self.one))).unknown)
        self.network.cuts = 0
        self.assertEqual(await self.members.online([self.bob]), {self.bob})

    async def test_a_claim_is_made_again_when_its_answer_is_lost(self) -> None:
        for answer_only in (False, True):
            self.network.cut(CLAIM, answer_only=answer_only)
            claim = await self.members.claim(self.bob, self.one)
            self.assertEqual(self.network.cuts, 0)
            self.assertEqual((claim.node, claim.name), (self.one, "one"))
            self.assertEqual(await self.others.claim(self.bob, self.two), claim)
            self.assertEqual(
                (await self.members.renew(self.one, LONG, {self.bob: claim.epoch})).lost, []
            )

    async def test_of_two_claims_one_of_which_is_made_again_one_succeeds(self) -> None:
        for turn in range(20):
            self.network.cut(CLAIM, answer_only=bool(turn % 2))
            mine, its = await together(
                self.members.claim(self.bob, self.one), self.others.claim(self.bob, self.two)
            )
            # Where both are this node's, the second one has the epoch of its second attempt.
            self.assertEqual(mine.node, its.node)
            self.assertGreaterEqual(mine.epoch, its.epoch)
            await self.members.release(mine.node, {self.bob: mine.epoch})

    async def test_a_renewal_and_a_membership_are_begun_again(self) -> None:
        self.network.cut(b"UPDATE node", answer_only=True)
        self.assertTrue((await self.members.renew(self.one, LONG, {})).held)
        self.network.cut(b"INSERT INTO node", answer_only=True)
        again = await self.members.join("one", LONG)
        self.assertEqual(self.network.cuts, 0)
        self.assertTrue((await self.members.renew(again, LONG, {})).held)
        self.assertEqual((await self.others.renew(self.two, LONG, {})).others, ["one"])

    async def test_a_claim_that_nobody_knows_of_is_released_with_the_next_renewal(self) -> None:
        await self.lose_the_answer()
        self.assertTrue((await self.members.renew(self.one, LONG, {})).held)
        # One release runs at a time.
        await self.members.release(self.one, {})
        self.assertEqual(await self.members.online([self.bob]), set())

    async def test_but_not_when_the_user_has_come_again(self) -> None:
        await self.lose_the_answer()
        claim = await self.members.claim(self.bob, self.one)
        renewal = await self.members.renew(self.one, LONG, {self.bob: claim.epoch})
        self.assertEqual(renewal.lost, [])
        await self.members.release(self.one, {})
        self.assertEqual(await self.members.online([self.bob]), {self.bob})

    async def test_who_was_taken_by_a_commit_without_an_answer_is_told(self) -> None:
        eve = await self.store.users.register("eve", "eve", "a hash")
        for user_id in (self.bob, eve):
            await self.others.claim(user_id, self.two)
        await self.others.leave(self.two)
        self.network.cut(COMMIT, answer_only=True)
        users = await self.members.reap()
        self.assertEqual(self.network.cuts, 0)
        self.assertEqual({user.id for user in users}, {self.bob, eve})
        self.assertEqual(await self.others.reap(), [])

    async def test_what_was_taken_before_the_database_went_away_is_told(self) -> None:
        eve = await self.store.users.register("eve", "eve", "a hash")
        self.patch(members, "IDS_A_STATEMENT", 1)
        for user_id in (self.bob, eve):
            await self.others.claim(user_id, self.two)
        await self.others.leave(self.two)
        self.network.cut(f"SET node = 0 WHERE userid IN ({eve})".encode(), 100)
        self.assertEqual(await self.members.reap(), [User(self.bob, "bob")])
        self.assertFalse((await self.away(self.members.reap())).unknown)
        self.network.cuts = 0
        self.assertEqual(await self.members.reap(), [User(eve, "eve")])
