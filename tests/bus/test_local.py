"""The bus within one process."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from chat.bus.local import Hub
from chat.cluster import BusAway, NoResponder

from .contract import LONG, SHORT, Contract

TURN = 0.01
TURNS = 1000


class LocalBusTests(Contract, TestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        hub = Hub(self.clock.callLater)
        self.ends = [hub.end(), hub.end()]
        self.a, self.b = self.ends
        for end in self.ends:
            self.assertFalse(end.up)
            self.successResultOf(end.open())
            self.assertTrue(end.up)

    async def until(self, condition: Callable[[], object]) -> None:
        for _ in range(TURNS):
            if condition():
                return
            self.clock.advance(TURN)
        self.fail("it did not come true")

    async def break_it(self) -> None:
        for end in self.ends:
            end.cut()

    async def mend_it(self) -> None:
        for end in self.ends:
            end.heal()

    async def test_describe(self) -> None:
        self.assertEqual(self.a.describe(), "local")

    async def test_one_end_is_cut_off(self) -> None:
        here = await self.heard(self.b, "some")
        self.b.publish("nobody", b"under way")
        self.ends[1].cut()
        self.assertTrue(self.a.up)
        await self.fails(NoResponder, self.a.request("some", b"", LONG))
        self.ends[1].heal()
        await self.flush(self.a, self.b)
        self.assertEqual(here, [])

    async def test_what_was_under_way_when_it_was_cut_off_is_lost(self) -> None:
        here = await self.heard(self.a, "some")
        self.b.publish("some", b"")
        self.ends[1].cut()
        self.ends[1].heal()
        await self.flush(self.b, self.a)
        self.assertEqual(here, [])

    async def test_cut_off_without_noticing(self) -> None:
        here = await self.heard(self.a, "some")
        changes: list[bool] = []
        self.b.changed.append(changes.append)
        self.ends[1].cut(noticed=False)
        self.assertTrue(self.b.publish("some", b""))
        await self.fails(BusAway, self.b.request("some", b"", SHORT))
        self.assertEqual((self.b.up, changes), (True, []))
        self.ends[1].cut()
        self.assertEqual((self.b.up, changes), (False, [False]))
        self.ends[1].heal()
        await self.flush(self.b, self.a)
        self.assertEqual((here, changes), ([], [False, True]))
