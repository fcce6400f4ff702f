"""What the sender of a message is told, and what is remembered of it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chat.config import Settings
from chat.errors import ChatError, Code
from chat.receipts import (
    Burst,
    Nameless,
    NamelessGroup,
    Sent,
    SentTogether,
    SentToGroup,
    State,
    digest_of,
    settle_all,
)
from chat.senders import GATES, Sender

BUSY = ChatError(Code.BUSY, retry_after=1.0)
FULL = ChatError(Code.MAILBOX_FULL)
states = st.sampled_from(State)


class Connection:
    """Keeps what it is told."""

    def __init__(self, level: int = 2) -> None:
        self.level = level
        self.told: list[dict[str, Any]] = []

    def answer(self, line: bytes) -> None:
        self.told.append(json.loads(line))

    def answer_all(self, lines: list[bytes]) -> None:
        for line in lines:
            self.answer(line)


class ReceiptCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.now = 0.0
        self.stamp = 0
        self.me = Connection()
        self.sender = Sender(7, "ann", Settings(remembered_cids=5), lambda: self.now)

    def send(self, cid: str, asked_by: Connection | None = None, digest: int = 1) -> Sent:
        """A message to user 8 that is under way."""
        self.sender.unanswered += 1
        self.stamp += 1
        sent = Sent(self.sender, asked_by or self.me, 5, 8, cid, digest, stamp=self.stamp)
        self.sender.remember(sent)
        return sent

    def send_to_group(self, cid: str, members: int) -> SentToGroup:
        """A message to group 3 that is under way."""
        self.sender.unanswered += 1
        self.stamp += 1
        sent = SentToGroup(self.sender, self.me, 9, 3, cid, 1, stamp=self.stamp)
        self.sender.remember(sent)
        sent.expect(members)
        return sent


class SentTests(ReceiptCase):
    def test_settled(self) -> None:
        for state, word in zip(State, ("pushed", "stored", "delivered"), strict=True):
            self.send(f"é{word}").settle(state)
            expected = {"msgid": 11, "errno": 0, "ack": 5, "cid": f"é{word}", "state": word}
            self.assertEqual(self.me.told.pop(), expected)
        self.assertEqual(self.sender.unanswered, 0)

    def test_refused(self) -> None:
        self.send("a").refuse(ChatError(Code.NO_SUCH_USER))
        expected = {"msgid": 11, "errno": 104, "errmsg": "no such user", "ack": 5, "cid": "a"}
        self.assertEqual(self.me.told, [expected])
        self.assertEqual((self.sender.unanswered, self.sender.remembered), (0, 0))

    def test_asked_again_before_and_after_the_answer(self) -> None:
        sent, elsewhere = self.send("a"), Connection()
        sent.again(elsewhere, 1)
        sent.again(self.me, 1)
        self.assertEqual(self.sender.unanswered, 3)
        sent.settle(State.STORED)
        self.assertEqual((len(self.me.told), len(elsewhere.told)), (2, 1))
        self.assertEqual(self.sender.unanswered, 0)
        sent.again(elsewhere, 1)
        self.assertEqual(elsewhere.told[0], elsewhere.told[1])
        self.assertEqual(self.sender.unanswered, 0)

    def test_another_message(self) -> None:
        sent = self.send("a")
        for _ in range(2):
            error = self.assertRaises(ChatError, sent.again, self.me, 2)
            self.assertEqual(error.code, Code.CID_REUSED)
            if sent.state is None:
                sent.settle(State.PUSHED)

    def test_level_1_is_told_refusals_only(self) -> None:
        silent = Connection(level=1)
        sent = self.send("a", silent)
        sent.again(silent, 1)
        sent.settle(State.PUSHED)
        sent.again(silent, 1)
        settle_all([self.send("b", silent)], State.PUSHED)
        self.assertEqual(silent.told, [])
        refused = self.send("c", silent)
        refused.again(silent, 1)
        refused.refuse(FULL)
        self.assertEqual([it["errno"] for it in silent.told], [109, 109])
        self.assertEqual(self.sender.unanswered, 0)

    @given(st.lists(st.tuples(st.integers(0, 2), st.booleans())), states)
    def test_many_at_once_are_told_as_one_by_one(
        self, copies: list[tuple[int, bool]], state: State
    ) -> None:
        told = []
        for at_once in (True, False):
            self.begin()
            connections = [Connection(), Connection(), Connection(level=1)]
            receipts = []
            for number, (which, again) in enumerate(copies):
                sent = self.send(f"c{number}", connections[which])
                if again:
                    sent.again(connections[0], 1)
                receipts.append(sent)
            if at_once:
                settle_all(receipts, state)
            else:
                for sent in receipts:
                    sent.settle(state)
            self.assertEqual(self.sender.unanswered, 0)
            told.append([sorted(map(str, it.told)) for it in connections])
        self.assertEqual(*told)


class TogetherTests(ReceiptCase):
    def send_together(self, *cids: str, asked_by: Connection | None = None) -> SentTogether:
        """Messages to user 8 that one read brought."""
        together = SentTogether(
            self.sender, asked_by or self.me, 8, list(cids), [hash(it) for it in cids]
        )
        self.sender.unanswered += len(cids)
        self.sender.sent.update(dict.fromkeys(cids, together))
        self.sender.remember_all(together)
        return together

    def again(self, cid: str, asked_by: Connection, text: str | None = None) -> None:
        """The same message once more, or another one of that name."""
        sent = self.sender.known(cid)
        assert sent is not None
        sent.again(asked_by, digest_of(5, 8, hash(cid if text is None else text)))

    @given(states, st.booleans(), st.booleans())
    def test_told_as_one_by_one(self, state: State, named: bool, level_1: bool) -> None:
        told = []
        for at_once in (True, False):
            self.begin()
            self.me.level = 1 if level_1 else 2
            together = self.send_together("a", "é", '"')
            if not at_once:
                for part in together.apart():
                    part.settle(state)
            else:
                if named:
                    together.apart()
                together.settle_many(3, state)
            self.assertEqual(self.sender.unanswered, 0)
            told.append(self.me.told)
        self.assertEqual(*told)
        self.assertEqual(len(told[0]), 0 if level_1 else 3)

    def test_asked_again_before_and_after_the_answer(self) -> None:
        together, elsewhere = self.send_together("a", "b"), Connection()
        self.again("b", elsewhere)
        self.assertEqual(self.sender.unanswered, 3)
        together.settle_many(2, State.DELIVERED)
        self.again("a", elsewhere)
        self.assertEqual([it["cid"] for it in self.me.told], ["b", "a"])
        self.assertEqual([it["cid"] for it in elsewhere.told], ["b", "a"])
        self.assertEqual(self.sender.unanswered, 0)

    def test_asked_again_after_one_answer(self) -> None:
        together, elsewhere = self.send_together("a", "b"), Connection()
        together.settle_many(2, State.PUSHED)
        self.again("b", elsewhere)
        self.assertEqual(elsewhere.told, [self.me.told[1]])
        self.assertIs(self.sender.sent["b"], together)

    def test_another_message(self) -> None:
        together = self.send_together("a", "b")
        for _ in range(2):
            error = self.assertRaises(ChatError, self.again, "a", self.me, "other")
            self.assertEqual(error.code, Code.CID_REUSED)
            if self.sender.unanswered:
                together.settle_many(2, State.STORED)

    def test_one_of_them_refused(self) -> None:
        first, second = self.send_together("a", "b").apart()
        first.refuse(FULL)
        second.settle(State.STORED)
        self.assertIsNone(self.sender.known("a"))
        self.assertEqual(self.sender.remembered, 1)

    def test_last_ones_are_remembered(self) -> None:
        """Five, and those that were sent together with the oldest of them."""
        for number in range(9):
            cids = [f"{number} {index}" for index in range(3)]
            together = self.send_together(*cids)
            if number % 2:
                together.apart()
            together.settle_many(3, State.DELIVERED)
            self.send(f"alone {number}").settle(State.DELIVERED)
            self.assertLessEqual(self.sender.remembered, 5 + 3)
            self.assertGreaterEqual(self.sender.remembered, min(5, 4 * (number + 1)))
        self.assertIn("alone 8", self.sender.sent)

    def test_what_is_under_way_is_not_forgotten(self) -> None:
        whole, apart = self.send_together("a", "b"), self.send_together("c", "d")
        apart.apart()[0].settle(State.STORED)
        for number in range(50):
            self.send(f"c{number}").settle(State.DELIVERED)
        self.assertLessEqual({"a", "b", "d"}, self.sender.sent.keys())
        whole.settle_many(2, State.DELIVERED)
        apart.apart()[1].settle(State.DELIVERED)
        self.now = 299.0
        self.sender.expire(self.now)
        self.assertLessEqual({"a", "b", "c", "d"}, self.sender.sent.keys())
        self.now = 300.0
        self.sender.expire(self.now)
        self.assertEqual((self.sender.remembered, len(self.sender.order)), (0, 0))
        self.assertEqual(self.sender.forget_oldest(), 0)


class GroupTests(ReceiptCase):
    def test_weakest_fact(self) -> None:
        sent = self.send_to_group("a", 3)
        sent.settle(State.DELIVERED)
        sent.settle(State.STORED)
        sent.settle(State.DELIVERED)
        self.assertEqual(self.me.told, [])
        sent.settle(State.DELIVERED)
        expected = {
            "msgid": 11, "errno": 0, "ack": 9, "cid": "a", "members": 3, "state": "stored"
        }  # fmt: skip
        self.assertEqual(self.me.told, [expected])

    def test_nobody_else(self) -> None:
        self.send_to_group("a", 0).settle(State.DELIVERED)
        self.assertEqual((self.me.told[0]["members"], self.me.told[0]["state"]), (0, "delivered"))

    def test_full_mailboxes_are_left_out(self) -> None:
        sent = self.send_to_group("a", 3)
        sent.refuse(FULL)
        sent.settle(State.PUSHED)
        sent.refuse(FULL)
        sent.settle(State.DELIVERED)
        told = self.me.told[0]
        self.assertEqual((told["members"], told["refused"], told["state"]), (3, 2, "pushed"))

    def test_store_that_is_away_refuses_the_whole(self) -> None:
        sent = self.send_to_group("a", 3)
        sent.refuse(ChatError(Code.BAD_REQUEST))
        sent.settle(State.DELIVERED)
        sent.refuse(BUSY)
        sent.settle(State.DELIVERED)
        self.assertEqual((self.me.told[0]["errno"], self.me.told[0]["ack"]), (108, 9))
        self.assertEqual(self.sender.gates, {-3: (1, "a")})

    def test_what_came_later_has_to_come_later_again(self) -> None:
        """The member who was not served with the first is not served with the others."""
        first, second = self.send_to_group("a", 2), self.send_to_group("b", 2)
        elsewhere, alone = self.send_to_group("c", 2), self.send("d")
        elsewhere.target = 4
        before = self.send_to_group("z", 2)
        before.stamp = 0
        first.settle(State.DELIVERED)
        first.refuse(BUSY)
        told = [(it["cid"], it["errno"]) for it in self.me.told]
        self.assertEqual(told, [("a", 108), ("b", 108)])
        self.assertEqual(self.sender.gates, {-3: (first.stamp, "a")})
        self.assertTrue(first.over and second.over)
        for sent in (first, second, elsewhere, before):
            for _ in range(sent.open):
                sent.settle(State.DELIVERED)
        alone.settle(State.DELIVERED)
        told = [(it["cid"], it["errno"]) for it in self.me.told[2:]]
        self.assertEqual(told, [("c", 0), ("z", 0), ("d", 0)])
        self.assertEqual(self.sender.unanswered, 0)

    @given(st.lists(st.sampled_from([*State, FULL, BUSY]), max_size=12))
    def test_any_facts(self, facts: list[State | ChatError]) -> None:
        self.begin()
        sent = self.send_to_group("a", len(facts))
        silent = NamelessGroup(self.sender, self.me, 9)
        self.sender.unanswered += 1
        silent.expect(len(facts))
        for fact in facts:
            for receipt in (sent, silent):
                if isinstance(fact, State):
                    receipt.settle(fact)
                else:
                    receipt.refuse(fact)
        # Who names it is told at once what has to come again.
        at_once = [108] if BUSY in facts else []
        self.assertEqual([it["errno"] for it in self.me.told], at_once)
        sent.settle(State.DELIVERED)
        silent.settle(State.DELIVERED)
        self.assertEqual(self.sender.unanswered, 0)
        told = self.me.told[0]
        if BUSY in facts:
            self.assertEqual([it["errno"] for it in self.me.told], [108, 108])
        else:
            self.assertEqual(len(self.me.told), 1)
            weakest = min((it for it in facts if isinstance(it, State)), default=State.DELIVERED)
            self.assertEqual(told["state"], weakest.name.lower())
            self.assertEqual(told.get("refused", 0), facts.count(FULL))

    def test_burst_tells_together(self) -> None:
        parts = [self.send_to_group("a", 3), self.send_to_group("b", 3)]
        burst = Burst(parts)
        for _ in range(3):
            burst.began()
        burst.apart()
        for part in parts:
            part.settle(State.STORED)
            part.settle(State.DELIVERED)
        burst.end()
        burst.end()
        self.assertEqual(self.me.told, [])
        burst.end()
        self.assertEqual([it["state"] for it in self.me.told], ["pushed", "pushed"])


class NamelessTests(ReceiptCase):
    def test_only_refusals_are_told(self) -> None:
        nameless = Nameless(self.sender, self.me, 5)
        self.sender.unanswered = 2
        nameless.settle(State.STORED)
        self.assertEqual(self.me.told, [])
        nameless.refuse(FULL)
        expected = {"msgid": 11, "errno": 109, "errmsg": FULL.text, "ack": 5}
        self.assertEqual((self.me.told, self.sender.unanswered), ([expected], 0))


class SenderTests(ReceiptCase):
    def test_last_ones_are_remembered(self) -> None:
        for number in range(20):
            self.send(f"c{number}").settle(State.DELIVERED)
            self.assertLessEqual(self.sender.remembered, 6)
        self.assertEqual({f"c{number}" for number in range(15, 20)} - set(self.sender.sent), set())

    def test_what_is_under_way_is_not_forgotten(self) -> None:
        open_ = [self.send(f"open {number}") for number in range(10)]
        for number in range(50):
            self.send(f"c{number}").settle(State.DELIVERED)
        for sent in open_:
            self.assertIs(self.sender.sent.get(sent.cid), sent)
        self.now = 10_000
        self.sender.expire(self.now)
        for sent in open_:
            self.assertIs(self.sender.sent.get(sent.cid), sent)
            sent.settle(State.STORED)
        self.now += 10_000
        self.sender.expire(self.now)
        self.assertEqual((self.sender.remembered, len(self.sender.order)), (0, 0))

    def test_five_minutes(self) -> None:
        self.send("a").settle(State.DELIVERED)
        self.now = 299
        self.send("b").settle(State.DELIVERED)
        self.sender.expire(299.9)
        self.assertEqual(set(self.sender.sent), {"a", "b"})
        self.sender.expire(300)
        self.assertEqual(set(self.sender.sent), {"b"})

    def test_refused_cid_that_is_used_again(self) -> None:
        """The old refusal is not taken for the new message's."""
        self.send("a").refuse(FULL)
        again = self.send("a")
        for number in range(3):
            self.send(f"c{number}").settle(State.DELIVERED)
        self.assertIs(self.sender.sent["a"], again)

    def test_gates(self) -> None:
        self.send("a").refuse(BUSY)
        self.send("b").refuse(BUSY)
        self.send("c").refuse(FULL)
        self.assertEqual(self.sender.gates, {8: (1, "a")})
        for cid in ("b", "c", None):
            error = self.assertRaises(ChatError, self.sender.gate, 8, cid)
            self.assertEqual((error.code, error.retry_after), (Code.BUSY, 1.0))
        self.sender.gate(9, "b")
        self.sender.gate(-8, "b")
        self.sender.gate(8, "a")
        self.sender.gate(8, "b")

    def test_the_earliest_is_the_gate(self) -> None:
        """Though it may be refused when a later one has been."""
        first, second = self.send("z"), self.send("a")
        self.send("n").refuse(BUSY)
        second.refuse(BUSY)
        first.refuse(BUSY)
        for cid in ("n", "a"):
            self.assertRaises(ChatError, self.sender.gate, 8, cid)
        self.sender.gate(8, "z")

    def test_gates_are_bounded(self) -> None:
        """Beyond the bound everything is refused that has no gate of its own."""
        for number in range(GATES + 10):
            sent = self.send(f"c{number}")
            sent.target = 100 + number
            sent.refuse(BUSY)
        self.assertEqual(len(self.sender.gates), GATES)
        for number in range(GATES, GATES + 10):
            self.assertRaises(ChatError, self.sender.gate, 100 + number, f"c{number}")
        self.sender.gate(100, "c0")
        self.sender.gate(99_999, "c0")

    def test_low_water_is_called_once(self) -> None:
        calls: list[int] = []
        self.sender.unanswered = 10
        self.sender.low_water = 5
        self.sender.on_low_water = lambda: calls.append(self.sender.unanswered)
        for _ in range(10):
            self.sender.ended(1)
        self.assertEqual(calls, [5])
