"""Several of our servers that are one: nodes at one NATS and one MariaDB."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from .databases import Database, mariadb
from .flows import processor_seconds
from .processes import Server, folder
from .talk import start_chat

REACTOR = "asyncio"
"""The one that NATS needs."""


@dataclass
class Cluster:
    """What runs; users are made in ``database``."""

    database: Database
    bus: str
    """As ``--bus`` takes it."""
    bus_pid: int
    nodes: list[Server]

    @property
    def pids(self) -> list[int]:
        """Of the nodes."""
        return [node.pid for node in self.nodes]

    def bus_seconds(self) -> float:
        """Processor time that NATS has used."""
        return processor_seconds(self.bus_pid)

    @contextmanager
    def node(
        self, name: str, *options: str, listening: socket.socket | None = None
    ) -> Iterator[Server]:
        """One more node for as long as it is needed; see :func:`benchmarks.talk.start_chat`."""
        joined = ("--bus", self.bus, "--node", name, *options)
        with folder() as place:
            server = start_chat(
                place, self.database.url, *joined, reactor=REACTOR, listening=listening
            )
            try:
                yield server
            finally:
                server.stop()


@contextmanager
def cluster(number: int) -> Iterator[Cluster]:
    """So many nodes, with a NATS and a database of their own."""
    # Imported here: it needs nats-server, which the other rows do not.
    from tests.nats import Nats

    with ExitStack() as stack:
        database = stack.enter_context(mariadb())
        nats = Nats()
        stack.callback(nats.end)
        made = Cluster(database, nats.url, nats.pid, [])
        for place in range(number):
            made.nodes.append(stack.enter_context(made.node(f"node-{place + 1}")))
        yield made
