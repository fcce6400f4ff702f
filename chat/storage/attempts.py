"""One attempt at an interaction: a transaction in a thread, whole or not at all.

What the threads learn of the server they share: when one of them finds its connection broken, all
others of the same age are thrown away before they are used, and while the server is down one
thread at a time looks whether it is back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from twisted.enterprise.adbapi import ConnectionPool
from twisted.python.failure import Failure

from .dialects import Dialect, Raw, Statements, Trouble

T = TypeVar("T")
Work = Callable[[Statements], T]
Outcome = Any | Failure


class Stumble(Exception):
    """An attempt came to nothing, by the database's doing.

    :param unknown: whether its commit may have happened all the same.
    """

    def __init__(self, text: str, trouble: Trouble, *, unknown: bool) -> None:
        self.trouble = trouble
        self.unknown = unknown
        super().__init__(text)


class Session:
    """What an attempt gets from the pool: this thread's connection, when it asks for it.

    Transactions are begun and ended by the attempt itself, so what the pool does about them before
    and after is nothing.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    def commit(self) -> None:
        """Done by the attempt."""

    def rollback(self) -> None:
        """Done by the attempt."""

    def raw(self) -> Raw:
        """The connection of this thread; made, if there is none."""
        return self._pool.connect()

    def discard(self) -> None:
        """Close the connection of this thread."""
        raw = self._pool.connections.get(self._pool.threadID())
        if raw is not None:
            self._pool.disconnect(raw)


class _Daemon(threading.Thread):
    """A thread that waits for a server that hangs does not hold up the end of the process."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs, daemon=True)


class Pool(ConnectionPool):
    """Threads and their connections."""

    connectionFactory: Any = Session  # noqa: N815 - the name that Twisted looks for

    def start(self) -> None:
        self.threadpool.threadFactory = _Daemon
        super().start()


class Attempts:
    """What the threads do, and what they know of the server together."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._age = 0
        self._ages: dict[int, int] = {}
        """Of each thread's connection."""
        self._down = False
        self._looking = threading.Lock()

    def run(self, session: Session, work: Work[T], writes: bool) -> T:
        """Do the work; in a transaction that is committed, if it ``writes``.

        :raises Stumble: the database could not do it.
        """
        try:
            raw = self._connection(session)
        except (self._dialect.error, OSError) as error:
            raise self._lost(session, error, unknown=False) from None
        committing = False
        try:
            statements = Statements(self._dialect, raw)
            if writes:
                statements.run(self._dialect.begin)
            result = work(statements)
            if writes:
                committing = True
                statements.run("COMMIT")
            return result
        except BaseException as error:
            trouble = self._dialect.trouble(error)
            if trouble is Trouble.LOST:
                raise self._lost(session, error, unknown=committing) from None
            if writes:
                self._undo(session, raw)
            if trouble in (Trouble.AGAIN, Trouble.AWAY):
                raise Stumble(_text(error), trouble, unknown=False) from None
            raise

    def run_all(self, session: Session, works: Sequence[Work[Any]]) -> list[Outcome]:
        """Do some that change nothing, one after the other: for each what it has come to, or why
        it has not.  When the database cannot do one of them, those behind it are not tried."""
        outcomes: list[Outcome] = []
        for work in works:
            try:
                outcomes.append(self.run(session, work, writes=False))
            except Stumble:
                outcomes += [Failure()] * (len(works) - len(outcomes))
                break
            except BaseException:
                outcomes.append(Failure())
        return outcomes

    def _connection(self, session: Session) -> Raw:
        thread = threading.get_ident()
        if self._ages.get(thread) != self._age:
            session.discard()
            # The others must not wait with the one that looks.
            looking = self._down
            if looking and not self._looking.acquire(blocking=False):
                raise ConnectionError("the database is away")
            try:
                age = self._age
                session.raw()
                self._ages[thread] = age
                self._down = False
            finally:
                if looking:
                    self._looking.release()
        return session.raw()

    def _lost(self, session: Session, error: BaseException, *, unknown: bool) -> Stumble:
        """Throw this connection away; the others of its age are no better."""
        if self._ages.pop(threading.get_ident(), None) == self._age:
            self._age += 1
        self._down = True
        session.discard()
        return Stumble(_text(error), Trouble.LOST, unknown=unknown)

    def _undo(self, session: Session, raw: Raw) -> None:
        try:
            raw.rollback()
        except self._dialect.error:
            self._ages.pop(threading.get_ident(), None)
            session.discard()


def _text(error: BaseException) -> str:
    return " ".join(str(part) for part in error.args) or type(error).__name__
