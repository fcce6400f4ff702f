"""What the sender of a message is to be told, and what is remembered of it.

A :class:`Sender` is one user as the author of messages: how many of them are unanswered, which
``cid`` names which message, and which recipients it has to begin with anew after an errno 108.
It outlives connections.  Pure: no I/O, the time is passed in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import IntEnum
from typing import Protocol

import msgspec

from .errors import ChatError, Code
from .messages import MsgId
from .wire import encode, refusal


class State(IntEnum):
    """A fact about a message; the weakest of a group's comes first."""

    PUSHED = 0
    STORED = 1
    DELIVERED = 2


_WORDS = (b"pushed", b"stored", b"delivered")


class Answers(Protocol):
    """Where answers go: the connection on which a message came, as long as it is there."""

    def answer(self, line: bytes) -> None:
        """Queue one line for the client; nothing happens when it has gone."""


class Receipt(Protocol):
    """Who waits for the fact of a message."""

    def settle(self, state: State) -> None:
        """One copy is served."""

    def refuse(self, error: ChatError) -> None:
        """One copy is not taken."""


class Sent:
    """A message with a ``cid``: who asked, and the answer once there is one."""

    __slots__ = (
        "answered_at", "asked_by", "cid", "digest", "error", "group", "kind", "members", "open",
        "refused", "sender", "state", "target",
    )  # fmt: skip

    def __init__(
        self, sender: Sender, asked_by: Answers, kind: int, target: int, cid: str, digest: int
    ) -> None:
        self.sender = sender
        self.asked_by: list[Answers] = [asked_by]
        self.kind = kind
        self.target = target
        self.cid = cid
        self.digest = digest
        self.group = kind == MsgId.GROUP_CHAT
        self.open = 1
        self.members = 0
        self.refused = 0
        self.state = State.DELIVERED
        self.error: ChatError | None = None
        self.answered_at = 0.0

    def settle(self, state: State) -> None:
        if state < self.state:
            self.state = state
        self.open -= 1
        if self.open == 0:
            self._finish()

    def refuse(self, error: ChatError) -> None:
        self.open -= 1
        if self.group and error.code == Code.MAILBOX_FULL:
            self.refused += 1
        elif self.error is None or self.error.code != Code.BUSY:
            self.error = error
        if self.open == 0:
            self._finish()

    def again(self, asked_by: Answers, digest: int) -> None:
        """The same ``cid`` once more: the same answer, unless it is another message.

        :raises ChatError: 110.
        """
        if digest != self.digest:
            raise ChatError(Code.CID_REUSED)
        if self.open:
            self.asked_by.append(asked_by)
            self.sender.began()
        else:
            asked_by.answer(self._line())

    def _finish(self) -> None:
        sender = self.sender
        if self.error is None:
            line = self._line()
            sender.answered(self)
        else:
            line = refusal(MsgId.ACK, self.error, ack=self.kind, cid=self.cid)
            sender.gave_up(self)
        asked_by, self.asked_by = self.asked_by, []
        for connection in asked_by:
            connection.answer(line)
        sender.ended(len(asked_by))

    def _line(self) -> bytes:
        word = _WORDS[self.state]
        if self.group:
            refused = b',"refused":%d' % self.refused if self.refused else b""
            return b'{"msgid":11,"errno":0,"ack":9,"cid":%b,"state":"%b","members":%d%b}' % (
                encode(self.cid), word, self.members, refused
            )  # fmt: skip
        return b'{"msgid":11,"errno":0,"ack":5,"cid":%b,"state":"%b"}' % (encode(self.cid), word)


class Nameless:
    """The messages of a connection that carry no ``cid``: only refusals are told."""

    __slots__ = ("asked_by", "kind", "sender")

    def __init__(self, sender: Sender, asked_by: Answers, kind: int) -> None:
        self.sender = sender
        self.asked_by = asked_by
        self.kind = kind

    def settle(self, state: State) -> None:
        self.sender.ended(1)

    def refuse(self, error: ChatError) -> None:
        self.asked_by.answer(refusal(MsgId.ACK, error, ack=self.kind))
        self.sender.ended(1)


class NamelessGroup(Nameless):
    """A group message without ``cid``: refused as a whole, or not at all."""

    __slots__ = ("error", "members", "open", "refused")

    def __init__(self, sender: Sender, asked_by: Answers, kind: int) -> None:
        super().__init__(sender, asked_by, kind)
        self.open = 1
        self.error: ChatError | None = None

    def settle(self, state: State) -> None:
        self._one_less()

    def refuse(self, error: ChatError) -> None:
        if error.code != Code.MAILBOX_FULL and self.error is None:
            self.error = error
        self._one_less()

    def _one_less(self) -> None:
        self.open -= 1
        if self.open:
            return
        if self.error is not None:
            super().refuse(self.error)
        else:
            self.sender.ended(1)


class Bounds(msgspec.Struct, frozen=True):
    """How much is remembered of a sender, and how long (seconds)."""

    remembered: int
    seconds: float
    gates: int = 1000


class Sender:
    """One user as the author of messages."""

    __slots__ = (
        "_bounds", "_clock", "_done", "_done_order", "fields", "gates", "id", "low_water", "name",
        "on_low_water", "pending", "unanswered",
    )  # fmt: skip

    def __init__(self, user_id: int, name: str, bounds: Bounds, clock: Callable[[], float]) -> None:
        self.id = user_id
        self.name = name
        self.fields = (user_id, name, b',"id":%d' % user_id, b',"name":%b' % encode(name))
        self.unanswered = 0
        self.low_water = 0
        self.on_low_water: Callable[[], None] | None = None
        """Called once, when :attr:`unanswered` has come down to :attr:`low_water`."""
        self.pending: dict[str, Sent] = {}
        """By ``cid``, what is under way."""
        self.gates: dict[int, str] = {}
        """After a 108: by target (groups negative) the ``cid`` with which it goes on."""
        self._done: dict[str, Sent] = {}
        self._done_order: deque[Sent] = deque()
        self._bounds = bounds
        self._clock = clock

    def known(self, cid: str) -> Sent | None:
        """The message that has this ``cid``, if it is under way or remembered."""
        return self.pending.get(cid) or self._done.get(cid)

    @property
    def remembered(self) -> int:
        """How many answers are remembered."""
        return len(self._done)

    def began(self) -> None:
        """One more request is unanswered."""
        self.unanswered += 1

    def ended(self, count: int) -> None:
        """So many requests are answered."""
        self.unanswered -= count
        if self.on_low_water is not None and self.unanswered <= self.low_water:
            call, self.on_low_water = self.on_low_water, None
            call()

    def answered(self, sent: Sent) -> None:
        """Remember the answer for a repeat."""
        sent.answered_at = self._clock()
        del self.pending[sent.cid]
        self._done[sent.cid] = sent
        self._done_order.append(sent)
        if len(self._done) > self._bounds.remembered:
            self.forget_oldest()

    def gave_up(self, sent: Sent) -> None:
        """Refused: nothing is remembered, but where to begin again after a 108."""
        del self.pending[sent.cid]
        error = sent.error
        if error is not None and error.code == Code.BUSY:
            key = -sent.target if sent.group else sent.target
            if len(self.gates) < self._bounds.gates:
                self.gates.setdefault(key, sent.cid)

    def gate(self, key: int, cid: str | None) -> None:
        """Let a message to this target through, or not.

        :raises ChatError: 108, an earlier one has to come again first.
        """
        first = self.gates.get(key)
        if first is None:
            if len(self.gates) >= self._bounds.gates:
                raise ChatError(Code.BUSY, retry_after=1.0)
        elif first == cid:
            del self.gates[key]
        else:
            raise ChatError(Code.BUSY, retry_after=1.0)

    def forget_oldest(self) -> None:
        """Forget the oldest answer."""
        del self._done[self._done_order.popleft().cid]

    def expire(self, now: float) -> None:
        """Forget the answers that are old enough."""
        oldest = now - self._bounds.seconds
        while self._done_order and self._done_order[0].answered_at <= oldest:
            self.forget_oldest()
