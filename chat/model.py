"""The nouns that the store keeps.

Times are seconds since the epoch (UTC, float) unless a name says otherwise; a *stamp* is the order
number of a message, microseconds since the epoch made strictly increasing on each node.
"""

from __future__ import annotations

from enum import Enum, StrEnum

import msgspec


class Role(StrEnum):
    """What a member may do in a group; the original's two roles."""

    CREATOR = "creator"
    NORMAL = "normal"


class Account(msgspec.Struct, frozen=True, gc=False):
    """What a login needs to know of a user."""

    id: int
    name: str
    password: str
    """The argon2id hash in its encoded form."""
    last_stamp: int = 0
    """The highest stamp that the store holds of a message from this user; 0 if none."""
    disabled: bool = False


class User(msgspec.Struct, frozen=True, gc=False):
    """A user as others see one."""

    id: int
    name: str


class Friend(msgspec.Struct, frozen=True, gc=False):
    """One entry of a user's list of friends."""

    id: int
    name: str
    hidden: bool = False
    """Whether that friend blocked the user, who then sees ``offline``."""


class FriendRequest(msgspec.Struct, frozen=True, gc=False):
    """Somebody asked to be friends and waits for the answer."""

    id: int
    name: str
    note: str
    asked: float


class Asking(Enum):
    """What became of the wish to be friends."""

    WAITS = "waits"
    """It waits for the answer, or is said to."""
    FRIENDS = "friends"
    """The other had wished it too: they are friends."""
    FULL = "full"
    """Too many others wait for the same one's answer."""


class Group(msgspec.Struct, frozen=True, gc=False):
    """A group as one of its members sees it."""

    id: int
    name: str
    desc: str
    role: Role
    members: int


class Left(msgspec.Struct, frozen=True, gc=False):
    """A group that an account's end has taken its user out of."""

    group_id: int
    heir: User | None
    """Who is its creator now; None: the user was not, or nobody is left."""


class Deletion(msgspec.Struct, frozen=True):
    """What an account's end has taken along."""

    counts: dict[str, int]
    """How many ``groups`` (memberships), ``friends``, ``requests``, ``blocks``, ``messages`` and
    ``tokens`` of the user's own."""
    left: list[Left]
    """The groups, by id."""


class Member(msgspec.Struct, frozen=True, gc=False):
    """One member of a group."""

    id: int
    name: str
    role: Role


class Roster(msgspec.Struct, frozen=True, gc=False):
    """What a login shows of a user's friends and groups, each by id."""

    friends: list[Friend]
    more_friends: bool
    groups: list[Group]
    more_groups: bool
    members: dict[int, list[Member]]
    """Of the groups, as far as they were asked for."""


class Census(msgspec.Struct, gc=False):
    """How much waits in the store for one user."""

    waiting: int = 0
    by_sender: dict[int, int] = {}
    """Rows by sender."""
    blocked: frozenset[int] = frozenset()
    """Whom the user blocks."""


class Kept(msgspec.Struct, frozen=True, gc=False):
    """A message in the store, waiting for one recipient.

    ``(recipient, stamp, sender)`` is its key and its place in the order; ``(recipient, sender,
    cid)`` is unique as well, so that a message stored again is stored once.
    """

    recipient: int
    stamp: int
    sender: int
    cid: str
    given: bool
    """Whether the server gave the cid; then ``body`` does not show it."""
    kind: int
    """5 or 9, the msgid."""
    digest: bytes
    """8 bytes over msgid, target and text: tells a repeat from another message (errno 110)."""
    body: bytes
    """The line as a level 1 client gets it, UTF-8 JSON, without line end."""


class KeptKey(msgspec.Struct, frozen=True, gc=False):
    """The key of a :class:`Kept`."""

    recipient: int
    stamp: int
    sender: int


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where a waiting message stands in its recipient's order, and its name."""

    stamp: int
    sender: int
    cid: str


class Keeping(Enum):
    """What became of one message that was to be stored."""

    STORED = "stored"
    REPEATED = "repeated"
    """It was in the store already, the same."""
    CONFLICT = "conflict"
    """Another message of that sender to that recipient with this cid is in the store."""
    REFUSED = "refused"
    """The database takes everything else, but not these data."""


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """The store's answer for one row: what happened, and the stamp of the row that is there."""

    keeping: Keeping
    stamp: int


class Said(msgspec.Struct, frozen=True, gc=False):
    """One line of the history; ``recipient`` or ``group`` is 0."""

    stamp: int
    sender: int
    recipient: int
    group: int
    cid: str
    body: bytes
    """The line as it was pushed, without ``seq``."""


class Conversation(msgspec.Struct, frozen=True, gc=False):
    """The newest line between a user and a peer or in a group; ``peer`` or ``group`` is 0."""

    peer: int
    group: int
    name: str
    """The peer's or the group's; empty for a user who was deleted."""
    last: Said


class Page(msgspec.Struct, frozen=True, gc=False):
    """A page of history, newest first.

    ``gap``: lines within the page's range were not recorded because too many waited to be written.
    """

    lines: list[Said]
    more: bool
    gap: bool


class Token(msgspec.Struct, frozen=True, gc=False):
    """A login without password, as its owner sees it; times in seconds since the epoch."""

    id: int
    created: float
    used: float
    expires: float
    address: str
