"""What was said, read again; and how it is written down."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from chat.model import Said
from chat.recorder import DAY, EXPIRE_LINES
from tests.cables import Client
from tests.support import InMemory, OverTcp, received, say, told
from tests.test_groups import Company, done, speak


class Remembering(Company):
    async def recorded(self) -> None:
        """Wait until what was said is written."""
        recorder = self.server.recorder
        self.go(0.5)
        while not recorder.idle and isinstance(self, OverTcp):
            await deferLater(reactor, 0.01)
        self.assertTrue(recorder.idle)

    async def tell(self, sender: Client, recipient: Client, text: str, cid: str) -> None:
        """A message that arrives."""
        sender.send(say(recipient.id, text, cid=cid))
        recipient.send(received((await recipient.get())["seq"]))
        self.assertEqual(await sender.get(), told(cid, "delivered"))

    async def page(self, client: Client, **fields: Any) -> dict[str, Any]:
        answer = await client.ask({"msgid": 31, **fields})
        self.assertEqual(
            answer,
            done(31, messages=answer.get("messages"), more=answer.get("more"),
                 gap=answer.get("gap")),
        )  # fmt: skip
        return answer


class OneToOne(Remembering):
    async def test_by_page_newest_first(self) -> None:
        ann, bob, eve = [await self.enter(name, 2) for name in ("ann", "bob", "eve")]
        for number in range(4):
            await self.tell(ann, bob, f"ann {number}", f"c{number}")
            await self.tell(bob, ann, f"bob {number}", f"c{number}")
        await self.tell(eve, bob, "secret", "s")
        await self.recorded()
        for me, other in ((ann, bob), (bob, ann)):
            first = await self.page(me, toid=other.id, limit=3)
            texts = [it["msg"] for it in first["messages"]]
            self.assertEqual(texts, ["bob 3", "ann 3", "bob 2"])
            self.assertEqual((first["more"], first["gap"]), (True, False))
            before = first["messages"][-1]["stamp"]
            rest = await self.page(me, toid=other.id, limit=500, before=before)
            texts = [it["msg"] for it in rest["messages"]]
            self.assertEqual(texts, ["ann 2", "bob 1", "ann 1", "bob 0", "ann 0"])
            self.assertEqual((rest["more"], rest["gap"]), (False, False))
        nothing = {"messages": [], "more": False, "gap": False}
        for stranger in (eve.id, 999):
            self.assertEqual(await self.page(ann, toid=stranger), done(31, **nothing))

    async def test_a_line_is_what_was_pushed_with_its_place(self) -> None:
        ann, bob = await self.enter("ann"), await self.enter("bob", 2)
        ann.send(say(bob.id, "caf\u00e9", mood={"deep": [1, 2.5]}, stamp="mine", cid="c"))
        named = await bob.get()
        ann.send(say(bob.id, "no name"))
        nameless = await bob.get()
        bob.send(received(2))
        await bob.nothing()
        await self.recorded()
        messages = (await self.page(bob, toid=ann.id))["messages"]
        stamps = [it["stamp"] for it in messages]
        self.assertGreater(stamps[0], stamps[1])
        for pushed in (named, nameless):
            del pushed["seq"]
        expected = [{**nameless, "stamp": stamps[0]}, {**named, "stamp": stamps[1]}]
        self.assertEqual(messages, expected)

    async def test_what_was_refused_is_not_recorded(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        nobody = bob.id + 100
        self.assert_refused(await ann.ask(say(nobody, "who?", cid="n")), 104, 5, "n")
        await ann.ask({"msgid": 18, "userid": bob.id})
        bob.send(say(ann.id, "blocked", cid="b"))
        await self.tell(ann, bob, "but this", "t")
        await self.recorded()
        self.assertEqual(await bob.get(), told("b", "stored"))
        self.assertEqual((await self.page(ann, toid=nobody))["messages"], [])
        for me, other in ((ann, bob), (bob, ann)):
            messages = (await self.page(me, toid=other.id))["messages"]
            self.assertEqual([it["msg"] for it in messages], ["but this"])

    async def test_to_who_is_away_and_to_oneself(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.register("bob")
        ann.send(say(bob, "later", cid="l"))
        self.assertEqual(await ann.get(), told("l", "stored"))
        ann.send(say(ann.id, "note", cid="n"))
        ann.send(received((await ann.get())["seq"]))
        self.assertEqual(await ann.get(), told("n", "delivered"))
        await self.recorded()
        for other, text in ((bob, "later"), (ann.id, "note")):
            messages = (await self.page(ann, toid=other))["messages"]
            self.assertEqual([it["msg"] for it in messages], [text])

    async def test_bad_requests(self) -> None:
        ann = await self.enter("ann", 2)
        for fields in (
            {"toid": 1, "limit": 0},
            {"toid": 1, "limit": 501},
            {"toid": 1, "before": -1},
            {"toid": 1, "before": "now"},
            {"toid": 0},
        ):
            self.assert_refused(await ann.ask({"msgid": 31, **fields}), 100, 31)
        for limit in (0, 501, "x"):
            self.assert_refused(await ann.ask({"msgid": 32, "limit": limit}), 100, 32)


class InGroups(Remembering):
    async def test_since_one_joined(self) -> None:
        ann, bob, eve = [await self.enter(name, 2) for name in ("ann", "bob", "eve")]
        tea = await self.create(ann)
        await self.join(tea, bob, ann)
        ann.send(speak(tea, "before", cid="b"))
        bob.send(received((await bob.get())["seq"]))
        self.assertEqual((await ann.get())["state"], "delivered")
        await self.recorded()
        await self.join(tea, eve, ann, bob)
        ann.send(speak(tea, "after", cid="a"))
        for one in (bob, eve):
            one.send(received((await one.get())["seq"]))
        self.assertEqual((await ann.get())["state"], "delivered")
        await self.recorded()
        both = ["after", "before"]
        for one, texts in ((ann, both), (bob, both), (eve, ["after"])):
            messages = (await self.page(one, groupid=tea))["messages"]
            self.assertEqual([it["msg"] for it in messages], texts)
            self.assertEqual(messages[0]["groupid"], tea)
        # One line a message, not one a member.
        self.assertEqual(self.server.recorder.recorded, 2)

    async def test_conversations(self) -> None:
        ann, bob, eve = [await self.enter(name, 2) for name in ("ann", "bob", "eve")]
        self.assertEqual(await ann.ask({"msgid": 32}), done(32, conversations=[], more=False))
        tea = await self.create(ann)
        await self.join(tea, bob, ann)
        await self.tell(eve, ann, "hi", "h")
        ann.send(speak(tea, "tea?", cid="t"))
        bob.send(received((await bob.get())["seq"]))
        await ann.get()
        await self.tell(ann, bob, "or coffee?", "c")
        await self.recorded()
        answer = await ann.ask({"msgid": 32, "cid": "x"})
        found = answer["conversations"]
        self.assertEqual(answer, done(32, cid="x", conversations=found, more=False))
        self.assertEqual(
            [(it.get("toid"), it.get("groupid"), it["name"], it["last"]["msg"]) for it in found],
            [(bob.id, None, "bob", "or coffee?"), (None, tea, "tea", "tea?"),
             (eve.id, None, "eve", "hi")],
        )  # fmt: skip
        self.assertEqual(found[0]["last"]["cid"], "c")
        self.assertGreater(found[0]["last"]["stamp"], found[1]["last"]["stamp"])
        answer = await ann.ask({"msgid": 32, "limit": 1})
        self.assertEqual(answer, done(32, conversations=found[:1], more=True))
        before = found[0]["last"]["stamp"]
        answer = await ann.ask({"msgid": 32, "limit": 2, "before": before})
        self.assertEqual(answer, done(32, conversations=found[1:], more=False))


class MemoryOneToOneTests(InMemory, OneToOne, TestCase):
    """In memory."""


class TcpOneToOneTests(OverTcp, OneToOne, TestCase):
    """Over TCP and SQLite."""


class MemoryInGroupsTests(InMemory, InGroups, TestCase):
    async def test_what_comes_again_after_a_108_is_recorded_once(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        tea = await self.create(ann)
        await self.join(tea, bob, ann)
        await bob.ask({"msgid": 10})
        self.faults.away("offline")
        self.assert_refused(await ann.ask(speak(tea, "hi", cid="h")), 108, 9, "h")
        self.faults.recover()
        self.go(2)
        ann.send(speak(tea, "hi", cid="h"))
        self.assertEqual((await ann.get())["state"], "stored")
        await self.recorded()
        messages = (await self.page(ann, groupid=tea))["messages"]
        self.assertEqual([it["msg"] for it in messages], ["hi"])


class TcpInGroupsTests(OverTcp, InGroups, TestCase):
    """Over TCP and SQLite."""


class LongLinesTests(InMemory, Remembering, TestCase):
    bounds = {"send_line_bound": 1 << 16}  # noqa: RUF012

    async def test_a_page_is_cut_where_the_line_is_full(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        for number in range(60):
            size = 10_000 if 5 < number < 20 else 10
            await self.tell(ann, bob, f"{number} {'x' * size}", f"c{number}")
        await self.recorded()
        seen: list[int] = []
        pages = before = 0
        more = True
        while more:
            ann.send({"msgid": 31, "toid": bob.id, "limit": 500, "before": before})
            line = await ann.line()
            self.assertLess(len(line), (1 << 16) + 200)
            ann.lines.appendleft(line)
            page = await ann.get()
            seen += [int(it["msg"].split()[0]) for it in page["messages"]]
            before = page["messages"][-1]["stamp"]
            more = page["more"]
            pages += 1
        self.assertEqual(seen, list(reversed(range(60))))
        self.assertLess(pages, 8)
        answer = await ann.ask({"msgid": 32})
        self.assertEqual((len(answer["conversations"]), answer["more"]), (1, False))

    async def test_conversations_that_do_not_fit_into_a_line_come_by_page(self) -> None:
        ann = await self.enter("ann", 2)
        others = [await self.enter(f"other {number}", 2) for number in range(6)]
        for number, other in enumerate(others):
            await self.tell(other, ann, "x" * 20_000, f"c{number}")
        await self.recorded()
        seen: list[str] = []
        before, pages, more = 0, 0, True
        while more:
            answer = await ann.ask({"msgid": 32, "before": before})
            self.assertLess(len(answer["conversations"]), 4)
            seen += [it["name"] for it in answer["conversations"]]
            before = answer["conversations"][-1]["last"]["stamp"]
            more = answer["more"]
            pages += 1
        self.assertEqual(seen, [f"other {number}" for number in range(5, -1, -1)])
        self.assertEqual(pages, 2)

    async def test_those_of_one_stamp_are_not_cut_apart(self) -> None:
        ann = await self.enter("ann", 2)
        stamps = (4, 3, 3, 2, 2)
        for number, stamp in enumerate(stamps):
            other = await self.register(f"other {number}")
            body = json.dumps({"msgid": 5, "toid": ann.id, "msg": "x" * 20_000}).encode()
            said = Said(stamp, other, ann.id, 0, f"c{number}", body)
            await self.store.history.record([said], [])
        seen: list[int] = []
        before, more = 0, True
        while more:
            answer = await ann.ask({"msgid": 32, "before": before})
            found = [it["last"]["stamp"] for it in answer["conversations"]]
            seen += found
            before, more = found[-1], answer["more"]
        self.assertEqual(seen, list(stamps))

    async def test_a_line_longer_than_that_is_shown_alone(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        await self.tell(ann, bob, "short", "s")
        await self.tell(ann, bob, "x" * 65_400, "l")
        await self.recorded()
        page = await self.page(ann, toid=bob.id)
        self.assertEqual(([it["cid"] for it in page["messages"]], page["more"]), (["l"], True))


class WritingTests(InMemory, Remembering, TestCase):
    bounds = {"history_waiting": 100, "history_days": 2}  # noqa: RUF012

    async def test_it_is_off_the_way(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        self.faults.hang("record")
        for number in range(3):
            await self.tell(ann, bob, "hi", f"c{number}")
            self.go(1)
        self.assertFalse(self.server.recorder.idle)
        self.assertEqual(self.faults.calls["record"], 1)
        self.faults.recover()
        await self.recorded()
        self.assertEqual(len((await self.page(ann, toid=bob.id))["messages"]), 3)
        self.assertEqual(self.faults.calls["record"], 2)

    async def test_too_much_waits(self) -> None:
        ann, bob, eve = [await self.enter(name, 2) for name in ("ann", "bob", "eve")]
        tea = await self.create(ann)
        await self.join(tea, bob, ann)
        await self.tell(ann, bob, "first", "first")
        await self.tell(eve, bob, "far before", "far")
        await self.recorded()
        self.faults.away("record")
        for number in range(103):
            await self.tell(ann, bob, f"{number}", f"c{number}")
        ann.send(speak(tea, "tea?", cid="t"))
        bob.send(received((await bob.get())["seq"]))
        await ann.get()
        self.go(5)
        self.assertEqual(self.server.recorder.missed, 4)
        self.faults.recover()
        self.go(5)
        self.assertEqual(self.server.recorder.recorded, 102)
        await self.tell(ann, bob, "last", "last")
        await self.recorded()
        newest = await self.page(ann, toid=bob.id, limit=10)
        self.assertEqual([it["msg"] for it in newest["messages"]][:2], ["last", "99"])
        self.assertTrue(newest["gap"])
        before = newest["messages"][-1]["stamp"]
        older = await self.page(ann, toid=bob.id, before=before, limit=500)
        self.assertEqual((len(older["messages"]), older["gap"]), (92, False))
        page = await self.page(ann, groupid=tea)
        self.assertEqual((page["messages"], page["gap"]), ([], True))

    async def test_the_store_away_for_a_while(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        for how in (self.faults.away, self.faults.lose_answers):
            how("record")
            await self.tell(ann, bob, "hi", how.__name__)
            self.go(3)
            self.assertGreater(self.faults.calls["record"], 2)
            self.faults.calls.clear()
            self.faults.recover()
            self.go(2)
        self.assertEqual(len((await self.page(ann, toid=bob.id))["messages"]), 2)

    async def test_lines_that_make_the_store_fail_are_a_gap(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        record, fails = self.store.history.record, [True]

        async def nothing(before: int, limit: int) -> int:
            return 0

        def fail_once(*args: Any) -> Any:
            if fails:
                fails.clear()
                raise RuntimeError("a bug")
            return record(*args)

        self.server.recorder._history = Fake(fail_once, nothing)  # type: ignore[assignment]
        await self.tell(ann, bob, "one", "1")
        self.go(1)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        await self.tell(ann, bob, "two", "2")
        await self.recorded()
        page = await self.page(ann, toid=bob.id)
        self.assertEqual(([it["msg"] for it in page["messages"]], page["gap"]), (["two"], True))

    async def test_written_at_the_end(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        await self.tell(ann, bob, "hi", "h")
        bob.cable.hold()
        ann.send(say(bob.id, "on its way", cid="w"))
        self.stop()
        page = await self.store.history.between(ann.id, bob.id, 0, 10)
        self.assertEqual([line.cid for line in page.lines], ["w", "h"])
        self.start()

    async def test_what_is_too_old_goes(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        recorder = self.server.recorder
        await self.tell(ann, bob, "old", "old")
        await self.recorded()
        stamp = (await self.page(ann, toid=bob.id))["messages"][0]["stamp"]
        asked: list[tuple[int, int]] = []
        left = [EXPIRE_LINES, EXPIRE_LINES, 3, 0, 0]

        async def expire(before: int, limit: int) -> int:
            asked.append((before, limit))
            return left.pop(0)

        recorder._history = Fake(expire=expire)  # type: ignore[assignment]
        self.go(700)
        # As long as there is more every second, and then every ten minutes.
        self.assertEqual(len(asked), 4)
        for before, limit in asked:
            self.assertEqual(limit, EXPIRE_LINES)
            self.assertLess(abs(before - (stamp - 2 * DAY * 1_000_000)), 3600 * 1_000_000)

    async def test_the_store_away_while_old_lines_go(self) -> None:
        self.faults.away("expire")
        self.go(3)
        self.assertGreater(self.faults.calls["expire"], 1)


class Fake:
    """A history of which only these work."""

    def __init__(self, record: Any = None, expire: Any = None) -> None:
        self.record = record
        self.expire = expire


class NoHistoryTests(InMemory, Remembering, TestCase):
    bounds = {"history_days": 0}  # noqa: RUF012

    async def test_nothing_is_written_and_nothing_deleted(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        await self.tell(ann, bob, "hi", "h")
        self.go(5)
        nothing = {"messages": [], "more": False, "gap": False}
        self.assertEqual(await self.page(ann, toid=bob.id), done(31, **nothing))
        self.assertEqual(self.server.delivery.said, [])
        self.assertEqual(self.faults.calls["record"] + self.faults.calls["expire"], 0)
