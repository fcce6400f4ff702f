"""The transport for unmodified C++ clients of the original.

Such a client reads with ``recv(1024)`` into a zeroed buffer and parses what came as one JSON: two
messages in one read lose the second, half a message ends the client.  So each message leaves in a
segment of its own, ended by a NUL, and the next one only some milliseconds after the kernel at the
other end has acknowledged the last.  That a client reads two at once cannot be ruled out: it is
late, and the kernel took both; the NUL then keeps it alive.
"""

from __future__ import annotations

import fcntl
import struct
import termios
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.interfaces import IAddress, IDelayedCall

from .copies import Copy
from .link import innermost
from .numberings import Numbering, Translate, answer_for, login_ack, request_from
from .outbox import Outbox, Turn
from .senders import Sender
from .session import Server, Session
from .tcp import ChatFactory, ChatProtocol

LOOK_SECONDS = 0.001
"""How often the kernel is asked whether the last message was acknowledged."""


def unacknowledged(sock: Any) -> int:
    """Bytes that the other end's kernel has not acknowledged; 0 where that cannot be known."""
    try:
        answer = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4))
    except (OSError, ValueError):
        return 0
    return int(struct.unpack("i", answer)[0])


class PacedOutbox(Outbox):
    """One message a segment, at a pace that a slow reader can follow.

    :attr:`queued` and :attr:`taken` count the lines as they were before their translation, as the
    mailbox does.

    :param pace: seconds between an acknowledgement and the next message.
    """

    __slots__ = ("_call_later", "_messages", "_pace", "_ready", "_socket", "_timer", "_translate")

    def __init__(
        self,
        turn: Turn,
        transport: Any,
        call_later: Callable[[float, Callable[[], object]], IDelayedCall],
        pace: float,
        translate: Translate,
    ) -> None:
        super().__init__(turn)
        self._socket = innermost(transport).socket
        self._call_later = call_later
        self._pace = pace
        self._translate = translate
        self._messages: deque[tuple[bytes, int]] = deque()
        self._ready = True
        """Whether the pace has passed since the last message was acknowledged."""
        self._timer: IDelayedCall | None = None

    def write(self, line: bytes) -> int:
        """Queue one line; see :meth:`Outbox.write`."""
        return self.write_all([line])

    def write_all(self, lines: list[bytes]) -> int:
        """Queue several lines; see :meth:`Outbox.write_all`."""
        for line in lines:
            cost = len(line) + 1
            self._messages.append((self._translate(line) + b"\0", cost))
            self.queued += cost
        if not self._dirty:
            self._dirty = True
            self._turn.add(self)
        return self.queued

    def flush(self) -> None:
        """Send the next message, if its time has come."""
        self._dirty = False
        if self._ready and self._messages and not self.closed:
            self._send_next()

    def _send_next(self) -> None:
        message, cost = self._messages[0]
        try:
            sent = self._socket.send(message)
        except OSError:
            # Full, or lost, which the reactor finds when it reads.
            sent = 0
        self._ready = False
        if sent == len(message):
            self._messages.popleft()
            self._took(cost)
        elif sent:
            self._messages[0] = (message[sent:], cost)
        self._timer = self._call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        if self.closed:
            return
        if unacknowledged(self._socket):
            self._timer = self._call_later(LOOK_SECONDS, self._look)
        else:
            self._timer = self._call_later(self._pace, self._go_on)

    def _go_on(self) -> None:
        self._timer = None
        self._ready = True
        self.flush()

    def close(self) -> None:
        """Nothing more will be taken."""
        super().close()
        self._messages.clear()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()


class OriginalProtocol(ChatProtocol):
    """One unmodified client."""

    factory: OriginalFactory
    together = False  # each has to be translated

    def __init__(self, factory: OriginalFactory) -> None:
        super().__init__(factory)
        self.numbering = factory.numbering

    def connectionMade(self) -> None:
        """A client is here."""
        self.begin()
        self.outbox = PacedOutbox(
            self._turn, self.transport, self.server.call_later, self.factory.pace, self._answer
        )
        self.session = Session(self.server, self, self.outbox, self._login_ack)
        self.session.open()

    def lineReceived(self, line: bytes) -> None:
        """One request, in its client's numbering."""
        request, self.numbering = request_from(line, self.numbering)
        super().lineReceived(request)

    def _answer(self, line: bytes) -> bytes:
        return answer_for(line, self.numbering)

    def _login_ack(
        self, sender: Sender, waiting: Sequence[Copy], roster: Mapping[str, Any]
    ) -> tuple[bytes, int]:
        return login_ack(sender, waiting, roster, self.numbering)


class OriginalFactory(ChatFactory):
    """Makes a protocol for each unmodified client.

    :param numbering: what a client is taken to speak until it shows.
    :param pace: see :class:`PacedOutbox`.
    """

    def __init__(self, server: Server, turn: Turn, numbering: Numbering, pace: float) -> None:
        super().__init__(server, turn)
        self.numbering = numbering
        self.pace = pace

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """One more client."""
        return OriginalProtocol(self)
