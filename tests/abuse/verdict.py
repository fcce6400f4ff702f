"""What a siege must have come to."""

from __future__ import annotations

from .attackers import ATTACKS
from .honest import share
from .siege import Siege

MEMORY = 200 << 20
SLACK = 0.020
"""Seconds beyond twice the idle ones."""


def complaints(siege: Siege, part: float) -> list[str]:
    """What was not as it must be; ``part``: of the honest messages that have to be in time."""
    wrong = []
    if siege.lost:
        wrong.append(f"{siege.lost} of {siege.acknowledged} acknowledged messages are lost")
    if siege.peak >= MEMORY:
        wrong.append(f"the server had {siege.peak >> 20} MiB")
    idle, attacked = share(siege.idle, part), share(siege.attacked, part)
    if attacked > 2 * idle + SLACK:
        wrong.append(f"honest messages took {attacked * 1000:.1f} ms, idle {idle * 1000:.1f} ms")
    return wrong + _unmoved(siege)


def _unmoved(siege: Siege) -> list[str]:
    """Attacks that were not answered as they should be."""
    seen = siege.seen
    wrong = [f"{name} did not take place" for name in ATTACKS if name not in seen]
    if wrong:
        return wrong

    def expect(name: str, what: str, holds: bool) -> None:
        if not holds:
            wrong.append(f"{name}: {what}: {seen[name]}")

    def count(name: str, what: str) -> int:
        return seen[name].get(what, 0)

    # A reset may take the last answer with it, so there may be fewer than one for each.
    expect("long_lines", "each is closed", count("long_lines", "closed") == 4)
    expect("long_lines", "and told why", count("long_lines", "errno 106") >= 1)
    bad = count("bad_lines", "errno 100")
    expect("bad_lines", "100 and a few are borne", 100 <= bad <= 130)
    expect("bad_lines", "then it is closed",
           (count("bad_lines", "errno 107"), count("bad_lines", "closed")) == (1, 1))  # fmt: skip
    guesses = count("guess_accounts", "errno 1")
    expect("guess_accounts", "20 and no more are looked at", guesses == 20)
    expect("guess_accounts", "the rest is refused", count("guess_accounts", "errno 107") == 40)
    refused = count("guess_addresses", "errno 1") + count("guess_addresses", "errno 107")
    expect("guess_addresses", "each is refused", refused == siege.guesses)
    expect("never_reads", "both log in", count("never_reads", "errno 0") == 2)
    made = count("registrations", "errno 0")
    expect("registrations", "5 and perhaps one more", made in (5, 6))
    expect("registrations", "the rest is refused", count("registrations", "errno 107") == 40 - made)
    expect("half_closed", "served, then closed", count("half_closed", "closed") == 100)
    left = [it for it in seen["wrong_protocols"] if it.endswith("left open")]
    expect("wrong_protocols", "each is closed", not left)
    return wrong
