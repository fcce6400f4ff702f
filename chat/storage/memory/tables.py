"""What the parts of the in-memory store share: its tables, and how a method answers at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import msgspec
from twisted.internet.defer import Deferred, fail, succeed

P = ParamSpec("P")
T = TypeVar("T")


def answered(method: Callable[P, T]) -> Callable[P, Deferred[T]]:
    """A method whose Deferred has fired when it is returned."""

    @wraps(method)
    def answer(*args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        try:
            return succeed(method(*args, **kwargs))
        except Exception as error:
            return fail(error)

    return answer


class UserRow(msgspec.Struct):
    """A row of ``user``."""

    id: int
    name: str
    name_key: str
    password: str
    online: bool = False
    disabled: bool = False


class Tables:
    """The rows, found as the parts need them.

    :param now: seconds since the epoch.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.users: dict[int, UserRow] = {}
        self.names: dict[str, int] = {}
        self.last_user = 0
        self.blocks: dict[int, set[int]] = {}
