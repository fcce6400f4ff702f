"""What the sender of a message is to be told.

A message's receipt is told the fact, or the refusal, once for each copy; then it answers on the
connections that asked.  Pure: no I/O, the time is passed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol

import msgspec

from .errors import ChatError, Code
from .messages import MsgId
from .wire import encode, refusal

if TYPE_CHECKING:
    from .senders import Sender


def digest_of(kind: int, target: int, text_hash: int) -> int:
    """What tells a repeat from another message."""
    return hash((int(kind), target, text_hash))


class State(IntEnum):
    """A fact about a message; the weakest of a group's comes first."""

    PUSHED = 0
    STORED = 1
    DELIVERED = 2


_TAILS = (b',"state":"pushed"}', b',"state":"stored"}', b',"state":"delivered"}')
_ONE = b'{"msgid":11,"errno":0,"ack":5,"cid":'


class Answers(Protocol):
    """Where answers go: the connection on which a message came, as long as it is there."""

    level: int
    """At level 1 it is told refusals only."""

    def answer(self, line: bytes) -> None:
        """Queue one line for the client; nothing happens when it has gone."""

    def answer_all(self, lines: list[bytes]) -> None:
        """Queue several lines, as :meth:`answer` does."""


class Receipt(Protocol):
    """Who waits for the fact of a message."""

    def settle(self, state: State) -> None:
        """One copy is served."""

    def refuse(self, error: ChatError) -> None:
        """One copy is not taken."""


class Sent(msgspec.Struct, gc=False, eq=False):
    """A message with a ``cid``: who asked, and the answer once there is one.

    Outside the garbage collection: its cycle with the sender ends when it is forgotten.
    """

    sender: Sender
    asked_by: Answers
    kind: int
    target: int
    cid: str
    digest: int
    """See :func:`digest_of`."""
    state: State | None = None
    """None while it is open."""
    answered_at: float = 0.0
    others: list[Answers] | None = None
    """Who asked again meanwhile."""
    stamp: int = 0
    """Its place in the order."""

    def settle(self, state: State) -> None:
        """See :class:`Receipt`."""
        self.state = state
        self._finish(self.line(), 2)

    def refuse(self, error: ChatError) -> None:
        """See :class:`Receipt`."""
        self.sender.gave_up(self, error)
        self._finish(refusal(MsgId.ACK, error, ack=self.kind, cid=self.cid), 1)

    def again(self, asked_by: Answers, digest: int) -> None:
        """The same ``cid`` once more: the same answer, unless it is another message.

        :raises ChatError: 110.
        """
        if digest != self.digest:
            raise ChatError(Code.CID_REUSED)
        if self.state is not None:
            if asked_by.level > 1:
                asked_by.answer(self.line())
            return
        if self.others is None:
            self.others = []
        self.others.append(asked_by)
        self.sender.unanswered += 1

    def _finish(self, line: bytes, level: int) -> None:
        sender = self.sender
        self.answered_at = sender.now()
        asked_by = [self.asked_by, *(self.others or ())]
        self.others = None
        for connection in asked_by:
            if connection.level >= level:
                connection.answer(line)
        sender.ended(len(asked_by))

    def line(self) -> bytes:
        """The answer; there must be one."""
        assert self.state is not None
        return _ONE + encode(self.cid) + _TAILS[self.state]

    # As one of what a sender remembers

    def fresh(self, since: float) -> bool:
        """Whether it is under way, or was answered since then and not refused."""
        known = self.sender.sent.get(self.cid) is self
        return known and (self.state is None or self.answered_at > since)

    def forget(self, sent: dict[str, Sent | SentTogether]) -> None:
        """Take it out of this memory, where it is not another one's already."""
        if sent.get(self.cid) is self:
            del sent[self.cid]


class SentTogether(msgspec.Struct, gc=False, eq=False):
    """Messages with a ``cid`` that one read brought for one recipient: one answer, as long as they
    stay together, and one thing to remember."""

    sender: Sender
    asked_by: Answers
    target: int
    cids: list[str]
    hashes: list[int]
    """Of the texts."""
    state: State | None = None
    answered_at: float = 0.0
    parts: list[Sent] | None = None
    """The messages, once somebody had to tell them apart."""
    stamp: int = 0
    """Of the first; the others have the next ones."""

    def settle_many(self, count: int, state: State) -> None:
        """All of them are served."""
        if self.parts is not None:
            settle_all(self.parts, state)
            return
        sender = self.sender
        self.state = state
        self.answered_at = sender.now()
        if self.asked_by.level >= 2:
            tail = _TAILS[state]
            self.asked_by.answer_all([_ONE + encode(cid) + tail for cid in self.cids])
        sender.ended(count)

    def apart(self) -> list[Sent]:
        """The messages; from now on each is answered, and remembered, by itself."""
        if self.parts is None:
            self.parts = [self._part(index) for index in range(len(self.cids))]
            self.sender.sent.update(zip(self.cids, self.parts, strict=True))
        return self.parts

    def part(self, cid: str) -> Sent:
        """The message of that name, which must be one of them."""
        index = self.cids.index(cid)
        # What is answered can stay together: nothing more happens to it.
        return self._part(index) if self.state is not None else self.apart()[index]

    def _part(self, index: int) -> Sent:
        return Sent(
            self.sender, self.asked_by, MsgId.ONE_CHAT, self.target, self.cids[index],
            digest_of(MsgId.ONE_CHAT, self.target, self.hashes[index]), self.state,
            self.answered_at, None, self.stamp + index,
        )  # fmt: skip

    # As one of what a sender remembers

    def fresh(self, since: float) -> bool:
        """Whether one of them is."""
        if self.parts is not None:
            return any(part.fresh(since) for part in self.parts)
        return self.state is None or self.answered_at > since

    def forget(self, sent: dict[str, Sent | SentTogether]) -> None:
        """Take them out of this memory, where they are not others' already."""
        if self.parts is not None:
            for part in self.parts:
                part.forget(sent)
        else:
            for cid in self.cids:
                del sent[cid]


class SentToGroup(Sent, gc=False, eq=False):
    """A group message with a ``cid``: answered when every member is served, or when one cannot be
    for a while: it has to come again then, and so has all that came later."""

    open: int = 1
    """Copies without a fact, and one for the fan-out itself."""
    members: int = 0
    refused: int = 0
    weakest: State = State.DELIVERED
    error: ChatError | None = None
    over: bool = False
    """Whether it has been refused; who was not served by then is not to be."""

    def expect(self, members: int) -> None:
        """So many others are to be served."""
        self.members = members
        self.open += members

    def settle(self, state: State) -> None:
        """See :class:`Receipt`."""
        self.settle_many(1, state)

    def settle_many(self, count: int, state: State) -> None:
        """So many copies are served."""
        if state < self.weakest:
            self.weakest = state
        self._less(count)

    def refuse(self, error: ChatError) -> None:
        """See :class:`Receipt`."""
        if error.code == Code.MAILBOX_FULL:
            self.refused += 1
        elif error.code == Code.NO_SUCH_USER:
            # Has just ceased to be one.
            self.members -= 1
        elif error.code == Code.BUSY:
            if not self.over:
                # At once, before this member is served with what came later.
                for sent in [self, *self.sender.behind(self)]:
                    sent._end(error)
        elif self.error is None:
            self.error = error
        self._less(1)

    def _less(self, count: int) -> None:
        self.open -= count
        if self.open or self.over:
            return
        if self.error is None:
            super().settle(self.weakest)
        else:
            self._end(self.error)

    def _end(self, error: ChatError) -> None:
        self.error = error
        self.over = True
        super().refuse(error)

    def line(self) -> bytes:
        """The answer; there must be one."""
        assert self.state is not None
        refused = b',"refused":%d' % self.refused if self.refused else b""
        return b'{"msgid":11,"errno":0,"ack":9,"cid":%b,"members":%d%b%b' % (
            encode(self.cid), self.members, refused, _TAILS[self.state],
        )  # fmt: skip


class Nameless:
    """The messages of a connection that carry no ``cid``: only refusals are told."""

    __slots__ = ("asked_by", "kind", "sender")

    def __init__(self, sender: Sender, asked_by: Answers, kind: int) -> None:
        self.sender = sender
        self.asked_by = asked_by
        self.kind = kind

    def settle(self, state: State) -> None:
        """See :class:`Receipt`."""
        self.sender.ended(1)

    def settle_many(self, count: int, state: State) -> None:
        """So many of them are served."""
        self.sender.ended(count)

    def refuse(self, error: ChatError) -> None:
        """See :class:`Receipt`."""
        self.asked_by.answer(refusal(MsgId.ACK, error, ack=self.kind))
        self.sender.ended(1)


class NamelessGroup(Nameless):
    """A group message without ``cid``: refused as a whole, or not at all."""

    __slots__ = ("error", "open")

    over = False
    """It does not come again: whoever can be served is."""

    def __init__(self, sender: Sender, asked_by: Answers, kind: int) -> None:
        super().__init__(sender, asked_by, kind)
        self.open = 1
        self.error: ChatError | None = None

    def expect(self, members: int) -> None:
        """So many others are to be served."""
        self.open += members

    def settle(self, state: State) -> None:
        """See :class:`Receipt`."""
        self._less(1)

    def settle_many(self, count: int, state: State) -> None:
        """So many copies are served."""
        self._less(count)

    def refuse(self, error: ChatError) -> None:
        """See :class:`Receipt`."""
        left_out = error.code in (Code.MAILBOX_FULL, Code.NO_SUCH_USER)
        if not left_out and self.error is None:
            self.error = error
        self._less(1)

    def _less(self, count: int) -> None:
        self.open -= count
        if self.open:
            return
        if self.error is not None:
            super().refuse(self.error)
        else:
            self.sender.ended(1)


class Burst:
    """Messages that go round a group together: what they tell of the members to whom they were
    handed in one piece, they tell together.

    :param parts: the receipts of the messages.
    """

    __slots__ = ("_open", "_runs", "parts")

    def __init__(self, parts: Sequence[SentToGroup | NamelessGroup]) -> None:
        self.parts = parts
        self._open = 1
        """Pieces on their way, and one for the round itself."""
        self._runs = 0

    def began(self) -> None:
        """One more member has it in one piece."""
        self._open += 1
        self._runs += 1

    def apart(self) -> None:
        """One piece is taken apart: each message tells of this member by itself."""
        self._runs -= 1
        self.end()

    def end(self) -> None:
        """One piece has been pushed, or the round has ended."""
        self._open -= 1
        if not self._open and self._runs:
            for part in self.parts:
                part.settle_many(self._runs, State.PUSHED)


def settle_all(receipts: Sequence[Receipt], state: State) -> None:
    """Tell many at once: their answers to one connection go out in one piece."""
    connection: Answers | None = None
    sender: Sender | None = None
    lines: list[bytes] = []
    tail = _TAILS[state]
    now = 0.0
    for receipt in receipts:
        if type(receipt) is not Sent or receipt.others is not None or receipt.asked_by.level < 2:
            receipt.settle(state)
            continue
        if receipt.asked_by is not connection:
            if connection is not None and sender is not None:
                connection.answer_all(lines)
                sender.ended(len(lines))
                lines = []
            connection = receipt.asked_by
            sender = receipt.sender
            now = sender.now()
        receipt.state = state
        receipt.answered_at = now
        lines.append(_ONE + encode(receipt.cid) + tail)
    if connection is not None and sender is not None:
        connection.answer_all(lines)
        sender.ended(len(lines))
