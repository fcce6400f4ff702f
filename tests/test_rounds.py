"""The way of a group's messages: slices, order, and who gets what when members change."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from chat import circulars, rounds
from chat.errors import ChatError, Code
from chat.rooms import Rooms
from tests.cables import Client
from tests.support import InMemory, login, received, say
from tests.test_groups import done, speak

CROWD = 5000


class CrowdTests(InMemory, TestCase):
    """A great group, half of it away."""

    bounds = {"history_days": 0}  # noqa: RUF012

    async def people(self, number: int) -> list[int]:
        """Users with the password that everybody has."""
        first = await self.register("user 0")
        account = await self.store.users.account(first)
        assert account is not None
        others = [
            await self.store.users.register(f"user {one}", f"user {one}", account.password)
            for one in range(1, number)
        ]
        return [first, *others]

    async def group(self, ids: list[int]) -> int:
        """A group of these users."""
        group_id = await self.store.groups.create("crowd", "crowd", "", ids[0], 10)
        for user_id in ids[1:]:
            await self.store.groups.join(group_id, user_id, 10)
        return group_id

    async def enter_all(self, ids: list[int]) -> list[Client]:
        """Clients of level 2 for these users, whose members are not listed."""
        return [await self.login(user_id, 2) for user_id in ids]

    def turn(self) -> None:
        """One turn of the reactor: what is due now, and not what becomes due by that."""
        now = self.time.seconds()
        for call in [call for call in self.time.calls if call.getTime() <= now]:
            if call.active():
                self.time.calls.remove(call)
                call.called = 1
                call.func(*call.args, **call.kw)

    async def test_half_away(self) -> None:
        ids = await self.people(CROWD + 2)
        one, other = await self.enter_all(ids[-2:])
        crowd = ids[:-2]
        tea = await self.group(crowd)
        clients = await self.enter_all(crowd[::2])
        ann, others = clients[0], clients[1:]
        before = self.server.shelf.figures.batches
        ann.send(speak(tea, "first", cid="1"), speak(tea, "second", cid="2"))
        turns = 0
        served = 0
        while served < 2 * len(others):
            turns += 1
            self.assertLess(turns, 100)
            self.turn()
            now_served = sum(len(client.lines) for client in others)
            # One slice, and what was not flushed yet of the one before.
            self.assertLessEqual(now_served - served, 2 * circulars.SLICE)
            served = now_served
            # Others talk on meanwhile.
            one.send(say(other.id, "still there?", cid=f"t{turns}"))
            self.assertEqual(len(other.lines), turns)
        self.assertGreaterEqual(turns, 2 * len(others) // circulars.SLICE)
        for client in others:
            pushed = await client.get_all(2)
            self.assertEqual([it["msg"] for it in pushed], ["first", "second"])
            client.send(received(2))
        answers = await ann.get_all(2)
        expected = [
            done(9, cid=cid, state="stored", members=CROWD - 1) for cid in ("1", "2")
        ]
        self.assertEqual(answers, expected)
        # All rows of a message in one transaction, and those of the second not before.
        self.assertEqual(self.server.shelf.figures.batches - before, 2)
        late = await self.login(crowd[1], 2)
        self.assertEqual(late.ack["backlog"], 2)
        self.assertEqual([it["msg"] for it in await late.get_all(2)], ["first", "second"])
        self.assertTrue(self.server.rounds.idle)

    async def test_order_is_kept_over_slices(self) -> None:
        self.patch(circulars, "SLICE", 10)
        ids = await self.people(25)
        tea = await self.group(ids)
        clients = await self.enter_all(ids)
        ann, bob, others = clients[0], clients[1], clients[2:]
        # Both before anything has gone round, and one more in the middle of it.
        ann.send(speak(tea, "ann 1", cid="1"), speak(tea, "ann 2", cid="2"))
        bob.send(speak(tea, "bob 1", cid="1"))
        self.turn()
        self.turn()
        ann.send(speak(tea, "ann 3", cid="3"))
        self.time.settle()
        for client in others:
            pushed = await client.get_all(4)
            self.assertEqual([it["msg"] for it in pushed], ["ann 1", "ann 2", "bob 1", "ann 3"])
            self.assertEqual([it["seq"] for it in pushed], [1, 2, 3, 4])

    async def test_members_are_those_at_the_arrival(self) -> None:
        self.patch(circulars, "SLICE", 10)
        ids = await self.people(25)
        outsider = await self.register("outsider")
        tea = await self.group(ids)
        clients = await self.enter_all([*ids, outsider])
        ann, bob, late = clients[0], clients[-2], clients[-1]
        ann.send(speak(tea, "before", cid="1"))
        self.turn()
        self.assertFalse(bob.lines)
        # bob, whose turn has not come yet, leaves, and somebody else joins.
        bob.send({"msgid": 19, "groupid": tea})
        late.send({"msgid": 8, "groupid": tea})
        ann.send(speak(tea, "after", cid="2"))
        self.time.settle()

        def said(client: Client) -> list[str]:
            return [line.decode() for line in client.lines if b'"msgid": 9' in line]

        self.assertEqual(len(said(bob)), 1)
        self.assertIn("before", said(bob)[0])
        self.assertEqual(len(said(late)), 1)
        self.assertIn("after", said(late)[0])

    async def test_what_waits_is_bounded(self) -> None:
        self.patch(rounds, "WAITING_BYTES", 1_000_000)
        ids = await self.people(3)
        tea = await self.group(ids)
        ann, bob = await self.login(ids[0], 1), await self.login(ids[1], 2)
        bodies = 20
        self.faults.hang("groups")
        for number in range(bodies):
            ann.send(speak(tea, "x" * 60_000, cid=f"c{number}"))
        self.time.settle()
        for number in range(17, bodies):
            self.assert_refused(await ann.get(), 108, 9, f"c{number}")
        await ann.nothing()
        self.faults.recover()
        self.time.settle()
        self.assertTrue(self.server.rounds.idle)
        self.assertEqual(len(bob.lines), 5)  # its window of 256 KiB; the rest is stored
        # There is room again.
        ann.send(speak(tea, "x" * 60_000, cid="c17"))
        await ann.nothing()

    async def test_hints_are_left_out_where_much_is_on_its_way(self) -> None:
        self.patch(circulars, "SLICE", 2)
        self.patch(circulars, "TOGETHER", 1)
        ids = await self.people(5)
        tea = await self.group(ids)
        ann, bob = await self.enter_all(ids[:2])
        room = await self.server.rooms.room(tea)
        lines = [json.dumps(speak(tea, "hi", cid=f"c{number}")) for number in range(40)]
        ann.send_raw("\n".join([*lines, ""]).encode())
        self.server.rounds.tell(tea, room, b'{"hint":1}')
        self.time.settle()
        self.assertEqual({message["msgid"] for message in await bob.get_all(40)}, {9})
        self.server.rounds.tell(tea, room, b'{"hint":2}')
        self.assertEqual(await bob.get(), {"hint": 2})

    async def test_stopping_in_the_middle_loses_nothing(self) -> None:
        self.patch(circulars, "SLICE", 10)
        self.patch(circulars, "AWAY_SLICE", 10)
        ids = await self.people(25)
        tea = await self.group(ids)
        ann = await self.login(ids[0], 1)
        ann.send(*(speak(tea, f"{number}") for number in range(3)))
        self.stop()
        for user_id in ids[1:]:
            rows, _ = await self.store.offline.page(user_id, (0, 0), 10, 10_000)
            self.assertEqual(len(rows), 3, user_id)
        self.start()

    async def test_a_login_that_is_not_answered_gets_no_hints(self) -> None:
        ids = await self.people(2)
        tea = await self.group(ids)
        ann = await self.login(ids[0], 2)
        self.faults.hang("census")
        self.server.delivery.mailboxes.pop(ids[1], None)
        bob = await self.connect()
        bob.send(login(ids[1], 2))
        self.time.settle()
        room = await self.server.rooms.room(tea)
        self.server.rounds.tell(tea, room, b'{"hint":1}')
        ann.send({"msgid": 29, "toid": ids[1]})
        self.time.settle()
        self.faults.recover()
        self.assertEqual((await bob.get())["msgid"], 2)
        await bob.nothing()


class FakeGroups:
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.asked: list[Deferred[list[int] | None]] = []

    def member_ids(self, group_id: int) -> Deferred[list[int] | None]:
        asked: Deferred[list[int] | None] = Deferred()
        self.asked.append(asked)
        return asked

    def answer(self, ids: list[int] | None) -> None:
        self.asked.pop(0).callback(ids)


class RoomsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.groups = FakeGroups()
        store: Any = self.groups
        self.rooms = Rooms(store, most=10)

    def look(self, group_id: int) -> Deferred[tuple[int, ...]]:
        async def ids() -> tuple[int, ...]:
            return (await self.rooms.room(group_id)).ids

        return Deferred.fromCoroutine(ids())

    def fill(self, group_id: int, *ids: int) -> None:
        looking = self.look(group_id)
        self.groups.answer(list(ids))
        self.assertEqual(self.successResultOf(looking), ids)

    def test_asked_once(self) -> None:
        self.assertIsNone(self.rooms.known(1))
        self.fill(1, 7, 8)
        self.assertEqual(self.successResultOf(self.look(1)), (7, 8))
        self.assertEqual(self.groups.asked, [])

    def test_no_such_group(self) -> None:
        looking = self.look(1)
        self.groups.answer(None)
        error = self.failureResultOf(looking, ChatError).value
        self.assertEqual(error.code, Code.NO_SUCH_GROUP)
        self.assertIsNone(self.rooms.known(1))

    def test_changes_while_it_is_asked(self) -> None:
        looking = self.look(1)
        self.rooms.change(1, 9, True)
        self.rooms.change(1, 7, False)
        self.rooms.change(2, 5, True)
        self.groups.answer([7, 8])
        self.assertEqual(self.successResultOf(looking), (8, 9))

    def test_of_two_who_ask_the_first_answer_counts(self) -> None:
        one, other = self.look(1), self.look(1)
        self.groups.answer([7])
        self.rooms.change(1, 9, True)
        self.groups.answer([7])  # read before the change
        self.assertEqual(self.successResultOf(one), (7,))
        self.assertEqual(self.successResultOf(other), (7, 9))

    def test_changed_elsewhere_while_it_is_asked(self) -> None:
        looking = self.look(1)
        self.rooms.forget(1)
        self.groups.answer([7])
        self.assertNoResult(looking)
        self.groups.answer([7, 8])
        self.assertEqual(self.successResultOf(looking), (7, 8))

    def test_the_ones_not_used_lately_are_forgotten(self) -> None:
        self.fill(1, 1, 2, 3, 4)
        self.fill(2, 1, 2, 3, 4)
        self.assertIsNotNone(self.rooms.known(1))
        self.fill(3, 1, 2, 3, 4)
        self.assertIsNotNone(self.rooms.known(1))
        self.assertIsNone(self.rooms.known(2))
        self.assertIsNotNone(self.rooms.known(3))
        # One alone may be as great as it is.
        self.fill(4, *range(20))
        self.assertIsNotNone(self.rooms.known(4))
        self.assertIsNone(self.rooms.known(1))

    def test_the_last_one_leaves(self) -> None:
        self.fill(1, 7)
        self.rooms.change(1, 7, False)
        self.assertIsNone(self.rooms.known(1))

    def test_a_user_is_gone(self) -> None:
        self.fill(1, 7, 8)
        self.fill(2, 7)
        looking = self.look(3)
        self.rooms.forget_user(7)
        self.groups.answer([7, 9])
        self.assertEqual(self.successResultOf(looking), (9,))
        self.assertEqual(self.successResultOf(self.look(1)), (8,))
        self.assertIsNone(self.rooms.known(2))
