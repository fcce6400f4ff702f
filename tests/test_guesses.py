"""Guessing passwords: how often, from where, and whom it does not concern."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chat.errors import ChatError, Code
from chat.guesses import Guesses

ANN, BOB = 1, 2
HERE, THERE = "192.0.2.1", "192.0.2.2"


class GuessesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.guesses = Guesses(5, 6.0, 20, 3600.0)
        self.now = 1000.0

    def guess(self, user: int = ANN, origin: str = HERE) -> None:
        """A wrong one."""
        self.guesses.begin(user, origin, self.now).wrong(self.now)

    def wait(self, user: int = ANN, origin: str = HERE, *, token: bool = False) -> float:
        """After how many seconds one may try; 0: now."""
        try:
            guess = self.guesses.begin(user, origin, self.now, token=token)
        except ChatError as error:
            self.assertEqual(error.code, Code.TOO_FAST)
            self.assertFalse(error.fatal)
            assert error.retry_after is not None
            self.assertGreater(error.retry_after, 0)
            return error.retry_after
        guess.void()
        return 0.0

    def test_five_then_one_in_six_seconds(self) -> None:
        for _ in range(5):
            self.guess()
        self.assertEqual(self.wait(), 6.0)
        self.now += 5.9
        self.assertGreater(self.wait(), 0)
        self.now += 0.1
        self.guess()
        self.assertEqual(self.wait(), 6.0)

    def test_the_account_is_free_from_elsewhere_and_others_from_here(self) -> None:
        for _ in range(5):
            self.guess()
        self.assertEqual(self.wait(ANN, THERE), 0)
        self.assertEqual(self.wait(BOB, HERE), 0)

    def test_many_at_the_same_time_are_no_way_round(self) -> None:
        under_way = [self.guesses.begin(ANN, HERE, self.now) for _ in range(5)]
        self.assertGreater(self.wait(), 0)
        under_way[0].void()
        self.assertEqual(self.wait(), 0)

    def test_a_right_one_resets(self) -> None:
        for _ in range(4):
            self.guess()
        self.guesses.begin(ANN, HERE, self.now).right()
        for _ in range(5):
            self.guess()
        self.assertGreater(self.wait(), 0)

    def test_an_address_is_blocked_for_an_hour_after_twenty(self) -> None:
        for user in range(10, 29):
            self.guess(user)
        self.assertEqual(self.wait(BOB), 0)
        self.guess(29)
        self.assertEqual(self.wait(BOB), 3600.0)
        self.assertEqual(self.wait(ANN, THERE), 0)
        self.now += 3599
        self.assertEqual(self.wait(BOB), 1.0)
        self.now += 1
        self.assertEqual(self.wait(BOB), 0)

    def test_after_the_block_there_are_twenty_again(self) -> None:
        for user in range(10, 30):
            self.guess(user)
        self.now += 3600
        for user in range(30, 49):
            self.guess(user)
        self.assertEqual(self.wait(BOB), 0)
        self.guess(49)
        self.assertGreater(self.wait(BOB), 3000)

    def test_a_right_one_takes_back_its_own_wrong_ones_and_no_others(self) -> None:
        for user in range(10, 26):
            self.guess(user)
        for _ in range(3):
            self.guess(ANN)
        self.guesses.begin(ANN, HERE, self.now).right()
        for user in range(40, 43):
            self.guess(user)
        self.assertEqual(self.wait(BOB), 0)
        # Whoever has an account of his own cannot hide guesses at others behind it.
        self.guesses.begin(ANN, HERE, self.now).right()
        self.guess(43)
        self.assertGreater(self.wait(BOB), 3000)

    def test_tokens_come_through_a_block_but_not_without_end(self) -> None:
        for user in range(10, 30):
            self.guess(user)
        self.assertEqual(self.wait(BOB, token=True), 0)
        for _ in range(5):
            self.guesses.begin(BOB, HERE, self.now, token=True).wrong(self.now)
        self.assertEqual(self.wait(BOB, token=True), 6.0)
        self.assertEqual(self.wait(ANN, token=True), 0)

    def test_wrong_tokens_block_nobody(self) -> None:
        for user in range(10, 60):
            self.guesses.begin(user, HERE, self.now, token=True).wrong(self.now)
        self.assertEqual(self.wait(BOB), 0)

    def test_without_an_address_the_account_has_its_bound_all_the_same(self) -> None:
        for _ in range(5):
            self.guess(ANN, "")
        self.assertGreater(self.wait(ANN, ""), 0)
        for user in range(10, 60):
            self.guess(user, "")
        self.assertEqual(self.wait(BOB, ""), 0)

    def test_memory_is_bounded(self) -> None:
        guesses = Guesses(5, 6.0, 20, 3600.0, most=10)
        for number in range(1000):
            guesses.begin(number, f"192.0.2.{number}", self.now).wrong(self.now)
        self.assertEqual(len(guesses), 20)
        for number in range(1000):
            self.now += 400.0
            guesses.begin(number, HERE, self.now).wrong(self.now)
        self.assertEqual(len(guesses), 20)
