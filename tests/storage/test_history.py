"""What was said, over every store."""

from __future__ import annotations

from twisted.trial.unittest import TestCase

from chat.model import Conversation, Page, Said

from .support import InMemory, OnMariaDB, OnSqlite, OverAStore
from .test_users import NASTY


def said(stamp: int, sender: int, recipient: int = 0, *, group: int = 0, cid: str = "") -> Said:
    """A line of the history."""
    return Said(stamp, sender, recipient, group, cid or f"cid {stamp}", f"line {stamp}".encode())


class HistoryContract(OverAStore):
    def at(self, seconds: float) -> int:
        """The stamp of so many seconds after the store's time."""
        return round((self.now + seconds) * 1_000_000)

    async def test_two_people_see_what_they_said(self) -> None:
        lines = [said(1, 5, 7), said(2, 7, 5), said(3, 5, 7)]
        await self.store.history.record([*lines, said(4, 5, 8), said(5, 9, 7)], [])
        newest_first = Page(lines[::-1], False, False)
        self.assertEqual(await self.store.history.between(5, 7, 2**62, 10), newest_first)
        self.assertEqual(await self.store.history.between(7, 5, 0, 10), newest_first)
        self.assertEqual(await self.store.history.between(8, 9, 0, 10), Page([], False, False))

    async def test_a_talk_with_oneself_and_the_group_of_the_same_number(self) -> None:
        (bob,) = await self.people("bob")
        tea = await self.store.groups.create("tea", "tea", "", bob, 10)
        stamp = self.at(1)
        note, line = said(stamp, bob, bob), said(stamp, bob, group=tea)
        await self.store.history.record([note, line], [])
        self.assertEqual(
            await self.store.history.between(bob, bob, 0, 10), Page([note], False, False)
        )
        self.assertEqual(
            await self.store.history.in_group(tea, bob, 0, 10), Page([line], False, False)
        )

    async def test_recording_twice_is_recording_once(self) -> None:
        lines = [said(stamp, 5, 7) for stamp in range(1, 4)]
        gaps = [(5, 0, 2), (0, 3, 2)]
        await self.store.history.record(lines[:2], gaps)
        await self.store.history.record([*lines, *lines], [*gaps, *gaps])
        page = await self.store.history.between(5, 7, 0, 10)
        self.assertEqual(page, Page(lines[::-1], False, True))

    async def test_any_text_is_kept_as_it_was(self) -> None:
        lines = [
            Said(stamp, 5, 7, 0, text[:64], text.encode() + b"\0\xff")
            for stamp, text in enumerate(NASTY, 1)
        ]
        await self.store.history.record(lines, [])
        page = await self.store.history.between(5, 7, 0, 100)
        self.assertEqual(page.lines, lines[::-1])

    async def test_recording_nothing(self) -> None:
        await self.store.history.record([], [])
        self.assertEqual(await self.store.history.between(1, 2, 0, 10), Page([], False, False))

    async def test_a_line_that_cannot_be_stored_is_a_gap(self) -> None:
        good = said(2, 5, 7)
        bad = [said(1, 5, 8, cid="\ud800"), said(3, 5, group=4, cid="x" * 300)]
        await self.store.history.record([good, *bad], [])
        self.assertEqual(await self.store.history.between(5, 7, 0, 10), Page([good], False, True))
        self.assertEqual(await self.store.history.between(8, 9, 0, 10), Page([], False, True))
        self.assertEqual(await self.store.history.between(7, 9, 0, 10), Page([], False, False))

    async def test_pages_go_back_in_time(self) -> None:
        lines = [said(stamp, 5 + stamp % 2, 6 - stamp % 2) for stamp in range(10, 60)]
        await self.store.history.record(lines, [])
        found: list[Said] = []
        before = 0
        more = True
        while more:
            page = await self.store.history.between(5, 6, before, 8)
            found += page.lines
            before, more = page.lines[-1].stamp, page.more
        self.assertEqual(found, lines[::-1])

    async def test_lines_of_one_stamp_are_not_torn_apart(self) -> None:
        ids = await self.people("a", "b", "c", "d")
        tea = await self.store.groups.create("tea", "tea", "", ids[0], 10)
        lines = [said(self.at(number), ids[0], group=tea) for number in (1, 3)]
        same = [said(self.at(2), sender, group=tea, cid=f"{sender}") for sender in ids]
        await self.store.history.record([*lines, *same], [])
        page = await self.store.history.in_group(tea, ids[0], 0, 2)
        self.assertEqual(page, Page([lines[1], *same[::-1]], True, False))
        page = await self.store.history.in_group(tea, ids[0], self.at(2), 2)
        self.assertEqual(page, Page([lines[0]], False, False))
        page = await self.store.history.in_group(tea, ids[0], self.at(3), 1)
        self.assertEqual(page, Page(same[::-1], True, False))

    async def test_who_joins_sees_what_was_said_since(self) -> None:
        bob, eve = await self.people("bob", "eve")
        tea = await self.store.groups.create("tea", "tea", "", bob, 10)
        lines = [said(self.at(seconds), bob, group=tea) for seconds in (1, 2, 3)]
        await self.store.history.record(lines, [(0, tea, self.at(1.5))])
        self.now += 2
        await self.store.groups.join(tea, eve, 10)
        self.assertEqual(
            await self.store.history.in_group(tea, bob, 0, 10), Page(lines[::-1], False, True)
        )
        self.assertEqual(
            await self.store.history.in_group(tea, eve, 0, 10), Page(lines[:0:-1], False, False)
        )
        self.now += 0.5
        await self.store.groups.leave(tea, eve)
        self.assertEqual(await self.store.history.in_group(tea, eve, 0, 10), Page([], False, False))
        await self.store.groups.join(tea, eve, 10)
        self.assertEqual(
            await self.store.history.in_group(tea, eve, 0, 10), Page(lines[2:], False, False)
        )

    async def test_a_gap_shows_in_the_page_that_it_is_in(self) -> None:
        lines = [said(stamp, 5, 7) for stamp in (10, 20, 30, 40)]
        for person in (5, 7):
            stranger = 100 + person
            await self.store.history.record([*lines, said(5, stranger, person)], [(person, 0, 25)])
            page = await self.store.history.between(5, 7, 0, 1)
            self.assertEqual(page, Page(lines[3:], True, False))
            page = await self.store.history.between(5, 7, 40, 2)
            self.assertEqual(page, Page([lines[2], lines[1]], True, True))
            page = await self.store.history.between(5, 7, 20, 2)
            self.assertEqual(page, Page([lines[0]], False, False))
            await self.store.history.expire(1000, 1000)

    async def test_a_gap_of_a_group(self) -> None:
        (bob,) = await self.people("bob")
        tea = await self.store.groups.create("tea", "tea", "", bob, 10)
        await self.store.history.record([], [(0, tea, self.at(1)), (tea, 0, self.at(1))])
        self.assertTrue((await self.store.history.in_group(tea, bob, 0, 10)).gap)
        self.assertFalse((await self.store.history.in_group(tea, bob, self.at(1), 10)).gap)

    async def test_conversations_newest_first(self) -> None:
        bob, eve, ann, joe = await self.people("bob", "eve", "ann", "joe")
        tea = await self.store.groups.create("tea", "tea", "", eve, 10)
        await self.store.groups.join(tea, bob, 10)
        beer = await self.store.groups.create("beer", "beer", "", ann, 10)
        silent = await self.store.groups.create("silent", "silent", "", bob, 10)
        newest = {
            "ann": said(self.at(4), ann, bob),
            "bob": said(self.at(3), bob, bob),
            "tea": said(self.at(2), eve, group=tea),
            "eve": said(self.at(1), bob, eve),
        }
        older = [
            said(self.at(number / 10), *pair)
            for number, pair in enumerate([(bob, eve), (eve, bob), (ann, bob), (bob, ann)])
        ]
        others = [
            said(self.at(8), ann, group=beer),
            said(self.at(9), ann, joe),
            said(self.at(9), joe, eve),
            said(self.at(0.1), eve, group=tea),
        ]
        await self.store.history.record([*older, *others, *newest.values()], [])
        conversations = [
            Conversation(ann, 0, "ann", newest["ann"]),
            Conversation(bob, 0, "bob", newest["bob"]),
            Conversation(0, tea, "tea", newest["tea"]),
            Conversation(eve, 0, "eve", newest["eve"]),
        ]
        read = self.store.history.conversations
        self.assertEqual(await read(bob, 0, 10), (conversations, False))
        self.assertEqual(await read(bob, 0, 4), (conversations, False))
        self.assertEqual(await read(bob, 0, 2), (conversations[:2], True))
        self.assertEqual(await read(bob, self.at(3), 2), (conversations[2:], False))
        self.assertEqual(await read(bob, self.at(2.5), 1), (conversations[2:3], True))
        self.assertEqual(await read(bob, self.at(1), 10), ([], False))
        await self.store.groups.leave(tea, bob)
        self.assertEqual(
            await read(bob, 0, 10),
            ([one for one in conversations if not one.group], False),
        )
        self.now += 5
        await self.store.groups.join(tea, bob, 10)
        self.assertEqual(len((await read(bob, 0, 10))[0]), 3)
        self.assertTrue(silent)

    async def test_conversations_of_one_stamp_are_on_one_page(self) -> None:
        bob, *others = await self.people("bob", "eve", "ann", "joe", "kim")
        stamps = (self.at(2), self.at(1), self.at(1), self.at(0))
        lines = [said(at, one, bob) for at, one in zip(stamps, others, strict=True)]
        await self.store.history.record(lines, [])
        page, more = await self.store.history.conversations(bob, 0, 2)
        self.assertEqual([one.last.stamp for one in page], list(stamps[:3]))
        self.assertTrue(more)
        page, more = await self.store.history.conversations(bob, page[-1].last.stamp, 2)
        self.assertEqual(([one.last.stamp for one in page], more), ([self.at(0)], False))

    async def test_conversations_with_many_people(self) -> None:
        ids = await self.people(*(f"user {number}" for number in range(40)))
        me = ids[20]
        lines = [
            said(1000 * turn + number, *((me, one) if turn % 2 else (one, me)))
            for turn in range(3)
            for number, one in enumerate(ids, 1)
        ]
        await self.store.history.record(lines, [])
        found, _ = await self.store.history.conversations(me, 0, 100)
        self.assertEqual([one.peer for one in found], ids[::-1])
        self.assertEqual([one.last for one in found], lines[:79:-1])

    async def test_what_was_said_stays_when_the_other_is_deleted(self) -> None:
        bob, eve = await self.people("bob", "eve")
        line = said(self.at(1), eve, bob)
        await self.store.history.record([line], [])
        await self.store.users.delete(eve)
        self.assertEqual(
            await self.store.history.conversations(bob, 0, 10),
            ([Conversation(eve, 0, "", line)], False),
        )
        self.assertEqual(
            await self.store.history.between(bob, eve, 0, 10), Page([line], False, False)
        )

    async def test_the_oldest_lines_expire_first_and_only_so_many(self) -> None:
        (bob,) = await self.people("bob")
        lines = [said(stamp, 5 + stamp % 3, bob) for stamp in range(1, 21)]
        await self.store.history.record(lines, [(bob, 0, 3), (bob, 0, 18)])
        self.assertEqual(await self.store.history.expire(11, 4), 4)
        self.assertEqual(await self.store.history.expire(11, 100), 6)
        self.assertEqual(await self.store.history.expire(11, 100), 0)
        left: list[Said] = []
        for sender in (5, 6, 7):
            left += (await self.store.history.between(sender, bob, 0, 100)).lines
        self.assertEqual(sorted(line.stamp for line in left), list(range(11, 21)))
        self.assertFalse((await self.store.history.between(5, bob, 18, 100)).gap)
        self.assertTrue((await self.store.history.between(5, bob, 19, 100)).gap)
        self.assertEqual(await self.store.history.expire(1000, 100), 10)
        self.assertEqual(await self.store.history.conversations(bob, 0, 10), ([], False))


class HistoryInMemoryTests(InMemory, HistoryContract, TestCase):
    """In memory."""


class HistoryOnSqliteTests(OnSqlite, HistoryContract, TestCase):
    """On SQLite."""


class HistoryOnMariaDBTests(OnMariaDB, HistoryContract, TestCase):
    """On MariaDB."""
