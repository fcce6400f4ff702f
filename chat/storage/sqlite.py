"""SQLite: one file, one connection, one thread."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from ..errors import BadStart
from .dialects import Dialect, Raw, Row, Statements, Trouble, marks
from .places import SqlitePlace

BUSY_WAIT = 2000
"""Milliseconds that a statement waits for another process's transaction."""

_TROUBLES = {
    sqlite3.SQLITE_BUSY: Trouble.AGAIN,
    sqlite3.SQLITE_LOCKED: Trouble.AGAIN,
    # A commit that met an I/O error may be found whole in the log at the next start.
    sqlite3.SQLITE_IOERR: Trouble.LOST,
    sqlite3.SQLITE_CORRUPT: Trouble.LOST,
    sqlite3.SQLITE_NOTADB: Trouble.LOST,
    sqlite3.SQLITE_PROTOCOL: Trouble.LOST,
    sqlite3.SQLITE_CANTOPEN: Trouble.LOST,
    sqlite3.SQLITE_PERM: Trouble.AWAY,
    sqlite3.SQLITE_READONLY: Trouble.AWAY,
    sqlite3.SQLITE_FULL: Trouble.AWAY,
    sqlite3.SQLITE_NOMEM: Trouble.AWAY,
    sqlite3.SQLITE_TOOBIG: Trouble.DATA,
    sqlite3.SQLITE_MISMATCH: Trouble.DATA,
    sqlite3.SQLITE_CONSTRAINT: Trouble.DATA,
}
_DUPLICATES = (sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE)


class Sqlite(Dialect):
    """A SQLite file; WAL, every commit on the disk before it is answered."""

    folder = "sqlite"
    module = "sqlite3"
    threads = 1
    begin = "BEGIN IMMEDIATE"
    for_update = ""
    # It counts in milliseconds.
    clock = "CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000"
    error = sqlite3.Error

    def __init__(self, place: SqlitePlace) -> None:
        self.place = str(place)
        self._path = place.path

    def arguments(self, *, patient: bool = False) -> dict[str, Any]:
        # The pool's thread opens it and closing the pool closes it, from the reactor's thread.
        return {
            "database": str(self._path),
            "isolation_level": None,
            "check_same_thread": False,
            "cached_statements": 200,
            "timeout": 60.0 if patient else BUSY_WAIT / 1000,
        }

    def prepare(self, raw: Raw) -> None:
        raw.execute("PRAGMA journal_mode = WAL").close()
        raw.execute("PRAGMA synchronous = FULL").close()
        # A log that one burst made large is cut again at the next checkpoint.
        raw.execute(f"PRAGMA journal_size_limit = {64 << 20}").close()

    def connect(self, *, patient: bool = False) -> Raw:
        try:
            # Ours alone from the first moment; the log's files take over the rights.
            with suppress(FileExistsError):
                os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            raw = sqlite3.connect(**self.arguments(patient=patient))
            self.prepare(raw)
            raw.execute("SELECT count(*) FROM sqlite_master").close()
        except (sqlite3.Error, OSError) as error:
            text = error.strerror if isinstance(error, OSError) else error
            raise BadStart(f"the database {self.place} cannot be opened: {text}") from None
        return raw

    def exists(self) -> bool:
        if self._path.exists():
            return True
        if not self._path.parent.is_dir():
            raise BadStart(f"the database {self.place} cannot be made: there is no such folder")
        if not os.access(self._path.parent, os.W_OK | os.X_OK):
            raise BadStart(f"the database {self.place} cannot be made: the folder is not writable")
        return False

    def trouble(self, error: BaseException) -> Trouble:
        if isinstance(error, (OverflowError, UnicodeEncodeError)):
            return Trouble.DATA
        if not isinstance(error, sqlite3.Error):
            return Trouble.NONE
        code = getattr(error, "sqlite_errorcode", None)
        if code is None:
            # Raised by the module itself: a value it cannot bind, or a closed connection.
            return Trouble.DATA if isinstance(error, sqlite3.DataError) else Trouble.NONE
        if code in _DUPLICATES:
            return Trouble.DUPLICATE
        return _TROUBLES.get(code & 0xFF, Trouble.NONE)

    def translate(self, sql: str) -> str:
        return sql

    def unless_there(self, column: str) -> str:
        return " ON CONFLICT DO NOTHING"

    def insert_all(
        self, cursor: Any, table: str, columns: str, rows: Sequence[Row], ending: str
    ) -> None:
        values = marks(columns.count(",") + 1)
        cursor.execute("SAVEPOINT rows")
        try:
            cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES ({values}){ending}", rows)
        except Exception:
            with suppress(sqlite3.Error):  # the whole transaction may be undone already
                cursor.execute("ROLLBACK TO rows")
                cursor.execute("RELEASE rows")
            raise
        cursor.execute("RELEASE rows")

    def select_keys(
        self, cursor: Any, columns: str, table: str, key: Sequence[str], keys: Sequence[Row]
    ) -> Iterator[Row]:
        sql = f"SELECT {columns} FROM {table} WHERE {_equal(key)}"
        for one in keys:
            yield from cursor.execute(sql, one)

    def delete_keys(self, cursor: Any, table: str, key: Sequence[str], keys: Sequence[Row]) -> int:
        cursor.executemany(f"DELETE FROM {table} WHERE {_equal(key)}", keys)
        return int(cursor.rowcount)

    def delete_oldest(self, cursor: Any, table: str, age: str, before: int, limit: int) -> int:
        key = ",".join(row[0] for row in cursor.execute(
            "SELECT name FROM pragma_table_info(?) WHERE pk ORDER BY pk", (table,)
        ))  # fmt: skip
        cursor.execute(
            f"DELETE FROM {table} WHERE ({key}) IN "
            f"(SELECT {key} FROM {table} WHERE {age} < ? ORDER BY {age} LIMIT ?)",
            (before, limit),
        )
        return int(cursor.rowcount)

    next_epoch = (
        " ON CONFLICT (userid) DO UPDATE SET node = excluded.node, epoch = excluded.epoch"
        " WHERE claim.epoch = excluded.epoch - 1"
    )
    waiting_by_sender = waiting_in_order = ""  # it finds those indexes by itself
    newest_lines = """
        WITH RECURSIVE
          above (id) AS (
            SELECT min(high) FROM message WHERE low = ?1
            UNION ALL
            SELECT (SELECT min(high) FROM message WHERE low = ?1 AND high > above.id)
              FROM above WHERE above.id IS NOT NULL),
          below (id) AS (
            SELECT min(low) FROM message WHERE high = ?2 AND low > 0
            UNION ALL
            SELECT (SELECT min(low) FROM message WHERE high = ?2 AND low > below.id)
              FROM below WHERE below.id IS NOT NULL)
        SELECT ?1, id, (SELECT max(stamp) FROM message WHERE low = ?1 AND high = id)
          FROM above WHERE id IS NOT NULL
        UNION
        SELECT id, ?2, (SELECT max(stamp) FROM message WHERE low = id AND high = ?2)
          FROM below WHERE id IS NOT NULL
    """

    def tables(self, statements: Statements) -> set[str]:
        found = statements.rows("SELECT lower(name) FROM sqlite_master WHERE type = 'table'")
        return {name for (name,) in found}

    @contextmanager
    def alone(self, raw: Raw) -> Iterator[None]:
        raw.execute("BEGIN EXCLUSIVE")
        try:
            yield
            raw.execute("COMMIT")
        except BaseException:
            raw.execute("ROLLBACK")
            raise


def _equal(key: Sequence[str]) -> str:
    return " AND ".join(f"{column} = ?" for column in key)
