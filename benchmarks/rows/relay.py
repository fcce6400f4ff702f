"""One-to-one messages between people who are online, level 1, beside ngircd."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial

from .. import irc
from ..databases import sqlite
from ..flows import Burst, Relayed, burst
from ..load import Lines, Loop, Plug
from ..processes import Server
from ..report import Figure
from ..run import Run, busy, chat, ngircd
from ..tables import PASSWORD, seed_users
from ..talk import chat_line, login_all, pairs_of

PAIRS = 50
WINDOWS = (1, 64)
BARS = {1: 0.7, 64: 1.5}
TEXT = "See you at seven, and bring the map along."

Traffic = Callable[[int, float], Burst]
"""A window and seconds of traffic, measured."""


@contextmanager
def chat_pairs(server: Server, pairs: int, first: int, wrong_name: str = "") -> Iterator[Traffic]:
    """Pairs of users of our server, logged in at level 1."""
    users = range(first, first + 2 * pairs)
    with ExitStack() as stack:
        plugs = [
            Plug(stack.enter_context(sock)) for sock in login_all(server.port, users, PASSWORD)
        ]
        lines = [
            chat_line(one, other, TEXT, name=wrong_name or None)
            for one, other in pairs_of(users)
        ]  # fmt: skip
        yield stack.enter_context(_traffic(server, plugs, lines))


@contextmanager
def irc_pairs(server: Server, pairs: int) -> Iterator[Traffic]:
    """The same for ngircd: a nick for each user, the same text."""
    with ExitStack() as stack:
        plugs = [
            Plug(stack.enter_context(irc.connect(server.port, number)))
            for number in range(2 * pairs)
        ]
        lines = [irc.message(irc.nick(2 * number + 1), TEXT) for number in range(pairs)]
        yield stack.enter_context(_traffic(server, plugs, lines))


@contextmanager
def _traffic(server: Server, plugs: list[Plug], lines: list[bytes]) -> Iterator[Traffic]:
    with closing(Loop()) as loop:
        flows = [
            Relayed(loop, plugs[2 * number], plugs[2 * number + 1], Lines([line], max(WINDOWS)))
            for number, line in enumerate(lines)
        ]
        yield lambda window, seconds: burst(loop, flows, window, seconds, [server.pid])


def measure(run: Run) -> None:
    """Ours, ours with another's name to be put right, and ngircd, in turns."""
    pairs = run.sized(PAIRS, 2)
    with sqlite() as database, chat(database) as server, ngircd() as other, ExitStack() as stack:
        first = seed_users(database, 4 * pairs)
        ours = stack.enter_context(chat_pairs(server, pairs, first))
        slow = stack.enter_context(chat_pairs(server, pairs, first + 2 * pairs, "somebody"))
        beside = stack.enter_context(irc_pairs(other, pairs))
        for window in WINDOWS:
            what = f"relay, {pairs} pairs, {window} in flight, level 1"
            done = run.alternate(
                what,
                {
                    name: partial(traffic, window, run.seconds)
                    for name, traffic in (("ours", ours), ("wrong name", slow), ("ngircd", beside))
                },
            )
            rates = {name: [one.rate for one in some] for name, some in done.items()}
            note = busy(done)
            run.report(
                Figure(what, "messages/s", rates["ours"], rates["ngircd"], "ngircd",
                       least=BARS[window], note=note)
            )  # fmt: skip
            run.report(
                Figure(f"{what}, wrong name", "messages/s", rates["wrong name"], rates["ngircd"],
                       "ngircd")
            )  # fmt: skip
