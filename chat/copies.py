"""A message on its way to one recipient, and what its mailbox sees of the world."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

import msgspec

from .errors import ChatError
from .messages import Chat
from .model import Kept
from .receipts import Receipt, State

if TYPE_CHECKING:
    from .mailbox import Mailbox


class Row(IntEnum):
    """Whether a message in memory has a row in the store as well."""

    NONE = 0
    WRITING = 1
    KEPT = 2
    PERHAPS = 3
    """The store went away in the middle."""


class Copy(msgspec.Struct, gc=False, eq=False):
    """A message on its way to one recipient.

    A Struct, as it is made for each message and must cost little; outside the garbage collection,
    as its only cycle, through the receipt, is broken when the sender is told.
    """

    sender: int
    stamp: int
    cid: str
    given: bool
    """Whether the server gave the cid: level 1 recipients do not see it."""
    kind: int
    body: bytes
    """The line as a level 1 client gets it."""
    receipt: Receipt | None
    born: float
    """When it arrived, in monotonic seconds."""
    ask: Chat | None
    """What was asked; None for a copy that came from the store."""
    row: Row = Row.NONE
    place: int = 0
    """Level 2: its ``seq``; level 1: how many bytes the connection had to write with it."""
    in_window: bool = False
    acknowledged: bool = False
    void: bool = False
    """It came to nothing: refused, or written to somebody who blocks the sender."""

    @classmethod
    def from_row(cls, row: Kept, now: float) -> Copy:
        """A message that waited in the store."""
        return cls(
            row.sender, row.stamp, row.cid, row.given, row.kind, row.body, None, now, None,
            Row.KEPT,
        )  # fmt: skip

    @property
    def name(self) -> tuple[int, str]:
        """What names the message for its recipient."""
        return self.sender, self.cid

    def settle(self, state: State) -> None:
        """Tell the sender, once."""
        receipt = self.receipt
        if receipt is not None:
            self.receipt = None
            receipt.settle(state)

    def refuse(self, error: ChatError) -> None:
        """Tell the sender that this copy is not taken, once."""
        self.void = True
        receipt = self.receipt
        if receipt is not None:
            self.receipt = None
            receipt.refuse(error)


class Receiver(Protocol):
    """The connection of a user."""

    level: int

    def push(self, line: bytes) -> int:
        """Queue a line; how many bytes have been queued since the connection began."""

    def push_all(self, lines: list[bytes]) -> int:
        """Queue several lines, as :meth:`push` does."""

    def flush(self) -> None:
        """Hand over to the kernel what it takes now; may call :meth:`Mailbox.written`."""

    def welcome(self, backlog: int, waiting: Sequence[Copy]) -> tuple[int, int]:
        """Answer the login.  At level 1 with the first of ``waiting``: how many of them are in the
        answer, and what :meth:`push` would return for it."""

    def not_welcome(self, error: ChatError) -> None:
        """The login fails after all."""


class Shelf(Protocol):
    """The store as a mailbox sees it; every answer comes later, as a call of the mailbox."""

    def census(self, mailbox: Mailbox) -> None:
        """:meth:`Mailbox.opened`, :meth:`Mailbox.nobody` or :meth:`Mailbox.not_opened`."""

    def keep(self, mailbox: Mailbox, copies: Sequence[Copy]) -> None:
        """In one transaction; :meth:`Mailbox.kept` or :meth:`Mailbox.not_kept`."""

    def fetch(self, mailbox: Mailbox, after: tuple[int, int], login: int) -> None:
        """:meth:`Mailbox.page` or :meth:`Mailbox.no_page`, with the same ``login``."""

    def forget(self, mailbox: Mailbox, copies: Sequence[Copy]) -> None:
        """:meth:`Mailbox.forgotten`, also when it gives up."""

    def pretend(self, mailbox: Mailbox, copy: Copy) -> None:
        """Keep nothing, and settle the copy as stored when that would have been settled."""
