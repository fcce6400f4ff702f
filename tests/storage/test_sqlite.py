"""A SQLite file: its rights, and what happens when somebody else holds it or it cannot grow."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path
from threading import Event
from typing import Any

from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from chat.errors import BadStart, StoreAway
from chat.model import Keeping, Kept, Outcome
from chat.storage import check, open_store, sql, sqlite
from chat.storage.attempts import Work
from chat.storage.dialects import Row, Statements
from chat.storage.store import SqlStore

from .support import kept


class SqliteTests(TestCase):
    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        folder = Path(self.mktemp())
        folder.mkdir()
        self.path = folder / "chat.sqlite"
        self.store = await self.opened()

    async def opened(self) -> SqlStore:
        store = open_store(f"sqlite:{self.path}", reactor)
        assert isinstance(store, SqlStore)
        await store.open()
        self.addCleanup(store.close)
        return store

    def other(self) -> sqlite3.Connection:
        """Another process's connection."""
        other = sqlite3.connect(self.path, isolation_level=None, timeout=100)
        self.addCleanup(other.close)
        return other

    async def everything(self, recipient: int) -> list[Kept]:
        rows, _ = await self.store.offline.page(recipient, (0, 0), 100_000, 1 << 30)
        return rows

    async def not_kept(self, *rows: Kept) -> None:
        with self.assertRaises(StoreAway) as raised:
            await self.store.offline.keep(rows)
        self.assertFalse(raised.exception.unknown)

    async def pragma(self, name: str, value: object) -> None:
        """Set one on the store's connection that writes."""
        await self.store.database._own.runWithConnection(
            lambda session: session.raw().execute(f"PRAGMA {name} = {value}").close()
        )

    async def test_the_files_are_for_their_owner_only(self) -> None:
        old = os.umask(0)
        self.addCleanup(os.umask, old)
        await self.store.offline.keep([kept(1, 1, 2)])
        files = list(self.path.parent.iterdir())
        self.assertTrue(len(files) >= 2)
        for path in files:
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600, path)

    async def test_commits_are_on_the_disk_before_they_are_answered(self) -> None:
        def settings(statements: Statements) -> list[object]:
            return [
                statements.rows(f"PRAGMA {name}")[0][0] for name in ("journal_mode", "synchronous")
            ]

        for use in (self.store.database.read, self.store.database.write):
            self.assertEqual(await use("pragma", settings), ["wal", 2])

    def goes(self) -> list[int]:
        """How many were read together, each time a thread was gone to."""
        goes: list[int] = []
        going = self.store.database._attempts.run_all

        def run_all(session: Any, works: list[Any]) -> Any:
            goes.append(len(works))
            return going(session, works)

        self.patch(self.store.database._attempts, "run_all", run_all)
        return goes

    async def test_what_is_read_meanwhile_is_read_together(self) -> None:
        goes = self.goes()
        database = self.store.database

        def number(it: int) -> Work[Row | None]:
            return lambda statements: statements.row("SELECT ?", (it,))

        asked = [database.read("number", number(it)) for it in range(40)]
        self.assertEqual([await it for it in asked], [(it,) for it in range(40)])
        self.assertEqual(goes, [1, sql.READ_TOGETHER, sql.READ_TOGETHER, 7])
        self.assertEqual(database.figures["number"].count, 40)

    async def test_one_that_fails_is_no_matter_to_the_others(self) -> None:
        def bad(statements: Statements) -> None:
            raise ValueError("bad")

        read = self.store.database.read
        asked = [read("number", lambda statements: statements.row("SELECT 7")) for _ in range(3)]
        asked.insert(1, read("bad", bad))
        with self.assertRaises(ValueError):
            await asked.pop(1)
        self.assertEqual([await it for it in asked], [(7,)] * 3)

    async def test_when_the_database_is_lost_the_others_do_not_find_out_one_by_one(self) -> None:
        goes = self.goes()
        tried: list[int] = []

        def lost(statements: Statements) -> int:
            tried.append(0)
            if tried.count(0) == 1:
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = sqlite3.SQLITE_IOERR
                raise error
            return 0

        def fine(statements: Statements) -> int:
            tried.append(1)
            return 1

        read = self.store.database.read
        first = read("first", fine)
        asked = [read("lost", lost), read("fine", fine), read("fine", fine)]
        self.assertEqual(await first, 1)
        self.assertEqual([await it for it in asked], [0, 1, 1])
        # The three went together, and those behind the one that met it were not tried.
        self.assertEqual((goes[:2], tried[:2]), ([1, 3], [1, 0]))
        self.assertEqual(sorted(tried), [0, 0, 1, 1, 1])
        self.assertEqual(self.store.database.figures["fine"].failures, 0)

    async def test_a_page_does_not_wait_for_a_commit(self) -> None:
        """While rows are being written the others are read."""
        row, began, done = kept(1, 1, 2), Event(), Event()
        await self.store.offline.keep([row])
        self.addCleanup(done.set)

        def work(statements: Statements) -> None:
            statements.rows("DELETE FROM offlinemessage")
            began.set()
            done.wait(100)

        writing = self.store.database.write("slow", work)
        await deferToThread(began.wait, 100)
        self.assertEqual(await self.everything(1), [row])
        done.set()
        await writing
        self.assertEqual(await self.everything(1), [])

    async def test_rows_are_there_when_it_is_opened_again(self) -> None:
        row = kept(1, 1, 2)
        await self.store.offline.keep([row])
        await self.store.close()
        self.store = await self.opened()
        self.assertEqual(await self.everything(1), [row])

    async def test_while_another_process_writes_it_is_away(self) -> None:
        self.patch(sqlite, "BUSY_WAIT", 10)
        self.patch(sql, "PATIENCE", 0.1)
        self.store = await self.opened()
        other = self.other()
        other.execute("BEGIN IMMEDIATE")
        await self.not_kept(kept(1, 1, 2))
        self.assertEqual(await self.everything(1), [])
        other.execute("ROLLBACK")
        self.assertEqual(
            await self.store.offline.keep([kept(1, 1, 2)]), [Outcome(Keeping.STORED, 1)]
        )

    async def test_a_file_that_only_can_be_read(self) -> None:
        await self.store.offline.keep([kept(1, 1, 2)])
        await self.pragma("query_only", 1)
        await self.not_kept(kept(1, 2, 2))
        self.assertEqual(len(await self.everything(1)), 1)
        await self.pragma("query_only", 0)
        await self.store.offline.keep([kept(1, 2, 2)])
        self.assertEqual(len(await self.everything(1)), 2)

    async def test_a_file_that_cannot_grow(self) -> None:
        await self.store.offline.keep([kept(1, 1, 2)])
        await self.pragma("max_page_count", 1)  # as many as there are
        great = [kept(1, stamp, 2, body=b"x" * 60_000) for stamp in range(2, 30)]
        await self.not_kept(*great)
        self.assertEqual(len(await self.everything(1)), 1)
        await self.pragma("max_page_count", 1_000_000)
        await self.store.offline.keep(great)
        self.assertEqual(len(await self.everything(1)), 29)

    async def test_a_row_that_only_the_database_refuses_is_found_among_many(self) -> None:
        self.other().execute(
            "CREATE TRIGGER poison BEFORE INSERT ON offlinemessage WHEN NEW.message = x'00'"
            " BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
        rows = [kept(1, stamp, 2) for stamp in range(1, 301)]
        await self.store.offline.keep(rows[50:60])
        for place in (7, 8, 299):
            rows[place] = kept(1, place + 1, 2, body=b"\0")
        outcomes = await self.store.offline.keep(rows)
        for place, outcome in enumerate(outcomes):
            expected = Keeping.STORED
            if place in (7, 8, 299):
                expected = Keeping.REFUSED
            elif 50 <= place < 60:
                expected = Keeping.REPEATED
            self.assertEqual(outcome, Outcome(expected, place + 1))
        self.assertEqual(len(await self.everything(1)), 297)

    async def test_states_are_there_for_other_programs_to_read(self) -> None:
        ids = [await self.store.users.register(f"{n}", f"{n}", "x") for n in range(3)]
        await self.store.users.set_states({ids[0]: True, ids[1]: True, ids[2]: False})
        await self.store.users.set_states({ids[0]: False})
        read = "SELECT state FROM user ORDER BY id"
        self.assertEqual(
            self.other().execute(read).fetchall(), [("offline",), ("online",), ("offline",)]
        )
        await self.store.users.reset_states()
        self.assertEqual(self.other().execute(read).fetchall(), [("offline",)] * 3)

    async def test_after_closing_it_is_away(self) -> None:
        await self.store.close()
        await self.store.close()
        await self.not_kept(kept(1, 1, 2))

    async def test_closing_waits_for_what_is_under_way(self) -> None:
        keeping = self.store.offline.keep([kept(1, 1, 2)])
        await self.store.close()
        self.assertEqual(await keeping, [Outcome(Keeping.STORED, 1)])


class OpeningTests(TestCase):
    async def test_what_cannot_be_opened_says_why(self) -> None:
        text = Path(self.mktemp())
        text.write_text("not a database, but long enough to be looked at as one\n" * 50)
        folder = Path(self.mktemp())
        folder.mkdir()
        for path in (text, folder, folder / "none" / "chat.sqlite"):
            with self.assertRaises(BadStart) as raised:
                await open_store(f"sqlite:{path}", reactor).open()
            self.assertIn(str(path), str(raised.exception))
            with self.assertRaises(BadStart):
                check(f"sqlite:{path}")
        self.assertEqual(list(folder.iterdir()), [])

    def test_checking_makes_nothing(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        check(f"sqlite:{folder / 'chat.sqlite'}")
        self.assertEqual(list(folder.iterdir()), [])
