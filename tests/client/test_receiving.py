"""The inbox: what is shown, and what is acknowledged."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import TestCase

from chat.client.receiving import Inbox, OutOfStep


class InboxTests(TestCase):
    def setUp(self) -> None:
        self.inbox = Inbox()
        self.inbox.opened()

    def test_what_is_handled_is_acknowledged_once(self) -> None:
        self.assertTrue(self.inbox.pushed((7, "a"), 1))
        self.assertIsNone(self.inbox.received())
        self.inbox.handled((7, "a"))
        self.assertEqual(self.inbox.received(), 1)
        self.assertIsNone(self.inbox.received())

    def test_the_acknowledgement_waits_for_the_earliest(self) -> None:
        for seq in (1, 2, 3):
            self.inbox.pushed((7, str(seq)), seq)
        self.inbox.handled((7, "3"))
        self.inbox.handled((7, "2"))
        self.assertIsNone(self.inbox.received())
        self.inbox.handled((7, "1"))
        self.assertEqual(self.inbox.received(), 3)

    def test_what_was_seen_is_acknowledged_and_not_shown(self) -> None:
        self.inbox.pushed((7, "a"), 1)
        self.inbox.handled((7, "a"))
        self.inbox.opened()
        self.assertFalse(self.inbox.pushed((7, "a"), 1))
        self.assertEqual(self.inbox.received(), 1)

    def test_the_same_cid_of_another_sender_is_another_message(self) -> None:
        self.inbox.pushed((7, "a"), 1)
        self.inbox.handled((7, "a"))
        self.assertTrue(self.inbox.pushed((8, "a"), 2))

    def test_what_comes_again_while_it_runs_is_acknowledged_when_it_is_done(self) -> None:
        self.inbox.pushed((7, "a"), 1)
        self.assertFalse(self.inbox.pushed((7, "a"), 2))
        self.assertIsNone(self.inbox.received())
        self.inbox.handled((7, "a"))
        self.assertEqual(self.inbox.received(), 2)

    def test_a_new_login_counts_anew_for_what_runs(self) -> None:
        self.inbox.pushed((7, "a"), 1)
        self.inbox.pushed((7, "b"), 2)
        self.inbox.opened()
        self.assertFalse(self.inbox.pushed((7, "b"), 1))
        self.inbox.handled((7, "a"))
        self.assertIsNone(self.inbox.received())
        self.inbox.handled((7, "b"))
        self.assertEqual(self.inbox.received(), 1)

    def test_a_hole_in_the_numbers_is_noticed(self) -> None:
        self.inbox.pushed((7, "a"), 1)
        with self.assertRaises(OutOfStep):
            self.inbox.pushed((7, "c"), 3)
        with self.assertRaises(OutOfStep):
            self.inbox.skipped(1)

    def test_what_cannot_be_shown_is_acknowledged_in_its_place(self) -> None:
        self.inbox.pushed((7, "a"), 1)
        self.inbox.skipped(2)
        self.assertIsNone(self.inbox.received())
        self.inbox.handled((7, "a"))
        self.assertEqual(self.inbox.received(), 2)

    def test_memory_is_bounded_and_keeps_the_newest(self) -> None:
        inbox = Inbox([(7, "x"), (7, "y")], bound=3)
        inbox.opened()
        for seq, cid in enumerate("abc", start=1):
            inbox.pushed((7, cid), seq)
            inbox.handled((7, cid))
        self.assertTrue(inbox.pushed((7, "y"), 4))
        self.assertFalse(inbox.pushed((7, "a"), 5))

    @given(st.permutations(range(1, 9)), st.integers(0, 8))
    def test_never_more_than_what_is_handled_without_a_hole(
        self, order: list[int], how_many: int
    ) -> None:
        inbox = Inbox()
        inbox.opened()
        for seq in range(1, 9):
            inbox.pushed((7, str(seq)), seq)
        handled = order[:how_many]
        for seq in handled:
            inbox.handled((7, str(seq)))
        whole = next((n - 1 for n in range(1, 10) if n not in handled), 8)
        self.assertEqual(inbox.received(), whole or None)
