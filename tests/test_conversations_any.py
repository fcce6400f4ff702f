"""Any sequence of lines, sound and broken, from several clients, however they are torn."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from tests.cables import Client
from tests.support import PASSWORD, InMemory, login, received
from tests.test_conversations_bad_input import BAD_FIELDS, NO_REQUEST

NAMES = ("ann", "bob", "carl", "dora")
ANN, BOB, CARL, DORA, NOBODY = 1, 2, 3, 4, 99
TOO_LONG = b"x" * 65_540

users = st.sampled_from([ANN, BOB, BOB, CARL, NOBODY])
cids = st.sampled_from([*"abcdefghijkl"])


def encoded(*messages: dict[str, Any]) -> list[bytes]:
    return [json.dumps(message).encode() for message in messages]


OWN = (b'"id": 0', b'"name": ""')
"""Stands for the id and the name of who is logged in on the connection at the beginning."""


def of_the_original(to: int, text: str, cid: str | None) -> bytes:
    """A line as the original's client writes it, with a cid or without."""
    message = {"id": 0, "msg": text, "msgid": 5, "name": "", "time": "t", "toid": to}
    return encoded(message if cid is None else {**message, "cid": cid})[0]


def owned(packet: tuple[int, list[bytes]]) -> tuple[int, list[bytes]]:
    """The same with the sender put in."""
    number, lines = packet
    own = (b'"id": %d' % (number + 1), b'"name": "%b"' % NAMES[number].encode())
    return number, [line.replace(OWN[0], own[0]).replace(OWN[1], own[1]) for line in lines]


plain = st.builds(
    of_the_original,
    st.sampled_from([ANN, BOB, BOB, CARL]),
    st.sampled_from(["hi", "ho", 'say "hi"', "back\\slash", "é🔑"]),
    st.none() | cids,
)
chats = st.fixed_dictionaries(
    {"msgid": st.just(5), "toid": users, "msg": st.sampled_from(["hi", "ho"])},
    optional={
        "cid": cids,
        "id": st.sampled_from([ANN, BOB, CARL, "1"]),
        "name": st.sampled_from(["ann", "bob", 7]),
        "time": st.sampled_from(["then", None]),
        "seq": st.just(3),
        "x": st.sampled_from([1, "é", [[]]]),
    },
).map(lambda message: encoded(message)[0])
logins = st.builds(
    login,
    st.sampled_from([ANN, BOB, CARL, DORA, NOBODY]),
    st.sampled_from([1, 2]),
    takeover=st.sampled_from([False, False, True]),
    password=st.sampled_from([PASSWORD, PASSWORD, PASSWORD, "wrong"]),
).map(lambda message: encoded(message)[0])
others = st.sampled_from(
    encoded(
        *({"msgid": 13, "cid": cid} for cid in "pqrst"),
        *(received(seq) for seq in range(1, 4)),
        *({"msgid": msgid} for msgid in range(40)),
        {"msgid": 10}, {"msgid": 10}, {"msgid": 10, "cid": "bye"}, {"msgid": 14},
        {"msgid": 3, "name": "ann", "password": "x"}, {"msgid": 3, "name": "new", "password": "x"},
    )
)  # fmt: skip
broken = st.sampled_from(
    [b"", b"", TOO_LONG, *(line for line in NO_REQUEST if len(line) < 1000)]
) | st.sampled_from(BAD_FIELDS).map(lambda text: b'{"msgid":5,"toid":2,"msg":"x",%b}' % text)
taken = st.integers(0, 6).map(lambda seq: encoded(received(seq))[0])
lines = st.one_of(plain, plain, plain, plain, chats, chats, taken, logins, others, broken)
packets = st.tuples(
    st.sampled_from([0, 0, 0, 1, 1, 1, 2, 3]), st.lists(lines, min_size=1, max_size=8)
).map(owned)
waits = st.sampled_from([0.0, 0.3, 1.6, 3.0])
sequences = st.lists(packets | waits, min_size=1, max_size=20)


@dataclass
class Talk:
    """What one connection has sent and got."""

    client: Client
    sent: list[bytes] = field(default_factory=list)
    got: list[dict[str, Any]] = field(default_factory=list)

    def take(self) -> None:
        """Look at what has come."""
        self.got += [json.loads(line) for line in self.client.lines]
        self.client.lines.clear()


GIVEN_CID = re.compile(r"[0-9a-f]{10,}\.[0-9a-f]+")
CHANGING = re.compile(r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|(?<="stamp": )\d+')


def ordered(talk: Talk) -> list[str]:
    """What has come in an order that must not depend on how the requests were torn.

    A RECEIVED_MSG is taken as it is read, ahead of what waits: what it is told may be another thing
    when a logout is still under way.
    """
    return [
        normal(it)
        for it in talk.got
        if not is_chat_ack(it) and not (it["msgid"] == 11 and it["ack"] == 12)
    ]


def unordered(talk: Talk) -> Counter[str]:
    """What comes when its fact is there."""
    return Counter(normal(it) for it in talk.got if is_chat_ack(it))


def is_chat_ack(message: dict[str, Any]) -> bool:
    return message["msgid"] == 11 and message["ack"] in (5, 9)


def normal(message: dict[str, Any]) -> str:
    if "token" in message:
        message = {**message, "token": "another each time"}
    text = GIVEN_CID.sub("given", json.dumps(message, sort_keys=True))
    text = re.sub(r'"stamp": \d+', '"stamp": 0', text)
    text = re.sub(r'"token": "[\w-]{43}"', '"token": "given"', text)
    return CHANGING.sub("now", text)


class AnySequenceTests(InMemory):
    def run_now(self, work: Any) -> Any:
        """The result of a coroutine that does not have to wait."""
        return self.successResultOf(Deferred.fromCoroutine(work))

    def play(self, sequence: Sequence[Any], tear: int) -> list[Talk]:
        """Let clients send a sequence: whole packets (0), single lines (1), or pieces of so many
        bytes."""
        self.stop()
        self.begin()
        for name in NAMES:
            self.run_now(self.register(name))
        talks = [
            Talk(self.run_now(self.login(ANN))),
            Talk(self.run_now(self.login(BOB, 2))),
            *(Talk(self.run_now(self.connect())) for _ in range(2)),
        ]
        current = list(talks)
        for step in sequence:
            if isinstance(step, float):
                self.go(step)
            else:
                number, packet = step
                if current[number].client.closed:
                    current[number] = Talk(self.run_now(self.connect()))
                    talks.append(current[number])
                self.send(current[number], packet, tear)
            for talk in current:
                talk.take()
        self.go(3.5)
        for talk in current:
            talk.take()
        return talks

    def send(self, talk: Talk, packet: list[bytes], tear: int) -> None:
        talk.sent += packet
        if tear == 1:
            pieces = [line + b"\n" for line in packet]
        else:
            data = b"".join(line + b"\n" for line in packet)
            size = tear or len(data)
            pieces = [data[at : at + size] for at in range(0, len(data), size)]
        for piece in pieces:
            talk.client.send_raw(piece)
        self.time.settle()

    def assert_sound(self, talk: Talk) -> None:
        """What holds for every connection, whatever was sent on it."""
        self.assertNotIn(199, {it.get("errno") for it in talk.got})
        level, seq = (2, 0) if talk.client.ack.get("proto") else (1, 0)
        pushed = []
        for message in talk.got:
            if message["msgid"] == 2 and message["errno"] == 0:
                level, seq = message.get("proto", 1), 0
            elif message["msgid"] == 5:
                self.assertEqual("seq" in message, level == 2, message)
                if level == 2:
                    seq += 1
                    self.assertEqual(message["seq"], seq)
                self.assertEqual(message["name"], NAMES[message["id"] - 1])
                pushed.append(message)
            elif message["msgid"] == 11 and message["errno"] == 0:
                self.assertEqual(level, 2, message)
        pings = [
            json.loads(line)["cid"] for line in talk.sent if line.startswith(b'{"msgid": 13, ')
        ]
        pongs = [it["cid"] for it in talk.got if it["msgid"] == 14 and "cid" in it]
        self.assertEqual(pongs, pings[: len(pongs)])
        if talk.client.closed:
            last = [it for it in talk.got if it["msgid"] == 11 and it["errno"]][-1]
            self.assertEqual(last["ack"], 0)
            self.assertIn(last["errno"], (103, 106))
            self.assertEqual(TOO_LONG in talk.sent, last["errno"] == 106)
        else:
            self.assertEqual(pongs, pings)
            self.assertNotIn(TOO_LONG, talk.sent)

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(sequences, st.integers(2, 40))
    def test_any_sequence(self, sequence: list[Any], tear: int) -> None:
        whole = self.play(sequence, 0)
        for talk in whole:
            self.assert_sound(talk)
        for how in (1, tear):
            torn = self.play(sequence, how)
            self.assertEqual(len(torn), len(whole))
            for one, other in zip(whole, torn, strict=True):
                self.assertEqual(ordered(one), ordered(other))
                if not one.client.closed:
                    self.assertEqual(unordered(one), unordered(other))
        self.assertEqual(self.flushLoggedErrors(), [])
