"""Processes killed, at both ends and in the middle: nothing is lost, nothing is shown twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from chat.client import Client, Ledger, Status, Unsent, register
from chat.client.link import State
from chat.client.results import AnyMessage, Sent
from tests.support import PASSWORD

from .live import ROOT, ServerProcess

PATIENCE = 300.0
"""Seconds that anything may take before its test fails."""


class Program:
    """A client process; see :mod:`tests.client.programs`.  It gets no further ahead of who reads
    what it prints than a page."""

    def __init__(self, *command: object, cwd: Path | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *map(str, command)],
            cwd=cwd or ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            pipesize=4096,
        )
        self.lines: list[str] = []

    async def until(self, wanted: str) -> None:
        """Read what it prints up to the line that begins with these two words."""
        assert self.process.stdout is not None
        while True:
            line = await deferToThread(self.process.stdout.readline)
            assert line, f"it has ended without {wanted!r}:\n{''.join(self.lines[-30:])}"
            self.lines.append(line.decode().strip())
            if self.lines[-1].split()[:2] == wanted.split():
                return

    def kill(self) -> list[str]:
        """End it without a word; all whole lines that it has printed."""
        self.process.send_signal(signal.SIGKILL)
        rest, _ = self.process.communicate()
        *lines, _ = rest.decode().split("\n")
        self.lines += [line.strip() for line in lines]
        return self.lines


class KillCase(TestCase):
    async def setUp(self) -> None:  # type: ignore[override]
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.server = ServerProcess(self.folder)
        self.addCleanup(lambda: deferToThread(self.server.stop))
        await deferToThread(self.server.start)
        self.ann_id = await register(self.server.endpoint, "ann", PASSWORD)
        self.bob_id = await register(self.server.endpoint, "bob", PASSWORD)
        self.shown: list[str] = []
        self._wanted: tuple[Callable[[], bool], Deferred[None]] | None = None

    def program(self, *command: object, cwd: Path | None = None) -> Program:
        program = Program(*command, cwd=cwd)
        self.addCleanup(self.end, program)
        return program

    def end(self, program: Program) -> None:
        if program.process.poll() is None:
            program.kill()

    def client(self, user_id: int, **options: Any) -> Client:
        client = Client(
            self.server.endpoint,
            user_id,
            PASSWORD,
            **{"retry_policy": lambda _: 0.1, "on_message": self.show, **options},
        )
        self.addCleanup(client.stopService)
        client.startService()
        return client

    def show(self, message: AnyMessage) -> None:
        self.shown.append(message.msg)
        self.check()

    def check(self) -> None:
        if self._wanted is not None and self._wanted[0]():
            (_, wanted), self._wanted = self._wanted, None
            wanted.callback(None)

    async def until(self, fact: Callable[[], bool]) -> None:
        """Wait until this is so; it is looked at whenever a message has come."""
        if not fact():
            wanted: Deferred[None] = Deferred()
            self._wanted = fact, wanted
            await wanted.addTimeout(PATIENCE, reactor)


class SenderTests(KillCase):
    async def test_a_killed_sender_goes_on_where_it_was(self) -> None:
        self.client(self.bob_id)
        ledger = self.folder / "ann.ledger"
        first = 0
        for last_words in ("kept 5", "kept 60", "kept 200", "sent 80"):
            program = self.sender(ledger, first)
            await program.until(last_words)
            program.kill()
            kept = Ledger(ledger, self.ann_id)
            texts = [int(one.text) for one in kept.unsent()]
            kept.close()
            told = {int(line.split()[1]) for line in program.lines if line.startswith("kept ")}
            sent = {int(line.split()[1]) for line in program.lines if line.startswith("sent ")}
            # What it said it had kept is there, but for one that was acknowledged while it died.
            self.assertLessEqual(len(told - sent - set(texts)), 1)
            first = max([first - 1, *texts, *told, *sent]) + 1
        program = self.sender(ledger, first)
        await program.until("sent 299")
        await self.until(lambda: len(self.shown) >= 300)
        self.assertEqual(self.shown, [str(number) for number in range(300)])

    def sender(self, ledger: Path, first: int) -> Program:
        return self.program(
            *("-m", "tests.client.programs", "send", self.server.endpoint),
            *(self.ann_id, PASSWORD, ledger, self.bob_id, first, 299),
        )


class RecipientTests(KillCase):
    async def test_a_killed_recipient_shows_nothing_twice(self) -> None:
        ann = self.client(self.ann_id)
        await ann.when_online()
        sent = [ann.send(self.bob_id, str(number)) for number in range(400)]
        ledger = self.folder / "bob.ledger"
        before: list[str] = []
        for last in (0, 30, 70, 150, 399):
            program = self.program(
                *("-m", "tests.client.programs", "show", self.server.endpoint),
                *(self.bob_id, PASSWORD, ledger),
            )
            await program.until(f"shown {last}")
            shown = [line.split()[1] for line in program.kill()]
            # Between showing a message and recording it lies one write: a kill can hit it.
            if before and shown[0] == before[-1]:
                del shown[0]
            before += shown
        self.assertEqual(before, [str(number) for number in range(400)])
        results = await gatherResults(sent)
        self.assertLessEqual({result.state for result in results}, {"stored", "delivered"})


class ServerTests(KillCase):
    async def test_a_server_restarted_under_its_clients(self) -> None:
        answers: list[str] = []

        def answered(unsent: Unsent, result: Sent | Exception) -> None:
            assert isinstance(result, Sent), result
            answers.append(unsent.text)
            self.check()

        states: list[State] = []

        def told(status: Status) -> None:
            states.append(status.state)

        ann = self.client(self.ann_id, on_sent=answered, on_status=told)
        self.client(self.bob_id)
        written: list[str] = []

        def write(how_many: int) -> None:
            for _ in range(how_many):
                written.append(str(len(written)))
                ann.send(self.bob_id, written[-1])

        for how in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
            write(100)
            goal = len(written) - 70
            await self.until(lambda goal=goal: len(self.shown) >= goal)  # type: ignore[misc]
            await deferToThread(self.server.stop, how)
            write(50)
            await deferToThread(self.server.start)
        await self.until(lambda: len(answers) == len(written) == len(self.shown))
        self.assertEqual(self.shown, written)
        self.assertEqual(sorted(answers, key=int), written)
        self.assertEqual(ann.unacknowledged, [])
        self.assertGreaterEqual(states.count(State.WAITING), 3)


class BotTests(KillCase):
    async def test_the_bot_says_each_thing_back_once(self) -> None:
        ann = self.client(self.ann_id)
        bot = self.bot()
        await ann.send(self.bob_id, "hello")
        await self.until(lambda: self.shown == ["hello"])
        sent = [ann.send(self.bob_id, str(number)) for number in range(200)]
        await self.until(lambda: len(self.shown) >= 50)
        bot.kill()
        self.bot()
        await self.until(lambda: len(self.shown) >= 201)
        self.assertEqual(self.shown, ["hello", *(str(number) for number in range(200))])
        await gatherResults(sent)

    async def test_the_bot_says_why_it_cannot_start(self) -> None:
        bot = self.bot("wrong")
        said, _ = await deferToThread(bot.process.communicate)
        self.assertEqual(bot.process.returncode, 1)
        self.assertIn("LoginRefused: 1 id or password is invalid!", said.decode())

    def bot(self, password: str = PASSWORD) -> Program:
        script = ROOT / "examples" / "echo_bot.py"
        return self.program(script, self.server.endpoint, self.bob_id, password, cwd=self.folder)
