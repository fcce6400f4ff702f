"""One call of ``Offline.keep`` in its transaction.

Rows go in with as few statements as possible, and only where one fails is it asked why: a row that
is there already is judged by its digest, a row that the database does not take is found by halves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..model import Keeping, Kept, Outcome
from .dialects import Row, Statements, Trouble, portions
from .rows import Name, name_of, repeated, storable

TABLE = "offlinemessage"
COLUMNS = "userid, stamp, sender, cid, given, kind, digest, message"


class Keep:
    """The rows of one call and what became of them."""

    def __init__(self, statements: Statements, rows: Sequence[Kept]) -> None:
        self._statements = statements
        self._rows = rows
        self._outcomes: list[Outcome | None] = [None] * len(rows)

    def all(self) -> list[Outcome]:
        """Store what can be stored; an outcome for each row."""
        todo: list[int] = []
        for number, row in enumerate(self._rows):
            if storable(row):
                todo.append(number)
            else:
                self._refuse(number)
        while todo:
            todo = self._pass(todo)
        return [outcome for outcome in self._outcomes if outcome is not None]

    def _pass(self, todo: Sequence[int]) -> list[int]:
        """Store the first row of each name; those whose turn is still to come."""
        first: dict[Name, int] = {}
        twins = [
            number
            for number in todo
            if first.setdefault(name_of(self._rows[number]), number) != number
        ]
        for some in portions(first.values(), self._size):
            self._insert(some)
        if not twins:
            return []
        there = self._there(twins)
        for number in twins:
            found = there.get(name_of(self._rows[number]))
            if found:
                self._outcomes[number] = repeated(self._rows[number], *found)
        # Where the first one was refused, the next of that name has its own try.
        return [number for number in twins if self._outcomes[number] is None]

    def _size(self, number: int) -> int:
        return len(self._rows[number].body)

    def _insert(self, numbers: Sequence[int]) -> None:
        """Rows of different names, in one statement if it can be."""
        try:
            self._statements.insert_all(
                TABLE, COLUMNS, [_values(self._rows[number]) for number in numbers]
            )
        except self._statements.dialect.error as error:
            trouble = self._statements.dialect.trouble(error)
            if trouble not in (Trouble.DATA, Trouble.DUPLICATE):
                raise
        else:
            for number in numbers:
                self._outcomes[number] = Outcome(Keeping.STORED, self._rows[number].stamp)
            return
        missing = numbers
        if trouble is Trouble.DUPLICATE:
            missing = self._missing(numbers)
        if len(missing) < len(numbers):
            if missing:
                self._insert(missing)
        elif len(numbers) == 1:
            # Its data, or another message of this sender has its place in the order.
            self._refuse(numbers[0])
        else:
            self._insert(numbers[: len(numbers) // 2])
            self._insert(numbers[len(numbers) // 2 :])

    def _missing(self, numbers: Sequence[int]) -> list[int]:
        """Judge those that are in the store; the others."""
        there = self._there(numbers)
        missing: list[int] = []
        for number in numbers:
            row = self._rows[number]
            found = there.get(name_of(row))
            if found:
                self._outcomes[number] = repeated(row, *found)
            else:
                missing.append(number)
        return missing

    def _there(self, numbers: Iterable[int]) -> dict[Name, tuple[int, bytes]]:
        """Stamp and digest of the rows that are in the store with these rows' names."""
        rows = [self._rows[number] for number in numbers]
        keys = [(row.recipient, row.sender, row.cid.encode()) for row in rows]
        found = self._statements.select_keys(
            "userid, sender, cid, stamp, digest", TABLE, ("userid", "sender", "cid"), keys
        )
        return {
            (userid, sender, cid.decode()): (stamp, digest)
            for userid, sender, cid, stamp, digest in found
        }

    def _refuse(self, number: int) -> None:
        self._outcomes[number] = Outcome(Keeping.REFUSED, self._rows[number].stamp)


def _values(row: Kept) -> Row:
    return (
        row.recipient,
        row.stamp,
        row.sender,
        row.cid.encode(),
        row.given,
        row.kind,
        row.digest,
        row.body,
    )
