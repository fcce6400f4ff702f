"""The stores under test: each contract runs over all of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from twisted.internet import reactor

from chat.interfaces import Store
from chat.model import Kept, KeptKey
from chat.storage import open_store

from ..mariadb import shared

if TYPE_CHECKING:
    from twisted.trial.unittest import TestCase

    Case = TestCase
else:
    Case = object


class OverAStore(Case):
    """A contract: what every store does alike.  ``store`` is open and empty before each test."""

    store: Store
    place: str
    """Its URL."""
    now = 1_700_000_000.0
    """The store's time, in seconds."""

    def url(self) -> str:
        """Where this kind of store is to be, anew for each test."""
        raise NotImplementedError

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        self.place = self.url()
        self.store = await self.opened()

    async def opened(self) -> Store:
        """A store there, for as long as the test runs."""
        store = open_store(self.place, reactor, lambda: self.now)
        await store.open()
        self.addCleanup(store.close)
        return store

    async def another(self) -> Store:
        """One more store of the same database, as another process has one; in memory there can be
        no other."""
        return await self.opened()

    async def people(self, *names: str) -> list[int]:
        """Users of these names."""
        return [await self.store.users.register(name, name, "a hash") for name in names]


class InMemory(OverAStore):
    """The store in memory."""

    def url(self) -> str:
        return "memory:"

    async def another(self) -> Store:
        return self.store


class OnSqlite(OverAStore):
    """A SQLite file."""

    def url(self) -> str:
        folder = Path(self.mktemp())
        folder.mkdir()
        return f"sqlite:{folder / 'chat.sqlite'}"


class OnMariaDB(OverAStore):
    """A database on a real MariaDB."""

    def url(self) -> str:
        return shared().emptied()


def kept(
    recipient: int,
    stamp: int,
    sender: int,
    cid: str | None = None,
    *,
    text: str = "hi",
    digest: bytes | None = None,
    given: bool = False,
    body: bytes | None = None,
) -> Kept:
    """A message that is to wait; its digest is the text's."""
    return Kept(
        recipient,
        stamp,
        sender,
        f"cid {stamp}" if cid is None else cid,
        given,
        5,
        text.encode().ljust(8, b"\0")[:8] if digest is None else digest,
        f'{{"msgid":5,"msg":"{text}"}}'.encode() if body is None else body,
    )


def key_of(row: Kept) -> KeptKey:
    """The key of a row."""
    return KeptKey(row.recipient, row.stamp, row.sender)
