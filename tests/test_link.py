"""What transports share: a client that is held back is not read, however long it is held."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.trial.unittest import TestCase

from .support import InMemory

PINGS = b'{"msgid":13}\n' * 5000
READS = 40


class HeldBackTests(InMemory, TestCase):
    bounds: Mapping[str, Any] = {
        "requests_burst": 10,
        "requests_per_second": 20.0,
        "login_seconds": 600.0,
    }

    async def test_what_waits_is_worked_off_before_more_is_read(self) -> None:
        client = await self.connect()
        transport = self.server_side(client)
        for _ in range(READS):
            client.cable.write(PINGS)
        for _ in range(200):
            self.go(0.1)
        answered = len(client.lines)
        # What one read brought lasts for minutes at this pace.
        self.assertTrue(10 + 20 * 15 < answered < len(PINGS.splitlines()), answered)
        self.assertGreaterEqual(len(transport.unread), READS - 2)
        self.assertTrue(transport.paused)

    async def test_it_is_read_on_when_that_is_done(self) -> None:
        client = await self.connect()
        for _ in range(3):
            client.cable.write(b'{"msgid":13}\n' * 300)
        for _ in range(600):
            self.go(0.1)
        self.assertEqual(len(client.lines), 900)
        self.assertFalse(self.server_side(client).paused)
