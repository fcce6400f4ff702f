"""``twistd chat`` as a real process: how it starts, and how it does not."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from twisted.trial.unittest import SynchronousTestCase

from tests import mariadb

TWISTD = Path(sys.executable).with_name("twistd")
PATIENCE = 120.0
ANY_PORT = "--listen=tcp:0:interface=127.0.0.1"


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until it holds."""
    until = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() >= until:
            raise AssertionError("it did not come to that")
        time.sleep(0.02)


class Ended(NamedTuple):
    """What a process left."""

    status: int
    stdout: str
    stderr: str


class PluginTestCase(SynchronousTestCase):
    reactor: tuple[str, ...] = ()
    """Options for twistd, to have another one."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    def environ(self, **variables: str) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if name[:5] != "CHAT_"}
        return {**clean, "CHAT_WEB": "none", "CHAT_STATUS": "none", **variables}

    def begin(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [TWISTD, *arguments],
            cwd=self.folder,
            env=self.environ(**variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self, process: subprocess.Popen[str]) -> Ended:
        try:
            stdout, stderr = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
        return Ended(process.returncode, stdout, stderr)

    def run_to_its_end(self, *arguments: str, **variables: str) -> Ended:
        return self.end(self.begin(*arguments, **variables))

    @contextmanager
    def served(self, *options: str, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
        """A server in the foreground; its output is in ``output``."""
        with (self.folder / "output").open("wb") as output:
            process = subprocess.Popen(
                [TWISTD, *self.reactor, "--nodaemon", "--pidfile=", "chat", *options],
                cwd=self.folder,
                env=self.environ(**variables),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def output(self) -> str:
        return (self.folder / "output").read_text()

    def port(self, log: str = "output") -> int:
        """Where it listens, once it does."""
        address: list[str] = []

        def listening() -> bool:
            path = self.folder / log
            text = path.read_text() if path.exists() else ""
            if "Traceback" in text or "cannot start" in text:
                raise AssertionError(text)
            address[:] = re.findall(r"listening on 127\.0\.0\.1:(\d+)", text)
            return bool(address)

        eventually(listening)
        return int(address[0])

    def converse(self, port: int, *requests: object) -> list[dict[str, object]]:
        """Send requests, and as many answers."""
        with closing(socket.create_connection(("127.0.0.1", port), PATIENCE)) as connection:
            connection.sendall("".join(f"{json.dumps(it)}\n" for it in requests).encode())
            lines = connection.makefile("rb")
            return [json.loads(lines.readline()) for _ in requests]


class ListTests(PluginTestCase):
    def test_twistd_lists_it(self) -> None:
        done = self.run_to_its_end("--help")
        self.assertEqual(done.status, 0)
        self.assertRegex(done.stdout, r"\n +chat +A chat server")

    def test_being_listed_imports_nothing_of_ours(self) -> None:
        program = (
            "import sys\n"
            "from twisted.application.service import IServiceMaker\n"
            "from twisted.plugin import getPlugins\n"
            "assert 'chat' in [it.tapname for it in getPlugins(IServiceMaker)]\n"
            "print([name for name in sys.modules if name.partition('.')[0] == 'chat'])\n"
        )
        listed = subprocess.run(
            [sys.executable, "-c", program],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        self.assertEqual(listed.stdout, "[]\n")

    def test_manual(self) -> None:
        done = self.run_to_its_end("chat", "--help")
        self.assertEqual((done.status, done.stderr), (0, ""))
        for words in ("--listen ENDPOINT", "--database URL", "--no-limits", "CHAT_DATABASE="):
            self.assertIn(words, done.stdout)


class CannotStartTests(PluginTestCase):
    """One line on standard error, status 1, and nothing left behind, in the background or not."""

    def refused(self, *options: str, leaves: tuple[str, ...] = (), **variables: str) -> str:
        told = set()
        modes: tuple[tuple[str, ...], ...] = (("--pidfile=a.pid",), ("--nodaemon", "--pidfile="))
        for process in [self.begin(*mode, "chat", *options, **variables) for mode in modes]:
            ended = self.end(process)
            self.assertEqual((ended.status, ended.stdout), (1, ""))
            self.assertRegex(ended.stderr, r"\Atwistd chat: [^\n]+\n\Z")
            told.add(ended.stderr.removeprefix("twistd chat: ").rstrip())
        self.assertEqual(sorted(it.name for it in self.folder.iterdir()), list(leaves))
        self.assertEqual(len(told), 1)
        return told.pop()

    def test_bad_options(self) -> None:
        self.assertIn("--nonsense", self.refused("--nonsense"))
        self.assertIn("must be a whole number", self.refused("--max-line=x"))
        self.assertIn("must be a whole number", self.refused(CHAT_MAX_LINE="x"))
        self.assertIn(
            "--listen nonsense:", self.refused("--listen=nonsense:1", "--database=memory:")
        )
        self.assertIn("unknown kind of database", self.refused("--database=postgres://x/y"))

    def test_a_bus_that_cannot_be(self) -> None:
        self.assertIn("unknown kind of bus", self.refused("--bus=redis://x", "--database=memory:"))
        url = "nats://chat:secret@127.0.0.1:1"
        text = self.refused("--database=memory:", CHAT_BUS=url)
        self.assertIn("one --database mysql://", text)
        self.assertNotIn("secret", text)
        text = self.refused("--database=mysql://chat@127.0.0.1:1/chat", CHAT_BUS=url)
        self.assertIn("--reactor=asyncio", text)
        self.assertNotIn("secret", text)
        self.assertIn("must be letters", self.refused("--node=a b", "--database=memory:"))

    def test_busy_port(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            number = taken.getsockname()[1]
            text = self.refused(f"--listen=tcp:{number}:interface=127.0.0.1", "--database=memory:")
        self.assertIn(f"{number}", text)
        self.assertIn("Address already in use", text)
        self.assertIn("ss -ltnp", text)

    def test_one_of_two_ports_is_busy(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            number = taken.getsockname()[1]
            self.refused(
                ANY_PORT, f"--listen=tcp:{number}:interface=127.0.0.1", "--database=memory:"
            )

    def test_no_folder_for_the_file(self) -> None:
        self.assertIn("nowhere", self.refused(ANY_PORT, "--database=sqlite:nowhere/chat.sqlite"))

    def test_newer_schema(self) -> None:
        with closing(sqlite3.connect(self.folder / "chat.sqlite")) as database:
            database.execute("CREATE TABLE schemaversion (version INT, statements INT)")
            database.execute("INSERT INTO schemaversion VALUES (9999, 0)")
            database.commit()
        self.assertIn("version 9999", self.refused(ANY_PORT, leaves=("chat.sqlite",)))

    def test_no_database_there(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as unused:
            number = unused.getsockname()[1]
        url = f"mysql://chat:top%20secret@127.0.0.1:{number}/chat"
        text = self.refused(ANY_PORT, CHAT_DATABASE=url)
        self.assertIn(f"127.0.0.1:{number}", text)
        self.assertNotIn("secret", text)

    def test_database_does_not_let_us_in(self) -> None:
        server = mariadb.shared()
        right = server.fresh()
        name = right.rpartition("/")[2]
        text = self.refused(ANY_PORT, CHAT_DATABASE=server.url(name, password="wrong-one"))
        self.assertIn("Access denied", text)
        self.assertNotIn("wrong-one", text)
        self.refused(ANY_PORT, CHAT_DATABASE=server.url("chat_nosuch"))

    def test_newer_schema_on_mariadb(self) -> None:
        server = mariadb.shared()
        url = server.fresh()
        name = url.rpartition("/")[2]
        server.ask("CREATE TABLE schemaversion (version INT, statements INT)", database=name)
        server.ask("INSERT INTO schemaversion VALUES (9999, 0)", database=name)
        self.assertIn("version 9999", self.refused(ANY_PORT, CHAT_DATABASE=url))

    def test_what_fails_only_later_has_its_status_too(self) -> None:
        """The tables are made when the server runs as the user it is to run as."""
        with closing(sqlite3.connect(self.folder / "chat.sqlite")) as database:
            database.execute("CREATE TABLE schemaversion (version INT, statements INT)")
            database.execute("INSERT INTO schemaversion VALUES (0, 0)")
            database.execute("CREATE TABLE user (of_another_program INT)")
            database.commit()
        with self.served(ANY_PORT) as process:
            self.assertEqual(process.wait(PATIENCE), 1)
        self.assertIn("cannot start: ", self.output())
        self.assertNotIn("Traceback", self.output())
        self.assertNotIn("listening", self.output())


class StartTests(PluginTestCase):
    def test_foreground_until_a_signal(self) -> None:
        with self.served(ANY_PORT) as process:
            answers = self.converse(
                self.port(),
                {"msgid": 3, "name": "ann", "password": "secret"},
                {"msgid": 13, "cid": "there?"},
            )
            self.assertEqual(answers[0]["errno"], 0)
            self.assertEqual(answers[1], {"msgid": 14, "cid": "there?"})
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)
        self.assertIn("stopped", self.output())
        self.assertNotIn("Traceback", self.output())
        self.assertTrue((self.folder / "chat.sqlite").exists())
        self.assertEqual((self.folder / "chat.sqlite").stat().st_mode & 0o777, 0o600)

    def test_how_to_try_it_is_told_and_true(self) -> None:
        with self.served(ANY_PORT, "--web=tcp:0:interface=127.0.0.1"):
            eventually(lambda: "nc -q" in self.output())
            page = re.search(r"to try it, open (\S+), or paste this", self.output())
            paste = re.search(r"^\s+(echo .* \| nc .*)$", self.output(), re.MULTILINE)
            assert page is not None and paste is not None, self.output()
            with urllib.request.urlopen(page[1], timeout=PATIENCE) as answer:
                self.assertIn(b"<title>Chat</title>", answer.read())
            said = subprocess.check_output(["/bin/sh", "-c", paste[1]], timeout=PATIENCE)
            self.assertEqual(json.loads(said), {"msgid": 4, "errno": 0, "id": 1})

    def test_background(self) -> None:
        done = self.run_to_its_end("--logfile=log", "chat", ANY_PORT)
        self.assertEqual((done.status, done.stdout, done.stderr), (0, "", ""))
        pid_file = self.folder / "twistd.pid"
        pid = int(pid_file.read_text())
        try:
            port = self.port("log")
            answers = self.converse(port, {"msgid": 3, "name": "ann", "password": "secret"})
            self.assertEqual(answers[0]["errno"], 0)
            again = self.run_to_its_end(
                "--pidfile=other.pid", "chat", f"--listen=tcp:{port}:interface=127.0.0.1"
            )
            self.assertEqual(again.status, 1)
            self.assertIn("Address already in use", again.stderr)
        finally:
            os.kill(pid, signal.SIGTERM)
        eventually(lambda: not pid_file.exists())
        self.assertIn("stopped", (self.folder / "log").read_text())

    def test_password_of_the_database_is_told_to_nobody(self) -> None:
        server = mariadb.shared()
        url = server.fresh()
        password = url.split(":")[2].partition("@")[0]
        with self.served(ANY_PORT, CHAT_DATABASE=url) as process:
            self.port()
            self.assertIn(b"chat", Path(f"/proc/{process.pid}/cmdline").read_bytes())
            for secret in (password, mariadb.PASSWORD):
                self.assertNotIn(secret.encode(), Path(f"/proc/{process.pid}/cmdline").read_bytes())
                self.assertNotIn(secret, self.output())
            self.assertIn(f"127.0.0.1:{server.port}", self.output())

    def test_who_is_refused_leaves_the_port_to_others(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            number = free.getsockname()[1]
        mine = f"--listen=tcp:{number}:interface=127.0.0.1"
        refused = self.run_to_its_end("--nodaemon", "chat", mine, "--database=nonsense")
        self.assertEqual(refused.status, 1)
        with self.served(mine, "--database=memory:"):
            self.assertEqual(self.port(), number)
