"""The console in a real terminal, against a real server."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from chat.client import Client, register
from chat.client.results import AnyMessage
from tests.support import PASSWORD, OverTcp

from .live import ServerProcess
from .terminal import Terminal


class ConsoleCase(TestCase):
    """A server at :attr:`port`, and ann, who has an account."""

    port: int

    async def set_up_people(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.endpoint = f"tcp:127.0.0.1:{self.port}"
        self.ann_id = await self.register("ann")
        self.heard: list[AnyMessage] = []
        self.hears_one: Deferred[None] = Deferred()

    async def register(self, name: str) -> int:
        """Make an account; its id."""
        return await register(self.endpoint, name, PASSWORD)

    async def other(self, user_id: int, **options: Any) -> Client:
        """The other side."""
        client = Client(self.endpoint, user_id, PASSWORD, on_message=self.hear, **options)
        self.addCleanup(client.stopService)
        client.startService()
        await client.when_online()
        return client

    def hear(self, message: AnyMessage) -> None:
        self.heard.append(message)
        if not self.hears_one.called:
            self.hears_one.callback(None)

    async def hears(self, text: str) -> None:
        """Wait for the first message that the other side gets, and the only one."""
        await self.hears_one
        self.assertEqual([message.msg for message in self.heard], [text])

    def terminal(self, *arguments: str, **environ: str) -> Terminal:
        address = f"127.0.0.1:{self.port}"
        terminal = Terminal(self.folder, "--server", address, *arguments, environ=environ)
        self.addCleanup(terminal.close)
        return terminal

    def known(self, user_id: int, **environ: str) -> Terminal:
        """A terminal with somebody in it who needs not be asked."""
        return self.terminal("--user", str(user_id), CHAT_PASSWORD=PASSWORD, **environ)


class HereCase(OverTcp, ConsoleCase):
    """The server is in this process: it starts at once, and hashes passwords cheaply."""

    async def setUp(self) -> None:  # type: ignore[override]
        await super().setUp()
        await self.set_up_people()


class AwayCase(ConsoleCase):
    """The server is a process of its own, :attr:`process`, and can be killed."""

    async def setUp(self) -> None:  # type: ignore[override]
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        self.process = ServerProcess(folder)
        self.addCleanup(lambda: deferToThread(self.process.stop))
        await deferToThread(self.process.start)
        self.port = self.process.port
        await self.set_up_people()


class TalkTests(HereCase):
    async def test_from_registering_to_talking(self) -> None:
        ann = await self.other(self.ann_id)
        bob = self.terminal()
        await bob.until("User, by name or id")
        bob.enter("register")
        await bob.until("Name: ")
        bob.enter("bob")
        await bob.until("Password for bob: ")
        bob.enter("open sesame")
        await bob.until("Once more: ")
        bob.enter("open sesame")
        screen = await bob.until(r"Welcome, bob \(id (\d+)\)")
        self.assertNotIn("sesame", screen)
        bob_id = int(re.findall(r"Welcome, bob \(id (\d+)\)", screen)[0])
        await bob.until(r"bob@.* online")

        bob.enter("/to ann")
        await bob.until("^── ann ──$")
        bob.enter("hello ann")
        await bob.until(r"^\d\d:\d\d bob: hello ann  ✓✓ delivered$")
        self.assertEqual([message.msg for message in self.heard], ["hello ann"])
        self.assertEqual(self.heard[0].id, bob_id)

        # A line that arrives while one types stands above what is typed, which is whole.
        bob.type("half a sen")
        await bob.until("^ann> half a sen$")
        self.assertEqual((await ann.send(bob_id, "am I interrupting?")).state, "delivered")
        screen = await bob.until(r"^\d\d:\d\d ann: am I interrupting\?$")
        self.assertRegex(screen, r"(?m)^ann> half a sen$")
        bob.type("tence")
        bob.press("Enter")
        await bob.until(r"bob: half a sentence  ✓✓ delivered$")
        self.assertEqual(self.heard[-1].msg, "half a sentence")

        # What would take over the terminal is shown instead.
        await ann.send(bob_id, "\x1b[2J\x1b]0;owned\x07\u202eevil\nsecond line")
        screen = await bob.until(r"ann: ␛\[2J␛\]0;owned␇\\u202eevil$")
        self.assertRegex(screen, r"(?m)^           second line$")
        self.assertIn("hello ann", screen)

        # Who is away gets it later, and that is told too.
        await ann.stopService()
        bob.enter("are you there?")
        await bob.until(r"bob: are you there\?  ✓ stored$")
        bob.press("C-d")
        self.assertEqual(await bob.ended(), 0)

        # Its id is known now, and what was said is there again.
        again = self.terminal("--user", "bob")
        await again.until("Password of bob: ")
        again.enter("open sesame")
        await again.until("Welcome, bob")
        again.enter("/to ann")
        screen = await again.until("bob: are you there?")
        said = re.findall(r"(?m)^\d\d:\d\d (\w+): (.*)$", screen)
        self.assertEqual(said[0], ("bob", "hello ann"))
        self.assertEqual(said[2], ("bob", "half a sentence"))

    async def test_unread_messages_are_counted_and_shown_on_entering(self) -> None:
        ann = await self.other(self.ann_id)
        eve_id = await self.register("eve")
        bob_id = await self.register("bob")
        bob = self.known(bob_id)
        await bob.until("Welcome, bob")
        await ann.send(bob_id, "seen at once")
        await bob.until("ann: seen at once")
        bob.enter(f"/to {eve_id}")
        await bob.until("^── eve ──$")
        await ann.send(bob_id, "first")
        await ann.send(bob_id, "second")
        await bob.until(r"^\[ann\] second$")
        await bob.until("online | unread: ann 2")
        bob.enter("/to ann")
        screen = await bob.until("^── 2 new ──$")
        await bob.until(r"^\d\d:\d\d ann: second$")
        self.assertEqual(len(re.findall(r"(?m)^\d\d:\d\d ann: first$", self.after(screen))), 1)
        self.assertNotIn("unread", bob.screen().splitlines()[-1])

    def after(self, screen: str) -> str:
        return screen.partition("── ann ──")[2]

    async def test_names_are_completed(self) -> None:
        ann = self.known(self.ann_id)
        await ann.until("Welcome, ann")
        ann.type("/fri")
        await ann.until("your friends, and who is online")
        ann.press("Tab")
        await ann.until("^> /friends")
        ann.press("Enter")
        await ann.until("No friends yet")
        ann.enter("/create tea at five")
        await ann.until("#tea is group")
        ann.type("/to #t")
        ann.press("Tab")
        await ann.until("^> /to #tea")
        ann.press("Enter")
        await ann.until("^#tea>")
        ann.enter("alone")
        await ann.until("ann: alone  ✓✓ delivered")


class OriginalTests(HereCase):
    async def test_the_original_s_commands_work_as_typed_there(self) -> None:
        bob_id = await self.register("bob")
        bob = await self.other(bob_id)
        ann = self.known(self.ann_id)
        await ann.until("Welcome, ann")
        ann.enter("help")
        await ann.until("groupchat:groupid:message +group chat")
        ann.enter(f"chat:{bob_id}:hello: bob")
        await ann.until(r"ann → bob: hello: bob  ✓✓ delivered|ann → \d+: hello: bob  ✓✓ delivered")
        self.assertEqual(self.heard[-1].msg, "hello: bob")
        ann.enter(f"addfriend:{bob_id}")
        await ann.until("bob is your friend now")
        ann.enter("creategroup:tea:at five")
        screen = await ann.until(r"#tea is group \d+")
        group_id = int(re.findall(r"#tea is group (\d+)", screen)[0])
        await bob.join_group(group_id)
        await ann.until("#tea: bob joined")
        ann.enter(f"groupchat:{group_id}:hello all")
        await ann.until("ann → #tea: hello all  ✓✓ delivered")
        await bob.send(self.ann_id, "hi ann")
        await ann.until(r"^\d\d:\d\d bob: hi ann$")
        ann.enter("chat:99:nobody")
        await ann.until("Not delivered")
        ann.enter("what")
        await ann.until("Choose whom to talk to first")
        other = await bob.create_group("coffee")
        ann.enter(f"addgroup:{other}")
        await ann.until("You are in #coffee")
        ann.enter("loginout")
        await ann.until("User, by name or id")
        ann.press("C-d")
        self.assertEqual(await ann.ended(), 0)


class TroubleTests(AwayCase):
    async def test_the_server_is_restarted_under_it(self) -> None:
        bob_id = await self.register("bob")
        bob = self.known(bob_id)
        await bob.until(r"bob@.* online")
        bob.enter("/to ann")
        await bob.until("^── ann ──$")
        await deferToThread(self.process.stop, signal.SIGKILL)
        await bob.until("offline, again in")
        bob.enter("written while it is away")
        await bob.until("bob: written while it is away  … sending$")
        await bob.until("1 under way")
        bob.enter("/friends")
        await bob.until("there is none just now")
        await deferToThread(self.process.start)
        await bob.until("✓ stored: written while it is away$")
        await bob.until(r"bob@.* online")
        await self.other(self.ann_id)
        await self.hears("written while it is away")

    async def test_it_is_killed_with_something_to_send(self) -> None:
        bob_id = await self.register("bob")
        bob = self.known(bob_id)
        await bob.until(r"bob@.* online")
        await deferToThread(self.process.stop)
        await bob.until("offline, again in")
        bob.enter(f"chat:{self.ann_id}:kept")
        await bob.until("kept  … sending")
        os.kill(bob.pid(), signal.SIGKILL)
        self.assertEqual(await bob.ended(), 128 + signal.SIGKILL)
        await deferToThread(self.process.start)
        again = self.known(bob_id)
        await again.until("✓ stored: kept")
        await self.other(self.ann_id)
        await self.hears("kept")


class LoginTests(HereCase):
    async def test_another_login_takes_over(self) -> None:
        ann = self.known(self.ann_id)
        await ann.until(r"ann@.* online")
        await self.other(self.ann_id, takeover=True)
        await ann.until("Another login of yours took over.")
        self.assertEqual(await ann.ended(), 1)

    async def test_a_wrong_password(self) -> None:
        ann = self.terminal("--user", str(self.ann_id), CHAT_PASSWORD="wrong")
        await ann.until("Cannot log in: id or password is invalid!")
        self.assertEqual(await ann.ended(), 1)

    async def test_staying_logged_in(self) -> None:
        ann = self.terminal("--user", str(self.ann_id), "--stay", CHAT_PASSWORD=PASSWORD)
        await ann.until("Welcome, ann")
        ann.enter("/quit")
        self.assertEqual(await ann.ended(), 0)
        again = self.terminal("--user", "ann")
        await again.until("Welcome, ann")
        again.enter("/logout")
        await again.until("User, by name or id")
        again.enter("ann")
        await again.until("Password of ann: ")
        again.press("C-c")
        self.assertEqual(await again.ended(), 130)
