"""The databases under the server: made for a run, filled and looked at from outside."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .processes import Failed, folder

Rows = Sequence[Sequence[Any]]


class Database:
    """A connection of the benchmark's own beside the server's; opened at first use.

    :param name: what it is called in reports.
    :param url: as ``--database`` takes it.
    :param connect: makes a DB-API connection in autocommit mode, as durable as the server's.
    :param mark: what stands for a value in SQL.
    """

    def __init__(self, name: str, url: str, connect: Callable[[], Any], mark: str) -> None:
        self.name = name
        self.url = url
        self._connect = connect
        self._mark = mark
        self._opened: Any = None

    @property
    def _connection(self) -> Any:
        if self._opened is None:
            self._opened = self._connect()
        return self._opened

    def ask(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """One statement, with ``?`` for values, and its rows."""
        cursor = self._connection.cursor()
        cursor.execute(sql.replace("?", self._mark), values)
        return list(cursor.fetchall())

    def insert(self, sql: str, rows: Rows) -> None:
        """Many rows in one transaction."""
        cursor = self._connection.cursor()
        cursor.execute("BEGIN")
        cursor.executemany(sql.replace("?", self._mark), rows)
        cursor.execute("COMMIT")

    def commit_seconds(self, times: int, body: str) -> list[float]:
        """How long a transaction takes that inserts one row of ``body``, each of several times."""
        self.ask("CREATE TABLE IF NOT EXISTS benchmark (id INTEGER PRIMARY KEY, body TEXT)")
        self.ask("DELETE FROM benchmark")
        taken = []
        cursor = self._connection.cursor()
        sql = f"INSERT INTO benchmark VALUES ({self._mark}, {self._mark})"
        for number in range(times):
            started = time.perf_counter()
            cursor.execute("BEGIN")
            cursor.execute(sql, (number, body))
            cursor.execute("COMMIT")
            taken.append(time.perf_counter() - started)
        return taken

    @property
    def pid(self) -> int:
        """Of the database's server; SQLite has none."""
        return int(Path(str(self.ask("SELECT @@pid_file")[0][0])).read_text())

    def close(self) -> None:
        """Close the connection; the data stay."""
        if self._opened is not None:
            self._opened.close()


def _sqlite(path: Path) -> Callable[[], Any]:
    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path, isolation_level=None, timeout=30)
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    return connect


@contextmanager
def sqlite() -> Iterator[Database]:
    """A SQLite file."""
    with folder() as place:
        path = place / "chat.sqlite"
        database = Database("SQLite", f"sqlite:{path}", _sqlite(path), "?")
        try:
            yield database
        finally:
            database.close()


@contextmanager
def mariadb() -> Iterator[Database]:
    """A database of a MariaDB such as the tests start, but on a disk."""
    # Imported here: it needs mysqlclient, which SQLite's rows do not.
    from tests.mariadb import on_disk

    url = on_disk().fresh()
    schema = url.rpartition("/")[2]
    database = Database("MariaDB", url, lambda: on_disk().root(schema), "%s")
    if database.ask("SELECT @@innodb_flush_log_at_trx_commit") != [(1,)]:
        raise Failed("this MariaDB does not write its log at each commit")
    try:
        yield database
    finally:
        database.close()
        on_disk().ask(f"DROP DATABASE `{schema}`")


BOTH = (sqlite, mariadb)
