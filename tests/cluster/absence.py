"""Somebody whose node dies and who does not come back, and a friend who watches."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random

from .guest import Guest, User, Watcher, newcomer
from .node import Node
from .world import Cluster


class Absence:
    """Two more faults: :meth:`lose` a node, and :meth:`find` it again when everybody knows.

    Made by :meth:`begin`, ended by :meth:`end`.
    """

    def __init__(self, cluster: Cluster, user: User, watcher: Watcher, chance: Random) -> None:
        self._cluster = cluster
        self._user = user
        self._watcher = watcher
        self._chance = chance
        self._lost: Node | None = None
        self._watching = asyncio.create_task(watcher.live())

    @classmethod
    async def begin(cls, cluster: Cluster, friends: Sequence[int], chance: Random) -> Absence:
        """:param friends: others whom the friend watches."""
        user = await newcomer(cluster.port, "absentee")
        watching = await newcomer(cluster.port, "watcher")
        guest = await Guest.at(cluster.port)
        await guest.log_in(watching)
        for friend in (user.id, *friends):
            answer = await guest.ask(msgid=6, friendid=friend)
            assert answer["errno"] == 0, answer
        await guest.leave()
        return cls(cluster, user, Watcher(watching, cluster.ports, chance), chance)

    async def lose(self) -> None:
        """Somebody logs in at a node, is seen there, and the node dies."""
        self._lost = node = self._chance.choice(self._cluster.nodes)
        guest = await Guest.at(node.port)
        try:
            answer = await guest.log_in(self._user, takeover=True)
            assert answer["errno"] == 0, answer
            await self._watcher.until([self._user.id], "online")
            node.kill()
        finally:
            await guest.leave()

    async def find(self) -> None:
        """When its lease has ended nobody thinks that somebody is there; then it comes back."""
        assert self._lost is not None and not self._lost.running
        await self._watcher.until([self._user.id], "offline")
        await self._lost.start()

    async def all_are(self, state: str, users: Sequence[int]) -> None:
        """Until the friend sees them so."""
        await self._watcher.until(users, state)

    async def end(self) -> None:
        """Nobody watches any more."""
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
