"""Token buckets, and many of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chat.throttle import Bucket, Buckets


class BucketTests(SynchronousTestCase):
    def test_so_many_at_once_and_then_one_now_and_then(self) -> None:
        bucket = Bucket(3, 0.5, 100.0)
        self.assertEqual([bucket.take(100.0) for _ in range(4)], [0, 0, 0, 2.0])
        self.assertEqual(bucket.take(101.5), 0.5)
        self.assertEqual(bucket.take(102.0), 0)
        self.assertEqual(bucket.take(102.0), 2.0)

    def test_a_refusal_takes_nothing(self) -> None:
        bucket = Bucket(1, 1, 0.0)
        bucket.take(0.0)
        self.assertEqual([bucket.take(0.5) for _ in range(10)], [0.5] * 10)
        self.assertEqual(bucket.take(1.0), 0)

    def test_never_holds_more_than_its_burst(self) -> None:
        bucket = Bucket(3, 100, 0.0)
        bucket.take(0.0)
        self.assertEqual(bucket.refill(1000.0), 3)
        bucket.give_back()
        self.assertEqual(bucket.refill(1000.0), 3)

    def test_what_was_not_used_is_there_again(self) -> None:
        bucket = Bucket(1, 0.1, 0.0)
        bucket.take(0.0)
        bucket.give_back()
        self.assertEqual(bucket.take(0.0), 0)

    def test_more_than_there_is_is_owed(self) -> None:
        bucket = Bucket(10, 2, 0.0)
        self.assertEqual(bucket.spend(9), 0)
        self.assertEqual(bucket.spend(4), 2.0)
        self.assertEqual(bucket.refill(2.0), 1)

    def test_time_that_goes_back_gives_nothing(self) -> None:
        bucket = Bucket(1, 1, 10.0)
        bucket.take(10.0)
        self.assertEqual(bucket.take(5.0), 1.0)
        self.assertEqual(bucket.take(10.5), 0.5)

    @given(st.integers(1, 20), st.floats(0.1, 100), st.lists(st.floats(0, 3), max_size=60))
    def test_never_more_than_burst_and_rate_allow(
        self, burst: int, rate: float, pauses: list[float]
    ) -> None:
        bucket = Bucket(burst, rate, 0.0)
        now = 0.0
        taken = 0
        for pause in pauses:
            now += pause
            wait = bucket.take(now)
            if wait == 0:
                taken += 1
            else:
                self.assertGreater(wait, 0)
                # It is there when it was said to be.
                again = Bucket(burst, rate, 0.0)
                again.level, again.at = bucket.level, bucket.at
                self.assertGreater(again.refill(now + wait), 1 - 1e-6)
            self.assertLessEqual(taken, burst + rate * now + 1e-6)


class BucketsTests(SynchronousTestCase):
    def test_each_has_its_own(self) -> None:
        buckets: Buckets[str] = Buckets(1, 1)
        self.assertEqual(buckets.of("a", 0.0).take(0.0), 0)
        self.assertEqual(buckets.of("b", 0.0).take(0.0), 0)
        self.assertEqual(buckets.of("a", 0.0).take(0.0), 1.0)

    def test_a_forgotten_one_is_full(self) -> None:
        buckets: Buckets[str] = Buckets(1, 1)
        buckets.of("a", 0.0).take(0.0)
        buckets.forget("a")
        buckets.forget("nobody")
        self.assertEqual(buckets.of("a", 0.0).take(0.0), 0)

    def test_the_one_used_longest_ago_goes_first(self) -> None:
        buckets: Buckets[int] = Buckets(1, 0.001, most=3)
        for key in (1, 2, 3):
            buckets.of(key, 0.0).take(0.0)
        buckets.of(1, 0.0)
        buckets.of(4, 0.0)
        self.assertEqual(len(buckets), 3)
        self.assertGreater(buckets.of(1, 0.0).take(0.0), 0)
        self.assertGreater(buckets.of(3, 0.0).take(0.0), 0)
        self.assertEqual(buckets.of(2, 0.0).take(0.0), 0)
