"""What a siege must have come to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .attackers import ATTACKS
from .honest import Took, share
from .siege import Siege

MEMORY = 200 << 20
SLACK = 0.020
BOUND = 10_000
"""Connections in all, by default."""


def gross(took: Sequence[Took], part: float) -> float:
    """The seconds within which this part of the messages was answered."""
    return share([it.gross for it in took], part)


def net(took: Sequence[Took], part: float) -> float:
    """The same without what was waited for a processor."""
    return share([it.net for it in took], part)


def complaints(
    siege: Siege,
    *measures: tuple[Callable[[Sequence[Took], float], float], float],
    slack: float = SLACK,
) -> list[str]:
    """What was not as it must be.

    :param measures: :func:`gross` or :func:`net`, and the part of the honest messages that has to
        be in time by it.
    :param slack: seconds beyond twice the idle ones.
    """
    wrong = []
    if siege.lost:
        wrong.append(f"{siege.lost} of {siege.acknowledged} acknowledged messages are lost")
    if siege.peak >= MEMORY:
        wrong.append(f"the server had {siege.peak >> 20} MiB")
    for measure, part in measures:
        idle, attacked = measure(siege.idle, part), measure(siege.attacked, part)
        if attacked > 2 * idle + slack:
            wrong.append(
                f"{part:.0%} of the honest messages took {attacked * 1000:.1f} ms "
                f"({measure.__name__}), idle {idle * 1000:.1f} ms"
            )
    return wrong + _unmoved(siege)


def _unmoved(siege: Siege) -> list[str]:
    """Attacks that were not answered as they should be."""
    seen = siege.seen
    plan = siege.plan
    names = ("flood", *ATTACKS, "slowloris")
    wrong = [f"{name} did not take place" for name in names if name not in seen]
    if wrong:
        return wrong

    def expect(name: str, what: str, holds: bool) -> None:
        if not holds:
            wrong.append(f"{name}: {what}: {seen[name]}")

    def count(name: str, what: str) -> int:
        return seen[name].get(what, 0)

    # A reset may take the last answer with it, so there may be fewer than one for each.
    for name, number in (("flood", plan.flood), ("slowloris", plan.slow)):
        expect(name, "all connect", count(name, "open") == number)
        if not plan.outlast:
            continue
        expect(name, "each is closed", count(name, "closed") == number)
        told = count(name, "errno 102") + count(name, "errno 107")
        expect(name, "and told why, but for some", number // 2 <= told <= number)
        full = count(name, "errno 107")
        # The flood's last ones may still have their places when the slow ones come.
        expect(name, "beyond the bound at once", full > 0 or number < BOUND)
    expect("long_lines", "each is closed", count("long_lines", "closed") == 4)
    expect("long_lines", "and told why", count("long_lines", "errno 106") >= 1)
    bad = count("bad_lines", "errno 100")
    expect("bad_lines", "100 and one a second are borne", 100 <= bad <= 400)
    expect("bad_lines", "then it is closed",
           (count("bad_lines", "errno 107"), count("bad_lines", "closed")) == (1, 1))  # fmt: skip
    guesses = count("guess_accounts", "errno 1")
    expect("guess_accounts", "20 and no more are looked at", guesses == 20)
    expect("guess_accounts", "the rest is refused", count("guess_accounts", "errno 107") == 40)
    refused = count("guess_addresses", "errno 1") + count("guess_addresses", "errno 107")
    expect("guess_addresses", "each is refused", refused == plan.addresses * plan.tries)
    expect("never_reads", "both log in", count("never_reads", "errno 0") == 2)
    made = count("registrations", "errno 0")
    expect("registrations", "5 and one a minute", 5 <= made <= 10)
    expect("registrations", "the rest is refused", count("registrations", "errno 107") == 40 - made)
    expect("half_closed", "served, then closed", count("half_closed", "closed") == 100)
    left = [it for it in seen["wrong_protocols"] if it.endswith("left open")]
    expect("wrong_protocols", "each is closed", not left)
    return wrong
