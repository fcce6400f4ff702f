"""The tables are made, brought up to date from every version, and refused when newer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet import reactor
from twisted.internet.defer import DeferredList
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from chat.errors import BadStart
from chat.interfaces import Store
from chat.model import Friend, Keeping, Kept, Outcome, Page, Said, User
from chat.storage import check, open_store, schema
from chat.storage.dialects import Dialect, Raw, Statements
from chat.storage.mysql import Mysql
from chat.storage.places import MysqlPlace, SqlitePlace, parse
from chat.storage.sqlite import Sqlite

from ..mariadb import shared
from .support import kept

if TYPE_CHECKING:
    Case = TestCase
else:
    Case = object

FILES = Path(__file__).resolve().parents[2] / "db"

FIRST = {
    1: (
        "INSERT INTO user (name, name_key, password) VALUES ('Bob', x'626f62', 'h')",
        "INSERT INTO user (name, name_key, password) VALUES ('Eve', x'657665', 'h')",
        "INSERT INTO offlinemessage VALUES (1, 10, 2, x'636964', 0, 5, x'3132', x'7b7d')",
    ),
    2: (
        "INSERT INTO friend VALUES (1, 2)",
        "INSERT INTO allgroup (groupname, name_key, members) VALUES ('Tea', x'746561', 1)",
        "INSERT INTO groupuser VALUES (1, 2, 'creator', 5)",
    ),
    3: ("INSERT INTO message VALUES (1, 2, 20, 2, x'636964', x'7b7d')",),
    4: ("INSERT INTO token VALUES (1, 1, x'64', 1, 1, 9000000, '::1')",),
    5: ("INSERT INTO node VALUES (1, 'here', 9)", "INSERT INTO claim VALUES (1, 1, 1)"),
}
"""Rows as a program of that version would have left them, beside those of the versions before."""

OPEN = """
import sys
from twisted.internet import defer, reactor, task
from chat.storage import open_store

async def main(reactor, url):
    store = open_store(url, reactor)
    await store.open()
    await store.users.register(sys.argv[2], sys.argv[2], "hash")
    await store.close()

task.react(lambda reactor, url: defer.ensureDeferred(main(reactor, url)), [sys.argv[1]])
"""


class SchemaContract(Case):
    """What is true of both kinds of database; each test has an empty one."""

    def make(self) -> str:
        """The URL of a database without tables."""
        raise NotImplementedError

    def setUp(self) -> None:
        self.url = self.make()
        place = parse(self.url)
        self.dialect: Dialect
        if isinstance(place, SqlitePlace):
            self.dialect = Sqlite(place)
        else:
            assert isinstance(place, MysqlPlace)
            self.dialect = Mysql(place)

    def connect(self) -> Raw:
        raw = self.dialect.connect()
        self.addCleanup(raw.close)
        return raw

    def run_all(self, raw: Raw, *sqls: str) -> None:
        for sql in sqls:
            Statements(self.dialect, raw).run(sql)

    async def opened(self) -> Store:
        store = open_store(self.url, reactor)
        await store.open()
        self.addCleanup(store.close)
        return store

    def columns(self, raw: Raw) -> dict[str, list[Any]]:
        """The tables as they are, by name."""
        statements = Statements(self.dialect, raw)
        describe = "PRAGMA table_info" if self.dialect.folder == "sqlite" else "DESCRIBE"
        return {
            table: statements.rows(
                f"{describe}({table})" if describe.startswith("P") else f"{describe} {table}"
            )
            for table in sorted(self.dialect.tables(statements))
            if not table.startswith("sqlite_")
        }

    async def test_an_empty_database_gets_all_tables(self) -> None:
        raw = self.connect()
        self.assertEqual(schema.version(self.dialect, raw), 0)
        self.assertEqual(schema.upgrade(self.dialect, raw), 0)
        self.assertEqual(schema.version(self.dialect, raw), schema.newest(self.dialect))
        self.assertEqual(
            set(self.columns(raw)),
            {
                "user", "offlinemessage", "friend", "friendrequest", "block", "allgroup",
                "groupuser", "message", "gap", "token", "invite", "node", "claim",
                "schemaversion",
            },
        )  # fmt: skip
        self.assertEqual(schema.upgrade(self.dialect, raw), schema.newest(self.dialect))

    async def test_from_every_version_with_rows_in_it(self) -> None:
        for version in range(1, schema.newest(self.dialect) + 1):
            self.setUp()
            raw = self.connect()
            schema.upgrade(self.dialect, raw, to=version)
            self.assertEqual(schema.version(self.dialect, raw), version)
            for number in range(1, version + 1):
                self.run_all(raw, *FIRST[number])
            raw.commit()
            store = await self.opened()
            self.assertEqual(schema.version(self.dialect, raw), schema.newest(self.dialect))
            await self.look_through(store, version)
            await store.close()

    async def look_through(self, store: Store, version: int) -> None:
        self.assertEqual(await store.users.find("bob"), User(1, "Bob"))
        account = await store.users.account(2)
        assert account is not None
        self.assertEqual((account.last_stamp, account.disabled), (10, False))
        page, _ = await store.offline.page(1, (0, 0), 10, 1000)
        self.assertEqual(page, [Kept(1, 10, 2, "cid", False, 5, b"12", b"{}")])
        self.assertEqual(
            await store.friends.page(1, 0, 10),
            ([Friend(2, "Eve")] if version >= 2 else [], False),
        )
        self.assertEqual(await store.groups.member_ids(1), [2] if version >= 2 else None)
        line = Said(20, 2, 1, 0, "cid", b"{}")
        self.assertEqual(
            await store.history.between(1, 2, 0, 10),
            Page([line] if version >= 3 else [], False, False),
        )
        self.assertEqual(len(await store.tokens.list(1)), 1 if version >= 4 else 0)
        # And it can be gone on with.
        self.assertEqual(await store.offline.keep([kept(1, 11, 2)]), [Outcome(Keeping.STORED, 11)])
        self.assertEqual(await store.users.register("Ann", "ann", "h"), 3)

    async def test_step_by_step_or_at_once_it_is_the_same(self) -> None:
        raw = self.connect()
        schema.upgrade(self.dialect, raw)
        at_once = self.columns(raw)
        self.setUp()
        raw = self.connect()
        for version in range(1, schema.newest(self.dialect) + 1):
            self.assertEqual(schema.upgrade(self.dialect, raw, to=version), version - 1)
        self.assertEqual(self.columns(raw), at_once)

    async def test_a_newer_database_is_refused_and_left_alone(self) -> None:
        raw = self.connect()
        schema.upgrade(self.dialect, raw)
        newer = schema.newest(self.dialect) + 1
        self.run_all(raw, f"UPDATE schemaversion SET version = {newer}")
        for start in (lambda: check(self.url), lambda: schema.upgrade(self.dialect, raw)):
            with self.assertRaises(BadStart) as raised:
                start()
            self.assertIn(f"version {newer}", str(raised.exception))
        with self.assertRaises(BadStart):
            await open_store(self.url, reactor).open()
        self.assertEqual(
            Statements(self.dialect, raw).rows("SELECT version FROM schemaversion"), [(newer,)]
        )

    async def test_another_programs_tables_are_refused_and_left_alone(self) -> None:
        raw = self.connect()
        self.run_all(raw, "CREATE TABLE User (id INT, name VARCHAR(50))")
        before = self.dialect.tables(Statements(self.dialect, raw))
        with self.assertRaises(BadStart) as raised:
            check(self.url)
        self.assertIn("another program", str(raised.exception))
        with self.assertRaises(BadStart):
            await open_store(self.url, reactor).open()
        self.assertEqual(self.dialect.tables(Statements(self.dialect, raw)), before)

    async def test_of_many_that_start_at_once_all_come_up(self) -> None:
        answers: list[tuple[bool, tuple[bytes, bytes, int]]] = await DeferredList(
            [
                getProcessOutputAndValue(
                    sys.executable,
                    ["-c", OPEN, self.url, name],
                    env={"PYTHONPATH": str(FILES.parent)},
                    reactor=reactor,
                )
                for name in ("bob", "eve", "ann")
            ],
            fireOnOneErrback=True,
        )
        for _, (_, errors, status) in answers:
            self.assertEqual((errors, status), (b"", 0))
        store = await self.opened()
        for name in ("bob", "eve", "ann"):
            self.assertIsNotNone(await store.users.find(name))


class SqliteSchemaTests(SchemaContract, TestCase):
    """On SQLite."""

    def make(self) -> str:
        folder = Path(self.mktemp())
        folder.mkdir()
        return f"sqlite:{folder / 'chat.sqlite'}"

    def test_an_upgrade_is_done_as_a_whole_or_not_at_all(self) -> None:
        raw = self.connect()
        schema.upgrade(self.dialect, raw, to=1)
        # In the way of what the third file makes.
        self.run_all(raw, "CREATE TABLE message (id INT)")
        before = self.columns(raw)
        with self.assertRaises(BadStart):
            schema.upgrade(self.dialect, raw)
        self.assertEqual(self.columns(raw), before)
        self.assertEqual(schema.version(self.dialect, raw), 1)


class MariaDBSchemaTests(SchemaContract, TestCase):
    """On MariaDB."""

    def make(self) -> str:
        return shared().fresh()

    def test_what_was_interrupted_is_gone_on_with(self) -> None:
        raw = self.connect()
        schema.upgrade(self.dialect, raw)
        whole = self.columns(raw)
        for version, done in ((0, 1), (3, 1), (3, 3)):
            (path,) = (FILES / "mysql").glob(f"{version + 1:03}_*.sql")
            statements = schema.statements_of(path.read_text())
            # Killed after a statement, before or after it was written down.
            for told in (done - 1, done):
                self.setUp()
                raw = self.connect()
                schema.upgrade(self.dialect, raw, to=version)
                self.run_all(
                    raw, *statements[:done], f"UPDATE schemaversion SET statements = {told}"
                )
                self.assertEqual(schema.upgrade(self.dialect, raw), version)
                self.assertEqual(self.columns(raw), whole)

    async def test_with_the_rights_of_create_database(self) -> None:
        server = shared()
        script = FILES / "mysql" / "create_database.sql"
        for sql in schema.statements_of(script.read_text()):
            server.ask(sql.replace("CHANGE-ME", "s3cret"))
        self.addCleanup(server.ask, "DROP DATABASE chat")
        self.addCleanup(server.ask, "DROP USER 'chat'@'localhost'")
        self.url = server.url("chat", password="s3cret", over_socket=True)
        store = await self.opened()
        bob = await store.users.register("bob", "bob", "h")
        await store.offline.keep([kept(bob, 1, bob)])
        await store.users.delete(bob)
        await store.close()
        # Between upgrades it runs without the right to change tables, and needs it for one.
        server.ask("REVOKE CREATE, ALTER, INDEX ON chat.* FROM 'chat'@'localhost'")
        store = await self.opened()
        await store.ping()
        await store.close()
        server.ask("UPDATE schemaversion SET version = 3", database="chat")
        server.ask("ALTER TABLE user DROP COLUMN disabled", database="chat")
        server.ask("DROP TABLE token, invite", database="chat")
        with self.assertRaises(BadStart) as raised:
            await open_store(self.url, reactor).open()
        self.assertIn("from version 3 to", str(raised.exception))
        self.assertIn("denied", str(raised.exception))
        self.assertNotIn("s3cret", str(raised.exception))
