"""Whether a client is there: silence, pings, and who waits to know."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from chat.liveness import PINGS, Liveness

from .cables import Time


class LivenessTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.time = Time()
        self.liveness = Liveness(0.0)

    def ask(self) -> Deferred[bool]:
        return self.liveness.ask(self.time.callLater, 2.0)

    def test_pings_and_the_end(self) -> None:
        asked = []
        for now in range(1, 200):
            if self.liveness.is_silent(now, 30):
                asked.append((now, self.liveness.ping()))
        self.assertEqual(asked[: PINGS + 1], [(30, True), (60, True), (90, False)])

    def test_anything_heard_begins_anew(self) -> None:
        self.liveness.ping()
        self.liveness.heard(31)
        self.assertFalse(self.liveness.is_silent(60, 30))
        self.assertTrue(self.liveness.is_silent(61, 30))

    def test_silence_that_was_ours(self) -> None:
        self.liveness.excuse(50)
        self.assertFalse(self.liveness.is_silent(79, 30))

    def test_heard_in_time(self) -> None:
        one, other = self.ask(), self.ask()
        self.time.go(1.9)
        self.assertNoResult(one)
        self.liveness.heard(1.9)
        self.assertEqual((self.successResultOf(one), self.successResultOf(other)), (True, True))
        self.assertEqual(self.time.getDelayedCalls(), [])

    def test_not_heard(self) -> None:
        asked = self.ask()
        self.assertTrue(self.liveness.asked)
        self.time.go(2.1)
        self.assertFalse(self.successResultOf(asked))
        self.assertFalse(self.liveness.asked)

    def test_who_asks_later_waits_for_as_long(self) -> None:
        first = self.ask()
        self.time.go(1)
        self.liveness.heard(1)
        self.assertTrue(self.successResultOf(first))
        second = self.ask()
        self.time.go(1.9)
        self.assertNoResult(second)
        self.time.go(0.2)
        self.assertFalse(self.successResultOf(second))

    def test_gone(self) -> None:
        asked = self.ask()
        self.liveness.tell(False)
        self.assertFalse(self.successResultOf(asked))
        self.assertEqual(self.time.getDelayedCalls(), [])
        self.liveness.tell(False)
