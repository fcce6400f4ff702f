"""The bus over NATS, with a real server.  Runs on the asyncio reactor: trial --reactor=asyncio."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor as twisted_reactor
from twisted.internet import threads
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import LogEvent, globalLogPublisher
from twisted.trial.unittest import TestCase

from chat.bus import connection, open_bus
from chat.bus.connection import WAITING_BYTES
from chat.bus.nats import NatsBus
from chat.cluster import BusAway, Message
from chat.errors import BadStart

from ..cluster.ports import free_port
from ..nats import Nats
from ..test_tls import make_certificate
from .contract import LONG, Contract

reactor: Any = twisted_reactor
SLOW = 60
"""Seconds for what happens, on a machine that is busy."""
PATIENCE = 100.0
"""Seconds after which what has not come true is taken to be wrong."""


class Real(TestCase):
    """Real time, and buses that are closed in the end."""

    def hurry(self, seconds: int) -> None:
        """Take for dead from now on what does not answer for about so many seconds."""
        self.patch(connection, "PINGS", seconds)
        self.patch(connection, "CONNECT_SECONDS", seconds)
        self.patch(connection, "CLOSE_SECONDS", float(seconds))

    async def until(self, condition: Callable[[], object]) -> None:
        end = reactor.seconds() + PATIENCE
        while not condition():
            assert reactor.seconds() < end, "it did not come true"
            await deferLater(reactor, 0.002)

    async def joined(self, url: str) -> NatsBus:
        bus = open_bus(url, reactor)
        assert isinstance(bus, NatsBus)
        self.addCleanup(bus.close)
        await bus.open()
        return bus


class NatsBusTests(Real, Contract):
    a: NatsBus
    b: NatsBus

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        self.hurry(SLOW)
        self.server = Nats()
        self.addCleanup(self.server.end)
        self.a = await self.joined(self.server.url)
        self.b = await self.joined(self.server.url)

    async def break_it(self) -> None:
        self.server.kill()
        await self.until(lambda: not self.a.up and not self.b.up)

    async def mend_it(self) -> None:
        self.server.start()
        await self.until(lambda: self.a.up and self.b.up)

    async def test_a_server_that_sleeps(self) -> None:
        """Nothing comes twice or out of order, whatever it still does with the old connections."""
        self.hurry(1)
        self.a, self.b = await self.joined(self.server.url), await self.joined(self.server.url)
        self.hurry(SLOW)
        here = await self.heard(self.b, "some")
        changes: list[bool] = []
        self.a.changed.append(changes.append)
        number = 0

        def send() -> None:
            nonlocal number
            number += 1
            self.a.publish("some", b"%d" % number)

        send()
        await self.until(lambda: here)
        self.server.stop()

        def sent_in_vain() -> bool:
            send()
            return not self.a.up and not self.b.up

        await self.until(sent_in_vain)
        self.assertFalse(self.a.publish("some", b"0"))
        self.server.wake()

        def sent_at_last() -> bool:
            send()
            return self.a.up and self.b.up

        await self.until(sent_at_last)
        for _ in range(100):
            send()
        await self.flush(self.a, self.b)
        numbers = [int(message.data) for message in here]
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertEqual(numbers[0], 1)
        self.assertEqual(numbers[-100:], list(range(number - 99, number + 1)))
        self.assertEqual(changes, [False, True])

    async def test_what_waits_is_bounded(self) -> None:
        self.server.stop()
        self.addCleanup(self.server.wake)
        large = b"x" * (1 << 19)
        sent = 0
        while self.a.publish("some", large):
            sent += 1
        self.assertEqual((self.a.up, self.a.dropped), (True, 1))
        self.assertEqual(sent, WAITING_BYTES // len(large) - 1)
        asked = self.a.request("some", large, LONG)
        assert isinstance(asked, Deferred)
        self.failureResultOf(asked, BusAway)
        self.assertEqual(self.a.dropped, 2)

    async def test_it_goes_on_when_the_server_takes_again(self) -> None:
        here = await self.heard(self.b, "some")
        large = b"x" * (1 << 19)
        sent = 0
        for _ in range(3):
            while self.a.publish("some", large):
                sent += 1
            await self.until(lambda: len(here) == sent)  # noqa: B023
        self.assertGreater(sent, 30)
        self.assertEqual(self.a.dropped, 3)

    async def test_messages_of_others_are_ignored(self) -> None:
        here = await self.heard(self.b, "some")
        with socket.create_connection(("127.0.0.1", self.server.port)) as other:
            other.sendall(b"CONNECT {}\r\nPUB some 5\r\nhello\r\nPUB some 0\r\n\r\nPING\r\n")
            await self.until(lambda: self.b.ignored == 2)
        await self.flush(self.a, self.b)
        self.assertEqual(here, [])

    async def test_who_joins_late_hears_what_follows(self) -> None:
        self.a.publish("some", b"before")
        late = await self.joined(self.server.url)
        here = await self.heard(late, "some")
        self.a.publish("some", b"after")
        await self.flush(self.a, late)
        self.assertEqual([message.data for message in here], [b"after"])

    async def test_close_while_it_is_down(self) -> None:
        await self.break_it()
        await self.a.close()
        self.server.start()
        await self.until(lambda: self.b.up)
        self.assertFalse(self.a.up)

    async def test_close_while_the_server_sleeps(self) -> None:
        self.server.stop()
        self.addCleanup(self.server.wake)
        self.hurry(1)
        self.a.publish("some", b"")
        await self.a.close()
        self.assertFalse(self.a.up)

    async def test_close_while_it_opens(self) -> None:
        bus = open_bus(self.server.url, reactor)
        assert isinstance(bus, NatsBus)
        changes: list[bool] = []
        bus.changed.append(changes.append)
        opened = bus.open()
        await bus.close()
        try:
            await opened
        except BadStart:
            pass
        else:
            self.fail("it was opened")
        self.assertEqual((bus.up, changes), (False, []))

    async def test_what_the_server_refuses_ends_the_connection_and_no_more(self) -> None:
        changes: list[bool] = []
        self.a.changed.append(changes.append)
        here = await self.heard(self.b, "some")
        self.a.publish("x" * 5000, b"")
        await self.until(lambda: changes == [False, True])
        self.a.publish("some", b"")
        await self.until(lambda: here)

    async def test_what_cannot_be_published_harms_nothing_else(self) -> None:
        here = await self.heard(self.b, "some")
        self.a.publish("some", b"1")
        self.a.publish("no subject", b"")
        self.a.publish("some", b"2")
        await self.flush(self.a, self.b)
        self.assertEqual([message.data for message in here], [b"1", b"2"])

    async def test_many_subscriptions_come_back(self) -> None:
        heard: list[str] = []
        for number in range(2000):
            self.b.subscribe(f"user.{number}", lambda message: heard.append(message.subject))
        await self.settle(self.b)
        await self.break_it()
        await self.mend_it()
        for number in range(2000):
            self.a.publish(f"user.{number}", b"")
        await self.flush(self.a, self.b)
        self.assertEqual(heard, [f"user.{number}" for number in range(2000)])


class WhereTests(Real):
    """Which servers it connects to, and as whom."""

    def setUp(self) -> None:
        self.hurry(SLOW)

    def served(self, *arguments: str) -> Nats:
        server = Nats(*arguments)
        self.addCleanup(server.end)
        return server

    async def refused(self, url: str) -> str:
        bus = open_bus(url, reactor)
        assert isinstance(bus, NatsBus)
        self.addCleanup(bus.close)
        try:
            await bus.open()
        except BadStart as error:
            self.assertFalse(bus.up)
            self.assertNotIn("\n", str(error))
            self.assertNotIn("secret", str(error))
            return str(error)
        return self.fail("it was not refused")

    async def works(self, url: str) -> NatsBus:
        """A bus there that does its work."""
        bus = await self.joined(url)
        here: list[Message] = []
        bus.subscribe("some", here.append)
        bus.publish("some", b"data")
        await self.until(lambda: here)
        return bus

    async def test_nobody_there(self) -> None:
        text = await self.refused(f"nats://me:secret@127.0.0.1:{free_port()}")
        self.assertIn("127.0.0.1", text)
        self.assertIn("Connection refused", text)

    async def test_no_such_host(self) -> None:
        self.assertIn("nowhere.invalid", await self.refused("nats://nowhere.invalid"))

    async def test_a_server_that_does_not_answer(self) -> None:
        server = self.served()
        server.stop()
        self.hurry(1)
        self.assertIn("no answer", await self.refused(server.url))

    async def test_something_else_is_there(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:

            def turn_away() -> None:
                other.accept()[0].close()

            closing = threads.deferToThread(turn_away)
            await self.refused(f"nats://127.0.0.1:{other.getsockname()[1]}")
            await closing

    async def test_user_and_password(self) -> None:
        server = self.served("--user", "me", "--pass", "p@ss/w:rd")
        where = server.url.removeprefix("nats://")
        await self.works(f"nats://me:p%40ss%2Fw%3Ard@{where}")
        for url in (server.url, f"nats://me:secret@{where}", f"nats://secret@{where}"):
            self.assertIn("refuses the user, the password or the token", await self.refused(url))

    async def test_token(self) -> None:
        server = self.served("--auth", "a-token")
        where = server.url.removeprefix("nats://")
        await self.works(f"nats://a-token@{where}")
        self.assertIn("refuses", await self.refused(f"nats://secret@{where}"))

    async def test_any_of_several(self) -> None:
        first, second = self.served(), self.served()
        first.kill()
        where = f"127.0.0.1:{first.port},127.0.0.1:{second.port}"
        bus = await self.works(f"nats://{where}")
        second.kill()
        await self.until(lambda: not bus.up)
        first.start()
        await self.until(lambda: bus.up)
        self.assertEqual(bus.describe(), f"nats://{where}")

    async def test_a_password_that_is_wrong_for_a_while(self) -> None:
        """As when a server is restarted with a configuration that is put right later."""
        server = self.served("--auth", "a-token")
        bus = await self.works(f"nats://a-token@127.0.0.1:{server.port}")
        server.kill()
        other = Nats("--auth", "another", port=server.port)
        self.addCleanup(other.end)
        said: list[LogEvent] = []
        observer: Any = said.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        await self.until(lambda: [it for it in said if "refuses" in it.get("reason", "")])
        other.kill()
        server.start()
        await self.until(lambda: bus.up)

    async def test_tls(self) -> None:
        folder = Path(self.mktemp())
        make_certificate(folder, "nats", "subjectAltName=IP:127.0.0.1")
        certificate, key = folder / "nats.pem", folder / "nats.key"
        server = self.served(
            "--tls", "--tlscert", str(certificate), "--tlskey", str(key), "--auth", "a-token"
        )
        url = f"tls://a-token@127.0.0.1:{server.port}"
        self.assertIn("certificate", await self.refused(url))
        self.patch(os, "environ", {**os.environ, "SSL_CERT_FILE": str(certificate)})
        os.putenv("SSL_CERT_FILE", str(certificate))
        self.addCleanup(os.unsetenv, "SSL_CERT_FILE")
        bus = await self.works(url)
        server.kill()
        await self.until(lambda: not bus.up)
        server.start()
        await self.until(lambda: bus.up)

    async def test_no_token_without_tls_where_it_is_wanted(self) -> None:
        """Somebody between us and the server could say that it has no TLS."""
        got = bytearray()
        with socket.create_server(("127.0.0.1", 0)) as thief:

            def listen() -> None:
                connection, _ = thief.accept()
                with connection:
                    connection.sendall(b'INFO {"auth_required":true,"max_payload":1000}\r\n')
                    while data := connection.recv(1000):
                        got.extend(data)

            listening = threads.deferToThread(listen)
            text = await self.refused(f"tls://secret@127.0.0.1:{thief.getsockname()[1]}")
            await listening
        self.assertIn("no TLS", text)
        self.assertEqual(got, b"")
        server = self.served()
        text = await self.refused(f"tls://127.0.0.1:{server.port}")
        self.assertIn("no TLS", text)
