"""Lines on a socket: how they end, how long they are, how they are torn."""

from __future__ import annotations

import json

from tests.support import Conversation, InMemory, OverTcp, login, say

PING = b'{"msgid":13,"cid":"%d"}'
PONG = b'{"msgid":14,"cid":"%d"}'


class Framing(Conversation):
    async def test_each_end_of_a_line(self) -> None:
        client = await self.connect()
        client.send_raw(b"\n".join([PING % 1, PING % 2 + b"\r", b""]) + PING % 3 + b"\0")
        client.send_raw(PING % 4 + b"\r\0" + PING % 5 + b"\n")
        for number in range(1, 6):
            self.assertEqual(await client.line(), PONG % number)

    async def test_original_clients_end(self) -> None:
        client = await self.connect()
        client.send_raw(PING % 1 + b"\0")
        self.assertEqual(await client.line(), PONG % 1)

    async def test_empty_lines_are_ignored(self) -> None:
        client = await self.connect()
        client.send_raw(b"\n\r\n\0\r\0\n\n" + PING % 1 + b"\n\n")
        self.assertEqual(await client.line(), PONG % 1)
        await client.nothing()

    async def test_carriage_return_elsewhere_is_white_space(self) -> None:
        client = await self.connect()
        client.send_raw(b'\r{"msgid":\r13,"cid":"1"}\r\r\n')
        self.assertEqual(await client.line(), PONG % 1)

    async def test_one_byte_at_a_time(self) -> None:
        client = await self.connect()
        for byte in '{"msgid":13,"cid":"é🔑"}\r\n'.encode():
            client.send_raw(bytes([byte]))
        self.assertEqual(await client.get(), {"msgid": 14, "cid": "é🔑"})

    async def test_many_in_one_packet(self) -> None:
        client = await self.connect()
        client.send_raw(b"".join(PING % number + b"\n" for number in range(1000)))
        for number in range(1000):
            self.assertEqual(await client.line(), PONG % number)

    async def test_answers_are_compact(self) -> None:
        client = await self.connect()
        client.send({"msgid": 13, "cid": "a b/é🔑\t"})
        line = await client.line()
        self.assertEqual(line, '{"msgid":14,"cid":"a b/é🔑\\t"}'.encode())

    async def test_fields_in_any_order_with_any_white_space(self) -> None:
        user_id = await self.register("ann")
        client = await self.connect()
        client.send_raw(b' { "password" :\t"correct horse" , "id":%d ,"msgid" : 1 } \n' % user_id)
        self.assertEqual(await client.get(), {"msgid": 2, "errno": 0, "id": user_id, "name": "ann"})

    async def test_longest_line(self) -> None:
        client = await self.connect()
        for end in (b"\n", b"\r\n", b"\0"):
            line = b'{"msgid":13,"pad":"%b"}' % (b"x" * (65536 - 21))
            self.assertEqual(len(line), 65536)
            client.send_raw(line + end)
            self.assertEqual(await client.get(), {"msgid": 14})

    async def test_longest_line_one_byte_more(self) -> None:
        for end in (b"\n", b"\r\n", b"\0"):
            client = await self.connect()
            line = b'{"msgid":13,"pad":"%b"}' % (b"x" * (65537 - 21))
            client.send_raw(PING % 1 + b"\n" + line + end + PING % 2 + b"\n")
            self.assertEqual(await client.line(), PONG % 1)
            self.assert_refused(await client.get(), 106, 0)
            self.assertEqual(await client.end(), [])

    async def test_endless_line(self) -> None:
        client = await self.connect()
        client.send_raw(b"x" * 70_000)
        self.assert_refused(await client.get(), 106, 0)
        client.send_raw(b"x" * 200_000 + b"\n" + PING % 1 + b"\n")
        self.assertEqual(await client.end(), [])

    async def test_too_long_a_line_behind_a_login(self) -> None:
        """Answers come in order, and this one is the last."""
        user_id = await self.register("ann")
        client = await self.connect()
        client.send(login(user_id), b"x" * 70_000, {"msgid": 13})
        self.assertEqual((await client.get())["msgid"], 2)
        self.assert_refused(await client.get(), 106, 0)
        self.assertEqual(await client.end(), [])

    async def test_pushed_line_may_be_longer(self) -> None:
        ann, bob = await self.enter("ann"), await self.enter("b" * 50)
        line = b'{"msgid":5,"toid":%d,"msg":"%b"}'
        text = b"x" * (65536 - len(line % (ann.id, b"")))
        bob.send(line % (ann.id, text))
        pushed = await ann.line()
        self.assertGreater(len(pushed), 65536)
        self.assertEqual(json.loads(pushed)["msg"].encode(), text)

    async def test_half_a_line_is_nothing(self) -> None:
        ann, bob = await self.enter("ann"), await self.enter("bob")
        ann.send_raw(b'{"msgid":5,"toid":%d,"msg":"to be contin' % bob.id)
        ann.cable.close()
        await self.assert_chatting(await self.enter("carl"), bob)

    async def test_other_protocols(self) -> None:
        client = await self.connect()
        client.send_raw(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n")
        self.assert_refused(await client.get(), 100, 0)
        self.assert_refused(await client.get(), 100, 0)
        client.send_raw(b"\x16\x03\x01\xfc\x03\x03\n")
        self.assert_refused(await client.get(), 100, 0)
        await client.nothing()

    async def test_shut_writing_side(self) -> None:
        """As ``nc -N`` does it: what was asked is answered, then the server closes."""
        user_id = await self.register("ann")
        client = await self.connect()
        client.send(login(user_id), say(user_id, "to me"))
        client.cable.shut()
        said = await client.end()
        self.assertEqual([it["msgid"] for it in said], [2, 5])


class MemoryFramingTests(Framing, InMemory):
    async def test_memory_stays_bounded(self) -> None:
        client = await self.connect()
        client.send_raw(b"x" * 65537)
        self.time.settle()
        self.assertEqual(len(client.lines), 0, "a \\r may still come")
        client.send_raw(b"x")
        self.assert_refused(await client.get(), 106, 0)
        protocol = self.server_side(client).protocol
        for _ in range(100):
            client.send_raw(b"x" * 65536)
        self.assertEqual((protocol._parts, protocol._lines), ([], []))
        self.go(1.9)
        client.send_raw(b"\n" + PING % 1 + b"\n")
        self.go(0.2)
        self.assertEqual(await client.end(), [])


class TcpFramingTests(Framing, OverTcp):
    async def test_writing_side_is_shut_first(self) -> None:
        """The client reads the refusal to its end, whatever it still writes."""
        client = await self.connect()
        client.send_raw(b"x" * 70_000)
        self.assert_refused(await client.get(), 106, 0)
        for _ in range(20):
            client.send_raw(b"x" * 70_000)
        self.assertEqual(await client.end(), [])
