"""A session where something goes wrong on our side, or the client leaves half-way."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Mapping
from typing import Any

from twisted.internet.task import deferLater

from chat import messages as m
from chat.commands import Command
from tests.cables import reactor
from tests.support import InMemory, OverTcp, login, received, say, told


def fail_at_once(me: object, ask: object) -> None:
    """A rule with a mistake in it."""
    raise ZeroDivisionError("a secret of ours")


async def fail_later(me: object, ask: object) -> Mapping[str, Any]:
    """The same, where something is waited for."""
    raise ZeroDivisionError("a secret of ours")


class InternalErrorTests(InMemory):
    async def test_client_is_told_and_the_operator_gets_the_traceback(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        for rule in (fail_at_once, fail_later):
            self.server.commands[m.Ping] = Command(rule, login=False)
            answer = await ann.ask({"msgid": 13, "cid": "p"})
            self.assert_refused(answer, 199, 13, "p")
            self.assertEqual(answer["errmsg"], "internal error")
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        ann.send(say(bob.id, "all goes on", cid="a"))
        self.assertEqual((await bob.get())["cid"], "a")
        bob.send(received(1))
        self.assertEqual(await ann.get(), told("a", "delivered"))

    async def test_in_the_answers_of_1_and_3(self) -> None:
        client = await self.connect()
        self.server.commands[m.Login] = Command(fail_later, login=False)
        self.server.commands[m.Reg] = Command(fail_at_once, login=False)
        client.send(login(1), {"msgid": 3, "name": "x", "password": "x"})
        said = await client.get_all(2)
        self.assertEqual([(it["msgid"], it["errno"]) for it in said], [(2, 199), (4, 199)])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    async def test_request_that_is_not_served(self) -> None:
        ann = await self.enter("ann", 2)
        del self.server.commands[m.ListTokens]
        self.assert_refused(await ann.ask({"msgid": 35, "cid": "t"}), 101, 35, "t")


class LeavingTests(InMemory):
    async def test_shut_writing_side_with_a_request_under_way(self) -> None:
        user_id = await self.register("ann")
        client = await self.connect()
        self.passwords.hold()
        client.send(login(user_id), {"msgid": 13})
        client.cable.shut()
        self.go(5)
        self.assertFalse(client.closed)
        self.passwords.release()
        self.assertEqual([it["msgid"] for it in await client.end()], [2, 14])

    async def test_shut_writing_side_with_messages_unanswered(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        ann.send(say(bob.id, "hi", cid="a"))
        ann.cable.shut()
        await bob.get()
        self.assertFalse(ann.closed)
        bob.send(received(1))
        self.assertEqual(await ann.end(), [told("a", "delivered")])

    async def test_shut_writing_side_is_served_for_ten_seconds(self) -> None:
        user_id = await self.register("ann")
        client = await self.connect()
        self.passwords.hold()
        client.send(login(user_id))
        client.cable.shut()
        self.go(12)
        self.assertTrue(client.closed)
        self.passwords.release()
        self.go(1)
        await self.login(user_id)

    async def test_at_rest_it_is_closed_at_once(self) -> None:
        ann, client = await self.enter("ann"), await self.connect()
        for one in (ann, client):
            one.cable.shut()
            self.assertEqual(await one.end(), [])
        self.assertEqual(self.server.sessions, set())

    async def test_what_was_read_before_the_end_is_done(self) -> None:
        """As ``echo … | nc -N`` needs it."""
        ann, bob = await self.enter("ann"), await self.enter("bob")
        ann.send(*(say(bob.id, str(number)) for number in range(100)), {"msgid": 10})
        ann.cable.shut()
        self.assertEqual(len(await bob.get_all(100)), 100)
        self.assertEqual(await ann.end(), [])
        self.go(1)
        self.assertEqual(set(self.server.delivery.online), {bob.id})


class GoneTests(OverTcp):
    """What a connection leaves behind."""

    async def test_nothing_waits_for_the_garbage_collector(self) -> None:
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        for level in (1, 2):
            ann = await self.enter(f"ann{level}", level)
            ann.send(say(ann.id, "hi", cid="a"))
            await ann.get()
            session = next(one for one in self.server.sessions if one.sender is not None)
            link: Any = session.transport
            remains = weakref.ref(link)
            del session, link
            ann.cable.close()
            await ann.end()
            while self.server.sessions:
                await deferLater(reactor, 0.01, lambda: None)
            self.assertIsNone(remains())
