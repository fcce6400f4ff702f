"""Clients that come back by their tokens, as many as there can be: log in, be answered, leave."""

from __future__ import annotations

import select
import socket
import time
from hashlib import sha256

from ..databases import BOTH, Database
from ..flows import Burst, processor_seconds
from ..processes import LOCALHOST, Failed, Server
from ..report import Figure, brief
from ..run import Run, busy, chat
from ..tables import seed_users
from ..talk import as_line

USERS = 5000
TOGETHER = 64
"""Connections at a time."""

BARS = {"SQLite": 3000.0, "MariaDB": 1500.0}
DAY = 86_400 * 1_000_000


def token_of(user: int) -> str:
    """What this user logs in with."""
    return f"token-{user}"


def seed_tokens(database: Database, users: range) -> None:
    """A token for each of these users, renewed just now."""
    now = int(time.time() * 1_000_000)
    database.insert(
        "INSERT INTO token (userid, digest, created, used, expires, address)"
        " VALUES (?, ?, ?, ?, ?, '127.0.0.1')",
        [
            (user, sha256(token_of(user).encode()).digest(), now, now, now + DAY)
            for user in users
        ],
    )  # fmt: skip


class Returning:
    """Connections that log in and leave, always so many at a time."""

    def __init__(self, server: Server, users: range) -> None:
        self.done = 0
        self._server = server
        self._users = users
        self._asked = 0
        self._epoll = select.epoll()
        self._open: dict[int, tuple[socket.socket, bytes]] = {}
        self._lines = [
            as_line({"msgid": 1, "id": user, "token": token_of(user), "proto": 2})
            for user in users
        ]  # fmt: skip

    def come(self, seconds: float, together: int) -> Burst:
        """So many at a time, for so long.

        :raises Failed: somebody was not let in.
        """
        before = processor_seconds(self._server.pid)
        started = time.perf_counter()
        for _ in range(together):
            self._ask()
        while (spent := time.perf_counter() - started) < seconds:
            for fd, events in self._epoll.poll(0.1):
                self._go_on(fd, events)
        used = processor_seconds(self._server.pid) - before
        done = self.done
        for sock, _ in self._open.values():
            sock.close()
        self._epoll.close()
        return Burst(done / spent, used / spent, done, done)

    def _ask(self) -> None:
        line = self._lines[self._asked % len(self._lines)]
        self._asked += 1
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex((LOCALHOST, self._server.port))
        self._open[sock.fileno()] = (sock, line)
        self._epoll.register(sock.fileno(), select.EPOLLOUT)

    def _go_on(self, fd: int, events: int) -> None:
        sock, line = self._open[fd]
        if events == select.EPOLLOUT:
            sock.send(line)
            self._epoll.modify(fd, select.EPOLLIN)
            return
        answer = sock.recv(65536)
        if b'"errno":0' not in answer:
            raise Failed(f"{line!r} was answered {answer[:200]!r}")
        self.done += 1
        del self._open[fd]
        sock.close()
        self._ask()


def measure(run: Run) -> None:
    """Each user's clients come one after the other: the last one has gone long before."""
    for opened in BOTH:
        with opened() as database:
            with chat(database):
                first = seed_users(database, USERS)
            users = range(first, first + USERS)
            seed_tokens(database, users)
            bursts: list[Burst] = []
            for turn in range(run.turns):
                with chat(database) as server:
                    Returning(server, users).come(run.seconds / 4, TOGETHER)
                    bursts.append(Returning(server, users).come(run.seconds, TOGETHER))
                run.say(
                    f"logins by token, {database.name}, turn {turn + 1} of {run.turns}:"
                    f" {brief(bursts[-1].rate)}/s"
                )
            run.report(
                Figure(
                    f"logins by token, {TOGETHER} connections at a time, {database.name}",
                    "logins/s", [one.rate for one in bursts], least=BARS[database.name],
                    note=busy({"ours": bursts}),
                )
            )  # fmt: skip
