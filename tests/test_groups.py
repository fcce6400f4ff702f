"""Groups: made, joined, spoken in, left; on both levels."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import TestCase

from tests.cables import Client
from tests.support import TIME, Conversation, InMemory, OverTcp, received, say


def done(ack: int, **fields: Any) -> dict[str, Any]:
    """An ACK_MSG of success."""
    return {"msgid": 11, "errno": 0, "ack": ack, **fields}


def speak(groupid: int, text: str, **fields: Any) -> dict[str, Any]:
    """A GROUP_CHAT_MSG."""
    return {"msgid": 9, "groupid": groupid, "msg": text, **fields}


def event(groupid: int, client: Client, name: str, what: str) -> dict[str, Any]:
    """A MEMBERSHIP_MSG."""
    return {"msgid": 33, "groupid": groupid, "id": client.id, "name": name, "event": what}


class Company(Conversation):
    """Groups for the tests."""

    async def create(self, creator: Client, name: str = "tea") -> int:
        """A group; its creator is at level 2."""
        answer = await creator.ask({"msgid": 7, "groupname": name, "groupdesc": f"about {name}"})
        self.assertEqual(answer, done(7, groupid=answer.get("groupid")))
        group_id: int = answer["groupid"]
        return group_id

    async def join(self, group_id: int, client: Client, *members: Client) -> None:
        """Join, and let the members who are there be told."""
        client.send({"msgid": 8, "groupid": group_id})
        if "proto" in client.ack:
            self.assertEqual((await client.get())["errno"], 0)
        else:
            await client.nothing()
        for member in members:
            self.assertEqual((await member.get())["event"], "joined")


class Membership(Company):
    async def test_from_beginning_to_end(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        answer = await ann.ask(
            {"msgid": 7, "groupname": " tea ", "groupdesc": "at five", "id": ann.id, "cid": "c"}
        )
        tea = answer.get("groupid", 0)
        self.assertEqual(answer, done(7, cid="c", groupid=tea))
        group = {"id": tea, "groupname": "tea", "groupdesc": "at five", "role": "normal",
                 "members": 2}  # fmt: skip
        for _ in range(2):
            answer = await bob.ask({"msgid": 8, "groupid": tea, "id": bob.id, "cid": "j"})
            self.assertEqual(answer, done(8, cid="j", group=group))
        self.assertEqual(await ann.get(), event(tea, bob, "bob", "joined"))
        await ann.nothing()
        self.assertEqual(await bob.ask({"msgid": 25}), done(25, groups=[group], more=False))
        members = [
            {"id": ann.id, "name": "ann", "state": "online", "role": "creator"},
            {"id": bob.id, "name": "bob", "state": "online", "role": "normal"},
        ]
        page = await bob.ask({"msgid": 26, "groupid": tea})
        self.assertEqual(page, done(26, members=members, more=False))
        first = await bob.ask({"msgid": 26, "groupid": tea, "limit": 1})
        self.assertEqual(first, done(26, members=members[:1], more=True))
        rest = await bob.ask({"msgid": 26, "groupid": tea, "after": ann.id})
        self.assertEqual(rest, done(26, members=members[1:], more=False))

        # A creator among others hands over first.
        self.assert_refused(await ann.ask({"msgid": 19, "groupid": tea}), 103, 19)
        self.assertEqual(await ann.ask({"msgid": 21, "groupid": tea, "userid": ann.id}), done(21))
        self.assertEqual(await ann.ask({"msgid": 21, "groupid": tea, "userid": bob.id}), done(21))
        self.assertEqual(await bob.get(), event(tea, bob, "bob", "creator"))
        self.assertEqual(await ann.ask({"msgid": 19, "groupid": tea}), done(19))
        self.assertEqual(await bob.get(), event(tea, ann, "ann", "left"))
        self.assertEqual(await bob.ask({"msgid": 19, "groupid": tea}), done(19))
        # The last one has taken the group along, and its name is free.
        self.assert_refused(await ann.ask({"msgid": 8, "groupid": tea}), 105, 8)
        self.assertGreater(await self.create(bob, "tea"), tea)

    async def test_the_creator_puts_somebody_out(self) -> None:
        ann, bob, eve = [await self.enter(name, 2) for name in ("ann", "bob", "eve")]
        tea = await self.create(ann)
        await self.join(tea, bob, ann)
        await self.join(tea, eve, ann, bob)
        answer = await ann.ask({"msgid": 20, "groupid": tea, "userid": bob.id, "cid": "r"})
        self.assertEqual(answer, done(20, cid="r"))
        for one in (bob, eve):
            self.assertEqual(await one.get(), event(tea, bob, "bob", "removed"))
        for request in (
            {"msgid": 26, "groupid": tea},
            {"msgid": 19, "groupid": tea},
            {"msgid": 29, "groupid": tea},
            {"msgid": 31, "groupid": tea},
            speak(tea, "may I?", cid="m"),
        ):
            msgid: Any = request["msgid"]
            cid: Any = request.get("cid")
            self.assert_refused(await bob.ask(request), 103, msgid, cid)
        eve.send(speak(tea, "has gone", cid="g"))
        pushed = await ann.get()
        ann.send(received(pushed["seq"]))
        self.assertEqual((await eve.get())["members"], 1)
        await bob.nothing()

    async def test_refusals(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        eve = await self.register("eve")
        tea = await self.create(ann)
        for asking in (
            {"msgid": 20, "userid": ann.id},
            {"msgid": 21, "userid": bob.id},
            {"msgid": 19},
            {"msgid": 26},
            {"msgid": 29},
            {"msgid": 30, "upto": "c"},
            {"msgid": 31},
        ):
            msgid: Any = asking["msgid"]
            self.assert_refused(await bob.ask({**asking, "groupid": tea}), 103, msgid)
            self.assert_refused(await bob.ask({**asking, "groupid": 999}), 105, msgid)
            for wrong in (0, "1", True, 2**63):
                self.assert_refused(await bob.ask({**asking, "groupid": wrong}), 100, msgid)
        for msgid in (20, 21):
            for userid, errno in ((bob.id, 103), (eve, 103), (999, 103), ("x", 100)):
                answer = await ann.ask({"msgid": msgid, "groupid": tea, "userid": userid})
                self.assert_refused(answer, errno, msgid)
        self.assert_refused(await ann.ask({"msgid": 20, "groupid": tea, "userid": ann.id}), 103, 20)
        for fields, errno in (
            ({"groupid": 999}, 105),
            ({"groupid": tea, "id": ann.id}, 103),
            ({"groupid": tea, "id": 0}, 100),
            ({}, 100),
        ):
            self.assert_refused(await bob.ask({"msgid": 8, "cid": "j", **fields}), errno, 8, "j")
        for asking in ({"msgid": 29}, {"msgid": 30, "upto": "c"}, {"msgid": 31}):
            msgid = asking["msgid"]
            self.assert_refused(await ann.ask(asking), 100, msgid)
            both = {**asking, "groupid": tea, "toid": bob.id}
            self.assert_refused(await ann.ask(both), 100, msgid)

    async def test_names_and_descriptions(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob")
        for name in ("x", "é" * 50, "a b", "'); DROP TABLE allgroup; --"):
            await self.create(ann, name)
        refused: list[tuple[dict[str, Any], int]] = [
            ({"groupname": "x"}, 1),
            ({"groupname": " x "}, 1),
            ({"groupname": "\uff58"}, 1),
            ({"groupname": "y" * 51}, 1),
            ({"groupname": " "}, 1),
            ({"groupname": "a\nb"}, 1),
            ({"groupname": "long", "groupdesc": "d" * 201}, 100),
            ({"groupname": "long", "groupdesc": "d" * 1000}, 100),
            ({"groupname": "other", "groupdesc": 1}, 100),
            ({"groupname": 1}, 100),
            ({"groupname": "other", "id": bob.id + 100}, 103),
            ({}, 100),
        ]
        for number, (fields, errno) in enumerate(refused):
            for client in (ann, bob):
                answer = await client.ask({"msgid": 7, "cid": f"c{number}", **fields})
                self.assert_refused(answer, errno, 7, f"c{number}")
        answer = await ann.ask({"msgid": 7, "groupname": "long", "groupdesc": "é" * 200})
        self.assertEqual(answer["errno"], 0)
        groups = (await ann.ask({"msgid": 25}))["groups"]
        self.assertEqual(groups[-1]["groupdesc"], "é" * 200)
        page = await ann.ask({"msgid": 25, "after": groups[1]["id"], "limit": 2})
        self.assertEqual((page["groups"], page["more"]), (groups[2:4], True))

    async def test_level_1_is_told_refusals_only(self) -> None:
        ann, bob = await self.enter("ann"), await self.enter("bob")
        ann.send({"msgid": 7, "groupname": "tea", "groupdesc": "at five", "id": ann.id})
        await ann.nothing()
        ann.send({"msgid": 10})
        await self.log_in(ann, ann.id)
        (text,) = ann.ack["groups"]
        group = json.loads(text)
        users = [json.loads(user) for user in group.pop("users")]
        tea = group["id"]
        self.assertEqual(group, {"id": tea, "groupname": "tea", "groupdesc": "at five"})
        self.assertEqual(
            users, [{"id": ann.id, "name": "ann", "state": "online", "role": "creator"}]
        )
        bob.send({"msgid": 8, "groupid": tea, "id": bob.id})
        await bob.nothing()
        # Nothing is said to those who are there.
        await ann.nothing()
        ann.send({"msgid": 10})
        bob.send({"msgid": 10})
        await self.log_in(bob, bob.id)
        users = [json.loads(user) for user in json.loads(bob.ack["groups"][0])["users"]]
        self.assertEqual(
            sorted(users, key=lambda user: str(user["name"])),
            [
                {"id": ann.id, "name": "ann", "state": "offline", "role": "creator"},
                {"id": bob.id, "name": "bob", "state": "online", "role": "normal"},
            ],
        )
        self.assert_refused(await bob.ask({"msgid": 8, "groupid": 999}), 105, 8)


class Speaking(Company):
    async def test_level_1_gets_what_was_written(self) -> None:
        ann, bob, eve = [await self.enter(name, level)
                         for name, level in (("ann", 2), ("bob", 1), ("eve", 1))]  # fmt: skip
        tea = await self.create(ann)
        await self.join(tea, bob, ann)
        await self.join(tea, eve, ann)
        line = b'{"groupid":%d,"id":%d,"msg":"caf\xc3\xa9","msgid":9,"name":"bob","time":"noon"}'
        bob.send(line % (tea, bob.id))
        self.assertEqual(await eve.line(), line % (tea, bob.id))
        pushed = await ann.get()
        self.assertEqual(pushed.pop("seq"), 1)
        self.assertTrue(pushed.pop("cid"))
        self.assertEqual(pushed, json.loads(line % (tea, bob.id)))
        # Nobody hears oneself, and nobody at level 1 is told anything.
        await bob.nothing()
        bob.send(speak(tea, "and?", name="eve", mood=1))
        said = await eve.get()
        self.assertRegex(said.pop("time"), TIME)
        expected = {"msgid": 9, "groupid": tea, "msg": "and?", "id": bob.id, "name": "bob",
                    "mood": 1}  # fmt: skip
        self.assertEqual(said, expected)

    async def test_answered_when_everybody_is_served(self) -> None:
        ann, bob, eve, joe = [await self.enter(name, 2) for name in ("ann", "bob", "eve", "joe")]
        tea = await self.create(ann)
        await self.join(tea, bob, ann)
        await self.join(tea, eve, ann, bob)
        ann.send(speak(tea, "hello", cid="h"))
        for one in (bob, eve):
            pushed = await one.get()
            self.assertEqual((pushed["cid"], pushed["seq"]), ("h", 1))
        bob.send(received(1))
        await ann.nothing()
        eve.send(received(1))
        self.assertEqual(await ann.get(), done(9, cid="h", state="delivered", members=2))
        # A repeat is answered, and not pushed again; another message with this cid is refused.
        answer = await ann.ask(speak(tea, "hello", cid="h"))
        self.assertEqual(answer, done(9, cid="h", state="delivered", members=2))
        self.assert_refused(await ann.ask(speak(tea, "bye", cid="h")), 110, 9, "h")
        self.assert_refused(await ann.ask(say(bob.id, "hello", cid="h")), 110, 5, "h")
        for one in (bob, eve):
            await one.nothing()
        # With somebody away it is stored.
        await eve.ask({"msgid": 10})
        ann.send(speak(tea, "again", cid="a"))
        bob.send(received((await bob.get())["seq"]))
        self.assertEqual(await ann.get(), done(9, cid="a", state="stored", members=2))
        # With somebody at level 1 it is pushed.
        await self.log_in(eve, eve.id)
        self.assertEqual([json.loads(it)["cid"] for it in eve.ack["offlinemsg"]], ["a"])
        ann.send(speak(tea, "more", cid="m"))
        bob.send(received((await bob.get())["seq"]))
        self.assertEqual(await ann.get(), done(9, cid="m", state="pushed", members=2))
        # With nobody else it is delivered.
        alone = await self.create(joe, "alone")
        answer = await joe.ask(speak(alone, "echo", cid="e"))
        self.assertEqual(answer, done(9, cid="e", state="delivered", members=0))

    async def test_refusals(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        eve = await self.enter("eve")
        tea = await self.create(ann)
        for client in (bob, eve):
            refused: list[tuple[dict[str, Any], int]] = [
                ({"groupid": tea}, 103),
                ({"groupid": 999}, 105),
                ({"groupid": tea, "id": ann.id}, 103),
                ({"groupid": 0}, 100),
                ({"groupid": tea, "msg": 1}, 100),
                ({"groupid": tea, "cid": ""}, 100),
            ]
            for fields, errno in refused:
                cid = None if "cid" in fields else "c"
                answer = await client.ask({"msgid": 9, "msg": "hi", "cid": "c", **fields})
                self.assert_refused(answer, errno, 9, cid)
        self.assert_refused(await ann.ask(speak(tea, "no cid")), 100, 9)
        # Without a cid the refusal has none.
        self.assert_refused(await eve.ask(speak(tea, "hi")), 103, 9)
        self.assert_refused(await eve.ask(speak(999, "hi")), 105, 9)
        # What was refused is not remembered.
        await self.join(tea, bob, ann)
        bob.send(speak(tea, "hi", cid="c"))
        ann.send(received((await ann.get())["seq"]))
        self.assertEqual(await bob.get(), done(9, cid="c", state="delivered", members=1))

    async def test_order_over_absence(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        tea = await self.create(ann)
        await self.join(tea, bob, ann)
        ann.send(*(speak(tea, f"{number}", cid=f"c{number}") for number in range(30)))
        self.assertEqual([it["msg"] for it in await bob.get_all(30)], [str(it) for it in range(30)])
        bob.cable.abort()
        ann.send(*(speak(tea, f"{number}", cid=f"c{number}") for number in range(30, 60)))
        answers = await ann.get_all(60)
        self.assertEqual([it["cid"] for it in answers], [f"c{number}" for number in range(60)])
        self.assertEqual({it["state"] for it in answers}, {"stored"})
        bob = await self.login(bob.id, 2)
        pushed = await bob.get_all(60)
        self.assertEqual([it["msg"] for it in pushed], [str(number) for number in range(60)])

    async def test_who_comes_and_goes(self) -> None:
        ann, bob, eve = [await self.enter(name, 2) for name in ("ann", "bob", "eve")]
        tea = await self.create(ann)
        await self.join(tea, bob, ann)
        ann.send(speak(tea, "one", cid="1"))
        bob.send(received((await bob.get())["seq"]))
        self.assertEqual((await ann.get())["members"], 1)
        await self.join(tea, eve, ann, bob)
        await bob.ask({"msgid": 19, "groupid": tea})
        for one in (ann, eve):
            self.assertEqual(await one.get(), event(tea, bob, "bob", "left"))
        ann.send(speak(tea, "two", cid="2"))
        self.assertEqual((await eve.get())["msg"], "two")
        await bob.nothing()


class Signalling(Company):
    async def test_to_one(self) -> None:
        ann, bob, eve = [await self.enter(name, level)
                         for name, level in (("ann", 2), ("bob", 2), ("eve", 1))]  # fmt: skip
        away = await self.register("joe")
        self.assertEqual(await ann.ask({"msgid": 29, "toid": bob.id, "cid": "t"}),
                         done(29, cid="t"))  # fmt: skip
        who = {"id": ann.id, "name": "ann"}
        self.assertEqual(await bob.get(), {"msgid": 29, **who, "typing": True})
        await ann.ask({"msgid": 29, "toid": bob.id, "typing": False})
        self.assertEqual(await bob.get(), {"msgid": 29, **who, "typing": False})
        await ann.ask({"msgid": 30, "toid": bob.id, "upto": "some cid"})
        self.assertEqual(await bob.get(), {"msgid": 30, **who, "upto": "some cid"})
        for other in (eve.id, away, 999):
            self.assertEqual(await ann.ask({"msgid": 29, "toid": other}), done(29))
            self.assertEqual(await ann.ask({"msgid": 30, "toid": other, "upto": "c"}), done(30))
        await eve.nothing()
        joe = await self.login(away, 2)
        self.assertEqual(joe.ack["backlog"], 0)
        await joe.nothing()
        for fields in ({"upto": ""}, {"upto": "x" * 65}, {"upto": 1}, {}):
            answer = await ann.ask({"msgid": 30, "toid": bob.id, **fields})
            self.assert_refused(answer, 100, 30)
        self.assert_refused(await ann.ask({"msgid": 29, "toid": bob.id, "typing": 1}), 100, 29)

    async def test_to_a_group(self) -> None:
        ann, bob, eve = [await self.enter(name, level)
                         for name, level in (("ann", 2), ("bob", 2), ("eve", 1))]  # fmt: skip
        tea = await self.create(ann)
        await self.join(tea, bob, ann)
        await self.join(tea, eve, ann, bob)
        who = {"id": ann.id, "name": "ann", "groupid": tea}
        self.assertEqual(await ann.ask({"msgid": 29, "groupid": tea}), done(29))
        self.assertEqual(await bob.get(), {"msgid": 29, **who, "typing": True})
        self.assertEqual(await ann.ask({"msgid": 30, "groupid": tea, "upto": "c"}), done(30))
        self.assertEqual(await bob.get(), {"msgid": 30, **who, "upto": "c"})
        for one in (ann, eve):
            await one.nothing()


class MemoryMembershipTests(InMemory, Membership, TestCase):
    """In memory."""


class TcpMembershipTests(OverTcp, Membership, TestCase):
    """Over TCP and SQLite."""


class MemorySpeakingTests(InMemory, Speaking, TestCase):
    """In memory."""


class TcpSpeakingTests(OverTcp, Speaking, TestCase):
    """Over TCP and SQLite."""


class MemorySignallingTests(InMemory, Signalling, TestCase):
    """In memory."""


class TcpSignallingTests(OverTcp, Signalling, TestCase):
    """Over TCP and SQLite."""


class BoundsTests(InMemory, Company, TestCase):
    bounds = {"groups_per_user": 3, "mailbox_per_sender": 2}  # noqa: RUF012

    async def test_groups_of_one_user(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        one, two, three = [await self.create(ann, name) for name in ("one", "two", "three")]
        answer = await ann.ask({"msgid": 7, "groupname": "four", "groupdesc": ""})
        self.assert_refused(answer, 103, 7)
        four = await self.create(bob, "four")
        self.assert_refused(await ann.ask({"msgid": 8, "groupid": four}), 103, 8)
        self.assertEqual((await ann.ask({"msgid": 8, "groupid": two}))["errno"], 0)
        await ann.ask({"msgid": 19, "groupid": three})
        await self.join(four, ann, bob)
        self.assertEqual(len((await ann.ask({"msgid": 25}))["groups"]), 3)
        self.assertGreater(two, one)

    async def test_a_full_mailbox_is_left_out(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        eve = await self.enter("eve")
        tea = await self.create(ann)
        await self.join(tea, bob, ann)
        await self.join(tea, eve, ann, bob)
        eve.send({"msgid": 10})
        await eve.nothing()
        for number in range(4):
            ann.send(speak(tea, "hi", cid=f"c{number}"))
            bob.send(received((await bob.get())["seq"]))
            answer = done(9, cid=f"c{number}", members=2)
            if number < 2:
                answer["state"] = "stored"
            else:
                answer |= {"state": "delivered", "refused": 1}
            self.assertEqual(await ann.get(), answer)
        # The same for one who is told refusals only.
        await bob.ask({"msgid": 10})
        await self.log_in(bob, bob.id)
        for _ in range(3):
            bob.send(speak(tea, "hi"))
        await bob.nothing()

    async def test_the_store_away(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        eve = await self.enter("eve", 2)
        tea = await self.create(ann)
        await self.join(tea, bob, ann)
        await self.join(tea, eve, ann, bob)
        # Those who are here go on, without a query.
        ann.send(speak(tea, "one", cid="1"))
        for one in (bob, eve):
            one.send(received((await one.get())["seq"]))
        self.assertEqual((await ann.get())["state"], "delivered")
        self.faults.away()
        self.faults.calls.clear()
        ann.send(speak(tea, "two", cid="2"))
        for one in (bob, eve):
            one.send(received((await one.get())["seq"]))
        self.assertEqual((await ann.get())["state"], "delivered")
        self.assertEqual(dict(self.faults.calls), {})
        # With somebody away the message is refused, and the next ones until it comes again.
        await eve.ask({"msgid": 10})
        ann.send(speak(tea, "three", cid="3"))
        bob.send(received((await bob.get())["seq"]))
        self.assert_refused(await ann.get(), 108, 9, "3")
        self.assert_refused(await ann.ask(speak(tea, "four", cid="4")), 108, 9, "4")
        await self.assert_chatting(ann, bob)
        self.faults.recover()
        self.go(2)
        self.assert_refused(await ann.ask(speak(tea, "four", cid="4")), 108, 9, "4")
        for number, text in (("3", "three"), ("4", "four")):
            ann.send(speak(tea, text, cid=number))
            bob.send(received((await bob.get())["seq"]))
            answer = done(9, cid=number, state="stored", members=2)
            self.assertEqual(await ann.get(), answer)

    async def test_the_store_away_before_the_members_are_known(self) -> None:
        ann = await self.enter("ann", 2)
        tea = await self.create(ann)
        self.server.rooms.forget(tea)
        self.faults.away("groups")
        for number in range(3):
            answer = await ann.ask(speak(tea, "hi", cid=f"c{number}"))
            self.assert_refused(answer, 108, 9, f"c{number}")
        for request in (
            {"msgid": 7, "groupname": "rye"},
            {"msgid": 8, "groupid": tea},
            {"msgid": 19, "groupid": tea},
            {"msgid": 20, "groupid": tea, "userid": 1},
            {"msgid": 21, "groupid": tea, "userid": 1},
            {"msgid": 25},
            {"msgid": 26, "groupid": tea},
            {"msgid": 29, "groupid": tea},
        ):
            answer = await ann.ask({**request, "cid": "x"})
            msgid: Any = request["msgid"]
            self.assert_refused(answer, 108, msgid, "x")

    async def test_a_deleted_member_is_none(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        eve = await self.register("eve")
        tea = await self.create(ann)
        await self.join(tea, bob, ann)
        await self.store.groups.join(tea, eve, 10)
        self.server.rooms.forget(tea)
        ann.send(speak(tea, "one", cid="1"))
        self.assertEqual((await bob.get())["msg"], "one")
        self.server.delivery.mailboxes.pop(eve)
        await self.store.users.delete(eve)
        ann.send(speak(tea, "two", cid="2"))
        await bob.get()
        bob.send(received(2))
        answers = await ann.get_all(2)
        self.assertEqual([it["members"] for it in answers], [2, 1])
        self.assertEqual(answers[1]["state"], "delivered")


class SlowReaderTests(InMemory, Company, TestCase):
    """What goes to a level 1 client in one piece, and is taken apart when that goes wrong."""

    async def company(self, level: int) -> tuple[Client, Client, int]:
        """Somebody of this level who speaks, a level 1 client that does not read, and a group."""
        ann = await self.enter("ann", 2)
        tea = await self.create(ann)
        bob = await self.enter("bob")
        await self.join(tea, bob, ann)
        if level == 1:
            await ann.ask({"msgid": 10})
            await self.log_in(ann, ann.id)
        bob.cable.hold()
        # More than the cable holds, so that the rest is with the server.
        for number in range(3):
            self.say(ann, level, tea, "x" * 60_000, f"big{number}")
        self.time.settle()
        return ann, bob, tea

    def say(self, client: Client, level: int, tea: int, *args: str) -> None:
        """A message whose text comes first, then its cid."""
        text, cid = args
        client.send(speak(tea, text, cid=cid) if level == 2 else speak(tea, text))

    async def test_stored_after_a_while(self) -> None:
        ann, bob, tea = await self.company(2)
        ann.send(*(speak(tea, f"{number}", cid=f"c{number}") for number in range(3)))
        self.time.settle()
        pushed = await ann.get_all(len(ann.lines))
        self.assertEqual({answer["state"] for answer in pushed}, {"pushed"})
        self.go(2)
        stored = await ann.get_all(6 - len(pushed))
        self.assertEqual({answer["state"] for answer in stored}, {"stored"})
        self.assertEqual({answer["members"] for answer in stored}, {1})
        bob.cable.let_go()
        self.go(1)
        texts = [it["msg"] for it in await bob.get_all(6)]
        self.assertEqual(texts, ["x" * 60_000] * 3 + ["0", "1", "2"])
        await bob.nothing()
        self.go(1)
        rows, _ = await self.store.offline.page(bob.id, (0, 0), 10, 10_000)
        self.assertEqual(rows, [])

    async def test_gone_in_the_middle(self) -> None:
        for level in (1, 2):
            self.stop()
            self.begin()
            ann, bob, tea = await self.company(level)
            for number in range(3):
                self.say(ann, level, tea, f"{number}", f"c{number}")
            self.time.settle()
            told = [await ann.get() for _ in range(len(ann.lines))]
            bob.cable.abort()
            self.go(0.5)
            bob = await self.login(bob.id)
            texts = [json.loads(it)["msg"] for it in bob.ack.get("offlinemsg", [])]
            self.time.settle()
            texts += [json.loads(line)["msg"] for line in bob.lines]
            self.assertEqual(texts[-3:], ["0", "1", "2"])
            if level == 2:
                told += await ann.get_all(6 - len(told))
                self.assertEqual([it["state"] for it in told[-3:]], ["stored"] * 3)
                self.assertEqual(len({it["cid"] for it in told}), 6)
            else:
                await ann.nothing()

    async def test_the_store_away_meanwhile(self) -> None:
        for level in (1, 2):
            self.stop()
            self.begin()
            ann, bob, tea = await self.company(level)
            for number in range(3):
                self.say(ann, level, tea, f"{number}", f"c{number}")
            self.time.settle()
            for _ in range(len(ann.lines)):
                await ann.get()
            self.faults.away("keep")
            bob.cable.abort()
            self.go(0.5)
            for number in range(3):
                answer = await ann.get()
                while answer.get("cid", "").startswith("big"):
                    answer = await ann.get()
                self.assert_refused(answer, 108, 9, f"c{number}" if level == 2 else None)
