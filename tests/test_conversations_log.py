"""What the log says: one line for what matters, and never a password or a text."""

from __future__ import annotations

from typing import cast

from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher

from tests.support import PASSWORD, InMemory, login, say


class LogTests(InMemory):
    def setUp(self) -> None:
        self.events: list[LogEvent] = []
        observer = cast(ILogObserver, self.events.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        super().setUp()

    async def test_nothing_private_is_logged(self) -> None:
        secret, text = "s3cret-pass", "a pr1vate text"
        client = await self.connect()
        reg = await client.ask({"msgid": 3, "name": "ann", "password": secret})
        for password in (f"{secret} wrong", secret):
            await client.ask({"msgid": 1, "id": reg["id"], "password": password, "proto": 2})
        bob, away = await self.enter("bob", 2), await self.register("carl")
        client.send(say(bob.id, text, cid="a"), say(away, text, cid="b"), say(9999, text, cid="c"))
        client.send(say(bob.id, text), say(bob.id, text + "!", cid="a"), {"msgid": text})
        client.send(b'{"msgid":5,"msg":"%b"' % text.encode(), say(bob.id, text, id=77, cid="d"))
        self.faults.away()
        client.send(say(away, text, cid="e"))
        client.send({"msgid": 1, "id": reg["id"], "password": secret})
        self.go(2)
        self.faults.recover()
        client.send({"msgid": 10})
        self.go(2)
        client.cable.abort()
        self.stop()
        self.start()
        said = [f"{formatEvent(event)} {event!r}" for event in self.events]
        self.assertTrue(said)
        for line in said:
            self.assertNotIn(secret, line)
            self.assertNotIn(text, line)
            self.assertNotIn(PASSWORD, line)

    async def test_what_is_logged(self) -> None:
        ann = await self.enter("ann")
        client = await self.connect()
        await client.ask(login(ann.id))
        ann.send({"msgid": 10})
        await ann.nothing()
        lines = "\n".join(formatEvent(event) for event in self.events)
        self.assertRegex(lines, rf"user {ann.id}: logged in, level 1")
        self.assertRegex(lines, r"msgid 1 refused, errno 2 ")
        self.assertRegex(lines, rf"user {ann.id}: logged out")
