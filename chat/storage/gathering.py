"""Interactions of one kind that come close together, in one.

An interaction costs about the same for one user as for fifty, most of it in going to a thread and
back.  So while some of a kind are under way, the next ones are collected: a storm of logins becomes
some dozens of interactions a second, and a login that comes alone waits for nobody.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from .dialects import Statements
from .sql import Database

K = TypeVar("K")
V = TypeVar("V")

TOGETHER = 64
"""How many one interaction answers at most: others want their turn in the thread as well."""


class Gathering(Generic[K, V]):
    """Asks the database for many keys at a time.

    :param name: the interaction's.
    :param work: the values for some keys, in their order.
    :param steps: it writes, each statement by itself (:meth:`Database.steps`), and one interaction
        runs at a time: what is asked of one key happens one after the other.
    """

    def __init__(
        self,
        database: Database,
        name: str,
        work: Callable[[Statements, Sequence[K]], list[V]],
        *,
        steps: bool = False,
    ) -> None:
        self._name = name
        self._work = work
        self._waiting: deque[tuple[K, Deferred[V]]] = deque()
        self._start = database.steps if steps else database.read
        self._free = 1 if steps else max(1, database.dialect.threads // 2)
        """How many more interactions may run; not all threads are for these."""

    def ask(self, key: K) -> Deferred[V]:
        """The value for this key.

        :raises StoreAway: nothing is known of it.
        """
        answer: Deferred[V] = Deferred()
        self._waiting.append((key, answer))
        if self._free:
            self._run()
        return answer

    def _run(self) -> None:
        self._free -= 1
        some = [self._waiting.popleft() for _ in range(min(TOGETHER, len(self._waiting)))]
        keys = [key for key, _ in some]
        asking = self._start(self._name, lambda statements: self._work(statements, keys))
        asking.addBoth(self._answer, [answer for _, answer in some])

    def _answer(self, result: list[V] | Failure, answers: list[Deferred[V]]) -> None:
        self._free += 1
        if self._waiting:
            # Before what follows from the answers, so that the thread has something to do.
            self._run()
        if isinstance(result, Failure):
            for answer in answers:
                answer.errback(Failure(result.value))
        else:
            for answer, value in zip(answers, result, strict=True):
                answer.callback(value)
