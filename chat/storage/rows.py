"""What every store agrees on about the rows of waiting messages and of the history."""

from __future__ import annotations

from collections.abc import Iterable

from ..messages import MAX_ID
from ..model import Keeping, Kept, Outcome, Said

MAX_BODY = 1 << 20
"""Bytes of a line; a longer one would break a connection to MySQL instead of being refused."""
MAX_CID = 256
"""Bytes of a cid in UTF-8."""
DIGEST = 8

Name = tuple[int, int, str]


def name_of(row: Kept) -> Name:
    """What names a message: for its recipient, its sender's cid."""
    return (row.recipient, row.sender, row.cid)


def storable(row: Kept) -> bool:
    """Whether the tables' columns can hold it."""
    return (
        _cid_fits(row.cid)
        and len(row.body) <= MAX_BODY
        and len(row.digest) == DIGEST
        and 0 < row.recipient <= MAX_ID
        and 0 < row.sender <= MAX_ID
        and 0 < row.stamp <= MAX_ID
        and 0 < row.kind < 1 << 15
    )


def repeated(row: Kept, stamp: int, digest: bytes) -> Outcome:
    """The outcome for a row whose name is in the store already, with that stamp and digest."""
    return Outcome(Keeping.REPEATED if row.digest == digest else Keeping.CONFLICT, stamp)


Pair = tuple[int, int]
"""A conversation: two users, the smaller id first, or 0 and a group."""
Gap = tuple[int, int, int]
"""A user and 0, or 0 and a group; and a stamp."""


def pair_between(one: int, other: int) -> Pair:
    """The conversation of two users."""
    return (min(one, other), max(one, other))


def pair_of(line: Said) -> Pair:
    """The conversation that a line belongs to."""
    return (0, line.group) if line.group else pair_between(line.sender, line.recipient)


def newest_first(
    newest: Iterable[tuple[int, int, int]], before: int, limit: int
) -> tuple[list[tuple[int, int, int]], bool]:
    """A page of conversations, each the stamp of its newest line and its :data:`Pair`; and whether
    there are more.  Those that share the last one's stamp are in it, as the next page begins below.
    """
    found = sorted((one for one in newest if not before or one[0] < before), reverse=True)
    end = limit
    while end < len(found) and found[end][0] == found[end - 1][0]:
        end += 1
    return found[:end], end < len(found)


def fits(line: Said) -> bool:
    """Whether the tables' columns can hold it."""
    low, high = pair_of(line)
    return (
        _cid_fits(line.cid)
        and len(line.body) <= MAX_BODY
        and 0 <= low <= high <= MAX_ID
        and 0 < line.sender <= MAX_ID
        and 0 < line.stamp <= MAX_ID
    )


def holes_of(line: Said) -> list[Gap]:
    """The gaps that a line leaves which is not recorded."""
    if line.group:
        return [(0, line.group, line.stamp)]
    return [(line.sender, 0, line.stamp), (line.recipient, 0, line.stamp)]


def _cid_fits(cid: str) -> bool:
    try:
        return len(cid.encode()) <= MAX_CID
    except UnicodeEncodeError:
        return False
