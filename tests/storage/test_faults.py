"""A MariaDB that is killed, stopped, unreachable, or answers into the void."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList, ensureDeferred, maybeDeferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from chat.errors import BadStart, StoreAway
from chat.model import Keeping, Kept, Outcome, User
from chat.storage import mysql, open_store, sql

from ..mariadb import PASSWORD, shared
from .broken import FaultCase
from .proxy import CutNetwork
from .support import kept


class KilledTests(FaultCase):
    async def test_a_restart_between_two_calls_is_not_noticed(self) -> None:
        await self.warm()
        await self.store.offline.keep([kept(1, 1, 2)])
        await deferToThread(self.restart)
        names = [f"user {number}" for number in range(20)]
        ids: list[tuple[bool, int]] = await DeferredList(
            [ensureDeferred(self.register(name)) for name in names],
            fireOnOneErrback=True,
        )
        self.assertEqual(
            await self.store.offline.keep([kept(1, 2, 2)]), [Outcome(Keeping.STORED, 2)]
        )
        self.assertEqual([row.stamp for row in await self.everything(1)], [1, 2])
        self.assertEqual(len({user_id for _, user_id in ids}), 20)

    async def register(self, name: str) -> int:
        return await self.store.users.register(name, name, "a hash")

    def restart(self) -> None:
        self.server.kill()
        self.server.start()

    async def test_while_it_is_down_the_answer_is_away_and_afterwards_all_goes_on(self) -> None:
        await self.warm()
        self.server.kill()
        calls = (
            self.store.users.register("bob", "bob", "a hash"),
            self.store.offline.keep([kept(1, 1, 2)]),
            self.store.offline.page(1, (0, 0), 10, 1000),
            self.store.ping(),
        )
        away: list[tuple[bool, StoreAway]] = await DeferredList(
            [ensureDeferred(self.away(call)) for call in calls], fireOnOneErrback=True
        )
        self.assertEqual([one.unknown for _, one in away], [False] * 4)
        await deferToThread(self.server.start)
        await self.store.ping()
        user_id = await self.store.users.register("bob", "bob", "a hash")
        self.assertEqual(await self.store.users.find("bob"), User(user_id, "bob"))
        self.assertEqual(
            await self.store.offline.keep([kept(1, 1, 2)]), [Outcome(Keeping.STORED, 1)]
        )

    async def test_what_was_answered_as_stored_is_there_after_kills(self) -> None:
        stored: set[int] = set()
        unsure: list[Kept] = []
        finished: list[bool] = []
        self.addCleanup(finished.append, True)

        async def write() -> None:
            stamp = 0
            while not finished:
                rows = [kept(1, stamp + number, 2) for number in range(1, 51)]
                stamp += 50
                try:
                    outcomes = await self.store.offline.keep(rows)
                except StoreAway:
                    unsure.extend(rows)
                    continue
                self.assertEqual({one.keeping for one in outcomes}, {Keeping.STORED})
                stored.update(one.stamp for one in outcomes)

        writing = ensureDeferred(write())
        for _ in range(3):
            seen = len(stored)
            while len(stored) < seen + 500:
                await self.store.ping()
            await deferToThread(self.restart)
        finished.append(True)
        await writing
        there = {row.stamp for row in await self.everything(1)}
        self.assertEqual(stored - there, set())
        # Sent again, the others are stored, once.
        for outcome in await self.store.offline.keep(unsure):
            self.assertIn(outcome.keeping, (Keeping.STORED, Keeping.REPEATED))
        rows = await self.everything(1)
        self.assertEqual(len(rows), len(stored) + len(unsure))

    async def test_connections_that_the_server_ends_are_made_anew(self) -> None:
        await self.warm()
        self.server.ask("KILL USER chat")
        for _ in range(2 * mysql.Mysql.threads):
            await self.store.ping()
        await self.store.offline.keep([kept(1, 1, 2)])
        self.assertEqual(len(await self.everything(1)), 1)


class StoppedTests(FaultCase):
    async def test_a_server_that_hangs_is_away_and_then_there_again(self) -> None:
        self.patch(mysql, "CONNECT_WAIT", 1)
        self.patch(mysql, "ANSWER_WAIT", 1)
        self.store = await self.opened(self.url)
        await self.warm()
        self.server.stop()
        row = kept(1, 1, 2)
        away: list[tuple[bool, StoreAway]] = await DeferredList(
            [
                ensureDeferred(self.away(self.store.offline.keep([row]))),
                ensureDeferred(self.away(self.store.users.register("bob", "bob", "a hash"))),
                *(ensureDeferred(self.away(self.store.ping())) for _ in range(20)),
            ],
            fireOnOneErrback=True,
        )
        self.assertEqual([one.unknown for _, one in away], [False] * 22)
        self.server.wake()
        await self.store.ping()
        user_id = await self.store.users.register("bob", "bob", "a hash")
        self.assertEqual(await self.store.users.find("bob"), User(user_id, "bob"))
        self.assertEqual(await self.store.offline.keep([row]), [Outcome(Keeping.STORED, 1)])
        self.assertEqual(await self.everything(1), [row])

    async def test_one_looks_whether_it_is_back_and_the_others_do_not_wait(self) -> None:
        self.patch(mysql, "CONNECT_WAIT", 30)
        self.patch(mysql, "ANSWER_WAIT", 1)
        self.patch(sql, "PATIENCE", 0.0)
        self.store = await self.opened(self.url)
        await self.store.ping()
        self.server.stop()
        await self.away(self.store.ping())
        answers: list[bool] = []
        most_have_answered: Deferred[None] = Deferred()

        async def ping() -> None:
            try:
                await self.store.ping()
                answers.append(True)
            except StoreAway:
                answers.append(False)
            if len(answers) == 19:
                most_have_answered.callback(None)

        pings = [ensureDeferred(ping()) for _ in range(20)]
        await most_have_answered
        self.server.wake()
        await DeferredList(pings, fireOnOneErrback=True)
        self.assertEqual(answers, [False] * 19 + [True])

    async def test_closing_does_not_wait_for_a_server_that_hangs(self) -> None:
        self.patch(sql, "CLOSING_WAIT", 0.1)
        await self.warm()
        self.server.stop()
        answer = maybeDeferred(self.store.ping)
        await self.store.close()
        self.assertFalse(answer.called)
        self.assertFalse((await self.away(self.store.ping())).unknown)
        self.server.wake()
        await answer

    async def test_it_cannot_be_opened_while_the_server_hangs(self) -> None:
        self.patch(mysql, "CONNECT_WAIT", 1)
        self.server.stop()
        store = open_store(self.url, reactor)
        with self.assertRaises(BadStart) as raised:
            await store.open()
        self.assertNotIn(PASSWORD, str(raised.exception))
        self.assertIn(store.describe(), str(raised.exception))


COMMIT = b"\x03COMMIT"
"""As it stands on the wire: not the ``SET autocommit`` of a new connection."""


class CutTests(FaultCase):
    """The connection breaks in the middle of a transaction."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        await super().setUp()
        self.network, port = CutNetwork.listen(self, self.server.port)
        self.store = await self.opened(self.url.replace(f":{self.server.port}/", f":{port}/"))

    async def test_before_the_commit_the_work_is_done_again(self) -> None:
        self.network.cut(b"INSERT INTO user")
        user_id = await self.store.users.register("bob", "bob", "a hash")
        self.assertEqual(await self.store.users.find("bob"), User(user_id, "bob"))
        self.network.cut(b"INSERT INTO offlinemessage", 2, answer_only=True)
        self.assertEqual(
            await self.store.offline.keep([kept(1, 1, 2)]), [Outcome(Keeping.STORED, 1)]
        )
        self.assertEqual(self.network.cuts, 0)
        self.assertTrue(self.repeats() >= 3)

    async def test_a_commit_whose_answer_is_lost_is_not_done_again_where_that_shows(self) -> None:
        self.network.cut(COMMIT, answer_only=True)
        self.assertTrue((await self.away(self.store.users.register("bob", "bob", "x"))).unknown)
        self.assertIsNotNone(await self.store.users.find("bob"))
        self.network.cut(COMMIT, answer_only=True)
        await self.store.invites.issue(b"d" * 32, 1.0, 10.0, 2)
        self.network.cut(COMMIT, answer_only=True)
        self.assertTrue((await self.away(self.store.invites.redeem(b"d" * 32, 2.0))).unknown)
        self.assertTrue(await self.store.invites.redeem(b"d" * 32, 2.0))
        self.assertFalse(await self.store.invites.redeem(b"d" * 32, 2.0))

    async def test_a_commit_that_never_arrived_is_unknown_too(self) -> None:
        self.network.cut(COMMIT)
        self.assertTrue((await self.away(self.store.users.register("bob", "bob", "x"))).unknown)
        self.assertIsNone(await self.store.users.find("bob"))

    async def test_rows_whose_commit_is_unknown_are_kept_once(self) -> None:
        rows = [kept(1, stamp, 2) for stamp in range(1, 101)]
        self.network.cut(COMMIT, answer_only=True)
        outcomes = await self.store.offline.keep(rows)
        self.assertEqual(outcomes, [Outcome(Keeping.REPEATED, row.stamp) for row in rows])
        self.assertEqual(await self.everything(1), rows)

    async def test_after_too_many_cuts_it_is_said_that_it_may_have_happened(self) -> None:
        row = kept(1, 1, 2)
        self.network.cut(COMMIT, 100, answer_only=True)
        self.assertTrue((await self.away(self.store.offline.keep([row]))).unknown)
        self.network.cuts = 0
        self.assertEqual(await self.store.offline.keep([row]), [Outcome(Keeping.REPEATED, 1)])

    async def test_that_it_may_have_happened_is_not_forgotten(self) -> None:
        self.network.cut(COMMIT, answer_only=True, for_good=True)
        self.assertTrue((await self.away(self.store.offline.keep([kept(1, 1, 2)]))).unknown)

    async def test_reading_is_never_unknown(self) -> None:
        self.network.cut(b"SELECT", 100)
        self.assertFalse((await self.away(self.store.ping())).unknown)


class OpeningTests(TestCase):
    async def test_nothing_listens_there(self) -> None:
        url = "mysql://chat:secret@127.0.0.1:1/chat"
        store = open_store(url, reactor)
        with self.assertRaises(BadStart) as raised:
            await store.open()
        text = str(raised.exception)
        self.assertIn("mysql://chat@127.0.0.1:1/chat cannot be reached", text)
        self.assertNotIn("secret", text)
        self.assertNotIn("\n", text)

    async def test_a_wrong_password_and_a_wrong_name(self) -> None:
        server = shared()
        for url in (
            server.url("chat_1", password="wr0ng"),
            server.url("chat_none"),
            server.url("mysql"),
        ):
            with self.assertRaises(BadStart) as raised:
                await open_store(url, reactor).open()
            self.assertNotIn("wr0ng", str(raised.exception))
            self.assertNotIn(PASSWORD, str(raised.exception))

    async def test_over_the_unix_socket(self) -> None:
        store = open_store(shared().fresh(over_socket=True), reactor)
        await store.open()
        self.addCleanup(store.close)
        await store.ping()
        self.assertIn(str(shared().socket), store.describe())
