"""What the server says, typed: messages, hints, and the answers to requests.

Field names are the wire's (``docs/protocol.md``).  Fields that this version does not know are
skipped, so a newer server is no trouble.
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec


class Record(msgspec.Struct, frozen=True, gc=False):
    """What all of these share: they do not change."""


class Message(Record, tag_field="msgid", frozen=True, kw_only=True):
    """A chat message; ``id`` and ``name`` are its sender, vouched for by the server.

    ``time`` is text as the sender's client wrote it, usually ``YYYY-MM-DD HH:MM:SS`` in UTC.
    ``seq`` numbers what was pushed on one connection; ``stamp``, microseconds since the epoch, is
    the place in the history and 0 in a message that was pushed.
    """

    id: int
    name: str
    msg: str
    time: str
    cid: str = ""
    seq: int = 0
    stamp: int = 0

    @property
    def key(self) -> tuple[int, str]:
        """What names a message among all that one receives."""
        return self.id, self.cid

    @property
    def reply_cid(self) -> str:
        """A ``cid`` for the one reply to this message: the same whenever it is computed, so a
        client that is killed after replying and sees the message again replies only once."""
        return "re-" + blake2b(f"{self.id} {self.cid}".encode(), digest_size=16).hexdigest()


class DirectMessage(Message, tag=5, frozen=True):
    """A message from one user to one."""

    toid: int


class GroupMessage(Message, tag=9, frozen=True):
    """A message to all members of a group."""

    groupid: int


AnyMessage = DirectMessage | GroupMessage


class Sent(Record, frozen=True):
    """A message of ours is acknowledged.

    ``state`` is ``delivered`` (a recipient's client has it), ``stored`` (it is in the server's
    database) or ``pushed`` (handed to the kernel for a client that cannot acknowledge); of a group
    message, the weakest.  ``members`` are the others in the group, ``refused`` those of them whose
    mailbox was full.
    """

    cid: str
    state: str
    members: int = 0
    refused: int = 0


class User(Record, frozen=True):
    """A user."""

    id: int
    name: str


class Friend(User, frozen=True):
    """A friend; ``state`` is ``online`` or ``offline``."""

    state: str = "offline"


class FriendRequest(User, frozen=True):
    """Somebody who asks to be friends."""

    note: str = ""
    time: str = ""


class Group(Record, frozen=True):
    """A group that one is in; ``role`` is ``creator`` or ``normal``, ``members`` their number."""

    id: int
    groupname: str
    groupdesc: str = ""
    role: str = "normal"
    members: int = 0


class Member(Friend, frozen=True):
    """A member of a group."""

    role: str = "normal"


class Welcome(Record, frozen=True):
    """A login succeeded.  ``backlog`` messages waited and follow; ``friends`` and ``groups`` are
    the first 500 of each, and there are more when ``more_friends``, ``more_groups`` say so."""

    id: int
    name: str
    backlog: int = 0
    friends: tuple[Friend, ...] = ()
    groups: tuple[Group, ...] = ()
    more_friends: bool = False
    more_groups: bool = False


class HistoryPage(Record, frozen=True):
    """A page of history, newest first; ``gap``: something in its range was not recorded."""

    messages: tuple[AnyMessage, ...]
    more: bool = False
    gap: bool = False

    @property
    def before(self) -> int:
        """What to ask for to get the next, older page; 0: there is none."""
        return self.messages[-1].stamp if self.more and self.messages else 0


class Conversation(Record, frozen=True):
    """With whom one talked: ``toid`` or ``groupid`` (the other is 0), and the newest message."""

    name: str
    last: AnyMessage
    toid: int = 0
    groupid: int = 0


class Token(Record, frozen=True):
    """A login without password; ``current``: the one of this connection."""

    id: int
    created: str = ""
    used: str = ""
    expires: str = ""
    address: str = ""
    current: bool = False


class Hint(Record, tag_field="msgid", frozen=True):
    """What others do, as it happens; never stored, so nothing to rely on."""


class FriendAsked(Hint, tag=15, frozen=True):
    """``id`` asks to be friends."""

    id: int
    name: str
    note: str = ""
    time: str = ""


class FriendAnswered(Hint, tag=16, frozen=True):
    """``id`` accepted our request, or declined."""

    id: int
    name: str
    accept: bool
    state: str = "offline"


class FriendRemoved(Hint, tag=17, frozen=True):
    """``id`` ended the friendship."""

    id: int
    name: str


class PresenceChanged(Hint, tag=28, frozen=True):
    """A friend came (``online``) or went (``offline``)."""

    id: int
    name: str
    state: str


class TypingChanged(Hint, tag=29, frozen=True):
    """``id`` is typing to us, or in the group ``groupid`` if that is not 0."""

    id: int
    name: str
    typing: bool
    groupid: int = 0


class ReadUpTo(Hint, tag=30, frozen=True):
    """``id`` has read our messages up to the one whose cid is ``upto``."""

    id: int
    name: str
    upto: str
    groupid: int = 0


class MembershipChanged(Hint, tag=33, frozen=True):
    """``id`` ``joined`` the group, ``left`` it, was ``removed``, or is its ``creator`` now."""

    groupid: int
    id: int
    name: str
    event: str


class Notice(Hint, tag=38, frozen=True):
    """The operator says something; ``reconnect`` (seconds): the server stops, come back then."""

    msg: str
    time: str = ""
    reconnect: float = 0.0


AnyHint = (
    FriendAsked
    | FriendAnswered
    | FriendRemoved
    | PresenceChanged
    | TypingChanged
    | ReadUpTo
    | MembershipChanged
    | Notice
)
