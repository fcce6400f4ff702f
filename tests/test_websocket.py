"""WebSocket: the same conversations, and what is its own: frames, closing, bounds, who may come."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase, TestCase

from chat.outbox import Turn
from chat.tls import CertificateFiles
from chat.websocket import FramedTransportOutbox

from .sockets import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    OverWebSocket,
    Wire,
    frame,
    reactor,
)
from .support import login, received, say, told
from .test_tls import make_certificate


def text(message: dict[str, Any]) -> bytes:
    """A request in its frame."""
    return frame(TEXT, json.dumps(message).encode())


def close_frame(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, code.to_bytes(2, "big") + reason)


class SocketCase(OverWebSocket):
    async def heard(self, wire: Wire) -> dict[str, Any]:
        """The next message."""
        opcode, payload = await wire.frame()
        self.assertEqual(opcode, TEXT)
        message: dict[str, Any] = json.loads(payload)
        return message

    async def alive(self, wire: Wire) -> None:
        """It answers, and has said nothing before that."""
        wire.write(text({"msgid": 13, "cid": "alive"}))
        self.assertEqual(await self.heard(wire), {"msgid": 14, "cid": "alive"})


class TalkingTests(SocketCase, TestCase):
    async def test_between_the_two_transports(self) -> None:
        web = await self.enter("web", 2)
        tcp = await self.connect_tcp()
        await self.log_in(tcp, await self.register("tcp"))
        web.send(say(tcp.id, "hello", cid="1"))
        self.assertEqual((await tcp.get())["msg"], "hello")
        self.assertEqual(await web.get(), told("1", "pushed"))
        tcp.send(say(web.id, "héllo 🔑"))
        pushed = await web.get()
        self.assertEqual((pushed["msg"], pushed["id"], pushed["seq"]), ("héllo 🔑", tcp.id, 1))
        web.send(received(1))
        await web.nothing()
        await tcp.nothing()

    async def test_line_ends_between_tokens_do_not_reach_tcp(self) -> None:
        web = await self.enter("web")
        tcp = await self.connect_tcp()
        await self.log_in(tcp, await self.register("tcp"))
        request = json.dumps(say(tcp.id, "one\ntwo", more=["\n"]), indent=1)
        web.cable.write_message(request.replace("\n", "\r\n").encode())
        line = await tcp.line()
        self.assertEqual(json.loads(line)["msg"], "one\ntwo")
        self.assertNotIn(b"\r", line)
        await tcp.nothing()

    async def test_line_end_within_a_string_is_no_json(self) -> None:
        web = await self.enter("web")
        answer = await web.ask(b'{"msgid":5,"toid":1,"msg":"one\ntwo"}')
        self.assert_refused(answer, 100, 0)

    async def test_what_is_no_object_is_refused_and_the_connection_stays(self) -> None:
        wire = await self.wire()
        for nonsense in (
            b"",
            b" ",
            b"hello",
            b"[]",
            b'"x"',
            b"1",
            b"{}",
            b'{"msgid":13}{"msgid":13}',
        ):
            wire.write(frame(TEXT, nonsense))
            self.assert_refused(await self.heard(wire), 100, 0)
        await self.alive(wire)

    async def test_many_requests_in_one_packet_are_answered_in_order(self) -> None:
        wire = await self.wire()
        wire.write(*(text({"msgid": 13, "cid": str(number)}) for number in range(1000)))
        for number in range(1000):
            self.assertEqual(await self.heard(wire), {"msgid": 14, "cid": str(number)})

    async def test_requests_behind_a_login_wait_for_it_beyond_the_bound_of_the_queue(self) -> None:
        user_id = await self.register("ann")
        wire = await self.wire()
        pings = [text({"msgid": 13, "cid": str(number)}) for number in range(1000)]
        wire.write(text(login(user_id)), *pings)
        self.assertEqual((await self.heard(wire))["msgid"], 2)
        for number in range(1000):
            self.assertEqual(await self.heard(wire), {"msgid": 14, "cid": str(number)})
        await self.alive(wire)

    async def test_fragments(self) -> None:
        wire = await self.wire()
        message = '{"msgid":13,"cid":"é🔑"}'.encode()
        parts = [message[at : at + 1] for at in range(len(message))]
        wire.write(frame(TEXT, parts[0], final=False))
        for part in parts[1:-1]:
            wire.write(frame(CONTINUATION, part, final=False), frame(CONTINUATION, final=False))
        wire.write(frame(CONTINUATION, parts[-1]))
        self.assertEqual(await self.heard(wire), {"msgid": 14, "cid": "é🔑"})
        await self.alive(wire)

    async def test_one_byte_at_a_time(self) -> None:
        wire = await self.wire()
        for byte in text({"msgid": 13, "cid": "x" * 60, "more": "x" * 200}):
            wire.write(bytes([byte]))
        self.assertEqual(await self.heard(wire), {"msgid": 14, "cid": "x" * 60})

    async def test_client_that_vanishes_is_stored_for(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        ann.send(say(bob.id, "first", cid="1"))
        await bob.get()
        bob.cable.abort()
        await self.assert_stored(ann, "1")
        again = await self.login(bob.id, 2)
        self.assertEqual((await again.get())["cid"], "1")


class PingTests(SocketCase, TestCase):
    async def setUp(self) -> None:  # type: ignore[override]
        await super().setUp()
        self.silence = Clock()
        self.patch(self.server, "call_later", self.silence.callLater)
        self.patch(self.server, "monotonic", lambda: reactor.seconds() + self.silence.seconds())

    def be_silent(self) -> None:
        """So much time passes without a word that the server asks."""
        self.silence.advance(self.server.settings.ping_seconds)

    async def test_pong_has_what_the_ping_had(self) -> None:
        wire = await self.wire()
        wire.write(frame(PING, b"x" * 125), frame(PING))
        self.assertEqual(await wire.frame(), (PONG, b"x" * 125))
        self.assertEqual(await wire.frame(), (PONG, b""))

    async def test_between_fragments(self) -> None:
        wire = await self.wire()
        wire.write(frame(TEXT, b'{"msgid":', final=False), frame(PING, b"x"))
        self.assertEqual(await wire.frame(), (PONG, b"x"))
        wire.write(frame(PONG, b"not asked for"), frame(CONTINUATION, b"13}"))
        self.assertEqual(await self.heard(wire), {"msgid": 14})

    async def test_in_turn_with_answers(self) -> None:
        wire = await self.wire()
        wire.write(text({"msgid": 13, "cid": "1"}), frame(PING), text({"msgid": 13, "cid": "2"}))
        self.assertEqual(
            [opcode for opcode, _ in [await wire.frame() for _ in range(3)]], [1, 10, 1]
        )

    async def test_silent_level_1_client_is_pinged_and_kept_while_it_answers(self) -> None:
        user_id = await self.register("ann")
        wire = await self.wire()
        wire.write(text(login(user_id)))
        await self.heard(wire)
        (session,) = self.server.sessions
        for _ in range(4):
            self.be_silent()
            opcode, payload = await wire.frame()
            self.assertEqual(opcode, PING)
            heard_at = session.liveness.heard_at
            wire.write(frame(PONG, payload))
            while session.liveness.heard_at == heard_at:
                await deferLater(reactor, 0.01)  # between two looks at the condition awaited
        await self.alive(wire)

    async def test_nobody_is_given_up_unasked(self) -> None:
        """One look comes too early to ask, and the next one so late that it is long overdue."""
        user_id = await self.register("ann")
        wire = await self.wire()
        wire.write(text(login(user_id)))
        await self.heard(wire)
        seconds = self.server.settings.ping_seconds
        self.silence.advance(seconds / 2)
        await self.alive(wire)
        self.silence.advance(seconds / 2)
        self.silence.advance(seconds * 1.6)
        self.assertEqual((await wire.frame())[0], PING)
        await self.alive(wire)

    async def test_level_1_client_that_answers_no_ping_is_given_up(self) -> None:
        user_id = await self.register("ann")
        wire = await self.wire()
        wire.write(text(login(user_id)))
        await self.heard(wire)
        self.be_silent()
        self.assertEqual((await wire.frame())[0], PING)
        self.be_silent()
        self.assertIsNone(await wire.closed_with())
        self.assertNotIn(user_id, self.server.delivery.online)

    async def test_silent_level_2_client_is_asked_by_a_message(self) -> None:
        user_id = await self.register("ann")
        wire = await self.wire()
        wire.write(text(login(user_id, 2)))
        await self.heard(wire)
        self.be_silent()
        self.assertEqual(await self.heard(wire), {"msgid": 13})


class ClosingTests(SocketCase, TestCase):
    async def closes(self, code: int, *pieces: bytes) -> None:
        """The server closes with this code, and says nothing before it."""
        wire = await self.wire()
        wire.write(*pieces)
        self.assertEqual(await wire.closed_with(), code, pieces)
        self.assertEqual(list(wire.frames), [])

    async def test_goodbye_is_answered(self) -> None:
        await self.closes(1000, close_frame(1000, b"enough"))
        await self.closes(1001, close_frame(1001))
        await self.closes(4999, close_frame(4999))
        await self.closes(0, frame(CLOSE))

    async def test_goodbye_with_a_mistake(self) -> None:
        await self.closes(1002, frame(CLOSE, b"x"))
        for code in (0, 999, 1004, 1005, 1006, 1015, 2999):
            await self.closes(1002, close_frame(code))
        await self.closes(1007, close_frame(1000, b"\xff"))

    async def test_nothing_is_read_after_a_goodbye(self) -> None:
        await self.closes(1000, close_frame(1000), text({"msgid": 13}))

    async def test_what_was_asked_before_the_goodbye_is_done(self) -> None:
        ann, bob = await self.register("ann"), await self.enter("bob", 2)
        wire = await self.wire()
        wire.write(text(login(ann)), text(say(bob.id, "last words")), close_frame(1000))
        self.assertEqual((await bob.get())["msg"], "last words")
        self.assertEqual(await wire.closed_with(), 1000)

    async def test_frames_that_nobody_may_send(self) -> None:
        for wrong in (
            frame(TEXT, b"{}", masked=False),
            frame(TEXT, b"{}", reserved=1),
            frame(TEXT, b"{}", reserved=4),
            frame(3),
            frame(7),
            frame(11),
            frame(PING, reserved=2),
            frame(PING, final=False),
            frame(PING, b"x" * 126),
            frame(CLOSE, b"\x03\xe8" + b"x" * 124),
            frame(CONTINUATION, b"{}"),
            frame(TEXT, b"{", final=False) + frame(TEXT, b"}"),
        ):
            await self.closes(1002, wrong)

    async def test_text_that_is_not_utf8(self) -> None:
        for wrong in (
            b"\xff",
            b"\xc3",
            b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
            b'{"msgid":13,"x":"\xc0\x80"}',
        ):
            await self.closes(1007, frame(TEXT, wrong))
            await self.closes(1007, frame(TEXT, b"x", final=False), frame(CONTINUATION, wrong))

    async def test_binary_is_refused_before_it_has_come(self) -> None:
        await self.closes(1003, frame(BINARY, b'{"msgid":13}'))
        await self.closes(1003, frame(BINARY, b"x" * 60_000)[:10])
        await self.closes(1003, frame(BINARY, b"{", final=False))

    async def too_large(self, *pieces: bytes) -> None:
        wire = await self.wire()
        wire.write(*pieces)
        self.assert_refused(await self.heard(wire), 106, 0)
        self.assertEqual(await wire.closed_with(), 1009)

    async def test_too_large(self) -> None:
        await self.too_large(frame(TEXT, b"x" * 65_537))

    async def test_too_large_is_known_before_it_has_come(self) -> None:
        await self.too_large(frame(TEXT, b"x" * 65_537)[:10])
        await self.too_large(b"\x81\xff" + b"\xff" * 8)
        await self.too_large(
            frame(TEXT, b"x" * 65_000, final=False), frame(CONTINUATION, b"x" * 600)[:4]
        )

    async def test_too_large_behind_others(self) -> None:
        wire = await self.wire()
        wire.write(text({"msgid": 13}), frame(TEXT, b"x" * 65_537), text({"msgid": 13}))
        self.assertEqual(await self.heard(wire), {"msgid": 14})
        self.assert_refused(await self.heard(wire), 106, 0)
        self.assertEqual(await wire.closed_with(), 1009)

    async def test_largest(self) -> None:
        wire = await self.wire()
        line = b'{"msgid":13,"x":"' + b"x" * (65_536 - 19) + b'"}'
        wire.write(
            frame(TEXT, line),
            frame(TEXT, line[:1000], final=False),
            frame(CONTINUATION, line[1000:]),
        )
        for _ in range(2):
            self.assertEqual(await self.heard(wire), {"msgid": 14})

    async def test_server_ends(self) -> None:
        ann = await self.enter("ann")
        wire = await self.wire()
        await self.server.stop()
        self.assertEqual(await wire.closed_with(), 1000)
        self.assertEqual(await ann.end(), [])

    async def test_taken_over(self) -> None:
        ann = await self.register("ann")
        wire = await self.wire()
        wire.write(text(login(ann, 2)))
        await self.heard(wire)
        await self.login(ann, 2, takeover=True)
        self.assert_refused(await self.heard(wire), 103, 0)
        self.assertEqual(await wire.closed_with(), 1000)


class SlowReaderTests(SocketCase, TestCase):
    bounds: Mapping[str, Any] = {"stall_seconds": 1.0}

    async def test_is_not_served_without_end_and_closed(self) -> None:
        wire = await self.wire()
        await self.alive(wire)
        (session,) = self.server.sessions
        wire.hold()
        # The kernel takes less for a client with a small buffer.
        wire.transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # type: ignore[union-attr]
        ping = text({"msgid": 13, "cid": "x" * 60})
        for _ in range(200):
            wire.write(ping * 1000)
        self.assertIsNone(await wire.closed_with())
        self.assertLess(session.outbox.pending, 1 << 20)
        self.assertNotIn(session, self.server.sessions)


class HandshakeTests(SocketCase, TestCase):
    origins = ("https://chat.example", "HTTPS://Other.Example/")

    async def status(self, **headers: str | None) -> int:
        wire = await self.wire(**headers)
        assert wire.head is not None
        return int(wire.head.split()[1])

    async def test_no_page_no_origin(self) -> None:
        self.assertEqual(await self.status(), 101)

    async def test_page_of_this_host(self) -> None:
        for origin, host in (
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://chat.test", "chat.test:80"),
            ("https://chat.test", "chat.test"),
            ("https://CHAT.test:443", "chat.TEST"),
            ("http://[::1]:8080", "[::1]:8080"),
        ):
            self.assertEqual(await self.status(Origin=origin, Host=host), 101, origin)

    async def test_page_of_another_host(self) -> None:
        for origin in (
            "http://evil.test",
            "http://127.0.0.1:8081",
            "http://127.0.0.1:8080.evil.test",
            "http://evil.test/127.0.0.1:8080",
            "null",
            "",
            "file://",
            "http://[::1",
        ):
            self.assertEqual(await self.status(Origin=origin, Host="127.0.0.1:8080"), 403, origin)

    async def test_origins_that_are_named(self) -> None:
        for origin in ("https://chat.example", "https://other.example"):
            self.assertEqual(await self.status(Origin=origin), 101, origin)
        for origin in (
            "http://chat.example",
            "https://chat.example.evil.test",
            "https://chat.example:8443",
        ):
            self.assertEqual(await self.status(Origin=origin), 403, origin)

    async def test_no_upgrade(self) -> None:
        self.assertEqual(await self.status(Upgrade=None), 426)
        self.assertEqual(await self.status(Upgrade="h2c"), 426)

    async def test_other_versions(self) -> None:
        for version in ("8", "14", "x", None):
            self.assertEqual(await self.status(Sec_WebSocket_Version=version), 426, version)

    async def test_key(self) -> None:
        wire = await self.wire()
        assert wire.head is not None
        # The example of RFC 6455, section 1.3.
        self.assertIn(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", wire.head)
        self.assertEqual(await self.status(Sec_WebSocket_Key=None), 400)

    async def test_extensions_are_not_spoken(self) -> None:
        wire = await self.wire(Sec_WebSocket_Extensions="permessage-deflate")
        assert wire.head is not None
        self.assertNotIn(b"deflate", wire.head)


class SecureTests(SocketCase, TestCase):
    """Through TLS, where frames leave by ``transport.write``."""

    def listen(self, site: IProtocolFactory) -> Any:
        folder = Path(self.mktemp())
        make_certificate(folder)
        files = CertificateFiles(str(folder / "chat.pem"), str(folder / "chat.key"))
        factory = TLSMemoryBIOFactory(files, False, site)
        return reactor.listenTCP(0, factory, interface="127.0.0.1")

    def endpoint(self) -> IStreamClientEndpoint:
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.web_port)
        return wrapClientTLS(CertificateOptions(verify=False), endpoint)

    async def test_slow_reader_gets_everything_in_order(self) -> None:
        ann, bob = await self.register("ann"), await self.enter("bob")
        wire = await self.wire()
        wire.write(text(login(ann)))
        await self.heard(wire)
        wire.hold()
        for number in range(300):
            bob.send(say(ann, "x" * 30_000 + str(number)))
        await bob.nothing()
        wire.let_go()
        for number in range(300):
            self.assertEqual((await self.heard(wire))["msg"], "x" * 30_000 + str(number))
        wire.write(close_frame(1000))
        self.assertEqual(await wire.closed_with(), 1000)


class Counting(StringTransport):
    writes = 0

    def write(self, data: bytes) -> None:
        self.writes += 1
        super().write(data)


class FramedOutboxTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.transport = Counting()
        self.turn = Turn(lambda seconds, call: self.fail("nobody opened the turn"))
        self.outbox = FramedTransportOutbox(self.turn, self.transport)

    def test_many_frames_in_one_write(self) -> None:
        self.turn.begin()
        places = [self.outbox.write(b"x" * size) for size in (1, 126, 65_536)]
        self.turn.end()
        self.assertEqual(self.transport.writes, 1)
        self.assertEqual(places, [3, 3 + 130, 3 + 130 + 65_546])
        self.assertEqual(self.outbox.taken, places[-1])
        self.assertEqual(len(self.transport.value()), places[-1])

    def test_after_the_goodbye_nothing_leaves_and_nothing_counts_as_taken(self) -> None:
        self.turn.begin()
        self.outbox.put(b"\x88\x00")
        self.outbox.sealed = True
        place = self.outbox.write(b"too late")
        self.turn.end()
        self.assertEqual(self.transport.value(), b"\x88\x00")
        self.assertEqual(self.outbox.pending, 0)
        self.assertLess(self.outbox.taken, place)
