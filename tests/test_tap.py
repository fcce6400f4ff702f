"""The command line: what beats what, and how mistakes are told."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Literal, get_args, get_origin

from twisted.trial.unittest import SynchronousTestCase

from chat import __version__
from chat.config import Settings
from chat.options import SETTINGS
from chat.tap import Options


class OptionsTests(SynchronousTestCase):
    def setUp(self) -> None:
        alien = {name: value for name, value in os.environ.items() if name[:5] != "CHAT_"}
        self.environ = alien
        self.patch(os, "environ", self.environ)

    def parse(self, *arguments: str) -> Settings:
        options = Options()
        options.parseOptions(arguments)
        return options.settings

    def mistake(self, *arguments: str) -> str:
        ended = self.assertRaises(SystemExit, self.parse, *arguments)
        self.assertIsInstance(ended.code, str)  # Python prints it and ends with status 1
        text = str(ended.code)
        self.assertNotIn("\n", text)
        self.assertTrue(text.startswith("twistd chat: "), text)
        return text.removeprefix("twistd chat: ")

    def test_nothing_given(self) -> None:
        self.assertEqual(self.parse(), Settings())

    def test_given(self) -> None:
        settings = self.parse(
            "--listen",
            "tcp:1",
            "--listen=unix:/a path/with spaces",
            "--database=memory:",
            "--no-limits",
            "--max-line",
            "4096",
        )
        self.assertEqual(settings.listen, ("tcp:1", "unix:/a path/with spaces"))
        self.assertEqual(settings.database, "memory:")
        self.assertTrue(settings.no_limits)
        self.assertEqual(settings.max_line, 4096)

    def test_every_setting_has_an_option_and_a_variable(self) -> None:
        for name, setting in SETTINGS.items():
            low = setting.meta.ge
            text = "text" if low is None else str(low)
            if get_origin(choice := get_args(setting.type)[0]) is Literal:
                text = get_args(choice)[-1]
            expected = getattr(Settings(), name)
            if setting.unit == "":
                text, expected = "1", True
            else:
                expected = type(expected)([text] if setting.many else text)
            option = [f"--{setting.option}", text] if setting.unit else [f"--{setting.option}"]
            self.assertEqual(getattr(self.parse(*option), name), expected)
            self.environ[setting.variable] = text
            self.assertEqual(getattr(self.parse(), name), expected)
            del self.environ[setting.variable]

    def test_option_beats_environment(self) -> None:
        self.environ.update(CHAT_LISTEN="tcp:1 tcp:2", CHAT_MAX_LINE="2000", CHAT_LOGIN_SECONDS="5")
        settings = self.parse("--listen", "tcp:3", "--max-line", "3000")
        self.assertEqual(settings.listen, ("tcp:3",))
        self.assertEqual(settings.max_line, 3000)
        self.assertEqual(settings.login_seconds, 5)

    def test_option_beats_a_variable_that_is_wrong(self) -> None:
        self.environ["CHAT_MAX_LINE"] = "nonsense"
        self.assertEqual(self.parse("--max-line", "3000").max_line, 3000)
        self.assertIn("--max-line nonsense", self.mistake())

    def test_mistakes(self) -> None:
        self.assertEqual(self.mistake("--nonsense"), "option --nonsense not recognized")
        self.assertEqual(self.mistake("more"), "Wrong number of arguments.")
        self.assertEqual(self.mistake("--database"), "option --database requires argument")
        self.assertEqual(self.mistake("--database", ""), "--database : must be given")
        self.assertEqual(
            self.mistake("--max-line", "5"), "--max-line 5: must be a whole number, 1024 to 1048576"
        )

    def test_manual(self) -> None:
        text = str(Options())
        self.assertTrue(text.startswith("Usage: twistd [twistd's options] chat [options]\n"))
        for setting in SETTINGS.values():
            self.assertIn(f"\n  --{setting.option}", text)
        self.assertIn("CHAT_MAX_LINE", text)
        self.assertLessEqual(max(map(len, text.splitlines())), 100)

    def test_version(self) -> None:
        said = io.StringIO()
        self.patch(__import__("sys"), "stdout", said)
        self.assertEqual(self.assertRaises(SystemExit, self.parse, "--version").code, 0)
        self.assertEqual(said.getvalue(), f"twistd-chat {__version__}\n")

    def test_a_relative_file_stays_where_it_was_started(self) -> None:
        """The store makes it absolute when it is made, which is before the background."""
        from chat.storage import open_store

        here = Path.cwd()
        store = open_store(self.parse("--database", "sqlite:some.sqlite").database, None)
        self.assertEqual(store.describe(), f"sqlite:{here / 'some.sqlite'}")
