"""Interactions with a database: in threads of their own, repeated where that is safe, bounded.

Over ``twisted.enterprise.adbapi``, whose ``cp_reconnect`` fails one interaction for each thread
when the connections are gone.  Here an attempt (:mod:`chat.storage.attempts`) says what it met, and
the interaction is tried again for :data:`PATIENCE` seconds, unless its commit may have happened and
must not happen twice.
"""

from __future__ import annotations

import random
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any, Generic, TypeVar

from twisted.enterprise.adbapi import ConnectionPool
from twisted.internet import defer
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..errors import StoreAway
from .attempts import Attempts, Outcome, Pool, Stumble, Work
from .dialects import Dialect, Trouble

T = TypeVar("T")

PATIENCE = 3.0
"""Seconds after its start in which an interaction is tried again."""
PAUSES = (0.02, 0.1, 0.3, 0.6, 1.0)
"""Seconds before each further attempt, more or less."""
CLOSING_WAIT = 3.0
"""Seconds for what is under way when the database is closed; a server that hangs may take more."""

READ_TOGETHER = 16
"""Interactions that are done in one go at most: the first one's answer waits for the last one."""

_REPEATED = frozenset({Trouble.AGAIN, Trouble.LOST})


@dataclass
class Figures:
    """What the interactions of one name came to, for the status page and for tests."""

    count: int = 0
    seconds: float = 0.0
    repeats: int = 0
    failures: int = 0


@dataclass
class _Call(Generic[T]):
    name: str
    work: Work[T]
    writes: bool
    again: bool
    """Whether the work may be done twice."""
    pool: ConnectionPool
    began: float
    attempts: int = 0
    steps: bool = False
    """Whether each statement is committed by itself."""
    unknown: bool = False
    """Whether an attempt's commit may have happened."""


class Database:
    """One database and its threads: the named interactions of :meth:`read` and :meth:`write`.

    :param own: how many connections :meth:`write` has for work that asks for its ``own``.
    """

    _log = Logger()

    def __init__(self, dialect: Dialect, reactor: Any, *, own: int = 0) -> None:
        self.dialect = dialect
        self.figures: dict[str, Figures] = {}
        self._reactor = reactor
        self._pool = self._threads("chat-store", dialect.threads)
        self._own = self._threads("chat-writer", own) if own else self._pool
        self._closed = False
        self._under_way = 0
        self._told = 0.0
        self._idle: Deferred[None] | None = None
        self._attempts = Attempts(dialect)
        self._waiting: deque[tuple[Work[Any], Deferred[Any]]] = deque()
        """What is to be read as soon as a thread is free."""
        self._free = dialect.threads
        """How many threads read nothing."""

    def _threads(self, name: str, count: int) -> ConnectionPool:
        return Pool(
            self.dialect.module,
            cp_min=count,
            cp_max=count,
            cp_name=name,
            cp_openfun=self.dialect.prepare,
            cp_reactor=self._reactor,
            **self.dialect.arguments(),
        )

    def read(self, name: str, work: Work[T]) -> Deferred[T]:
        """Statements that change nothing, without a transaction around them.

        :raises StoreAway: ``unknown`` is False.
        """
        return self._start(_Call(name, work, False, True, self._pool, monotonic()))

    def write(
        self, name: str, work: Work[T], *, again: bool = False, own: bool = False
    ) -> Deferred[T]:
        """Statements in one transaction, committed when ``work`` returns and undone when it raises.

        :param again: the work may be done twice; otherwise it is not done again once its commit
            may have happened.
        :raises StoreAway: ``unknown`` where a commit may have happened.
        """
        # With one thread, all writing has its own: nothing that is read waits for a commit.
        pool = self._own if own or self.dialect.threads == 1 else self._pool
        return self._start(_Call(name, work, True, again, pool, monotonic()))

    def steps(self, name: str, work: Work[T]) -> Deferred[T]:
        """Statements that are a transaction each, so that a process that is stopped between two of
        them keeps no row locked that others need.  The work may be done twice, and in part.

        :raises StoreAway: ``unknown``, as some of it may have been done.
        """
        pool = self._own if self.dialect.threads == 1 else self._pool
        return self._start(_Call(name, work, False, True, pool, monotonic(), steps=True))

    def _start(self, call: _Call[T]) -> Deferred[T]:
        if self._closed:
            return fail(StoreAway("the store is closed", unknown=False))
        self._under_way += 1
        return self._attempt(call).addBoth(self._ended, call)

    def _attempt(self, call: _Call[T]) -> Deferred[T]:
        call.attempts += 1
        attempt: Deferred[T]
        if call.writes or call.steps:
            attempt = call.pool.runWithConnection(self._attempts.run, call.work, call.writes)
        else:
            attempt = Deferred()
            self._waiting.append((call.work, attempt))
            if self._free:
                self._read_some()
        return attempt.addErrback(self._stumbled, call)

    def _read_some(self) -> None:
        """Go to a thread, with all that waits: the way there costs more than what is done there."""
        self._free -= 1
        waiting = self._waiting
        some = [waiting.popleft() for _ in range(min(READ_TOGETHER, len(waiting)))]
        going = self._pool.runWithConnection(self._attempts.run_all, [work for work, _ in some])
        going.addBoth(self._have_read, [attempt for _, attempt in some])

    def _have_read(self, outcomes: list[Outcome] | Failure, attempts: list[Deferred[Any]]) -> None:
        self._free += 1
        if self._waiting:
            self._read_some()
        for place, attempt in enumerate(attempts):
            outcome = outcomes if isinstance(outcomes, Failure) else outcomes[place]
            # Either way: a Deferred's callback takes a Failure as an errback does.
            attempt.callback(outcome)

    def _stumbled(self, failure: Failure, call: _Call[T]) -> Any:
        stumble = failure.check(Stumble) and failure.value
        if not isinstance(stumble, Stumble):
            return failure
        call.unknown = call.unknown or stumble.unknown or call.steps
        if (
            stumble.trouble in _REPEATED
            and call.attempts <= len(PAUSES)
            and monotonic() - call.began < PATIENCE
            and (call.again or not call.unknown)
        ):
            pause = PAUSES[call.attempts - 1] * random.uniform(0.5, 1.0)
            return deferLater(self._reactor, pause, self._attempt, call)
        self._tell(call, stumble)
        return Failure(StoreAway(str(stumble), unknown=call.unknown))

    def _tell(self, call: _Call[Any], stumble: Stumble) -> None:
        """One line a second at most: when the database is away, everything meets it."""
        now = monotonic()
        if now - self._told >= 1.0:
            self._told = now
            self._log.warn(
                "{interaction}: {text} ({failures} interactions failed so far)",
                interaction=call.name,
                text=str(stumble),
                failures=sum(figures.failures for figures in self.figures.values()) + 1,
            )

    def _ended(self, result: Any, call: _Call[T]) -> Any:
        figures = self.figures.setdefault(call.name, Figures())
        figures.count += 1
        figures.seconds += monotonic() - call.began
        figures.repeats += call.attempts - 1
        figures.failures += isinstance(result, Failure) and result.check(StoreAway) is not None
        self._under_way -= 1
        if not self._under_way and self._idle is not None:
            self._idle.callback(None)
        return result

    async def close(self) -> None:
        """Wait for what is under way, :data:`CLOSING_WAIT` seconds at most, and end."""
        if self._closed:
            return
        self._closed = True
        if self._under_way:
            self._idle = Deferred()
            self._idle.addTimeout(CLOSING_WAIT, self._reactor)
            with suppress(defer.TimeoutError):
                await self._idle
        hung = self._under_way > 0
        for pool in {self._pool, self._own}:
            if hung and pool.running:
                # Its threads are waited for when it is closed: leave them to the process's end.
                self._reactor.removeSystemEventTrigger(pool.shutdownID)
                pool.shutdownID = None
            else:
                pool.close()
