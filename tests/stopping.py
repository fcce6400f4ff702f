"""Processes that are stopped: alive, and doing nothing."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path


def stop(pid: int) -> None:
    """SIGSTOP: what it listens to still accepts connections (the kernel does), and answers nothing.

    ``SIGCONT`` wakes it.
    """
    os.kill(pid, signal.SIGSTOP)
    # Each thread stops when it is scheduled next: one may still answer.
    until = time.monotonic() + 5.0
    while not _is_stopped(pid) and time.monotonic() < until:
        time.sleep(0.001)  # between two looks at the condition awaited


def _is_stopped(pid: int) -> bool:
    states = []
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            states.append(stat.read_text().rpartition(")")[2].split()[0])
    return all(state in "TZX" for state in states)
