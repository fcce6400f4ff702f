"""Limits as conversations: who is held back, how it is told, and whom it does not concern."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from typing import Any

from chat.errors import INVALID_LOGIN

from .cables import Client
from .support import PASSWORD, Conversation, InMemory, OverTcp, say

HERE, THERE = "192.0.2.1", "192.0.2.2"


class GuessingTests(InMemory):
    bounds: Mapping[str, Any] = {"failed_logins": 5, "failed_logins_per_address": 20}

    async def attempt(self, user_id: int, host: str = HERE, password: str = "wrong") -> int:
        """Log in on a connection of its own; the errno."""
        client = await self.connect(host)
        answer = await client.ask({"msgid": 1, "id": user_id, "password": password})
        if answer["errno"] == 107:
            self.assertGreater(answer["retry_after"], 0)
        elif answer["errno"] == 1:
            self.assertEqual(answer, {"msgid": 2, "errno": 1, "errmsg": INVALID_LOGIN})
        client.cable.close()
        self.go(0.01)
        return int(answer["errno"])

    async def test_known_and_unknown_alike(self) -> None:
        ann = await self.register("ann")
        for user_id in (ann, 2**40):
            before = self.verified
            self.assertEqual([await self.attempt(user_id) for _ in range(7)], [1] * 5 + [107] * 2)
            # Each of the five, and nothing when it was refused.
            self.assertEqual(self.verified - before, 5)
        self.go(6.1)
        for user_id in (ann, 2**40):
            self.assertEqual([await self.attempt(user_id) for _ in range(2)], [1, 107])

    async def test_the_right_password_is_not_looked_at_either(self) -> None:
        ann = await self.register("ann")
        for _ in range(5):
            await self.attempt(ann)
        self.assertEqual(await self.attempt(ann, password=PASSWORD), 107)
        self.assertEqual(await self.attempt(ann, THERE, PASSWORD), 0)
        self.go(6.1)
        self.assertEqual(await self.attempt(ann, password=PASSWORD), 0)
        self.assertEqual([await self.attempt(ann) for _ in range(6)], [1] * 5 + [107])

    async def test_an_address_is_blocked_for_an_hour(self) -> None:
        people = [await self.register(f"p{number}") for number in range(25)]
        errnos = [await self.attempt(user_id) for user_id in people]
        self.assertEqual(errnos, [1] * 20 + [107] * 5)
        self.assertEqual(await self.attempt(people[24], password=PASSWORD), 107)
        self.assertEqual(await self.attempt(people[24], THERE, PASSWORD), 0)
        self.go(3590)
        self.assertEqual(await self.attempt(people[24], password=PASSWORD), 107)
        self.go(15)
        self.assertEqual(await self.attempt(people[24], password=PASSWORD), 0)

    async def test_who_is_here_is_not_disturbed(self) -> None:
        ann, bob = await self.enter("ann"), await self.enter("bob", 2)
        for number in range(30):
            await self.attempt(ann.id + number, "127.0.0.1")
        await self.assert_chatting(ann, bob)

    async def test_a_store_that_fails_is_no_guess(self) -> None:
        ann = await self.register("ann")
        self.faults.away("users")
        self.assertEqual([await self.attempt(ann) for _ in range(10)], [108] * 10)
        self.faults.recover()
        self.assertEqual(await self.attempt(ann, password=PASSWORD), 0)

    @property
    def verified(self) -> int:
        """How many passwords were looked at."""
        return self.passwords.computed


class RegisteringTests(InMemory):
    bounds: Mapping[str, Any] = {"registrations": 5, "registration_seconds": 60.0}

    async def reg(self, name: str, host: str = HERE, **fields: Any) -> dict[str, Any]:
        """Register; the answer."""
        client = await self.connect(host)
        answer = await client.ask({"msgid": 3, "name": name, "password": PASSWORD, **fields})
        client.cable.close()
        self.go(0.01)
        return answer

    async def test_five_then_one_a_minute(self) -> None:
        for number in range(5):
            self.assertEqual((await self.reg(f"a{number}"))["errno"], 0)
        before = self.passwords.computed
        answer = await self.reg("b")
        self.assertEqual(
            answer,
            {"msgid": 4, "errno": 107, "errmsg": answer["errmsg"],
             "retry_after": answer["retry_after"]},
        )  # fmt: skip
        self.assertGreater(answer["retry_after"], 0)
        self.assertEqual(self.passwords.computed, before)
        self.assertEqual((await self.reg("b", THERE))["errno"], 0)
        self.go(61)
        self.assertEqual((await self.reg("c"))["errno"], 0)
        self.assertEqual((await self.reg("d"))["errno"], 107)

    async def test_what_makes_no_account_costs_nothing(self) -> None:
        await self.reg("ann")
        for _ in range(10):
            self.assertEqual((await self.reg("ann"))["errno"], 1)
            self.assertIn((await self.reg(""))["errno"], (1, 100))
        for number in range(4):
            self.assertEqual((await self.reg(f"b{number}"))["errno"], 0)


class ClosedTests(InMemory):
    bounds: Mapping[str, Any] = {"registration": "closed"}

    async def test_nobody_registers(self) -> None:
        client = await self.connect()
        for fields in ({}, {"invite": "x"}):
            answer = await client.ask({"msgid": 3, "name": "ann", "password": "x", **fields})
            self.assertEqual(
                answer,
                {"msgid": 4, "errno": 1, "errmsg": answer["errmsg"], "registration": "closed"},
            )


UNINVITED = (1, "invite")


class InvitedTests(InMemory):
    bounds: Mapping[str, Any] = {"registration": "invite"}

    async def reg(self, name: str, **fields: Any) -> tuple[int, str]:
        """Register; the errno, and what the answer says of who may."""
        client = await self.connect()
        answer = await client.ask({"msgid": 3, "name": name, "password": "x", **fields})
        return int(answer["errno"]), answer.get("registration", "")

    async def test_a_code_is_needed_and_is_used_up(self) -> None:
        now = time.time()
        digest = hashlib.sha256(b"come in").digest()
        await self.store.invites.issue(digest, now, now + 1000, 2)
        self.assertEqual(await self.reg("ann"), UNINVITED)
        self.assertEqual(await self.reg("ann", invite="come"), UNINVITED)
        for invite in (1, None, ["come in"], True):
            self.assertEqual(await self.reg("ann", invite=invite), (100, ""))
        self.assertEqual(await self.reg("ann", invite="come in"), (0, ""))
        # A name that is taken does not use the code.
        self.assertEqual(await self.reg("ann", invite="come in"), (1, ""))
        self.assertEqual(await self.reg("bob", invite="come in"), (0, ""))
        self.assertEqual(await self.reg("eve", invite="come in"), UNINVITED)

    async def test_a_code_has_an_end(self) -> None:
        now = time.time()
        digest = hashlib.sha256(b"come in").digest()
        await self.store.invites.issue(digest, now - 1000, now - 1, 2)
        self.assertEqual(await self.reg("ann", invite="come in"), UNINVITED)


class PaceTests(InMemory):
    """20 a second, 200 at once: what is more waits."""

    bounds: Mapping[str, Any] = {"requests_burst": 200, "requests_per_second": 20.0}

    async def _texts(self, client: Client) -> list[str]:
        self.time.settle()
        texts = [await client.get() for _ in range(len(client.lines))]
        return [text["msg"] for text in texts if text["msgid"] == 5]

    async def test_messages_wait_and_none_is_refused(self) -> None:
        for level in (1, 2):
            ann, bob = await self.enter(f"ann {level}", level), await self.enter(f"bob {level}")
            # The login counts as well.
            self.go(1)
            for start in range(0, 300, 50):
                ann.send(
                    *(
                        say(bob.id, str(number), id=ann.id, name=f"ann {level}", cid=f"c{number}",
                            time="2026-01-01 00:00:00")
                        for number in range(start, start + 50)
                    )
                )  # fmt: skip
            got = await self._texts(bob)
            self.assertEqual(len(got), 200)
            self.go(1)
            more = await self._texts(bob)
            self.assertIn(len(more), (19, 20, 21))
            self.go(10)
            got += more + await self._texts(bob)
            self.assertEqual(got, [str(number) for number in range(300)])
            ann.cable.close()
            bob.cable.close()
            self.go(1)

    async def test_one_pace_for_a_user_whatever_the_connection(self) -> None:
        ann, bob = await self.enter("ann"), await self.enter("bob")
        ann.send(*(say(bob.id, str(number)) for number in range(250)))
        self.time.settle()
        ann.cable.abort()
        self.go(0.1)
        bob.lines.clear()
        ann = await self.login(ann.id)
        ann.send(*(say(bob.id, str(number)) for number in range(50)))
        self.assertLess(len(await self._texts(bob)), 10)

    async def test_others_are_not_slowed(self) -> None:
        ann, bob = await self.enter("ann"), await self.enter("bob")
        eve, carl = await self.enter("eve"), await self.enter("carl")
        ann.send(*(say(bob.id, str(number)) for number in range(300)))
        await self.assert_chatting(eve, carl)
        self.assertGreater(len(await self._texts(bob)), 150)

    async def test_pings_count_before_the_login_too(self) -> None:
        client = await self.connect()
        client.send(*({"msgid": 13} for _ in range(300)))
        self.time.settle()
        self.assertEqual(len(client.lines), 200)
        self.go(1)
        self.assertIn(len(client.lines), (219, 220, 221))

    async def test_who_only_pings_has_not_logged_in(self) -> None:
        client = await self.connect()
        for _ in range(40):
            client.send(*({"msgid": 13} for _ in range(100)))
            self.go(1)
            if client.closed:
                break
        last = (await client.end())[-1]
        self.assert_refused(last, 102, 0)

    async def test_acknowledgements_do_not_count(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        self.go(1)
        bob.send(*({"msgid": 14} for _ in range(300)))
        for number in range(190):
            ann.send(say(bob.id, "hi", cid=f"c{number}"))
            bob.send({"msgid": 12, "seq": number + 1})
        self.time.settle()
        bob.lines.clear()
        self.assertEqual(await bob.ask({"msgid": 13, "cid": "a"}), {"msgid": 14, "cid": "a"})

    async def test_what_was_asked_before_the_end_is_done(self) -> None:
        ann, bob = await self.enter("ann"), await self.enter("bob")
        ann.send(*(say(bob.id, str(number)) for number in range(390)))
        self.time.settle()
        ann.cable.shut()
        self.go(30)
        self.assertEqual(await self._texts(bob), [str(number) for number in range(390)])
        self.assertTrue(ann.closed)


class BadLines(Conversation):
    bounds: Mapping[str, Any] = {"bad_lines": 100, "bad_line_seconds": 1000.0}

    async def test_a_hundred_then_the_connection_is_closed(self) -> None:
        ann, bob = await self.enter("ann"), await self.enter("bob")
        client = await self.connect()
        for _ in range(25):
            client.send(b"{", b'{"msgid":99}', b'{"msgid":5}', b'{"msgid":1,"id":0}')
        answers = await client.get_all(100)
        self.assertEqual({answer["errno"] for answer in answers}, {100, 101})
        client.send(b"[]")
        said = await client.end()
        self.assertEqual(len(said), 1)
        self.assert_refused(said[0], 107, 0)
        await self.assert_chatting(ann, bob)

    async def test_lines_that_are_requests_do_not_count(self) -> None:
        ann = await self.enter("ann")
        for _ in range(150):
            ann.send(say(2**40, "hi"))
        await ann.get_all(150)
        await ann.nothing()


class ForgottenBadLinesTests(InMemory):
    bounds: Mapping[str, Any] = {"bad_lines": 3, "bad_line_seconds": 1.0}

    async def test_one_is_back_a_second(self) -> None:
        client = await self.connect()
        for _ in range(20):
            self.assert_refused(await client.ask(b"{"), 100, 0)
            self.go(1)
        for _ in range(3):
            self.assert_refused(await client.ask(b"{"), 100, 0)
        self.assert_refused(await client.ask(b"{"), 107, 0)
        await client.end()


class Connecting(Conversation):
    bounds: Mapping[str, Any] = {"strangers_per_address": 3, "connections": 5}

    async def assert_turned_away(self) -> None:
        """Who comes now is told why, and closed."""
        client = await self.connect()
        said = await client.end()
        self.assertEqual(len(said), 1)
        self.assert_refused(said[0], 107, 0)

    async def test_strangers(self) -> None:
        ann, bob = await self.register("ann"), await self.register("bob")
        # Whoever registered has gone.
        self.go(0.1)
        first, second, third = [await self.connect() for _ in range(3)]
        await third.nothing()
        await self.assert_turned_away()
        await self.log_in(first, ann)
        fourth = await self.connect()
        await fourth.nothing()
        await self.assert_turned_away()
        await self.log_in(second, bob)
        await self.assert_chatting(first, second)
        fifth = await self.connect()
        await fifth.nothing()
        # Now five are here.
        await self.assert_turned_away()
        first.send({"msgid": 10})
        await first.nothing()
        await self.log_in(first, ann)
        await self.assert_chatting(first, second)

    async def test_a_place_is_free_again(self) -> None:
        for _ in range(4):
            clients = [await self.connect() for _ in range(3)]
            for client in clients:
                await client.nothing()
            await self.assert_turned_away()
            for client in clients:
                client.send(b'{"msgid":1,"id":9,"password":"x"}')
                await client.get()
                client.cable.abort()
            await self.free()

    async def free(self) -> None:
        """Until nobody is here."""
        self.go(0.1)


class MemoryBadLinesTests(BadLines, InMemory):
    pass


class TcpBadLinesTests(BadLines, OverTcp):
    pass


class MemoryConnectingTests(Connecting, InMemory):
    async def test_each_address_has_its_own(self) -> None:
        for _ in range(3):
            await self.connect(HERE)
        client = await self.connect(HERE)
        await client.end()
        for _ in range(2):
            await (await self.connect(THERE)).nothing()

    async def test_silent_ones_make_room(self) -> None:
        for _ in range(3):
            await self.connect(HERE)
        self.go(32)
        await (await self.connect(HERE)).nothing()
        self.assertEqual(self.server.limits.doors.inside, 1)


class UnlimitedTests(InMemory):
    bounds: Mapping[str, Any] = {"no_limits": True}

    async def test_nothing_is_held_back(self) -> None:
        ann, bob = await self.enter("ann"), await self.enter("bob")
        ann.send(*(say(bob.id, str(number)) for number in range(500)))
        self.time.settle()
        self.assertEqual(len(bob.lines), 500)
        bob.lines.clear()
        client = await self.connect()
        for _ in range(300):
            client = await self.connect()
            answer = await client.ask({"msgid": 1, "id": ann.id, "password": "wrong"})
            self.assertEqual(answer["errno"], 1)
        for _ in range(300):
            self.assert_refused(await client.ask(b"{"), 100, 0)
        await self.assert_chatting(ann, bob)
