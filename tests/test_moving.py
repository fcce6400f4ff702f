"""The original's database, imported: a real MariaDB with the original's schema and rows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from twisted.trial.unittest import SynchronousTestCase

from chat.errors import BadStart
from chat.moving.clean import Unreadable, message_of, name_of, text_of, told_apart
from chat.moving.main import main, report
from chat.moving.moving import Move, Table
from chat.moving.source import Source, SourceLost
from chat.moving.target import Target
from chat.storage import dialect_of

from .mariadb import shared

HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)

ORIGINAL = """
CREATE TABLE user (
  id int(11) NOT NULL AUTO_INCREMENT, name varchar(50) DEFAULT NULL,
  password varchar(50) DEFAULT NULL, state enum('online','offline') CHARACTER SET latin1
  DEFAULT 'offline', PRIMARY KEY (id), UNIQUE KEY name (name)
) ENGINE=InnoDB DEFAULT CHARSET=latin1;
CREATE TABLE friend (
  userid int(11) NOT NULL, friendid int(11) NOT NULL, KEY userid (userid, friendid)
) ENGINE=InnoDB DEFAULT CHARSET=latin1;
CREATE TABLE allgroup (
  id int(11) NOT NULL AUTO_INCREMENT, groupname varchar(50) CHARACTER SET latin1 NOT NULL,
  groupdesc varchar(200) CHARACTER SET latin1 DEFAULT '', PRIMARY KEY (id),
  UNIQUE KEY groupname (groupname)
) ENGINE=InnoDB DEFAULT CHARSET=latin1;
CREATE TABLE groupuser (
  groupid int(11) NOT NULL, userid int(11) NOT NULL,
  grouprole enum('creator','normal') CHARACTER SET latin1 DEFAULT NULL, KEY (groupid, userid)
) ENGINE=InnoDB DEFAULT CHARSET=latin1;
CREATE TABLE offlinemessage (
  userid int(11) NOT NULL, message varchar(500) NOT NULL, KEY userid (userid)
) ENGINE=InnoDB DEFAULT CHARSET=latin1
"""

ANOTHER_COPY = (
    ORIGINAL.replace("latin1", "utf8mb4")
    .replace("TABLE user", "TABLE User")
    .replace("TABLE allgroup", "TABLE AllGroup")
    .replace("TABLE groupuser", "TABLE GroupUser")
    .replace("TABLE friend", "TABLE Friend")
    .replace("TABLE offlinemessage", "TABLE OfflineMessage")
    .replace("KEY userid (userid, friendid)", "PRIMARY KEY (userid, friendid)")
)

WIDE_BOB = "\uff42\uff4f\uff42"
"""The same name under NFKC, another one to the original."""

HELLO = {
    "msgid": 6, "id": 13, "name": "zhang san", "toid": 15, "msg": "你好吗",
    "time": "2020-01-01 12:00:00",
}  # fmt: skip
TO_ALL = {"id": 15, "name": "李四", "groupid": 1, "msg": "大家好", "time": "t", "msgid": 10}


def quoted(value: Any, gbk: bool = False) -> str:
    """A value as SQL, texts as their bytes."""
    if isinstance(value, str):
        return "X'" + value.encode("gbk" if gbk else "utf-8").hex() + "'"
    return str(value)


class MovingTests(SynchronousTestCase):
    """One database after the other."""

    def source(self, schema: str = ORIGINAL, fill: bool = True) -> str:
        server = shared()
        url = server.fresh()
        self.name = url.rpartition("/")[2]
        for statement in schema.split(";\n"):
            self.ask(statement)
        if fill:
            self.fill(schema)
        return url

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        return shared().ask(sql, database=self.name)

    def table(self, name: str) -> str:
        found = {str(row[0]).lower(): str(row[0]) for row in self.ask("SHOW TABLES")}
        return found[name]

    def add(self, table: str, *rows: tuple[Any, ...], gbk: bool = False) -> None:
        for row in rows:
            values = ", ".join(quoted(value, gbk) for value in row)
            self.ask(f"INSERT INTO `{self.table(table)}` VALUES ({values})")

    def fill(self, schema: str) -> None:
        self.add(
            "user", (13, "zhang san", "123456", "online"), (15, "李四", "密码", "offline"),
            (21, "gao yang", "x", "offline"), (22, "", "", "offline"),
        )  # fmt: skip
        if "latin1" in schema:
            self.add("user", (19, "王五", "666666", "offline"), gbk=True)
        else:
            self.add("user", (19, "王五", "666666", "offline"))
        self.add("friend", (13, 15), (13, 21), (15, 13), (13, 99))
        self.add("allgroup", (1, "C++ 聊天室", "start develop a chat project"))
        self.add("groupuser", (1, 13, "creator"), (1, 15, "normal"), (1, 98, "normal"))
        for row in (json.dumps(HELLO, ensure_ascii=False), json.dumps(TO_ALL), "not JSON"):
            self.add("offlinemessage", (15, row))
        self.add("offlinemessage", (15, json.dumps(HELLO, ensure_ascii=False)))

    def targets(self) -> list[str]:
        return [f"sqlite:{Path(self.mktemp()).absolute()}", shared().fresh()]

    def move(
        self, source: str, target: str, progress: Callable[[str, int, int], None] | None = None
    ) -> dict[str, Table]:
        here, there = Source(source), Target(dialect_of(target))
        move = Move(here, there, HASHER.hash, 2, progress or (lambda *_: None))
        try:
            move.all()
        finally:
            here.close()
            there.close()
        return {table.name: table for table in move.tables}

    def rows(self, target: str, sql: str) -> list[tuple[Any, ...]]:
        if target.startswith("sqlite:"):
            with sqlite3.connect(target.removeprefix("sqlite:")) as database:
                return database.execute(sql).fetchall()
        return shared().ask(sql, database=target.rpartition("/")[2])

    def check(self, target: str) -> None:
        users = {
            row[0]: row[1:] for row in self.rows(target, "SELECT id, name, password FROM user")
        }
        names = {user_id: row[0] for user_id, row in users.items()}
        self.assertEqual(
            names, {13: "zhang san", 15: "李四", 19: "王五", 21: "gao yang", 22: "user 22"}
        )
        self.assertTrue(HASHER.verify(users[15][1], "密码"))
        self.assertEqual(users[22][1], "!")
        pairs = self.rows(target, "SELECT userid, friendid FROM friend ORDER BY 1, 2")
        self.assertEqual([tuple(pair) for pair in pairs], [(13, 15), (13, 21), (15, 13)])
        [group] = self.rows(target, "SELECT id, groupname, groupdesc, members FROM allgroup")
        self.assertEqual(tuple(group), (1, "C++ 聊天室", "start develop a chat project", 2))
        sql = "SELECT sender, kind, message FROM offlinemessage WHERE userid = 15 ORDER BY stamp"
        waiting = [(row[0], row[1], json.loads(row[2])) for row in self.rows(target, sql)]
        self.assertEqual([(s, kind) for s, kind, _ in waiting], [(13, 5), (15, 9), (13, 5)])
        self.assertEqual(waiting[0][2], {**HELLO, "msgid": 5})
        self.assertEqual(waiting[1][2], {**TO_ALL, "msgid": 9})

    def test_everything_and_again(self) -> None:
        source = self.source()
        before = self.ask("CHECKSUM TABLE user, friend, allgroup, groupuser, offlinemessage")
        for target in self.targets():
            tables = self.move(source, target)
            self.check(target)
            counts = {n: (t.read, t.imported, t.there, t.left_out) for n, t in tables.items()}
            self.assertEqual(
                counts,
                {
                    "user": (5, 5, 0, 0), "friend": (4, 3, 0, 1), "allgroup": (1, 1, 0, 0),
                    "groupuser": (3, 2, 0, 1), "offlinemessage": (4, 3, 0, 1),
                },
            )  # fmt: skip
            self.assertIn("not JSON", report(list(tables.values())))
            again = self.move(source, target)
            self.check(target)
            self.assertEqual({table.imported for table in again.values()}, {0})
        after = self.ask("CHECKSUM TABLE user, friend, allgroup, groupuser, offlinemessage")
        self.assertEqual(before, after)

    def test_another_copys_shape(self) -> None:
        source = self.source(ANOTHER_COPY)
        target = self.targets()[0]
        self.move(source, target)
        self.check(target)

    def test_half_there(self) -> None:
        source = self.source()
        self.ask("DROP TABLE friend")
        self.ask("DROP TABLE offlinemessage")
        tables = self.move(source, self.targets()[0])
        self.assertTrue(tables["friend"].missing and tables["offlinemessage"].missing)
        self.assertEqual(tables["groupuser"].imported, 2)
        self.ask("DROP TABLE user")
        self.assertRaisesRegex(BadStart, "no table user", Source, source)

    def test_lost_in_the_middle(self) -> None:
        source, target = self.source(), self.targets()[0]

        def cut(table: str, done: int, total: int) -> None:
            if table == "friend":
                for row in self.ask("SHOW PROCESSLIST"):
                    if row[3] == self.name and row[4] == "Sleep":
                        self.ask(f"KILL {row[0]}")

        self.assertRaises(SourceLost, self.move, source, target, cut)
        self.move(source, target)
        self.check(target)

    def test_names_that_collide_under_our_rules(self) -> None:
        source = self.source(fill=False)
        self.add("user", (1, "bob", "x", "offline"), (2, WIDE_BOB, "y", "offline"))
        target = self.targets()[0]
        tables = self.move(source, target)
        names = [row[0] for row in self.rows(target, "SELECT name FROM user ORDER BY id")]
        self.assertEqual(names, ["bob", f"{WIDE_BOB} (2)"])
        self.assertIn("was taken", tables["user"].notes[0])
        self.assertEqual(self.move(source, target)["user"].there, 2)

    def test_target_of_other_people(self) -> None:
        target = self.targets()[0]
        first = self.source(fill=False)
        self.add("user", (13, "somebody else", "x", "offline"))
        self.move(first, target)
        self.assertRaisesRegex(BadStart, "empty database", self.move, self.source(), target)

    def test_command(self) -> None:
        target = self.targets()[0]
        self.assertEqual(main([self.source(), "--into", target, "--json"]), 0)
        self.check_logins(target)
        unreachable = "mysql://nobody:secret@127.0.0.1:1/chat"
        self.assertEqual(main([unreachable, "--into", target]), 1)

    def check_logins(self, target: str) -> None:
        [[encoded]] = self.rows(target, "SELECT password FROM user WHERE id = 13")
        self.assertTrue(PasswordHasher().verify(encoded, "123456"))


class CleaningTests(SynchronousTestCase):
    """Bytes and names."""

    def test_texts(self) -> None:
        for data, text in (
            ("你好".encode(), "你好"), ("你好".encode("gbk"), "你好"), (b"Jos\xe9", "José"),
            (b"d\xe9j\xe0 vu", "déjà vu"), (b"plain", "plain"), (b"", ""),
        ):  # fmt: skip
            self.assertEqual(text_of(data), text)

    def test_names(self) -> None:
        self.assertEqual(name_of(b" a\x00b\n ", "x"), "ab")
        self.assertEqual(name_of(b" \x01 ", "user 7"), "user 7")
        self.assertEqual(len(name_of(b"n" * 80, "x")), 50)
        self.assertEqual(told_apart("n" * 50, 7), "n" * 46 + " (7)")

    def test_messages(self) -> None:
        for data in (b"[]", b"{}", b'{"id":"1","toid":2}', b'{"id":1,"msg":"no target"}', b"\xff"):
            self.assertRaises(Unreadable, message_of, 2, data, 1, 1)
        one = message_of(2, b'{"id":1,"toid":2,"msg":"x"}', 5, 1)
        self.assertEqual(
            json.loads(one.body),
            {"id": 1, "toid": 2, "msg": "x", "msgid": 5, "name": "", "time": ""},
        )
        same = message_of(2, b'{"id":1,"toid":2,"msg":"x"}', 9, 1)
        other = message_of(2, b'{"id":1,"toid":2,"msg":"x"}', 9, 2)
        self.assertEqual((one.cid == same.cid, one.cid == other.cid), (True, False))
