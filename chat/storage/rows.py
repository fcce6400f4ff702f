"""What every store agrees on about the rows of waiting messages."""

from __future__ import annotations

from ..messages import MAX_ID
from ..model import Keeping, Kept, Outcome

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
    try:
        cid = row.cid.encode()
    except UnicodeEncodeError:
        return False
    return (
        len(cid) <= MAX_CID
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
