"""All processes of a cluster: nodes, a NATS, a MariaDB, HAProxy; and the cables between them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from tests.faults.proxy import Proxy
from tests.faults.world import ROWS, Data
from tests.mariadb import MariaDB
from tests.nats import Nats

from .balancer import Balancer
from .node import Node

NAMES = ("red", "green", "blue")
SECONDS_OF_A_LEASE = 15.0


class Database(Data):
    """One of MariaDB's, which several nodes share.

    :param url: of a new one.
    """

    def __init__(self, server: MariaDB, url: str) -> None:
        self.url = url
        self.name = url.rpartition("/")[2]
        self.others = 0
        """Rows of those whom :meth:`rows` does not count."""
        self._server = server

    async def open(self) -> None:
        """It is there."""

    async def close(self) -> None:
        """It goes with its server."""

    def rows(self) -> int:
        return int(self._server.ask(ROWS, database=self.name)[0][0]) - self.others

    def begin(self) -> None:
        """What waits now is for somebody who does not come."""
        self.others += self.rows()

    def through(self, cable: Proxy) -> Database:
        """The same, as one node reaches it."""
        there = self.url.replace(f":{self._server.port}/", f":{cable.port}/")
        return Database(self._server, there)


class Place:
    """A node, and its cables to the others."""

    def __init__(self, to_bus: Proxy, to_database: Proxy, node: Node) -> None:
        self.to_bus = to_bus
        self.to_database = to_database
        self.node = node


class Cluster:
    """Nodes behind a balancer; :meth:`open` starts everything, :meth:`end` ends it.

    :param folder: for the nodes' logs.
    :param options: of every node.
    """

    def __init__(self, folder: Path, maria: MariaDB, options: Sequence[str] = ()) -> None:
        self.maria = maria
        self.places: list[Place] = []
        self.data: Database
        self._folder = folder
        self._options = options
        self._ends: list[Nats | Balancer | Node] = []
        self._cables: list[Proxy] = []

    async def open(self) -> None:
        """Returns when everybody is let in everywhere."""
        self.data = database = Database(self.maria, await asyncio.to_thread(self.maria.fresh))
        self.nats = await asyncio.to_thread(Nats)
        self._ends.append(self.nats)
        for name in NAMES:
            to_bus, to_database = Proxy(self.nats.port), Proxy(self.maria.port)
            for cable in (to_bus, to_database):
                await cable.open()
                self._cables.append(cable)
            data = database.through(to_database)
            node = Node(self._folder, data, name, to_bus.port, self._options)
            self.places.append(Place(to_bus, to_database, node))
            self._ends.append(node)
        self.balancer = Balancer([node.behind for node in self.nodes])
        self._ends.append(self.balancer)
        self.port = self.balancer.port
        # The first one makes the tables; the others would wait for it.
        await self.nodes[0].start()
        await asyncio.gather(*(node.start() for node in self.nodes[1:]))
        await asyncio.to_thread(self.balancer.start)
        await self.all_up()

    async def all_up(self) -> None:
        """Until the balancer sends clients to every node."""
        while set((await asyncio.to_thread(self.balancer.states)).values()) != {"UP"}:
            await asyncio.sleep(0.1)

    def end(self) -> None:
        """No process of it is left, whatever state it was in; but MariaDB runs."""
        for one in reversed(self._ends):
            one.end()
        self.maria.start()

    async def close(self) -> None:
        """The same, and the cables are gone."""
        for cable in self._cables:
            await cable.close()
        self.end()

    def forget_names(self) -> None:
        """Those of users and groups are free again; blocks for a moment."""
        for table in ("user", "allgroup"):
            self.maria.ask(
                f"UPDATE `{table}` SET name_key = concat('former ', id)"
                " WHERE name_key NOT LIKE 'former %'",
                self.data.name,
            )

    @property
    def nodes(self) -> list[Node]:
        """By number, from 0."""
        return [place.node for place in self.places]

    @property
    def ports(self) -> list[int]:
        """Where clients may come in: the balancer, and each node."""
        return [self.port, *(node.port for node in self.nodes)]

    def mistakes(self) -> list[str]:
        """Exceptions in the nodes' logs."""
        return [f"{node.name}: {text}" for node in self.nodes for text in node.mistakes()]
