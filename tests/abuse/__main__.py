"""The long form: ``python -m tests.abuse``; the exit status is 1 when something was not borne."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from .attackers import Plan
from .siege import Fort, besiege, raise_files
from .verdict import complaints, gross, net

LONG = partial(
    Plan, seconds=60.0, slow=9000, flood=10_000, outlast=True, accounts=1000, addresses=100,
    tries=10, megabytes=50,
)  # fmt: skip
IDLE = 30.0
START = time.monotonic()


def tell(text: str) -> None:
    """One line, with the seconds since the start."""
    print(f"[{time.monotonic() - START:6.1f} s] {text}", flush=True)


def main() -> int:
    """One siege, and what it came to."""
    raise_files()
    tell(f"honest people are alone for {IDLE:.0f} s, then the attacks; some six minutes in all")
    with tempfile.TemporaryDirectory(prefix="chat-abuse-") as folder:
        clean = {name: value for name, value in os.environ.items() if name[:5] != "CHAT_"}
        fort = Fort(Path(folder), clean)
        try:
            siege = asyncio.run(besiege(fort, IDLE, LONG, tell))
        finally:
            fort.end()
    for part in (0.5, 0.95, 0.99):
        for measure in (gross, net):
            print(f"p{part * 100:g} ({measure.__name__}): "
                  f"{measure(siege.attacked, part) * 1000:.1f} ms under attack, "
                  f"{measure(siege.idle, part) * 1000:.1f} ms idle")  # fmt: skip
    print(f"memory at its highest: {siege.peak >> 20} MiB; {siege.acknowledged} messages "
          f"acknowledged, {siege.lost} lost")  # fmt: skip
    wrong = complaints(siege, (gross, 0.99))
    print("\n".join(wrong) or "all was borne")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
