"""The outbox: what goes out, when, and in which order."""

from __future__ import annotations

import json

from twisted.trial.unittest import TestCase

from chat.client.sending import Outbox, Unsent
from chat.errors import Code


def unsent(cid: str, target: int = 8, kind: int = 5, text: str = "hi") -> Unsent:
    return Unsent(cid, kind, target, text, "2030-01-01 00:00:00")


class OutboxTests(TestCase):
    def open(self, *waiting: Unsent, window: int = 500, window_bytes: int = 2**20) -> Outbox:
        outbox = Outbox(waiting, window=window, window_bytes=window_bytes)
        outbox.opened()
        return outbox

    def take(self, outbox: Outbox, now: float = 0.0) -> list[str]:
        return [json.loads(line)["cid"] for line in outbox.take(now)]

    def ok(self, outbox: Outbox, cid: str) -> bool:
        return outbox.answered(cid, Code.DONE, 0.0, 0.0)

    def test_a_line_is_what_the_protocol_says(self) -> None:
        self.assertEqual(
            unsent("c", text="héllo\n").line().decode(),
            '{"msgid":5,"toid":8,"msg":"héllo\\n","time":"2030-01-01 00:00:00","cid":"c"}\n',
        )
        self.assertEqual(
            unsent("c", 3, 9).line(),
            b'{"msgid":9,"groupid":3,"msg":"hi","time":"2030-01-01 00:00:00","cid":"c"}\n',
        )

    def test_nothing_goes_out_before_the_login(self) -> None:
        outbox = Outbox([unsent("a")])
        self.assertEqual(self.take(outbox), [])
        outbox.opened()
        self.assertEqual(self.take(outbox), ["a"])
        self.assertEqual(self.take(outbox), [])

    def test_at_most_a_window_is_in_flight(self) -> None:
        outbox = self.open(*(unsent(cid) for cid in "abcde"), window=2)
        self.assertEqual(self.take(outbox), ["a", "b"])
        self.assertTrue(self.ok(outbox, "b"))
        self.assertEqual(self.take(outbox), ["c"])
        self.assertEqual(outbox.in_flight, 2)

    def test_the_window_counts_bytes_as_well_but_lets_one_through(self) -> None:
        outbox = self.open(unsent("a", text="x" * 500), unsent("b"), window_bytes=100)
        self.assertEqual(self.take(outbox), ["a"])
        self.ok(outbox, "a")
        self.assertEqual(self.take(outbox), ["b"])

    def test_what_is_not_acknowledged_goes_out_again_in_its_order(self) -> None:
        outbox = self.open(*(unsent(cid) for cid in "abcd"), window=3)
        self.take(outbox)
        self.ok(outbox, "b")
        outbox.closed()
        outbox.add(unsent("e"))
        outbox.opened()
        self.assertEqual(self.take(outbox), ["a", "c", "d"])
        self.assertEqual([one.cid for one in outbox.all()], ["a", "c", "d", "e"])

    def test_a_late_answer_of_an_earlier_connection_counts_for_nothing(self) -> None:
        outbox = self.open(unsent("a"))
        self.take(outbox)
        outbox.closed()
        self.assertFalse(self.ok(outbox, "a"))
        self.assertEqual(len(outbox), 1)

    def test_after_108_all_of_that_recipient_go_out_again_in_order(self) -> None:
        outbox = self.open(*(unsent(cid) for cid in "abc"), unsent("x", 9))
        self.assertEqual(self.take(outbox), ["a", "b", "c", "x"])
        self.assertTrue(self.ok(outbox, "a"))
        self.assertFalse(outbox.answered("b", Code.BUSY, 2.0, 10.0))
        outbox.add(unsent("d"))
        outbox.add(unsent("y", 9))
        # Another recipient's messages go on; this one's wait for the answer to c as well.
        self.assertEqual(self.take(outbox, 10.0), ["y"])
        self.assertEqual(self.take(outbox, 12.0), [])
        self.assertIsNone(outbox.wake_at)
        self.assertFalse(outbox.answered("c", Code.BUSY, 2.0, 10.5))
        self.assertEqual(outbox.wake_at, 12.5)
        self.assertEqual(self.take(outbox, 12.4), [])
        self.assertEqual(self.take(outbox, 12.5), ["b", "c", "d"])
        self.assertIsNone(outbox.wake_at)

    def test_a_108_without_a_time_waits_a_little(self) -> None:
        outbox = self.open(unsent("a"))
        self.take(outbox)
        outbox.answered("a", Code.BUSY, 0.0, 10.0)
        self.assertEqual(self.take(outbox, 10.9), [])
        self.assertEqual(self.take(outbox, 11.0), ["a"])

    def test_a_user_and_a_group_of_the_same_id_are_two_recipients(self) -> None:
        outbox = self.open(unsent("a", 8, 5), unsent("b", 8, 9))
        self.take(outbox)
        outbox.answered("a", Code.BUSY, 5.0, 0.0)
        outbox.add(unsent("c", 8, 9))
        self.assertEqual(self.take(outbox), ["c"])

    def test_after_107_everything_waits(self) -> None:
        outbox = self.open(unsent("a"), unsent("x", 9))
        self.take(outbox)
        self.assertFalse(outbox.answered("a", Code.TOO_FAST, 3.0, 1.0))
        outbox.add(unsent("b", 10))
        self.assertEqual(self.take(outbox, 3.9), [])
        self.assertEqual(outbox.wake_at, 4.0)
        self.assertEqual(self.take(outbox, 4.0), ["a", "b"])
        self.assertIsNone(outbox.wake_at)

    def test_a_new_login_ends_all_waiting(self) -> None:
        outbox = self.open(unsent("a"), unsent("b"))
        self.take(outbox)
        outbox.answered("a", Code.BUSY, 100.0, 0.0)
        outbox.answered("b", Code.TOO_FAST, 100.0, 0.0)
        outbox.opened()
        self.assertEqual(self.take(outbox, 1.0), ["a", "b"])

    def test_a_refusal_is_the_last_word(self) -> None:
        for code in (Code.MAILBOX_FULL, Code.CID_REUSED, Code.FORBIDDEN, Code.INTERNAL):
            outbox = self.open(unsent("a"), unsent("b"))
            self.take(outbox)
            self.assertTrue(outbox.answered("a", code, 0.0, 0.0))
            self.assertNotIn("a", outbox)
            self.assertIn("b", outbox)

    def test_the_same_cid_is_not_taken_twice(self) -> None:
        outbox = self.open(unsent("a"))
        with self.assertRaises(ValueError):
            outbox.add(unsent("a", 9))
