"""A thousand logins a second asked for, and what the others notice of it."""

from __future__ import annotations

import json
import select
import socket
import time
from collections import Counter

from argon2 import PasswordHasher

from ..beside import beside
from ..databases import sqlite
from ..processes import LOCALHOST, Server
from ..report import Figure, brief, p99
from ..run import Run, chat
from ..tables import PASSWORD, cheap_hash, seed_users
from ..talk import Refused, login, login_line, pairs_of

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
    seconds = max(0.5, SECONDS * run.scale)
    costly = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1).hash(PASSWORD)
    lags, stalls, verified, told = [], [], [], Counter[int]()
    with sqlite() as database, chat(database) as server:
        first = seed_users(database, USERS, costly)
        talking = range(first + 1, first + 2 + 2 * PAIRS)
        database.ask("UPDATE user SET password = ? WHERE id < ?", cheap_hash(), talking.stop)
        for turn in range(run.turns):
            storm = Storm(server, range(talking.stop, first + USERS))
            pairs = pairs_of(talking[1:])
            with beside(server.port, talking[0], pairs, PASSWORD, INTERVAL) as delays:
                storm.blow(seconds, RATE)
            lags.append(1000 * p99(delays.pings))
            stalls.append(1000 * max(delays.messages))
            verified.append(storm.answers[0] / seconds)
            told += storm.answers
            run.say(
                f"login storm, turn {turn + 1} of {run.turns}: {storm.asked} asked,"
                f" answers by errno {dict(storm.answers)}; p99 of a ping {brief(lags[-1])} ms,"
                f" of a message {brief(1000 * p99(delays.messages))} ms,"
                f" {len(delays.messages)} messages"
            )
            _await_calm(server.port, first)
    what = f"{RATE:,} logins a second asked for"
    note = ", ".join(f"errno {code}: {number}" for code, number in sorted(told.items()))
    run.report(Figure(f"{what}: p99 of PING to PONG", "ms", lags, most=20, note=note))
    run.report(Figure(f"{what}: longest delay of {PAIRS} pairs beside it", "ms", stalls))
    run.report(Figure(f"{what}: verified", "logins/s", verified))


def _await_calm(port: int, user: int) -> None:
    """Log somebody in: when that is done, the passwords that waited before are verified."""
    for _ in range(100):
        try:
            login(port, user, PASSWORD).close()
        except Refused:
            time.sleep(0.2)
        else:
            return
