"""Unmodified clients of the original: the strict reader, in both numberings."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from chat.numberings import Numbering
from chat.original import OriginalFactory

from .strict import NUMBERINGS, Aborted, StrictClient
from .support import OverTcp

TEXT = "今天天气怎么样"


class OriginalTests(OverTcp):
    """Everything a client of the original does, over sockets."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        await super().setUp()
        self.originals: dict[str, Any] = {}
        for numbering in Numbering:
            factory: Any = OriginalFactory(self.server, self.server.turn, numbering, pace=0.005)
            port: Any = reactor.listenTCP(0, factory, interface="127.0.0.1")
            self.originals[numbering.value] = port
            self.addCleanup(port.stopListening)
        self.strict: list[StrictClient] = []

    def client(self, numbers: str, assumed: str = "final") -> StrictClient:
        """A client compiled with these numbers; the server assumes others until it is told."""
        client = StrictClient(self.originals[assumed].getHost().port, NUMBERINGS[numbers])
        self.strict.append(client)
        return client

    async def _in_a_thread(self, story: Callable[[], None]) -> None:
        try:
            await deferToThread(story)
        finally:
            for client in self.strict:
                client.close()

    async def _in_both(self, story: Callable[[str], None]) -> None:
        for numbers in NUMBERINGS:
            await self._in_a_thread(lambda numbers=numbers: story(numbers))  # type: ignore[misc]

    def _two(self, numbers: str, **assumed: str) -> tuple[StrictClient, int, StrictClient, int]:
        ann, bob = self.client(numbers, **assumed), self.client(numbers, **assumed)
        ann_id = ann.register(f"ann {numbers}", "apple")
        bob_id = bob.register(f"bob {numbers}", "banana")
        self.assertEqual(ann.log_in(ann_id, "apple")["errno"], 0)
        self.assertEqual(bob.log_in(bob_id, "banana")["errno"], 0)
        return ann, ann_id, bob, bob_id

    async def test_chat(self) -> None:
        def story(numbers: str) -> None:
            ann, ann_id, bob, bob_id = self._two(numbers)
            ann.send("ONE_CHAT", id=ann_id, name="ann", toid=bob_id, msg=TEXT, time="12:00")
            heard = bob.expect("ONE_CHAT")
            self.assertEqual((heard["msg"], heard["name"]), (TEXT, f"ann {numbers}"))

        await self._in_both(story)

    async def test_numbering_is_learnt(self) -> None:
        """Whatever was assumed, from the first request that shows it."""

        def story(numbers: str) -> None:
            other = "seed" if numbers == "final" else "final"
            ann, ann_id, bob, bob_id = self._two(numbers, assumed=other)
            ann.send("ONE_CHAT", id=ann_id, name="ann", toid=bob_id, msg="hi", time="12:00")
            self.assertEqual(bob.expect("ONE_CHAT")["msg"], "hi")

        await self._in_both(story)

    async def test_burst_of_fifty(self) -> None:
        def story(numbers: str) -> None:
            ann, ann_id, bob, bob_id = self._two(numbers)
            for number in range(50):
                ann.send(
                    "ONE_CHAT", id=ann_id, name="ann", toid=bob_id, msg=str(number), time="12:00"
                )
            heard = [bob.expect("ONE_CHAT")["msg"] for _ in range(50 - bob.lost)]
            if not bob.lost:
                self.assertEqual(heard, [str(number) for number in range(50)])
            # A reader that this machine makes wait may find two in one read.
            self.assertLess(bob.lost, 10)

        await self._in_both(story)

    async def test_a_hundred_wait(self) -> None:
        def story(numbers: str) -> None:
            ann, ann_id, bob, bob_id = self._two(numbers)
            bob.send("LOGINOUT", id=bob_id)
            # Asks for what comes after the logout has been worked off.
            bob.send("LOGIN", id=bob_id, password="wrong")
            self.assertEqual(bob.expect("LOGIN_ACK")["errno"], 1)
            for number in range(100):
                ann.send(
                    "ONE_CHAT", id=ann_id, name="ann", toid=bob_id, msg=str(number), time="12:00"
                )
            ann.send("ONE_CHAT", id=ann_id, name="ann", toid=ann_id, msg="done", time="12:00")
            self.assertEqual(ann.expect("ONE_CHAT")["msg"], "done")
            waited = [message["msg"] for message in bob.log_in(bob_id, "banana")["offlinemsg"]]
            self.assertTrue(waited)
            while len(waited) + bob.lost < 100:
                waited.append(bob.expect("ONE_CHAT")["msg"])
            self.assertEqual(waited, sorted(waited, key=int))
            self.assertEqual(waited[0], "0")
            self.assertLess(bob.lost, 20)

        await self._in_both(story)

    async def test_friends_and_groups(self) -> None:
        def story(numbers: str) -> None:
            ann, ann_id, bob, bob_id = self._two(numbers)
            ann.send("ADD_FRIEND", id=ann_id, friendid=bob_id)
            ann.send("CREATE_GROUP", id=ann_id, groupname=f"tea {numbers}", groupdesc="five")
            ann.send("LOGINOUT", id=ann_id)
            ack = ann.log_in(ann_id, "apple")
            self.assertEqual([friend["id"] for friend in ack["friends"]], [bob_id])
            [group] = ack["groups"]
            self.assertEqual(
                [(user["id"], user["role"]) for user in group["users"]], [(ann_id, "creator")]
            )
            bob.send("ADD_GROUP", id=bob_id, groupid=group["id"])
            bob.send(
                "GROUP_CHAT", id=bob_id, name="bob", groupid=group["id"], msg="tea?", time="17:00"
            )
            self.assertEqual(ann.expect("GROUP_CHAT")["msg"], "tea?")

        await self._in_both(story)

    async def test_more_than_fits_into_the_answer(self) -> None:
        """Friends beyond 1,024 bytes are left out of it."""

        def story(numbers: str) -> None:
            ann, ann_id, _, _ = self._two(numbers)
            for number in range(30):
                friend = self.client(numbers).register(f"friend {number} {numbers}", "x")
                ann.send("ADD_FRIEND", id=ann_id, friendid=friend)
            ann.send("LOGINOUT", id=ann_id)
            ack = ann.log_in(ann_id, "apple")
            self.assertGreater(len(ack["friends"]), 5)
            self.assertLess(len(ack["friends"]), 30)

        await self._in_both(story)

    async def test_long_text_is_cut_at_a_character(self) -> None:
        def story(numbers: str) -> None:
            ann, ann_id, bob, bob_id = self._two(numbers)
            ann.send("ONE_CHAT", id=ann_id, name="ann", toid=bob_id, msg=TEXT * 200, time="12:00")
            heard = bob.expect("ONE_CHAT")["msg"]
            self.assertTrue(heard.endswith("…"))
            self.assertTrue((TEXT * 200).startswith(heard[:-1]))
            self.assertGreater(len(heard), 200)

        await self._in_both(story)

    async def test_two_requests_in_one_segment(self) -> None:
        def story() -> None:
            ann, ann_id, bob, bob_id = self._two("final")
            one = f'{{"msgid":6,"id":{ann_id},"toid":{bob_id},"msg":"%s","time":"t","name":"ann"}}'
            ann.send_raw((one % "a").encode() + b"\0" + (one % "b").encode() + b"\0")
            self.assertEqual([bob.expect("ONE_CHAT")["msg"] for _ in range(2)], ["a", "b"])
            ann.send_raw((one % "c").encode() + (one % "d").encode() + b"\0")
            self.assertEqual(ann.read()["errno"], 100)
            torn = (one % "e").encode() + b"\0"
            ann.send_raw(torn[:30])
            ann.send_raw(torn[30:])
            self.assertEqual(bob.expect("ONE_CHAT")["msg"], "e")

        await self._in_a_thread(story)

    async def test_a_megabyte_without_a_nul(self) -> None:
        def story() -> None:
            ann, _, bob, bob_id = self._two("final")
            with contextlib.suppress(OSError):
                ann.send_raw(b"x" * 1_000_000)
            self.assertEqual(ann.read()["errno"], 106)
            self.assertRaises((Aborted, OSError), ann.read)
            bob.send("ONE_CHAT", id=bob_id, name="bob", toid=bob_id, msg="still here", time="t")
            self.assertEqual(bob.expect("ONE_CHAT")["msg"], "still here")

        await self._in_a_thread(story)

    async def test_somebody_elses_id(self) -> None:
        def story() -> None:
            ann, ann_id, _, bob_id = self._two("final")
            ann.send("ONE_CHAT", id=bob_id, name="bob", toid=ann_id, msg="it's me", time="t")
            self.assertEqual(ann.read()["errno"], 103)

        await self._in_a_thread(story)
