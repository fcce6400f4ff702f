"""A WebSocket client for tests, frame by frame, and a server to talk to with it."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping
from typing import Any

from twisted.internet import reactor as twisted_reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from chat.page import page_site

from .cables import PATIENCE, Client, TcpCable
from .support import OverTcp

reactor: Any = twisted_reactor
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

HANDSHAKE = {
    "Host": "127.0.0.1",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


def frame(
    opcode: int, payload: bytes = b"", *, final: bool = True, masked: bool = True, reserved: int = 0
) -> bytes:
    """One frame as a client sends it, or as it should not."""
    first = (0x80 if final else 0) | reserved << 4 | opcode
    bit = 0x80 if masked else 0
    size = len(payload)
    if size < 126:
        head = bytes((first, bit | size))
    elif size < 1 << 16:
        head = bytes((first, bit | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, bit | 127)) + size.to_bytes(8, "big")
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


class Wire(Protocol):
    """The client's end: HTTP until the handshake is over, then frames."""

    def __init__(self) -> None:
        self.head: bytes | None = None
        """The answer to the handshake, up to its empty line."""
        self.frames: deque[tuple[int, bytes]] = deque()
        """Opcodes and payloads that have come and were not taken yet."""
        self.lost = False
        self.client: Client | None = None
        """Who gets the text frames, if somebody does."""
        self._rest = b""
        self._waiting: Deferred[None] | None = None

    def dataReceived(self, data: bytes) -> None:
        self._rest += data
        if self.head is None:
            head, end, rest = self._rest.partition(b"\r\n\r\n")
            if not end:
                return
            self.head, self._rest = head, rest
        if self.head.startswith(b"HTTP/1.1 101 "):
            while self._cut():
                pass
        self._wake()

    def _cut(self) -> bool:
        data = self._rest
        if len(data) < 2:
            return False
        assert data[0] & 0xF0 == 0x80, f"a server's frame is whole and unmasked: {data[:10]!r}"
        size, head = data[1], 2
        if size > 125:
            head = 4 if size == 126 else 10
            size = int.from_bytes(data[2:head], "big")
        if len(data) < head + size:
            return False
        opcode, payload = data[0] & 0x0F, data[head : head + size]
        self._rest = data[head + size :]
        if opcode == TEXT and self.client is not None:
            self.client.received(payload + b"\n")
        else:
            self.frames.append((opcode, payload))
        return True

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.lost = True
        if self.client is not None:
            self.client.lost()
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    async def more(self) -> None:
        """Wait until something has come, or the server has closed."""
        waiting: Deferred[None] = Deferred()
        self._waiting = waiting
        await waiting.addTimeout(PATIENCE, reactor)

    def write(self, *pieces: bytes) -> None:
        """Send bytes in one piece."""
        assert self.transport is not None
        self.transport.write(b"".join(pieces))

    def hold(self) -> None:
        """Read nothing from now on."""
        assert self.transport is not None
        self.transport.pauseProducing()  # type: ignore[attr-defined]

    def let_go(self) -> None:
        """Read again."""
        assert self.transport is not None
        self.transport.resumeProducing()  # type: ignore[attr-defined]

    def hang_up(self) -> Deferred[None]:
        """Close, if the server has not; done when the connection is gone."""
        assert self.transport is not None
        self.transport.abortConnection()  # type: ignore[attr-defined]
        return Deferred.fromCoroutine(self._ended())

    async def _ended(self) -> None:
        while not self.lost:
            await self.more()

    async def frame(self) -> tuple[int, bytes]:
        """The next frame: its opcode and its payload."""
        while not self.frames:
            assert not self.lost, "the server has closed"
            await self.more()
        return self.frames.popleft()

    async def closed_with(self) -> int | None:
        """The code of the close frame, which is the last one; None without a close frame."""
        await self._ended()
        opcode, payload = self.frames.pop() if self.frames else (None, b"")
        if opcode != CLOSE:
            return None
        return int.from_bytes(payload[:2], "big") if payload else 0

    @classmethod
    async def ask(
        cls, where: int | IStreamClientEndpoint, headers: Mapping[str, str | None] = HANDSHAKE
    ) -> Wire:
        """Send a handshake to a port of 127.0.0.1, or elsewhere, and wait for its answer."""
        wire = cls()
        if isinstance(where, int):
            where = TCP4ClientEndpoint(reactor, "127.0.0.1", where)
        await connectProtocol(where, wire)
        lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
        wire.write("\r\n".join(["GET /ws HTTP/1.1", *lines, "", ""]).encode())
        while wire.head is None:
            await wire.more()
        return wire


class WebSocketCable(TcpCable):
    """See :class:`tests.cables.Cable`."""

    _plug: Wire  # type: ignore[assignment]

    @classmethod
    async def connect(cls, where: int | IStreamClientEndpoint) -> Client:
        """A client of the server whose page is there."""
        wire = await Wire.ask(where)
        assert wire.head is not None and wire.head.startswith(b"HTTP/1.1 101 "), wire.head

        def attach(client: Client) -> WebSocketCable:
            wire.client = client
            cable = cls.__new__(cls)
            cable._plug = wire
            cable.transport = wire.transport
            return cable

        return Client(attach)

    def write_message(self, text: bytes) -> None:
        self.write(frame(TEXT, text))

    async def more(self) -> None:
        await self._plug.more()

    def shut(self) -> None:
        """Say goodbye; the server answers what was asked before."""
        self.write(frame(CLOSE))


class OverWebSocket(OverTcp):
    """As over TCP, with clients that speak WebSocket; :meth:`connect_tcp` gives the other kind."""

    origins: tuple[str, ...] = ()

    async def setUp(self) -> None:  # type: ignore[override]
        await super().setUp()
        site = page_site(self.server, self.server.turn, self.origins)
        self.web: Any = self.listen(site)
        self.web_port: int = self.web.getHost().port

    def listen(self, site: IProtocolFactory) -> Any:
        """Have the page somewhere."""
        return reactor.listenTCP(0, site, interface="127.0.0.1")

    def endpoint(self) -> int | IStreamClientEndpoint:
        """Where the page is."""
        return self.web_port

    async def stop(self) -> None:
        await self.web.stopListening()
        await super().stop()

    async def connect(self) -> Client:
        client = await WebSocketCable.connect(self.endpoint())
        self.clients.append(client)
        return client

    async def connect_tcp(self) -> Client:
        """A client that speaks lines over TCP."""
        return await super().connect()

    async def wire(self, **headers: str | None) -> Wire:
        """A connection on which one writes frames oneself; headers beside the handshake's."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        wire = await Wire.ask(self.endpoint(), {**HANDSHAKE, **named})
        self.addCleanup(wire.hang_up)
        return wire
