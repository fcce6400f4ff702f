"""How far something is that takes long, on a terminal."""

from __future__ import annotations

import sys
import time


class Meter:
    """Lines on standard error, where that is a terminal; at most five a second."""

    def __init__(self) -> None:
        self._last = 0.0
        self._terminal = sys.stderr.isatty()

    def show(self, what: str, done: int, total: int) -> None:
        """So much of it is done."""
        now = time.monotonic()
        if not self._terminal or (now - self._last < 0.2 and done < total):
            return
        self._last = now
        end = "\n" if done >= total else ""
        sys.stderr.write(f"\r{what}: {done} of {total}   {end}")
        sys.stderr.flush()
