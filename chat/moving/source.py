"""The original's database, read and not changed.

Copies of the original differ: table names in other cases, utf8mb4 in place of latin1, a primary key
here and none there.  Tables are found whatever their case, and every text is read as the bytes that
are stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from ..errors import BadStart
from ..storage.places import MysqlPlace, parse

PAGE = 500
"""Users read at a time; hashing their passwords takes its time, and no result may wait for it."""

WAIT = 10
"""Seconds for the server to answer."""

Row = tuple[Any, ...]


class SourceLost(Exception):
    """The source could not be read to its end; what was imported stays, and the import can be
    repeated."""


class Source:
    """The five tables.

    :raises BadStart: it cannot be reached, or has no table of users.
    """

    def __init__(self, url: str) -> None:
        place = parse(url)
        if not isinstance(place, MysqlPlace):
            raise BadStart("the original's database is MySQL: mysql://user:password@host:port/name")
        try:
            import MySQLdb
            from MySQLdb.cursors import SSCursor
        except ImportError:
            raise BadStart("reading it needs mysqlclient; install twistd-chat[mysql]") from None
        self.place = str(place)
        self._error: type[Exception] = MySQLdb.Error
        self._streaming = SSCursor
        where: dict[str, Any] = {"host": place.host, "port": place.port}
        if place.unix_socket:
            where = {"host": "localhost", "unix_socket": place.unix_socket}
        try:
            self._raw = MySQLdb.connect(
                **where, user=place.user, password=place.password, database=place.name,
                charset="utf8mb4", connect_timeout=WAIT, read_timeout=WAIT * 6,
            )  # fmt: skip
            self._ask("SET SESSION TRANSACTION READ ONLY")
            self._tables = {str(name).lower(): str(name) for (name,) in self._ask("SHOW TABLES")}
        except self._error as error:
            raise BadStart(f"{self.place} cannot be reached: {error.args[-1]}") from None
        if "user" not in self._tables:
            raise BadStart(f"{self.place} has no table user: is it the original's database?")

    def close(self) -> None:
        """The connection is not needed any more."""
        self._raw.close()

    def has(self, table: str) -> bool:
        """Whether there is such a table."""
        return table in self._tables

    def count(self, table: str) -> int:
        """Its rows; 0 if there is no such table."""
        if not self.has(table):
            return 0
        [[count]] = self._read(f"SELECT COUNT(*) FROM `{self._tables[table]}`")
        return int(count)

    def users(self) -> Iterator[list[Row]]:
        """Pages of id, name and password, by id."""
        last = -(1 << 63)
        while True:
            page = self._read(
                "SELECT id, CAST(name AS BINARY), CAST(password AS BINARY)"
                f" FROM `{self._tables['user']}` WHERE id > {last} ORDER BY id LIMIT {PAGE}"
            )
            if not page:
                return
            yield page
            last = page[-1][0]

    def rows(self, table: str, *columns: str) -> Iterator[Row]:
        """All rows of another table; columns named ``binary:…`` as bytes."""
        if not self.has(table):
            return
        wanted = ", ".join(_expression(column) for column in columns)
        try:
            with closing(self._raw.cursor(self._streaming)) as cursor:
                cursor.execute(f"SELECT {wanted} FROM `{self._tables[table]}`")
                while page := cursor.fetchmany(1000):
                    yield from page
        except self._error as error:
            raise SourceLost(f"{table}: {error.args[-1]}") from error

    def _read(self, sql: str) -> list[Row]:
        try:
            return self._ask(sql)
        except self._error as error:
            raise SourceLost(str(error.args[-1])) from error

    def _ask(self, sql: str) -> list[Row]:
        with closing(self._raw.cursor()) as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())


def _expression(column: str) -> str:
    kind, colon, name = column.partition(":")
    return f"CAST(`{name}` AS BINARY)" if colon else f"`{kind}`"
