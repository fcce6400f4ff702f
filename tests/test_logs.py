"""The log as JSON lines: one event, and a real server's."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Callable
from contextlib import closing
from typing import Any

from twisted.logger import LogLevel, formatEventAsClassicLogText
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from chat.logs import Lines, json_line, text_line
from tests.support import login
from tests.test_plugin import ANY_PORT, PATIENCE, PluginTestCase, eventually
from tests.test_process import SECRET, Talker


class JsonLineTests(SynchronousTestCase):
    def test_what_is_known_is_shown(self) -> None:
        line = json_line({
            "log_time": 0.5, "log_level": LogLevel.warn, "log_namespace": "chat.session",
            "log_format": "{address} user {user}: {text}\n", "address": "127.0.0.1:5", "user": 7,
            "errno": 107, "duration": 0.25, "text": "h\u00e9",
        })  # fmt: skip
        self.assertEqual(line.count("\n"), 1)
        self.assertEqual(json.loads(line), {
            "time": "1970-01-01T00:00:00.500+00:00", "level": "warn", "system": "chat.session",
            "text": "127.0.0.1:5 user 7: h\u00e9\n", "address": "127.0.0.1:5", "user": 7,
            "errno": 107, "duration": 0.25,
        })  # fmt: skip

    def test_nobody_is_left_out(self) -> None:
        line = json.loads(json_line({"log_time": 0, "log_format": "hi", "user": "-"}))
        self.assertEqual(set(line), {"time", "level", "system", "text"})

    def test_a_traceback_stays_in_its_line(self) -> None:
        try:
            raise ValueError("broken")
        except ValueError:
            failure = Failure()
        line = json_line({"log_time": 0, "log_format": "failed", "log_failure": failure})
        self.assertEqual(line.count("\n"), 1)
        self.assertIn("ValueError: broken", json.loads(line)["traceback"])

    def test_bytes_and_lone_surrogates_do_no_harm(self) -> None:
        for strange in (b"\xff", "\ud800"):
            event = {"log_time": 0, "log_format": "{it}", "it": strange, "address": strange}
            self.assertIsInstance(json.loads(json_line(event))["text"], str)


class TextLineTests(SynchronousTestCase):
    def test_as_twistd_writes_it(self) -> None:
        for more in (
            {"log_format": "{address} user {user}: hi", "address": "127.0.0.1:5", "user": 7},
            {"log_format": "called: {it()}", "it": lambda: "yes"},
            {"log_format": "{a.real} and {b!r:>5}", "a": 3, "b": "x"},
            {"log_format": "two\nlines"},
            {"log_format": "{nothing}"},
            {"log_format": "{broken", "broken": 1},
            {"log_format": "{it}", "it": "h\u00e9"},
            {"log_format": "of old", "log_system": "-"},
            {"log_format": ""},
            {"log_format": None},
            {},
        ):
            for level in (LogLevel.info, LogLevel.error):
                for when in (0.5, 1_700_000_000.999, 1_700_000_001.0):
                    event = {"log_time": when, "log_level": level, "log_namespace": "chat", **more}
                    expected = formatEventAsClassicLogText(event) or ""
                    if "Unable to format" in expected:
                        self.assertIn("Unable to format", text_line(event))
                    else:
                        self.assertEqual(text_line(event), expected, more)

    def test_a_traceback_is_shown(self) -> None:
        try:
            raise ValueError("broken")
        except ValueError:
            failure = Failure()
        event = {"log_time": 0, "log_level": LogLevel.critical, "log_format": "failed"}
        self.assertIn("ValueError: broken", text_line({**event, "log_failure": failure}))

    def test_lone_surrogates_do_no_harm(self) -> None:
        event = {"log_time": 0, "log_level": LogLevel.info, "log_format": "{it}", "it": "\ud800"}
        self.assertIn("\\ud800", text_line(event))


class Turns:
    """A reactor that runs, and calls at the end of its turn."""

    running = True

    def __init__(self) -> None:
        self.calls: list[Callable[[], object]] = []

    def callFromThread(self, call: Callable[[], object]) -> None:  # noqa: N802
        self.calls.append(call)


class LinesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = Turns()
        self.out = io.StringIO()
        self.lines = Lines(self.out, lambda event: event["text"], self.reactor)

    def say(self, text: str, level: Any = LogLevel.info) -> None:
        self.lines({"text": text, "log_level": level})

    def test_together_at_the_end_of_a_turn(self) -> None:
        for text in ("a", "b", ""):
            self.say(text)
        self.assertEqual((self.out.getvalue(), len(self.reactor.calls)), ("", 1))
        self.reactor.calls.pop()()
        self.assertEqual(self.out.getvalue(), "ab")
        self.say("c")
        self.assertEqual(len(self.reactor.calls), 1)

    def test_a_warning_at_once_and_behind_what_was_before(self) -> None:
        self.say("a")
        self.say("b", LogLevel.warn)
        self.assertEqual(self.out.getvalue(), "ab")

    def test_at_once_when_nothing_turns(self) -> None:
        self.say("a")
        self.reactor.running = False
        self.say("b")
        self.assertEqual(self.out.getvalue(), "ab")


class ServerLogTests(PluginTestCase):
    def talk(self) -> int:
        """Somebody registers, fails to log in, logs in, and goes."""
        with closing(Talker(self.port())) as client:
            user_id = int(client.ask({"msgid": 3, "name": "ann", "password": SECRET})["id"])
            client.ask({**login(user_id), "password": "wrong"})
            client.ask(login(user_id, 2))
        return user_id

    def test_json(self) -> None:
        with self.served(ANY_PORT, "--log-format=json") as process:
            user_id = self.talk()
            eventually(lambda: "logged out" in self.output())
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)
        lines = [json.loads(line) for line in self.output().splitlines()]
        refused = next(line for line in lines if line.get("errno") == 1)
        self.assertRegex(refused["address"], r"^127\.0\.0\.1:\d+$")
        self.assertNotIn("user", refused)
        here = next(line for line in lines if "logged in" in line["text"])
        self.assertEqual((here["user"], here["address"]), (user_id, refused["address"]))
        gone = next(line for line in lines if "logged out" in line["text"])
        self.assertGreaterEqual(gone["duration"], here["duration"])
        self.assertIn("stopped", [line["text"] for line in lines])

    def test_json_in_a_file_that_is_rotated(self) -> None:
        log = self.folder / "chat.log"
        pidfile = self.folder / "pid"
        ended = self.run_to_its_end(
            "--pidfile=pid", "--logfile=chat.log", "chat", ANY_PORT, "--log-format=json"
        )
        self.assertEqual(ended.status, 0, ended.stderr)
        self.addCleanup(self.kill_daemon)
        eventually(lambda: log.exists() and "listening on" in log.read_text())
        self.signal_daemon(signal.SIGUSR1)
        eventually((self.folder / "chat.log.1").exists)
        self.signal_daemon(signal.SIGTERM)
        eventually(lambda: not pidfile.exists())
        for path in (log, self.folder / "chat.log.1"):
            self.assertTrue([json.loads(line) for line in path.read_text().splitlines()])
        self.assertIn("stopped", log.read_text())

    def signal_daemon(self, number: signal.Signals) -> None:
        """To the one started here."""
        os.kill(int((self.folder / "pid").read_text()), number)

    def kill_daemon(self) -> None:
        """If the test failed before its end."""
        if (self.folder / "pid").exists():
            self.signal_daemon(signal.SIGKILL)

    def test_text(self) -> None:
        with self.served(ANY_PORT):
            user_id = self.talk()
            eventually(lambda: "logged out" in self.output())
        self.assertRegex(self.output(), rf"127\.0\.0\.1:\d+ user {user_id}: logged in, level 2")
