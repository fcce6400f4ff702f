"""What several servers need to be one: the bus between them, and who is where.

The bus is a hint that may lose, delay and repeat; the store is the truth.  Nouns and protocols
only; ``chat/bus/`` and ``chat/storage/`` implement them, :mod:`chat.nodes` uses them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from .model import User


class NoResponder(Exception):
    """Nobody listens there now."""


class BusAway(Exception):
    """The bus is down, or no answer came in time: nothing is known."""


class Message(msgspec.Struct, frozen=True, gc=False):
    """What came over the bus."""

    subject: str
    data: bytes
    reply: str = ""
    """Where an answer goes; empty: none is wanted."""
    undelivered: bool = False
    """Nobody listened where a message was published whose reply this subject was."""


class Subscription(Protocol):
    """A subject that is listened to."""

    def close(self) -> None:
        """Listen no more; once more does nothing."""


class Bus(Protocol):
    """Carries messages of bytes between the nodes, by subject.

    What one node publishes to a subject, another one gets in that order, and never twice; it may be
    lost, or come late.  A message is not kept for who is not there, nor while the bus is down.
    """

    up: bool
    """Whether it can be used now."""
    changed: list[Callable[[bool], None]]
    """Called with :attr:`up` when that changes."""
    most: int
    """Bytes that one message may have."""
    dropped: int
    """Messages that were not taken, as too much waited to be written."""
    ignored: int
    """Messages that came after newer ones of their sender, or were no node's."""

    def open(self) -> Awaitable[None]:
        """Connect.

        :raises BadStart: it cannot be reached; one line that says where and why.
        """

    def close(self) -> Awaitable[None]:
        """What was published is sent, then everything ends; once more does nothing."""

    def publish(self, subject: str, data: bytes, reply: str = "") -> bool:
        """Send a message to all who listen; False: it was not sent.

        :param reply: what answers are published to.  When nobody listens at ``subject``, a message
            that is ``undelivered`` comes there.
        :raises ValueError: these are more than :attr:`most` bytes.
        """

    def request(self, subject: str, data: bytes, seconds: float) -> Awaitable[bytes]:
        """Send a message, and wait for the first answer, for so long.

        :raises NoResponder: nobody listens there.
        :raises BusAway: the bus is down, or there was no answer in time.
        :raises ValueError: these are more than :attr:`most` bytes; at once.
        """

    def subscribe(self, subject: str, call: Callable[[Message], None]) -> Subscription:
        """Call a function with what comes to a subject, from now on, also after the bus was down.

        In force for everybody who publishes after having got something that was published here
        later.  The last part of the subject may be ``>``: everything below.
        """

    def describe(self) -> str:
        """Where it is, for people; no password in it."""


class Claim(msgspec.Struct, frozen=True, gc=False):
    """On which node a user is, or was last."""

    node: int
    """The number of that node's membership."""
    name: str
    """Of the node."""
    epoch: int
    """Greater with each login of the user."""


class Renewal(msgspec.Struct, frozen=True, gc=False):
    """What a node learns when it renews its lease."""

    held: bool
    """Whether it still had it; otherwise it has none, and has to join again."""
    lost: list[int]
    """Of the users that it thought it had, those that are another's, or nobody's, or have a newer
    epoch."""
    others: list[str]
    """The names of the other nodes that have a lease."""


class Members(Protocol):
    """The nodes that hold a lease, and the users who are on them.  Times are the database's own.

    Every call may raise :class:`~chat.errors.StoreAway`.
    """

    def join(self, name: str, seconds: float) -> Awaitable[int]:
        """Begin a membership with a lease of so many seconds; its number, higher than any before.

        A membership that had this name ends: a node that comes back does not wait for its own
        lease, and of two nodes with one name the newer one stays.
        """

    def renew(self, node: int, seconds: float, claims: Mapping[int, int]) -> Awaitable[Renewal]:
        """Hold the lease for so many seconds from now; one that has ended is not renewed.

        :param claims: the epochs, by user, that this node thinks it has.
        """

    def leave(self, node: int) -> Awaitable[None]:
        """End a membership, with all its claims; :meth:`reap` tells of whom it had not released."""

    def claim(self, user_id: int, node: int, after: int = 0) -> Awaitable[Claim]:
        """The user is on this node now, with a new epoch, if nobody else has the user.

        Somebody has when the claim in force is another node's that has a lease; that one is
        answered, and nothing changed, unless its epoch is ``after``: whoever asks knows that it is
        to go.  Of several who ask at the same time one succeeds.

        :raises StoreAway: or this ``node`` has no lease any more.
        """

    def release(self, node: int, epochs: Mapping[int, int]) -> Awaitable[None]:
        """These users are on this node no more, unless their epoch is another one by now.

        ``user.state`` says ``offline`` of those who are on none.
        """

    def online(self, users: Sequence[int], viewer: int = 0) -> Awaitable[set[int]]:
        """Which of them are on a node that has a lease; without those who block ``viewer``."""

    def reap(self) -> Awaitable[list[User]]:
        """Memberships whose leases have ended are over.  The users who were on them, each told to
        one caller only; ``user.state`` says ``offline`` of them now.

        Some thousands a call: more may be left while there are any.
        """
