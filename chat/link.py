"""What every transport does for its session: hold a client back, and end a connection in order."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import tcp
from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol
from twisted.protocols.haproxy._wrapper import HAProxyProtocolWrapper
from zope.interface import alsoProvides

from .doors import origin_of
from .intake import Source
from .outbox import Outbox, Turn
from .session import Server

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


def without_header(transport: Any) -> Any:
    """The transport below Twisted's wrapper for the PROXY protocol, which passes writes on as they
    are."""
    while isinstance(transport, HAProxyProtocolWrapper):
        transport = transport.transport
    return transport


def hear_half_closing(protocol: Any) -> None:
    """Have a protocol told that its client has shut its writing side, behind that wrapper too,
    which would end the connection."""
    transport = protocol.transport
    while isinstance(transport, HAProxyProtocolWrapper):
        alsoProvides(transport, IHalfCloseableProtocol)
        for name in ("readConnectionLost", "writeConnectionLost"):
            setattr(transport, name, getattr(protocol, name))
        transport = transport.transport


def set_keepalive(transport: Any) -> None:
    """Have the kernel find out about dead clients; nothing happens where it cannot."""
    bottom = innermost(transport)
    if not isinstance(bottom, tcp.Connection):
        return
    sock = bottom.socket
    # What is accepted takes over what the listening socket has; then one look is enough.
    if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE):
        keep_alive(sock)


def keep_alive(sock: socket.socket) -> None:
    """The same for a socket, and for all that it accepts."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for name, value in KEEPALIVE.items():
        option = getattr(socket, name, None)
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def peer_of(transport: Any, *, told: bool) -> tuple[str, str | None]:
    """The client's address for the log, and by what it is counted; None: not known yet, as a proxy
    says whose connection it is with the first bytes.

    :param told: whether bytes of the client's have come.
    """
    peer = transport.getPeer()
    host, port = getattr(peer, "host", None), getattr(peer, "port", None)
    text = f"{host}:{port}" if host is not None else type(peer).__name__
    if not told and _is_proxied(transport) and peer == innermost(transport).getPeer():
        return text, None
    return text, origin_of(host)


def _is_proxied(transport: Any) -> bool:
    while transport is not None:
        if isinstance(transport, HAProxyProtocolWrapper):
            return True
        transport = getattr(transport, "transport", None)
    return False


class Link:
    """One connection below a session; implements :class:`chat.session.Transport`.

    A transport derives from it, sets the attributes, and says with :meth:`_take`, :meth:`_go_on`
    and :meth:`_drop_input` what becomes of what has been read.
    """

    server: Server
    transport: Any
    outbox: Outbox
    source: Source
    _turn: Turn
    paused = False
    closing: IDelayedCall | None = None
    """While the last bytes leave: what comes now is thrown away."""
    reading = True
    """False when the client has shut its writing side."""
    shut = False
    """Whether our writing side is shut."""

    def begin(self) -> None:
        """The connection is there: read it."""
        set_keepalive(self.transport)
        self.source = self.server.intake.source(self.transport, self.dataReceived)

    def peer(self, told: bool) -> tuple[str, str | None]:
        """See :func:`peer_of`."""
        return peer_of(self.transport, told=told)

    def dataReceived(self, data: bytes) -> None:
        """Work off one read; what comes of it leaves at its end."""
        turn = self._turn
        turn.begin()
        try:
            self._take(data)
        finally:
            turn.end()

    def _take(self, data: bytes) -> None:
        """Work off what was read, and what is left of it from before."""
        raise NotImplementedError

    def _go_on(self) -> None:
        """Work off what was read before the pause."""
        raise NotImplementedError

    def _drop_input(self) -> None:
        """Forget what was read, as the connection ends."""
        raise NotImplementedError

    def pause(self) -> None:
        """Do not read."""
        self.paused = True
        self.source.pause()

    def resume(self) -> None:
        """Go on with what was read before; the socket is read again when that is worked off, as a
        read for each few requests would pile up."""
        if self.closing is None:
            self.paused = False
            self.server.call_later(0, self._resumed)

    def _resumed(self) -> None:
        if not self.paused and self.closing is None:
            turn = self._turn
            turn.begin()
            try:
                self._go_on()
            finally:
                turn.end()
            if not self.paused and self.closing is None:
                self.source.resume()

    def close(self) -> None:
        """Write the rest, shut the writing side, read on for a moment."""
        if self.closing is not None:
            return
        self.closing = self.server.call_later(DRAIN_SECONDS, self.abort)
        self._drop_input()
        self.source.resume()
        outbox = self.outbox
        outbox.on_taken = self._shut_when_written
        outbox.flush()
        self._shut_when_written(outbox.taken)

    def _shut_when_written(self, taken: int) -> None:
        if self.outbox.pending or self.shut:
            return
        self.shut = True
        if self.reading and isinstance(without_header(self.transport), tcp.Connection):
            self.transport.loseWriteConnection()
        else:
            self.transport.loseConnection()

    def abort(self) -> None:
        """End at once."""
        self.source.stop()
        self.transport.abortConnection()

    def gone(self) -> None:
        """The connection is lost: nothing has to be ended any more."""
        self.source.stop()
        if self.closing is not None and self.closing.active():
            self.closing.cancel()
