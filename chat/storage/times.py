"""Times in the tables are microseconds since the epoch; in the model seconds, but for stamps."""

from __future__ import annotations


def micros(seconds: float) -> int:
    """For a column."""
    return round(seconds * 1_000_000)


def seconds(micros: int) -> float:
    """From a column."""
    return micros / 1_000_000
