"""Which bus a URL is, and what is told before anything runs."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from twisted.internet import epollreactor, reactor
from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.trial.unittest import SynchronousTestCase

from chat import bus
from chat.bus.nats import NatsBus
from chat.bus.places import NatsPlace, parse
from chat.errors import BadStart

MYSQL = "mysql://chat@127.0.0.1/chat"


class PlaceTests(SynchronousTestCase):
    def test_local(self) -> None:
        self.assertEqual(parse("local"), None)

    def test_servers(self) -> None:
        self.assertEqual(parse("nats://one"), NatsPlace(("one:4222",), tls=False))
        self.assertEqual(
            parse("tls://one:1,two-2.example:65535,[::1]:3,[::1]/"),
            NatsPlace(("one:1", "two-2.example:65535", "[::1]:3", "[::1]:4222"), tls=True),
        )

    def test_who_we_are(self) -> None:
        self.assertEqual(
            parse("nats://me:p%40ss%2Fw%3Ard@one,two"),
            NatsPlace(("one:4222", "two:4222"), tls=False, user="me", password="p@ss/w:rd"),
        )
        self.assertEqual(
            parse("nats://a%20token@one"), NatsPlace(("one:4222",), tls=False, token="a token")
        )
        self.assertEqual(parse("nats://me:@one"), NatsPlace(("one:4222",), False, "me", ""))

    def test_nobody_is_told_who_we_are(self) -> None:
        for url in ("nats://me:secret@one,two", "nats://secret@one,two"):
            place = parse(url)
            self.assertEqual(str(place), "nats://one:4222,two:4222")
            self.assertNotIn("secret", repr(place))

    def test_mistakes(self) -> None:
        for url in (
            "", "nats", "nats:", "nats:one", "NATS://one", "http://one", "nats://", "nats://one,",
            "nats://one:0", "nats://one:65536", "nats://one:x", "nats://one two", "nats://[one]:1",
            "nats://one/path", "nats://one?secret=1", "nats://me:secret@", "nats://@one",
            "nats://:secret@one", "nats://me:sec@ret@one", "nats://me:sec/ret@one",
            "nats://one,nats://two", "nats://me:secret@one,me:secret@two", "localhost:4222",
        ):  # fmt: skip
            error = self.assertRaises(BadStart, parse, url)
            self.assertTrue(str(error).startswith("--bus: "), url)
            self.assertIn("nats://", str(error))
            self.assertNotIn("secret", str(error))
            self.assertNotIn("\n", str(error))


class CheckTests(SynchronousTestCase):
    def refused(self, url: str, database: str = MYSQL) -> str:
        return str(self.assertRaises(BadStart, bus.check, url, database))

    def test_local_needs_nothing(self) -> None:
        for database in ("memory:", "sqlite:chat.sqlite", MYSQL):
            bus.check("local", database)
        self.assertEqual(bus.open_bus("local", reactor), None)

    def test_fine(self) -> None:
        self.assertIsInstance(reactor, AsyncioSelectorReactor)
        bus.check("nats://one", MYSQL)
        made = bus.open_bus("nats://me:secret@one", reactor)
        assert isinstance(made, NatsBus)
        self.assertEqual((made.up, made.describe()), (False, "nats://one:4222"))
        self.assertFalse(made.publish("some", b""))

    def test_bad_url(self) -> None:
        self.assertIn("unknown kind of bus", self.refused("redis://one"))
        self.assertRaises(BadStart, bus.open_bus, "redis://one", reactor)

    def test_every_server_needs_the_same_database(self) -> None:
        for database in ("memory:", "sqlite:chat.sqlite"):
            self.assertIn("--database mysql://", self.refused("nats://one", database))

    def test_another_reactor(self) -> None:
        other: Any = epollreactor.EPollReactor()
        self.addCleanup(other.disconnectAll)
        error = self.assertRaises(BadStart, bus.open_bus, "nats://one", other)
        self.assertEqual(str(error), "--bus: NATS needs twistd --reactor=asyncio")

    def test_not_installed(self) -> None:
        self.patch(bus, "find_spec", {"msgspec": object()}.get)
        self.assertIn("pip install 'twistd-chat[nats]'", self.refused("nats://one"))
        self.assertRaises(BadStart, bus.open_bus, "nats://one", reactor)

    def test_nothing_of_it_is_imported_by_who_does_not_use_it(self) -> None:
        program = (
            "import sys, chat.tap, chat.bus\n"
            "from twisted.internet import reactor\n"
            "chat.bus.check('local', 'memory:')\n"
            "chat.bus.open_bus('local', reactor)\n"
            "names = ('nats', 'chat.bus.nats', 'twisted.internet.asyncioreactor')\n"
            "print([it for it in names if it in sys.modules])\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], check=True, capture_output=True, text=True
        )
        self.assertEqual(done.stdout, "[]\n")
