"""Several servers that are one, in memory: their store is one, and a bus joins them.

A conversation that is mixed with :class:`AcrossNodes` in place of :class:`tests.support.InMemory`
is held by people who are each on the next node.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from chat.bus.local import Hub, LocalBus
from chat.interfaces import Store
from chat.service import Server
from chat.storage import open_store
from chat.tcp import ChatFactory

from .cables import Client, MemoryCable
from .support import InMemory, PasswordsInMemory, settings

STEPS = 60
"""Steps of 50 ms that something which comes from another node may take."""


class NodeCable(MemoryCable):
    """A cable whose client waits for what other nodes do, too."""

    async def more(self) -> None:
        client = self.transport.client
        before = len(client.lines)
        self._time.settle()
        for _ in range(STEPS):
            if client.closed or len(client.lines) > before:
                return
            self._time.go(0.05)
        raise AssertionError("nothing comes")


class AcrossNodes(InMemory):
    """See the module.  :attr:`server` is the first of :attr:`servers`."""

    nodes = 2

    def make_store(self) -> Store:
        return open_store("memory:", self.time, lambda: 1e9 + self.time.seconds())

    def start(self) -> None:
        self.hub = Hub(self.time.callLater)
        self.servers: list[Server] = []
        self.factories: list[ChatFactory] = []
        self.buses: list[LocalBus] = []
        self.next_node = 0
        for number in range(self.nodes):
            self.add_node(f"node{number}")
        self.server, self.factory = self.servers[0], self.factories[0]

    def add_node(self, name: str) -> Server:
        """One more server."""
        self.passwords = PasswordsInMemory()
        bus = self.hub.end()
        server = Server(
            settings({**self.bounds, "node": name}), self.store, self.time, self.passwords, bus
        )
        server.start()
        self.buses.append(bus)
        self.servers.append(server)
        self.factories.append(ChatFactory(server, server.turn))
        opened = Deferred.fromCoroutine(server.open())
        self.go(0.05)
        self.successResultOf(opened)
        return server

    def stop(self) -> None:
        for server in reversed(self.servers):
            self.server = server
            super().stop()

    async def register(self, name: str) -> int:
        """Make an account, on the first node: those who log in are on the next ones."""
        following, self.next_node = self.next_node, 0
        try:
            return await super().register(name)
        finally:
            self.next_node = following

    async def log_in(self, client: Client, user_id: int, level: int = 1, **fields: Any) -> None:
        """Log in, a moment after what was said before: it takes as long to look elsewhere."""
        self.go(0.2)
        await super().log_in(client, user_id, level, **fields)

    async def connect(self, host: str = "127.0.0.1", node: int | None = None) -> Client:
        """One more client, on the next node or on this one."""
        if node is None:
            node = self.next_node % len(self.factories)
            self.next_node += 1
        factory = self.factories[node]
        return Client(lambda client: NodeCable(self.time, factory, client, host))
