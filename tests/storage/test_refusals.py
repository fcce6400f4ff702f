"""A MariaDB that answers, but cannot do it now, or not with these data."""

from __future__ import annotations

import threading

from twisted.internet.defer import Deferred, DeferredList

from chat.model import Keeping, Outcome
from chat.storage import mysql, sql
from chat.storage.dialects import Statements

from .broken import FaultCase
from .support import kept


class RefusedTests(FaultCase):
    """The server answers, but cannot do it."""

    async def test_a_deadlock_is_survived(self) -> None:
        ids = [await self.store.users.register(name, name, "x") for name in ("bob", "eve")]
        self.patch(sql, "PATIENCE", 60.0)
        meeting = threading.Barrier(2)

        def cross(one: int, other: int) -> Deferred[None]:
            attempts: list[None] = []

            def work(statements: Statements) -> None:
                attempts.append(None)
                statements.lock("user", one)
                if len(attempts) == 1:
                    meeting.wait(100)
                statements.lock("user", other)
                statements.change(
                    "UPDATE user SET password = CONCAT(password, ?) WHERE id = ?", ("y", one)
                )

            return self.store.database.write("cross", work)

        await DeferredList([cross(*ids), cross(*ids[::-1])], fireOnOneErrback=True)
        for user_id in ids:
            account = await self.store.users.account(user_id)
            assert account is not None
            self.assertEqual(account.password, "xy")
        self.assertTrue(self.repeats() >= 1)

    async def test_a_server_that_only_reads(self) -> None:
        self.addCleanup(self.server.ask, "SET GLOBAL read_only = 0")
        await self.store.offline.keep([kept(1, 1, 2)])
        self.server.ask("SET GLOBAL read_only = 1")
        self.assertFalse((await self.away(self.store.offline.keep([kept(1, 2, 2)]))).unknown)
        self.assertFalse((await self.away(self.store.users.register("b", "b", "x"))).unknown)
        self.assertEqual(len(await self.everything(1)), 1)
        self.server.ask("SET GLOBAL read_only = 0")
        await self.store.offline.keep([kept(1, 2, 2)])
        self.assertEqual(len(await self.everything(1)), 2)

    async def test_a_wait_for_a_lock_ends(self) -> None:
        self.patch(mysql, "LOCK_WAIT", 1)
        self.patch(sql, "PATIENCE", 0.1)
        self.store = await self.opened(self.url)
        (user_id,) = [await self.store.users.register("bob", "bob", "x")]
        other = self.server.root(self.url.rpartition("/")[2])
        self.addCleanup(other.close)
        other.query("BEGIN")
        other.query(f"UPDATE user SET password = 'theirs' WHERE id = {user_id}")
        self.assertFalse((await self.away(self.store.users.set_password(user_id, "o"))).unknown)
        other.rollback()
        await self.store.users.set_password(user_id, "ours")

    async def test_a_row_that_only_the_database_refuses_is_found_among_many(self) -> None:
        url = self.server.fresh()
        self.store = await self.opened(url)
        self.server.ask(
            "ALTER TABLE offlinemessage ADD CONSTRAINT CHECK (message <> 'poison')",
            database=url.rpartition("/")[2],
        )
        rows = [kept(1, stamp, 2) for stamp in range(1, 301)]
        await self.store.offline.keep(rows[50:60])
        for place in (7, 8, 299):
            rows[place] = kept(1, place + 1, 2, body=b"poison")
        outcomes = await self.store.offline.keep(rows)
        for place, outcome in enumerate(outcomes):
            expected = Keeping.STORED
            if place in (7, 8, 299):
                expected = Keeping.REFUSED
            elif 50 <= place < 60:
                expected = Keeping.REPEATED
            self.assertEqual(outcome, Outcome(expected, place + 1))
        self.assertEqual(len(await self.everything(1)), 297)

    async def test_a_mistake_of_ours_is_not_taken_for_the_servers(self) -> None:
        with self.assertRaises(self.store.database.dialect.error):
            await self.store.database.read("wrong", lambda statements: statements.run("SELEKT"))
        with self.assertRaises(ZeroDivisionError):
            await self.store.database.write("wrong", lambda _: 1 // 0)
        self.assertEqual(self.repeats(), 0)

    async def test_what_an_exception_interrupts_is_undone(self) -> None:
        def work(statements: Statements) -> None:
            statements.insert(
                "INSERT INTO user (name, name_key, password) VALUES (?, ?, ?)", ("b", b"b", "x")
            )
            raise KeyError

        for _ in range(2 * mysql.Mysql.threads):
            with self.assertRaises(KeyError):
                await self.store.database.write("undone", work)
        self.assertIsNone(await self.store.users.find("b"))

    async def test_states_are_there_for_other_programs_to_read(self) -> None:
        ids = [await self.store.users.register(f"{n}", f"{n}", "x") for n in range(3)]
        await self.store.users.set_states({ids[0]: True, ids[1]: True, ids[2]: False})
        await self.store.users.set_states({ids[0]: False})
        name = self.url.rpartition("/")[2]
        read = "SELECT state FROM user ORDER BY id"
        self.assertEqual(
            self.server.ask(read, database=name), [("offline",), ("online",), ("offline",)]
        )
        await self.store.users.reset_states()
        self.assertEqual(self.server.ask(read, database=name), [("offline",)] * 3)

    async def test_a_connection_sets_what_matters_itself(self) -> None:
        self.addCleanup(self.server.ask, "SET GLOBAL sql_mode = DEFAULT")
        self.server.ask("SET GLOBAL sql_mode = ''")
        store = await self.opened(self.url)
        settings = await store.database.read(
            "settings",
            lambda statements: statements.row(
                "SELECT @@sql_mode, @@tx_isolation, @@character_set_client, @@autocommit"
            ),
        )
        assert settings is not None
        self.assertIn("STRICT_ALL_TABLES", settings[0])
        self.assertEqual(settings[1:], ("READ-COMMITTED", "utf8mb4", 1))

    async def test_reading_leaves_no_transaction_open(self) -> None:
        await self.store.offline.page(1, (0, 0), 10, 1000)
        await self.store.users.account(1)
        self.assertEqual(self.server.ask("SELECT trx_state FROM information_schema.innodb_trx"), [])
