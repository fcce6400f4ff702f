"""One-to-one messages over WebSocket, level 1, beside the same over TCP on the same server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial

from .. import web
from ..databases import sqlite
from ..flows import Framed, burst
from ..load import Lines, Loop, Plug
from ..processes import LOCALHOST, Server, free_port
from ..report import Figure
from ..run import Run, busy, chat
from ..tables import PASSWORD, seed_users
from ..talk import chat_line, pairs_of
from .relay import PAIRS, TEXT, WINDOWS, Traffic, chat_pairs

BARS = {1: 0.4, 64: 0.15}


@contextmanager
def web_pairs(server: Server, port: int, pairs: int, first: int) -> Iterator[Traffic]:
    """Pairs of users, each on a WebSocket.

    :param port: of ``--web``.
    """
    users = range(first, first + 2 * pairs)
    with ExitStack() as stack, closing(Loop()) as loop:
        plugs = [
            Plug(stack.enter_context(sock)) for sock in web.login_all(port, users, PASSWORD)
        ]  # fmt: skip
        flows = []
        for number, (one, other) in enumerate(pairs_of(users)):
            text = chat_line(one, other, TEXT)[:-1]
            lines = Lines([web.frame(text)], max(WINDOWS))
            size = web.frame_size(len(text))
            flows.append(Framed(loop, plugs[2 * number], plugs[2 * number + 1], lines, size))
        yield lambda window, seconds: burst(loop, flows, window, seconds, [server.pid])


def measure(run: Run) -> None:
    """WebSocket and TCP, in turns."""
    pairs = run.sized(PAIRS, 2)
    port = free_port()
    where = f"tcp:{port}:interface={LOCALHOST}"
    with sqlite() as database, chat(database, "--web", where) as server, ExitStack() as stack:
        first = seed_users(database, 4 * pairs)
        sockets = stack.enter_context(web_pairs(server, port, pairs, first))
        plain = stack.enter_context(chat_pairs(server, pairs, first + 2 * pairs))
        for window in WINDOWS:
            what = f"relay over WebSocket, {pairs} pairs, {window} in flight, level 1"
            done = run.alternate(
                what,
                {
                    name: partial(traffic, window, run.seconds)
                    for name, traffic in (("WebSocket", sockets), ("TCP", plain))
                },
            )
            rates = {name: [one.rate for one in some] for name, some in done.items()}
            run.report(
                Figure(what, "messages/s", rates["WebSocket"], rates["TCP"], "TCP",
                       least=BARS[window], note=busy(done))
            )  # fmt: skip
