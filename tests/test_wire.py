"""The codec: any bytes are a request, or are refused."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chat.errors import Code
from chat.messages import (
    GroupChat,
    Login,
    LogOut,
    MsgId,
    OneChat,
    Ping,
    Pong,
    Received,
    Reg,
)
from chat.wire import MSGIDS, BadLine, chat_body, encode, parse, refusal

ANN = (7, "ann", b',"id":7', b',"name":"ann"')
NOW = "2030-01-02 03:04:05"

texts = st.text(st.characters(exclude_categories=["Cs"]))
doubles = st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | doubles | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def refused(line: bytes) -> BadLine:
    """What the line is refused with, in the step that finds out."""
    try:
        pushed(line)
    except BadLine as bad:
        return bad
    raise AssertionError(f"{line[:200]!r} is taken")


def pushed(line: bytes) -> bytes:
    """The line as its recipients get it, or as it is when it is no chat message."""
    request = parse(line)
    if isinstance(request, OneChat | GroupChat):
        return chat_body(request, line, ANN, NOW)
    return line


def nested(depth: int, bracket: str = "[]") -> str:
    """A value that nests so deep."""
    if bracket == "{}":
        return '{"a":' * depth + "0" + "}" * depth
    return bracket[0] * depth + bracket[1] * depth


class ParseTests(SynchronousTestCase):
    def test_each_request(self) -> None:
        for line, request in (
            (b'{"msgid":1,"id":7,"password":"x"}', Login(id=7, password="x")),
            (b'{"msgid":3,"name":"a","password":"x"}', Reg(name="a", password="x")),
            (b'{"msgid":5,"toid":8,"msg":"hi"}', OneChat(toid=8, msg="hi")),
            (b'{"msgid":9,"groupid":8,"msg":"hi"}', GroupChat(groupid=8, msg="hi")),
            (b'{"msgid":10}', LogOut()),
            (b'{"msgid":12,"seq":3}', Received(seq=3)),
            (b'{"msgid":13,"cid":"a"}', Ping(cid="a")),
            (b'{"msgid":14}', Pong()),
        ):
            self.assertEqual(parse(line), request)
            self.assertEqual(MSGIDS[type(request)], json.loads(line)["msgid"])

    def test_requests_have_the_numbers_of_the_vocabulary(self) -> None:
        self.assertLessEqual(set(MSGIDS.values()), set(MsgId))

    @given(st.binary())
    @example(b"")
    @example(b"\xff")
    @example(b"{" * 100_000)
    @example(b"[" * 100_000)
    @example(b'{"msgid":13,"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    @example(b"1" * 65_000)
    @example(b'{"msgid":' + b"1" * 65_000 + b"}")
    @example(b'{"msgid":13,"a":' + b"1" * 65_000 + b"}")
    @example(b'{"msgid":13,"a":-' + b"1" * 65_000 + b"}")
    @example(b'"' + b"\\" * 65_000)
    @example(b'{"msgid":5,"toid":' + b"1" * 5_000 + b',"msg":""}')
    @example(b'{"msgid":5,"toid":1,"msg":"","time":' + b"1" * 5_000 + b"}")
    @example(b'{"msgid":5,"toid":1,"msg":"","name":' + b"1" * 5_000 + b"}")
    @example(b'{"msgid":5,"toid":1,"msg":"","seq":' + b"1" * 5_000 + b"}")
    @example(b'{"msgid":5,"toid":1,"msg":"","seq":1e999}')
    def test_any_bytes(self, line: bytes) -> None:
        try:
            pushed(line)
        except BadLine as bad:
            json.loads(refusal(MsgId.ACK, bad, ack=bad.ack, cid=bad.cid))

    @given(values)
    def test_any_value(self, value: Any) -> None:
        for line in (encode(value), encode({"msgid": value}), encode({"msgid": 5, "toid": value})):
            try:
                pushed(line)
            except BadLine:
                pass
            else:
                self.assertIn(json.loads(line)["msgid"], set(MsgId))

    @given(st.dictionaries(texts, values, max_size=4), st.sampled_from([*MSGIDS.values(), 2, 99]))
    def test_any_object(self, fields: dict[str, Any], msgid: int) -> None:
        line = encode({**fields, "msgid": msgid})
        try:
            pushed(line)
        except BadLine as bad:
            self.assertEqual(bad.ack, msgid)
            self.assertEqual(bad.code, 100 if msgid in MSGIDS.values() else 101)

    def test_no_request_at_all(self) -> None:
        for line in (
            b"hello", b"[]", b"[13]", b'"msgid"', b"13", b"null", b"true", b"{}", b'{"msgid":null}',
            b'{"msgid":"13"}', b'{"msgid":true}', b'{"msgid":13.0}', b'{"msgid":[13]}',
            b'{"msgid":13', b'{"msgid":13}}', b'{"msgid":13} x', b'{"msgid":13,}', b"{'msgid':13}",
            b'{"msgid":13}{"msgid":13}', b'{"msgid":NaN}', b'{"msgid":13,"a":NaN}',
            b'{"msgid":13,"a":Infinity}', b'{"msgid":13,"a":-Infinity}', b'{"msgid":13,"a":01}',
            b'{"msgid":13,"a":+1}', b'{"msgid":13,"a":.5}', b'{"msgid":13,"a":1.}',
            b'{"msgid":13,"a":"\t"}', b'{"msgid":13,"a":"\x7f\x01"}', b'{"msgid":13,"a":"\\x"}',
            b'{"msgid":13,"a":"\\u12"}', b'\xef\xbb\xbf{"msgid":13}', b'{"a":"\xc3"}',
            b'{"msgid":13,"a":"\xff"}', b'{"msgid":13,"\xed\xa0\x80":1}',
            b'{"msgid":13,"a":"\xc0\x80"}', b'{"msgid":13,"a":"\xf4\x90\x80\x80"}',
            '{"msgid":13}'.encode("utf-16"), b"[" * 100_000, b'{"a":' * 100_000,
            b'{"msgid":13,"a":' + b"[" * 100_000,
        ):  # fmt: skip
            bad = refused(line)
            self.assertEqual((bad.code, bad.ack, bad.cid), (100, 0, None), line[:100])

    def test_unknown_msgid(self) -> None:
        for number in (0, -1, 2, 4, 11, 33, 38, 39, 99, 2**31, 2**63, 2**64, 10**30, -(10**30)):
            bad = refused(b'{"msgid":%d,"cid":"a"}' % number)
            self.assertEqual((bad.code, bad.ack, bad.cid), (101, number, "a"))

    def test_ids(self) -> None:
        for text in ("1", str(2**63 - 1)):
            request = parse(b'{"msgid":5,"toid":%b,"msg":""}' % text.encode())
            self.assertEqual(request, OneChat(toid=int(text), msg=""))
        for text in (
            "0", "-1", str(2**63), str(2**64), str(10**30), "1.0", "1e0", "1.5", '"1"', "true",
            "null", "[1]", "{}", "1E400",
        ):  # fmt: skip
            for line in (
                b'{"msgid":5,"toid":%b,"msg":""}',
                b'{"msgid":5,"toid":1,"msg":"","id":%b}',
                b'{"msgid":9,"groupid":%b,"msg":""}',
                b'{"msgid":1,"id":%b,"password":"x"}',
                b'{"msgid":10,"id":%b}',
            ):
                bad = refused(line % text.encode())
                self.assertEqual((bad.code, bad.ack), (100, json.loads(line % b"1")["msgid"]))

    def test_fields_of_a_wrong_type_or_missing(self) -> None:
        for line in (
            b'{"msgid":1,"password":"x"}', b'{"msgid":1,"id":1,"password":1}',
            b'{"msgid":3,"name":"a"}', b'{"msgid":3,"password":"x"}',
            b'{"msgid":3,"name":1,"password":"x"}', b'{"msgid":3,"name":null,"password":"x"}',
            b'{"msgid":5,"msg":"hi"}', b'{"msgid":5,"toid":1}', b'{"msgid":5,"toid":1,"msg":1}',
            b'{"msgid":5,"toid":1,"msg":["hi"]}', b'{"msgid":12}', b'{"msgid":12,"seq":"1"}',
            b'{"msgid":12,"seq":-1}', b'{"msgid":12,"seq":1.5}', b'{"msgid":12,"seq":true}',
        ):  # fmt: skip
            bad = refused(line)
            self.assertEqual((bad.code, bad.ack), (100, json.loads(line)["msgid"]), line)

    def test_proto(self) -> None:
        line = b'{"msgid":1,"id":1,"password":"x","proto":%b}'
        for number in (1, 2, 3, 2**63, 10**30):
            request = parse(line % str(number).encode())
            assert isinstance(request, Login)
            self.assertEqual(request.proto, number)
        for text in (b"0", b"-1", b'"2"', b"2.0", b"true", b"null", b"[]", b"1e999"):
            self.assertEqual(refused(line % text).code, Code.BAD_REQUEST)

    def test_cid(self) -> None:
        for cid in ("a", "x" * 64, "🔑" * 64, "\0", '"\\'):
            self.assertEqual(parse(encode({"msgid": 13, "cid": cid})).cid, cid)
            self.assertEqual(refused(encode({"msgid": 99, "cid": cid})).cid, cid)
        for wrong in ("", "x" * 65, 1, None, True, ["a"]):
            bad = refused(encode({"msgid": 13, "cid": wrong}))
            self.assertEqual((bad.code, bad.ack, bad.cid), (100, 13, None))
            self.assertEqual(refused(encode({"msgid": 99, "cid": wrong})).cid, None)

    def test_lone_surrogates(self) -> None:
        for text in (rb"\ud800", rb"\udfff", rb"\ud800x", rb"\udc00\ud800", rb"\ud83d\ud83d\ude00"):
            for line in (
                b'{"msgid":5,"toid":1,"msg":"%b"}',
                b'{"msgid":5,"toid":1,"msg":"","a":"%b"}',
                b'{"msgid":5,"toid":1,"msg":"","a":{"b":["%b"]}}',
                b'{"msgid":5,"toid":1,"msg":"","%b":1}',
                b'{"msgid":13,"cid":"%b"}',
                b'{"msgid":13,"a":"%b"}',
            ):
                bad = refused(line % text)
                self.assertEqual((bad.code, bad.cid), (100, None), line % text)
        whole = rb'{"msgid":5,"toid":1,"msg":"\ud83d\ude00","a":"\ud83d\ude00"}'
        self.assertEqual(json.loads(pushed(whole))["a"], "😀")

    def test_key_that_stands_twice(self) -> None:
        for line, request in (
            (b'{"msgid":99,"msgid":13}', Ping()),
            (b'{"msgid":"x","msgid":13}', Ping()),
            (b'{"msgid":13,"msgid":14}', Pong()),
            (b'{"msgid":13,"cid":1,"cid":"a"}', Ping(cid="a")),
            (b'{"msgid":5,"toid":"x","msg":1,"toid":3,"msg":"hi"}', OneChat(toid=3, msg="hi")),
            (b'{"msgid":5,"toid":3,"toid":4,"msg":"hi"}', OneChat(toid=4, msg="hi")),
            (rb'{"msgid":5,"toid":3,"msg":"hi","m\u0073g":"ho"}', OneChat(toid=3, msg="ho")),
        ):
            self.assertEqual(parse(line), request, line)
        for line in (
            b'{"msgid":13,"msgid":"x"}',
            b'{"msgid":13,"msgid":99}',
            b'{"msgid":13,"cid":"a","cid":1}',
            b'{"msgid":5,"toid":3,"msg":"hi","toid":"x"}',
        ):
            refused(line)


class DepthTests(SynchronousTestCase):
    """32 deep, the line's own braces counted, in fields that nobody knows as well."""

    def test_deep_enough(self) -> None:
        for line in ('{"msgid":13,"a":%s}', '{"msgid":5,"toid":1,"msg":"[[[","a":%s}'):
            for bracket in ("[]", "{}"):
                pushed((line % nested(31, bracket)).encode())
                bad = refused((line % nested(32, bracket)).encode())
                self.assertEqual((bad.code, bad.ack), (100, json.loads(line % 0)["msgid"]))

    def test_wide_is_not_deep(self) -> None:
        wide = ",".join(["[[]]"] * 1000)
        pushed(b'{"msgid":5,"toid":1,"msg":"","a":[%b]}' % wide.encode())

    def test_brackets_in_texts_do_not_nest(self) -> None:
        for text in ("[" * 100, "{" * 100, '\\"' + "[" * 100, "[" * 100 + "\\\\"):
            pushed(b'{"msgid":5,"toid":1,"msg":"%b","a":{"%b":"%b"}}' % ((text.encode(),) * 3))

    def test_where_a_known_field_is_deep(self) -> None:
        for field in ("id", "name", "time", "seq", "cid"):
            line = '{"msgid":5,"toid":1,"msg":"","%s":%s}'
            for depth in (32, 1000, 20_000):
                self.assertEqual(refused((line % (field, nested(depth))).encode()).code, 100)
        pushed(b'{"msgid":5,"toid":1,"msg":"","name":%b}' % nested(31).encode())

    @given(st.integers(0, 40), st.integers(0, 40), st.sampled_from(["[]", "{}"]))
    def test_as_counted(self, first: int, second: int, bracket: str) -> None:
        both = (nested(first, bracket) or "0").encode(), (nested(second) or "0").encode()
        line = b'{"msgid":5,"toid":1,"msg":"}","a":%b,"b":%b}' % both
        if max(first, second) < 32:
            pushed(line)
        else:
            refused(line)


numbers = st.builds(
    lambda sign, whole, fraction, power: f"{sign}{whole}{fraction}{power}",
    st.sampled_from(["", "-"]),
    st.integers(0, 10**18).map(str)
    | st.builds(lambda digit, more: digit * more, st.sampled_from("179"), st.integers(300, 420)),
    st.just("") | st.integers(0, 10**6).map(lambda digits: f".{digits}"),
    st.just("") | st.integers(-400, 400).map(lambda power: f"e{power}"),
)


class NumberTests(SynchronousTestCase):
    def test_range_of_doubles(self) -> None:
        largest = int(1.7976931348623157e308)
        for line in (b'{"msgid":13,"a":%b}', b'{"msgid":5,"toid":1,"msg":"","a":[{"b":%b}]}'):
            for text in (str(largest), str(-largest), "1.7976931348623157e308", "1e-999", "-0"):
                pushed(line % text.encode())
            for text in ("1e999", "-1e999", "1E+309", str(2 * largest), "9" * 400, "-" + "9" * 400):
                bad = refused(line % text.encode())
                self.assertEqual((bad.code, bad.ack), (100, json.loads(line % b"1")["msgid"]))

    def test_long_fractions_are_within_it(self) -> None:
        pushed(b'{"msgid":5,"toid":1,"msg":"","a":0.%b}' % (b"9" * 400))

    @given(numbers)
    @example("1" + "0" * 308)
    @example("1" + "0" * 309)
    @example("9" * 400 + "e-200")
    @example("17976931348623158" + "0" * 292)
    def test_as_a_double_takes_it(self, text: str) -> None:
        try:
            inside = math.isfinite(float(int(text) if text.lstrip("-").isdigit() else text))
        except OverflowError:
            inside = False
        line = b'{"msgid":5,"toid":1,"msg":"","a":%b}' % text.encode()
        if inside:
            self.assertEqual(parse(line), OneChat(toid=1, msg=""))
            self.assertIn(b'"a":%b' % text.encode(), pushed(line))
        else:
            refused(line)
