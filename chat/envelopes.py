"""What nodes say to each other over the bus: MessagePack, a version in each.

Every envelope is an array that begins with its kind and its version.  A later version may put
fields behind those that are here, which earlier ones pass over; what it cannot do without is a new
kind, which earlier ones do not know and drop.  So two neighbouring versions work side by side.
"""

from __future__ import annotations

from typing import Any

import msgspec

VERSION = 1


def user_subject(user_id: int) -> str:
    """Where the node listens that has this user."""
    return f"chat.user.{user_id}"


def node_subject(node: int, what: str) -> str:
    """Where a node listens: ``in`` (messages), ``ask`` (probes), ``out.N`` (facts from node N),
    ``who.U`` (where user U is)."""
    return f"chat.node.{node}.{what}"


ALL_NODES = "chat.all"
"""Where every node listens."""

DECREES = "chat.decree"
"""Where every node listens to what an operator wants; answers go to a subject below it."""


class To(msgspec.Struct, array_like=True, gc=False):
    """One recipient of an entry."""

    user: int
    epoch: int
    """Of the login that it is meant for."""
    route: int
    """Which of the sender's node's routes to this user it takes: a number that rises with each
    new one, so that what comes late is known to."""
    place: int
    """Its place on that route, from 0: what is missing is noticed."""
    look: bool
    """Whether something may be in the store that comes before it."""


class Entry(msgspec.Struct, array_like=True, gc=False):
    """Messages of one sender, for one or more users of one node."""

    number: int
    """By which answers name it."""
    kind: int
    sender: int
    stamps: list[int]
    """One is that of the first message: the others have the next ones."""
    cids: list[str] | None
    """None: the server gave them, and each is the prefix with the stamp behind it."""
    prefix: str
    lines: list[bytes]
    to: list[To]


class Envelope(msgspec.Struct, array_like=True, tag=True, gc=False, kw_only=True):
    """What goes over the bus in one piece."""

    version: int = VERSION
    node: int
    """The number of the sender's membership."""


class Batch(Envelope, gc=False, kw_only=True):
    """Messages; their custody stays with the sender until the facts are there."""

    entries: list[Entry]


GONE = -1
"""The user is not on this node, or in another login."""
FEIGNED = -3
"""The user blocks the sender, who is to think that it is stored."""
BROKEN = -2
"""Something before it on this route is missing, or was refused with errno 108: nothing more is
taken on this route."""


class Fact(msgspec.Struct, array_like=True, gc=False):
    """What has become of one entry for some of its recipients."""

    number: int
    users: list[int]
    index: int
    """Which of its messages; -1: all."""
    code: int
    """A :class:`chat.receipts.State`, an errno (100 and up), :data:`GONE`, :data:`BROKEN`
    or :data:`FEIGNED`."""


class Facts(Envelope, gc=False, kw_only=True):
    """The answer to batches."""

    facts: list[Fact]


class Look(Envelope, gc=False, kw_only=True):
    """To a user's subject: is the user there?  The answer is :class:`Here`."""

    user: int
    stored: bool
    """Whether there is something new in the store."""


class Here(Envelope, gc=False, kw_only=True):
    """The user is on this node."""

    user: int
    epoch: int


class Probe(Envelope, gc=False, kw_only=True):
    """A user logs in elsewhere: does the older login answer?"""

    user: int
    epoch: int
    takeover: bool


class Probed(Envelope, gc=False, kw_only=True):
    """The answer to :class:`Probe`."""

    in_use: bool


class Seen(Envelope, gc=False, kw_only=True):
    """To all nodes: a user has come or gone."""

    user: int
    name: str
    epoch: int
    online: bool


class Hint(Envelope, gc=False, kw_only=True):
    """A line without custody, for the level 2 clients of some users."""

    line: bytes
    users: list[int]
    sender: int
    """Who may be blocked; 0: nobody."""


class Changed(Envelope, gc=False, kw_only=True):
    """To all nodes: the members of this group have changed."""

    group: int


class Deleted(Envelope, gc=False, kw_only=True):
    """To all nodes: there is no such user any more; who had the user as a friend."""

    user: int
    name: str
    watchers: list[int]


class Decree(Envelope, gc=False, kw_only=True):
    """To all nodes: an operator wants this to be done.  The answer is :class:`Obeyed`."""

    number: int
    what: str
    """``disconnect`` (``user``), ``notice`` (``line``) or ``gone`` (``user``, ``name``)."""
    user: int
    name: str
    line: bytes


class Obeyed(Envelope, gc=False, kw_only=True):
    """The answer to :class:`Decree`."""

    number: int
    """Of the decree, for who has made it."""
    name: str
    """Of the node."""
    met: int
    """Connections that it met there."""


_Known = (
    Batch | Facts | Look | Here | Probe | Probed | Seen | Hint | Changed | Deleted | Decree | Obeyed
)

_decode = msgspec.msgpack.Decoder(_Known).decode
_encode = msgspec.msgpack.Encoder().encode


def pack(envelope: Envelope) -> bytes:
    """The bytes of an envelope."""
    return _encode(envelope)


def unpack(data: bytes) -> Any:
    """The envelope in these bytes; None: none that this version knows."""
    try:
        return _decode(data)
    except (msgspec.MsgspecError, ValueError):
        return None
