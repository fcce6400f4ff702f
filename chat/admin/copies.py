"""Backup and restore of a SQLite file, page by page, beside a server that runs."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from ..errors import BadStart
from ..storage import dialect_of, schema
from ..storage.direct import Direct
from ..storage.sqlite import Sqlite

PAGES = 2000
"""Copied at a time, between which the server has its turn."""

Tell = Callable[[str, int, int], None]


def need_sqlite(direct: Direct) -> sqlite3.Connection:
    """These two are for SQLite.

    :raises BadStart: it is another database.
    """
    raw = direct.raw
    if not isinstance(raw, sqlite3.Connection):
        raise BadStart(
            "backup and restore are for SQLite; for MariaDB and MySQL there is"
            " mariadb-dump --single-transaction (docs/operating.md)"
        )
    return raw


def backup(direct: Direct, path: Path, tell: Tell) -> int:
    """Copy the database as it is at one moment into a new file for its owner alone; its bytes.

    :raises BadStart: the file is there already, or cannot be written.
    """
    source = need_sqlite(direct)
    if path.exists():
        raise BadStart(f"{path} is there already")
    part = path.with_name(f"{path.name}.part")
    try:
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        with closing(sqlite3.connect(part)) as target:
            _copy(source, target, tell)
            # One file, without a log beside it.
            target.execute("PRAGMA journal_mode = DELETE")
        with part.open("rb") as done:
            os.fsync(done.fileno())
        part.rename(path)
    except (OSError, sqlite3.Error) as error:
        part.unlink(missing_ok=True)
        raise BadStart(f"{path} cannot be written: {error}") from None
    return path.stat().st_size


def restore(direct: Direct, path: Path, tell: Tell) -> int:
    """Put a backup in the place of the database, in one transaction, and bring it up to date; the
    version of the schema that it had.

    :raises BadStart: it is no backup of ours, or somebody uses the database.
    """
    target = need_sqlite(direct)
    if not path.is_file():
        raise BadStart(f"{path}: no such file")
    dialect = dialect_of(f"sqlite:{path}")
    assert isinstance(dialect, Sqlite)
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as source:
            had = schema.version(dialect, source)
            if not had:
                raise BadStart(f"{path} is no database of this server")
            # Only who is alone with a database can leave the mode in which it has a log.
            target.execute("PRAGMA busy_timeout = 0")
            target.execute("PRAGMA journal_mode = DELETE")
            _copy(source, target, tell)
        direct.dialect.prepare(target)
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise BadStart(f"{direct.place} is in use: stop the server first") from None
        raise BadStart(f"{path} cannot be restored: {error}") from None
    except sqlite3.Error as error:
        raise BadStart(f"{path} cannot be restored: {error}") from None
    schema.upgrade(direct.dialect, target)
    return had


def _copy(source: sqlite3.Connection, target: sqlite3.Connection, tell: Tell) -> None:
    source.backup(
        target, pages=PAGES, progress=lambda _, left, total: tell("pages", total - left, total)
    )
