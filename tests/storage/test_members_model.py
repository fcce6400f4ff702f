"""Any order of what nodes do with their claims, against a model of dictionaries."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from twisted.internet.defer import Deferred, execute
from twisted.trial.unittest import SynchronousTestCase

from chat.cluster import Claim, Members
from chat.errors import StoreAway
from chat.model import User
from chat.storage import dialect_of, schema
from chat.storage.attempts import Work
from chat.storage.dialects import Statements
from chat.storage.direct import Direct, answer_of
from chat.storage.members import SqlMembers
from chat.storage.memory import MemoryStore

T = TypeVar("T")
LONG = 3600.0
PEOPLE = ("ann", "bob", "eve")
USERS = st.integers(1, len(PEOPLE))
NODES = st.integers(1, 6)
"""Some of them, at first all, are not there."""


def answer(awaitable: Awaitable[T]) -> T:
    """What is there already."""
    return answer_of(cast("Deferred[T]", awaitable))


class AtOnce(Direct):
    """A database whose answers are there when the call returns."""

    def steps(self, name: str, work: Work[T]) -> Deferred[T]:
        """See :meth:`chat.storage.sql.Database.steps`."""
        return execute(work, Statements(self.dialect, self.raw))


class Nodes(RuleBasedStateMachine):
    """Over the store in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[int, str] = {}
        """Of the memberships that last."""
        self.ended: set[int] = set()
        self.claims: dict[int, tuple[int, int]] = {}
        """Node and epoch by user."""
        self.members = self.opened()

    def opened(self) -> Members:
        """A store with the people in it."""
        store = MemoryStore(lambda: 1000.0)
        for name in PEOPLE:
            answer(store.users.register(name, name, "a hash"))
        return store.members

    def owner(self, user_id: int) -> Claim | None:
        """The claim that is in force."""
        node, epoch = self.claims.get(user_id, (0, 0))
        return Claim(node, self.names[node], epoch) if node in self.names else None

    def over(self, node: int) -> None:
        """A membership ends."""
        del self.names[node]
        self.ended.add(node)

    @rule(name=st.sampled_from(("x", "y")))
    def join(self, name: str) -> None:
        node = answer(self.members.join(name, LONG))
        assert node > max(self.names.keys() | self.ended, default=0)
        for old in [old for old, known in self.names.items() if known == name]:
            self.over(old)
        self.names[node] = name

    @rule(node=NODES, leaves=st.booleans())
    def end(self, node: int, leaves: bool) -> None:
        if leaves:
            answer(self.members.leave(node))
        else:
            answer(self.members.renew(node, 0.0, {}))
        if node in self.names:
            self.over(node)

    @rule(user_id=USERS, node=NODES, back=st.integers(-1, 1), knows=st.booleans())
    def claim(self, user_id: int, node: int, back: int, knows: bool) -> None:
        owner = self.owner(user_id)
        _, epoch = self.claims.get(user_id, (0, 0))
        after = epoch - back if knows else 0
        try:
            claim = answer(self.members.claim(user_id, node, after))
        except StoreAway:
            assert node not in self.names
            return
        assert node in self.names
        if owner is None or owner.node == node or owner.epoch == after:
            owner = Claim(node, self.names[node], epoch + 1)
            self.claims[user_id] = (node, epoch + 1)
        assert claim == owner

    @rule(node=NODES, back=st.dictionaries(USERS, st.integers(-1, 1)))
    def release(self, node: int, back: Mapping[int, int]) -> None:
        given: dict[int, int] = {}
        for user_id, less in back.items():
            owned_by, epoch = self.claims.get(user_id, (0, 0))
            given[user_id] = epoch - less
            if owned_by == node and not less:
                self.claims[user_id] = (0, epoch)
        answer(self.members.release(node, given))

    @rule(node=NODES, back=st.dictionaries(USERS, st.integers(-1, 1)))
    def renew(self, node: int, back: Mapping[int, int]) -> None:
        thought: dict[int, int] = {}
        lost: set[int] = set()
        for user_id, less in back.items():
            owned_by, epoch = self.claims.get(user_id, (0, 0))
            thought[user_id] = epoch - less
            if owned_by != node or less or node not in self.names:
                lost.add(user_id)
        renewal = answer(self.members.renew(node, LONG, thought))
        assert renewal.held == (node in self.names)
        assert sorted(renewal.lost) == sorted(lost)
        assert renewal.others == sorted(name for other, name in self.names.items() if other != node)

    @rule()
    def reap(self) -> None:
        taken = {user_id for user_id, (node, _) in self.claims.items() if node in self.ended}
        users = answer(self.members.reap())
        expected = [User(user_id, PEOPLE[user_id - 1]) for user_id in sorted(taken)]
        assert sorted(users, key=lambda user: user.id) == expected
        for user_id in taken:
            self.claims[user_id] = (0, self.claims[user_id][1])

    @invariant()
    def all_are_where_they_are(self) -> None:
        users = range(1, len(PEOPLE) + 1)
        expected = {user_id for user_id in users if self.owner(user_id)}
        assert answer(self.members.online(users)) == expected


class SqlNodes(Nodes):
    """Over SQLite."""

    def opened(self) -> Members:
        self.folder = tempfile.TemporaryDirectory()
        self.direct = AtOnce(dialect_of(f"sqlite:{Path(self.folder.name, 'chat.sqlite')}"))
        schema.upgrade(self.direct.dialect, self.direct.raw)
        self.direct.raw.execute("PRAGMA synchronous = OFF").close()
        rows = [(name, name.encode(), "a hash") for name in PEOPLE]
        self.direct.in_one(lambda it: it.insert_all("user", "name, name_key, password", rows))
        return SqlMembers(self.direct.database)

    def teardown(self) -> None:
        self.direct.close()
        self.folder.cleanup()


class ModelTests(SynchronousTestCase):
    def run_it(self, machine: Any, examples: int) -> None:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=40,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )

    def test_in_memory(self) -> None:
        self.run_it(Nodes, 200)

    def test_on_sqlite(self) -> None:
        self.run_it(SqlNodes, 40)
