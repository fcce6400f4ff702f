"""Waiting messages, over every store."""

from __future__ import annotations

import random

from twisted.trial.unittest import TestCase

from chat.model import Census, Keeping, Kept, KeptKey, Outcome, Place

from ..mariadb import shared
from .support import InMemory, OnMariaDB, OnSqlite, OverAStore, kept, key_of
from .test_users import NASTY

STORED, REPEATED = Keeping.STORED, Keeping.REPEATED
CONFLICT, REFUSED = Keeping.CONFLICT, Keeping.REFUSED


class OfflineContract(OverAStore):
    async def everything(self, recipient: int) -> list[Kept]:
        """What waits, asked for in one page."""
        rows, more = await self.store.offline.page(recipient, (0, 0), 100_000, 1 << 30)
        self.assertFalse(more)
        return rows

    async def keep(self, *rows: Kept) -> list[tuple[Keeping, int]]:
        outcomes = await self.store.offline.keep(rows)
        return [(outcome.keeping, outcome.stamp) for outcome in outcomes]

    # -- keep

    async def test_what_is_kept_comes_back_as_it_was(self) -> None:
        rows = [
            Kept(1, 2**63 - 1, 2**63 - 2, "cid", True, 9, bytes(range(248, 256)), b""),
            kept(1, 3, 2, "another", given=False, body=bytes(range(256)) * 10),
            kept(2**63 - 1, 1, 1, "x" * 64, body=b"z" * 65536),
        ]
        self.assertEqual(
            await self.store.offline.keep(rows), [Outcome(STORED, row.stamp) for row in rows]
        )
        self.assertEqual(await self.everything(1), [rows[1], rows[0]])
        self.assertEqual(await self.everything(2**63 - 1), [rows[2]])

    async def test_keeping_nothing(self) -> None:
        self.assertEqual(await self.keep(), [])

    async def test_any_text_is_a_cid_and_a_body(self) -> None:
        cids = [*NASTY, "bob", "Bob", "bob ", "é", "e\u0301", "\U0010ffff" * 64]
        rows = [
            kept(1, number, 2, cid, body=cid.encode() + b"\0\xff'\"\\")
            for number, cid in enumerate(cids, 1)
        ]
        self.assertEqual(await self.keep(*rows), [(STORED, row.stamp) for row in rows])
        self.assertEqual(await self.everything(1), rows)
        self.assertEqual(await self.keep(*rows), [(REPEATED, row.stamp) for row in rows])

    async def test_a_repeat_is_told_with_the_stamp_that_is_there(self) -> None:
        await self.keep(kept(1, 10, 2, "a"), kept(1, 11, 2, "b"))
        answers = await self.keep(
            kept(1, 20, 2, "a"), kept(1, 21, 2, "c"), kept(1, 11, 2, "b"), kept(1, 23, 3, "a")
        )
        self.assertEqual(answers, [(REPEATED, 10), (STORED, 21), (REPEATED, 11), (STORED, 23)])
        self.assertEqual([row.stamp for row in await self.everything(1)], [10, 11, 21, 23])

    async def test_another_message_with_a_used_cid_is_a_conflict(self) -> None:
        await self.keep(kept(1, 10, 2, "a", text="one"))
        answers = await self.keep(
            kept(1, 20, 2, "a", text="two"), kept(1, 21, 2, "b"), kept(3, 22, 2, "a", text="two")
        )
        self.assertEqual(answers, [(CONFLICT, 10), (STORED, 21), (STORED, 22)])
        self.assertEqual(len(await self.everything(1)), 2)

    async def test_twins_in_one_batch(self) -> None:
        answers = await self.keep(
            kept(1, 10, 2, "a", text="one"),
            kept(1, 11, 2, "a", text="one"),
            kept(1, 12, 2, "a", text="two"),
            kept(1, 13, 2, "b"),
            kept(1, 10, 2, "a", text="one"),
        )
        self.assertEqual(
            answers,
            [(STORED, 10), (REPEATED, 10), (CONFLICT, 10), (STORED, 13), (REPEATED, 10)],
        )
        self.assertEqual([row.stamp for row in await self.everything(1)], [10, 13])

    async def test_twins_of_a_message_that_is_there(self) -> None:
        await self.keep(kept(1, 5, 2, "a", text="two"))
        answers = await self.keep(
            kept(1, 10, 2, "a", text="one"), kept(1, 11, 2, "a", text="two"), kept(1, 12, 2, "b")
        )
        self.assertEqual(answers, [(CONFLICT, 5), (REPEATED, 5), (STORED, 12)])

    async def test_what_cannot_be_stored_is_refused_and_the_rest_is_kept(self) -> None:
        bad = [
            kept(1, 100, 2, "x" * 257),
            kept(1, 101, 2, "\ud800"),
            kept(1, 2**63, 2, "too late"),
            kept(2**63, 102, 2, "nobody"),
            kept(1, 103, 2, "too long", body=b"x" * (2 << 20)),
            kept(1, 104, 2, "digest", digest=b"nine byte"),
        ]
        good = [kept(1, stamp, 2) for stamp in range(1, 50)]
        rows = [*good, *bad]
        random.Random(1).shuffle(rows)
        answers = dict(zip(rows, await self.store.offline.keep(rows), strict=True))
        for row in good:
            self.assertEqual(answers[row], Outcome(STORED, row.stamp))
        for row in bad:
            self.assertEqual(answers[row], Outcome(REFUSED, row.stamp))
        self.assertEqual(await self.everything(1), good)

    async def test_the_second_of_two_with_one_place_in_the_order_is_refused(self) -> None:
        # The sender's node never gives a stamp twice; none may be lost unsaid if one did.
        answers = await self.keep(kept(1, 10, 2, "a"), kept(1, 10, 2, "b"), kept(1, 10, 3, "c"))
        self.assertEqual(answers, [(STORED, 10), (REFUSED, 10), (STORED, 10)])
        self.assertEqual(await self.keep(kept(1, 10, 2, "d"), kept(1, 11, 2, "e")), [
            (REFUSED, 10), (STORED, 11),
        ])  # fmt: skip
        self.assertEqual([row.cid for row in await self.everything(1)], ["a", "c", "e"])

    async def test_a_batch_repeated_as_a_whole_changes_nothing(self) -> None:
        rows = [kept(1 + number % 7, number, 8 + number % 3) for number in range(1, 1501)]
        first = await self.store.offline.keep(rows)
        self.assertEqual(first, [Outcome(STORED, row.stamp) for row in rows])
        again = await self.store.offline.keep(rows)
        self.assertEqual(again, [Outcome(REPEATED, row.stamp) for row in rows])
        self.assertEqual(sum([len(await self.everything(one)) for one in range(1, 8)]), 1500)

    async def test_half_of_a_batch_was_there(self) -> None:
        rows = [kept(1, number, 2) for number in range(1, 1201)]
        await self.store.offline.keep(rows[::2])
        answers = await self.store.offline.keep(rows)
        self.assertEqual(
            answers,
            [
                Outcome(REPEATED if number % 2 == 0 else STORED, row.stamp)
                for number, row in enumerate(rows)
            ],
        )
        self.assertEqual(await self.everything(1), rows)

    async def test_great_bodies_in_one_batch(self) -> None:
        rows = [kept(1, number, 2, body=b"x" * 60_000) for number in range(1, 101)]
        answers = await self.store.offline.keep(rows)
        self.assertEqual({answer.keeping for answer in answers}, {STORED})
        self.assertEqual(len(await self.everything(1)), 100)

    # -- page and forget

    async def test_pages_come_in_order_whatever_the_order_of_storing(self) -> None:
        rows = [kept(1, stamp, sender, f"{stamp}") for stamp in range(1, 60) for sender in (2, 3)]
        shuffled = list(rows)
        random.Random(2).shuffle(shuffled)
        await self.store.offline.keep(shuffled[:50])
        await self.store.offline.keep([*shuffled[50:], kept(9, 1, 2)])
        found: list[Kept] = []
        after = (0, 0)
        more = True
        while more:
            page, more = await self.store.offline.page(1, after, 7, 1 << 20)
            self.assertTrue(len(page) == 7 or not more)
            found += page
            after = (page[-1].stamp, page[-1].sender)
        self.assertEqual(found, rows)
        self.assertEqual(await self.store.offline.page(1, after, 7, 1 << 20), ([], False))

    async def test_places_up_to_one(self) -> None:
        rows = [kept(1, stamp, sender, f"é{stamp}") for stamp in (1, 2, 3) for sender in (5, 6)]
        await self.keep(*reversed(rows), kept(9, 1, 5))
        places = [Place(row.stamp, row.sender, row.cid) for row in rows]
        for upto, count in (((0, 9), 0), ((1, 5), 1), ((2, 5), 3), ((2, 6), 4), ((9, 0), 6)):
            self.assertEqual(await self.store.offline.places(1, upto), places[:count])
        self.assertEqual(await self.store.offline.places(7, (9, 9)), [])

    async def test_a_full_page_that_is_the_last_says_so(self) -> None:
        await self.keep(*(kept(1, stamp, 2) for stamp in range(1, 6)))
        page, more = await self.store.offline.page(1, (0, 0), 5, 1 << 20)
        self.assertEqual((len(page), more), (5, False))
        page, more = await self.store.offline.page(1, (0, 0), 4, 1 << 20)
        self.assertEqual((len(page), more), (4, True))

    async def test_a_page_has_about_so_many_bytes_and_one_row_at_least(self) -> None:
        await self.keep(*(kept(1, stamp, 2, body=b"x" * 1000) for stamp in range(1, 11)))
        page, more = await self.store.offline.page(1, (0, 0), 100, 2500)
        self.assertEqual((len(page), more), (3, True))
        page, more = await self.store.offline.page(1, (0, 0), 100, 1)
        self.assertEqual((len(page), more), (1, True))
        page, more = await self.store.offline.page(1, (9, 2), 100, 1)
        self.assertEqual((len(page), more), (1, False))

    async def test_pages_of_rows_of_any_length(self) -> None:
        lengths = random.Random(3)
        rows = [
            kept(1, stamp, 2, body=b"x" * lengths.choice((0, 10, 300, 5000)))
            for stamp in range(1, 201)
        ]
        await self.store.offline.keep(rows)
        for most, size in ((50, 4000), (17, 1 << 20), (16, 10_000), (15, 1 << 20), (1, 1)):
            found: list[Kept] = []
            more = True
            while more:
                after = (found[-1].stamp, 2) if found else (0, 0)
                page, more = await self.store.offline.page(1, after, most, size)
                bytes_before_last = sum(len(row.body) for row in page[:-1])
                self.assertTrue(1 <= len(page) <= most and bytes_before_last < size)
                if more:
                    full = len(page) == most or sum(len(row.body) for row in page) >= size
                    self.assertTrue(full)
                found += page
            self.assertEqual(found, rows)

    async def test_only_the_named_rows_are_forgotten(self) -> None:
        rows = [kept(1 + number % 3, 1 + number // 3, 5 + number % 2) for number in range(300)]
        await self.store.offline.keep(rows)
        gone = rows[::3] + rows[1::9]
        strangers = [KeptKey(1, 999, 5), KeptKey(99, 1, 5), KeptKey(rows[2].recipient, 1, 99)]
        await self.store.offline.forget([key_of(row) for row in gone] + strangers)
        left = [row for row in rows if row not in gone]
        for recipient in (1, 2, 3):
            self.assertEqual(
                await self.everything(recipient),
                sorted(
                    (row for row in left if row.recipient == recipient),
                    key=lambda row: (row.stamp, row.sender),
                ),
            )

    async def test_forgetting_nothing_twice_and_what_is_not_there(self) -> None:
        row = kept(1, 1, 2)
        await self.keep(row)
        await self.store.offline.forget([])
        await self.store.offline.forget([key_of(row), key_of(row)])
        await self.store.offline.forget([key_of(row)])
        self.assertEqual(await self.everything(1), [])

    async def test_a_thousand_are_forgotten_at_once(self) -> None:
        rows = [kept(1 + number % 400, number, 2) for number in range(1, 2001)]
        await self.store.offline.keep(rows)
        await self.store.offline.forget([key_of(row) for row in rows[:1000]])
        census = [len(await self.everything(recipient)) for recipient in range(1, 401)]
        self.assertEqual(sum(census), 1000)

    async def test_what_was_forgotten_may_be_kept_again(self) -> None:
        row = kept(1, 10, 2, "a", text="one")
        await self.keep(row)
        await self.store.offline.forget([key_of(row)])
        other = kept(1, 10, 2, "a", text="two")
        self.assertEqual(await self.keep(other), [(STORED, 10)])
        self.assertEqual(await self.everything(1), [other])

    # -- census

    async def test_the_census_counts_by_sender(self) -> None:
        bob, eve, ann = await self.people("bob", "eve", "ann")
        await self.store.friends.block(bob, ann)
        await self.store.friends.block(bob, eve)
        await self.keep(
            kept(bob, 1, eve), kept(bob, 2, eve), kept(bob, 3, ann), kept(ann, 4, ann),
            kept(2**40, 5, bob),
        )  # fmt: skip
        self.assertEqual(
            await self.store.offline.census([bob, eve, ann, 2**40, 0]),
            {
                bob: Census(3, {eve: 2, ann: 1}, frozenset({eve, ann})),
                eve: Census(),
                ann: Census(1, {ann: 1}),
            },
        )
        self.assertEqual(await self.store.offline.census([]), {})

    async def test_a_census_of_thousands(self) -> None:
        ids = await self.people(*(f"user {number}" for number in range(20)))
        await self.store.offline.keep([kept(ids[3], number, ids[4]) for number in range(1, 6)])
        census = await self.store.offline.census([*ids, *range(10**6, 10**6 + 5980)])
        self.assertEqual(set(census), set(ids))
        self.assertEqual(census[ids[3]], Census(5, {ids[4]: 5}))


class OfflineInMemoryTests(InMemory, OfflineContract, TestCase):
    """In memory."""


class OfflineOnSqliteTests(OnSqlite, OfflineContract, TestCase):
    """On SQLite."""


class OfflineOnMariaDBTests(OnMariaDB, OfflineContract, TestCase):
    """On MariaDB."""

    async def test_a_page_reads_the_rows_that_it_shows(self) -> None:
        """Not the user's rows before them too, which the optimizer takes for cheaper when most of
        them have been read."""
        rows = [kept(1, stamp, 2, body=b"x" * 130) for stamp in range(1, 20_001)]
        for start in range(0, len(rows), 2000):
            await self.store.offline.keep(rows[start : start + 2000])
        for after in range(1000, 20_000, 1000):
            before = self._rows_read()
            page, more = await self.store.offline.page(1, (after, 2), 100, 1 << 20)
            self.assertEqual((page, more), (rows[after : after + 100], True))
            self.assertLess(self._rows_read() - before, 1000, f"after {after}")

    def _rows_read(self) -> int:
        [(_, count)] = shared().ask("SHOW GLOBAL STATUS LIKE 'Handler_read_next'")
        return int(count)
