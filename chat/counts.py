"""What a server counts of itself for its status page: plain numbers, added to once a batch."""

from __future__ import annotations


class Counts:
    """Since the start of one server; what the store counts is in the shelf's figures."""

    __slots__ = ("delivered", "logins", "logins_refused", "pushes")

    def __init__(self) -> None:
        self.logins = 0
        self.logins_refused = 0
        self.pushes = 0
        """Messages that were written to a client, of whatever level."""
        self.delivered = 0
        """Messages that a level 2 client has acknowledged."""
