"""MySQL and MariaDB, through mysqlclient."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from ..errors import BadStart
from .dialects import Dialect, Raw, Row, Statements, Trouble
from .places import MysqlPlace

CONNECT_WAIT = 5
"""Seconds for a connection to be there."""
ANSWER_WAIT = 10
"""Seconds for the server to answer a statement; after that the connection is given up."""
LOCK_WAIT = 5
"""Seconds that a statement waits for another transaction's rows."""
SCHEMA_WAIT = 600
"""Seconds for a statement that changes a table, and for another process that does so."""

KEYS_A_STATEMENT = 500

_SQL_MODE = "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO"

_TROUBLES = {
    Trouble.DUPLICATE: (1062, 1586),
    Trouble.DATA: (
        1048, 1118, 1264, 1265, 1292, 1300, 1366, 1406, 4025,
    ),
    # Lock wait timeout, deadlock, record changed, query interrupted.
    Trouble.AGAIN: (1205, 1213, 1020, 1317),
    # The client's own 2xxx; too many connections, shutdown, killed, trouble on the wire.
    Trouble.LOST: (
        1040, 1053, 1077, 1079, 1080, 1152, 1158, 1159, 1160, 1161, 1184, 1203, 1226, 1927,
        2000, 2001, 2002, 2003, 2004, 2005, 2006, 2011, 2012, 2013, 2014, 2026, 2027, 2055,
    ),
    # Files and disks, memory, tables full, rights taken away, read-only, a commit refused.
    Trouble.AWAY: (
        1021, 1026, 1030, 1037, 1038, 1041, 1044, 1045, 1049, 1114, 1129, 1130, 1142, 1143,
        1180, 1227, 1290, 1698, 1792, 1836,
    ),
}  # fmt: skip
_BY_NUMBER = {number: trouble for trouble, numbers in _TROUBLES.items() for number in numbers}


def _driver() -> Any:
    try:
        import MySQLdb
    except ImportError as error:
        raise BadStart(
            f"--database mysql: needs mysqlclient ({error}); install `twistd-chat[mysql]`"
        ) from None
    return MySQLdb


class Mysql(Dialect):
    """A database of a MySQL or MariaDB server."""

    folder = "mysql"
    module = "MySQLdb"
    threads = 4
    begin = "BEGIN"
    for_update = " FOR UPDATE"
    clock = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))"

    def __init__(self, place: MysqlPlace) -> None:
        self.place = str(place)
        self._at = place
        self._driver = _driver()
        self.error = self._driver.Error

    def arguments(self, *, patient: bool = False) -> dict[str, Any]:
        answer = SCHEMA_WAIT if patient else ANSWER_WAIT
        arguments: dict[str, Any] = {
            "host": self._at.host,
            "port": self._at.port,
            "user": self._at.user,
            "password": self._at.password,
            "database": self._at.name,
            "charset": "utf8mb4",
            "sql_mode": _SQL_MODE,
            "autocommit": True,
            "binary_prefix": True,
            "multi_statements": False,
            "connect_timeout": CONNECT_WAIT,
            "read_timeout": answer,
            "write_timeout": answer,
        }
        if self._at.unix_socket:
            arguments |= {"host": "localhost", "unix_socket": self._at.unix_socket}
        return arguments

    def prepare(self, raw: Raw) -> None:
        cursor = raw.cursor()
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        cursor.execute("SET SESSION innodb_lock_wait_timeout = %s", (LOCK_WAIT,))

    def connect(self, *, patient: bool = False) -> Raw:
        try:
            raw = self._driver.connect(**self.arguments(patient=patient))
            self.prepare(raw)
        except self.error as error:
            text = error.args[1] if len(error.args) > 1 else error
            raise BadStart(f"the database {self.place} cannot be reached: {text}") from None
        return raw

    def exists(self) -> bool:
        return True

    def trouble(self, error: BaseException) -> Trouble:
        if isinstance(error, UnicodeEncodeError):
            return Trouble.DATA
        if not isinstance(error, self.error):
            return Trouble.NONE
        number = error.args[0] if error.args else 0
        if number in _BY_NUMBER:
            return _BY_NUMBER[number]
        if isinstance(error, self._driver.DataError):
            return Trouble.DATA
        # What the driver says of a connection that it has closed itself.
        return Trouble.LOST if isinstance(error, self._driver.InterfaceError) else Trouble.NONE

    def translate(self, sql: str) -> str:
        return sql.replace("?", "%s")

    def unless_there(self, column: str) -> str:
        # Not INSERT IGNORE, which would cut what is too long.
        return f" ON DUPLICATE KEY UPDATE {column} = {column}"

    def insert_all(
        self, cursor: Any, table: str, columns: str, rows: Sequence[Row], ending: str
    ) -> None:
        # One statement, so that it is all or none; InnoDB undoes a statement that fails.
        values = b"),(".join(_literals(cursor, rows))
        start = f"INSERT INTO {table} ({columns}) VALUES ("
        cursor.execute(start.encode() + values + b")" + ending.encode())

    def select_keys(
        self, cursor: Any, columns: str, table: str, key: Sequence[str], keys: Sequence[Row]
    ) -> Iterator[Row]:
        for wanted in _wanted(cursor, table, key, keys):
            cursor.execute(f"SELECT {columns} FROM ".encode() + wanted)
            yield from cursor.fetchall()

    def delete_keys(self, cursor: Any, table: str, key: Sequence[str], keys: Sequence[Row]) -> int:
        deleted = 0
        for wanted in _wanted(cursor, table, key, keys):
            deleted += cursor.execute(f"DELETE {table} FROM ".encode() + wanted)
        return deleted

    def delete_oldest(self, cursor: Any, table: str, age: str, before: int, limit: int) -> int:
        return int(
            cursor.execute(
                f"DELETE FROM {table} WHERE {age} < %s ORDER BY {age} LIMIT %s", (before, limit)
            )
        )

    # The epoch last: what comes after it sees the new one.
    next_epoch = (
        " ON DUPLICATE KEY UPDATE node = IF(epoch = VALUES(epoch) - 1, VALUES(node), node),"
        " epoch = IF(epoch = VALUES(epoch) - 1, VALUES(epoch), epoch)"
    )
    waiting_by_sender = "FORCE INDEX (offlinemessage_cid)"
    # Otherwise the latter half of a mailbox is read from its beginning, each page anew.
    waiting_in_order = "FORCE INDEX (PRIMARY)"
    # MySQL leaps over an index by itself where the groups are its first columns.
    newest_lines = """
        SELECT low, high, MAX(stamp) FROM message WHERE low = ? GROUP BY low, high
        UNION
        SELECT low, high, MAX(stamp) FROM message WHERE high = ? AND low > 0 GROUP BY high, low
    """

    def tables(self, statements: Statements) -> set[str]:
        found = statements.rows(
            "SELECT LOWER(table_name) FROM information_schema.tables WHERE table_schema = ?",
            (self._at.name,),
        )
        return {name for (name,) in found}

    @contextmanager
    def alone(self, raw: Raw) -> Iterator[None]:
        name = f"chat:{self._at.name}"[:64]
        cursor = raw.cursor()
        cursor.execute("SELECT GET_LOCK(%s, %s)", (name, SCHEMA_WAIT // 2))
        if cursor.fetchone() != (1,):
            raise BadStart(f"the schema of {self.place} is locked by another process")
        try:
            yield
        finally:
            # It goes with the connection in any case.
            with suppress(self.error):
                cursor.execute("SELECT RELEASE_LOCK(%s)", (name,))


def _literals(cursor: Any, rows: Sequence[Row]) -> list[bytes]:
    """Each row's values as SQL, between commas.  A column holds integers in every row, or in none:
    they need no escaping, which is most of what the driver does for a statement."""
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
    marks: list[bytes] = []
    for number, column in enumerate(columns):
        if isinstance(column[0], int):
            marks.append(b"%d")
        else:
            marks.append(b"%s")
            columns[number] = list(map(cursor.connection.literal, column))
    one = b",".join(marks)
    return [one % row for row in zip(*columns, strict=True)]


def _wanted(cursor: Any, table: str, key: Sequence[str], keys: Sequence[Row]) -> Iterator[bytes]:
    """The keys as a table, joined to the rows that have them: one look into the index for each.
    As conditions (``IN``, ``OR``) they cost the optimizer more than the work itself."""
    names = (
        "SELECT "
        + ",".join(f"NULL AS wanted_{column}" for column in key)
        + " FROM DUAL WHERE FALSE"
    )
    equal = " AND ".join(f"{column} = wanted_{column}" for column in key)
    ending = f") AS wanted STRAIGHT_JOIN {table} ON {equal}".encode()
    for start in range(0, len(keys), KEYS_A_STATEMENT):
        literals = _literals(cursor, keys[start : start + KEYS_A_STATEMENT])
        yield b"(" + names.encode() + b" UNION ALL SELECT ".join([b"", *literals]) + ending
