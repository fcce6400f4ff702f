"""Messages for people who are away: stored, handed out at login, acknowledged once committed."""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from statistics import median

from ..databases import BOTH, Database
from ..flows import Answered, settle
from ..load import Lines, Loop, Plug
from ..processes import Server, connect_to
from ..report import Figure, brief, p99
from ..run import Run, chat
from ..tables import PASSWORD, await_waiting, seed_users, waiting
from ..talk import Refused, chat_line, login, login_all, login_line, read_line
from .acknowledged import cid_lines
from .relay import TEXT

MESSAGES = 100_000
SENDERS = 50
WINDOW = 64
SINGLES = 300


def measure(run: Run) -> None:
    """Everything twice: on SQLite and on MariaDB."""
    for kind in BOTH:
        with kind() as database, chat(database) as server:
            users = count(seed_users(database, 2 + run.turns * (2 * SENDERS + 2)))
            _one_sender(run, database, server, users)
            _many_senders(run, database, server, users)
            _single(run, database, server, users)


def _one_sender(run: Run, database: Database, server: Server, users: Iterator[int]) -> None:
    """A level 1 client writes as fast as it can to somebody who then comes and reads."""
    messages = run.sized(MESSAGES)
    sender = next(users)
    stored, handed_out = [], []
    with login(server.port, sender, PASSWORD) as sock:
        for turn in range(run.turns):
            recipient = next(users)
            stored.append(messages / store(database, sock, sender, recipient, messages))
            handed_out.append(messages / _hand_out(server, recipient, messages))
            await_waiting(database, recipient, 0)
            run.say(
                f"offline on {database.name}, turn {turn + 1} of {run.turns}: stored"
                f" {brief(stored[-1])}/s, handed out {brief(handed_out[-1])}/s"
            )
    what = f"{messages:,} messages of one sender, level 1, {database.name}"
    run.report(Figure(f"{what}: committed", "rows/s", stored, least=20_000))
    run.report(Figure(f"{what}: handed out at login", "rows/s", handed_out, least=50_000))


def store(
    database: Database, sock: socket.socket, sender: int, recipient: int, messages: int
) -> float:
    """Write messages to somebody who is away; seconds until the last one is committed.

    :param sock: the sender's, at level 1.
    :raises Refused: not all were taken.
    """
    lines = chat_line(sender, recipient, TEXT) * messages
    started = time.perf_counter()
    sock.sendall(lines)
    while waiting(database, recipient) < messages:
        if select.select([sock], [], [], 0.02)[0]:
            raise Refused(f"the sender was told {read_line(sock, bytearray())!r}")
    return time.perf_counter() - started


def _hand_out(server: Server, recipient: int, messages: int) -> float:
    """Log in at level 1; seconds until the last stored message has arrived."""
    kept = bytearray()
    buffer = bytearray(1 << 18)
    with connect_to(server.port) as sock:
        started = time.perf_counter()
        sock.sendall(login_line(recipient, PASSWORD, 1))
        arrived = len(json.loads(read_line(sock, kept))["offlinemsg"]) + kept.count(b"\n")
        while arrived < messages:
            size = sock.recv_into(buffer)
            if not size:
                raise ConnectionError(f"closed after {arrived} messages")
            arrived += buffer.count(b"\n", 0, size)
        return time.perf_counter() - started


def _many_senders(run: Run, database: Database, server: Server, users: Iterator[int]) -> None:
    """Level 2 senders, each to somebody else who is away; answered when it is committed."""
    messages = run.sized(MESSAGES) // SENDERS
    senders = [next(users) for _ in range(SENDERS)]
    plugs = [Plug(sock) for sock in login_all(server.port, senders, PASSWORD, proto=2)]

    def turn() -> float:
        with closing(Loop()) as loop:
            flows = [
                Answered(loop, plug, cid_lines(user, next(users), messages, WINDOW), messages)
                for user, plug in zip(senders, plugs, strict=True)
            ]
            started = time.perf_counter()
            for flow in flows:
                flow.start(WINDOW)
            settle(loop, flows)
            return SENDERS * messages / (time.perf_counter() - started)

    what = f"{SENDERS} senders, {WINDOW} in flight, to people away, level 2, {database.name}"
    rates = run.alternate(what, {"ours": turn})["ours"]
    run.report(Figure(f"{what}: acknowledged as stored", "messages/s", rates, least=15_000))
    for plug in plugs:
        plug.close()


def _single(run: Run, database: Database, server: Server, users: Iterator[int]) -> None:
    """One message at a time on a server without other work, beside the bare commit."""
    singles = run.sized(SINGLES, 20)
    sender, recipient = next(users), next(users)
    with login(server.port, sender, PASSWORD, proto=2) as sock:

        def acknowledged() -> float:
            lines = cid_lines(sender, recipient, singles, 1)
            return 1000 * p99([_answered(sock, lines) for _ in range(singles)])

        def committed() -> float:
            return 1000 * median(database.commit_seconds(singles, TEXT))

        what = f"one message at a time to somebody away, level 2, {database.name}: p99"
        done = run.alternate(what, {"ours": acknowledged, "commit": committed})
        run.report(
            Figure(what, "ms", done["ours"], done["commit"], "bare commit, median (ms)", most=20)
        )


def _answered(sock: socket.socket, lines: Lines) -> float:
    """Send one message; seconds until its answer."""
    line = lines.take(1)
    started = time.perf_counter()
    sock.sendall(line)
    answer = read_line(sock, bytearray())
    taken = time.perf_counter() - started
    if b'"stored"' not in answer:
        raise ValueError(f"answered {answer!r}")
    return taken
