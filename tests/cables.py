"""What lies between a test's client and the server: a cable in memory, or a real one over TCP.

Over both a :class:`Client` holds the same conversation.  In memory everything happens in one
thread and at the time of a :class:`Time`, so that a test that waits for nothing is certain that
nothing comes.
"""

from __future__ import annotations

import json
import socket
import struct
from collections import deque
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Protocol

from twisted.internet import reactor as installed_reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from chat.tcp import ChatFactory, ChatProtocol

reactor: Any = installed_reactor

PATIENCE = 120.0
"""Seconds that a real connection may take for anything before its test fails."""

KERNEL = 64 << 10
"""Bytes that a cable in memory holds for a client that does not read."""

Message = Mapping[str, Any]


class Time(Clock):
    """A reactor's time that passes when the test says so."""

    def settle(self) -> None:
        """Do what is due, and what becomes due by that, without letting time pass."""
        for _ in range(10_000):
            calls = self.getDelayedCalls()
            if not any(call.getTime() <= self.seconds() for call in calls):
                return
            self.advance(0)
        raise AssertionError("it never comes to rest")

    def go(self, seconds: float) -> None:
        """Let time pass in small steps, with all that is due on the way."""
        steps = max(1, round(seconds / 0.05))
        for _ in range(steps):
            self.advance(seconds / steps)
            self.settle()


class Cable(Protocol):
    """One connection, from the client's side."""

    def write(self, data: bytes) -> None:
        """Bytes for the server."""

    def write_message(self, text: bytes) -> None:
        """One message, framed as this transport does it."""

    async def more(self) -> None:
        """Wait until something more has come, or the server has closed.

        :raises AssertionError: nothing comes.
        """

    def hold(self) -> None:
        """Read nothing until :meth:`let_go`."""

    def let_go(self) -> None:
        """Read again."""

    def shut(self) -> None:
        """Shut the writing side, and go on reading."""

    def close(self) -> None:
        """Close in order."""

    def abort(self) -> None:
        """Vanish (over TCP: with a reset)."""


class Client:
    """A client that knows JSON and nothing of the protocol."""

    def __init__(self, attach: Callable[[Client], Cable]) -> None:
        self.id = 0
        """Who is logged in, for tests that have logged somebody in."""
        self.ack: dict[str, Any] = {}
        """The login's answer."""
        self.closed = False
        """Whether the server has closed, or cut, the connection."""
        self.lines: deque[bytes] = deque()
        """What has come and was not asked for yet."""
        self._rest = b""
        self._numbers = count(1)
        self.cable = attach(self)

    # What the cable brings

    def received(self, data: bytes) -> None:
        """Bytes came."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        self.lines.extend(lines)

    def lost(self) -> None:
        """The server has closed."""
        assert not self._rest, f"half a line: {self._rest[:100]!r}"
        self.closed = True

    # What a test says

    def send(self, *messages: Message | bytes) -> None:
        """Send messages in one packet where the transport allows it."""
        texts = [it if isinstance(it, bytes) else json.dumps(it).encode() for it in messages]
        for text in texts[:-1]:
            self.cable.write_message(text)
        self.cable.write_message(texts[-1])

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.cable.write(data)

    async def line(self) -> bytes:
        """The next line, without its end."""
        while not self.lines:
            assert not self.closed, "the server has closed"
            await self.cable.more()
        return self.lines.popleft()

    async def get(self) -> dict[str, Any]:
        """The next message."""
        message: dict[str, Any] = json.loads(await self.line())
        return message

    async def get_all(self, number: int) -> list[dict[str, Any]]:
        """The next so many messages."""
        return [await self.get() for _ in range(number)]

    async def ask(self, message: Message | bytes) -> dict[str, Any]:
        """Send a message, and the next that comes."""
        self.send(message)
        return await self.get()

    async def nothing(self) -> None:
        """Nothing has come, and the server has nothing more to say to what was sent."""
        cid = f"ping {next(self._numbers)}"
        answer = await self.ask({"msgid": 13, "cid": cid})
        assert answer == {"msgid": 14, "cid": cid}, f"not nothing: {answer}"

    async def end(self) -> list[dict[str, Any]]:
        """Wait until the server has closed; what it said before that."""
        while not self.closed:
            await self.cable.more()
        said = [json.loads(line) for line in self.lines]
        self.lines.clear()
        return said


# In memory


@implementer(IConsumer)
class MemoryTransport:
    """The server's end of a cable in memory."""

    def __init__(
        self, time: Time, client: Client, protocol: ChatProtocol, host: str = "127.0.0.1"
    ) -> None:
        self.time = time
        self.host = host
        """The client's address, as the server sees it."""
        self.client = client
        self.protocol = protocol
        self.paused = False
        """Whether the server does not read."""
        self.held = False
        """Whether the client does not read."""
        self.gone = False
        self.unread: list[bytes] = []
        self._unsent: list[bytes] = []
        self._producer: IPushProducer | None = None
        self._producer_paused = False
        self._closing = False

    # The server writes

    def registerProducer(self, producer: Any, streaming: bool) -> None:  # noqa: N802
        assert streaming
        self._producer = producer

    def unregisterProducer(self) -> None:  # noqa: N802
        self._producer = None

    def write(self, data: bytes) -> None:
        assert isinstance(data, bytes)
        if self.gone or self._closing:
            return
        if not self.held:
            self.client.received(data)
            return
        self._unsent.append(data)
        too_much = sum(map(len, self._unsent)) > KERNEL
        if too_much and self._producer is not None and not self._producer_paused:
            self._producer_paused = True
            self._producer.pauseProducing()

    def let_go(self) -> None:
        self.held = False
        data, self._unsent = b"".join(self._unsent), []
        if data:
            self.client.received(data)
        if self._producer_paused and self._producer is not None:
            self._producer_paused = False
            self._producer.resumeProducing()
        if self._closing:
            self._lose(ConnectionDone())

    def loseConnection(self) -> None:
        self._closing = True
        if not self._unsent:
            self.time.callLater(0, self._lose, ConnectionDone())

    def abortConnection(self) -> None:  # noqa: N802
        self._closing = True
        self.time.callLater(0, self._lose, ConnectionLost())

    def _lose(self, why: Exception) -> None:
        if not self.gone:
            self.gone = True
            self.protocol.connectionLost(Failure(why))
            self.client.lost()

    # The server reads

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False
        self.time.callLater(0, self._feed)

    def _feed(self) -> None:
        while self.unread and not self.paused and not self.gone:
            self.protocol.dataReceived(self.unread.pop(0))

    def deliver(self, data: bytes) -> None:
        self.unread.append(data)
        self._feed()

    def getPeer(self) -> IPv4Address:  # noqa: N802
        return IPv4Address("TCP", self.host, 1)

    getHost = getPeer  # noqa: N815


class MemoryCable:
    """See :class:`Cable`."""

    def __init__(
        self, time: Time, factory: ChatFactory, client: Client, host: str = "127.0.0.1"
    ) -> None:
        self._time = time
        protocol = factory.buildProtocol(None)
        self.transport = MemoryTransport(time, client, protocol, host)
        protocol.makeConnection(self.transport)

    def write(self, data: bytes) -> None:
        if not self.transport.gone:
            self.transport.deliver(data)

    def write_message(self, text: bytes) -> None:
        self.write(text + b"\n")

    async def more(self) -> None:
        client = self.transport.client
        before = len(client.lines)
        self._time.settle()
        assert client.closed or len(client.lines) > before, "nothing comes"

    def hold(self) -> None:
        self.transport.held = True

    def let_go(self) -> None:
        self.transport.let_go()

    def shut(self) -> None:
        self.transport.protocol.readConnectionLost()

    def close(self) -> None:
        self.hold()
        if not self.transport.gone:
            self.shut()

    def abort(self) -> None:
        self.transport._lose(ConnectionLost())


# Over TCP


class _Plug(TwistedProtocol):
    """The client's end of a real connection."""

    def __init__(self) -> None:
        self.client: Client | None = None
        self.waiting: Deferred[None] | None = None

    def dataReceived(self, data: bytes) -> None:
        assert self.client is not None
        self.client.received(data)
        self._wake()

    def connectionLost(self, reason: Failure | None = None) -> None:
        assert self.client is not None
        self.client.lost()
        self._wake()

    def _wake(self) -> None:
        waiting, self.waiting = self.waiting, None
        if waiting is not None:
            waiting.callback(None)


class TcpCable:
    """See :class:`Cable`."""

    def __init__(self, plug: _Plug, client: Client) -> None:
        self._plug = plug
        plug.client = client
        self.transport: Any = plug.transport

    @classmethod
    async def connect(cls, port: int) -> Client:
        """A client of the server at this port of 127.0.0.1."""
        plug = _Plug()
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
        await connectProtocol(endpoint, plug)
        return Client(lambda client: cls(plug, client))

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def write_message(self, text: bytes) -> None:
        self.write(text + b"\n")

    async def more(self) -> None:
        waiting: Deferred[None] = Deferred()
        self._plug.waiting = waiting
        await waiting.addTimeout(PATIENCE, reactor)

    def hold(self) -> None:
        self.transport.pauseProducing()

    def let_go(self) -> None:
        self.transport.resumeProducing()

    def shut(self) -> None:
        self.transport.loseWriteConnection()

    def close(self) -> None:
        self.transport.loseConnection()

    def abort(self) -> None:
        reset = struct.pack("ii", 1, 0)
        self.transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        self.transport.abortConnection()
