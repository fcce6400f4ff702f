"""What every message over NATS begins with, so that none comes after a newer one of its sender.

NATS keeps the order within one connection.  When a server that had stopped wakes up, it reads what
it was sent before on the old connection and what it is sent now on the new one, in any order; so
whoever gets something that was sent on a newer connection drops what comes from the older ones.
"""

from __future__ import annotations

from secrets import token_bytes

_FORM = b"\x01"
_SENDER = len(_FORM) + 8
SIZE = _SENDER + 4
"""Bytes of a head."""
SENDERS = 10_000
"""How many senders are remembered; beyond it the one that was new the longest ago is forgotten."""


class Own:
    """The heads of one sender: a new one for each connection."""

    def __init__(self) -> None:
        self._sender = _FORM + token_bytes(_SENDER - len(_FORM))
        self._connections = 0

    def next(self) -> bytes:
        """The head for one more connection."""
        self._connections += 1
        return self._sender + self._connections.to_bytes(SIZE - _SENDER, "big")


class Heads:
    """The newest head that came from each sender."""

    def __init__(self) -> None:
        self._newest: dict[bytes, bytes] = {}
        self._good: set[bytes] = set()

    def fits(self, head: bytes) -> bool:
        """Whether what begins with this is to be taken; not after a newer one, nor if it is none.

        :param head: the first :data:`SIZE` bytes of a message.
        """
        return head in self._good or self._is_newer(head)

    def _is_newer(self, head: bytes) -> bool:
        if len(head) != SIZE or not head.startswith(_FORM):
            return False
        sender = head[:_SENDER]
        newest = self._newest.get(sender)
        if newest is not None and head < newest:
            return False
        if newest is not None:
            self._good.remove(newest)
        elif len(self._newest) >= SENDERS:
            oldest = next(iter(self._newest))
            self._good.remove(self._newest.pop(oldest))
        self._newest[sender] = head
        self._good.add(head)
        return True
