"""The TCP transport: lines on a socket."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import tcp
from twisted.internet.interfaces import IAddress, IDelayedCall, IHalfCloseableProtocol
from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from .commands import Commands
from .delivery import Peer
from .outbox import Turn, outbox_for
from .session import Server, Session

DRAIN_SECONDS = 2.0
"""How long a client that is being closed may go on writing before it is cut off."""

KEEPALIVE = {
    "TCP_KEEPIDLE": 20,
    "TCP_KEEPINTVL": 5,
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": 30_000,
}
"""A level 1 client cannot be asked whether it is there, so the kernel is (seconds; the last one
milliseconds)."""


def innermost(transport: Any) -> Any:
    """The transport at the socket, below TLS and whatever else wraps it."""
    while (inner := getattr(transport, "transport", None)) is not None:
        transport = inner
    return transport


def set_keepalive(transport: Any) -> None:
    """Have the kernel find out about dead clients; nothing happens where it cannot."""
    bottom = innermost(transport)
    if not isinstance(bottom, tcp.Connection):
        return
    sock = bottom.socket
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for name, value in KEEPALIVE.items():
        option = getattr(socket, name, None)
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


@implementer(IHalfCloseableProtocol)
class ChatProtocol(LineReceiver):
    """One client on a socket: each line is one JSON object.

    ``\\n`` ends a line, and a NUL does, as the original's clients write it; a ``\\r`` before it is
    dropped.
    """

    delimiter = b"\n"
    factory: ChatFactory
    transport: Any
    session: Session

    def __init__(self, factory: ChatFactory) -> None:
        self.factory = factory
        self.MAX_LENGTH = factory.server.settings.max_line
        self._turn = factory.turn
        self._parts: list[bytes] = []
        self._length = 0
        self._lines: list[bytes] = []
        self._closing: IDelayedCall | None = None
        self._reading = True
        self._shut = False

    def connectionMade(self) -> None:
        """A client is here."""
        set_keepalive(self.transport)
        self._outbox = outbox_for(self._turn, self.transport)
        self.session = Session(
            self.factory.server, self, self._outbox, describe_peer(self.transport)
        )

    # In

    def dataReceived(self, data: bytes) -> None:
        """Split a read into lines once, and stop where the session pauses.

        The stock method copies the rest of the read once a line.
        """
        if self._closing is not None:
            return
        turn = self._turn
        turn.begin()
        try:
            if data:
                self.session.heard()
                self._split(data)
            self._feed()
        finally:
            turn.end()

    def _split(self, data: bytes) -> None:
        if b"\0" in data:
            data = data.replace(b"\0", b"\n")
        if b"\n" not in data:
            self._parts.append(data)
            self._length += len(data)
            return
        if self._parts:
            self._parts.append(data)
            data = b"".join(self._parts)
            self._parts.clear()
        lines = data.split(b"\n")
        rest = lines.pop()
        self._length = len(rest)
        if rest:
            self._parts.append(rest)
        if self._lines:
            self._lines.extend(lines)
        else:
            self._lines = lines

    def _feed(self) -> None:
        lines, self._lines = self._lines, []
        bound = self.MAX_LENGTH
        receive = self.lineReceived
        for at, line in enumerate(lines):
            if self.paused or self._closing is not None:
                self._lines = lines[at:]
                return
            if line.endswith(b"\r"):
                line = line[:-1]
            if len(line) > bound:
                self.lineLengthExceeded(line)
            elif line:
                receive(line)
        # A \r may still turn out to belong to the line's end.
        if self._length > bound + 1 and self._closing is None:
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
        self._reading = False
        if self._closing is None:
            self.session.finished()

    def writeConnectionLost(self) -> None:  # noqa: N802
        """Our writing side is shut, as we wanted."""

    def connectionLost(self, reason: Failure | None = None) -> None:
        """The client has gone."""
        if self._closing is not None and self._closing.active():
            self._closing.cancel()
        self.session.lost()

    # What the session asks for

    def pause(self) -> None:
        """Do not read."""
        self.paused = True
        self.transport.pauseProducing()

    def resume(self) -> None:
        """Read on, with what was read before first."""
        if self._closing is None:
            self.paused = False
            self.transport.resumeProducing()
            self.factory.server.call_later(0, self._go_on)

    def _go_on(self) -> None:
        if not self.paused:
            self.dataReceived(b"")

    def close(self) -> None:
        """Write the rest, shut the writing side, read on for a moment."""
        if self._closing is not None:
            return
        self._closing = self.factory.server.call_later(DRAIN_SECONDS, self.abort)
        self._parts.clear()
        self._lines.clear()
        if self.paused:
            self.transport.resumeProducing()
        outbox = self._outbox
        outbox.on_taken = self._shut_when_written
        outbox.flush()
        self._shut_when_written(outbox.taken)

    def _shut_when_written(self, taken: int) -> None:
        if self._outbox.pending or self._shut:
            return
        self._shut = True
        if self._reading and isinstance(self.transport, tcp.Connection):
            self.transport.loseWriteConnection()
        else:
            self.transport.loseConnection()

    def abort(self) -> None:
        """End at once."""
        self.transport.abortConnection()


def describe_peer(transport: Any) -> str:
    """The client's address, for the log."""
    peer = transport.getPeer()
    host, port = getattr(peer, "host", None), getattr(peer, "port", None)
    return f"{host}:{port}" if host is not None else type(peer).__name__


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
