"""Several of our servers that are one: nodes at one NATS and one MariaDB."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from .databases import Database, mariadb
from .flows import processor_seconds
from .processes import Server, folder, memory
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


class Uses:
    """What processes have used of processor time and memory, since the last look."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids
        self._seconds = self._memory = [0.0] * len(pids)
        self.look(1)

    def look(self, number: int) -> tuple[list[float], list[float]]:
        """Of each process the microseconds, and the bytes, for each of so many."""
        seconds = [processor_seconds(pid) for pid in self._pids]
        sizes = [float(memory(pid)) for pid in self._pids]
        used = [1e6 * (now - was) / number for now, was in zip(seconds, self._seconds, strict=True)]
        grown = [(now - was) / number for now, was in zip(sizes, self._memory, strict=True)]
        self._seconds, self._memory = seconds, sizes
        return used, grown


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
