"""Where clients come in: what is said of it, and what may be missing."""

from __future__ import annotations

import socket
from contextlib import closing
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import TestCase

from chat import listeners
from chat.config import Settings
from chat.errors import BadStart
from chat.listeners import Listeners
from chat.service import Server
from chat.storage import open_store

from .cables import Time
from .support import PasswordsInMemory

LOCAL = "tcp:0:interface=127.0.0.1"


class ListenersTests(TestCase):
    def setUp(self) -> None:
        holder = self.enterContext(closing(socket.create_server(("127.0.0.1", 0))))
        self.busy = f"tcp:{holder.getsockname()[1]}:interface=127.0.0.1"

    async def said(self, **settings: Any) -> str:
        """Bind, open and tell: the log."""
        ports = self.listeners(**settings)
        with capturedLogs() as events:
            ports.bind()
            ports.open()
            ports.tell()
        await ports.close()
        return "\n".join(formatEvent(event) for event in events)

    def listeners(self, **settings: Any) -> Listeners:
        """Those of a server with these settings."""
        made = Settings(**{"listen": (LOCAL,), "web": LOCAL, **settings})
        time = Time()
        server = Server(made, open_store("memory:", time), time, PasswordsInMemory())
        ports = Listeners(made, server, server.turn, reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(ports.close()))
        return ports

    async def test_who_tries_it_out_is_told_how(self) -> None:
        log = await self.said()
        self.assertRegex(log, r"to try it, open http://127\.0\.0\.1:\d+/, or paste this")
        self.assertRegex(log, r"\n    echo '.*' \| nc -q 1 127\.0\.0\.1 \d+\n")

    async def test_the_usual_page_may_be_missing_and_is_not_recommended_then(self) -> None:
        self.patch(listeners, "DEFAULT_WEB", self.busy)
        log = await self.said(web=self.busy)
        self.assertIn(f"no page for browsers: cannot listen on {self.busy}", log)
        self.assertIn("to try it, paste this", log)

    async def test_a_page_that_was_asked_for_must_be_there(self) -> None:
        ports = self.listeners(web=self.busy)
        error = self.assertRaises(BadStart, ports.bind)
        self.assertIn("see --web", str(error))

    async def test_nobody_is_told_who_cannot(self) -> None:
        for settings in (
            {"registration": "invite"},
            {"registration": "closed"},
            {"listen": ("tcp:0",)},
            {"listen": (f"haproxy:{LOCAL}",)},
        ):
            log = await self.said(**settings)
            self.assertNotIn("to try it", log, settings)
            self.assertIn("listening on", log)
