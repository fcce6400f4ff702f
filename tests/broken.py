"""A store that breaks when a test says so: gone, hanging, or with its answers lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from twisted.internet.defer import Deferred

from chat.errors import StoreAway
from chat.interfaces import Store

T = TypeVar("T")


class Faults:
    """What happens to the calls of a store; nothing, until one of the methods says so."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        """How often each method was called, by its name."""
        self._how = ""
        self._parts: tuple[str, ...] = ()
        self._hanging: list[Deferred[None]] = []

    def away(self, *parts: str) -> None:
        """It cannot be reached; with names of parts or methods, those cannot."""
        self._how, self._parts = "away", parts

    def lose_answers(self, *parts: str) -> None:
        """It does what it is asked, and the answer does not come back."""
        self._how, self._parts = "lose", parts

    def hang(self, *parts: str) -> None:
        """It answers when it has recovered."""
        self._how, self._parts = "hang", parts

    def delay(self, *parts: str) -> None:
        """It does what it is asked, and answers when it has recovered."""
        self._how, self._parts = "delay", parts

    def recover(self) -> None:
        """All is well again; what hung is done now, what was delayed is answered."""
        self._how = ""
        hanging, self._hanging = self._hanging, []
        for call in hanging:
            call.callback(None)

    def _recovered(self) -> Deferred[None]:
        hanging: Deferred[None] = Deferred()
        self._hanging.append(hanging)
        return hanging

    async def call(self, part: str, name: str, call: Callable[[], Awaitable[T]]) -> T:
        """Call the store, or not."""
        self.calls[name] += 1
        how = self._how if not self._parts or {part, name} & set(self._parts) else ""
        if how == "away":
            raise StoreAway("a test's fault", unknown=False)
        if how == "hang":
            await self._recovered()
        result = await call()
        if how == "delay":
            await self._recovered()
        if how == "lose":
            raise StoreAway("a test's fault", unknown=True)
        return result


class _Part:
    """One part of a store, as ``store.offline``."""

    def __init__(self, faults: Faults, name: str, part: object) -> None:
        self._faults = faults
        self._name = name
        self._part = part

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._part, name)
        return lambda *args: self._faults.call(self._name, name, lambda: method(*args))


class _Breakable:
    """A store whose parts can fail; it can always be opened and closed."""

    def __init__(self, faults: Faults, store: Store) -> None:
        self._faults = faults
        self._store = store

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._store, name)
        return value if callable(value) else _Part(self._faults, name, value)


def breakable(store: Store) -> tuple[Store, Faults]:
    """The same store, and what happens to it."""
    faults = Faults()
    return cast(Store, _Breakable(faults, store)), faults
