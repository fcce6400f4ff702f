"""``chat send``, ``chat listen`` and ``chat register``, as a script runs them."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from chat.client import Client
from chat.client.results import AnyMessage
from chat.errors import StoreAway
from tests.support import PASSWORD, OverTcp

from .live import ROOT


class Script(ProcessProtocol):
    """One run of ``chat``: what it prints, and its exit status."""

    def __init__(self, given: bytes) -> None:
        self.given = given
        self.out = b""
        self.err = b""
        self.ended: Deferred[int] = Deferred()
        self._wanted: tuple[bytes, Deferred[None]] | None = None

    def connectionMade(self) -> None:
        assert self.transport is not None
        if self.given:
            self.transport.write(self.given)
        self.transport.closeStdin()

    def outReceived(self, data: bytes) -> None:  # noqa: N802
        self.out += data
        if self._wanted is not None and self._wanted[0] in self.out:
            (_, wanted), self._wanted = self._wanted, None
            wanted.callback(None)

    def errReceived(self, data: bytes) -> None:  # noqa: N802
        self.err += data

    def processEnded(self, reason: Failure) -> None:  # noqa: N802
        code = 0 if reason.check(ProcessDone) else getattr(reason.value, "exitCode", None)
        self.ended.callback(-1 if code is None else code)

    async def prints(self, text: bytes) -> None:
        """Wait until it has printed this."""
        if text not in self.out:
            wanted: Deferred[None] = Deferred()
            self._wanted = text, wanted
            await wanted


class PipeCase(OverTcp, TestCase):
    async def setUp(self) -> None:  # type: ignore[override]
        await super().setUp()
        self.home = Path(self.mktemp()).absolute()
        self.home.mkdir()
        self.address = f"127.0.0.1:{self.port}"
        self.ann_id, self.bob_id = await self.register("ann"), await self.register("bob")
        self.heard: list[str] = []

    def start(self, *arguments: object, given: bytes = b"", **environ: str) -> Script:
        script = Script(given)
        command = [sys.executable, "-m", "chat.client.console", *map(str, arguments)]
        variables = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_STATE_HOME": str(self.home / "state"),
            "LC_ALL": "C.UTF-8",
            "CHAT_SERVER": self.address,
            "CHAT_PASSWORD": PASSWORD,
            **environ,
        }
        process = reactor.spawnProcess(script, sys.executable, command, variables, str(self.home))
        self.addCleanup(self.end, script, process)
        return script

    async def end(self, script: Script, process: Any) -> None:
        if process.pid is not None:
            process.signalProcess("KILL")
            await script.ended

    async def run_chat(
        self, *arguments: object, given: bytes = b"", **environ: str
    ) -> tuple[int, str, str]:
        """Run it to its end; exit status, output, errors."""
        script = self.start(*arguments, given=given, **environ)
        status = await script.ended
        return status, script.out.decode(), script.err.decode()

    async def ann(self) -> Client:
        """The other side."""
        client = Client(f"tcp:{self.address}", self.ann_id, PASSWORD, on_message=self.hear)
        self.addCleanup(client.stopService)
        client.startService()
        await client.when_online()
        return client

    def hear(self, message: AnyMessage) -> None:
        self.heard.append(message.msg)


class SendTests(PipeCase):
    async def test_a_message_from_standard_input(self) -> None:
        await self.ann()
        self.assertEqual(
            await self.run_chat(
                "send", "--user", self.bob_id, "--to", "ann", given="héllo\nann\n".encode()
            ),
            (0, "", ""),
        )
        self.assertEqual(self.heard, ["héllo\nann"])

    async def test_a_message_on_the_command_line_by_known_names(self) -> None:
        await self.ann()
        await self.run_chat("send", "--user", self.bob_id, "--to", self.ann_id, "first")
        self.assertEqual(
            await self.run_chat("send", "-v", "--user", "bob", "--to", "ann", "two", "words"),
            (0, "delivered: two words\n", ""),
        )
        self.assertEqual(self.heard, ["first", "two words"])

    async def test_many_lines_in_their_order(self) -> None:
        await self.ann()
        lines = [str(number) for number in range(1500)]
        status, out, err = await self.run_chat(
            *("send", "--user", self.bob_id, "--to", "ann", "--lines", "-v"),
            given="\n".join(lines).encode(),
        )
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(self.heard, lines)
        self.assertEqual([line.split(": ")[1] for line in out.splitlines()], lines)

    async def test_to_a_group(self) -> None:
        ann = await self.ann()
        group_id = await ann.create_group("tea")
        said = ("send", "--user", self.bob_id, "--group")
        status, _, err = await self.run_chat(*said, group_id, "hi")
        self.assertEqual((status, self.heard), (1, []))
        self.assertIn("chat: ", err)
        bob = Client(f"tcp:{self.address}", self.bob_id, PASSWORD)
        bob.startService()
        await bob.when_online()
        await bob.join_group(group_id)
        await bob.stopService()
        for name in ("tea", "#tea", group_id):
            self.assertEqual(await self.run_chat(*said, name, "hi"), (0, "", ""))
        self.assertEqual(self.heard, ["hi"] * 3)

    async def test_what_is_refused_is_status_1(self) -> None:
        said = ("send", "--user", self.bob_id, "--to")
        for arguments, password, why in (
            (("nobody", "hi"), PASSWORD, "there is no user nobody"),
            ((999, "hi"), PASSWORD, "no such user"),
            (("ann", "hi"), "wrong", "id or password is invalid!"),
            (("ann", "x" * 70_000), PASSWORD, "too large"),
        ):
            status, out, err = await self.run_chat(*said, *arguments, CHAT_PASSWORD=password)
            self.assertEqual((status, out, err), (1, "", f"chat: {why}\n"))

    async def test_wrong_usage_is_status_2(self) -> None:
        for arguments in (
            ("send", "hi"),
            ("send", "--to", "ann", "--group", "tea", "hi"),
            ("send", "--user", "stranger", "--to", "ann", "hi"),
            ("send", "--user", self.bob_id, "--to", "ann"),
            ("--server", "a:b:c", "send", "--to", "ann", "hi"),
            (),
        ):
            status, out, err = await self.run_chat(*arguments)
            self.assertEqual((status, out), (2, ""), err)
            self.assertIn("chat", err)
        status, _, err = await self.run_chat(
            *("send", "--user", self.bob_id, "--to", "ann", "hi"), CHAT_PASSWORD=""
        )
        self.assertEqual(status, 2)
        self.assertIn("no password", err)

    async def test_no_server_is_status_3(self) -> None:
        status, _, err = await self.run_chat(
            *("send", "--user", 7, "--to", "ann", "--timeout", "0.2", "hi"),
            CHAT_SERVER="127.0.0.1:1",
        )
        self.assertEqual(status, 3)
        self.assertIn("cannot reach 127.0.0.1:1: ", err)

    async def test_what_is_not_acknowledged_is_kept_and_sent_by_the_next_start(self) -> None:
        # Ann is away and so is the store: nobody can take the message.
        offline = self.server.store.offline
        keep = offline.keep

        async def away(rows: Any) -> Any:
            raise StoreAway("away", unknown=True)

        offline.keep = away  # type: ignore[method-assign]
        said = ("send", "--user", self.bob_id, "--to", "ann")
        err = ""
        for seconds in (1, 10, 100):
            status, _, err = await self.run_chat(*said, "--timeout", seconds, "kept")
            self.assertEqual(status, 3, err)
            if "cannot reach" not in err:
                break  # the login was in time, which has as long
        self.assertIn(f"1 not acknowledged within {seconds} s; kept", err)
        offline.keep = keep  # type: ignore[method-assign]
        self.assertEqual(await self.run_chat(*said, "next"), (0, "", ""))
        listened = await self.run_chat("listen", "--user", self.ann_id, "--count", "2")
        self.assertRegex(listened[1], r"\A.* bob: kept\n.* bob: next\n\Z")


class ListenTests(PipeCase):
    async def test_what_arrives_is_printed_and_acknowledged(self) -> None:
        bob = self.start("listen", "--user", self.bob_id, "--count", "3")
        ann = await self.ann()
        sent = [ann.send(self.bob_id, text) for text in ("one", "two\nlines", "\x1b[2J", "four")]
        self.assertEqual(await bob.ended, 0)
        time = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
        wanted = rf"\A{time} ann: one\n{time} ann: two␊lines\n{time} ann: ␛\[2J\n\Z"
        self.assertRegex(bob.out.decode(), wanted)
        await gatherResults(sent)
        # The fourth was not printed, so it comes again.
        again = await self.run_chat("listen", "--json", "--user", self.bob_id, "--count", "1")
        message = json.loads(again[1])
        self.assertEqual((message["id"], message["name"]), (self.ann_id, "ann"))
        self.assertEqual((message["toid"], message["msg"]), (self.bob_id, "four"))

    async def test_it_ends_when_another_login_takes_over(self) -> None:
        bob = self.start("listen", "--user", self.bob_id)
        ann = await self.ann()
        await ann.send(self.bob_id, "hi")
        await bob.prints(b"hi\n")
        taker = self.start(
            "listen", "--user", self.bob_id, "--takeover", XDG_STATE_HOME=self.mktemp()
        )
        self.assertEqual(await bob.ended, 1)
        self.assertIn(b"taken over", bob.err)
        await ann.send(self.bob_id, "again")
        await taker.prints(b"again\n")

    async def test_two_at_a_time_do_not_share_a_ledger(self) -> None:
        bob = self.start("listen", "--user", self.bob_id)
        ann = await self.ann()
        await ann.send(self.bob_id, "hi")
        await bob.prints(b"hi\n")
        status, _, err = await self.run_chat("send", "--user", self.bob_id, "--to", "ann", "hi")
        self.assertEqual(status, 1)
        self.assertIn("in use by another client", err)


class RegisterTests(PipeCase):
    async def test_it_prints_the_id_and_the_name_is_known(self) -> None:
        status, out, err = await self.run_chat("register", "eve")
        self.assertEqual((status, err), (0, ""))
        eve = await self.server.store.users.find("eve")
        assert eve is not None
        self.assertEqual(out, f"{eve.id}\n")
        await self.ann()
        self.assertEqual(await self.run_chat("send", "--to", "ann", "it's eve"), (0, "", ""))
        self.assertEqual(self.heard, ["it's eve"])

    async def test_the_password_of_a_file(self) -> None:
        (self.home / "password").write_text(f"{PASSWORD}\n")
        given = ("--password-file", "password")
        status, _, err = await self.run_chat(*given, "register", "eve", CHAT_PASSWORD="")
        self.assertEqual((status, err), (0, ""))
        await self.ann()
        self.assertEqual(
            await self.run_chat("send", *given, "--to", "ann", "hi", CHAT_PASSWORD="wrong"),
            (0, "", ""),
        )

    async def test_what_is_refused_is_status_1(self) -> None:
        status, out, err = await self.run_chat("register", "ann")
        self.assertEqual((status, out), (1, ""))
        self.assertIn("taken", err)

    async def test_no_server_is_status_3(self) -> None:
        status, _, err = await self.run_chat("register", "eve", CHAT_SERVER="127.0.0.1:1")
        self.assertEqual(status, 3)
        self.assertIn("cannot reach 127.0.0.1:1: ", err)

    async def test_help_reads_well(self) -> None:
        status, out, _ = await self.run_chat("--help")
        self.assertEqual(status, 0)
        for part in ("chat send --to ann", "--password-file", "Exit status: 0 done", "register"):
            self.assertIn(part, out)
        self.assertLessEqual(max(map(len, out.splitlines())), 100)
