"""The table ``claim``: who is on which server.

A user is taken by comparing the epoch that was read with the one that is there, in one statement
for many users, and no row stays locked after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ..cluster import Claim
from .dialects import IDS_A_STATEMENT, Statements, marks

TRIES = 5
"""For a user whom others take and leave at the same time."""


class Asked(NamedTuple):
    """Arguments of ``claim``."""

    user_id: int
    node: int
    after: int


class Standing(NamedTuple):
    """A row of ``claim``; ``name`` is that of the node if its membership lasts."""

    node: int
    epoch: int
    name: str | None


NOBODYS = Standing(0, 0, None)


def live_claim(statements: Statements, user: str) -> str:
    """SQL: whether a claim of the user with this id is in force.  No join that may begin with all
    who are on some node."""
    return (
        "(COALESCE((SELECT node.expires FROM claim JOIN node ON node.id = claim.node"
        f" WHERE claim.userid = {user}), 0) > {statements.dialect.clock})"
    )


def set_offline(statements: Statements, users: Sequence[int]) -> None:
    """Write the state of those of them who are nowhere: this may come later than what another node
    has said of them."""
    statements.change(
        f"UPDATE user SET state = 'offline' WHERE id IN ({marks(len(users))})"
        f" AND NOT {live_claim(statements, 'user.id')}",
        users,
    )


def _portions(ids: Iterable[int]) -> Iterator[list[int]]:
    """In the order in which everybody locks rows."""
    in_order = sorted(set(ids))
    for start in range(0, len(in_order), IDS_A_STATEMENT):
        yield in_order[start : start + IDS_A_STATEMENT]


def _standings(statements: Statements, users: Iterable[int]) -> dict[int, Standing]:
    """The claims of these users, as far as they ever had any."""
    found: dict[int, Standing] = {}
    for some in _portions(users):
        rows = statements.rows(
            "SELECT claim.userid, claim.node, claim.epoch, node.name FROM claim LEFT JOIN node"
            f" ON node.id = claim.node AND node.expires > {statements.dialect.clock}"
            f" WHERE claim.userid IN ({marks(len(some))})",
            some,
        )
        found.update((user_id, Standing(*rest)) for user_id, *rest in rows)
    return found


def users_here(statements: Statements, users: Iterable[int]) -> set[int]:
    """Those of them whose claims are in force."""
    standings = _standings(statements, users)
    return {user_id for user_id, standing in standings.items() if standing.name is not None}


def claim_all(statements: Statements, asked: Sequence[Asked]) -> list[Claim | None]:
    """None: the node has no lease."""
    answers: list[Claim | None] = [None] * len(asked)
    todo = list(range(len(asked)))
    while todo:
        # Two claims of one user are two epochs, one after the other.
        first: dict[int, int] = {}
        later = [
            number for number in todo if first.setdefault(asked[number].user_id, number) != number
        ]
        found = _claim_each(statements, [asked[number] for number in first.values()])
        for number in first.values():
            answers[number] = found.get(asked[number].user_id)
        todo = later
    return answers


def _claim_each(statements: Statements, asked: Sequence[Asked]) -> dict[int, Claim]:
    """The claims of different users; without those whose node has no lease."""
    todo = {one.user_id: one for one in asked}
    answers: dict[int, Claim] = {}
    for _ in range(TRIES):
        nodes = sorted({one.node for one in todo.values()})
        leases = statements.rows(
            f"SELECT id FROM node WHERE id IN ({marks(len(nodes))})"
            f" AND expires > {statements.dialect.clock}",
            nodes,
        )
        todo = {user_id: one for user_id, one in todo.items() if (one.node,) in leases}
        answers |= _try_to_claim(statements, todo)
        todo = {user_id: one for user_id, one in todo.items() if user_id not in answers}
        if not todo:
            break
    return answers


def _try_to_claim(statements: Statements, asked: Mapping[int, Asked]) -> dict[int, Claim]:
    """The claims in force then; there may be none of those whom others took and left meanwhile."""
    answers: dict[int, Claim] = {}
    rows: list[tuple[int, int, int]] = []
    before = _standings(statements, asked)
    for user_id, one in sorted(asked.items()):
        standing = before.get(user_id, NOBODYS)
        if standing.name is None or standing.node == one.node or standing.epoch == one.after:
            rows.append((user_id, one.node, standing.epoch + 1))
        else:
            answers[user_id] = Claim(standing.node, standing.name, standing.epoch)
    if rows:
        statements.insert_all("claim", "userid, node, epoch", rows, statements.dialect.next_epoch)
        for user_id, standing in _standings(statements, [row[0] for row in rows]).items():
            if standing.name is not None:
                answers[user_id] = Claim(standing.node, standing.name, standing.epoch)
    return answers


def release_all(
    statements: Statements, asked: Sequence[tuple[int, Mapping[int, int]]]
) -> list[None]:
    epochs: dict[int, dict[int, int]] = {}
    for node, some in asked:
        known = epochs.setdefault(node, {})
        for user_id, epoch in some.items():
            known[user_id] = max(epoch, known.get(user_id, 0))
    for node, known in epochs.items():
        for users in _portions(known):
            cases = " ".join(f"WHEN {user_id:d} THEN {known[user_id]:d}" for user_id in users)
            # `node + 0`: by the users, not by the index of all who are on the node.
            statements.change(
                f"UPDATE claim SET node = 0 WHERE userid IN ({marks(len(users))})"
                f" AND node + 0 = ? AND epoch = CASE userid {cases} END",
                (*users, node),
            )
            # A state written behind finds the claim still there, if it comes before this.
            set_offline(statements, users)
    return [None] * len(asked)


def online_all(
    statements: Statements, asked: Sequence[tuple[Sequence[int], int]]
) -> list[set[int]]:
    here = users_here(statements, {user_id for users, _ in asked for user_id in users})
    found = [(here.intersection(users), viewer) for users, viewer in asked]
    pairs = sorted({(user_id, viewer) for users, viewer in found if viewer for user_id in users})
    blocks: set[tuple[int, int]] = set()
    if pairs:
        blocks.update(
            statements.select_keys("userid, blockedid", "block", ("userid", "blockedid"), pairs)
        )
    return [
        {user_id for user_id in users if (user_id, viewer) not in blocks} for users, viewer in found
    ]
