"""What a client must not forget when it is killed: a small SQLite file.

It holds the messages that are not acknowledged, in order, and the keys of those that were shown.
Every record is its own transaction, written before the call returns, so a process killed at any
moment leaves all of it or nothing (WAL).  After a power cut the last records may be missing unless
``durable`` is set; the file is whole all the same.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from twisted.logger import Logger

from .errors import LedgerError, LedgerInUse
from .receiving import Key
from .sending import Unsent

log = Logger()

APPLICATION_ID = 0x63686174
VERSION = 1

_SCHEMA = """
CREATE TABLE outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    cid TEXT NOT NULL UNIQUE,
    kind INTEGER NOT NULL,
    target INTEGER NOT NULL,
    text TEXT NOT NULL,
    time TEXT NOT NULL
);
CREATE TABLE seen (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    sender INTEGER NOT NULL,
    cid TEXT NOT NULL
);
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class Ledger:
    """One user's ledger; made when it is not there, readable by its owner only.

    :param path: the file; while it is open, and after a kill, ``-wal`` beside it belongs to it.
    :param user_id: whose it is; another's is refused, as its messages would go out under the
        wrong name.  A server of its own wants a file of its own.
    :param seen: how many keys of shown messages are kept; at most a tenth more are in the file.
    :param durable: wait for the disk at every record, so that not even a power cut loses one.
    :raises LedgerInUse: another running client has it.
    :raises LedgerError: it cannot be used; the text says why.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        user_id: int,
        *,
        seen: int = 20_000,
        durable: bool = False,
    ) -> None:
        self.path = os.fspath(path)
        self._bound = seen
        self._recorded = 0
        with self._errors():
            # SQLite gives the files beside it the same mode.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._db = sqlite3.connect(
                self.path, timeout=0, isolation_level=None, check_same_thread=False
            )
        try:
            with self._errors():
                self._open(user_id, durable)
        except BaseException:
            self._db.close()
            raise

    def _open(self, user_id: int, durable: bool) -> None:
        db = self._db
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        db.execute("BEGIN EXCLUSIVE")
        (found,) = db.execute("PRAGMA application_id").fetchone()
        (version,) = db.execute("PRAGMA user_version").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables == 0:
            for statement in _SCHEMA.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {VERSION}")
            db.execute("INSERT INTO about VALUES ('user', ?)", (str(user_id),))
        elif found != APPLICATION_ID:
            raise LedgerError(f"{self.path} is another program's database")
        elif version != VERSION:
            raise LedgerError(f"{self.path} was written by another version ({version})")
        db.execute("COMMIT")
        owner = self._about("user")
        if owner != str(user_id):
            raise LedgerError(f"{self.path} belongs to user {owner}")

    def unsent(self) -> list[Unsent]:
        """What is not acknowledged, in order."""
        with self._errors():
            rows = self._db.execute(
                "SELECT cid, kind, target, text, time FROM outbox ORDER BY number"
            )
            return [Unsent(*row) for row in rows]

    def seen(self) -> list[Key]:
        """What was shown, the oldest first."""
        with self._errors():
            rows = self._db.execute(
                "SELECT sender, cid FROM seen ORDER BY number DESC LIMIT ?", (self._bound,)
            ).fetchall()
        return [(sender, cid) for sender, cid in reversed(rows)]

    def keep(self, unsent: Unsent) -> None:
        """A message is to be sent; it is on the file when this returns."""
        with self._errors():
            self._db.execute(
                "INSERT INTO outbox (cid, kind, target, text, time) VALUES (?, ?, ?, ?, ?)",
                (unsent.cid, unsent.kind, unsent.target, unsent.text, unsent.time),
            )

    def forget(self, cid: str) -> None:
        """The message is acknowledged or refused."""
        with self._errors():
            self._db.execute("DELETE FROM outbox WHERE cid = ?", (cid,))

    def saw(self, key: Key) -> None:
        """The message was shown; it is on the file when this returns."""
        with self._errors():
            number = self._db.execute("INSERT INTO seen (sender, cid) VALUES (?, ?)", key).lastrowid
            self._recorded += 1
            if number is not None and self._recorded > self._bound // 10:
                self._recorded = 0
                self._db.execute("DELETE FROM seen WHERE number <= ?", (number - self._bound,))

    def token(self) -> str | None:
        """A token that logs in without password, if one is kept here."""
        with self._errors():
            return self._about("token")

    def keep_token(self, token: str | None) -> None:
        """Keep a token, in place of any other; None: keep none."""
        with self._errors():
            if token is None:
                self._db.execute("DELETE FROM about WHERE name = 'token'")
            else:
                self._db.execute("INSERT OR REPLACE INTO about VALUES ('token', ?)", (token,))

    def close(self) -> None:
        """Let go of the file."""
        with suppress(sqlite3.Error):
            self._db.close()

    def _about(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as cause:
            if "locked" in str(cause):
                raise LedgerInUse(f"{self.path} is in use by another client") from cause
            raise LedgerError(f"{self.path}: {cause}") from cause
        except (sqlite3.Error, OSError) as cause:
            raise LedgerError(f"{self.path}: {cause}") from cause


def written(write: Callable[..., None], *args: object) -> None:
    """Write what can be done without: at worst something is sent again.  A failure is logged."""
    try:
        write(*args)
    except LedgerError:
        log.failure("the ledger cannot be written")
