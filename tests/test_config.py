"""Settings: bounds that are tested, limits that are lifted, passwords that are not shown."""

from __future__ import annotations

import subprocess
import sys

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from chat.config import LIFTED, UNLIMITED, Settings, redacted, redacted_bus
from chat.options import SETTINGS, from_environment, manual, settings_from


class SettingsTests(SynchronousTestCase):
    def test_defaults_are_within_their_bounds(self) -> None:
        defaults = Settings()
        for name, setting in SETTINGS.items():
            value = getattr(defaults, name)
            self.assertEqual(msgspec.convert(value, setting.type), value, name)

    def test_defaults_that_others_rely_on(self) -> None:
        settings = Settings()
        self.assertEqual(settings.listen, ("tcp:6000:interface=127.0.0.1",))
        self.assertEqual(settings.database, "sqlite:chat.sqlite")
        self.assertEqual(settings.max_line, 65_536)
        self.assertEqual(settings.send_line_bound, 1_048_576)

    def test_a_node_has_a_name_of_its_own(self) -> None:
        name = Settings().node
        self.assertEqual(Settings().node, name)
        self.assertEqual(settings_from({"node": name}).node, name)
        others = {
            subprocess.run(
                [sys.executable, "-c", "import chat.config; print(chat.config.Settings().node)"],
                check=True,
                capture_output=True,
                text=True,
            ).stdout.strip()
            for _ in range(2)
        }
        self.assertEqual(len(others - {name}), 2)

    def test_frozen(self) -> None:
        settings = Settings()
        with self.assertRaises(AttributeError):
            settings.max_line = 1  # type: ignore[misc]

    def test_no_limits_lifts_the_mailboxes_and_nothing_else(self) -> None:
        usual, lifted = Settings(), Settings(no_limits=True)
        different = {name for name in SETTINGS if getattr(usual, name) != getattr(lifted, name)}
        self.assertEqual(different, {"no_limits", *LIFTED})
        self.assertEqual({getattr(lifted, name) for name in LIFTED}, {UNLIMITED})
        self.assertIn("mailbox_messages", LIFTED)
        self.assertIn("mailbox_per_sender", LIFTED)

    def test_no_limits_lifts_what_was_set_too(self) -> None:
        settings = settings_from({"no_limits": "1", "mailbox_messages": "7"})
        self.assertEqual(settings.mailbox_messages, UNLIMITED)


class SecretTests(SynchronousTestCase):
    def test_no_password_is_shown(self) -> None:
        for url in (
            "mysql://chat:pass:w@rd@127.0.0.1:3306/chat",
            "mysql://chat:pass:w@rd@127.0.0.1/chat?unix_socket=/run/m.sock",
            "mysql://:pass:w@rd@/chat",
            "mysql://chat:pass/w@rd@host/chat",
            "mysql://chat:pass?w@rd@host/chat",
        ):
            shown = redacted(url)
            self.assertNotIn("pass", shown)
            self.assertNotIn("w@rd", shown)
            self.assertTrue(shown.startswith("mysql://"), shown)
            self.assertTrue(shown.endswith("/chat"), shown)
            self.assertNotIn("pass", repr(Settings(database=url)))
            self.assertNotIn("pass", str(Settings(database=url)))

    def test_nor_who_we_are_on_the_bus(self) -> None:
        for url in (
            "nats://user:pass:w@rd@one:4222,two:4222",
            "nats://pass/w@rd@one:4222,two:4222",
            "tls://user:pass?w@rd@one:4222,two:4222",
        ):
            shown = redacted_bus(url)
            self.assertEqual(shown.partition("://")[2], "***@one:4222,two:4222")
            for text in (repr(Settings(bus=url)), str(Settings(bus=url))):
                self.assertNotIn("pass", text)
                self.assertNotIn("w@rd", text)
                self.assertIn(shown, text)
        for url in ("local", "nats://one:4222,two"):
            self.assertEqual(redacted_bus(url), url)

    def test_what_is_no_secret_stays(self) -> None:
        for url in ("sqlite:/srv/chat.sqlite", "memory:", "mysql://chat@127.0.0.1:3306/chat"):
            self.assertEqual(redacted(url), url)


class TextTests(SynchronousTestCase):
    def test_values_are_read(self) -> None:
        settings = settings_from(
            {
                "listen": ["tcp:1", "unix:/run/chat"],
                "database": "memory:",
                "max_line": "2048",
                "keep_after_seconds": "0.5",
                "no_limits": "1",
            }
        )
        self.assertEqual(settings.listen, ("tcp:1", "unix:/run/chat"))
        self.assertEqual(settings.database, "memory:")
        self.assertEqual(settings.max_line, 2048)
        self.assertEqual(settings.keep_after_seconds, 0.5)
        self.assertTrue(settings.no_limits)

    def test_mistakes_name_the_setting_and_what_it_has_to_be(self) -> None:
        whole = "must be a whole number, 1024 to 1048576"
        for name, text, expected in (
            ("max_line", "many", f"--max-line many: {whole}"),
            ("max_line", "1023", f"--max-line 1023: {whole}"),
            ("max_line", "2000.5", f"--max-line 2000.5: {whole}"),
            ("max_line", "", f"--max-line : {whole}"),
            ("login_seconds", "0", "--login-seconds 0: must be a number, 0.01 to 3600"),
            ("login_seconds", "nan", "--login-seconds nan: must be a number, 0.01 to 3600"),
            ("mailbox_messages", "0", "--mailbox-messages 0: must be a whole number, at least 1"),
            ("no_limits", "maybe", "--no-limits maybe: must be 1 or 0"),
            ("database", "", "--database : must be given"),
            ("node", "a b", "--node a b: must be letters, digits, - and _, 64 at most"),
            ("node", "a\n", "--node a\n: must be letters, digits, - and _, 64 at most"),
            ("node", "n" * 65, f"--node {'n' * 65}: must be letters, digits, - and _, 64 at most"),
        ):
            error = self.assertRaises(ValueError, settings_from, {name: text})
            self.assertEqual(str(error), expected)

    def test_a_bound_itself_is_allowed(self) -> None:
        for name, setting in SETTINGS.items():
            for bound in (setting.meta.ge, setting.meta.le):
                if bound is not None:
                    self.assertEqual(getattr(settings_from({name: str(bound)}), name), bound)

    def test_environment(self) -> None:
        environ = {
            "CHAT_LISTEN": " tcp:1\n unix:/run/chat ",
            "CHAT_MAX_LINE": "4096",
            "CHAT_DATABASE": "",
            "CHAT_NO_LIMITS": "0",
            "CHAT_UNKNOWN": "1",
            "HOME": "/root",
        }
        said = from_environment(environ)
        self.assertEqual(
            said,
            {"listen": ["tcp:1", "unix:/run/chat"], "max_line": "4096", "no_limits": "0"},
        )
        settings = settings_from(said)
        self.assertEqual(settings.listen, ("tcp:1", "unix:/run/chat"))
        self.assertFalse(settings.no_limits)


class ManualTests(SynchronousTestCase):
    def test_every_setting_has_its_unit_default_and_bounds(self) -> None:
        text = manual()
        for setting in SETTINGS.values():
            self.assertIn(f"  --{setting.option} {setting.unit}".rstrip() + "\n", text)
            self.assertTrue(setting.meta.description, setting.name)
            self.assertIn(f"\n{setting.group}:\n", text)
            paragraph = " ".join(setting.paragraph().split())
            if setting.meta.ge is not None:
                self.assertIn(f"{setting.meta.ge}", paragraph)
            if setting.unit and setting.default is not None and not setting.many:
                self.assertTrue(paragraph.endswith("]"), paragraph)
                default = paragraph.rpartition("default ")[2].removesuffix("]")
                self.assertEqual(
                    getattr(settings_from({setting.name: default}), setting.name), setting.default
                )

    def test_a_group_stands_once(self) -> None:
        text = manual()
        for group in {setting.group for setting in SETTINGS.values()}:
            self.assertEqual(text.count(f"\n{group}:\n"), 1)

    def test_fits_a_terminal_and_any_encoding(self) -> None:
        text = manual()
        self.assertTrue(text.isascii())
        self.assertLessEqual(max(map(len, text.splitlines())), 88)
