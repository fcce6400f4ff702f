"""The URL of ``--database``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from unittest.mock import patch

from twisted.internet import reactor
from twisted.trial.unittest import SynchronousTestCase

from chat.errors import BadStart
from chat.storage import check, open_store
from chat.storage.places import Memory, MysqlPlace, SqlitePlace, parse


class PlacesTests(SynchronousTestCase):
    def test_memory(self) -> None:
        self.assertEqual(parse("memory:"), Memory())
        self.assertEqual(open_store("memory:", reactor).describe(), "memory:")
        check("memory:")

    def test_a_sqlite_path_becomes_absolute(self) -> None:
        here = Path(os.getcwd())
        self.assertEqual(parse("sqlite:chat.sqlite"), SqlitePlace(here / "chat.sqlite"))
        self.assertEqual(parse("sqlite:/a b/ü%20.db"), SqlitePlace(Path("/a b/ü%20.db")))
        self.assertEqual(str(parse("sqlite:/x.db")), "sqlite:/x.db")

    def test_a_mysql_url_in_full(self) -> None:
        place = parse(
            "mysql://us%40er:p%40ss%2F%3A@db.example:3307/chat%20x?unix_socket=/run/s%20k"
        )
        self.assertEqual(
            place,
            MysqlPlace("db.example", 3307, "us@er", "p@ss/:", "chat x", "/run/s k"),
        )
        self.assertNotIn("p@ss", f"{place} {place!r}")
        self.assertEqual(str(place), "mysql://us@er@/run/s k/chat x")

    def test_a_mysql_url_in_short(self) -> None:
        place = parse("mysql://chat@localhost/chat")
        self.assertEqual(place, MysqlPlace("localhost", 3306, "chat", "", "chat"))
        self.assertEqual(str(place), "mysql://chat@localhost:3306/chat")
        self.assertEqual(
            parse("mysql://chat:x@[::1]:3306/chat"), MysqlPlace("::1", 3306, "chat", "x", "chat")
        )

    def test_what_is_no_url_of_ours_is_told_without_its_password(self) -> None:
        for url in (
            "",
            "chat.sqlite",
            "sqlite:",
            "sqlite:a\0b",
            "memory:x",
            "postgres://chat:secret@localhost/chat",
            "mysql:",
            "mysql://",
            "mysql://localhost/chat",
            "mysql://chat:secret@localhost",
            "mysql://chat:secret@localhost/",
            "mysql://chat:secret@localhost/a/b",
            "mysql://chat:secret@localhost:port/chat",
            "mysql://chat:secret@localhost:70000/chat",
            "mysql://chat:secret@localhost/chat?unix_socket",
            "mysql://chat:secret@localhost/chat?password=secret",
            "mysql://chat:secret#@localhost/chat",
        ):
            for use in (parse, check, lambda url: open_store(url, reactor)):
                with self.assertRaises(BadStart) as raised:
                    use(url)
                text = str(raised.exception)
                self.assertIn("--database", text)
                self.assertNotIn("secret", text)
                self.assertNotIn("\n", text)

    def test_without_mysqlclient_it_is_said_what_to_install(self) -> None:
        absent = patch.dict(sys.modules, {"MySQLdb": None})
        with absent, self.assertRaises(BadStart) as raised:
            open_store("mysql://chat:secret@localhost/chat", reactor)
        self.assertIn("twistd-chat[mysql]", str(raised.exception))
