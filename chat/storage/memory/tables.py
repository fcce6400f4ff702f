"""What the parts of the in-memory store share: its tables, and how a method answers at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import msgspec
from twisted.internet.defer import Deferred, fail, succeed

from ...model import Role, Token
from ..times import micros

P = ParamSpec("P")
T = TypeVar("T")


def answered(method: Callable[P, T]) -> Callable[P, Deferred[T]]:
    """A method whose Deferred has fired when it is returned."""

    @wraps(method)
    def answer(*args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        try:
            return succeed(method(*args, **kwargs))
        except Exception as error:
            return fail(error)

    return answer


class UserRow(msgspec.Struct):
    """A row of ``user``."""

    id: int
    name: str
    name_key: str
    password: str
    disabled: bool = False


class MemberRow(msgspec.Struct):
    """A row of ``groupuser``."""

    role: Role
    joined: int
    """Microseconds since the epoch."""


class GroupRow(msgspec.Struct):
    """A row of ``allgroup`` with its members."""

    id: int
    name: str
    name_key: str
    desc: str
    members: dict[int, MemberRow] = {}


class TokenRow(msgspec.Struct):
    """A row of ``token``."""

    user_id: int
    token: Token


class ClaimRow(msgspec.Struct):
    """A row of ``claim``."""

    node: int
    epoch: int


class Ids:
    """Numbers that are given once."""

    def __init__(self) -> None:
        self._last = 0

    def next(self) -> int:
        """The next one, from 1."""
        self._last += 1
        return self._last


class Relation:
    """Pairs of ids, found from both sides."""

    def __init__(self) -> None:
        self._forward: dict[int, set[int]] = {}
        self._back: dict[int, set[int]] = {}

    def __contains__(self, pair: tuple[int, int]) -> bool:
        return pair[1] in self._forward.get(pair[0], ())

    def of(self, one: int) -> list[int]:
        """Whom it leads to, by id."""
        return sorted(self._forward.get(one, ()))

    def to(self, other: int) -> list[int]:
        """Who leads there, by id."""
        return sorted(self._back.get(other, ()))

    def add(self, one: int, other: int) -> bool:
        """False: it was there."""
        if (one, other) in self:
            return False
        self._forward.setdefault(one, set()).add(other)
        self._back.setdefault(other, set()).add(one)
        return True

    def remove(self, one: int, other: int) -> bool:
        """False: it was not there."""
        if (one, other) not in self:
            return False
        for side, key, value in ((self._forward, one, other), (self._back, other, one)):
            side[key].discard(value)
            if not side[key]:
                del side[key]
        return True

    def clear(self, one: int) -> int:
        """Remove all pairs with it, on either side; how many began with it."""
        forward = self.of(one)
        for other in forward:
            self.remove(one, other)
        for other in self.to(one):
            self.remove(other, one)
        return len(forward)


class Tables:
    """The rows, found as the parts need them.

    :param now: seconds since the epoch.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.users: dict[int, UserRow] = {}
        self.names: dict[str, int] = {}
        self.friends = Relation()
        self.blocks = Relation()
        self.requests = Relation()
        """From the asker to the asked."""
        self.groups: dict[int, GroupRow] = {}
        self.group_names: dict[str, int] = {}
        self.memberships = Relation()
        """From a user to a group."""
        self.tokens: dict[bytes, TokenRow] = {}
        self.gaps: set[tuple[int, int, int]] = set()
        self.claims: dict[int, ClaimRow] = {}
        """By user."""

    def stamp(self) -> int:
        """Now, in microseconds."""
        return micros(self._now())

    def drop_tokens(self, user_id: int) -> int:
        """All tokens of a user are gone; how many there were."""
        mine = [digest for digest, row in self.tokens.items() if row.user_id == user_id]
        for digest in mine:
            del self.tokens[digest]
        return len(mine)

    def drop_member(self, group_id: int, user_id: int) -> bool:
        """Take a user out of a group, and the group away with its last member; False: was none."""
        if not self.memberships.remove(user_id, group_id):
            return False
        group = self.groups[group_id]
        del group.members[user_id]
        if not group.members:
            del self.groups[group_id]
            del self.group_names[group.name_key]
        return True
