"""Answers: a table or a sentence for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

Record = Mapping[str, object]


class Answer(NamedTuple):
    """What a command has to say."""

    data: object
    """For ``--json``."""
    text: str
    """For people."""
    status: int = 0


def when(micros: int) -> str:
    """A column of microseconds since the epoch, as a time."""
    return datetime.fromtimestamp(micros / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def table(records: Sequence[Record], columns: Sequence[str]) -> Answer:
    """A line each, under the columns' names; numbers to the right."""
    if not records:
        return Answer(list(records), "none")
    cells = [[_cell(record[column]) for column in columns] for record in records]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    numbers = [isinstance(records[0][column], int) for column in columns]
    lines = [_line(row, widths, numbers) for row in [[*columns], *cells]]
    return Answer(list(records), "\n".join(lines))


def _line(row: Sequence[str], widths: Sequence[int], numbers: Sequence[bool]) -> str:
    parts = [
        cell.rjust(width) if number else cell.ljust(width)
        for cell, width, number in zip(row, widths, numbers, strict=True)
    ]
    return "  ".join(parts).rstrip()


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    # A name may hold what would move a terminal's cursor.
    return "".join(char if char.isprintable() else "?" for char in str(value))
