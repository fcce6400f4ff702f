"""One-to-one messages between people who are online, level 2: each one acknowledged twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from itertools import count
from statistics import median

from ..databases import Database, mariadb, sqlite
from ..flows import Answered, Recipient, burst
from ..load import Lines, Loop, Plug
from ..processes import Server
from ..report import Figure, brief
from ..run import Run, busy, chat, ngircd
from ..tables import PASSWORD, seed_users
from ..talk import chat_line, login_all, pairs_of
from .relay import PAIRS, TEXT, Traffic, irc_pairs

WINDOWS = (64, 1)
BARS = {64: 0.6, 1: 0.4}
CIDS = 8192
"""Messages of a sender before its cids come again; eight times what the server remembers."""

_prefixes = count(1)


def fresh_cids(number: int) -> list[str]:
    """Cids of one length that no other call of this process has given."""
    prefix = next(_prefixes)
    return [f"{prefix:06x}-{message:08x}" for message in range(number)]


def cid_lines(sender: int, recipient: int, number: int, most: int) -> Lines:
    """Messages with fresh cids."""
    return Lines(
        [chat_line(sender, recipient, TEXT, cid=cid) for cid in fresh_cids(number)], most
    )  # fmt: skip


@contextmanager
def acknowledging_pairs(server: Server, pairs: Sequence[tuple[int, int]]) -> Iterator[Traffic]:
    """Senders and recipients at level 2; a recipient may stand in several pairs."""
    ports = {user: server.port for pair in pairs for user in pair}
    with acknowledging(ports, [server.pid], pairs) as traffic:
        yield traffic


MakeLines = Callable[[int, int, int, int], Lines]
"""Makes lines as :func:`cid_lines` does."""


@contextmanager
def acknowledging(
    ports: Mapping[int, int],
    pids: Sequence[int],
    pairs: Sequence[tuple[int, int]],
    make: MakeLines = cid_lines,
) -> Iterator[Traffic]:
    """The same, with each user at a port of several servers that are one, whose processor time is
    added."""
    with ExitStack() as stack, closing(Loop()) as loop:
        plugs: dict[int, Plug] = {}
        for port in set(ports.values()):
            users = [user for user, there in ports.items() if there == port]
            for user, sock in zip(users, login_all(port, users, PASSWORD, proto=2), strict=True):
                plugs[user] = Plug(stack.enter_context(sock))
        flows = [
            Answered(loop, plugs[one], make(one, other, CIDS, max(WINDOWS)))
            for one, other in pairs
        ]  # fmt: skip
        for user in sorted({other for _, other in pairs}):
            Recipient(loop, plugs[user])
        yield lambda window, seconds: burst(loop, flows, window, seconds, pids)


def measure(run: Run) -> None:
    """Acknowledged messages beside ngircd's plain relay, then what reaches the database."""
    pairs = run.sized(PAIRS, 2)
    with sqlite() as database, chat(database) as server, ngircd() as other, ExitStack() as stack:
        first = seed_users(database, 2 * pairs)
        ours = stack.enter_context(
            acknowledging_pairs(server, pairs_of(range(first, first + 2 * pairs)))
        )
        beside = stack.enter_context(irc_pairs(other, pairs))
        for window in WINDOWS:
            what = f"acknowledged, {pairs} pairs, {window} in flight, level 2"
            done = run.alternate(
                what,
                {
                    "ours": partial(ours, window, run.seconds),
                    "ngircd": partial(beside, window, run.seconds),
                },
            )
            run.report(
                Figure(what, "messages/s", [one.rate for one in done["ours"]],
                       [one.rate for one in done["ngircd"]], "ngircd (plain)",
                       least=BARS[window], note=busy(done))
            )  # fmt: skip
    _touching(run)


def _status(database: Database, name: str) -> int:
    """One of MariaDB's own counters."""
    return int(database.ask("SHOW GLOBAL STATUS LIKE ?", name)[0][1])


@contextmanager
def _counted(database: Database, name: str) -> Iterator[Callable[[], int]]:
    """How much a counter grew within; asking for it is not counted."""
    unasked = _status(database, name)
    before = _status(database, name)
    asking = before - unasked
    yield lambda: _status(database, name) - before - asking


def _touching(run: Run) -> None:
    """What MariaDB counts while people talk who are online."""
    pairs = run.sized(PAIRS, 2)
    with mariadb() as database, chat(database) as server, ExitStack() as stack:
        first = seed_users(database, 2 * pairs + 4)
        users = range(first, first + 2 * pairs)
        traffic = stack.enter_context(acknowledging_pairs(server, pairs_of(users)))
        traffic(64, 0.1)
        _quiet(database)
        statements, done = [], 0
        for _ in range(run.turns):
            with _counted(database, "Questions") as grown:
                done += traffic(64, run.seconds).done
                statements.append(float(grown()))
        with _counted(database, "Questions") as grown:
            time.sleep(run.seconds)
            idle = grown()
        run.report(
            Figure(f"statements at the database while {pairs} pairs talk, level 2", "a turn",
                   statements, most=0.0,
                   note=f"{brief(done)} messages; as long without traffic: {idle}")
        )  # fmt: skip
    with mariadb() as database, chat(database) as server, ExitStack() as stack:
        first = seed_users(database, 4)
        crowd = [(first + number, first + 3) for number in range(3)]
        traffic = stack.enter_context(acknowledging_pairs(server, crowd))
        traffic(32, 0.1)
        _quiet(database)
        shares, rates = [], []
        for turn in range(run.turns):
            with _counted(database, "Handler_write") as grown:
                result = traffic(32, run.seconds)
                shares.append(100 * grown() / result.all_done)
            rates.append(result.rate)
            run.say(f"three to one, turn {turn + 1} of {run.turns}: {brief(shares[-1])} %")
        run.report(
            Figure("3 senders, 32 in flight each, to one recipient: stored", "% of messages",
                   shares, most=1.0, note=f"{brief(median(rates))} messages/s")
        )  # fmt: skip


def _quiet(database: Database) -> None:
    """Wait until a second has gone by without a statement of somebody else's."""
    for _ in range(30):
        with _counted(database, "Questions") as grown:
            time.sleep(1)
            if grown() == 0:
                return
