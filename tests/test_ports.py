"""Ports: bound before they are open, all or none, and closed without touching connections."""

from __future__ import annotations

import socket
import tempfile
from itertools import pairwise
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint, clientFromString, connectProtocol
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from chat.errors import BadStart
from chat.link import KEEPALIVE
from chat.ports import ACCEPTS, BACKLOG, Ports

BUSY = (
    "cannot listen on %s: Address already in use, by another program (ss -ltnp says which);"
    " see --listen"
)


class Accepting(Factory):
    """Greets who is let in."""

    def __init__(self) -> None:
        self.protocols: list[Protocol] = []

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        protocol = Greeting()
        protocol.factory = self
        self.protocols.append(protocol)
        return protocol


class Greeting(Protocol):
    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(b"welcome")


class Hearing(Protocol):
    """A client that waits for what it is told."""

    def __init__(self) -> None:
        self.heard: Deferred[bytes] = Deferred()
        self.lost: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.heard.callback(data)

    def connectionLost(self, reason: object = None) -> None:
        self.lost.callback(None)


LOCAL = "tcp:0:interface=127.0.0.1"


class PortsTests(TestCase):
    def make(self, *endpoints: str) -> Ports:
        self.factory = Accepting()
        ports = Ports(reactor, endpoints, self.factory)
        self.addCleanup(ports.stopService)
        return ports

    def number(self, ports: Ports, index: int = 0) -> int:
        address = ports.addresses()[index]
        assert isinstance(address, IPv4Address)
        return address.port

    async def connect(self, ports: Ports, index: int = 0) -> Hearing:
        port = self.number(ports, index)
        endpoint = clientFromString(reactor, f"tcp:127.0.0.1:{port}")
        client: Hearing = await connectProtocol(endpoint, Hearing())
        self.addCleanup(client.transport.abortConnection)  # type: ignore[union-attr]
        return client

    async def test_who_comes_early_is_let_in_when_it_opens(self) -> None:
        ports = self.make(LOCAL)
        ports.bind()
        client = await self.connect(ports)
        self.assertEqual(self.factory.protocols, [])
        ports.open()
        self.assertEqual(await client.heard, b"welcome")

    async def test_several_endpoints(self) -> None:
        path = Path(tempfile.mkdtemp(), "socket")  # not mktemp(): 107 bytes are the most
        self.addCleanup(path.parent.rmdir)
        ports = self.make(LOCAL, f"haproxy:{LOCAL}", f"unix:{path}")
        ports.bind()
        ports.open()
        self.assertEqual(await (await self.connect(ports)).heard, b"welcome")
        over_unix = await connectProtocol(UNIXClientEndpoint(reactor, str(path)), Hearing())
        self.assertEqual(await over_unix.heard, b"welcome")
        over_unix.transport.abortConnection()
        self.assertEqual(len(ports.addresses()), 3)

    async def test_stopping_leaves_connections_and_frees_the_port(self) -> None:
        ports = self.make(LOCAL)
        ports.bind()
        ports.open()
        client = await self.connect(ports)
        await client.heard
        number = self.number(ports)
        await ports.stopService()
        self.assertNoResult(client.lost)
        again = self.make(f"tcp:{number}:interface=127.0.0.1")
        again.bind()

    def test_busy_port(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            busy = f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1"
            ports = self.make(LOCAL, busy)
            error = self.assertRaises(BadStart, ports.bind)
        self.assertEqual(str(error), BUSY % busy)
        self.assertEqual(ports.addresses(), [])

    def test_where_somebody_tries_it_out(self) -> None:
        path = Path(tempfile.mkdtemp()) / "s"
        ports = self.make("tcp:0", LOCAL, f"haproxy:{LOCAL}", f"unix:{path}")
        self.assertEqual(ports.near(), [])
        ports.bind()
        self.assertEqual(ports.near(), [ports.addresses()[1]])

    def test_not_an_endpoint(self) -> None:
        for text, reason in (
            ("nonsense:1", "Unknown endpoint type: 'nonsense'"),
            ("tcp:abc", "abc"),
            ("tcp", ""),
            ("ssl:0:privateKey=/nowhere.pem", "/nowhere.pem: No such file or directory"),
        ):
            error = self.assertRaises(BadStart, self.make(text).bind)
            self.assertTrue(str(error).startswith(f"--listen {text}: "), str(error))
            self.assertIn(reason, str(error))
            self.assertNotIn("\n", str(error))

    def test_binds_once(self) -> None:
        ports = self.make(LOCAL)
        ports.bind()
        before = ports.addresses()
        ports.privilegedStartService()
        self.assertEqual(ports.addresses(), before)

    async def test_what_is_accepted_has_its_options_from_the_port(self) -> None:
        ports = self.make(LOCAL)
        ports.bind()
        ports.open()
        client = await self.connect(ports)
        await client.heard
        (protocol,) = self.factory.protocols
        sock = protocol.transport.getHandle()  # type: ignore[union-attr]
        self.assertTrue(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
        self.assertTrue(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        for name, value in KEEPALIVE.items():
            option = getattr(socket, name)
            self.assertEqual(sock.getsockopt(socket.IPPROTO_TCP, option), value, name)

    async def test_a_crowd_is_let_in_turn_by_turn(self) -> None:
        ports = self.make(LOCAL)
        ports.bind()
        crowd = [await self.connect(ports) for _ in range(5 * ACCEPTS)]
        ports.open()
        turns = [0]
        while turns[-1] < len(crowd):
            await deferLater(reactor, 0)
            turns.append(len(self.factory.protocols))
        steps = [after - before for before, after in pairwise(turns)]
        self.assertEqual(max(steps), ACCEPTS)
        for client in crowd:
            await client.heard

    async def test_many_may_wait(self) -> None:
        ports = self.make(LOCAL, f"{LOCAL}:backlog=3")
        ports.bind()
        waiting = [await self.connect(ports) for _ in range(200)]
        ports.open()
        for client in waiting:
            self.assertEqual(await client.heard, b"welcome")
        self.assertGreaterEqual(BACKLOG, 200)
