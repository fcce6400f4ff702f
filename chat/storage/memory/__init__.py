"""The store that forgets everything with its process; the same contract as over a database."""

from __future__ import annotations

from collections.abc import Callable
from time import time

from .offline import MemoryOffline
from .tables import Tables, answered
from .users import MemoryUsers


class MemoryStore:
    """See :class:`chat.interfaces.Store`.

    :param now: seconds since the epoch, for what the store dates itself.
    """

    def __init__(self, now: Callable[[], float] = time) -> None:
        tables = Tables(now)
        self.offline = MemoryOffline(tables)
        self.users = MemoryUsers(tables, self.offline)

    @answered
    def open(self) -> None:
        """Nothing to connect to."""

    @answered
    def close(self) -> None:
        """Nothing to close."""

    @answered
    def ping(self) -> None:
        """It is always there."""

    def describe(self) -> str:
        return "memory:"
