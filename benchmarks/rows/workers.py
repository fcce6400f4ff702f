"""Two workers at one port, where the kernel chooses one for each connection, beside one server."""

from __future__ import annotations

import socket
from contextlib import ExitStack, closing
from functools import partial

from ..cluster import cluster
from ..databases import mariadb
from ..processes import LOCALHOST
from ..report import Figure
from ..run import Run, busy, chat
from ..tables import seed_users
from ..talk import pairs_of
from .acknowledged import WINDOWS, acknowledging
from .relay import PAIRS


def _at(port: int) -> socket.socket:
    """A listening socket at a port where others may be, as ``ReusePort=yes`` makes it."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind((LOCALHOST, port))
    made.listen(1024)
    return made


def measure(run: Run) -> None:
    """The same pairs, without anybody having a say in who is where."""
    pairs = run.sized(PAIRS, 2)
    with cluster(0) as joined, mariadb() as database, ExitStack() as stack:
        port = 0
        for number in range(2):
            with closing(_at(port)) as listening:
                port = listening.getsockname()[1]
                worker = joined.node(f"worker-{number + 1}", listening=listening)
                joined.nodes.append(stack.enter_context(worker))
        alone = stack.enter_context(chat(database))
        first = seed_users(joined.database, 2 * pairs)
        seed_users(database, 2 * pairs)
        users = range(first, first + 2 * pairs)
        two, one = (
            stack.enter_context(acknowledging(dict.fromkeys(users, port), pids, pairs_of(users)))
            for port, pids in ((port, joined.pids), (alone.port, [alone.pid]))
        )
        for window in WINDOWS:
            what = f"two workers at one port, {pairs} pairs, {window} in flight, level 2"
            done = run.alternate(
                what,
                {
                    "two workers": partial(two, window, run.seconds),
                    "one server": partial(one, window, run.seconds),
                },
            )
            rates = {name: [burst.rate for burst in some] for name, some in done.items()}
            run.report(
                Figure(what, "messages/s", rates["two workers"], rates["one server"],
                       "one server", note=busy(done))
            )  # fmt: skip
