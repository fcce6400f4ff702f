"""Token buckets: so much at once, then so much a second.

Pure: the time is passed in, in monotonic seconds.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

REMEMBERED = 100_000
"""Buckets of one kind that are kept; the one used longest ago is forgotten first."""


class Bucket:
    """Holds ``burst`` tokens at first and at most, and gets ``rate`` back a second."""

    __slots__ = ("at", "burst", "level", "rate")

    def __init__(self, burst: float, rate: float, now: float) -> None:
        self.burst = burst
        self.rate = rate
        self.level = burst
        """How many there were :attr:`at` that time; below 0 when more was taken than there was."""
        self.at = now

    def refill(self, now: float) -> float:
        """How many tokens there are now."""
        if now > self.at:
            self.level = min(self.burst, self.level + (now - self.at) * self.rate)
            self.at = now
        return self.level

    def take(self, now: float) -> float:
        """Take one if there is one: 0, or the seconds until there is."""
        if self.refill(now) < 1:
            return self._until(1)
        self.level -= 1
        return 0.0

    def spend(self, count: int) -> float:
        """Take so many, whether or not they are there, as of the last :meth:`refill`; 0 if there
        is one more, else the seconds until there is."""
        self.level -= count
        return 0.0 if self.level >= 1 else self._until(1)

    def give_back(self) -> None:
        """What was taken last was not used."""
        self.level = min(self.burst, self.level + 1)

    def _until(self, level: float) -> float:
        return (level - self.level) / self.rate


class Buckets(Generic[K]):
    """A bucket for each of many: accounts, addresses."""

    def __init__(self, burst: float, rate: float, most: int = REMEMBERED) -> None:
        self._burst = burst
        self._rate = rate
        self._most = most
        self._buckets: OrderedDict[K, Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def of(self, key: K, now: float) -> Bucket:
        """This one's bucket, a full one if it was not seen lately."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket(self._burst, self._rate, now)
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        return bucket

    def forget(self, key: K) -> None:
        """It starts with a full one again."""
        self._buckets.pop(key, None)
