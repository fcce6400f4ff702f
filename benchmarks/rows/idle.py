"""What a connection costs on which nobody speaks."""

from __future__ import annotations

from contextlib import ExitStack

from ..databases import sqlite
from ..report import Figure, brief
from ..run import Run, chat
from ..tables import PASSWORD, seed_users
from ..talk import login_all

CONNECTIONS = 5000
WARM = 64
"""Logins before the first look: threads, caches and tables are there then."""

KIBIBYTE = 1024


def measure(run: Run) -> None:
    """Resident memory before and after 5,000 logins, on a fresh server each time."""
    connections = run.sized(CONNECTIONS)
    for level, most in ((1, 12.0), (2, None)):
        costs = []
        for turn in range(run.turns):
            with sqlite() as database, chat(database) as server, ExitStack() as stack:
                first = seed_users(database, WARM + connections)
                for sock in login_all(server.port, range(first, first + WARM), PASSWORD, level):
                    stack.enter_context(sock)
                before = server.memory()
                users = range(first + WARM, first + WARM + connections)
                for sock in login_all(server.port, users, PASSWORD, level):
                    stack.enter_context(sock)
                costs.append((server.memory() - before) / connections / KIBIBYTE)
                run.say(f"idle, level {level}, turn {turn + 1} of {run.turns}: {brief(costs[-1])}")
        what = f"{connections:,} idle connections, logged in, level {level}"
        run.report(Figure(what, "KiB each", costs, most=most))
