"""What comes together: in few interactions, each with its own answer."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from chat.errors import StoreAway
from chat.storage import rosters
from chat.storage.gathering import TOGETHER, Gathering

from .support import OnMariaDB, OnSqlite, OverAStore


class Asked:
    """Stands where a database would, and answers when it is told to."""

    class dialect:  # noqa: N801
        threads = 4

    def __init__(self) -> None:
        self.under_way: list[tuple[Any, Deferred[Any]]] = []
        self.begun = 0
        self.written: list[str] = []

    def read(self, name: str, work: Any) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred()
        self.under_way.append((work, answer))
        self.begun += 1
        return answer

    def steps(self, name: str, work: Any) -> Deferred[Any]:
        self.written.append(name)
        return self.read(name, work)

    def answer(self) -> None:
        """The oldest interaction is done."""
        work, answer = self.under_way.pop(0)
        answer.callback(work(None))

    def fail(self) -> None:
        """It has failed."""
        self.under_way.pop(0)[1].errback(StoreAway("gone", unknown=False))


class GatheringTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.database = Asked()
        self.sizes: list[int] = []
        self.gathering: Gathering[int, int] = Gathering(
            cast(Any, self.database), "squares", self.squares
        )

    def squares(self, statements: Any, keys: Any) -> list[int]:
        self.sizes.append(len(keys))
        return [key * key for key in keys]

    def test_one_alone_does_not_wait(self) -> None:
        answer = self.gathering.ask(3)
        self.database.answer()
        self.assertEqual(self.successResultOf(answer), 9)

    def test_what_comes_meanwhile_goes_together(self) -> None:
        answers = [self.gathering.ask(number) for number in range(200)]
        # Half of the threads are for others.
        self.assertEqual(len(self.database.under_way), 2)
        while self.database.under_way:
            self.assertLessEqual(len(self.database.under_way), 2)
            self.database.answer()
        self.assertEqual(
            [self.successResultOf(it) for it in answers], [number**2 for number in range(200)]
        )
        self.assertEqual(self.sizes, [1, 1, TOGETHER, TOGETHER, TOGETHER, 198 - 3 * TOGETHER])

    def test_what_writes_goes_one_after_the_other(self) -> None:
        gathering: Gathering[int, int] = Gathering(
            cast(Any, self.database), "writes", self.squares, steps=True
        )
        answers = [gathering.ask(number) for number in range(10)]
        while self.database.under_way:
            self.assertEqual(len(self.database.under_way), 1)
            self.database.answer()
        self.assertEqual(
            [self.successResultOf(it) for it in answers], [number**2 for number in range(10)]
        )
        self.assertEqual(self.database.written, ["writes", "writes"])
        self.assertEqual(self.sizes, [1, 9])

    def test_a_failure_is_everybodys_who_waited_for_it_and_nobody_elses(self) -> None:
        first, second, *rest = [self.gathering.ask(number) for number in range(5)]
        self.database.answer()
        self.database.fail()
        self.database.fail()
        self.assertEqual(self.successResultOf(first), 0)
        for answer in (second, *rest):
            self.failureResultOf(answer, StoreAway)
        again = self.gathering.ask(4)
        self.database.answer()
        self.assertEqual(self.successResultOf(again), 16)

    def test_who_asks_again_from_an_answer(self) -> None:
        found: list[int] = []

        def more(value: int) -> None:
            found.append(value)
            if value < 1000:
                self.gathering.ask(value).addCallback(more)

        self.gathering.ask(2).addCallback(more)
        while self.database.under_way:
            self.database.answer()
        self.assertEqual(found, [4, 16, 256, 65_536])


class TogetherContract(OverAStore):
    """Over a real database."""

    async def test_each_login_has_its_own_account(self) -> None:
        people = await self.people(*(f"p{number}" for number in range(150)))
        for user_id in people:
            await self.store.tokens.issue(user_id, user_id.to_bytes(32, "big"), 10.0, 20.0, "::1")
        asked = [(user_id, user_id.to_bytes(32, "big")) for user_id in people]
        asked.append((people[0], people[1].to_bytes(32, "big")))
        # All are asked before the first is awaited.
        asking = [self.store.tokens.account(user_id, digest, 15.0) for user_id, digest in asked]
        answers = [await it for it in asking]
        self.assertIsNone(answers.pop())
        self.assertEqual([it[0].id for it in answers if it is not None], people)

    async def test_each_roster_is_its_users(self) -> None:
        people = await self.people("a", "b", "c", "d", "e")
        for number, user_id in enumerate(people):
            for friend in people[:number]:
                await self.store.friends.add(user_id, friend, 100)
            await self.store.groups.create(f"g{number}", f"g{number}", "", user_id, 100)
        for rows in (rosters.ROWS_TOGETHER, 3):
            self.patch(rosters, "ROWS_TOGETHER", rows)
            asking = [self.store.rosters.read(user_id, 2, 5, 5) for user_id in people]
            found = [await it for it in asking]
            for number, (user_id, roster) in enumerate(zip(people, found, strict=True)):
                self.assertEqual([it.id for it in roster.friends], people[:number][:2])
                self.assertEqual(roster.more_friends, number > 2)
                self.assertEqual([it.name for it in roster.groups], [f"g{number}"])
                ((member,),) = roster.members.values()
                self.assertEqual(member.id, user_id)


class TogetherOnSqliteTests(OnSqlite, TogetherContract, TestCase):
    """On SQLite."""


class TogetherOnMariaDBTests(OnMariaDB, TogetherContract, TestCase):
    """On MariaDB."""
