"""What the faults are done to: a chat server process and its database, SQLite's or MariaDB's."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

from tests.mariadb import MariaDB

from .proxy import LOCALHOST, Proxy

ROOT = Path(__file__).parents[2]
TWISTD = Path(sys.executable).with_name("twistd")
PATIENCE = 120.0
"""Seconds for anything that the machine does by itself."""
ROWS = "SELECT count(*) FROM offlinemessage"


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind((LOCALHOST, 0))
        return int(probe.getsockname()[1])


class Data(ABC):
    """A database."""

    name: str
    url: str
    """As the server is told."""

    @abstractmethod
    async def open(self) -> None:
        """Make room for it."""

    @abstractmethod
    async def close(self) -> None:
        """It is not needed any more."""

    @abstractmethod
    def rows(self) -> int:
        """How many messages wait in it."""


class SqliteData(Data):
    """A file."""

    name = "sqlite"

    def __init__(self, folder: Path) -> None:
        self.path = folder / "chat.sqlite"
        self.url = f"sqlite:{self.path}"

    async def open(self) -> None:
        """The server makes the file."""

    async def close(self) -> None:
        """It goes with its folder."""

    def connect(self) -> sqlite3.Connection:
        """One more process's connection; close it."""
        return sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)

    def rows(self) -> int:
        with closing(self.connect()) as connection:
            return int(connection.execute(ROWS).fetchone()[0])


class MariaData(Data):
    """A database of a MariaDB server, behind a proxy of its own."""

    name = "mariadb"

    def __init__(self, server: MariaDB) -> None:
        self.server = server
        self.proxy = Proxy(server.port)

    async def open(self) -> None:
        url = self.server.fresh()
        self.database = url.rpartition("/")[2]
        await self.proxy.open()
        self.url = url.replace(f":{self.server.port}/", f":{self.proxy.port}/")

    def rows(self) -> int:
        return int(self.server.ask(ROWS, database=self.database)[0][0])

    async def start(self) -> None:
        """Start it, or wake it."""
        await asyncio.to_thread(self.server.start)

    async def close(self) -> None:
        await self.proxy.close()


class ChatServer:
    """``twistd chat`` on one port and one database, started again and again.

    :param folder: where its log is; kept when it is started again.
    """

    def __init__(self, folder: Path, data: Data, options: Sequence[str] = ()) -> None:
        self.port = free_port()
        self.data = data
        self.options = options
        self._folder = folder
        self._log = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process to send signals to."""
        assert self._process is not None, "not running"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether there is a process, which may be stopped."""
        return self._process is not None and self._process.poll() is None

    def _command(self) -> list[str]:
        return [
            str(TWISTD), "--nodaemon", "--pidfile=", "chat",
            f"--listen=tcp:{self.port}:interface={LOCALHOST}",
            "--web=none",
            *self.options,
        ]  # fmt: skip

    async def start(self) -> None:
        """Returns when it lets clients in.

        :raises RuntimeError: it does not; the text is the end of its log.
        """
        clean = {name: value for name, value in os.environ.items() if name[:5] != "CHAT_"}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(),
                cwd=self._folder,
                env={**clean, "PYTHONPATH": str(ROOT), "CHAT_DATABASE": self.data.url},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection(LOCALHOST, self.port)
                writer.transport.abort()
                return
            if not self.running or loop.time() > until:
                raise RuntimeError(f"the server does not start:\n{self.log()[-3000:]}")
            await asyncio.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL."""
        assert self._process is not None, "not running"
        self._process.kill()
        self._process.wait()

    async def terminate(self) -> int:
        """SIGTERM, and wait for its end; the exit status."""
        process = self._process
        assert process is not None, "not running"
        process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(process.wait, PATIENCE)

    def stop(self) -> None:
        """SIGSTOP."""
        os.kill(self.pid, signal.SIGSTOP)

    def wake(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def end(self) -> None:
        """No process any more, whatever state it was in."""
        if self.running:
            self.kill()

    def log(self) -> str:
        """Everything it has said since the first start."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def mistakes(self) -> list[str]:
        """Exceptions in its log: the last line of each traceback."""
        return [
            text.rstrip().splitlines()[-1]
            for text in re.findall(r"Traceback \(most.*?\n(?=\d{4}-|\Z)", self.log(), re.DOTALL)
        ]

    # Memory

    def forget_peak(self) -> int:
        """The resident bytes now; :meth:`peak` counts from here."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        return self._status("VmRSS")

    def peak(self) -> int:
        """The most resident bytes since :meth:`forget_peak`."""
        return self._status("VmHWM")

    def _status(self, name: str) -> int:
        text = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(rf"^{name}:\s+(\d+) kB$", text, re.MULTILINE)
        assert found is not None
        return int(found[1]) << 10

    def bound_files(self, size: int = resource.RLIM_INFINITY) -> None:
        """No file may grow beyond so many bytes, which is what a full disk looks like."""
        _, hard = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (size, hard))
