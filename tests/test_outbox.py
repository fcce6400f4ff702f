"""What is on its way to one client: in one piece, in order, and counted when the kernel has it."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.haproxy._wrapper import HAProxyProtocolWrapper
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from chat.outbox import CHUNK, Outbox, SocketOutbox, TransportOutbox, Turn, outbox_for

from .cables import PATIENCE, Time, reactor


class Kept(Outbox):
    """Remembers what was flushed."""

    def __init__(self, turn: Turn) -> None:
        super().__init__(turn)
        self.pieces: list[bytes] = []
        self.then: Callable[[], object] = lambda: None

    def flush(self) -> None:
        if self._lines:
            self.pieces.append(self._joined())
            self.then()


class TurnTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.time = Time()
        self.turn = Turn(self.time.callLater)

    def test_lines_of_one_read_leave_in_one_piece(self) -> None:
        one, other = Kept(self.turn), Kept(self.turn)
        self.turn.begin()
        self.assertEqual(one.write(b"a"), 2)
        other.write(b"x")
        self.assertEqual(one.write_all([b"b", b"cc"]), 7)
        self.assertEqual((one.pieces, one.pending), ([], 7))
        self.turn.end()
        self.assertEqual((one.pieces, other.pieces), ([b"a\nb\ncc\n"], [b"x\n"]))

    def test_outside_of_a_read_they_leave_in_the_next_turn(self) -> None:
        outbox = Kept(self.turn)
        outbox.write(b"a")
        outbox.write(b"b")
        self.assertEqual(outbox.pieces, [])
        self.time.settle()
        self.assertEqual(outbox.pieces, [b"a\nb\n"])
        outbox.write(b"c")
        self.time.settle()
        self.assertEqual(outbox.pieces, [b"a\nb\n", b"c\n"])

    def test_what_flushing_brings_leaves_too(self) -> None:
        """A message is pushed, so its sender is answered."""
        recipient, sender = Kept(self.turn), Kept(self.turn)
        recipient.then = lambda: sender.write(b"pushed")
        self.turn.begin()
        sender.write(b"something")
        recipient.write(b"message")
        self.turn.end()
        self.assertEqual(sender.pieces, [b"something\n", b"pushed\n"])

    def test_what_has_come_from_elsewhere_is_a_turn(self) -> None:
        outbox = Kept(self.turn)
        self.turn.work(outbox.write_all, [b"a", b"b"])
        self.assertEqual(outbox.pieces, [b"a\nb\n"])

    def test_what_cannot_be_worked_off_does_not_stop_the_next_turn(self) -> None:
        outbox = Kept(self.turn)
        outbox.write(b"a")
        self.assertRaises(ZeroDivisionError, self.turn.work, lambda number: 1 / number, 0)
        self.assertEqual(outbox.pieces, [b"a\n"])
        self.turn.work(outbox.write, b"b")
        self.assertEqual(outbox.pieces, [b"a\n", b"b\n"])

    def test_one_that_fails_does_not_stop_the_next_turn(self) -> None:
        outbox = Kept(self.turn)

        def fail() -> None:
            raise ZeroDivisionError

        outbox.then = fail
        self.turn.begin()
        outbox.write(b"a")
        self.assertRaises(ZeroDivisionError, self.turn.end)
        outbox.then = lambda: None
        outbox.write(b"b")
        self.time.settle()
        self.assertEqual(outbox.pieces, [b"a\n", b"b\n"])


class FakeTransport:
    """Takes what is written, and says so when it has too much."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.producer: Any = None
        self.full = False

    def registerProducer(self, producer: object, streaming: bool) -> None:  # noqa: N802
        assert streaming
        self.producer = producer

    def write(self, data: bytes) -> None:
        self.written.append(data)
        if self.full:
            self.producer.pauseProducing()


class TransportOutboxTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.transport = FakeTransport()
        self.time = Time()
        self.outbox = outbox_for(Turn(self.time.callLater), self.transport)
        self.assertIsInstance(self.outbox, TransportOutbox)
        self.taken: list[int] = []
        self.outbox.on_taken = self.taken.append

    def test_taken_at_once(self) -> None:
        self.outbox.write(b"abc")
        self.time.settle()
        self.assertEqual((self.transport.written, self.taken), ([b"abc\n"], [4]))
        self.assertEqual(self.outbox.pending, 0)

    def test_full_transport_has_not_taken_it_yet(self) -> None:
        self.transport.full = True
        for line in (b"one", b"two", b"three"):
            self.outbox.write(line)
            self.time.settle()
        self.assertEqual((self.transport.written, self.taken), ([b"one\n"], []))
        self.assertEqual(self.outbox.pending, 14)
        self.transport.producer.resumeProducing()
        self.assertEqual((self.transport.written, self.taken), ([b"one\n", b"two\n"], [4]))
        self.transport.full = False
        self.transport.producer.resumeProducing()
        self.assertEqual(b"".join(self.transport.written), b"one\ntwo\nthree\n")
        self.assertEqual((self.taken, self.outbox.pending), ([4, 8, 14], 0))

    def test_closed_one_takes_nothing(self) -> None:
        self.outbox.write(b"abc")
        self.transport.producer.stopProducing()
        self.time.settle()
        self.outbox.write(b"def")
        self.time.settle()
        self.assertEqual((self.transport.written, self.taken), ([], []))


class Server(Protocol):
    """Has an outbox."""

    outbox: Outbox
    lost = False

    def connectionMade(self) -> None:
        factory: Any = self.factory
        self.outbox = outbox_for(Turn(reactor.callLater), self.transport)
        factory.connected.callback(self)

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.lost = True
        self.outbox.close()


class Client(Protocol):
    """Reads when it is told to."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.wanted = 0
        self.there: Deferred[None] = Deferred()
        self.lost: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.pauseProducing()

    def read(self, wanted: int) -> Deferred[None]:
        """Read until there are so many bytes."""
        self.wanted = wanted
        transport: Any = self.transport
        transport.resumeProducing()
        return self.there.addTimeout(PATIENCE, reactor)

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        if len(self.data) >= self.wanted and not self.there.called:
            self.there.callback(None)

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.lost.callback(None)


class SocketOutboxTests(TestCase):
    async def connect(self) -> tuple[Server, Client]:
        factory: Any = Factory.forProtocol(Server)
        factory.connected = Deferred()
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        client = Client()
        await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port), client)
        server: Server = await factory.connected
        self.addCleanup(lambda: client.lost)
        transport: Any = client.transport
        self.addCleanup(transport.abortConnection)
        self.assertIsInstance(server.outbox, SocketOutbox)
        return server, client

    async def test_what_the_kernel_takes_is_taken_at_once(self) -> None:
        server, client = await self.connect()
        outbox = server.outbox
        taken: list[int] = []
        outbox.on_taken = taken.append
        outbox.write(b"hello")
        outbox.flush()
        self.assertEqual((taken, outbox.pending), ([6], 0))
        await client.read(6)
        self.assertEqual(bytes(client.data), b"hello\n")

    async def test_more_than_the_kernel_takes(self) -> None:
        """Every byte in order, counted when the kernel has it, and never too early."""
        server, client = await self.connect()
        outbox = server.outbox
        taken: list[int] = []
        outbox.on_taken = taken.append
        lines = [os.urandom(30_000).hex().encode() for _ in range(300)]
        size = sum(len(line) + 1 for line in lines)
        for line in lines:
            outbox.write(line)
            outbox.flush()
        self.assertLess(outbox.taken, size)
        self.assertEqual(outbox.queued, size)
        self.assertEqual(outbox.pending, size - outbox.taken)
        await client.read(size)
        self.assertEqual(bytes(client.data), b"".join(line + b"\n" for line in lines))
        while outbox.pending:
            await turn()
        self.assertEqual((taken[-1], outbox.taken), (size, size))
        self.assertEqual(taken, sorted(taken))
        steps = [later - earlier for earlier, later in pairwise(taken)]
        self.assertLessEqual(max(steps), CHUNK)
        outbox.write(b"straight again")
        outbox.flush()
        self.assertEqual(outbox.pending, 0)

    async def test_connection_that_is_lost_with_much_pending(self) -> None:
        server, client = await self.connect()
        outbox = server.outbox
        for _ in range(300):
            outbox.write(b"x" * 60_000)
            outbox.flush()
        taken = outbox.taken
        transport: Any = client.transport
        transport.abortConnection()
        while not server.lost:
            await turn()
        self.assertEqual(outbox.taken, taken)
        self.assertTrue(outbox.closed)
        outbox.write(b"for nobody")
        outbox.flush()
        await turn()


class ChoiceTests(SynchronousTestCase):
    def test_behind_a_proxy_protocol_the_socket_is_looked_for(self) -> None:
        wrapper: Any = HAProxyProtocolWrapper.__new__(HAProxyProtocolWrapper)
        wrapper.transport = FakeTransport()
        outbox = outbox_for(Turn(Time().callLater), wrapper)
        self.assertIsInstance(outbox, TransportOutbox)
        self.assertIs(wrapper.transport.producer, outbox)


def turn() -> Deferred[None]:
    """One turn of the reactor."""
    done: Deferred[None] = Deferred()
    reactor.callLater(0, done.callback, None)
    return done
