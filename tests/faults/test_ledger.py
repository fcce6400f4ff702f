"""The check can fail: each kind of bad ledger is told from a good one."""

from __future__ import annotations

from dataclasses import fields

from twisted.trial.unittest import SynchronousTestCase

from .ledger import Ledger, Message, Verdict, judge

ANN, BOB = 1, 2


class LedgerTests(SynchronousTestCase):
    def setUp(self) -> None:
        """Three messages each way, all well; one of them was pushed again and dropped."""
        self.ledger = Ledger()
        for sender, recipient in ((ANN, BOB), (BOB, ANN)):
            for number in (1, 2, 3):
                message = Message(sender, recipient, number)
                self.ledger.sent.add(message)
                self.ledger.show(message)
                self.ledger.acknowledged.add(message)
                self.ledger.answered(message, "stored" if number == 2 else "delivered")
        self.ledger.dropped += 1

    def assert_wrong(self, **expected: list[Message] | list[str]) -> None:
        verdict = judge(self.ledger)
        found = {field.name: getattr(verdict, field.name) for field in fields(Verdict)}
        self.assertEqual({name: wrong for name, wrong in found.items() if wrong}, expected)
        self.assertEqual(verdict.good, not expected)
        for name, wrong in expected.items():
            self.assertIn(f"{name}: {wrong}", verdict.examples())

    def test_good(self) -> None:
        self.assert_wrong()

    def test_nothing_happened(self) -> None:
        self.ledger = Ledger()
        self.assert_wrong()

    def test_lost(self) -> None:
        """In the middle, at the end, and with nothing left of the pair."""
        self.ledger.shown[ANN, BOB].remove(2)
        self.assert_wrong(lost=[Message(ANN, BOB, 2)])
        self.ledger.shown[ANN, BOB].remove(3)
        self.assert_wrong(lost=[Message(ANN, BOB, 2), Message(ANN, BOB, 3)])
        del self.ledger.shown[BOB, ANN]
        self.assertEqual(len(judge(self.ledger).lost), 5)

    def test_lost_and_never_answered(self) -> None:
        """Nothing was promised, but its sender is still waiting."""
        self.ledger.sent.add(Message(ANN, BOB, 4))
        self.assert_wrong(unanswered=[Message(ANN, BOB, 4)])

    def test_out_of_order(self) -> None:
        self.ledger.shown[ANN, BOB] = [1, 3, 2]
        self.assert_wrong(out_of_order=[Message(ANN, BOB, 2)])
        self.ledger.shown[ANN, BOB] = [3, 1, 2]
        self.assert_wrong(out_of_order=[Message(ANN, BOB, 1), Message(ANN, BOB, 2)])

    def test_twice(self) -> None:
        """At once, and later: then it is not out of order as well."""
        self.ledger.shown[ANN, BOB] = [1, 1, 2, 3]
        self.assert_wrong(twice=[Message(ANN, BOB, 1)])
        self.ledger.shown[ANN, BOB] = [1, 2, 3, 1]
        self.assert_wrong(twice=[Message(ANN, BOB, 1)])

    def test_untrue(self) -> None:
        """``delivered`` is a fact when it is told; that it becomes one later is not enough."""
        message = Message(ANN, BOB, 4)
        self.ledger.sent.add(message)
        self.ledger.answered(message, "delivered")
        self.ledger.show(message)
        self.ledger.acknowledged.add(message)
        self.assert_wrong(untrue=[message])

    def test_invented(self) -> None:
        self.ledger.show(Message(ANN, BOB, 4))
        self.assert_wrong(invented=[Message(ANN, BOB, 4)])

    def test_complaints(self) -> None:
        self.ledger.complaints.append("seq 2 after seq 0")
        self.assert_wrong(complaints=["seq 2 after seq 0"])
