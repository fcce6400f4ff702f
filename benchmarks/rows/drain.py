"""A backlog of 100,000 messages that a level 2 client takes and acknowledges."""

from __future__ import annotations

import time
from contextlib import closing
from functools import partial

from ..databases import BOTH, Database
from ..flows import Recipient
from ..load import Loop, Plug
from ..processes import Server, connect_to
from ..report import Figure, brief
from ..run import Run, chat
from ..tables import PASSWORD, await_waiting, seed_users
from ..talk import login, login_line, read_line
from .offline import MESSAGES, store

BARS = {"SQLite": 30_000, "MariaDB": 20_000}
MEBIBYTE = 1 << 20


def measure(run: Run) -> None:
    """On SQLite and on MariaDB."""
    for kind in BOTH:
        with kind() as database:
            _measure_on(run, database)


def _measure_on(run: Run, database: Database) -> None:
    messages = run.sized(MESSAGES, 1000)
    rates, growths = [], []
    with chat(database):
        first = seed_users(database, 2 + run.turns)
    for turn in range(run.turns):
        rate, growth = _drain(database, messages, first, first + 2 + turn)
        rates.append(rate)
        growths.append(growth / MEBIBYTE)
        run.say(
            f"drain on {database.name}, turn {turn + 1} of {run.turns}: {brief(rate)}/s,"
            f" {brief(growths[-1])} MiB more"
        )
    what = f"{messages:,} waiting messages drained, level 2, {database.name}"
    run.report(Figure(what, "messages/s", rates, least=BARS[database.name]))
    run.report(Figure(f"{what}: memory of the server", "MiB more", growths, most=20))


def _drain(database: Database, messages: int, sender: int, recipient: int) -> tuple[float, float]:
    """Messages a second, and by how many bytes the memory of a fresh server grew."""
    with chat(database) as server, login(server.port, sender, PASSWORD) as sock:
        store(database, sock, sender, recipient, messages)
    with chat(database) as server:
        login(server.port, sender + 1, PASSWORD, proto=2).close()
        taken, growth = _take(server, recipient, messages)
        await_waiting(database, recipient, 0)
    return messages / taken, growth


def _take(server: Server, user: int, messages: int) -> tuple[float, int]:
    """Log in and acknowledge everything; seconds from the login to the last message, and bytes."""
    before = most = server.memory()
    with connect_to(server.port) as sock, closing(Loop()) as loop:
        started = time.perf_counter()
        sock.sendall(login_line(user, PASSWORD, 2))
        behind = bytearray()
        read_line(sock, behind)
        recipient = Recipient(loop, Plug(sock), bytes(behind))
        while recipient.arrived < messages:
            loop.run_until(partial(recipient.has, min(messages, recipient.arrived + 2000)))
            most = max(most, server.memory())
        return time.perf_counter() - started, most - before
