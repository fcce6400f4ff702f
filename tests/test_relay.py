"""The fast lane does what the ordinary way does: the same reads, with it and without it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from chat.delivery import Peer
from chat.relay import Relay

from .broken import breakable
from .support import InMemory

KINDS = [
    "plain",
    "to another",
    "named",
    "repeated",
    "bare",
    "wrong name",
    "quoted",
    "nobody",
    "bad",
]


TIME = "2026-11-24 12:00:00"


class NoLane(Relay):
    """Everything goes the ordinary way."""

    def pass_on(self, me: Peer, lines: Sequence[bytes], at: int, end: int) -> int:
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
    elif kind == "wrong name":
        fields["name"] = "eve"
    elif kind == "quoted":
        fields["msg"] = f'she said "{number}"'
    elif kind == "nobody":
        fields |= {"toid": 2**40, "cid": f"n{number}"}
    line = json.dumps(fields, separators=(",", ":")).encode()
    return line[:-1] if kind == "bad" else line


class RelayTests(InMemory):
    """One read, worked off both ways."""

    bounds: Mapping[str, Any] = {"unanswered_per_sender": 20}

    async def _seen(self, kinds: list[str], levels: tuple[int, int], history: bool) -> Any:
        ann = await self.enter("ann", levels[0])
        bob, eve = await self.enter("bob", levels[1]), await self.enter("eve")
        if history:
            self.server.delivery.said.append(lambda copy, recipient, group: None)
        lines = [chat_line(k, n, ann.id, bob.id, eve.id) for n, k in enumerate(kinds)]
        ann.send_raw(b"".join(line + b"\n" for line in lines))
        self.go(0.01)
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
        for client in (ann, bob, eve):
            client.cable.close()
        self.go(0.5)
        return everything

    def _both(self, kinds: list[str], levels: tuple[int, int], history: bool) -> None:
        seen = []
        for lane in (Relay, NoLane):
            self.stop()
            self.store, self.faults = self.fresh_store()
            self.start()
            settings_ = self.server.settings
            self.server.relay = lane(
                self.server.delivery, settings_.unanswered_per_sender, settings_.window_messages
            )
            done = Deferred.fromCoroutine(self._seen(kinds, levels, history))
            seen.append(self.successResultOf(done))
        self.assertEqual(seen[0], seen[1])

    def fresh_store(self) -> Any:
        """An empty one."""
        return breakable(self.make_store())

    @settings(max_examples=60, deadline=None)
    @given(
        kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=30),
        levels=st.tuples(st.sampled_from([1, 2]), st.sampled_from([1, 2])),
        history=st.booleans(),
    )
    def test_the_same_is_seen(
        self, kinds: list[str], levels: tuple[int, int], history: bool
    ) -> None:
        self._both(kinds, levels, history)
