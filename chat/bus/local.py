"""A bus within one process: several servers in memory, for tests and for trying things out.

It keeps the same promises as the real one, and breaks as it does: an end can be cut off, with or
without noticing it, and heal.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed

from ..cluster import Message
from .asking import CallLater
from .base import BaseBus

MOST = 1 << 20
"""Bytes of one message."""


class Hub:
    """What the ends are joined to.

    What is done at one end is seen by all in a later turn, in the order in which it was done.

    :param call_later: the reactor's or a clock's ``callLater``.
    """

    def __init__(self, call_later: CallLater) -> None:
        self.call_later = call_later
        self._ends: list[LocalBus] = []
        self._todo: deque[Callable[[], None]] = deque()

    def end(self) -> LocalBus:
        """One more end, which is down until it is opened."""
        end = LocalBus(self)
        self._ends.append(end)
        return end

    def later(self, call: Callable[[], None]) -> None:
        """Call a function in a later turn, after what waits already."""
        if not self._todo:
            self.call_later(0.0, self._work)
        self._todo.append(call)

    def _work(self) -> None:
        for _ in range(len(self._todo)):
            self._todo[0]()
            self._todo.popleft()
        if self._todo:
            self.call_later(0.0, self._work)

    def carry(self, sender: LocalBus, message: Message) -> None:
        """Take a message to whoever listens, or tell that there is nobody."""
        told = [end for end in self._ends if end.listens(message.subject)]
        for end in told:
            end.receive(message)
        if message.reply and not told:
            sender.receive(Message(message.reply, b"", undelivered=True))


class LocalBus(BaseBus):
    """One end; implements :class:`chat.cluster.Bus`."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(hub.call_later, MOST)
        self._hub = hub
        self._open = False
        self._deaf = False
        """Cut off, whether that has been noticed or not."""
        self._cuts = 0
        self._listening: dict[str, list[LocalSubscription]] = {}
        self.subscribe(self.asking.subject, self.asking.answered)

    def open(self) -> Deferred[None]:
        self._open = True
        self.turn(not self._deaf)
        return succeed(None)

    def close(self) -> Deferred[None]:
        closed: Deferred[None] = Deferred()
        self._open = False
        self.turn(False)
        self._hub.later(lambda: self._end(closed))
        return closed

    def _end(self, closed: Deferred[None]) -> None:
        self._listening.clear()
        closed.callback(None)

    def send(self, subject: str, data: bytes, reply: str) -> bool:
        message, cuts = Message(subject, data, reply), self._cuts
        self._hub.later(lambda: self._carry(message, cuts))
        return True

    def _carry(self, message: Message, cuts: int) -> None:
        if not self._deaf and cuts == self._cuts:
            self._hub.carry(self, message)

    def subscribe(self, subject: str, call: Callable[[Message], None]) -> LocalSubscription:
        subscription = LocalSubscription(self, subject, call)
        self._hub.later(lambda: self._listen(subscription))
        return subscription

    def _listen(self, subscription: LocalSubscription) -> None:
        if not subscription.closed:
            self._listening.setdefault(subscription.subject, []).append(subscription)

    def describe(self) -> str:
        return "local"

    def cut(self, *, noticed: bool = True) -> None:
        """Nothing comes or goes any more, and what was under way from here is lost.

        :param noticed: whether the bus is down for it; otherwise it seems to be up until this is
            called once more.
        """
        if not self._deaf:
            self._cuts += 1
        self._deaf = True
        if noticed:
            self.turn(False)

    def heal(self) -> None:
        """Everything is as before :meth:`cut`."""
        self._deaf = False
        self.turn(self._open)

    def listens(self, subject: str) -> bool:
        """Whether somebody here does, as far as the others know."""
        return self._open and not self._deaf and bool(self._found(subject))

    def receive(self, message: Message) -> None:
        """A message has come here."""
        for subscription in self._found(message.subject):
            if not subscription.closed and self._open and not self._deaf:
                self.give(subscription.call, message)

    def forget(self, subscription: LocalSubscription) -> None:
        """Nobody listens with this any more."""
        there = self._listening.get(subscription.subject, [])
        if subscription in there:
            there.remove(subscription)
            if not there:
                del self._listening[subscription.subject]

    def _found(self, subject: str) -> list[LocalSubscription]:
        found = list(self._listening.get(subject, ()))
        parts = subject.split(".")
        for length in range(len(parts)):
            found += self._listening.get(".".join([*parts[:length], ">"]), ())
        return found


class LocalSubscription:
    """Implements :class:`chat.cluster.Subscription`."""

    def __init__(self, bus: LocalBus, subject: str, call: Callable[[Message], None]) -> None:
        self.subject = subject
        self.call = call
        self.closed = False
        self._bus = bus

    def close(self) -> None:
        self.closed = True
        self._bus.forget(self)
