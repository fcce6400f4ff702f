"""Two logins of one user at the same instant, on two nodes: one of them has the session."""

from __future__ import annotations

import asyncio
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tests.faults.storm import tell
from tests.faults.wire import Gone
from tests.faults.world import PATIENCE

from .company import BUFFERED
from .guest import Guest, User, newcomer
from .shared import shared
from .world import SECONDS_OF_A_LEASE, Cluster

USERS = 20
ENDED = -1
"""In place of an errno: the connection has ended before there was one."""
ROUNDS = 10
"""Of each user."""


class TwinsTests(SynchronousTestCase):
    def test_one_of_two_at_the_same_instant(self) -> None:
        both, longest = shared().run(self._play(shared().cluster))
        tell(f"{USERS * ROUNDS} twins: {both} times both were let in, for {longest:.2f} s at most")

    async def _play(self, cluster: Cluster) -> tuple[int, float]:
        self.both = 0
        self.longest = 0.0
        asking = await Guest.at(cluster.port)
        await asking.log_in(await newcomer(cluster.port, "speaker"))
        users = [await newcomer(cluster.port, f"twin {number}") for number in range(USERS)]
        try:
            async with asyncio.timeout(4 * PATIENCE), asyncio.TaskGroup() as playing:
                for user in users:
                    playing.create_task(self._rounds(cluster, asking, user))
        except* AssertionError as wrong:
            raise wrong.exceptions[0] from None
        finally:
            await asking.leave()
        return self.both, self.longest

    async def _rounds(self, cluster: Cluster, asking: Guest, user: User) -> None:
        chance = Random(user.id)
        for number in range(ROUNDS):
            here, there = chance.sample(cluster.nodes, 2)
            twins = [await Guest.at(here.port), await Guest.at(there.port)]
            try:
                await self._round(asking, user, twins, f"{user.id}.{number}", number % 2 == 0)
            finally:
                for twin in twins:
                    await twin.leave()

    async def _round(
        self, asking: Guest, user: User, twins: list[Guest], cid: str, takeover: bool
    ) -> None:
        answers = await asyncio.gather(*(self._log_in(it, user, takeover) for it in twins))
        for errno in answers:
            self.assertIn(errno, (0, 2, ENDED), answers)
        let_in = [twin for twin, errno in zip(twins, answers, strict=True) if errno == 0]
        if len(let_in) == 2:
            self.both += 1
            await self._until_one_is_left(let_in)
            let_in = [twin for twin in let_in if not twin.gone.is_set()]
        self.assertEqual(len(let_in), 1, answers)
        self.assertIn(await asking.say(user.id, cid), ("delivered", "stored"))
        (twin,) = let_in
        await twin.has_got(cid).wait()
        self.assertEqual([one for one in twins if one.has_got(cid).is_set()], [twin])
        if takeover:
            await twin.ask(msgid=10)

    async def _log_in(self, twin: Guest, user: User, takeover: bool) -> int:
        """The errno of the answer."""
        try:
            return int((await twin.log_in(user, takeover=takeover))["errno"])
        except Gone:
            return ENDED

    async def _until_one_is_left(self, twins: list[Guest]) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        ends = [asyncio.create_task(twin.gone.wait()) for twin in twins]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()
        seconds = loop.time() - begun
        self.longest = max(self.longest, seconds)
        self.assertLess(seconds, SECONDS_OF_A_LEASE + BUFFERED)
