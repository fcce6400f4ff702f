"""The library against the real server: in memory, and as a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.error import ConnectionRefusedError as Refusal
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
    ITransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from chat.client import Client, register
from chat.tcp import ChatFactory
from tests.cables import MemoryTransport, Time
from tests.support import PASSWORD, InMemory

ROOT = Path(__file__).parent.parent.parent


@implementer(IStreamClientEndpoint)
class MemoryEndpoint:
    """Connects a real client with the real server in memory.  Bytes take a turn of the time."""

    def __init__(self, time: Time, factory: ChatFactory) -> None:
        self._time = time
        self._factory = factory
        self.open = True
        """Whether one can connect."""
        self.wire: Wire | None = None
        """The last connection."""

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803
        if not self.open:
            failed: Deferred[IProtocol] = Deferred()
            failed.errback(Refusal())
            return failed
        protocol = protocolFactory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
        assert protocol is not None
        self.wire = Wire(self._time, self._factory, protocol)
        return succeed(protocol)

    def cut(self) -> None:
        """The connection, if there is one, breaks without a word."""
        if self.wire is not None:
            self.wire.cut()


@implementer(ITransport)
class Wire:
    """The client's end of a connection in memory."""

    def __init__(self, time: Time, factory: ChatFactory, protocol: IProtocol) -> None:
        self._time = time
        self._protocol = protocol
        self._connected = True
        server_side = factory.buildProtocol(None)
        far_end: Any = SimpleNamespace(received=self._later, lost=self._lost)
        self._server = MemoryTransport(time, far_end, server_side)
        server_side.makeConnection(self._server)
        protocol.makeConnection(self)

    def write(self, data: bytes) -> None:
        self._time.callLater(0, self._deliver, data)

    def writeSequence(self, data: Any) -> None:  # noqa: N802
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        self._time.callLater(0, self._close)

    def cut(self) -> None:
        """Both ends lose the connection, and what is under way on it."""
        if self._connected:
            self._server._lose(ConnectionLost())

    abortConnection = cut  # noqa: N815

    def getPeer(self) -> IPv4Address:  # noqa: N802
        return IPv4Address("TCP", "127.0.0.1", 1)

    getHost = getPeer  # noqa: N815

    def _deliver(self, data: bytes) -> None:
        if not self._server.gone:
            self._server.deliver(data)

    def _later(self, data: bytes) -> None:
        self._time.callLater(0, self._receive, data)

    def _receive(self, data: bytes) -> None:
        if self._connected:
            self._protocol.dataReceived(data)

    def _close(self) -> None:
        if self._connected and not self._server.gone:
            self._server._lose(ConnectionDone())

    def _lost(self) -> None:
        self._connected = False
        self._protocol.connectionLost(Failure(ConnectionDone()))


class LiveCase(InMemory):
    """Clients of the real server in memory; their time is the server's."""

    def setUp(self) -> None:
        super().setUp()
        self.clients: list[Client] = []
        self.endpoints: dict[int, MemoryEndpoint] = {}

    def stop(self) -> None:
        for client in self.clients:
            client.stopService()
        self.go(0.1)
        super().stop()

    def account(self, name: str) -> int:
        """Make an account."""
        endpoint = MemoryEndpoint(self.time, self.factory)
        registered = register(endpoint, name, PASSWORD, clock=self.time)
        self.time.settle()
        user_id = self.successResultOf(registered)
        self.endpoints[user_id] = endpoint
        return user_id

    def client(self, user_id: int, **options: Any) -> Client:
        """A client that has started."""
        client = Client(
            self.endpoints[user_id],
            user_id,
            PASSWORD,
            **{"clock": self.time, "retry_policy": lambda _: 1.0, **options},
        )
        self.clients.append(client)
        client.startService()
        self.time.settle()
        return client


class ServerProcess:
    """``twistd chat`` on a free port of 127.0.0.1, its data in ``folder``."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self.port = 0
        self.log: list[str] = []
        """What it has said."""

    @property
    def endpoint(self) -> str:
        """Where to connect to."""
        return f"tcp:127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        """The same for the console."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, on the same port as before; returns when it lets clients in."""
        command = [
            *(sys.executable, "-m", "twisted", "--log-format", "text", "chat"),
            *("--web", "none", "--listen", f"tcp:{self.port}:interface=127.0.0.1"),
            *("--database", f"sqlite:{self._folder / 'chat.sqlite'}", *self._options),
        ]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        self._process = subprocess.Popen(
            command,
            cwd=self._folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.log.clear()
        ready = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(self._process, ready))
        self._reader.start()
        ready.wait()
        found = re.search(r"listening on 127\.0\.0\.1:(\d+)", "".join(self.log))
        assert found, "".join(self.log)
        self.port = int(found[1])

    def stop(self, how: int = signal.SIGTERM) -> None:
        """End it."""
        if self._process is not None and self._reader is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._reader.join()
            self._process = None

    def _read(self, process: subprocess.Popen[str], ready: threading.Event) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self.log.append(line)
                if "data: " in line:
                    ready.set()
        ready.set()
