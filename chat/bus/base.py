"""What all buses have in common."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from ..cluster import Message
from .asking import Asking, CallLater


class BaseBus:
    """The part of :class:`chat.cluster.Bus` that asks and tells; a bus listens to
    ``self.asking.subject`` with ``self.asking.answered``.

    :param most: bytes of one message.
    """

    log = Logger()

    def __init__(self, call_later: CallLater, most: int) -> None:
        self.up = False
        self.changed: list[Callable[[bool], None]] = []
        self.most = most
        self.dropped = 0
        self.ignored = 0
        self.asking = Asking(self.publish, call_later)

    def publish(self, subject: str, data: bytes, reply: str = "") -> bool:
        if len(data) > self.most:
            raise ValueError(f"{len(data)} bytes are more than {self.most}")
        return self.up and self.send(subject, data, reply)

    def send(self, subject: str, data: bytes, reply: str) -> bool:
        """Publish, while it is up."""
        raise NotImplementedError

    def request(self, subject: str, data: bytes, seconds: float) -> Deferred[bytes]:
        return self.asking.ask(subject, data, seconds)

    def turn(self, up: bool) -> None:
        """It is up, or down; who wants to know is told if that is news."""
        if up == self.up:
            return
        self.up = up
        if not up:
            self.asking.fail_all()
        for call in list(self.changed):
            try:
                call(up)
            except Exception:
                self.log.failure("what should follow a change of the bus has failed")

    def give(self, call: Callable[[Message], None], message: Message) -> None:
        """Give a message to who listens; what goes wrong there is logged."""
        try:
            call(message)
        except Exception:
            self.log.failure("a message to {subject} was not taken", subject=message.subject)
