"""Tokens and invitations, over every store."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import DeferredList, maybeDeferred
from twisted.trial.unittest import TestCase

from chat.model import Account

from .support import InMemory, OnMariaDB, OnSqlite, OverAStore, kept


def digest(number: int) -> bytes:
    """32 bytes, of any value."""
    return bytes((number * 37 + place * 11) % 256 for place in range(32))


class TokensContract(OverAStore):
    async def test_a_token_gives_its_account(self) -> None:
        bob, eve = await self.people("bob", "eve")
        await self.store.offline.keep([kept(eve, 77, bob)])
        await self.store.tokens.issue(bob, digest(1), 10.5, 20.25, "2001:db8::1")
        found = await self.store.tokens.account(bob, digest(1), 20.0)
        assert found is not None
        account, token = found
        self.assertEqual(account, Account(bob, "bob", "a hash", last_stamp=77))
        self.assertEqual(
            (token.created, token.used, token.expires, token.address),
            (10.5, 10.5, 20.25, "2001:db8::1"),
        )

    async def test_only_while_the_password_is_the_same(self) -> None:
        (bob,) = await self.people("bob")
        issue = self.store.tokens.issue
        self.assertGreater(await issue(bob, digest(1), 10.0, 20.0, "::1", "a hash"), 0)
        self.assertEqual(await issue(bob, digest(2), 10.0, 20.0, "::1", "another"), 0)
        self.assertEqual(await issue(bob + 1, digest(2), 10.0, 20.0, "::1", "a hash"), 0)
        self.assertEqual(len(await self.store.tokens.list(bob)), 1)
        self.assertEqual(await self.store.tokens.list(bob + 1), [])

    async def test_a_password_that_changes_at_the_same_time_leaves_no_token(self) -> None:
        for turn in range(5):
            people = await self.people(f"a{turn}", f"b{turn}")
            asked = [
                one
                for bob in people
                for one in (
                    self.store.tokens.issue(
                        bob, bob.to_bytes(32, "big"), 10.0, 20.0, "::1", "a hash"
                    ),
                    self.store.users.set_password(bob, "another"),
                )
            ]
            for one in asked:
                await one
            for bob in people:
                self.assertEqual(await self.store.tokens.list(bob), [])

    async def test_a_token_is_its_owners_and_has_an_end(self) -> None:
        bob, eve = await self.people("bob", "eve")
        await self.store.tokens.issue(bob, digest(1), 10.0, 20.0, "::1")
        self.assertIsNone(await self.store.tokens.account(eve, digest(1), 15.0))
        self.assertIsNone(await self.store.tokens.account(bob, digest(2), 15.0))
        self.assertIsNone(await self.store.tokens.account(bob, digest(1), 20.0))
        self.assertIsNotNone(await self.store.tokens.account(bob, digest(1), 19.9))

    async def test_digests_are_compared_byte_for_byte(self) -> None:
        (bob,) = await self.people("bob")
        for ending in (b"a", b"A", b" ", b"\0"):
            await self.store.tokens.issue(bob, b"x" * 31 + ending, 10.0, 20.0, "::1")
        self.assertEqual(len(await self.store.tokens.list(bob)), 4)
        self.assertIsNone(await self.store.tokens.account(bob, b"x" * 31, 15.0))

    async def test_renewal(self) -> None:
        (bob,) = await self.people("bob")
        await self.store.tokens.issue(bob, digest(1), 10.0, 20.0, "::1")
        await self.store.tokens.renew(digest(1), 19.0, 30.0)
        await self.store.tokens.renew(digest(2), 19.0, 30.0)
        found = await self.store.tokens.account(bob, digest(1), 29.0)
        assert found is not None
        self.assertEqual((found[1].created, found[1].used, found[1].expires), (10.0, 19.0, 30.0))

    async def test_the_newest_come_first_and_the_oldest_beyond_twenty_go(self) -> None:
        bob, eve = await self.people("bob", "eve")
        await self.store.tokens.issue(eve, digest(200), 1.0, 1000.0, "eve's")
        for number in range(25):
            await self.store.tokens.issue(bob, digest(number), 10.0 + number, 1000.0, f"{number}")
        found = await self.store.tokens.list(bob)
        self.assertEqual([one.address for one in found], [f"{n}" for n in range(24, 4, -1)])
        self.assertIsNone(await self.store.tokens.account(bob, digest(4), 50.0))
        self.assertEqual(len(await self.store.tokens.list(eve)), 1)

    async def test_expired_ones_go_when_another_is_issued(self) -> None:
        bob, eve = await self.people("bob", "eve")
        await self.store.tokens.issue(bob, digest(1), 10.0, 20.0, "::1")
        await self.store.tokens.issue(bob, digest(2), 10.0, 40.0, "::1")
        await self.store.tokens.issue(eve, digest(3), 30.0, 50.0, "::1")
        self.assertEqual([one.expires for one in await self.store.tokens.list(bob)], [40.0])

    async def test_revoking(self) -> None:
        bob, eve = await self.people("bob", "eve")
        await self.store.tokens.issue(bob, digest(1), 10.0, 20.0, "::1")
        await self.store.tokens.issue(bob, digest(2), 11.0, 20.0, "::1")
        newest = (await self.store.tokens.list(bob))[0]
        self.assertFalse(await self.store.tokens.revoke(eve, newest.id))
        self.assertTrue(await self.store.tokens.revoke(bob, newest.id))
        self.assertFalse(await self.store.tokens.revoke(bob, newest.id))
        self.assertIsNone(await self.store.tokens.account(bob, digest(2), 15.0))
        self.assertIsNotNone(await self.store.tokens.account(bob, digest(1), 15.0))

    async def test_an_invitation_is_good_for_so_many(self) -> None:
        await self.store.invites.issue(digest(1), 10.0, 20.0, 2)
        redeem = self.store.invites.redeem
        self.assertFalse(await redeem(digest(2), 11.0))
        self.assertFalse(await redeem(digest(1), 20.0))
        self.assertTrue(await redeem(digest(1), 19.0))
        self.assertTrue(await redeem(digest(1), 19.0))
        self.assertFalse(await redeem(digest(1), 19.0))

    async def test_of_many_who_redeem_at_once_only_so_many_can(self) -> None:
        await self.store.invites.issue(digest(1), 10.0, 20.0, 5)
        answers: list[tuple[bool, Any]] = await DeferredList(
            [maybeDeferred(self.store.invites.redeem, digest(1), 11.0) for _ in range(20)],
            fireOnOneErrback=True,
        )
        self.assertEqual(sum(answer for _, answer in answers), 5)


class TokensInMemoryTests(InMemory, TokensContract, TestCase):
    """In memory."""


class TokensOnSqliteTests(OnSqlite, TokensContract, TestCase):
    """On SQLite."""


class TokensOnMariaDBTests(OnMariaDB, TokensContract, TestCase):
    """On MariaDB."""
