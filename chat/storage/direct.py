"""The database without threads, for commands beside the server."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from twisted.internet.defer import Deferred, execute

from ..errors import BadStart
from .dialects import Dialect, Statements
from .sql import Database

T = TypeVar("T")


class Direct:
    """One connection; each work is one transaction, done before the call returns.

    :raises BadStart: the database cannot be reached.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.place = dialect.place
        self.raw = dialect.connect(patient=True)

    def close(self) -> None:
        """The connection is not needed any more."""
        self.raw.close()

    def in_one(self, work: Callable[[Statements], T]) -> T:
        """Do it in one transaction; what it raises undoes it.

        :raises BadStart: the database did not do its part; one line that says why.
        """
        statements = Statements(self.dialect, self.raw)
        try:
            statements.run(self.dialect.begin)
            try:
                result = work(statements)
            except BaseException:
                self.raw.rollback()
                raise
            self.raw.commit()
        except self.dialect.error as error:
            text = error.args[-1] if error.args else error
            raise BadStart(f"the database {self.place} did not do it: {text}") from error
        return result

    def read(self, name: str, work: Callable[[Statements], T]) -> Deferred[T]:
        """See :meth:`chat.storage.sql.Database.read`; the answer is there."""
        return execute(self.in_one, work)

    def write(
        self, name: str, work: Callable[[Statements], T], *, again: bool = False, own: bool = False
    ) -> Deferred[T]:
        """See :meth:`chat.storage.sql.Database.write`; the answer is there."""
        return execute(self.in_one, work)

    @property
    def database(self) -> Database:
        """For the tables' classes, which use nothing else of one."""
        return cast(Database, self)


def answer_of(done: Deferred[T]) -> T:
    """What a Deferred has that has been called already; raises what it failed with."""
    answers: list[T] = []
    failures: list[BaseException] = []
    done.addCallbacks(answers.append, lambda failure: failures.append(failure.value))
    if failures:
        raise failures[0]
    return answers[0]
