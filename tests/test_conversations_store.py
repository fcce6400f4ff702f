"""The store is away, hangs or loses its answers: nobody is told what is not so."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

from chat import shelf
from chat.interfaces import Store
from chat.storage import open_store
from tests.cables import Client, reactor
from tests.support import PASSWORD, InMemory, OverTcp, login, received, say, told


class AwayTests(InMemory):
    async def test_pairs_that_are_online_go_on(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        carl, dora = await self.enter("carl"), await self.enter("dora")
        self.faults.away()
        await self.assert_chatting(ann, bob)
        await self.assert_chatting(carl, dora)
        await self.assert_chatting(ann, dora)

    async def test_message_to_somebody_away(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob")
        away = await self.register("carl")
        self.faults.away()
        for _ in range(2):
            self.assert_refused(await ann.ask(say(away, "hi", cid="a")), 108, 5, "a")
            self.assert_refused(await bob.ask(say(away, "hi")), 108, 5)
        self.faults.recover()
        self.go(2)
        self.assertEqual(await ann.ask(say(away, "hi", cid="a")), told("a", "stored"))
        carl = await self.login(away, 2)
        self.assertEqual([it["id"] for it in await carl.get_all(1)], [ann.id])
        await carl.nothing()

    async def test_after_a_108_the_first_has_to_come_again(self) -> None:
        ann, away, other = (
            await self.enter("ann", 2),
            await self.register("b"),
            await self.register("c"),
        )
        self.faults.away("keep")
        cids = [f"c{number}" for number in range(5)]
        ann.send(*(say(away, cid, cid=cid) for cid in cids))
        for cid in cids:
            self.assert_refused(await ann.get(), 108, 5, cid)
        self.faults.recover()
        self.go(2)
        for cid in (*cids[1:], "new"):
            self.assert_refused(await ann.ask(say(away, cid, cid=cid)), 108, 5, cid)
        self.assertEqual(await ann.ask(say(other, "x", cid="o")), told("o", "stored"))
        ann.send(*(say(away, cid, cid=cid) for cid in (*cids, "new")))
        for cid in (*cids, "new"):
            await self.assert_stored(ann, cid)
        bob = await self.login(away, 2)
        self.assertEqual([it["cid"] for it in await bob.get_all(6)], [*cids, "new"])

    async def test_gate_is_open_after_a_login(self) -> None:
        ann, away = await self.enter("ann", 2), await self.register("bob")
        self.faults.away("keep")
        self.assert_refused(await ann.ask(say(away, "1", cid="a")), 108, 5, "a")
        self.faults.recover()
        self.go(2)
        self.assert_refused(await ann.ask(say(away, "2", cid="b")), 108, 5, "b")
        await ann.ask({"msgid": 10})
        await self.log_in(ann, ann.id, 2)
        self.assertEqual(await ann.ask(say(away, "2", cid="b")), told("b", "stored"))

    async def test_gate_holds_when_the_recipient_comes(self) -> None:
        """What comes later must not overtake what was refused."""
        ann, away = await self.enter("ann", 2), await self.register("bob")
        self.faults.away("keep")
        self.assert_refused(await ann.ask(say(away, "1", cid="a")), 108, 5, "a")
        self.faults.recover()
        bob = await self.login(away, 2)
        self.assert_refused(await ann.ask(say(away, "2", cid="b")), 108, 5, "b")
        ann.send(say(away, "1", cid="a"), say(away, "2", cid="b"))
        self.assertEqual([it["msg"] for it in await bob.get_all(2)], ["1", "2"])

    async def test_sender_at_level_1(self) -> None:
        ann, away = await self.enter("ann"), await self.register("bob")
        self.faults.away("keep")
        self.assert_refused(await ann.ask(say(away, "1", cid="a")), 108, 5, "a")
        self.assert_refused(await ann.ask(say(away, "2")), 108, 5)
        self.faults.recover()
        self.go(2)
        self.assert_refused(await ann.ask(say(away, "2")), 108, 5)
        ann.send(say(away, "1", cid="a"), say(away, "2"))
        await ann.nothing()
        self.go(0.1)
        bob = await self.login(away)
        self.assertEqual(len(bob.ack["offlinemsg"]), 2)

    async def test_lost_answer(self) -> None:
        """The outcome is unknown; the same cid finds out, and is stored once."""
        ann, away = await self.enter("ann", 2), await self.register("bob")
        self.faults.lose_answers("keep")
        self.assert_refused(await ann.ask(say(away, "hi", cid="a")), 108, 5, "a")
        self.faults.recover()
        self.go(2)
        self.assertEqual(await ann.ask(say(away, "hi", cid="a")), told("a", "stored"))
        bob = await self.login(away, 2)
        self.assertEqual((await bob.get())["cid"], "a")
        await bob.nothing()

    async def test_lost_answer_for_somebody_who_is_here(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        ann.send(say(bob.id, "hi", cid="a"))
        await bob.get()
        self.faults.lose_answers("keep")
        self.go(1.5)
        self.assert_refused(await ann.get(), 108, 5, "a")
        self.faults.recover()
        bob.send(received(1))
        await bob.nothing()
        self.go(3)
        bob.cable.abort()
        bob = await self.login(bob.id, 2)
        await bob.nothing()

    async def test_hanging(self) -> None:
        """After five seconds senders are told; what is done late is not lost and not doubled."""
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        away = await self.register("carl")
        self.assertEqual(await ann.ask(say(away, "0", cid="z")), told("z", "stored"))
        self.faults.hang()
        ann.send(say(away, "1", cid="a"), say(away, "2", cid="b"))
        self.go(4.8)
        await ann.nothing()
        await self.assert_chatting(ann, bob)
        self.go(0.5)
        for cid in ("a", "b"):
            self.assert_refused(await ann.get(), 108, 5, cid)
        self.assert_refused(await ann.ask(say(away, "3", cid="c")), 108, 5, "c")
        self.go(20)
        await ann.nothing()
        self.faults.recover()
        self.go(2)
        ann.send(*(say(away, str(number), cid=cid) for number, cid in enumerate("abc", 1)))
        for cid in "abc":
            await self.assert_stored(ann, cid)
        carl = await self.login(away, 2)
        self.assertEqual([it["cid"] for it in await carl.get_all(4)], ["z", "a", "b", "c"])
        await carl.nothing()

    async def test_nothing_queues_behind_it(self) -> None:
        ann, away = await self.enter("ann", 2), await self.register("bob")
        self.assertEqual(await ann.ask(say(away, "0", cid="z")), told("z", "stored"))
        self.faults.hang("keep")
        ann.send(say(away, "1", cid="a"))
        self.go(5.5)
        self.assert_refused(await ann.get(), 108, 5, "a")
        calls = self.faults.calls["keep"]
        for number in range(100):
            cid = f"c{number}"
            self.assert_refused(await ann.ask(say(away, "x", cid=cid)), 108, 5, cid)
        self.assertEqual(self.faults.calls["keep"], calls)
        self.assertEqual(self.server.delivery.mailboxes[away].waiting, 0)

    async def test_logins_and_registrations(self) -> None:
        user_id = await self.register("ann")
        self.faults.away()
        client = await self.connect()
        answer = await client.ask(login(user_id))
        self.assertGreater(answer.pop("retry_after"), 0)
        expected = {"msgid": 2, "errno": 108, "errmsg": answer.get("errmsg")}
        self.assertEqual(answer, expected)
        answer = await client.ask({"msgid": 3, "name": "bob", "password": PASSWORD})
        self.assertGreater(answer.pop("retry_after"), 0)
        self.assertEqual((answer["msgid"], answer["errno"]), (4, 108))
        self.faults.recover()
        for part in ("account", "census"):
            self.faults.away(part)
            for level in (1, 2):
                self.assertEqual((await client.ask(login(user_id, level)))["errno"], 108)
            self.faults.recover()
            await self.log_in(client, user_id)
            client.send({"msgid": 10})
            self.stop()
            self.start()
            client = await self.connect()

    async def test_backlog_of_a_level_1_login_cannot_be_read(self) -> None:
        ann, away = await self.enter("ann"), await self.register("bob")
        ann.send(say(away, "hi"))
        await ann.nothing()
        self.faults.away("page")
        client = await self.connect()
        self.assertEqual((await client.ask(login(away)))["errno"], 108)
        self.faults.recover()
        await self.log_in(client, away)
        self.assertEqual(len(client.ack["offlinemsg"]), 1)

    async def test_backlog_of_a_level_2_login_is_read_later(self) -> None:
        ann, away = await self.enter("ann", 2), await self.register("bob")
        await ann.ask(say(away, "hi", cid="a"))
        self.faults.away("page")
        bob = await self.login(away, 2)
        self.assertEqual(bob.ack["backlog"], 1)
        await bob.nothing()
        ann.send(say(away, "news", cid="b"))
        await self.assert_stored(ann, "b")
        self.faults.recover()
        self.go(1.5)
        self.assertEqual([it["cid"] for it in await bob.get_all(2)], ["a", "b"])

    async def test_nobody_knows_who_is_nobody(self) -> None:
        ann = await self.enter("ann", 2)
        self.faults.away("census")
        for _ in range(3):
            self.assert_refused(await ann.ask(say(ann.id + 1, "hi", cid="a")), 108, 5, "a")
        self.faults.recover()
        self.assert_refused(await ann.ask(say(ann.id + 1, "hi", cid="a")), 104, 5, "a")

    async def test_deletions_are_made_up_for(self) -> None:
        ann, away = await self.enter("ann", 2), await self.register("bob")
        await ann.ask(say(away, "hi", cid="a"))
        bob = await self.login(away, 2)
        self.faults.away("forget")
        await bob.get()
        bob.send(received(1))
        self.go(5)
        await bob.ask({"msgid": 10})
        await self.log_in(bob, away, 2)
        self.assertEqual(bob.ack["backlog"], 0)
        await bob.nothing()
        self.faults.recover()
        self.go(2)
        self.stop()
        self.start()
        self.assertEqual((await self.login(away, 2)).ack["backlog"], 0)

    async def test_not_touched_when_both_are_there(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        carl = await self.enter("carl")
        self.go(3)
        before = sum(self.faults.calls.values())
        for number in range(1, 51):
            ann.send(say(bob.id, "hi", cid=f"c{number}"), say(carl.id, "hi", cid=f"d{number}"))
            carl.send(say(bob.id, "hi"))
            await bob.get_all(2)
            bob.send(received(2 * number))
            await carl.get()
            await ann.get_all(2)
        self.assertEqual(sum(self.faults.calls.values()), before)


class BetweenTests(InMemory):
    """Messages that are stored while their recipient logs in, whatever the store does first."""

    async def texts(self, client: Client, level: int, number: int) -> list[str]:
        """So many messages from a login on."""
        ack = await client.get()
        self.assertEqual((ack["msgid"], ack["errno"]), (2, 0))
        texts = [json.loads(text)["msg"] for text in ack.get("offlinemsg", [])]
        while len(texts) < number:
            pushed = await client.get()
            texts.append(pushed["msg"])
            if level == 2:
                self.assertEqual(pushed["seq"], len(texts))
                client.send(received(len(texts)))
        await client.nothing()
        return texts

    async def play(self, level: int, how: str, part: str) -> None:
        """The store fails this way while somebody logs in and somebody writes."""
        self.stop()
        self.begin()
        ann, away = await self.enter("ann", 2), await self.register("bob")
        for number in range(3):
            await ann.ask(say(away, str(number), cid=str(number)))
        self.stop()
        self.start()
        ann, bob = await self.login(ann.id, 2), await self.connect()
        getattr(self.faults, how)(part)
        ann.send(say(away, "3", cid="3"))
        bob.send(login(away, level))
        self.time.settle()
        ann.send(say(away, "4", cid="4"))
        self.time.settle()
        self.faults.recover()
        self.assertEqual(await self.texts(bob, level, 5), ["0", "1", "2", "3", "4"])
        answers = await ann.get_all(2)
        self.assertEqual({(it["cid"], it["errno"]) for it in answers}, {("3", 0), ("4", 0)})
        bob.cable.abort()
        self.go(1)
        self.assertEqual((await self.login(away, 2)).ack["backlog"], 0)

    async def test_each_once_and_in_order(self) -> None:
        for level, how, part in product(
            (1, 2), ("hang", "delay"), ("page", "keep", "census", "forget")
        ):
            try:
                await self.play(level, how, part)
            except AssertionError as error:
                raise AssertionError(f"{how} {part} at level {level}: {error}") from error


class LockedSqliteTests(OverTcp):
    """A real database that somebody else holds."""

    bounds = {"store_patience_seconds": 1.0}  # noqa: RUF012

    def make_store(self) -> Store:
        self.path = Path(self.mktemp()).absolute()
        return open_store(f"sqlite:{self.path}", reactor)

    async def test_written_to_by_others(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        away = await self.register("carl")
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN EXCLUSIVE")
        ann.send(say(away, "hi", cid="a"))
        self.assert_refused(await ann.get(), 108, 5, "a")
        await self.assert_chatting(ann, bob)
        other.execute("ROLLBACK")
        while True:
            answer = await ann.ask(say(away, "hi", cid="a"))
            if answer["errno"] == 0:
                break
            self.assert_refused(answer, 108, 5, "a")
        self.assertEqual(answer, told("a", "stored"))
        carl = await self.login(away, 2)
        self.assertEqual((await carl.get())["cid"], "a")
        await carl.nothing()

    async def test_state_is_written_for_others_to_read(self) -> None:
        ann = await self.enter("ann")

        def state() -> str:
            with sqlite3.connect(self.path) as other:
                row = other.execute("SELECT state FROM user WHERE id = ?", (ann.id,)).fetchone()
            return str(row[0])

        async def comes(wanted: str) -> None:
            while state() != wanted:
                await ann_or_nobody.nothing()

        ann_or_nobody: Client = await self.connect()
        await comes("online")
        ann.cable.close()
        await comes("offline")


class DrainTests(InMemory):
    """A client that acknowledges faster than the store deletes."""

    bounds: Mapping[str, Any] = {"page_rows": 10, "window_messages": 20}

    async def test_pages_wait_for_deletions(self) -> None:
        self.patch(shelf, "FORGET_BEHIND", 5)
        ann, away = await self.enter("ann", 2), await self.register("bob")
        cids = [f"c{number}" for number in range(100)]
        ann.send(*(say(away, cid, cid=cid) for cid in cids))
        for cid in cids:
            await self.assert_stored(ann, cid)
        self.faults.hang("forget")
        bob = await self.login(away, 2)
        seen: list[str] = []

        def take() -> None:
            while bob.lines:
                message = json.loads(bob.lines.popleft())
                seen.append(message["cid"])
                bob.send(received(message["seq"]))

        for _ in range(50):
            self.go(0.1)
            take()
        self.assertLess(len(seen), 60)
        self.faults.recover()
        for _ in range(50):
            self.go(0.1)
            take()
        self.assertEqual(seen, cids)
