"""What is in deploy/: options that exist, and a socket that is passed on over a restart."""

from __future__ import annotations

import json
import re
import shlex
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from chat.options import SETTINGS
from chat.tap import Options
from tests.test_plugin import PATIENCE, TWISTD, PluginTestCase, eventually

DEPLOY = Path(__file__).parent.parent / "deploy"
LISTEN = "systemd:domain=INET:index=0"


class FilesTests(SynchronousTestCase):
    def test_the_unit_starts_the_server_with_options_that_exist(self) -> None:
        (line,) = re.findall(r"^ExecStart=(.*)$", (DEPLOY / "chat.service").read_text(), re.M)
        program, *arguments = shlex.split(line)
        self.assertEqual(Path(program).name, "twistd")
        at = arguments.index("chat")
        options = Options()
        options.parseOptions(arguments[at + 1 :])
        self.assertEqual(options.settings.log_format, "json")

    def test_there_is_time_to_stop(self) -> None:
        unit = (DEPLOY / "chat.service").read_text()
        compose = (DEPLOY / "docker" / "compose.yaml").read_text()
        longest = SETTINGS["shutdown_seconds"].default
        for text, pattern in ((unit, r"TimeoutStopSec=(\d+)"), (compose, r"period: (\d+)s")):
            for seconds in re.findall(pattern, text):
                self.assertGreater(int(seconds), longest)

    def test_the_containers_variables_exist(self) -> None:
        known = {setting.variable for setting in SETTINGS.values()}
        for name in ("Dockerfile", "compose.yaml"):
            text = (DEPLOY / "docker" / name).read_text()
            found = set(re.findall(r"\b(CHAT_[A-Z_]+)[=:] ?\S", text))
            self.assertTrue(found)
            self.assertLessEqual(found - {"CHAT_DB_PASSWORD"}, known)


class PassedOnTests(PluginTestCase):
    @contextmanager
    def activated(self, port: socket.socket) -> Iterator[subprocess.Popen[bytes]]:
        """A server started as systemd does it, with a listening socket as its descriptor 3."""
        names = "LISTEN_FDS=1 LISTEN_FDNAMES=chat.socket LISTEN_PID=$$"
        command = f'exec 3<&{port.fileno()}; {names} exec "$@"'
        with (self.folder / "output").open("ab") as output:
            process = subprocess.Popen(
                ["/bin/bash", "-c", command, "bash", TWISTD, "--nodaemon", "--pidfile=", "chat",
                 "--listen", LISTEN],
                cwd=self.folder, env=self.environ(), stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, pass_fds=[port.fileno()],
            )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def test_who_connects_during_a_restart_waits(self) -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as port:
            address = port.getsockname()
            with self.activated(port) as process:
                with closing(socket.create_connection(address, PATIENCE)) as client:
                    client.sendall(b'{"msgid":3,"name":"ann","password":"x"}\n')
                    self.assertEqual(json.loads(client.recv(1000))["errno"], 0)
                process.send_signal(signal.SIGTERM)
                self.assertEqual(process.wait(PATIENCE), -signal.SIGTERM)
            with closing(socket.create_connection(address, PATIENCE)) as client:
                client.sendall(b'{"msgid":3,"name":"ann","password":"x"}\n')
                with self.activated(port):
                    self.assertEqual(json.loads(client.recv(1000))["errno"], 1)
                    eventually(lambda: self.output().count("listening on") == 2)
