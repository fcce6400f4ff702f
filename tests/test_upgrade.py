"""A server is started on the database of each earlier one, with people in it, who go on talking.

The versions are those of the schema's files.  What an older program would have left goes into the
tables that its version has; how tables change by themselves is in ``tests/storage/test_schema.py``.
"""

from __future__ import annotations

import hashlib
import json
import signal
import time
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

from argon2 import PasswordHasher

from chat.storage import dialect_of, schema
from chat.storage.dialects import Raw, Statements
from tests.mariadb import shared
from tests.support import PASSWORD, login, received, say
from tests.test_plugin import ANY_PORT, PATIENCE, PluginTestCase
from tests.test_process import Talker

if TYPE_CHECKING:
    Case = PluginTestCase
else:
    Case = object

ANN, BOB, EVE = 1, 2, 3
PEOPLE = {ANN: "ann", BOB: "bob", EVE: "Зоя 😀"}
TEA = 1
TOKEN = "a token of ann's"
DAY = 86_400 * 1_000_000


def line(sender: int, cid: str, text: str, **target: int) -> dict[str, Any]:
    """A message as it was kept."""
    msgid = 9 if "groupid" in target else 5
    return {"msgid": msgid, **target, "msg": text, "cid": cid, "id": sender, "name": PEOPLE[sender],
            "time": "2026-01-01 12:00:00"}  # fmt: skip


WAITING = [
    line(BOB, "c1", "first", toid=ANN),
    line(EVE, "c2", "второе 😀", toid=ANN),
    line(BOB, "c3", "to all", groupid=TEA),
    line(BOB, "c4", "last", toid=ANN),
]
"""For Ann, oldest first."""

SAID = [line(ANN, "s1", "long ago", toid=BOB), line(BOB, "s2", "indeed", toid=ANN)]


def rows(now: int) -> dict[str, list[dict[str, object]]]:
    """What an older program left in each table, ``now`` being its last microsecond."""
    secret = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(PASSWORD)
    before = now - DAY
    return {
        "user": [
            {"id": user_id, "name": name, "name_key": name.encode(), "password": secret,
             "state": "online"}
            for user_id, name in PEOPLE.items()
        ],
        "offlinemessage": [
            {"userid": ANN, "stamp": before + number, "sender": message["id"],
             "cid": message["cid"].encode(), "given": 0, "kind": message["msgid"], "digest": b"12",
             "message": json.dumps(message, ensure_ascii=False).encode()}
            for number, message in enumerate(WAITING)
        ],
        "friend": [{"userid": ANN, "friendid": BOB}, {"userid": BOB, "friendid": ANN}],
        "friendrequest": [{"friendid": ANN, "userid": EVE, "note": "hello", "asked": before}],
        "block": [{"userid": BOB, "blockedid": EVE}],
        "allgroup": [{"id": TEA, "groupname": "Tea", "name_key": b"Tea", "groupdesc": "at five",
                      "members": 2}],
        "groupuser": [
            {"groupid": TEA, "userid": user_id, "grouprole": role, "joined": before - DAY}
            for user_id, role in ((ANN, "creator"), (BOB, "normal"))
        ],
        "message": [
            {"low": ANN, "high": BOB, "stamp": before + number, "sender": message["id"],
             "cid": message["cid"].encode(), "message": json.dumps(message).encode()}
            for number, message in enumerate(SAID)
        ],
        "gap": [{"userid": ANN, "groupid": 0, "stamp": before}],
        "token": [{"id": 1, "userid": ANN, "digest": hashlib.sha256(TOKEN.encode()).digest(),
                   "created": before, "used": before, "expires": now + DAY, "address": "::1"}],
        "invite": [{"id": 1, "digest": hashlib.sha256(b"come in").digest(), "created": before,
                    "expires": now + DAY, "uses": 1}],
    }  # fmt: skip


class Upgrades(Case):
    """Tests that are made below, one for each version of the schema."""

    url: str
    raw: Raw
    has: set[str]
    """The tables that the old version had."""

    def make(self) -> str:
        """The URL of an empty database."""
        raise NotImplementedError

    def setUp(self) -> None:
        super().setUp()
        self.url = self.make()
        self.dialect = dialect_of(self.url)
        self.raw = self.dialect.connect()
        self.addCleanup(self.raw.close)

    def leave(self, version: int) -> None:
        """What a program of this version left behind."""
        schema.upgrade(self.dialect, self.raw, to=version)
        self.assertEqual(schema.version(self.dialect, self.raw), version)
        statements = Statements(self.dialect, self.raw)
        self.has = self.dialect.tables(statements)
        for table, wanted in rows(int(time.time() * 1_000_000)).items():
            for row in wanted if table in self.has else ():
                marks = ", ".join("?" * len(row))
                statements.change(
                    f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values())
                )
        self.raw.commit()

    def upgrade_from(self, version: int) -> None:
        """Start a server on it; everything is where it was, and goes on."""
        self.leave(version)
        options = (ANY_PORT, "--registration=invite")
        with self.served(*options, CHAT_DATABASE=self.url) as process:
            port = self.port()
            with closing(Talker(port)) as ann:
                self.ann_comes_back(ann)
                self.ann_looks_round(ann)
                with closing(Talker(port)) as bob:
                    self.bob_comes_back(bob)
                    self.they_talk(ann, bob)
            with closing(Talker(port)) as kim:
                self.kim_is_invited(kim)
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)
        self.raw.rollback()
        newest = schema.newest(self.dialect)
        self.assertEqual(schema.version(self.dialect, self.raw), newest)
        # It is no upgrade any more, and what was received does not come again.
        with self.served(ANY_PORT, CHAT_DATABASE=self.url), closing(Talker(self.port())) as ann:
            self.assertEqual(ann.ask(login(ANN, 2))["backlog"], 0)

    def ann_comes_back(self, ann: Talker) -> None:
        """At level 2, by a token where there were any: what has waited comes in its order."""
        ack = ann.ask(
            {"msgid": 1, "id": ANN, "token": TOKEN, "proto": 2}
            if "token" in self.has
            else login(ANN, 2)
        )
        self.assertEqual((ack["errno"], ack["name"], ack["backlog"]), (0, "ann", len(WAITING)))
        friends, groups = [], []
        if "friend" in self.has:
            friends = [{"id": BOB, "name": "bob", "state": "offline"}]
        if "allgroup" in self.has:
            groups = [{"id": TEA, "groupname": "Tea", "groupdesc": "at five", "role": "creator",
                       "members": 2}]  # fmt: skip
        self.assertEqual((ack["friends"], ack["groups"]), (friends, groups))
        for seq, message in enumerate(WAITING, 1):
            self.assertEqual(ann.get(), {**message, "seq": seq})
        ann.send(received(len(WAITING)))

    def ann_looks_round(self, ann: Talker) -> None:
        """Requests, members and history, as far as they were kept."""
        requests = ann.ask({"msgid": 23})["requests"]
        self.assertEqual(
            [(it["id"], it["name"], it["note"]) for it in requests],
            [(EVE, PEOPLE[EVE], "hello")] if "friendrequest" in self.has else [],
        )
        if "groupuser" in self.has:
            members = ann.ask({"msgid": 26, "groupid": TEA})["members"]
            self.assertEqual([it["name"] for it in members], ["ann", "bob"])
        page = ann.ask({"msgid": 31, "toid": BOB})
        said = [it["msg"] for it in page["messages"]]
        self.assertEqual(said, ["indeed", "long ago"] if "message" in self.has else [])
        self.assertEqual(page["gap"], "gap" in self.has)

    def bob_comes_back(self, bob: Talker) -> None:
        """At level 1."""
        ack = bob.ask(login(BOB))
        self.assertEqual((ack["errno"], ack["name"]), (0, "bob"))
        self.assertEqual("friends" in ack, "friend" in self.has)
        if "allgroup" in self.has:
            (group,) = map(json.loads, ack["groups"])
            users = {it["name"]: it["state"] for it in map(json.loads, group["users"])}
            self.assertEqual(users, {"ann": "online", "bob": "online"})

    def they_talk(self, ann: Talker, bob: Talker) -> None:
        """New messages go their way."""
        ann.send(say(BOB, "back again", cid="n1"), say(EVE, "are you there?", cid="n2"))
        self.assertEqual(bob.get()["msg"], "back again")
        states = {it["cid"]: it["state"] for it in (ann.get(), ann.get())}
        self.assertEqual(states, {"n1": "pushed", "n2": "stored"})
        if "groupuser" in self.has:
            bob.send({"msgid": 9, "groupid": TEA, "msg": "tea?"})
            pushed = ann.get()
            self.assertEqual((pushed["msg"], pushed["id"]), ("tea?", BOB))
            ann.send(received(pushed["seq"]))
        # All of that has been read when this is answered.
        self.assertEqual(ann.ask({"msgid": 13, "cid": "read?"}), {"msgid": 14, "cid": "read?"})

    def kim_is_invited(self, kim: Talker) -> None:
        """Somebody new gets the next id."""
        ask = {"msgid": 3, "name": "kim", "password": PASSWORD, "invite": "come in"}
        ack = kim.ask(ask)
        if "invite" in self.has:
            self.assertEqual((ack["errno"], ack.get("id")), (0, max(PEOPLE) + 1))
        else:
            self.assertEqual((ack["errno"], ack["registration"]), (1, "invite"))


class SqliteUpgradeTests(Upgrades, PluginTestCase):
    """SQLite."""

    def make(self) -> str:
        return f"sqlite:{self.folder / 'chat.sqlite'}"


class MariaDBUpgradeTests(Upgrades, PluginTestCase):
    """MariaDB."""

    def make(self) -> str:
        return shared().fresh()


def _make_tests(case: type[Upgrades], url: str) -> None:
    def test(version: int) -> Callable[[Upgrades], None]:
        return lambda self: self.upgrade_from(version)

    for version in range(1, schema.newest(dialect_of(url)) + 1):
        setattr(case, f"test_from_version_{version}", test(version))


_make_tests(SqliteUpgradeTests, "sqlite:x")
_make_tests(MariaDBUpgradeTests, "mysql://x@y/z")
