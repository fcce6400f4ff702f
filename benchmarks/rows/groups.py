"""One message to many: groups beside channels, and a group too large for that."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial

from .. import irc
from ..beside import beside
from ..databases import sqlite
from ..flows import Answered, FanOut, Recipient, burst
from ..load import Lines, Loop, Plug
from ..report import Figure, brief
from ..run import Run, busy, chat, ngircd
from ..tables import PASSWORD, seed_group, seed_users
from ..talk import group_line, login_all
from .acknowledged import fresh_cids
from .relay import TEXT, Traffic

MEMBERS = 200
TALKS = ((4, 16, 0.8), (1, 1, 0.4))
"""Speakers, messages in flight of each, and the bar."""

CROWD = 5000
CROWD_MESSAGES = 20


def measure(run: Run) -> None:
    """A group of 200 beside a channel of 200, then one of 5,000."""
    _beside_channel(run)
    _crowd(run)


def _beside_channel(run: Run) -> None:
    members = run.sized(MEMBERS, 8)
    with sqlite() as database, chat(database) as server, ngircd() as other, ExitStack() as stack:
        first = seed_users(database, members)
        users = range(first, first + members)
        group = seed_group(database, users)
        plugs = [
            Plug(stack.enter_context(sock)) for sock in login_all(server.port, users, PASSWORD)
        ]  # fmt: skip
        crowd = [stack.enter_context(irc.connect(other.port, number)) for number in range(members)]
        irc.join(crowd, "#bench")
        nicks = [Plug(sock) for sock in crowd]
        for speakers, window, least in TALKS:
            lines = [group_line(user, group, TEXT) for user in users[:speakers]]
            irc_line = irc.message("#bench", TEXT)
            what = f"group of {members}, {speakers} x {window} in flight, level 1"
            with (
                talk([server.pid], plugs, lines, window) as ours,
                talk([other.pid], nicks, [irc_line] * speakers, window) as beside_it,
            ):
                done = run.alternate(
                    what,
                    {
                        "ours": partial(ours, window, run.seconds),
                        "ngircd": partial(beside_it, window, run.seconds),
                    },
                )
            run.report(
                Figure(what, "deliveries/s", [one.rate for one in done["ours"]],
                       [one.rate for one in done["ngircd"]], "ngircd", least=least,
                       note=busy(done))
            )  # fmt: skip


@contextmanager
def talk(
    pids: Sequence[int], members: list[Plug], lines: list[bytes], window: int
) -> Iterator[Traffic]:
    """The first members speak a line each.

    :param pids: of the servers that all of them are at.
    """
    with closing(Loop()) as loop:
        # All that is done at once may be credited to one speaker.
        most = window * len(lines)
        speakers = [
            (plug, Lines([line], most)) for plug, line in zip(members, lines, strict=False)
        ]  # fmt: skip
        flow = FanOut(loop, members, speakers)
        yield lambda window, seconds: burst(loop, [flow], window, seconds, pids)


def _crowd(run: Run) -> None:
    """Every other member is online, at level 2; one speaks, and a pair chats beside it."""
    members = run.sized(CROWD, 10)
    messages = run.sized(CROWD_MESSAGES, 2)
    taken, stalls, calm = [], [], []
    with sqlite() as database, chat(database) as server, ExitStack() as stack:
        first = seed_users(database, members + 3)
        users = range(first, first + members)
        group = seed_group(database, users)
        here = users[::2]
        plugs = [
            Plug(stack.enter_context(sock))
            for sock in login_all(server.port, here, PASSWORD, proto=2)
        ]  # fmt: skip
        loop = stack.enter_context(closing(Loop()))
        for plug in plugs[1:]:
            Recipient(loop, plug)
        lines = Lines(
            [
                group_line(first, group, TEXT, cid=cid)
                for cid in fresh_cids(run.turns * messages)
            ],
            1,
        )  # fmt: skip
        speaker = Answered(loop, plugs[0], lines)
        pinger, one, other = range(users.stop, users.stop + 3)
        for turn in range(run.turns):
            with beside(server.port, pinger, [(one, other)], PASSWORD, 0.001) as quiet:
                time.sleep(1.0 * run.scale)
            with beside(server.port, pinger, [(one, other)], PASSWORD, 0.001) as delays:
                for _ in range(messages):
                    started = time.perf_counter()
                    speaker.start(1)
                    speaker.stop()
                    loop.run_until(lambda: speaker.done == speaker.sent)
                    taken.append(1000 * (time.perf_counter() - started))
            stalls.append(1000 * max(delays.messages))
            calm.append(1000 * max(quiet.messages))
            run.say(
                f"group of {members}, turn {turn + 1} of {run.turns}: answered after"
                f" {brief(min(taken[-messages:]))} to {brief(max(taken[-messages:]))} ms,"
                f" the pair stalled {brief(stalls[-1])} ms"
            )
    what = f"group of {members:,}, half away, level 2"
    run.report(Figure(f"{what}: sent to acknowledged", "ms", taken))
    run.report(
        Figure(f"{what}: longest stall of a pair beside it", "ms", stalls, most=50,
               note=f"without it {brief(max(calm))} ms")
    )  # fmt: skip
