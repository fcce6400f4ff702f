"""Which servers there are, and who is on which, in memory: for one process, and for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from ...cluster import Claim, Renewal
from ...errors import StoreAway
from ...model import User
from ..members import REAPED_A_CALL
from ..times import micros
from .tables import ClaimRow, Ids, Tables, answered


class NodeRow(msgspec.Struct):
    """A row of ``node``."""

    name: str
    expires: int
    """In microseconds since the epoch."""


class MemoryMembers:
    """See :class:`chat.cluster.Members`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._nodes: dict[int, NodeRow] = {}
        """Those with a lease, and those that were not reaped whole."""
        self._ids = Ids()

    @answered
    def join(self, name: str, seconds: float) -> int:
        now = self._tables.stamp()
        for node, row in self._live().items():
            if row.name == name:
                self._nodes[node].expires = now
        node = self._ids.next()
        self._nodes[node] = NodeRow(name, now + micros(seconds))
        return node

    @answered
    def renew(self, node: int, seconds: float, claims: Mapping[int, int]) -> Renewal:
        if node in self._live():
            self._nodes[node].expires = self._tables.stamp() + micros(seconds)
        live = self._live()
        held = node in live
        there = self._tables.claims
        lost = [
            user_id
            for user_id, epoch in claims.items()
            if not held or there.get(user_id) != ClaimRow(node, epoch)
        ]
        return Renewal(held, lost, sorted(row.name for other, row in live.items() if other != node))

    @answered
    def leave(self, node: int) -> None:
        if node in self._live():
            self._nodes[node].expires = self._tables.stamp()

    @answered
    def claim(self, user_id: int, node: int, after: int = 0) -> Claim:
        live = self._live()
        if node not in live:
            raise StoreAway("this node has no lease any more", unknown=False)
        row = self._tables.claims.setdefault(user_id, ClaimRow(0, 0))
        if row.node not in live or row.node == node or row.epoch == after:
            row.node = node
            row.epoch += 1
        return Claim(row.node, live[row.node].name, row.epoch)

    @answered
    def release(self, node: int, epochs: Mapping[int, int]) -> None:
        for user_id, epoch in epochs.items():
            row = self._tables.claims.get(user_id)
            if row == ClaimRow(node, epoch):
                row.node = 0

    @answered
    def online(self, users: Sequence[int], viewer: int = 0) -> set[int]:
        live = self._live()
        claims, blocks = self._tables.claims, self._tables.blocks
        return {
            user_id
            for user_id in users
            if user_id in claims
            and claims[user_id].node in live
            and (user_id, viewer) not in blocks
        }

    @answered
    def reap(self) -> list[User]:
        ended = self._nodes.keys() - self._live().keys()
        taken = [user_id for user_id, row in self._tables.claims.items() if row.node in ended]
        for user_id in taken[:REAPED_A_CALL]:
            self._tables.claims[user_id].node = 0
        if len(taken) <= REAPED_A_CALL:
            for node in ended:
                del self._nodes[node]
        rows = [self._tables.users.get(user_id) for user_id in taken[:REAPED_A_CALL]]
        return [User(row.id, row.name) for row in rows if row is not None]

    def _live(self) -> dict[int, NodeRow]:
        now = self._tables.stamp()
        return {node: row for node, row in self._nodes.items() if row.expires > now}
