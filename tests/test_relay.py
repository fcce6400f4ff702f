"""The fast lane does what the ordinary way does: the same reads, with it and without it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import count
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from chat.delivery import Peer
from chat.relay import Relay
from chat.runs import Run

from .broken import breakable
from .support import InMemory

KINDS = [
    "plain",
    "to another",
    "named",
    "repeated",
    "bare",
    "without id and name",
    "without a name",
    "wrong name",
    "quoted",
    "accented",
    "nobody",
    "bad",
]

MEMBERS = {
    "msgid": b'"msgid":5', "id": b'"id":%d', "name": b'"name":"ann"', "toid": b'"toid":%d',
    "msg": b'"msg":"text"', "time": b'"time":"2026-11-24 12:00:00"', "cid": b'"cid":"c"',
    "seq": b'"seq":7', "unknown": b'"x":12345', "unknown text": b'"x":"12345"',
    "no msgid": b'"msgix":5', "nested": b'"x":[[[]]]', "again": b'"toid":%d',
    "other text": b'"msg":"longer"', "escaped": b'"msg":"a\\u0062\\nc"', "empty": b'"msg":""',
    "escaped key": b'"\\u006dsg":"other"', "spaced": b' "time" : "2026-11-24 12:00:00" ',
    "accented": '"msg":"é"'.encode(), "float": b'"toid":1e4', "null": b'"name":null',
    "nan": b'"x":1e999',
}  # fmt: skip
"""What lines are made of that the two ways must judge alike."""

USUAL = ["msgid", "id", "name", "toid", "msg", "time"]


Reads = Callable[[int, int, int], list[list[bytes]]]
"""The lines that ann sends, read by read, by the ids of ann, bob and eve."""

TIME = "2026-11-24 12:00:00"


class NoLane(Relay):
    """Everything goes the ordinary way."""

    def pass_on(self, me: Peer, lines: list[bytes], at: int, end: int) -> int:
        return at


def chat_line(kind: str, number: int, sender: int, recipient: int, other: int) -> bytes:
    """One message of a kind, with a text of its own."""
    fields: dict[str, Any] = {
        "msgid": 5, "id": sender, "name": "ann", "toid": recipient,
        "msg": f"text {number}", "time": TIME,
    }  # fmt: skip
    if kind == "to another":
        fields["toid"] = other
    elif kind == "named":
        fields["cid"] = f"c{number}"
    elif kind == "repeated":
        fields |= {"cid": "again", "msg": "the same"}
    elif kind == "bare":
        fields = {"msgid": 5, "toid": recipient, "msg": f"text {number}", "cid": f"b{number}"}
    elif kind == "without id and name":
        del fields["id"], fields["name"]
        fields["cid"] = f"w{number}"
    elif kind == "without a name":
        del fields["name"]
    elif kind == "wrong name":
        fields["name"] = "eve"
    elif kind == "quoted":
        fields["msg"] = f'she said "{number}"'
    elif kind == "accented":
        fields |= {"msg": f"ça va {number} ?", "cid": f"é{number}"}
    elif kind == "nobody":
        fields |= {"toid": 2**40, "cid": f"n{number}"}
    text = json.dumps(fields, separators=(",", ":"), ensure_ascii=kind != "accented")
    line = text.encode()
    return line[:-1] if kind == "bad" else line


class RelayTests(InMemory):
    """One read, worked off both ways."""

    bounds: Mapping[str, Any] = {"unanswered_per_sender": 20}

    async def _seen(self, reads: Reads, levels: tuple[int, int], acks: list[int]) -> Any:
        """All that the three of them get for these reads of ann's, and between them bob's
        acknowledgements."""
        ann = await self.enter("ann", levels[0])
        bob, eve = await self.enter("bob", levels[1]), await self.enter("eve")
        pushed = 0
        for read, ack in zip(reads(ann.id, bob.id, eve.id), acks, strict=False):
            ann.send_raw(b"".join(line + b"\n" for line in read))
            self.go(0.01)
            pushed = min(ack, self.pushed_to(bob.id))
            if levels[1] == 2:
                bob.send({"msgid": 12, "seq": pushed})
        if acks[-1] % 2:
            # What is not acknowledged by now is stored.
            self.go(1.5)
        everything = []
        for client in (ann, bob, eve):
            client.send({"msgid": 13, "cid": "last"})
            while (message := await client.get()).get("msgid") != 14:
                if "id" in message:
                    message["id"] -= ann.id
                if "toid" in message:
                    message["toid"] -= ann.id
                if "." in message.get("cid", ""):
                    # The server gave it, and gives each message another.
                    message["cid"] = "."
                if message.get("time") != TIME:
                    message.pop("time", None)
                everything.append(message)
        # The answers to different messages have no order.
        everything.sort(key=lambda it: (it["msgid"] == 11, str(it) if it["msgid"] == 11 else ""))
        for client in (ann, bob, eve):
            client.cable.close()
        self.go(0.5)
        return everything

    def pushed_to(self, user_id: int) -> int:
        """The last ``seq``."""
        return self.server.delivery.mailboxes[user_id]._seq

    def _both(self, reads: Reads, levels: tuple[int, int], acks: list[int]) -> None:
        seen = []
        for lane in (Relay, NoLane):
            self.stop()
            self.store, self.faults = self.fresh_store()
            self.start()
            settings_ = self.server.settings
            self.server.relay = lane(self.server.delivery, settings_.unanswered_per_sender)
            done = Deferred.fromCoroutine(self._seen(reads, levels, acks))
            seen.append(self.successResultOf(done))
        self.assertEqual(seen[0], seen[1])

    def fresh_store(self) -> Any:
        """An empty one."""
        return breakable(self.make_store())

    @settings(max_examples=100, deadline=None)
    @given(
        kinds=st.lists(st.lists(st.sampled_from(KINDS), min_size=1, max_size=20), min_size=1),
        levels=st.tuples(st.sampled_from([1, 2]), st.sampled_from([1, 2])),
        acks=st.lists(st.integers(0, 30), min_size=5, max_size=5),
    )
    def test_the_same_is_seen(
        self, kinds: list[list[str]], levels: tuple[int, int], acks: list[int]
    ) -> None:
        def reads(ann: int, bob: int, eve: int) -> list[list[bytes]]:
            numbers = count()
            return [[chat_line(k, next(numbers), ann, bob, eve) for k in read] for read in kinds]

        self._both(reads, levels, acks)

    @settings(max_examples=300, deadline=None)
    @given(
        names=st.tuples(
            st.permutations(USUAL), st.lists(st.sampled_from(list(MEMBERS)), max_size=3)
        ),
        left_out=st.one_of(
            st.sampled_from([(), ("id", "name")]), st.sampled_from(USUAL).map(lambda one: (one,))
        ),
        order=st.randoms(use_true_random=False),
        levels=st.sampled_from([(1, 1), (2, 2)]),
    )
    def test_what_a_line_holds(
        self,
        names: tuple[list[str], list[str]],
        left_out: tuple[str, ...],
        order: Random,
        levels: tuple[int, int],
    ) -> None:
        """No line is taken for one of the ordinary kind that is not."""
        members = [*names[0], *names[1]]
        if levels == (2, 2):
            members.append("cid")
        for name in left_out:
            members.remove(name)
        order.shuffle(members)

        def reads(ann: int, bob: int, eve: int) -> list[list[bytes]]:
            ids = {"id": ann, "toid": bob, "again": eve}
            parts = [MEMBERS[m] % ids[m] if m in ids else MEMBERS[m] for m in members]
            plain = chat_line("named", 0, ann, bob, eve)
            return [[plain, b"{" + b",".join(parts) + b"}", plain]]

        self._both(reads, levels, [1])

    def test_line_of_the_same_length_that_is_no_message(self) -> None:
        def reads(ann: int, bob: int, eve: int) -> list[list[bytes]]:
            plain = chat_line("named", 0, ann, bob, eve)
            nothing = plain.replace(b'"msgid":5', b'"other":5')
            others = plain.replace(b'"msgid":5', b'"msgid":6')
            return [[nothing, plain, nothing, others], [others, plain]]

        for levels in ((1, 1), (2, 2)):
            self._both(reads, levels, [1, 1])

    def test_lane_is_taken(self) -> None:
        """Otherwise the tests above would compare the ordinary way with itself."""
        taken = []
        self.server.delivery.said.append(lambda said, recipient, group: taken.append(type(said)))
        for levels, kind in (
            ((1, 1), "plain"), ((1, 2), "plain"), ((2, 1), "named"), ((2, 2), "named"),
            ((1, 1), "without id and name"), ((2, 2), "without id and name"),
        ):  # fmt: skip
            kinds = [kind] * 5

            def reads(ann: int, bob: int, eve: int, kinds: list[str] = kinds) -> list[list[bytes]]:
                return [[chat_line(k, n, ann, bob, eve) for n, k in enumerate(kinds)]]

            self.successResultOf(Deferred.fromCoroutine(self._seen(reads, levels, [9])))
            self.assertEqual(taken, [Run])
            taken.clear()
            self.stop()
            self.begin()
            self.server.delivery.said.append(
                lambda said, recipient, group: taken.append(type(said))
            )
