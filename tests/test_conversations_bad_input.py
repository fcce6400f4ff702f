"""Whatever somebody sends: it has its error, and nobody else notices."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.cables import Client
from tests.support import Conversation, InMemory, OverTcp, received, say

NO_REQUEST = (
    b"hello", b"[]", b"[1,2,3]", b'"text"', b"13", b"-", b"null", b"true", b"{}", b"{]", b"}{",
    b'{"msgid":null}', b'{"msgid":"5"}', b'{"msgid":true}', b'{"msgid":5.0}', b'{"msgid":[5]}',
    b'{"msgid":{"msgid":5}}', b'{"MSGID":5}', b'{"msgid":5', b'{"msgid":5}x', b"{'msgid':5}",
    b'{"msgid":5}{"msgid":5}', b'{"msgid":NaN}', b'{"msgid":13,"x":NaN}', b'{"msgid":13,"x":+1}',
    b'{"msgid":13,"x":Infinity}', b'{"msgid":13,"x":-Infinity}', b'{"msgid":13,"x":01}',
    b'{"msgid":13,"x":"\xff"}', b'{"msgid":13,"x":"\xc3"}', b'{"msgid":13,"\xed\xa0\x80":1}',
    b'\xef\xbb\xbf{"msgid":13}', b'{"msgid":13,"x":"a\tb"}', b"[" * 60_000, b'{"a":' * 12_000,
    b'{"msgid":13,"x":' + b"[" * 60_000, b"\x80" * 1000, b"GET / HTTP/1.1",
    b'{"msgid":13,"x":"\\ud8"}', b'{"msgid":13 "x":1}', b'{"msgid":13,,}', b'{"msgid":13,}',
)  # fmt: skip
"""Lines that are no JSON object with a msgid."""

BAD_FIELDS = (
    rb'"x":1e999', rb'"x":-1e999', rb'"x":{"y":[1e999]}', b'"x":' + b"9" * 400,
    rb'"x":"\ud800"', rb'"\udfff":1', rb'"x":["\ud83d"]', b'"x":' + b"[" * 40 + b"]" * 40,
    b'"x":' + b'{"y":' * 40 + b"1" + b"}" * 40, b'"x":' + b"[" * 30_000 + b"]" * 30_000,
    b'"cid":7', b'"cid":""', b'"cid":"' + b"c" * 65 + b'"', rb'"cid":"\ud800"', b'"cid":null',
)  # fmt: skip
"""What spoils a request that is sound otherwise."""


def spoilt(bob: int) -> Iterator[tuple[bytes, int, int]]:
    """Bad lines, each with its errno and its ack."""
    for line in NO_REQUEST:
        yield line, 100, 0
    for number in (0, -1, 2, 4, 11, 33, 38, 99, 2**63, 2**64, 10**30):
        yield b'{"msgid":%d}' % number, 101, number
    for field in BAD_FIELDS:
        yield b'{"msgid":5,"toid":%d,"msg":"x",%b}' % (bob, field), 100, 5
        yield b'{"msgid":10,%b}' % field, 100, 10
        yield b'{"msgid":12,"seq":0,%b}' % field, 100, 12
        yield b'{"msgid":13,%b}' % field, 100, 13
        yield b'{"msgid":14,%b}' % field, 100, 14
        yield b'{"msgid":99,%b}' % field, 101, 99
    for value in (b'"1"', b"1.0", b"true", b"null", b"0", b"-1", str(2**63).encode(), b"[]", b"{}"):
        yield b'{"msgid":5,"toid":%b,"msg":"x"}' % value, 100, 5
        yield b'{"msgid":5,"toid":%d,"msg":"x","id":%b}' % (bob, value), 100, 5
        yield b'{"msgid":10,"id":%b}' % value, 100, 10
    for value in (b"1", b"1.0", b"true", b"null", b"[]", b'{"text":"x"}'):
        yield b'{"msgid":5,"toid":%d,"msg":%b}' % (bob, value), 100, 5
    yield b'{"msgid":5,"toid":%d}' % bob, 100, 5
    yield b'{"msgid":5,"msg":"x"}', 100, 5
    yield b'{"msgid":12}', 100, 12


class BadInput(Conversation):
    async def assert_refusals(self, client: Client, bob: int) -> None:
        for line, errno, ack in spoilt(bob):
            self.assert_refused(await client.ask(line), errno, ack)

    async def test_each_has_its_error_and_others_go_on(self) -> None:
        ann, bob = await self.enter("ann"), await self.enter("bob", 2)
        one, other = await self.enter("carl"), await self.enter("dora", 2)
        await self.assert_refusals(ann, bob.id)
        await self.assert_chatting(ann, bob)
        await self.assert_refusals(bob, ann.id)
        await self.assert_chatting(ann, bob)
        await self.assert_chatting(one, other)

    async def test_all_in_one_packet(self) -> None:
        ann, bob = await self.enter("ann"), await self.enter("bob")
        lines = [it for it in spoilt(bob.id) if len(it[0]) < 1000]
        ann.send(*(line for line, _, _ in lines), say(bob.id, "at the end"))
        for line, errno, ack in lines:
            answer = await ann.get()
            self.assertEqual((answer["errno"], answer["ack"]), (errno, ack), line)
        self.assertEqual((await bob.get())["msg"], "at the end")

    async def test_before_login(self) -> None:
        client = await self.connect()
        for line in NO_REQUEST:
            self.assert_refused(await client.ask(line), 100, 0)
        await self.log_in(client, await self.register("ann"))

    async def test_refusals_of_1_and_3_come_in_2_and_4(self) -> None:
        client = await self.connect()
        for field in BAD_FIELDS:
            for line, msgid in (
                (b'{"msgid":1,"id":1,"password":"x",%b}' % field, 2),
                (b'{"msgid":3,"name":"ann","password":"x",%b}' % field, 4),
            ):
                answer = await client.ask(line)
                expected = {"msgid": msgid, "errno": 100, "errmsg": answer.get("errmsg")}
                self.assertEqual(answer, expected, line)
        await self.register("ann")

    async def test_error_texts_are_fixed(self) -> None:
        """What a client wrote does not come back in them, nor does a parser's message."""
        ann, bob = await self.enter("ann"), await self.enter("bob")
        for line, _, _ in spoilt(bob.id):
            text = (await ann.ask(line))["errmsg"]
            self.assertRegex(text, r"\A[A-Za-z0-9 ,.-]{3,60}\Z")
            self.assertNotRegex(text, r"(?i)expected|`|\$|byte|position|surrogate|traceback")

    async def test_sql_in_every_field(self) -> None:
        sql = "'; DROP TABLE user; -- \" ); DELETE FROM offlinemessage; %s %(x)s ? :1 \\"
        user_id = await self.register(sql[:50])
        away = await self.register("bob")
        client = await self.connect()
        answer = await client.ask({"msgid": 1, "id": user_id, "password": sql})
        self.assertEqual(answer["errno"], 1)
        ann = await self.login(user_id, 2)
        self.assertEqual(ann.ack["name"], sql[:50])
        message = say(away, sql, cid=sql[:64], time=sql, name=sql, **{sql: sql})
        self.assertEqual((await ann.ask(message))["state"], "stored")
        bob = await self.login(away, 2)
        pushed = await bob.get()
        self.assertEqual(pushed, {**message, "id": user_id, "name": sql[:50], "seq": 1})
        bob.send(received(1))
        await self.assert_chatting(ann, bob)

    async def test_emoji_and_nul_escapes(self) -> None:
        for name in ("🔑", "👩‍👩‍👧", "a\u0301"):
            ann, away = await self.enter(name), await self.register(f"{name} friend")
            line = b'{"msgid":5,"toid":%d,"msg":"\\u0000\\ud83d\\ude00 \xf0\x9f\x94\x91"}' % away
            ann.send(line)
            await ann.nothing()
            self.go(0.1)
            bob = await self.login(away)
            message = json.loads(bob.ack["offlinemsg"][0])
            self.assertEqual((message["msg"], message["name"]), ("\0😀 🔑", name))

    async def test_client_that_closes_in_the_middle_of_a_line(self) -> None:
        ann, bob = await self.enter("ann"), await self.enter("bob")
        carl, dora = await self.enter("carl"), await self.enter("dora")
        line = json.dumps(say(bob.id, "never")).encode()
        for client in (carl, dora):
            client.send_raw(line[:-1])
        carl.cable.close()
        dora.cable.abort()
        await carl.end()
        await dora.end()
        await self.assert_chatting(ann, bob)

    async def test_one_byte_at_a_time(self) -> None:
        ann, bob = await self.enter("ann"), await self.enter("bob")
        for line in (json.dumps(say(bob.id, "slow")).encode() + b"\r\n", b'{"msgid":99}\0'):
            for byte in line:
                ann.send_raw(bytes([byte]))
        self.assertEqual((await bob.get())["msg"], "slow")
        self.assert_refused(await ann.get(), 101, 99)


class MemoryBadInputTests(BadInput, InMemory):
    pass


class TcpBadInputTests(BadInput, OverTcp):
    pass
