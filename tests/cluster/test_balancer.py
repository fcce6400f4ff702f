"""docs/haproxy.cfg, as it is, before servers that are each alone."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.faults.proxy import LOCALHOST
from tests.faults.visit import PASSWORD
from tests.faults.wire import Fields, Gone, Wire, line
from tests.faults.world import PATIENCE, SqliteData

from .balancer import NODES, Balancer, Behind
from .node import Node

NO_NODES = [Behind(1, 2, 3)] * NODES

Scene = Callable[[Balancer, list[Node]], Awaitable[None]]


def registration(name: str) -> Fields:
    """A REG_MSG."""
    return {"msgid": 3, "name": name, "password": PASSWORD}


async def until(condition: Callable[[], bool]) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.05)


class ConfigurationTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.balancer = Balancer(NO_NODES)
        self.addCleanup(self.balancer.end)

    def test_haproxy_finds_nothing_to_say_about_it(self) -> None:
        self.assertEqual(self.balancer.check(), "Configuration file is valid")

    def test_it_would_say_something(self) -> None:
        text = self.balancer.configuration.read_text()
        self.balancer.configuration.write_text(text.replace("timeout client 7d", "timeout client"))
        self.assertIn("'timeout client' expects", self.balancer.check())


class BeforeServersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    def play(self, scene: Scene) -> None:
        """Two servers that know nothing of each other, and HAProxy before them."""
        asyncio.run(self._play(scene))

    async def _play(self, scene: Scene) -> None:
        nodes = []
        for name in ("one", "two"):
            data = SqliteData(self.folder / name)
            nodes.append(Node(self.folder, data, name, options=["--no-limits"]))
        balancer = Balancer([node.behind for node in nodes])
        try:
            await asyncio.gather(*(node.start() for node in nodes))
            await asyncio.to_thread(balancer.start)
            await until(lambda: set(balancer.states().values()) == {"UP"})
            async with asyncio.timeout(2 * PATIENCE):
                await scene(balancer, nodes)
        finally:
            balancer.end()
            for node in nodes:
                node.end()

    async def here(self, wire: Wire, nodes: list[Node]) -> Node:
        """The node that somebody new is on, who is known there by the client's own address."""
        user_id = (await wire.ask(**registration(f"from {wire.port}")))["id"]
        answer = await wire.ask(msgid=1, id=user_id, password=PASSWORD)
        self.assertEqual(answer["errno"], 0)
        told = f" {LOCALHOST}:{wire.port} user {user_id}: logged in"
        await until(lambda: any(told in node.log() for node in nodes))
        (node,) = (node for node in nodes if told in node.log())
        return node

    def test_clients(self) -> None:
        self.play(self._clients)

    async def _clients(self, balancer: Balancer, nodes: list[Node]) -> None:
        # Each goes where the fewest are, and is known by its own address.
        wires = [await Wire.connect(balancer.port) for _ in range(2)]
        where = [await self.here(wire, nodes) for wire in wires]
        self.assertEqual({it.name for it in where}, {"one", "two"})

        # Who shuts the writing side is answered.
        await wires[0].send(line(**registration("bob")))
        wires[0].shut()
        self.assertEqual((await wires.pop(0).next())["errno"], 0)

        # Taken out by hand: who is there stays, who comes goes elsewhere.
        staying = where[1]
        number = nodes.index(staying) + 1
        balancer.tell(f"set server chat/chat-{number} state drain")
        for _ in range(3):
            wire = await Wire.connect(balancer.port)
            self.assertIsNot(await self.here(wire, nodes), staying)
            wire.close()
        self.assertEqual((await wires[0].ask(msgid=13))["msgid"], 14)
        balancer.tell(f"set server chat/chat-{number} state ready")

        # Stopped in order: nobody is sent there any more.
        await staying.terminate()
        with self.assertRaises(Gone):
            await wires[0].next()
        wire = await Wire.connect(balancer.port)
        self.assertIsNot(await self.here(wire, nodes), staying)
        await until(lambda: balancer.states()[f"chat-{number}"] == "DOWN")
        await staying.start()
        await until(lambda: balancer.states()[f"chat-{number}"] == "UP")

    def test_over_tls(self) -> None:
        self.play(self._over_tls)

    async def _over_tls(self, balancer: Balancer, nodes: list[Node]) -> None:
        trusting = ssl.create_default_context(cafile=str(balancer.folder / "cert.pem"))
        trusting.check_hostname = False
        reader, writer = await asyncio.open_connection(LOCALHOST, balancer.tls, ssl=trusting)
        wire = Wire(reader, writer)
        self.assertEqual((await wire.ask(**registration("ann")))["errno"], 0)
        wire.close()

        reader, writer = await asyncio.open_connection(LOCALHOST, balancer.page, ssl=trusting)
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            f"GET /ws HTTP/1.1\r\nHost: {LOCALHOST}\r\nOrigin: https://{LOCALHOST}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
        self.assertIn(b"101 Switching Protocols", head)
        ping = b'{"msgid":13}'
        writer.write(bytes((0x81, 0x80 | len(ping), 0, 0, 0, 0)) + ping)  # a mask of zeros
        pong = b'{"msgid":14}'
        frame = await asyncio.wait_for(reader.readexactly(2 + len(pong)), PATIENCE)
        self.assertEqual(frame, bytes((0x81, len(pong))) + pong)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
