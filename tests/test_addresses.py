"""Who somebody is behind a proxy, over WebSocket and for the page: real sockets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol, serverFromString

from chat.page import page_site

from .cables import Client, TcpCable, _Plug, reactor
from .sockets import HANDSHAKE, OverWebSocket, Wire
from .support import PASSWORD, OverTcp

ANN, EVE = "PROXY TCP4 192.0.2.1 192.0.2.9 5000 6000", "PROXY TCP4 192.0.2.2 192.0.2.9 5000 6000"
EVE_6 = "PROXY TCP6 2001:db8::2 2001:db8::9 5000 6000"


class BehindProxyTests(OverTcp):
    """haproxy:tcp: the client's address comes with the first bytes."""

    bounds: Mapping[str, Any] = {"strangers_per_address": 2, "failed_logins": 3}

    async def setUp(self) -> None:  # type: ignore[override]
        await super().setUp()
        endpoint = serverFromString(reactor, "haproxy:tcp:0:interface=127.0.0.1")
        self.proxied: Any = await endpoint.listen(self.factory)
        self.addCleanup(self.proxied.stopListening)

    async def come(self, header: str) -> Client:
        """A client whose proxy says that about it."""
        client = await TcpCable.connect(self.proxied.getHost().port)
        self.clients.append(client)
        client.send_raw(header.encode() + b"\r\n")
        return client

    async def test_each_client_is_counted_by_its_own_address(self) -> None:
        for header in (ANN, EVE, EVE_6):
            for _ in range(2):
                client = await self.come(header)
                await client.nothing()
            client = await self.come(header)
            client.send({"msgid": 13})
            (said,) = [it for it in await client.end() if it["msgid"] != 14]
            self.assert_refused(said, 107, 0)
        self.assertEqual(self.server.limits.doors.strangers("192.0.2.1"), 2)
        self.assertEqual(self.server.limits.doors.strangers("2001:db8::/64"), 2)
        # Nobody has come from where the proxy is.
        self.assertEqual(self.server.limits.doors.strangers("127.0.0.1"), 0)

    async def test_one_who_guesses_keeps_the_others_out_of_nothing(self) -> None:
        user_id = await self.register("ann")
        eve, ann = await self.come(EVE), await self.come(ANN)
        wrong = {"msgid": 1, "id": user_id, "password": "wrong"}
        self.assertEqual([(await eve.ask(wrong))["errno"] for _ in range(4)], [1, 1, 1, 107])
        await self.log_in(ann, user_id)

    async def test_who_sends_nothing_but_the_header(self) -> None:
        await self.come(ANN)
        client = await self.come(EVE)
        await client.nothing()
        for session in list(self.server.sessions):
            session.tick(self.server.monotonic())
        origins = {session.standing.origin for session in self.server.sessions}
        self.assertEqual(origins, {"192.0.2.1", "192.0.2.2"})

    async def test_who_has_shut_the_writing_side_is_answered(self) -> None:
        client = await self.come(ANN)
        client.send({"msgid": 3, "name": "ann", "password": PASSWORD}, {"msgid": 99})
        client.cable.shut()
        self.assertEqual([it["msgid"] for it in await client.end()], [4, 11])

    async def test_the_last_word_comes_before_the_end(self) -> None:
        """However much the client still says."""
        client = await self.come(ANN)
        client.send_raw(b"x" * 1_000_000 + b"\n")
        (refusal,) = await client.end()
        self.assert_refused(refusal, 106, 0)

    async def test_the_log_has_the_client(self) -> None:
        client = await self.come(ANN)
        await client.nothing()
        self.assertEqual([it.address for it in self.server.sessions], ["192.0.2.1:5000"])
        self.assertEqual([it.standing.host for it in self.server.sessions], ["192.0.2.1"])


class PageTests(OverWebSocket):
    bounds: Mapping[str, Any] = {"strangers_per_address": 2}

    async def test_a_socket_in_a_browser_is_a_connection_like_any_other(self) -> None:
        ann = await self.register("ann")
        doors = self.server.limits.doors
        while doors.inside:
            await self.pause()
        first, second = await self.connect(), await self.connect_tcp()
        await first.nothing()
        await second.nothing()
        self.assertEqual((doors.inside, doors.strangers("127.0.0.1")), (2, 2))
        turned = await self.connect_tcp()
        (said,) = await turned.end()
        self.assert_refused(said, 107, 0)
        await self.log_in(first, ann)
        self.assertEqual((doors.inside, doors.strangers("127.0.0.1")), (2, 1))
        await self.connect()
        first.cable.close()
        await first.end()
        while doors.inside > 2:
            await self.pause()
        self.assertEqual(doors.strangers("127.0.0.1"), 2)

    async def test_the_page_says_it_in_http(self) -> None:
        for _ in range(2):
            await (await self.connect_tcp()).nothing()
        wire = await Wire.ask(self.web_port, HANDSHAKE)
        assert wire.head is not None
        self.assertTrue(wire.head.startswith(b"HTTP/1.1 503 "), wire.head)
        self.assertIn(b"retry-after: ", wire.head.lower())
        await wire._ended()

    async def test_behind_a_proxy(self) -> None:
        site = page_site(self.server, self.server.turn, ())
        endpoint = serverFromString(reactor, "haproxy:tcp:0:interface=127.0.0.1")
        port: Any = await endpoint.listen(site)
        self.addCleanup(port.stopListening)
        plug = _Plug()
        plug.client = Client(lambda client: TcpCable(plug, client))
        await connectProtocol(
            TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port), plug
        )
        assert plug.transport is not None
        plug.transport.write(ANN.encode() + b"\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n")
        while not plug.client.lines:
            await plug.client.cable.more()
        self.assertEqual(plug.client.lines[0], b"HTTP/1.1 200 OK\r")
        self.assertEqual(self.server.limits.doors.strangers("192.0.2.1"), 1)
        plug.transport.abortConnection()  # type: ignore[attr-defined]

    async def pause(self) -> None:
        """Until the server may have noticed."""
        await self.server.pause(0.01)
