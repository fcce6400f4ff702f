"""Reading the clients' sockets, all that are ready in one go.

To the reactor all of them are one descriptor: an epoll object of our own, which is readable when
one of its sockets is.  The reactor's way to a single socket (a log context, checks, five calls)
costs as much as a third of passing a message on, and here it is paid once for many.

A transport is told of its end just as the reactor would tell it, and writes by way of the reactor
as ever.  TLS, and systems without epoll, never come here.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.internet import tcp
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

READ_BYTES = 64 << 10
"""How much is read of one at a time."""

_HAS_EPOLL = hasattr(select, "epoll")


def _nothing(data: bytes) -> None:
    """Nobody listens any more."""


class Source:
    """Where one connection's bytes come from; read from the beginning.

    :param received: called with what was read; what it raises ends the connection.
    """

    __slots__ = ("_fd", "_intake", "_transport", "read", "received")

    def __init__(
        self, intake: Intake | None, transport: Any, received: Callable[[bytes], None]
    ) -> None:
        self._intake = intake
        """None: the reactor reads it, and calls the protocol."""
        self._transport = transport
        self.received = received
        if intake is not None:
            transport.pauseProducing()
            self.read: Callable[[int], bytes] = transport.socket.recv
            self._fd: int = transport.fileno()
            intake.add(self._fd, self)

    def pause(self) -> None:
        """Do not read."""
        if self._intake is None:
            self._transport.pauseProducing()
        else:
            self._intake.remove(self._fd, self)

    def resume(self) -> None:
        """Read on."""
        if self._intake is None:
            self._transport.resumeProducing()
        else:
            self._intake.add(self._fd, self)

    def stop(self) -> None:
        """The connection has ended, or is about to: never read here again."""
        self.received = _nothing
        if self._intake is not None:
            self._intake.remove(self._fd, self)
            self._intake = None

    def hand_back(self) -> None:
        """Let the reactor read it."""
        self.stop()
        self._transport.resumeProducing()

    def ended(self) -> None:
        """The client has shut its writing side."""
        self.pause()
        self._transport.readConnectionLost(Failure(CONNECTION_DONE))

    def lost(self, why: Failure) -> None:
        """There is no connection any more, or there must not be."""
        self.stop()
        self._transport.connectionLost(why)


@implementer(IReadDescriptor)
class Intake:
    """The sockets of all clients; one a process."""

    log = Logger()

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._sources: dict[int, Source] = {}
        self._epoll: Any = None

    def source(self, transport: Any, received: Callable[[bytes], None]) -> Source:
        """Read this connection from now on, here if that can be."""
        plain = isinstance(transport, tcp.Connection) and not getattr(transport, "TLS", False)
        return Source(self if plain and _HAS_EPOLL else None, transport, received)

    def add(self, fd: int, source: Source) -> None:
        """Watch it; again does nothing."""
        if self._sources.get(fd) is source:
            return
        if self._epoll is None:
            self._epoll = select.epoll()
        self._epoll.register(fd, select.EPOLLIN)
        if not self._sources:
            self._reactor.addReader(self)
        self._sources[fd] = source

    def remove(self, fd: int, source: Source) -> None:
        """Watch it no longer; again does nothing."""
        if self._sources.get(fd) is not source:
            return
        del self._sources[fd]
        # If it is closed, the kernel has forgotten it.
        with suppress(OSError):
            self._epoll.unregister(fd)
        if not self._sources:
            self._reactor.removeReader(self)

    # What the reactor calls

    def fileno(self) -> int:
        """See :class:`IReadDescriptor`."""
        return self._epoll.fileno()  # type: ignore[no-any-return]

    def logPrefix(self) -> str:  # noqa: N802
        """See :class:`IReadDescriptor`."""
        return "chat"

    def doRead(self) -> None:  # noqa: N802
        """Read what is ready, and work it off."""
        sources = self._sources
        # No more than all, once each, so that the reactor's other work has its turn.
        for fd, _ in self._epoll.poll(0, len(sources)):
            source = sources.get(fd)
            if source is None:
                # One of those before it has paused it, or ended it.
                continue
            try:
                data = source.read(READ_BYTES)
            except BlockingIOError:
                continue
            except OSError:
                self._tell(source.lost, Failure(CONNECTION_LOST))
                continue
            if not data:
                self._tell(source.ended)
                continue
            try:
                source.received(data)
            except Exception:
                self.log.failure("a connection fails")
                self._tell(source.lost, Failure())

    def _tell(self, call: Callable[..., None], *arguments: Failure) -> None:
        # A mistake is that of one connection: all the others go on.
        try:
            call(*arguments)
        except Exception:
            self.log.failure("a connection fails, and its end too")

    def connectionLost(self, reason: Failure) -> None:
        """The reactor reads this no longer: it may read the sockets one by one."""
        for source in list(self._sources.values()):
            source.hand_back()
