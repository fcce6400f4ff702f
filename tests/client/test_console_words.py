"""The console without a terminal: what is typed, what is shown, what is known."""

from __future__ import annotations

import json
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.utils import get_cwidth
from twisted.internet.endpoints import clientFromString
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import TestCase

from chat.client.console import text, view
from chat.client.console.options import Usage, read
from chat.client.console.orders import (
    COMMANDS,
    Do,
    Names,
    Order,
    Say,
    SayTo,
    Wrong,
    quoted,
    understand,
)
from chat.client.console.places import Known, endpoint
from chat.client.console.roster import Roster
from chat.client.console.screen import CommandCompleter
from chat.client.results import DirectMessage, Friend, Group, GroupMessage, Welcome

NOON = datetime(2030, 6, 1, 12, 0, tzinfo=UTC)


class OrderTests(TestCase):
    def test_the_original_s_commands(self) -> None:
        for typed, order in {
            "help": Do("help"),
            "chat:8:hi: there": SayTo(8, False, "hi: there"),
            "addfriend:8": Do("addfriend", "8"),
            "creategroup:tea:five: o'clock": Do("create", "tea", "five: o'clock"),
            "creategroup:tea:": Do("create", "tea", ""),
            "addgroup:3": Do("addgroup", "3"),
            "groupchat:3:hi all": SayTo(3, True, "hi all"),
            "loginout": Do("logout"),
        }.items():
            self.assertEqual(understand(typed, False), order)
            self.assertEqual(understand(f" {typed} ", False), order)

    def test_in_a_conversation_bare_words_are_said(self) -> None:
        for typed in ("help", "loginout", "hello there", "chat:bob:hi", "addfriend:"):
            self.assertEqual(understand(typed, True), Say(typed))
        self.assertEqual(understand("chat:8:hi", True), SayTo(8, False, "hi"))

    def test_without_a_conversation_there_is_nobody_to_say_it_to(self) -> None:
        self.assertIsInstance(understand("hello", False), Wrong)

    def test_an_id_is_in_its_bounds(self) -> None:
        self.assertEqual(understand(f"chat:{2**63 - 1}:x", False), SayTo(2**63 - 1, False, "x"))
        self.assertIsInstance(understand(f"chat:{2**63}:x", False), Wrong)
        self.assertIsInstance(understand("chat:0:x", False), Wrong)

    def test_ours(self) -> None:
        for typed, order in {
            "/to Ann Smith": Do("to", "Ann Smith"),
            '/to "Ann Smith"': Do("to", "Ann Smith"),
            "/add ann it's me": Do("add", "ann", "it's me"),
            '/add "Ann Smith"  it\'s me': Do("add", "Ann Smith", "it's me"),
            "/history": Do("history"),
            "/history 5": Do("history", "5"),
            "/quit": Do("quit"),
        }.items():
            self.assertEqual(understand(typed, True), order)

    def test_what_is_wrong_is_told(self) -> None:
        for typed, part in {
            "/": "no /",
            "/nonsense x": "no /nonsense",
            "/to": "Usage: /to NAME",
            "/add": "Usage: /add NAME [NOTE]",
            "/quit now": "Usage: /quit",
        }.items():
            order = understand(typed, True)
            assert isinstance(order, Wrong)
            self.assertIn(part, order.why)

    def test_a_text_that_begins_with_a_slash(self) -> None:
        self.assertEqual(understand("//to be", True), Say("/to be"))

    def test_nothing_is_nothing(self) -> None:
        for typed in ("", "  ", "\n"):
            self.assertIsNone(understand(typed, True))

    @given(st.text(), st.booleans())
    def test_anything_can_be_typed(self, typed: str, talking: bool) -> None:
        order: Order | None = understand(typed, talking)
        if talking and typed.strip() and not typed.strip().startswith("/"):
            self.assertIsInstance(order, (Say, SayTo, Do, Wrong))

    @given(st.text(st.characters(exclude_categories=["C"]), min_size=1).map(str.strip).filter(bool))
    def test_what_is_quoted_is_understood(self, name: str) -> None:
        if '"' in name and "'" in name:
            return
        self.assertEqual(understand(f"/add {quoted(name)} note", True), Do("add", name, "note"))


class TextTests(TestCase):
    def test_what_would_move_the_cursor_is_shown(self) -> None:
        self.assertEqual(text.plain("\x1b[2J\x07\x00\x7f"), "␛[2J␇␀␡")
        self.assertEqual(text.plain("\x9b31m"), "\\x9b31m")
        self.assertEqual(text.plain("a\u202eb\u2066c\ufeff"), "a\\u202eb\\u2066c\\ufeff")
        self.assertEqual(text.plain("a\nb\r\tc"), "a␊b␍␉c")

    def test_what_is_harmless_stays(self) -> None:
        for harmless in (
            "plain ASCII ~",
            "héllo 世界",
            "👩\u200d🚀",
            "\u0645\u06cc\u200c\u062e",
            "e\u0301",
        ):
            self.assertEqual(text.plain(harmless), harmless)

    def test_lines(self) -> None:
        self.assertEqual(text.lines("a\r\nb\tc\n\nd\n"), ["a", "b    c", "", "d"])
        self.assertEqual(text.lines(""), [""])
        self.assertEqual(text.lines("a\rb"), ["a␍b"])

    def test_shortened(self) -> None:
        self.assertEqual(text.shortened("a\n b   c", 10), "a b c")
        self.assertEqual(text.shortened("abcdef", 4), "abc…")

    def test_times(self) -> None:
        tokyo = NOON.astimezone(timezone(timedelta(hours=9)))
        self.assertEqual(text.clock("2030-06-01 11:59:59", NOON), "11:59")
        self.assertEqual(text.clock("2030-06-01 11:59:59", tokyo), "20:59")
        self.assertEqual(text.clock("2030-05-31 11:59:59", NOON), "31 May 11:59")
        self.assertEqual(text.clock("2029-06-01 11:59:59", NOON), "2029-06-01 11:59")
        self.assertEqual(text.clock("\x1b[2Jsoon", NOON), "␛[2Jsoon")
        self.assertEqual(len(text.clock("x" * 100, NOON)), text.LONGEST_TIME)

    @given(st.text())
    def test_nothing_unseen_gets_through(self, anything: str) -> None:
        for line in (text.plain(anything), *text.lines(anything), text.shortened(anything, 10)):
            unseen = [
                character
                for character in line
                if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
                and character not in "\u200c\u200d"
            ]
            self.assertEqual(unseen, [])


class ViewTests(TestCase):
    def said(self, **fields: str) -> str:
        line = view.message("ann", fields.get("body", "hi"), "2030-06-01 11:00:00", NOON,
                            mark=fields.get("mark", ""))  # fmt: skip
        return "".join(fragment for _, fragment in line)

    def test_a_message(self) -> None:
        self.assertEqual(self.said(), "11:00 ann: hi")
        self.assertEqual(self.said(mark="✓ stored"), "11:00 ann: hi  ✓ stored")
        self.assertEqual(self.said(body="a\nb"), "11:00 ann: a\n           b")

    def test_columns_of_wide_characters(self) -> None:
        rows = ["".join(t for _, t in line) for line in view.table([("世界", "x"), ("ann", "yy")])]
        self.assertEqual([get_cwidth(row.rstrip("xy")) for row in rows], [8, 8])
        self.assertEqual(view.table([]), [])

    def test_nothing_that_others_wrote_gets_through(self) -> None:
        evil = "\x1b[31m"
        said = DirectMessage(id=8, name=evil, msg=evil, time=evil, toid=7)
        group = Group(id=3, groupname=evil, groupdesc=evil)
        lines = [
            view.message(evil, evil, evil, NOON, mark="m"),
            view.elsewhere(evil, said, True, 80),
            view.lobby(evil, said, True, NOON),
            *view.asks(evil, evil),
            *view.friends([Friend(8, evil, evil)]),
            *view.groups([group]),
        ]
        for line in lines:
            self.assertNotIn("\x1b", "".join(fragment for _, fragment in line))


class RosterTests(TestCase):
    def setUp(self) -> None:
        self.roster = Roster(7)
        self.roster.welcome(
            Welcome(
                id=7,
                name="bob",
                friends=(Friend(8, "ann", "online"), Friend(9, "Eve Ning")),
                groups=(Group(3, "tea"), Group(4, "ann")),
            )
        )

    def place(self, typed: str) -> tuple[bool, int] | None:
        talk = self.roster.find(typed)
        return talk.place if talk else None

    def test_who_is_meant(self) -> None:
        self.assertEqual(self.place("ann"), (False, 8))
        self.assertEqual(self.place("#ann"), (True, 4))
        self.assertEqual(self.place("Eve Ning"), (False, 9))
        self.assertEqual(self.place("tea"), (True, 3))
        self.assertEqual(self.place("#3"), (True, 3))
        self.assertEqual(self.place("12"), (False, 12))
        self.assertEqual(self.place("bob"), (False, 7))
        self.assertIsNone(self.place("nobody"))
        self.assertIsNone(self.place("#nothing"))

    def said(self, sender: int, toid: int) -> DirectMessage:
        return DirectMessage(id=sender, toid=toid, name="mallory", msg="hi", time="now")

    def test_a_message_belongs_to_its_conversation(self) -> None:
        direct = self.roster.talk_of(self.said(10, 7))
        self.assertEqual((direct.place, direct.title), ((False, 10), "mallory"))
        self.assertEqual(self.place("mallory"), (False, 10))
        group = self.roster.talk_of(
            GroupMessage(id=11, groupid=3, name="eve", msg="hi", time="now")
        )
        self.assertEqual((group.place, group.title), ((True, 3), "#tea"))
        mine = self.roster.talk_of(self.said(7, 8))
        self.assertEqual(mine.place, (False, 8))

    def test_names_to_complete(self) -> None:
        self.roster.asking[12] = "mallory"
        self.assertEqual(self.roster.names(Names.FRIEND, None), ["ann", "Eve Ning"])
        self.assertEqual(self.roster.names(Names.ANYONE, None), ["#ann", "#tea", "ann", "Eve Ning"])
        self.assertEqual(self.roster.names(Names.ASKER, None), ["mallory"])
        self.assertEqual(self.roster.names(Names.NOTHING, None), [])
        self.roster.members[3] = ["bob", "ann"]
        self.assertEqual(self.roster.names(Names.MEMBER, self.roster.talk(True, 3)), ["ann"])

    def test_completion(self) -> None:
        completer = CommandCompleter(lambda kind: self.roster.names(kind, None))

        def complete(typed: str) -> list[str]:
            found = completer.get_completions(Document(typed), CompleteEvent())
            return [typed[: len(typed) + it.start_position] + it.text for it in found]

        self.assertEqual(complete("/fr"), ["/friends"])
        self.assertEqual(len(complete("/")), len(COMMANDS))
        self.assertEqual(complete("/to a"), ["/to #ann", "/to ann"])
        self.assertEqual(complete("/to eve n"), ["/to Eve Ning"])
        self.assertEqual(complete("/add ev"), ['/add "Eve Ning"'])
        self.assertEqual(complete('/add "ev'), ['/add "Eve Ning"'])
        for typed in ("fr", "//fr", "/nothing a", "/quit a", ""):
            self.assertEqual(complete(typed), [])


class PlaceTests(TestCase):
    def test_servers(self) -> None:
        for typed, wanted in {
            "chat.example": "tcp:chat.example:6000",
            "chat.example:7000": "tcp:chat.example:7000",
            "[::1]:7000": "tcp:\\:\\:1:7000",
            "tls:chat.example:6001": "tls:chat.example:6001",
            "unix:/run/chat.sock": "unix:/run/chat.sock",
        }.items():
            self.assertEqual(endpoint(typed), wanted)
            clientFromString(MemoryReactorClock(), endpoint(typed))
        self.assertEqual(endpoint("chat.example", tls=True), "tls:chat.example:6000")
        for typed in ("", "host:", "host:0", "host:65536", "host:x", "::1", "a:b:c", "[::1"):
            with self.assertRaises(ValueError):
                endpoint(typed)

    def known(self, folder: str) -> Known:
        return Known({"XDG_CONFIG_HOME": folder})

    def test_names_are_known_by_server(self) -> None:
        folder = self.mktemp()
        known = self.known(folder)
        self.assertIsNone(known.last_server)
        known.learn("a", "bob", 7)
        known.learn("b", "bob", 8)
        known = self.known(folder)
        self.assertEqual((known.id_of("a", "bob"), known.id_of("b", "bob")), (7, 8))
        self.assertIsNone(known.id_of("a", "ann"))
        self.assertEqual(known.id_of("a", "12"), 12)
        self.assertIsNone(known.id_of("a", "0"))
        self.assertEqual((known.last_server, known.last_user("b")), ("b", "bob"))
        self.assertIsNone(known.last_user("a"))

    def test_a_file_that_is_none_is_as_good_as_nothing(self) -> None:
        for content in ("", "{", "[]", '{"servers":[],"last":3}', '{"servers":{"a":{"bob":"x"}}}'):
            folder = Path(self.mktemp())
            (folder / "chat").mkdir(parents=True)
            (folder / "chat" / "known.json").write_text(content)
            known = self.known(str(folder))
            self.assertIsNone(known.id_of("a", "bob"))
            known.learn("a", "bob", 7)
            self.assertEqual(self.known(str(folder)).id_of("a", "bob"), 7)

    def test_the_file_is_for_people_too(self) -> None:
        folder = self.mktemp()
        known = self.known(folder)
        known.learn("a", "世界", 7)
        self.assertIn("世界", known.path.read_text())
        self.assertEqual(json.loads(known.path.read_text())["servers"], {"a": {"世界": 7}})

    def test_the_command_line_beats_the_environment_beats_the_last_time(self) -> None:
        environ = {"XDG_CONFIG_HOME": self.mktemp(), "XDG_STATE_HOME": self.mktemp()}
        self.assertEqual(read([], environ).server, "127.0.0.1:6000")
        Known(environ).learn("last:1", "bob", 7)
        self.assertEqual((read([], environ).server, read([], environ).user), ("last:1", "bob"))
        environ |= {"CHAT_SERVER": "env:1", "CHAT_USER": "eve", "CHAT_PASSWORD": "secret"}
        setup = read(["send", "--to", "ann"], environ)
        self.assertEqual((setup.server, setup.user), ("env:1", "eve"))
        self.assertEqual(setup.given_password(), "secret")
        file = Path(self.mktemp())
        file.write_text("from file\r\nrest")
        arguments = ["--server", "arg:1", "send", "--to", "x", "--user", "ann"]
        setup = read([*arguments, "--password-file", str(file)], environ)
        self.assertEqual((setup.server, setup.user), ("arg:1", "ann"))
        self.assertEqual(setup.given_password(), "from file")

    def test_what_makes_no_sense_is_refused(self) -> None:
        environ = {"XDG_CONFIG_HOME": self.mktemp()}
        for arguments in (
            ["--server", "a:b:c"],
            ["send", "--to", "x", "--timeout", "0"],
            ["send", "--to", "x", "--lines", "text"],
            ["listen", "--count", "-1"],
        ):
            with self.assertRaises(Usage):
                read(arguments, environ)
        with self.assertRaises(Usage):
            read(["--password-file", "/none"], environ).given_password()
        with self.assertRaises(Usage):
            read([], environ).user_id("bob")
