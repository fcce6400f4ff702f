"""What is done to a cluster while people talk; each fault leaves everything running again."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from random import Random

from tests.faults.havoc import Faults
from tests.faults.proxy import Passage, Proxy, unchanged

from .node import Node
from .world import SECONDS_OF_A_LEASE, Cluster, Place

LONG = 2 * SECONDS_OF_A_LEASE
"""Seconds after which nobody can think that it still has a lease."""

STOPPING_SECONDS = 10.0
"""What a node may take to end in order."""


class ClusterHavoc(Faults):
    """The faults, by name in :attr:`faults`; those that last longer than a lease in
    :attr:`long_faults` as well."""

    def __init__(self, cluster: Cluster, chance: Random) -> None:
        super().__init__(chance)
        self.long_faults = {
            "stop a node for long": self._stop_a_node_for_long,
            "leave a node dead": self._leave_a_node_dead,
            "cut a node from NATS for long": self._cut_from_nats_for_long,
            "cut a node from the database for long": self._cut_from_database_for_long,
            "leave NATS away": self._leave_nats_away,
            "leave the database away": self._leave_database_away,
        }
        self.faults = {
            "kill a node": self._kill_a_node,
            "kill a node at an answer": self._kill_a_node_at_an_answer,
            "kill all nodes": self._kill_all_nodes,
            "stop a node": self._stop_a_node,
            "restart all in turn": self._restart_all_in_turn,
            "kill NATS": self._kill_nats,
            "stop NATS": self._stop_nats,
            "cut a node from NATS": self._cut_from_nats,
            "reset a node's way to NATS": self._reset_way_to_nats,
            "kill the database": self._kill_database,
            "stop the database": self._stop_database,
            "cut a node from the database": self._cut_from_database,
            **self.long_faults,
        }
        self.stopping: list[float] = []
        """The seconds that each node took to end in order."""
        self._cluster = cluster
        self._trap: asyncio.Event | None = None

    def watch(self, data: bytes) -> None:
        if self._trap is not None and b'"state":"stored"' in data:
            self._some_place().node.kill()
            self._trap.set()
            self._trap = None

    def _some_place(self) -> Place:
        running = [place for place in self._cluster.places if place.node.running]
        return self._chance.choice(running)

    # Nodes

    async def _kill_a_node(self) -> None:
        node = self._some_place().node
        node.kill()
        await self._away(1.0)
        await node.start()

    async def _leave_a_node_dead(self) -> None:
        """Its users are elsewhere, and those who are not are offline, before it comes back."""
        node = self._some_place().node
        node.kill()
        await asyncio.sleep(LONG)
        await node.start()

    async def _kill_a_node_at_an_answer(self) -> None:
        """Some sender learns that its message is stored, and a node dies in that moment."""
        self._trap = asyncio.Event()
        await self._trap.wait()
        await self._start_all()

    async def _kill_all_nodes(self) -> None:
        for node in self._cluster.nodes:
            node.kill()
        await self._start_all()

    async def _start_all(self) -> None:
        dead = [node for node in self._cluster.nodes if not node.running]
        await asyncio.gather(*(node.start() for node in dead))

    async def _stop_a_node(self) -> None:
        await self._stop(4.0)

    async def _stop_a_node_for_long(self) -> None:
        """It wakes, and has no lease any more."""
        await self._stop(LONG)

    async def _stop(self, seconds: float) -> None:
        node = self._some_place().node
        node.stop()
        await asyncio.sleep(seconds)
        node.wake()

    async def _restart_all_in_turn(self) -> None:
        """SIGTERM to one after the other, each when the one before is up again."""
        for node in self._cluster.nodes:
            await self._restart(node)
            await self._cluster.all_up()

    async def _restart(self, node: Node) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        status = await node.terminate()
        self.stopping.append(loop.time() - begun)
        # twistd ends by the signal that it has handled.
        if status != -signal.SIGTERM:
            raise RuntimeError(f"{node.name}: exit status {status}:\n{node.log()[-3000:]}")
        await node.start()

    # NATS

    async def _kill_nats(self) -> None:
        """It comes back and knows of nothing."""
        await asyncio.to_thread(self._cluster.nats.kill)
        await self._away(2.0)
        await asyncio.to_thread(self._cluster.nats.start)

    async def _leave_nats_away(self) -> None:
        await asyncio.to_thread(self._cluster.nats.kill)
        await asyncio.sleep(LONG)
        await asyncio.to_thread(self._cluster.nats.start)

    async def _stop_nats(self) -> None:
        await asyncio.to_thread(self._cluster.nats.stop)
        await self._away(5.0)
        self._cluster.nats.wake()

    async def _cut_from_nats(self) -> None:
        await _cut(self._some_place().to_bus, 5.0)

    async def _cut_from_nats_for_long(self) -> None:
        await _cut(self._some_place().to_bus, LONG)

    async def _reset_way_to_nats(self) -> None:
        """RST, and it may connect again at once."""
        for passage in list(self._some_place().to_bus.passages):
            passage.cut()

    # The database

    async def _kill_database(self) -> None:
        self._cluster.maria.kill()
        await self._away(1.5)
        await asyncio.to_thread(self._cluster.maria.start)

    async def _leave_database_away(self) -> None:
        """No lease is renewed."""
        self._cluster.maria.kill()
        await asyncio.sleep(LONG)
        await asyncio.to_thread(self._cluster.maria.start)

    async def _stop_database(self) -> None:
        await asyncio.to_thread(self._cluster.maria.stop)
        await self._away(4.0)
        self._cluster.maria.wake()

    async def _cut_from_database(self) -> None:
        await _cut(self._some_place().to_database, 3.0)

    async def _cut_from_database_for_long(self) -> None:
        """It cannot renew its lease, and others can take its users."""
        await _cut(self._some_place().to_database, LONG)


async def _cut(cable: Proxy, seconds: float) -> None:
    async with cut(cable):
        await asyncio.sleep(seconds)


@contextlib.asynccontextmanager
async def cut(cable: Proxy) -> AsyncIterator[None]:
    """Both ends think that they are connected, and nothing comes through."""
    cable.see_up = cable.see_down = _swallow
    for passage in cable.passages:
        passage.swallow(up=True, down=True)
    try:
        yield
    finally:
        # What was swallowed is missing in these connections: they are of no use any more.
        for passage in list(cable.passages):
            passage.cut()
        cable.see_up = cable.see_down = unchanged


def _swallow(passage: Passage, data: bytes) -> bytes:
    passage.swallow(up=True, down=True)
    return b""
