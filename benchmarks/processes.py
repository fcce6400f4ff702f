"""Server processes: started in a folder of their own, ended by their own id."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
"""Where ``chat`` and ``benchmarks`` are imported from."""

LOCALHOST = "127.0.0.1"
PASSED = "chat"
"""What a socket that a server is given is called."""

# As systemd passes a socket on; $0 is its number here.
_PASS = (
    f'exec 3<&"$0"; LISTEN_FDS=1 LISTEN_FDNAMES={PASSED} LISTEN_PID=$$ exec "$@"'
)

START_SECONDS = 30.0
STOP_SECONDS = 15.0


class Failed(Exception):
    """A row could not be measured; the other rows are."""


class NotStarted(Failed):
    """A server did not come up; the text has the end of its log."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 on which nobody listens now."""
    with socket.create_server((LOCALHOST, 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def connect_to(port: int) -> socket.socket:
    """A new connection; blocking, 30 s at most for anything."""
    return socket.create_connection((LOCALHOST, port), timeout=30)


def raise_file_limit() -> int:
    """Let this process and those it starts have as many sockets as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def memory(pid: int) -> int:
    """Resident bytes of a process."""
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Server:
    """A process that listens on a port of 127.0.0.1.

    :param name: what it is called in reports.
    :param command: its program and arguments.
    :param folder: an existing folder; becomes the working directory and has the log.
    :param listening: a socket that it is given as systemd does it.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        port: int,
        folder: Path,
        listening: socket.socket | None = None,
    ) -> None:
        self.name = name
        self.port = port
        self.folder = folder
        self._log = folder / f"{name}.log"
        passed = [] if listening is None else [listening.fileno()]
        if passed:
            command = ["/bin/bash", "-c", _PASS, str(passed[0]), *command]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=passed,
            )
        self.pid = self._process.pid
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                connect_to(self.port).close()
            except ConnectionRefusedError:
                time.sleep(0.02)
            else:
                return
        raise NotStarted(f"{self.name} does not listen on port {self.port}:\n{self.log()}")

    def log(self) -> str:
        """The end of what it has logged."""
        return self._log.read_text(errors="replace")[-2000:]

    def memory(self) -> int:
        """Resident bytes."""
        return memory(self.pid)

    def kill(self) -> None:
        """SIGKILL: it has no last word."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it: SIGTERM, and SIGKILL if that is not enough."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


@contextmanager
def folder() -> Iterator[Path]:
    """A temporary folder."""
    path = Path(tempfile.mkdtemp(prefix="chat-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
