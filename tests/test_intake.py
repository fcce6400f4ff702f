"""Many sockets read in one go: what comes of it, and that each connection is alone in its fate."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer

from chat import intake as module
from chat.intake import Intake, Source

from .cables import PATIENCE, reactor


@implementer(IHalfCloseableProtocol)
class Line(Protocol):
    """One connection, read by the intake."""

    source: Source

    def __init__(self, intake: Intake) -> None:
        self.intake = intake
        self.data = b""
        self.straight = b""
        """What the reactor read."""
        self.then: Callable[[], object] = lambda: None
        self.ended = self.lost = False
        self.changed: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        self.source = self.intake.source(self.transport, self.received)
        assert isinstance(self.factory, Lines)
        self.factory.connected.callback(self)

    def received(self, data: bytes) -> None:
        self.data += data
        self.then()
        self._tell()

    def dataReceived(self, data: bytes) -> None:
        self.straight += data
        self._tell()

    def readConnectionLost(self) -> None:
        self.ended = True
        self._tell()

    def writeConnectionLost(self) -> None:  # noqa: N802
        """Never here."""

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.source.stop()
        self.lost = True
        self._tell()

    def _tell(self) -> None:
        changed, self.changed = self.changed, Deferred()
        changed.callback(None)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something to be true."""
        while not condition():
            await self.changed.addTimeout(PATIENCE, reactor)


class Lines(Factory):
    """Makes a line for each client; ``connected`` is told of the next one."""

    noisy = False

    def __init__(self, intake: Intake) -> None:
        self.intake = intake
        self.connected: Deferred[Line] = Deferred()

    def buildProtocol(self, addr: IAddress | None) -> Line:
        line = Line(self.intake)
        line.factory = self
        return line


class IntakeTests(TestCase):
    def setUp(self) -> None:
        self.intake = Intake(reactor)
        self.factory = Lines(self.intake)
        port: Any = reactor.listenTCP(0, self.factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.port: int = port.getHost().port

    async def connect(self) -> tuple[Line, socket.socket]:
        """Both ends of a connection."""
        self.factory.connected = Deferred()
        client = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        self.addCleanup(client.close)
        line = await self.factory.connected.addTimeout(PATIENCE, reactor)
        self.addCleanup(self._end, line)
        return line, client

    async def _end(self, line: Line) -> None:
        transport: Any = line.transport
        transport.abortConnection()
        await line.until(lambda: line.lost)

    def read_now(self, *lines: Line) -> None:
        """Read once, when something has come for all of these; the reactor has no part in it."""
        for line in lines:
            transport: Any = line.transport
            ready, _, _ = select.select([transport.fileno()], [], [], PATIENCE)
            self.assertTrue(ready)
        self.intake.doRead()

    async def test_reactor_reads_the_sockets_through_it(self) -> None:
        line, client = await self.connect()
        client.sendall(b"hello")
        await line.until(lambda: line.data == b"hello")
        self.assertEqual(line.straight, b"")
        self.assertIn(self.intake, reactor.getReaders())
        self.assertNotIn(line.transport, reactor.getReaders())

    async def test_several_are_read_in_one_go(self) -> None:
        some = [await self.connect() for _ in range(3)]
        for _, client in some:
            client.sendall(b"a")
        self.read_now(*(line for line, _ in some))
        self.assertEqual([line.data for line, _ in some], [b"a"] * 3)

    async def test_each_is_read_once_a_go(self) -> None:
        self.patch(module, "READ_BYTES", 2)
        line, client = await self.connect()
        client.sendall(b"abc")
        self.read_now(line)
        self.assertEqual(line.data, b"ab")
        await line.until(lambda: line.data == b"abc")

    async def test_nothing_is_read_while_paused(self) -> None:
        (line, client), (other, bob) = await self.connect(), await self.connect()
        line.source.pause()
        line.source.pause()
        client.sendall(b"later")
        bob.sendall(b"now")
        self.read_now(line, other)
        self.assertEqual((line.data, other.data), (b"", b"now"))
        line.source.resume()
        line.source.resume()
        await line.until(lambda: line.data == b"later")

    async def test_one_of_a_turn_stops_another(self) -> None:
        """Whoever is read first pauses the other one, which has something as well."""
        (one, ann), (other, bob) = await self.connect(), await self.connect()
        one.then = other.source.pause
        other.then = one.source.pause
        ann.sendall(b"a")
        bob.sendall(b"b")
        self.read_now(one, other)
        self.assertEqual(sorted([one.data, other.data]), [b"", max(one.data, other.data)])
        for line in (one, other):
            line.then = lambda: None
            line.source.resume()
            await line.until(lambda line=line: line.data != b"")  # type: ignore[misc]

    async def test_client_shuts_its_writing_side(self) -> None:
        """The transport is told, after the last bytes, and can still write."""
        line, client = await self.connect()
        client.sendall(b"last")
        client.shutdown(socket.SHUT_WR)
        await line.until(lambda: line.ended)
        self.assertEqual((line.data, line.lost), (b"last", False))
        transport: Any = line.transport
        transport.write(b"bye")
        transport.loseConnection()
        await line.until(lambda: line.lost)
        self.assertEqual(client.recv(100), b"bye")
        self.assertNotIn(self.intake, reactor.getReaders())

    async def test_end_is_told_again_when_reading_goes_on(self) -> None:
        """As the reactor tells it."""
        line, client = await self.connect()
        client.shutdown(socket.SHUT_WR)
        await line.until(lambda: line.ended)
        self.assertNotIn(self.intake, reactor.getReaders())
        line.ended = False
        line.source.resume()
        await line.until(lambda: line.ended)

    async def test_client_cuts_the_connection(self) -> None:
        line, client = await self.connect()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        await line.until(lambda: line.lost)
        self.assertFalse(line.ended)

    async def test_mistake_ends_only_its_own_connection(self) -> None:
        (one, ann), (other, bob) = await self.connect(), await self.connect()

        def fail() -> None:
            raise ValueError("a mistake")

        one.then = fail
        ann.sendall(b"a")
        bob.sendall(b"b")
        self.read_now(one, other)
        await one.until(lambda: one.lost)
        self.assertEqual(other.data, b"b")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        bob.sendall(b"c")
        await other.until(lambda: other.data == b"bc")

    async def test_reactor_drops_it(self) -> None:
        """Then the transports are read one by one."""
        line, client = await self.connect()
        reactor.removeReader(self.intake)
        self.intake.connectionLost(Failure(ValueError()))
        client.sendall(b"hello")
        await line.until(lambda: line.straight == b"hello")
        line.source.pause()
        self.assertNotIn(line.transport, reactor.getReaders())
        line.source.resume()
        self.assertIn(line.transport, reactor.getReaders())
        self.assertEqual(line.data, b"")

    async def test_no_epoll(self) -> None:
        self.patch(module, "_HAS_EPOLL", False)
        line, client = await self.connect()
        client.sendall(b"hello")
        await line.until(lambda: line.straight == b"hello")
        self.assertNotIn(self.intake, reactor.getReaders())


class Wrapped:
    """A transport that is no socket."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def pauseProducing(self) -> None:
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        self.calls.append("resume")


class ChoiceTests(SynchronousTestCase):
    def test_transport_that_is_no_socket_reads_by_itself(self) -> None:
        wrapped = Wrapped()
        source = Intake(reactor).source(wrapped, lambda data: None)
        self.assertEqual(wrapped.calls, [])
        source.pause()
        source.resume()
        source.stop()
        self.assertEqual(wrapped.calls, ["pause", "resume"])
