"""The TCP transport: lines on a socket."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from .commands import Commands
from .delivery import Peer
from .link import Link, hear_half_closing
from .outbox import Turn, outbox_for
from .session import Server, Session
from .wire import is_utf8


@implementer(IHalfCloseableProtocol)
class ChatProtocol(Link, LineReceiver):
    """One client on a socket: each line is one JSON object.

    ``\\n`` ends a line, and a NUL does, as the original's clients write it; a ``\\r`` before it is
    dropped.
    """

    delimiter = b"\n"
    together = True
    """Whether the lines of a read may be taken together: they are as they came."""
    factory: ChatFactory
    transport: Any
    session: Session

    def __init__(self, factory: ChatFactory) -> None:
        self.factory = factory
        self.server = factory.server
        self.MAX_LENGTH = factory.server.settings.max_line
        self._turn = factory.turn
        self._parts: list[bytes] = []
        self._length = 0
        self._lines: list[bytes] = []
        self._sound = True
        """Whether all of the lines are UTF-8, and none is too long."""

    def connectionMade(self) -> None:
        """A client is here."""
        self.begin()
        hear_half_closing(self)
        self.outbox = outbox_for(self._turn, self.transport)
        self.session = Session(self.server, self, self.outbox)
        self.session.open()

    # In

    def _take(self, data: bytes) -> None:
        """Split a read into lines once, and stop where the session pauses.

        The stock method copies the rest of the read once a line.
        """
        if self.closing is not None:
            return
        self.session.heard()
        if b"\0" in data:
            data = data.replace(b"\0", b"\n")
        if self._parts:
            if b"\n" not in data:
                self._keep(data)
                return
            self._parts.append(data)
            data = b"".join(self._parts)
            self._parts.clear()
            self._length = 0
        lines = data.split(b"\n")
        rest = lines.pop()
        if not lines:
            self._keep(rest)
            return
        if b"\r" in data:
            lines = [line.removesuffix(b"\r") for line in lines]
        # One look at a read instead of one at each of its lines.
        sound = len(data) - len(rest) <= self.MAX_LENGTH and (
            data.isascii() or is_utf8(data[: len(data) - len(rest)])
        )
        if self._lines:
            lines = self._lines + lines
            sound = sound and self._sound
            self._lines = []
        done = self.session.receive_all(lines) if sound and self.together else 0
        if done < len(lines):
            self._one_by_one(lines[done:], sound)
        if rest:
            self._keep(rest)

    def _one_by_one(self, lines: list[bytes], sound: bool) -> None:
        bound = self.MAX_LENGTH
        for at, line in enumerate(lines):
            if self.paused or self.closing is not None:
                self._lines = lines[at:]
                self._sound = sound
                return
            if len(line) > bound:
                self.lineLengthExceeded(line)
            elif line:
                self.lineReceived(line)

    def _keep(self, part: bytes) -> None:
        if self.closing is None:
            self._parts.append(part)
            self._length += len(part)
            self._look_at_length()

    def _look_at_length(self) -> None:
        # A \r may still turn out to belong to the line's end.
        if self._length > self.MAX_LENGTH + 1 and not self._lines:
            self.lineLengthExceeded(b"")

    def lineReceived(self, line: bytes) -> None:
        """One request."""
        self.session.receive(line)

    def lineLengthExceeded(self, line: bytes) -> None:
        """A request that is too long ends the connection."""
        self._parts.clear()
        self._length = 0
        self.session.too_long()

    def readConnectionLost(self) -> None:
        """The client has shut its writing side."""
        self.reading = False
        if self.closing is None:
            self.session.finished()
        elif self.shut:
            # Both sides have said their last.
            self.transport.loseConnection()

    def writeConnectionLost(self) -> None:  # noqa: N802
        """Our writing side is shut, as we wanted."""

    def connectionLost(self, reason: Failure | None = None) -> None:
        """The client has gone."""
        self.gone()
        self.session.lost()

    def _go_on(self) -> None:
        lines, self._lines = self._lines, []
        done = self.session.receive_all(lines) if self._sound and self.together else 0
        self._one_by_one(lines[done:], self._sound)
        self._look_at_length()

    def _drop_input(self) -> None:
        self._parts.clear()
        self._lines.clear()


class ChatFactory(Factory):
    """Makes a protocol for each client; :attr:`commands` maps requests to rules, and
    :attr:`online` says who is logged in, over any transport."""

    noisy = False

    def __init__(self, server: Server, turn: Turn) -> None:
        self.server = server
        self.turn = turn

    @property
    def commands(self) -> Commands:
        """The protocol: which rule answers which request."""
        return self.server.commands

    @property
    def online(self) -> dict[int, Peer]:
        """Who is logged in."""
        return self.server.delivery.online

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """One more client."""
        return ChatProtocol(self)
