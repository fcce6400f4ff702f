"""Bytes of a connection to lines."""

from __future__ import annotations

from typing import Protocol as Shape

from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

MAX_LINE = 2**20 + 1024
"""Bytes.  The server's lines are at most 1 MiB."""


class Reader(Shape):
    """Who reads a :class:`LineConnection`."""

    def connection_made(self, connection: LineConnection) -> None:
        """It can be written to."""

    def lines_received(self, connection: LineConnection, lines: list[bytes]) -> None:
        """All lines that one read completed, without their ends."""

    def connection_lost(self, connection: LineConnection, reason: Failure) -> None:
        """It is gone."""


class LineConnection(Protocol):
    """One connection to a server.  A line longer than :data:`MAX_LINE` ends it."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._rest = b""

    def connectionMade(self) -> None:
        self._reader.connection_made(self)

    def dataReceived(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if lines:
            self._reader.lines_received(self, lines)
        if len(self._rest) > MAX_LINE:
            self._rest = b""
            self.abort()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._reader.connection_lost(self, reason)

    def write(self, data: bytes) -> None:
        """Bytes that are whole lines."""
        assert self.transport is not None
        self.transport.write(data)

    def close(self) -> None:
        """Close when what was written is out."""
        assert self.transport is not None
        self.transport.loseConnection()

    def abort(self) -> None:
        """Close now."""
        assert self.transport is not None
        abort = getattr(self.transport, "abortConnection", self.transport.loseConnection)
        abort()
