"""What differs between the databases, so that the tables' SQL is written once.

SQL is written with ``?`` for an argument; it holds no other ``?`` and no ``%``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from enum import Enum
from typing import Any, ClassVar, TypeVar

T = TypeVar("T")

ROWS_A_STATEMENT = 1000
BYTES_A_STATEMENT = 1 << 20
IDS_A_STATEMENT = 500
"""In an ``IN (…)``: from 1,000 MariaDB turns it round and may read the whole table."""

Row = tuple[Any, ...]
Raw = Any
"""A connection of the database's own module."""


class Trouble(Enum):
    """What an exception means for the work that met it."""

    NONE = "none"
    """It is not the database's doing, or it is a mistake of ours: passed on as it is."""
    DUPLICATE = "duplicate"
    """A row with that key is there."""
    DATA = "data"
    """The values cannot be stored."""
    AGAIN = "again"
    """The database undid the work for the sake of other work: it may be done again."""
    LOST = "lost"
    """The connection is gone, and what became of a commit on it is not known."""
    AWAY = "away"
    """It answers that it cannot do this now (read-only, full, …); nothing was done."""


class Dialect(ABC):
    """One kind of database at one place."""

    folder: ClassVar[str]
    """Its schema files' folder in ``db/``."""
    module: ClassVar[str]
    """Its DB-API module."""
    threads: ClassVar[int]
    """How many connections work side by side."""
    begin: ClassVar[str]
    """Starts a transaction that is going to write."""
    for_update: ClassVar[str]
    """Ends a SELECT whose rows nobody else may change before the commit."""
    clock: ClassVar[str]
    """Now, in microseconds since the epoch, by the database's own clock."""

    error: type[Exception]
    """The base of the module's exceptions."""
    place: str
    """For people; without the password."""

    @abstractmethod
    def arguments(self, *, patient: bool = False) -> dict[str, Any]:
        """What ``connect`` of the module takes; ``patient``: for work that takes minutes."""

    @abstractmethod
    def prepare(self, raw: Raw) -> None:
        """Set a new connection up: autocommit, durable, strict."""

    @abstractmethod
    def connect(self, *, patient: bool = False) -> Raw:
        """A connection outside the pool, set up.

        :raises BadStart: the database cannot be reached; one line that says why.
        """

    @abstractmethod
    def exists(self) -> bool:
        """Whether there is anything to connect to; False: :meth:`connect` would make it."""

    @abstractmethod
    def trouble(self, error: BaseException) -> Trouble:
        """What this exception means."""

    @abstractmethod
    def translate(self, sql: str) -> str:
        """SQL with the module's own mark for an argument."""

    @abstractmethod
    def unless_there(self, column: str) -> str:
        """Ends an INSERT that does nothing for rows that are there; ``column`` is any of them."""

    @abstractmethod
    def insert_all(
        self, cursor: Any, table: str, columns: str, rows: Sequence[Row], ending: str
    ) -> None:
        """Insert all rows or, where that fails, none."""

    @abstractmethod
    def select_keys(
        self, cursor: Any, columns: str, table: str, key: Sequence[str], keys: Sequence[Row]
    ) -> Iterator[Row]:
        """The rows that have these keys."""

    @abstractmethod
    def delete_keys(self, cursor: Any, table: str, key: Sequence[str], keys: Sequence[Row]) -> int:
        """Delete the rows that have these keys; how many there were."""

    @abstractmethod
    def delete_oldest(self, cursor: Any, table: str, age: str, before: int, limit: int) -> int:
        """Delete at most ``limit`` rows whose column ``age`` is below ``before``, lowest first;
        how many there were."""

    next_epoch: ClassVar[str]
    """Ends an INSERT INTO claim: a row that is there changes only if its epoch is the one before
    the new one."""
    waiting_by_sender: ClassVar[str]
    """After ``FROM offlinemessage``: count by the index that has no bodies in it."""
    waiting_in_order: ClassVar[str]
    """The same: begin a page in the middle of the primary key, not at the user's first row."""
    newest_lines: ClassVar[str]
    """Arguments user, user: the newest stamp of each of a user's conversations with somebody,
    as (low, high, stamp); found by leaps over the index, not by reading all lines."""

    @abstractmethod
    def tables(self, statements: Statements) -> set[str]:
        """The names of the tables that are there, in lower case."""

    @abstractmethod
    def alone(self, raw: Raw) -> AbstractContextManager[None]:
        """Hold off every other process that would change the schema; as far as the database can,
        what is done meanwhile is done as a whole or not at all."""


class Statements:
    """What the work of one interaction can say to the database."""

    def __init__(self, dialect: Dialect, raw: Raw) -> None:
        self.dialect = dialect
        self._cursor = raw.cursor()

    def rows(self, sql: str, args: Sequence[object] = ()) -> list[Row]:
        """All rows of a SELECT."""
        self._cursor.execute(self.dialect.translate(sql), args)
        return list(self._cursor.fetchall())

    def row(self, sql: str, args: Sequence[object] = ()) -> Row | None:
        """The first row, if there is one."""
        self._cursor.execute(self.dialect.translate(sql), args)
        found: Row | None = self._cursor.fetchone()
        return found

    def change(self, sql: str, args: Sequence[object] = ()) -> int:
        """An UPDATE, INSERT or DELETE; how many rows it met."""
        self._cursor.execute(self.dialect.translate(sql), args)
        return int(self._cursor.rowcount)

    def insert(self, sql: str, args: Sequence[object] = ()) -> int:
        """An INSERT; the id that the row got."""
        self._cursor.execute(self.dialect.translate(sql), args)
        return int(self._cursor.lastrowid)

    def lock(self, table: str, row_id: int) -> bool:
        """Nobody else changes this row before the commit; False: there is none."""
        sql = f"SELECT id FROM {table} WHERE id = ?{self.dialect.for_update}"
        return self.row(sql, (row_id,)) is not None

    def run(self, sql: str) -> None:
        """A statement without arguments and rows, as it stands."""
        self._cursor.execute(sql)

    def insert_all(self, table: str, columns: str, rows: Sequence[Row], ending: str = "") -> None:
        """See :meth:`Dialect.insert_all`."""
        self.dialect.insert_all(self._cursor, table, columns, rows, ending)

    def select_keys(
        self, columns: str, table: str, key: Sequence[str], keys: Sequence[Row]
    ) -> Iterator[Row]:
        """See :meth:`Dialect.select_keys`."""
        return self.dialect.select_keys(self._cursor, columns, table, key, keys)

    def delete_keys(self, table: str, key: Sequence[str], keys: Sequence[Row]) -> int:
        """See :meth:`Dialect.delete_keys`."""
        return self.dialect.delete_keys(self._cursor, table, key, keys)

    def delete_oldest(self, table: str, age: str, before: int, limit: int) -> int:
        """See :meth:`Dialect.delete_oldest`."""
        return self.dialect.delete_oldest(self._cursor, table, age, before, limit)


def portions(items: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """What goes into one statement each: servers bound a statement's length.

    :param size: the bytes of an item's greatest value.
    """
    some: list[T] = []
    room = BYTES_A_STATEMENT
    for item in items:
        needs = size(item)
        if some and (len(some) == ROWS_A_STATEMENT or needs > room):
            yield some
            some, room = [], BYTES_A_STATEMENT
        some.append(item)
        room -= needs
    if some:
        yield some


def marks(count: int) -> str:
    """``?,?,?``"""
    return ",".join("?" * count)
