"""A storm over a cluster: pairs, many to one and a group, across nodes, hopping."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from random import Random

from tests.faults.ledger import Ledger
from tests.faults.person import Person
from tests.faults.proxy import Proxy
from tests.faults.storm import Storm, name_of, register
from tests.faults.visit import PASSWORD, Mind
from tests.faults.wire import Fields, Wire
from tests.faults.world import PATIENCE

from .company import GroupLedger, GroupOutgoing, Traveller, to_group
from .havoc import ClusterHavoc
from .world import Cluster

PEOPLE = 10


def bounds(chance: Random) -> list[str]:
    """Options for all nodes: often small bounds, so that no way through them is gone seldom."""
    return [
        f"--window-messages={chance.choice((4, 32, 256))}",
        f"--waiting-messages={chance.choice((8, 64, 512))}",
        f"--page-rows={chance.choice((3, 20, 100))}",
        f"--keep-after-seconds={chance.choice((0.3, 1))}",
        "--store-patience-seconds=2",
        "--takeover-seconds=0.5",
        "--ping-seconds=1.5",
        "--stall-seconds=2",
        "--no-limits",
    ]


async def register_company(cluster: Cluster) -> tuple[list[int], int]:
    """Accounts, and a group that all of them are in; the users' ids and the group's."""
    await asyncio.to_thread(cluster.data.begin)
    users = await register(cluster, PEOPLE)
    group_id = 0
    for number, user_id in enumerate(users):
        wire = await Wire.connect(cluster.port)
        answer = await wire.ask(msgid=1, id=user_id, password=PASSWORD, proto=2)
        assert answer["errno"] == 0, answer
        if number == 0:
            answer = await wire.ask(msgid=7, groupname="everybody", groupdesc="")
            group_id = answer["groupid"]
        else:
            answer = await wire.ask(msgid=8, groupid=group_id)
        assert answer["errno"] == 0, answer
        answer = await _answer(wire, msgid=10)
        assert answer["errno"] == 0, answer
        wire.close()
    return users, group_id


async def _answer(wire: Wire, **request: int) -> Fields:
    """The answer to a request, whatever else comes before it."""
    answer = await wire.ask(**request)
    while (answer["msgid"], answer.get("ack")) != (11, request["msgid"]):
        answer = await wire.next()
    return answer


class Weather(Storm):
    """One round.

    :param users: what :func:`register_company` gave.
    """

    ledger: GroupLedger
    havoc: ClusterHavoc

    def __init__(self, cluster: Cluster, users: Sequence[int], group_id: int, seed: int) -> None:
        self._ports = cluster.ports
        self._users = users
        self._group_id = group_id
        self.at_rest: Callable[[], Awaitable[None]] | None = None
        """Awaited when nothing waits any more, and everybody is still there."""
        super().__init__(cluster, ClusterHavoc(cluster, Random(f"{seed} havoc")), users, seed)

    async def _rest(self) -> None:
        await super()._rest()
        if self.at_rest is not None:
            async with asyncio.timeout(PATIENCE):
                await self.at_rest()

    def _new_ledger(self) -> Ledger:
        return GroupLedger({self._group_id: self._users})

    def _mind(self, users: Sequence[int], at: int, chance: Random) -> Mind:
        mind = super()._mind(users, at, chance)
        name = chance.choice((None, name_of(at)))
        mind.outgoing = GroupOutgoing(users[at], name, f"{self.seed}", self.ledger, chance)
        mind.writes_to = [*mind.writes_to, to_group(self._group_id)]
        return mind

    def _person(self, mind: Mind, door: Proxy) -> Person:
        # As many through the balancer as at all nodes together.
        balancer, *nodes = self._ports
        ports = [balancer] * len(nodes) + nodes
        return Traveller(mind, self.ledger, door, self.havoc.watch, ports)
