"""What it costs to keep what was said."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from ..databases import sqlite
from ..report import Figure, brief
from ..run import Run, busy, chat
from ..tables import recorded, seed_users
from .relay import PAIRS, WINDOWS, chat_pairs


def measure(run: Run) -> None:
    """The relay of level 1 with 90 days of history beside the same without."""
    pairs = run.sized(PAIRS, 2)
    with ExitStack() as stack:
        databases = [stack.enter_context(sqlite()) for _ in range(2)]
        with_history = stack.enter_context(chat(databases[0], "--history-days", "90"))
        without = stack.enter_context(chat(databases[1]))
        first = min(seed_users(database, 2 * pairs) for database in databases)
        ours = stack.enter_context(chat_pairs(with_history, pairs, first))
        plain = stack.enter_context(chat_pairs(without, pairs, first))
        for window in WINDOWS:
            what = f"relay with 90 days of history, {pairs} pairs, {window} in flight, level 1"
            before = recorded(databases[0])
            done = run.alternate(
                what,
                {
                    "90 days": partial(ours, window, run.seconds),
                    "none": partial(plain, window, run.seconds),
                },
            )
            said = sum(one.all_done for one in done["90 days"])
            kept = recorded(databases[0]) - before
            run.report(
                Figure(what, "messages/s", [one.rate for one in done["90 days"]],
                       [one.rate for one in done["none"]], "--history-days 0",
                       note=f"{brief(100 * kept / said)} % recorded; {busy(done)}")
            )  # fmt: skip
