"""What the rules ask of the world.

The rules (accounts, contacts, groups, delivery) know these protocols and nothing of Twisted, of a
database or of a bus.  Everything that waits is an ``Awaitable``; every call into a store may raise
:class:`~chat.errors.StoreAway`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Protocol

from .cluster import Members
from .model import (
    Account,
    Asking,
    Census,
    Conversation,
    Deletion,
    Friend,
    FriendRequest,
    Group,
    Kept,
    KeptKey,
    Member,
    Outcome,
    Page,
    Place,
    Roster,
    Said,
    Token,
    User,
)


class Clock(Protocol):
    """Time; passed in wherever it is needed, so that tests own it."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    def time(self) -> float:
        """Seconds since the epoch."""


class Users(Protocol):
    """The accounts."""

    def register(self, name: str, name_key: str, password: str) -> Awaitable[int]:
        """Make an account; ``name`` as typed, ``name_key`` its NFKC form, ``password`` a hash.

        :raises NameTaken: the ``name_key`` exists.
        """

    def account(self, user_id: int) -> Awaitable[Account | None]:
        """What a login needs, in one interaction; None for an id that is nobody's."""

    def user(self, user_id: int) -> Awaitable[User | None]:
        """The user of this id."""

    def find(self, name_key: str) -> Awaitable[User | None]:
        """The user whose name has this NFKC form."""

    def set_states(self, states: Mapping[int, bool]) -> Awaitable[None]:
        """Write ``user.state`` (True: online) for other programs to read; in one transaction.
        Nobody is written offline who is on some node."""

    def reset_states(self) -> Awaitable[None]:
        """Nobody is online who is not on another node: at the start of the server."""

    def set_password(self, user_id: int, password: str) -> Awaitable[None]:
        """Put another hash in place; all the user's tokens are gone with the old one."""

    def delete(self, user_id: int) -> Awaitable[Deletion]:
        """The user, and all rows that are about the user: friends, requests, blocks, memberships,
        waiting messages, tokens.  Groups that the user created go to their oldest other member, or
        are gone when there is none.  History lines stay with those the user talked to.
        """


class Offline(Protocol):
    """The messages that wait for their recipients."""

    def census(self, recipients: Sequence[int]) -> Awaitable[dict[int, Census]]:
        """What waits for each of these users, in one query; ids that are nobody's are left out."""

    def keep(self, rows: Sequence[Kept]) -> Awaitable[list[Outcome]]:
        """Store rows in one transaction; an outcome for each, in their order.

        When this returns, the rows are on the disk.  It may be repeated with the same rows.  Two
        rows of one call may be the same message.  A batch that fails for its data is halved until
        the row is found; that one is ``REFUSED`` and the others are stored.  So is what would take
        another message's place in the order (recipient, stamp and sender).

        :raises StoreAway: nothing can be said of any row.
        """

    def page(
        self, recipient: int, after: tuple[int, int], rows: int, size: int
    ) -> Awaitable[tuple[list[Kept], bool]]:
        """The oldest waiting messages beyond ``after`` (stamp, sender), in order.

        At most ``rows`` of them and about ``size`` bytes of bodies (at least one row, if there is
        one); and whether there are more.
        """

    def places(self, recipient: int, upto: tuple[int, int]) -> Awaitable[list[Place]]:
        """Where all the messages are that wait up to this place (stamp, sender) and at it."""

    def forget(self, keys: Sequence[KeptKey]) -> Awaitable[None]:
        """Delete rows by their own keys, in one transaction; keys that are not there are fine."""


class Friends(Protocol):
    """Friends, friend requests and blocks.  A friendship is a row a direction, as it was."""

    def add(self, user_id: int, friend_id: int, most: int) -> Awaitable[bool]:
        """``friend_id`` becomes a friend of ``user_id`` (one direction); False: was one already.
        A waiting request between the two, in either direction, is settled with it.

        :raises ValueError: the user has ``most`` friends already.
        """

    def accept(self, user_id: int, asker_id: int, most: int) -> Awaitable[bool]:
        """The request from ``asker_id`` to ``user_id`` makes them friends, in both directions, and
        every request between the two is settled.  False: there is none.

        :raises ValueError: one of them has ``most`` friends already.
        """

    def remove(self, user_id: int, friend_id: int) -> Awaitable[bool]:
        """Both directions are gone; False: there was nothing."""

    def page(self, user_id: int, after: int, limit: int) -> Awaitable[tuple[list[Friend], bool]]:
        """Friends with ids beyond ``after``, by id; and whether there are more."""

    def watchers(self, user_id: int) -> Awaitable[list[int]]:
        """Who has this user as a friend and is not blocked by the user: who may know the state."""

    def are_friends(self, user_id: int, friend_id: int) -> Awaitable[bool]:
        """Whether ``friend_id`` is a friend of ``user_id``."""

    def ask(
        self, user_id: int, friend_id: int, note: str, now: float, most: int, most_friends: int
    ) -> Awaitable[Asking]:
        """``user_id`` wishes to be ``friend_id``'s friend, in both directions.

        They are at once if ``friend_id`` has ``user_id`` as a friend, or has asked.  Otherwise the
        request is kept, a repeated one with the newest note, unless ``most`` others wait; from who
        is blocked by ``friend_id`` none is kept, and that does not show.

        :raises ValueError: they would be, but one of them has ``most_friends`` friends already.
        """

    def requests(
        self, user_id: int, after: int, limit: int
    ) -> Awaitable[tuple[list[FriendRequest], bool]]:
        """Requests that wait for ``user_id``'s answer, by the asker's id."""

    def settle(self, user_id: int, asker_id: int) -> Awaitable[bool]:
        """The request from ``asker_id`` to ``user_id`` is gone; False: there was none."""

    def block(self, user_id: int, blocked_id: int) -> Awaitable[None]:
        """``blocked_id``'s one-to-one messages and requests no longer reach ``user_id``; requests
        between the two, in either direction, are gone."""

    def unblock(self, user_id: int, blocked_id: int) -> Awaitable[None]:
        """The opposite of :meth:`block`."""

    def blocked(self, user_id: int) -> Awaitable[list[User]]:
        """Whom ``user_id`` blocks, by id."""


class Groups(Protocol):
    """Groups and their members."""

    def create(
        self, name: str, name_key: str, desc: str, creator: int, most: int
    ) -> Awaitable[int]:
        """Make a group; its id, or 0 when ``creator`` is in ``most`` groups already.

        :raises NameTaken: the ``name_key`` exists.
        """

    def join(self, group_id: int, user_id: int, most: int) -> Awaitable[Group | None]:
        """Become a normal member (or stay what one is).  None: no such group.

        :raises ValueError: the user is in ``most`` groups already.
        """

    def leave(self, group_id: int, user_id: int) -> Awaitable[bool]:
        """Cease to be a member; a group without members is deleted.  False: was none.

        :raises ValueError: the user is its creator, and there are others.
        """

    def hand_over(self, group_id: int, creator: int, user_id: int) -> Awaitable[bool]:
        """``user_id``, a member, becomes the creator, and ``creator`` a normal member.
        False: ``creator`` is not its creator, or ``user_id`` no member."""

    def group(self, group_id: int, user_id: int) -> Awaitable[Group | None]:
        """The group as this member sees it; None: no such group, or not a member."""

    def exists(self, group_id: int) -> Awaitable[bool]:
        """Whether there is such a group."""

    def page(self, user_id: int, after: int, limit: int) -> Awaitable[tuple[list[Group], bool]]:
        """The groups that the user is in with ids beyond ``after``, by id; and whether more."""

    def members(
        self, group_id: int, after: int, limit: int
    ) -> Awaitable[tuple[list[Member], bool]]:
        """Members with ids beyond ``after``, by id; and whether there are more."""

    def member_ids(self, group_id: int) -> Awaitable[list[int] | None]:
        """All members' ids; None: no such group."""


class Rosters(Protocol):
    """What logins show of friends and groups."""

    def read(self, user_id: int, friends: int, groups: int, members: int) -> Awaitable[Roster]:
        """A user's friends, groups and the groups' members, so many of each (``members`` over all
        groups together), by id, in one interaction."""


class History(Protocol):
    """What was said, for those who took part; may miss the last second after a kill."""

    def record(
        self, lines: Sequence[Said], gaps: Iterable[tuple[int, int, int]]
    ) -> Awaitable[None]:
        """Write lines in one transaction, and for each ``gap`` (a user's id and 0, or 0 and a
        group's id; and a stamp) that lines at about that stamp were not recorded."""

    def between(self, user_id: int, peer: int, before: int, limit: int) -> Awaitable[Page]:
        """What two users said to each other, stamps below ``before`` (0: all), newest first.
        Lines that share a page's last stamp are all in it, beyond ``limit`` if need be."""

    def in_group(self, group_id: int, user_id: int, before: int, limit: int) -> Awaitable[Page]:
        """What was said in a group since ``user_id`` joined (again), as :meth:`between`; nothing
        for who is not in it."""

    def conversations(
        self, user_id: int, before: int, limit: int
    ) -> Awaitable[tuple[list[Conversation], bool]]:
        """The user's conversations whose newest lines have stamps below ``before`` (0: all), the
        one with the newest first; and whether there are more.  Those that share a page's last stamp
        are all in it, beyond ``limit`` if need be."""

    def expire(self, before: int, limit: int) -> Awaitable[int]:
        """Delete at most ``limit`` lines with stamps below ``before``; how many there were."""


class Tokens(Protocol):
    """Logins without a password."""

    def issue(
        self,
        user_id: int,
        digest: bytes,
        now: float,
        expires: float,
        address: str,
        password: str | None = None,
    ) -> Awaitable[int]:
        """Keep a token's SHA-256; its id.  A user's oldest beyond 20 are dropped.

        With ``password`` only while that is the user's hash; otherwise 0, and there is no token.
        """

    def account(
        self, user_id: int, digest: bytes, now: float
    ) -> Awaitable[tuple[Account, Token] | None]:
        """The account and the token, if it is the user's and has not expired; one interaction."""

    def renew(self, digest: bytes, now: float, expires: float) -> Awaitable[None]:
        """The token lives on until ``expires``."""

    def list(self, user_id: int) -> Awaitable[list[Token]]:
        """A user's tokens, the newest first."""

    def revoke(self, user_id: int, token_id: int) -> Awaitable[bool]:
        """The token is gone; False: the user has no such token."""


class Invites(Protocol):
    """Codes that let somebody register where ``--registration invite`` is set."""

    def issue(self, digest: bytes, now: float, expires: float, uses: int) -> Awaitable[None]:
        """Keep a code's SHA-256."""

    def redeem(self, digest: bytes, now: float) -> Awaitable[bool]:
        """Use the code once; False: unknown, expired or used up."""


class Store(Protocol):
    """One database: its parts, and its life."""

    users: Users
    offline: Offline
    friends: Friends
    groups: Groups
    rosters: Rosters
    history: History
    tokens: Tokens
    invites: Invites
    members: Members

    def open(self) -> Awaitable[None]:
        """Connect and bring the schema up to date, under a lock.

        :raises BadStart: unreachable, or its schema is newer than this code; the text says which.
        """

    def close(self) -> Awaitable[None]:
        """Finish what is under way and close every connection."""

    def ping(self) -> Awaitable[None]:
        """One trivial query, for the status page.

        :raises StoreAway: it cannot be reached.
        """

    def describe(self) -> str:
        """Where the data are, for people; no password in it."""
