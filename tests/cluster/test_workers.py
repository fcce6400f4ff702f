"""Workers on one machine, as deploy/chat@.service has them: one port, a listening socket each."""

from __future__ import annotations

import json
import socket
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from chat.options import SETTINGS
from tests.test_plugin import PATIENCE, TWISTD, PluginTestCase, eventually

DEPLOY = Path(__file__).parents[2] / "deploy"
OF_ITS_OWN = ("Environment", "EnvironmentFile", "ExecStart", "Sockets")


def section(file: str, name: str) -> dict[str, list[str]]:
    """A section of a systemd unit of deploy/: what its options say, line by line."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in (DEPLOY / file).read_text().partition(f"[{name}]\n")[2].splitlines():
        if line.startswith("["):
            break
        option, given, value = line.partition("=")
        if given and not line.startswith("#"):
            found[option].append(value)
    return dict(found)


class UnitsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.service = section("chat@.service", "Service")

    def test_the_variables_exist(self) -> None:
        known = {setting.variable for setting in SETTINGS.values()}
        given = [text.partition("=")[0] for text in self.service["Environment"]]
        self.assertEqual(given, ["CHAT_NODE", "CHAT_STATUS", "CHAT_LISTEN", "CHAT_WEB"])
        self.assertLessEqual(set(given), known)

    def test_it_is_the_single_server_but_for_what_makes_it_one_of_several(self) -> None:
        single = section("chat.service", "Service")
        for service in (self.service, single):
            for name in OF_ITS_OWN:
                service.pop(name, None)
        self.assertGreater(len(single), 20)
        self.assertEqual(self.service, single)

    def test_it_starts_as_the_single_server_does_on_the_reactor_of_the_bus(self) -> None:
        (single,) = section("chat.service", "Service")["ExecStart"]
        (line,) = self.service["ExecStart"]
        self.assertEqual(line, single.replace("/twistd ", "/twistd --reactor=asyncio "))

    def test_the_sockets_are_those_that_it_listens_on(self) -> None:
        (sockets,) = self.service["Sockets"]
        for name, variable in (("chat@", "CHAT_LISTEN"), ("chat-web@", "CHAT_WEB")):
            options = section(f"{name}.socket", "Socket")
            self.assertEqual(options["ReusePort"], ["yes"])
            (given,) = options["FileDescriptorName"]
            self.assertIn(
                f"{variable}=systemd:domain=INET:name={given}", self.service["Environment"]
            )
            self.assertIn(f"{name}%i.socket", sockets.split())


class SharedPortTests(PluginTestCase):
    @contextmanager
    def worker(self, name: str, port: int) -> Iterator[Path]:
        """A server started as systemd does it, with sockets of its own; its log."""
        log = self.folder / name
        with closing(self.reused(port)) as chat, closing(self.reused(0)) as web:
            for listening in (chat, web):
                listening.listen()
            command = (
                f"exec 3<&{chat.fileno()} 4<&{web.fileno()};"
                ' LISTEN_FDS=2 LISTEN_FDNAMES=chat:web LISTEN_PID=$$ exec "$@"'
            )
            variables = {"CHAT_LISTEN": "systemd:domain=INET:name=chat",
                         "CHAT_WEB": "systemd:domain=INET:name=web"}  # fmt: skip
            with log.open("wb") as output:
                process = subprocess.Popen(
                    ["/bin/bash", "-c", command, "bash", TWISTD, "--nodaemon", "--pidfile=",
                     "chat", "--database=memory:", "--no-limits"],
                    cwd=self.folder, env=self.environ(**variables), stdin=subprocess.DEVNULL,
                    stdout=output, stderr=output, pass_fds=[chat.fileno(), web.fileno()],
                )  # fmt: skip
        try:
            eventually(lambda: "the page is at" in log.read_text())
            yield log
        finally:
            process.kill()
            process.wait()

    def reused(self, port: int) -> socket.socket:
        """A socket at this port, as ``ReusePort=yes`` makes it."""
        made = socket.socket()
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind(("127.0.0.1", port))
        return made

    def test_the_kernel_spreads_who_connects(self) -> None:
        with closing(self.reused(0)) as held:
            port = held.getsockname()[1]
            with self.worker("one", port) as one, self.worker("two", port) as two:
                where = {self.hello(port, (one, two), number) for number in range(40)}
        self.assertEqual(where, {one, two})

    def hello(self, port: int, logs: tuple[Path, Path], number: int) -> Path:
        """Where one more client gets to."""
        with closing(socket.create_connection(("127.0.0.1", port), PATIENCE)) as client:
            lines = client.makefile("rb")
            client.sendall(b'{"msgid":3,"name":"no. %d","password":"x"}\n' % number)
            user_id = json.loads(lines.readline())["id"]
            client.sendall(b'{"msgid":1,"id":%d,"password":"x"}\n' % user_id)
            self.assertEqual(json.loads(lines.readline())["errno"], 0)
            told = f" 127.0.0.1:{client.getsockname()[1]} user {user_id}: logged in"
            eventually(lambda: any(told in log.read_text() for log in logs))
        (log,) = (log for log in logs if told in log.read_text())
        return log
