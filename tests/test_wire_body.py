"""What goes on to the recipients, byte for byte, and what the server's own lines look like."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chat.errors import ChatError, Code
from chat.messages import MsgId
from chat.wire import answer, encode, refusal, with_seq
from tests.test_wire import NOW, pushed, refused, texts, values


class BodyTests(SynchronousTestCase):
    """What goes on: the sender's bytes, with the server's word for who it is."""

    def test_line_of_the_original_client_goes_on_as_it_came(self) -> None:
        line = b'{"id":7,"msg":"hi","msgid":5,"name":"ann","time":"2020-01-01 00:00:00","toid":8}'
        self.assertEqual(pushed(line), line)
        with_cid = line[:-1] + b',"cid":"a"}'
        self.assertEqual(pushed(with_cid), with_cid)
        quoted = line.replace(b"hi", rb"say \"hi\"")
        self.assertEqual(pushed(quoted), quoted)
        group = line.replace(b"toid", b"groupid").replace(b":5", b":9")
        self.assertEqual(pushed(group), group)

    def test_what_is_missing_is_put_in(self) -> None:
        self.assertEqual(
            pushed(b'{"msgid":5,"toid":8,"msg":"hi"}'),
            b'{"msgid":5,"toid":8,"msg":"hi","id":7,"name":"ann","time":"2030-01-02 03:04:05"}',
        )
        self.assertEqual(
            pushed(b'{"msgid":5,"toid":8,"msg":"hi","time":"","id":7}'),
            b'{"msgid":5,"toid":8,"msg":"hi","time":"","id":7,"name":"ann"}',
        )

    def test_what_is_false_is_replaced(self) -> None:
        for name in ('"bob"', '""', "null", "7", '["ann"]', '"an\\u006e "'):
            body = json.loads(pushed(b'{"msgid":5,"toid":8,"msg":"hi","name":%b}' % name.encode()))
            self.assertEqual(body["name"], "ann")
        for time in ("null", "7", "[]", "{}", "true", '{"a":"b"}'):
            body = json.loads(pushed(b'{"msgid":5,"toid":8,"msg":"hi","time":%b}' % time.encode()))
            self.assertEqual(body["time"], NOW)

    def test_time_that_is_a_string_is_kept(self) -> None:
        for time in ("", "yesterday", "2020-01-01 00:00:00", "🕛", '"'):
            body = pushed(encode({"msgid": 5, "toid": 8, "msg": "", "time": time}))
            self.assertEqual(json.loads(body)["time"], time)

    def test_seq_is_dropped(self) -> None:
        for seq in ("1", '"x"', "null", "[[1]]", '{"seq":2}'):
            body = pushed(b'{"seq":%b,"msgid":5,"toid":8,"msg":"hi"}' % seq.encode())
            self.assertNotIn("seq", json.loads(body))
        inner = b'{"msgid":5,"toid":8,"msg":"hi","a":{"seq":1}}'
        self.assertIn(b'"a":{"seq":1}', pushed(inner))

    def test_unknown_fields_go_on_byte_for_byte(self) -> None:
        for value in (
            b"1.0", b"1E2", b"-0", b"0.10", b"123456789012345678901234567890", rb'"\u00e9\/"',
            b'"\xc3\xa9"', b'{"b": [1, 2 ]}', b"null",
        ):  # fmt: skip
            for name in (b"", b',"name":"bob"'):
                line = b'{"msgid":5,"toid":8,"msg":"hi","a":%b%b}' % (value, name)
                self.assertIn(b'"a":' + value, pushed(line))

    def test_of_a_key_that_stands_twice_only_the_last_goes_on(self) -> None:
        body = pushed(b'{"msgid":5,"toid":8,"msg":"one","id":7,"name":"ann","msg":"two"}')
        self.assertEqual(body.count(b'"msg":'), 1)
        self.assertIn(b'"msg":"two"', body)
        for line in (
            rb'{"msgid":5,"toid":8,"msg":"hi","id":7,"i\u0064":7,"name":"ann"}',
            b'{"msgid":5,"toid":8,"msg":"hi","name":"bob","name":"ann"}',
            b'{"msgid":5,"toid":8,"msg":"hi","time":1,"time":"x"}',
            b'{"msgid":5,"toid":8,"msg":"hi","a":1,"a":2}',
            b'{"msgid":5,"toid":8,"msg":"hi","cid":"a","cid":"b"}',
        ):
            pairs = json.loads(pushed(line), object_pairs_hook=list)
            keys = [key for key, _ in pairs]
            self.assertEqual(len(keys), len(set(keys)), line)
            last = {**json.loads(line), "name": "ann"}
            self.assertEqual(last.items() - dict(pairs).items(), set())

    def test_text_that_looks_like_fields(self) -> None:
        line = encode({"msgid": 5, "toid": 8, "msg": '","id":9,"name":"bob","a":"\\'})
        body = json.loads(pushed(line))
        self.assertEqual((body["id"], body["name"]), (7, "ann"))

    def test_unknown_field_hidden_behind_quotes_in_the_text(self) -> None:
        """As many quotes as a plain line has, and yet another field."""
        line = rb'{"msgid":5,"toid":8,"msg":"\\","a\\":1e999}'
        self.assertEqual(refused(line).code, Code.BAD_REQUEST)
        line = rb'{"msgid":5,"toid":8,"msg":"hi","\"":1e999}'
        self.assertEqual(refused(line).code, Code.BAD_REQUEST)

    fields = st.fixed_dictionaries(
        {"msgid": st.just(5), "toid": st.integers(1, 2**63 - 1), "msg": texts},
        optional={
            "id": st.just(7),
            "name": st.sampled_from(["ann", "bob", 1]),
            "time": texts | st.none(),
            "cid": st.text(min_size=1, max_size=64).filter(str.isprintable),
            "seq": values,
            "a": values,
            '"': values,
            "\\": values,
        },
    )

    @given(fields, st.permutations(range(11)), st.booleans(), st.sampled_from([None, 1]))
    def test_any_message(
        self, fields: dict[str, Any], order: list[int], ascii_only: bool, indent: int | None
    ) -> None:
        items = list(fields.items())
        shuffled = dict(items[at] for at in order if at < len(items))
        line = json.dumps(shuffled, ensure_ascii=ascii_only, indent=indent).encode()
        line = line.replace(b"\n", b" ")
        body = pushed(line)
        self.assertNotIn(b"\n", body)
        expected = {**fields, "id": 7, "name": "ann"}
        expected.pop("seq", None)
        if not isinstance(expected.get("time"), str):
            expected["time"] = NOW
        self.assertEqual(json.loads(body), expected)
        pushed_on = json.loads(with_seq(body, 12))
        self.assertEqual(pushed_on, {**expected, "seq": 12})
        self.assertEqual(list(pushed_on)[-1], "seq")


class AnswerTests(SynchronousTestCase):
    def test_seq(self) -> None:
        body = b'{"msgid":5,"toid":8,"msg":"hi"}'
        self.assertEqual(with_seq(body, 1), b'{"msgid":5,"toid":8,"msg":"hi","seq":1}')
        self.assertEqual(
            with_seq(body, 1, "é"), '{"msgid":5,"toid":8,"msg":"hi","cid":"é","seq":1}'.encode()
        )

    def test_refusal(self) -> None:
        error = ChatError(Code.NO_SUCH_USER)
        self.assertEqual(
            refusal(MsgId.ACK, error, ack=5, cid="a"),
            b'{"msgid":11,"errno":104,"errmsg":"no such user","ack":5,"cid":"a"}',
        )
        self.assertEqual(
            refusal(MsgId.LOGIN_ACK, ChatError(Code.TOO_FAST, "slower", retry_after=2.5)),
            b'{"msgid":2,"errno":107,"errmsg":"slower","retry_after":2.5}',
        )

    def test_success(self) -> None:
        self.assertEqual(answer(10, None, {}), b'{"msgid":11,"errno":0,"ack":10}')
        self.assertEqual(
            answer(7, "é", {"groupid": 3}),
            '{"msgid":11,"errno":0,"ack":7,"cid":"é","groupid":3}'.encode(),
        )

    @given(st.sampled_from(Code), texts, st.none() | texts, st.none() | st.floats(0.1, 1e6))
    def test_refusals_are_whole(
        self, code: Code, text: str, cid: str | None, retry_after: float | None
    ) -> None:
        line = refusal(MsgId.ACK, ChatError(code, text, retry_after=retry_after), ack=9, cid=cid)
        expected = {"msgid": 11, "errno": code, "errmsg": text, "ack": 9}
        optional = {"cid": cid, "retry_after": retry_after}
        expected |= {name: value for name, value in optional.items() if value is not None}
        self.assertEqual(json.loads(line), expected)
        self.assertNotIn(b"\n", line)
