"""Who may connect: so many in all, and so many from one address that have not logged in."""

from __future__ import annotations

from ipaddress import IPv6Address

from .errors import ChatError, Code

RETRY_SECONDS = 5.0
"""When somebody who was turned away may find a place."""

IPV6_NETWORK = 64
"""The bits of an IPv6 address that its user does not choose."""


def origin_of(host: str | None) -> str:
    """By what somebody at this address is counted: an IPv6 address by its network, as one customer
    has all of that; empty for who has no address, as on a Unix socket, and is not counted."""
    if not host:
        return ""
    if ":" not in host:
        return host  # IPv4: nothing to find out, and it is found out for each connection
    try:
        address = IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    network = int(address) >> (128 - IPV6_NETWORK) << (128 - IPV6_NETWORK)
    return f"{IPv6Address(network)}/{IPV6_NETWORK}"


class Place:
    """One connection that was let in."""

    __slots__ = ("_doors", "_inside", "_origin", "_stranger")

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._origin = ""
        self._stranger = True
        self._inside = True

    def locate(self, origin: str) -> None:
        """It has come from there.

        :raises ChatError: 107, too many strangers are here from there.
        """
        if self._stranger:
            self._doors.add_stranger(origin)
        self._origin = origin

    def known(self) -> None:
        """It has logged in."""
        if self._stranger and self._inside:
            self._stranger = False
            self._doors.remove_stranger(self._origin)

    def stranger_again(self) -> None:
        """It has logged out, and is not put out for it."""
        if not self._stranger and self._inside:
            self._stranger = True
            self._doors.add_stranger(self._origin, always=True)

    def leave(self) -> None:
        """The connection is gone; once more does nothing."""
        if self._inside:
            self.known()
            self._inside = False
            self._doors.inside -= 1


class Doors:
    """Counts connections.

    :param strangers: from one address.
    :param total: from everywhere, logged in or not.
    """

    def __init__(self, strangers: int, total: int) -> None:
        self._most_strangers = strangers
        self._most = total
        self._strangers: dict[str, int] = {}
        self.inside = 0
        self.turned_away = 0
        """How many were, since the start."""

    def enter(self) -> Place:
        """One more connection, from who knows where.

        :raises ChatError: 107, there are too many.
        """
        if self.inside >= self._most:
            raise self._full("too many connections")
        self.inside += 1
        return Place(self)

    def strangers(self, origin: str) -> int:
        """How many from there have not logged in."""
        return self._strangers.get(origin, 0)

    def add_stranger(self, origin: str, *, always: bool = False) -> None:
        """One more; ``always``: even if it is one too many."""
        if not origin:
            return
        count = self._strangers.get(origin, 0)
        if count >= self._most_strangers and not always:
            raise self._full("too many connections from your address that have not logged in")
        self._strangers[origin] = count + 1

    def remove_stranger(self, origin: str) -> None:
        """One less."""
        if not origin:
            return
        count = self._strangers[origin] - 1
        if count:
            self._strangers[origin] = count
        else:
            del self._strangers[origin]

    def _full(self, text: str) -> ChatError:
        self.turned_away += 1
        return ChatError(Code.TOO_FAST, text, fatal=True, retry_after=RETRY_SECONDS)
