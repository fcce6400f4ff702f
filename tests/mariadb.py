"""A MariaDB of the tests' own: real, in a temporary folder, on 127.0.0.1 and a free port.

:func:`shared` starts it at first use, once a process, and ends it with the process.  Tests take a
database of their own from :meth:`MariaDB.fresh`.  Whoever kills or stops the server leaves it
running again (``addCleanup(server.start)``): it has the same data and the same port then.
"""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import MySQLdb

from .stopping import stop

USER = "chat"
PASSWORD = "p@ss/w:rd?"
# Ends the server and its data when the process that reads this has gone, however it went.
_WATCH = """
cat
pid=$(cat "$0/pid") && grep -qF "$0" "/proc/$pid/cmdline" && kill -9 "$pid"
rm -rf "$0"
"""

PATIENCE = 300.0
"""Seconds for a start; it takes less than one on an idle machine."""


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise FileNotFoundError(f"{name}: install Debian's mariadb-server")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class MariaDB:
    """One server process and its data; :meth:`start` and :meth:`end` block for a moment.

    :param base: the folder to make the server's own in.
    """

    def __init__(self, base: str = "/tmp") -> None:
        # A short path: that of a unix socket ends at 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="chat-mariadb-", dir=base))
        self.socket = self.folder / "socket"
        self.log = self.folder / "log"
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self._shared: str | None = None
        self._watch = subprocess.Popen(
            ["sh", "-c", _WATCH, str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._as = ["--user=root"] if os.geteuid() == 0 else []
        made = subprocess.run(
            [
                _program("mariadb-install-db"),
                "--no-defaults",
                *self._as,
                f"--datadir={self.folder / 'data'}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--skip-name-resolve",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if made.returncode:
            raise RuntimeError(made.stdout.decode(errors="replace"))
        self.start()
        self.ask(f"CREATE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}'")
        self.ask(f"GRANT ALL ON `chat\\_%`.* TO '{USER}'@'%'")

    @property
    def pid(self) -> int:
        """The process to send signals to."""
        assert self._process is not None, "not running"
        return self._process.pid

    def start(self) -> None:
        """Start it, or wake it, on the data and the port that it had; returns when it answers."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
        else:
            with self.log.open("ab") as log:
                self._process = subprocess.Popen(
                    [
                        _program("mariadbd"),
                        "--no-defaults",
                        *self._as,
                        f"--datadir={self.folder / 'data'}",
                        f"--socket={self.socket}",
                        f"--pid-file={self.folder / 'pid'}",
                        f"--port={self.port}",
                        "--bind-address=127.0.0.1",
                        "--skip-name-resolve",
                        "--innodb-flush-log-at-trx-commit=1",
                        "--innodb-buffer-pool-size=64M",
                        "--innodb-log-file-size=64M",
                        "--performance-schema=OFF",
                        "--max-connections=200",
                    ],
                    stdout=log,
                    stderr=log,
                )
        until = time.monotonic() + PATIENCE
        while True:
            try:
                self.root().close()
                return
            except MySQLdb.OperationalError:
                if self._process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(self.log.read_text(errors="replace")[-4000:]) from None
                time.sleep(0.02)  # between two looks at the condition awaited

    def kill(self) -> None:
        """SIGKILL: what was committed is there after :meth:`start`, and nothing else."""
        assert self._process is not None, "not running"
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """SIGSTOP: it accepts connections (the kernel does) and answers nothing."""
        stop(self.pid)

    def wake(self) -> None:
        """SIGCONT, after :meth:`stop`."""
        os.kill(self.pid, signal.SIGCONT)

    def end(self) -> None:
        """The process and the data are gone."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
        assert self._watch.stdin is not None
        self._watch.stdin.close()
        self._watch.wait()

    def root(self, database: str = "") -> Any:
        """A connection with all rights, over the unix socket; close it."""
        return MySQLdb.connect(
            unix_socket=str(self.socket),
            user="root",
            database=database,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=60,
        )

    def ask(self, sql: str, database: str = "") -> list[tuple[Any, ...]]:
        """One statement with all rights, and its rows."""
        connection = self.root(database)
        try:
            cursor = connection.cursor()
            cursor.execute(sql)
            return list(cursor.fetchall())
        finally:
            connection.close()

    def fresh(self, *, over_socket: bool = False) -> str:
        """The URL of a new and empty database, for a user with all rights on it alone."""
        name = f"chat_{next(self._numbers)}"
        self.ask(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
        return self.url(name, over_socket=over_socket)

    def emptied(self) -> str:
        """The URL of a database that all who ask here share, one after the other: its tables are
        there from the second time on, and have no rows.  Much faster than :meth:`fresh`."""
        if self._shared is None:
            self._shared = f"chat_{next(self._numbers)}"
            self.ask(f"CREATE DATABASE `{self._shared}` CHARACTER SET utf8mb4")
        for (table,) in self.ask("SHOW TABLES", database=self._shared):
            if table != "schemaversion":
                self.ask(f"DELETE FROM `{table}`", database=self._shared)
        return self.url(self._shared)

    def url(
        self, name: str, *, user: str = USER, password: str = PASSWORD, over_socket: bool = False
    ) -> str:
        """The URL of a database, as ``--database`` takes it."""
        where = f"?unix_socket={quote(str(self.socket), safe='')}" if over_socket else ""
        return (
            f"mysql://{quote(user, safe='')}:{quote(password, safe='')}"
            f"@127.0.0.1:{self.port}/{name}{where}"
        )


def _fast_folder() -> str:
    """In memory where there is room: killing the server loses nothing there, and a sync is free."""
    memory = "/dev/shm"
    roomy = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 1 << 30
    return memory if roomy else "/tmp"


def _started(base: str) -> MariaDB:
    server = MariaDB(base)
    atexit.register(server.end)
    return server


@cache
def shared() -> MariaDB:
    """The server of this process, started at first use."""
    return _started(_fast_folder())


@cache
def on_disk() -> MariaDB:
    """Another one, whose commits reach a disk: for what measures."""
    return _started("/tmp")
