"""Messages that travel together: what a read brings for one recipient, and what goes round a group.

They need no objects of their own unless something goes wrong; then they are taken apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from .copies import Copy, Row
from .messages import Chat, MsgId
from .receipts import Burst, Nameless, Receipt, State
from .wire import parse, with_seq


class Together(Protocol):
    """Who waits for the facts of messages that travel together."""

    def settle_many(self, count: int, state: State) -> None:
        """All of them are served."""

    def apart(self) -> Sequence[Receipt]:
        """Who waits for each of them; from now on each is told by itself."""


class Run(msgspec.Struct, gc=False, eq=False):
    """Messages from one sender to one recipient: of one read, or of one entry from another node."""

    sender: int
    stamp: int
    """Of the first; the others have the next ones, unless there are :attr:`stamps`."""
    cids: list[str] | None
    """Their sender's; None: each gets the prefix with its stamp behind it, when it needs one."""
    prefix: str
    lines: list[bytes]
    receipt: Nameless | Together | None
    born: float
    size: int
    """Bytes of the lines, with their ends."""
    place: int = 0
    """Of the last of them, see :attr:`chat.copies.Copy.place`."""
    numbered: bool = False
    """Whether they were pushed to a level 2 client: each ``place`` is one more than the last."""
    row: Row = Row.NONE
    parts: list[Copy] | None = None
    """The messages, when they have been taken apart."""
    kind: int = MsgId.ONE_CHAT
    stamps: list[int] | None = None
    """Of all of them."""

    def settle(self, state: State) -> None:
        """Tell the sender of all of them, once."""
        receipt, self.receipt = self.receipt, None
        if receipt is not None:
            receipt.settle_many(len(self.lines), state)

    @property
    def first(self) -> int:
        """The ``seq`` of the first of them."""
        return self.place - len(self.lines) + 1

    def cid(self, index: int) -> str:
        """The name of one of them."""
        return f"{self.prefix}{self.stamp_of(index)}" if self.cids is None else self.cids[index]

    def stamp_of(self, index: int) -> int:
        """The place in the order of one of them."""
        return self.stamp + index if self.stamps is None else self.stamps[index]

    def with_seqs(self, seq: int) -> list[bytes]:
        """The lines as a level 2 client gets them; ``seq``: of the first."""
        if self.cids is None:
            return [
                with_seq(line, seq + index, self.cid(index))
                for index, line in enumerate(self.lines)
            ]
        return [b'%b,"seq":%d}' % (line[:-1], seq) for seq, line in enumerate(self.lines, seq)]

    def apart(self) -> list[Copy]:
        """The messages, each with its place and its receipt."""
        receipt, self.receipt = self.receipt, None
        count = len(self.lines)
        if receipt is None or isinstance(receipt, Nameless):
            receipts: Sequence[Receipt | None] = [receipt] * count
        else:
            receipts = receipt.apart()
        place = self.place - (count if self.numbered else self.size)
        given = self.cids is None
        copies = []
        for index, line in enumerate(self.lines):
            place += 1 if self.numbered else len(line) + 1
            ask = parse(line)
            assert isinstance(ask, Chat)
            copies.append(
                Copy(self.sender, self.stamp_of(index), self.cid(index), given, self.kind, line,
                     receipts[index], self.born, ask, Row.NONE, place, True)
            )  # fmt: skip
        self.parts = copies
        return copies


class GroupRun(msgspec.Struct, gc=False, eq=False):
    """What goes round a group together, in the hands of one level 1 client."""

    receipt: Burst | None
    copies: list[Copy]
    """One of each message, for all members."""
    lines: list[bytes]
    born: float
    size: int
    """Bytes of the lines, with their ends."""
    place: int = 0
    """How many bytes the connection had to write with the last of them."""
    row: Row = Row.NONE
    sender: int = 0
    """Nobody's: a group is not blocked."""

    def settle(self, state: State) -> None:
        """They have been pushed."""
        burst, self.receipt = self.receipt, None
        if burst is not None:
            burst.end()

    def apart(self) -> list[Copy]:
        """The messages, each with its place."""
        burst, self.receipt = self.receipt, None
        place = self.place - self.size
        copies = []
        for index, copy in enumerate(self.copies):
            place += len(copy.body) + 1
            receipt = None if burst is None else burst.parts[index]
            copies.append(
                Copy(copy.sender, copy.stamp, copy.cid, copy.given, copy.kind, copy.body, receipt,
                     self.born, copy.ask, Row.NONE, place, True)
            )  # fmt: skip
        if burst is not None:
            burst.apart()
        return copies
