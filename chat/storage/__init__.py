"""The stores: SQLite and MySQL through one set of tables, and memory."""

from __future__ import annotations

from collections.abc import Callable
from time import time
from typing import Any

from ..errors import BadStart
from ..interfaces import Store
from . import schema
from .dialects import Dialect
from .memory import MemoryStore
from .mysql import Mysql
from .places import Memory, MysqlPlace, SqlitePlace, parse
from .sqlite import Sqlite
from .store import SqlStore


def _dialect(place: SqlitePlace | MysqlPlace) -> Dialect:
    return Sqlite(place) if isinstance(place, SqlitePlace) else Mysql(place)


def open_store(url: str, reactor: Any, now: Callable[[], float] = time) -> Store:
    """The store at this URL (``sqlite:PATH``, ``mysql://…``, ``memory:``), not open yet.

    :param now: seconds since the epoch, for what the store dates itself (when somebody joined).
    :raises BadStart: the URL is none, or the driver of its database is not installed.
    """
    place = parse(url)
    if isinstance(place, Memory):
        return MemoryStore(now)
    return SqlStore(_dialect(place), reactor, now)


def dialect_of(url: str) -> Dialect:
    """The database at this URL, for work outside the server.

    :raises BadStart: the URL is none, or of memory.
    """
    place = parse(url)
    if isinstance(place, Memory):
        raise BadStart("memory: is gone with its process")
    return _dialect(place)


def check(url: str) -> None:
    """What can be told of a database before the reactor runs, without changing anything.

    Blocks, for 5 s at most where a server does not answer.

    :raises BadStart: the URL is none, the database cannot be reached, or it is not of a version
        that this code can use; one line that says which.
    """
    place = parse(url)
    if isinstance(place, Memory):
        return
    dialect = _dialect(place)
    if dialect.exists():
        raw = dialect.connect()
        try:
            schema.version(dialect, raw)
        finally:
            raw.close()
