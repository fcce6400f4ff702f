"""Ports that stay free while the process that has them is dead."""

from __future__ import annotations

import socket
from itertools import count
from random import SystemRandom

from tests.faults.proxy import LOCALHOST

FIRST, LAST = 20_000, 32_000
"""Below those that the kernel gives to whoever connects, which would take a dead node's."""

_next = count(SystemRandom().randrange(FIRST, LAST))


def free_port() -> int:
    """One on which nobody listens, and that is given once in this process."""
    for _ in range(LAST - FIRST):
        port = FIRST + (next(_next) - FIRST) % (LAST - FIRST)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOCALHOST, port))
            except OSError:
                continue
        return port
    raise RuntimeError("no port is free")
