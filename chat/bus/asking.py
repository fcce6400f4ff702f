"""Requests and their answers, made of publishing and listening: the same over every bus."""

from __future__ import annotations

from collections.abc import Callable
from secrets import token_hex

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from ..cluster import BusAway, Message, NoResponder

CallLater = Callable[[float, Callable[[], object]], IDelayedCall]
"""Calls a function after so many seconds."""


class Asking:
    """The requests of one bus that wait for their answers.

    Whoever makes one listens to :attr:`subject` with :meth:`answered`.

    :param publish: as :meth:`chat.cluster.Bus.publish`.
    """

    def __init__(self, publish: Callable[[str, bytes, str], bool], call_later: CallLater) -> None:
        self._publish = publish
        self._call_later = call_later
        self._prefix = f"_INBOX.{token_hex(8)}."
        self._number = 0
        self._waiting: dict[str, tuple[Deferred[bytes], IDelayedCall]] = {}

    @property
    def subject(self) -> str:
        """Where all answers come."""
        return f"{self._prefix}>"

    def ask(self, subject: str, data: bytes, seconds: float) -> Deferred[bytes]:
        """As :meth:`chat.cluster.Bus.request`; who cancels waits no longer."""
        self._number += 1
        reply = f"{self._prefix}{self._number}"
        answer: Deferred[bytes] = Deferred(lambda _: self._cancelled(reply))
        if self._publish(subject, data, reply):
            late = self._call_later(seconds, lambda: self._fail(reply, "no answer in time"))
            self._waiting[reply] = answer, late
        else:
            answer.errback(BusAway("the bus is down"))
        return answer

    def answered(self, message: Message) -> None:
        """An answer has come, or nobody listened; the second one to a request is too late."""
        if message.undelivered:
            self._fail(message.subject, None)
        elif answer := self._forget(message.subject):
            answer.callback(message.data)

    def fail_all(self) -> None:
        """The bus is down: nobody waits any longer."""
        for reply in list(self._waiting):
            self._fail(reply, "the bus went down")

    def _cancelled(self, reply: str) -> None:
        self._forget(reply)

    def _fail(self, reply: str, why: str | None) -> None:
        if answer := self._forget(reply):
            answer.errback(NoResponder() if why is None else BusAway(why))

    def _forget(self, reply: str) -> Deferred[bytes] | None:
        answer, late = self._waiting.pop(reply, (None, None))
        if late is not None and late.active():
            late.cancel()
        return answer
