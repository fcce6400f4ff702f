"""A thousand logins a second asked for, and what the others notice of it."""

from __future__ import annotations

import json
import select
import socket
import time
from collections import Counter
from statistics import median

from argon2 import PasswordHasher

from ..beside import Delays, beside
from ..databases import sqlite
from ..processes import LOCALHOST, Server
from ..report import Figure, brief, p99
from ..run import Run, chat
from ..tables import PASSWORD, cheap_hash, seed_users
from ..talk import login_line, pairs_of

RATE = 1000
SECONDS = 5.0
USERS = 5000
PAIRS = 10
INTERVAL = 0.01
"""Between two pings, and between two messages of a pair."""


class Storm:
    """Connections that log in and leave, at a steady rate whatever the server says.

    ``answers`` counts what they were told, by ``errno``.
    """

    def __init__(self, server: Server, users: range) -> None:
        self.asked = 0
        self.answers: Counter[int] = Counter()
        self._address = (LOCALHOST, server.port)
        self._users = users
        self._epoll = select.epoll()
        self._open: dict[int, tuple[socket.socket, int]] = {}

    def blow(self, seconds: float, rate: float) -> None:
        """Ask for so many logins a second, then leave."""
        started = time.perf_counter()
        while (spent := time.perf_counter() - started) < seconds:
            while self.asked < rate * spent:
                self._ask(self._users[self.asked % len(self._users)])
            for fd, events in self._epoll.poll(0.001):
                self._go_on(fd, events)
        for sock, _ in self._open.values():
            sock.close()
        self._epoll.close()

    def _ask(self, user: int) -> None:
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(self._address)
        self._open[sock.fileno()] = (sock, user)
        self._epoll.register(sock.fileno(), select.EPOLLOUT)
        self.asked += 1

    def _go_on(self, fd: int, events: int) -> None:
        sock, user = self._open[fd]
        if events == select.EPOLLOUT:
            sock.send(login_line(user, PASSWORD, 1))
            self._epoll.modify(fd, select.EPOLLIN)
            return
        try:
            answer = sock.recv(65536)
        except ConnectionError:
            answer = b""
        # One read has the whole answer: it is short and nothing precedes it.
        self.answers[json.loads(answer)["errno"] if answer else -1] += 1
        del self._open[fd]
        sock.close()


def measure(run: Run) -> None:
    """Ping and chat beside the storm; the users' hashes have the server's own parameters."""
    costly = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1).hash(PASSWORD)
    storms: list[Storm] = []
    delays: list[Delays] = []
    with sqlite() as database:
        with chat(database):
            first = seed_users(database, USERS, costly)
        talking = range(first, first + 1 + 2 * PAIRS)
        database.ask("UPDATE user SET password = ? WHERE id < ?", cheap_hash(), talking.stop)
        for turn in range(run.turns):
            # A fresh server: passwords of the last storm may wait in the old one for a while.
            with chat(database) as server:
                storms.append(Storm(server, range(talking.stop, first + USERS)))
                delays.append(_blow(run, server, storms[-1], talking))
            run.say(
                f"login storm, turn {turn + 1} of {run.turns}: {storms[-1].asked} asked,"
                f" answers by errno {dict(storms[-1].answers)};"
                f" p99 of a ping {brief(1000 * p99(delays[-1].pings))} ms,"
                f" of a message {brief(1000 * p99(delays[-1].messages))} ms"
            )
    what = f"{RATE:,} logins a second asked for"
    told = sum((storm.answers for storm in storms), Counter[int]())
    note = ", ".join(f"errno {code}: {number}" for code, number in sorted(told.items()))
    lags = [1000 * p99(some.pings) for some in delays]
    run.report(Figure(f"{what}: p99 of PING to PONG", "ms", lags, most=20, note=note))
    stalls = [1000 * max(some.messages) for some in delays]
    went = median(len(some.messages) for some in delays)
    run.report(
        Figure(f"{what}: longest delay of {PAIRS} pairs beside it", "ms", stalls,
               note=f"{brief(went)} messages a turn")
    )  # fmt: skip


def _blow(run: Run, server: Server, storm: Storm, talking: range) -> Delays:
    """What those who talk notice."""
    seconds = max(0.5, SECONDS * run.scale)
    with beside(server.port, talking[0], pairs_of(talking[1:]), PASSWORD, INTERVAL) as delays:
        storm.blow(seconds, RATE)
    return delays
