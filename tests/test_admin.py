"""``chat-admin`` over SQLite and a real MariaDB, and beside a real server."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from argon2 import PasswordHasher
from twisted.trial.unittest import SynchronousTestCase

from chat.admin.main import COMMANDS, main
from chat.admin.running import NotReached, address_of
from chat.admin.show import table
from chat.passwords import MEMORY_KIB
from chat.storage import dialect_of, schema
from chat.storage.direct import Direct
from tests.mariadb import shared
from tests.operating import OperatedTestCase
from tests.support import login, received, say
from tests.test_plugin import PATIENCE
from tests.test_process import SECRET, Talker

DAY = 86_400_000_000
NOBODY_THERE = "tcp:1:interface=127.0.0.1"


class Done(NamedTuple):
    """What a command came to."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its answer."""
        return json.loads(self.out)


class Stdin(io.StringIO):
    def isatty(self) -> bool:
        return False


class AdminTestCase(SynchronousTestCase):
    """A database, and commands for it in this process."""

    url = ""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        for name in ("CHAT_DATABASE", "CHAT_STATUS", "CHAT_STATUS_SECRET"):
            self.patch(os, "environ", {k: v for k, v in os.environ.items() if k != name})
        self.url = self.make()

    def make(self) -> str:
        """A database's URL."""
        return f"sqlite:{self.folder / 'chat.sqlite'}"

    def make_empty(self) -> str:
        """One that has no tables either."""
        return self.make()

    def run_it(self, *arguments: str, typed: str = "", url: str = "") -> Done:
        """One command."""
        out, err = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True), io.StringIO()
        self.patch(sys, "stdin", Stdin(typed))
        self.patch(sys, "stdout", out)
        self.patch(sys, "stderr", err)
        try:
            status = main(["--database", url or self.url, "--status", NOBODY_THERE, *arguments])
        except SystemExit as ended:
            status = int(str(ended.code))
        finally:
            self.flushLoggedErrors()
            sys.stdin, sys.stdout, sys.stderr = sys.__stdin__, sys.__stdout__, sys.__stderr__
        return Done(status, out.buffer.getvalue().decode(), err.getvalue())

    def ask(self, *arguments: str, typed: str = "") -> Any:
        """One command that works; its answer as a program sees it."""
        done = self.run_it("--json", *arguments, typed=typed)
        self.assertEqual((done.status, done.err), (0, ""), done)
        return done.json

    def refused(self, *arguments: str, typed: str = "", url: str = "") -> str:
        """One that does not: one line that says why."""
        done = self.run_it(*arguments, typed=typed, url=url)
        self.assertEqual((done.status, done.out), (1, ""), done)
        self.assertEqual(done.err.count("\n"), 1, done.err)
        self.assertTrue(done.err.startswith("chat-admin: "), done.err)
        return done.err

    def change(self, sql: str, *args: object) -> None:
        """A row by another hand."""
        direct = Direct(dialect_of(self.url))
        direct.in_one(lambda statements: statements.change(sql, args))
        direct.close()

    def wait_for(self, user_id: int, sender: int, stamp: int, text: str) -> None:
        """A message waits."""
        self.change(
            "INSERT INTO offlinemessage VALUES (?, ?, ?, ?, 0, 5, ?, ?)",
            user_id, stamp, sender, f"c{stamp}".encode(), b"12345678",
            json.dumps({"msgid": 5, "toid": user_id, "msg": text}).encode(),
        )  # fmt: skip

    def users(self, *names: str) -> list[int]:
        """New ones; the tables are there afterwards."""
        self.ask("schema", "upgrade")
        return [self.ask("users", "add", name, typed=f"{SECRET}\n")["id"] for name in names]


class SqliteAdminTests(AdminTestCase):
    def test_users(self) -> None:
        ann, bob = self.users("ann", "B\u00f6b")
        listed = self.ask("users", "list")
        names = {it["id"]: it["name"] for it in listed}
        self.assertEqual(names, {ann: "ann", bob: "B\u00f6b"})
        self.assertEqual(self.ask("users", "list", "--after", str(ann))[0]["id"], bob)
        self.assertEqual(len(self.ask("users", "list", "--limit", "1")), 1)
        for who in (str(bob), "B\u00f6b", "Bo\u0308b", "name:B\u00f6b"):
            self.assertEqual(self.ask("users", "find", who)[0]["id"], bob)
        self.assertIn("there is no user carl", self.refused("users", "find", "carl"))
        self.assertIn("is taken", self.refused("users", "add", "ann", typed="x\n"))
        self.assertIn("1 to 50", self.refused("users", "add", " ", typed="x\n"))
        self.assertIn("a password has", self.refused("users", "add", "carl"))

    def test_passwords(self) -> None:
        (ann,) = self.users("ann")
        self.change(
            "INSERT INTO token (userid, digest, created, used, expires, address)"
            " VALUES (?, ?, 0, 0, 0, '')", ann, b"x",
        )  # fmt: skip
        self.assertEqual(self.ask("users", "find", "ann")[0]["tokens"], 1)
        made = self.ask("users", "set-password", "ann", "--generate")["password"]
        self.assertEqual(self.ask("users", "find", "ann")[0]["tokens"], 0)
        direct = Direct(dialect_of(self.url))
        ((kept,),) = direct.in_one(lambda s: s.rows("SELECT password FROM user"))
        direct.close()
        self.assertTrue(PasswordHasher().verify(kept, made))
        self.assertIn(f"m={MEMORY_KIB},", kept)

    def test_disabled_and_enabled(self) -> None:
        self.users("ann", "bob")
        told = self.run_it("users", "disable", "ann")
        self.assertIn("cannot log in any more, and no server was told", told.out)
        self.assertEqual([it["name"] for it in self.ask("users", "list", "--disabled")], ["ann"])
        self.ask("users", "enable", "ann")
        self.assertEqual(self.ask("users", "list", "--disabled"), [])

    def test_deleted_when_that_is_sure(self) -> None:
        ann, bob = self.users("ann", "bob")
        self.wait_for(ann, bob, 1, "hi")
        self.assertIn("--yes is needed", self.refused("users", "delete", "ann"))
        gone = self.ask("users", "delete", "ann", "--yes")
        self.assertEqual((gone["id"], gone["deleted"]["messages"]), (ann, 1))
        self.assertEqual([it["id"] for it in self.ask("users", "list")], [bob])
        self.assertEqual(self.ask("waiting", "count")["messages"], 0)

    def test_invites(self) -> None:
        self.users()
        made = self.ask("invites", "create", "--days", "2", "--uses", "3")
        self.assertGreaterEqual(len(made["code"]), 40)
        (one,) = self.ask("invites", "list")
        self.assertEqual((one["uses"], one["expires"]), (3, made["expires"]))
        self.ask("invites", "revoke", str(one["id"]))
        self.assertEqual(self.ask("invites", "list"), [])
        self.assertIn("no invitation", self.refused("invites", "revoke", "7"))

    def test_groups(self) -> None:
        self.users()
        self.change("INSERT INTO allgroup (groupname, name_key, groupdesc, members)"
                    " VALUES ('chess', ?, 'on mondays', 2)", b"chess")  # fmt: skip
        (one,) = self.ask("groups", "list")
        self.assertEqual((one["name"], one["description"], one["members"]),
                         ("chess", "on mondays", 2))  # fmt: skip

    def test_what_waits(self) -> None:
        ann, bob = self.users("ann", "bob")
        self.assertEqual(self.ask("waiting", "count")["oldest"], "")
        now = time.time_ns() // 1000
        for stamp in (now - 40 * DAY, now - 20 * DAY, now):
            self.wait_for(ann, bob, stamp, "to ann")
            self.wait_for(bob, ann, stamp + 1, "to bob")
        self.wait_for(bob, ann, now + 2, "to bob")
        counted = self.ask("waiting", "count")
        self.assertEqual((counted["messages"], counted["users"]), (7, 2))
        self.assertGreater(counted["bytes"], 100)
        by_user = self.ask("waiting", "users")
        self.assertEqual([(it["name"], it["messages"]) for it in by_user], [("bob", 4), ("ann", 3)])
        purge = ("waiting", "purge", "--older-than")
        self.assertIn("--yes", self.refused(*purge, "30"))
        self.assertEqual(self.ask(*purge, "30", "--user", "ann", "--yes"), {"deleted": 1})
        self.assertEqual(self.ask(*purge, "10", "--yes"), {"deleted": 3})
        self.assertEqual(self.ask("waiting", "count")["messages"], 3)

    def test_schema(self) -> None:
        self.assertEqual(self.run_it("schema", "upgrade").status, 0)
        newest = schema.newest(dialect_of(self.url))
        state = {"version": newest, "newest": newest, "current": True}
        self.assertEqual(self.ask("schema", "show"), state)
        self.assertEqual(self.ask("schema", "check"), {"wrong": []})

    def test_an_older_schema_is_told_and_brought_up_to_date(self) -> None:
        self.url = self.make_empty()
        direct = Direct(dialect_of(self.url))
        schema.upgrade(direct.dialect, direct.raw, to=2)
        direct.close()
        self.assertIn("chat-admin schema upgrade", self.refused("users", "list"))
        checked = self.run_it("schema", "check")
        self.assertEqual(checked.status, 1)
        self.assertIn("version 2 of the schema", checked.out)
        self.assertEqual(self.ask("schema", "upgrade")["before"], 2)
        self.assertEqual(self.ask("users", "list"), [])

    def test_export(self) -> None:
        ann, bob, carl = self.users("ann", "bob", "carl")
        self.change("INSERT INTO friend VALUES (?, ?)", ann, bob)
        self.change("INSERT INTO block VALUES (?, ?)", ann, carl)
        self.change("INSERT INTO friendrequest VALUES (?, ?, 'hello', 0)", ann, carl)
        self.wait_for(ann, bob, 5, "waits")
        said = "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?)"
        for stamp in range(3):
            self.change(said, ann, bob, stamp, (ann, bob)[stamp % 2], b"c", b'{"msg":"x"}')
        direct = Direct(dialect_of(self.url))
        rows = [(0, 9, stamp, ann, b"c", b'{"msg":"y"}') for stamp in range(1200)]
        rows += [(0, 9, stamp, bob, b"c", b'{"msg":"z"}') for stamp in range(1200)]
        columns = "low, high, stamp, sender, cid, message"
        direct.in_one(lambda s: s.insert_all("message", columns, rows))
        direct.close()
        done = self.run_it("export", "ann")
        self.assertEqual((done.status, done.err), (0, ""))
        records = [json.loads(line) for line in done.out.splitlines()]
        kinds: dict[str, int] = {}
        for record in records:
            kinds[record["kind"]] = kinds.get(record["kind"], 0) + 1
        self.assertEqual(kinds, {"user": 1, "friend": 1, "asked_by": 1, "blocked": 1,
                                 "waiting": 1, "said": 1203})  # fmt: skip
        self.assertEqual({it["message"]["msg"] for it in records if it["kind"] == "said"},
                         {"x", "y"})  # fmt: skip
        self.assertNotIn("argon2", done.out)
        path = self.folder / "ann.jsonl"
        counted = self.ask("export", "ann", "--output", str(path))
        self.assertEqual(counted["records"], len(records))
        self.assertEqual(path.read_text(), done.out)
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)

    def test_no_server(self) -> None:
        self.users("ann")
        (self.folder / "chat.sqlite.secret").touch(0o600)
        self.assertIn("secret", self.refused("online", "list"))
        (self.folder / "chat.sqlite.secret").write_text("x" * 40)
        for command in (("online", "list"), ("notice", "hi"), ("disconnect", "ann")):
            self.assertIn("no server at 127.0.0.1:1", self.refused(*command))


class MariadbAdminTests(SqliteAdminTests):
    def make(self) -> str:
        return shared().emptied()

    def make_empty(self) -> str:
        return shared().fresh()

    def test_no_server(self) -> None:
        self.assertIn("--status-secret", self.refused("online", "list"))

    def test_who_is_online_on_which_node(self) -> None:
        ann, bob, carl, dave = self.users("ann", "bob", "carl", "dave")
        self.assertEqual(self.ask("nodes", "list"), [])
        hour = 3600 * 10**6
        now = "CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED)"
        for number, (name, seconds) in enumerate({"two": 1, "one": 1, "gone": -1}.items(), 1):
            self.change(f"INSERT INTO node VALUES (?, ?, {now} + ?)", number, name, seconds * hour)
        for user_id, number in {bob: 1, ann: 2, carl: 3, dave: 0}.items():
            self.change("INSERT INTO claim VALUES (?, ?, 1)", user_id, number)
        listed = self.ask("nodes", "list")
        self.assertEqual([(it["name"], it["users"]) for it in listed], [("one", 1), ("two", 1)])
        self.assertTrue(all(3000 < it["seconds"] <= 3600 for it in listed), listed)
        self.assertEqual(
            self.ask("online", "list"),
            [{"id": ann, "name": "ann", "node": "one"}, {"id": bob, "name": "bob", "node": "two"}],
        )

    def test_backups_are_for_sqlite(self) -> None:
        self.users()
        self.assertIn("mariadb-dump", self.refused("backup", str(self.folder / "copy")))


class WrongUseTests(AdminTestCase):
    def test_no_database_is_made_by_mistake(self) -> None:
        self.assertIn("there is no database", self.refused("users", "list"))
        self.assertFalse((self.folder / "chat.sqlite").exists())
        self.assertIn("gone with its process", self.refused("users", "list", url="memory:"))

    def test_the_command_line(self) -> None:
        for wrong in (
            "", "users", "users lst", "users list --limit 0", "waiting purge",
            "waiting purge --older-than -1",
        ):  # fmt: skip
            self.assertEqual(self.run_it(*wrong.split()).status, 2)

    def test_every_command_has_its_manual(self) -> None:
        whole = self.run_it("--help").out
        for command in COMMANDS:
            done = self.run_it(*command.split(), "--help")
            self.assertEqual(done.status, 0)
            self.assertIn(f"chat-admin {command}", done.out)
            self.assertIn(command.split()[0], whole)

    def test_addresses(self) -> None:
        for endpoint, expected in {
            "tcp:9090": ("127.0.0.1", 9090),
            "tcp:9090:interface=127.0.0.2": ("127.0.0.2", 9090),
            "tcp:9:interface=0.0.0.0": ("127.0.0.1", 9),
            "tcp:9:interface=\\:\\:1": ("::1", 9),
        }.items():
            self.assertEqual(address_of(endpoint), expected)
        for endpoint in ("none", "unix:/x", "tcp:x"):
            self.assertRaises(NotReached, address_of, endpoint)

    def test_tables_do_not_move_the_cursor(self) -> None:
        answer = table([{"id": 1, "name": "a\x1b[2J\nb"}, {"id": 10, "name": "c"}], ("id", "name"))
        self.assertEqual(answer.text, "id  name\n 1  a?[2J?b\n10  c")
        self.assertEqual(table([], ("id",)).text, "none")


class BackupTests(AdminTestCase):
    def test_there_and_back(self) -> None:
        self.users("ann", "bob")
        copy = self.folder / "copy"
        self.assertEqual(self.ask("backup", str(copy))["bytes"], copy.stat().st_size)
        self.assertEqual(copy.stat().st_mode & 0o777, 0o600)
        self.assertEqual(list(self.folder.glob("copy*")), [copy])
        self.assertIn("is there already", self.refused("backup", str(copy)))
        self.ask("users", "delete", "ann", "--yes")
        self.assertIn("--yes", self.refused("restore", str(copy)))
        self.ask("restore", str(copy), "--yes")
        self.assertEqual([it["name"] for it in self.ask("users", "list")], ["ann", "bob"])
        self.assertEqual(self.ask("schema", "check"), {"wrong": []})

    def test_where_there_was_nothing(self) -> None:
        self.users("ann")
        copy = self.folder / "copy"
        self.ask("backup", str(copy))
        self.url = f"sqlite:{self.folder / 'another'}"
        self.ask("restore", str(copy))
        self.assertEqual([it["name"] for it in self.ask("users", "list")], ["ann"])
        self.assertEqual((self.folder / "another").stat().st_mode & 0o777, 0o600)

    def test_an_older_backup_is_brought_up_to_date(self) -> None:
        old = self.folder / "old"
        direct = Direct(dialect_of(f"sqlite:{old}"))
        schema.upgrade(direct.dialect, direct.raw, to=1)
        direct.in_one(lambda s: s.change(
            "INSERT INTO user (name, name_key, password) VALUES ('ann', ?, '')", (b"ann",)
        ))  # fmt: skip
        direct.raw.execute("PRAGMA journal_mode = DELETE")
        direct.close()
        self.assertEqual(self.ask("restore", str(old)), {"version": 1})
        self.assertTrue(self.ask("schema", "show")["current"])
        self.assertEqual([it["name"] for it in self.ask("users", "list")], ["ann"])

    def test_what_is_no_backup(self) -> None:
        self.users("ann")
        nothing, text = self.folder / "nothing", self.folder / "text"
        with closing(sqlite3.connect(nothing)) as made:
            made.execute("CREATE TABLE other (id)")
        text.write_text("hello" * 1000)
        for path in (nothing, text, self.folder / "missing"):
            self.refused("restore", str(path), "--yes")
        self.assertEqual([it["name"] for it in self.ask("users", "list")], ["ann"])


class BesideAServerTests(OperatedTestCase):
    def admin(self, *arguments: str, typed: str = "", status: int = 0) -> Any:
        """One command, as a process, in the server's folder."""
        done = subprocess.run(
            [sys.executable, "-m", "chat.admin.main", "--json", *arguments],
            cwd=self.folder, input=typed, capture_output=True, text=True, timeout=PATIENCE,
            check=False,
            env=self.environ(
                CHAT_STATUS=f"tcp:{self.status_port()}:interface=127.0.0.1",
                PYTHONPATH=str(Path(__file__).parent.parent),
            ),
        )  # fmt: skip
        self.assertEqual(done.returncode, status, done)
        return json.loads(done.stdout) if done.stdout else done.stderr

    def test_people_come_and_go(self) -> None:
        with self.operated("--registration=closed"):
            port = self.port()
            ann = self.admin("users", "add", "ann", typed=SECRET)["id"]
            bob = self.admin("users", "add", "bob", typed=SECRET)["id"]
            with closing(Talker(port)) as one, closing(Talker(port)) as other:
                self.assertEqual(one.ask(login(ann, 2))["errno"], 0)
                self.assertEqual(other.ask(login(bob, 2))["errno"], 0)
                online = self.admin("online", "list")
                self.assertEqual([it["id"] for it in online], [ann, bob])
                self.assertEqual(self.admin("notice", "at noon"), {"told": 2})
                self.assertEqual(one.get()["msg"], "at noon")
                self.admin("users", "disable", "ann")
                self.assertEqual(one.rest()[-1]["errmsg"], "disconnected by the operator")
            with closing(Talker(port)) as one:
                self.assertEqual(one.ask(login(ann, 2))["errno"], 1)
                self.admin("users", "enable", "ann")
                self.assertEqual(one.ask(login(ann, 2))["errno"], 0)

    def test_who_is_deleted_is_nobody_at_once(self) -> None:
        with self.operated():
            port = self.port()
            ann, bob = (self.admin("users", "add", name, typed=SECRET)["id"] for name in ("a", "b"))
            with closing(Talker(port)) as one, closing(Talker(port)) as other:
                one.ask(login(ann, 2))
                other.ask(login(bob, 2))
                one.send(say(bob, "hi", cid="1"))
                other.send(received(other.get()["seq"]))
                self.assertEqual(one.get()["state"], "delivered")
                asked = [{"msgid": 7, "groupname": f"tea {n}"} for n in range(25)]
                groups = [other.ask(ask)["groupid"] for ask in asked]
                for group in groups:
                    one.ask({"msgid": 8, "groupid": group})
                self.admin("users", "delete", "b", "--yes")
                self.assertEqual(other.rest()[-1]["errno"], 103)
                for group in groups:
                    told = {"msgid": 33, "groupid": group}
                    left, heir = one.get(), one.get()
                    self.assertEqual(left, {**told, "id": bob, "name": "b", "event": "left"})
                    self.assertEqual(heir, {**told, "id": ann, "name": "a", "event": "creator"})
                one.send(say(bob, "hi", cid="2"))
                self.assertEqual(one.get()["errno"], 104)

    def test_a_backup_while_people_write(self) -> None:
        with self.operated("--no-limits"):
            port = self.port()
            ann, bob = (self.admin("users", "add", name, typed=SECRET)["id"] for name in ("a", "b"))
            with closing(Talker(port)) as one:
                one.ask(login(ann, 2))
                one.send(*(say(bob, "x" * 500, cid=f"c{n}") for n in range(2000)))
                before = [one.get()["cid"] for _ in range(500)]
                self.admin("backup", "copy")
                rest = [one.get() for _ in range(1500)]
            self.assertEqual({it["state"] for it in rest}, {"stored"})
            self.assertIn("stop the server first", self.admin("restore", "copy", "--yes", status=1))
            self.assertEqual(self.admin("waiting", "count")["messages"], 2000)
        with closing(sqlite3.connect(self.folder / "copy")) as copy:
            kept = {row[0].decode() for row in copy.execute("SELECT cid FROM offlinemessage")}
            self.assertEqual(copy.execute("PRAGMA integrity_check").fetchone(), ("ok",))
        self.assertLessEqual(set(before), kept)

    def test_another_servers_secret_opens_nothing(self) -> None:
        with self.operated():
            self.port()
            self.status_port()
            secret = self.folder / "chat.sqlite.secret"
            secret.write_text("y" * 43)
            said = self.admin("online", "list", status=1)
            self.assertIn("the secret is another one", said)
