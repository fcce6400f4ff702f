"""What nobody is to read: in the log, the list of processes, an answer, or a file of another's."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path
from typing import Any

from tests import mariadb

from .test_plugin import ANY_PORT, PluginTestCase, eventually

PASSWORD, OTHER, MISTYPED = "correct horse 1", "battery staple 2", "correct hrose 3"
TEXT = "meet me at the usual place"


class SecretsTests(PluginTestCase):
    """A real process in which things go right and wrong."""

    def live(self, port: int) -> tuple[list[str], str]:
        """Do what people do; the tokens, and all that was answered to who gave none."""
        ((answer,), said) = self.say(port, {"msgid": 3, "name": "ann", "password": PASSWORD})
        user_id = answer["id"]
        login = {"msgid": 1, "id": user_id, "proto": 2}
        tokens: list[str] = []
        answers, _ = self.say(
            port,
            {**login, "password": PASSWORD},
            {"msgid": 35},
            {"msgid": 5, "toid": user_id + 1, "msg": TEXT, "cid": "a"},
            {"msgid": 34, "password": MISTYPED, "newpassword": OTHER},
            {"msgid": 34, "password": PASSWORD, "newpassword": OTHER},
        )
        tokens += [answers[0]["token"], answers[-1]["token"]]
        mistakes: list[Any] = [
            {**login, "password": MISTYPED},
            {**login, "password": PASSWORD},
            {**login, "token": tokens[0]},
            {**login, "token": tokens[1], "proto": "2"},
            {**login, "password": {"is": OTHER}},
            {**login, "password": OTHER, "takeover": TEXT},
            {"msgid": 3, "name": "ann", "password": OTHER},
            {"msgid": 3, "name": 5, "password": OTHER},
            {"msgid": 34, "password": OTHER, "newpassword": PASSWORD},
            {"msgid": 37, "password": OTHER},
            {"msgid": PASSWORD},
            {"msgid": 99, "password": PASSWORD},
            f"{PASSWORD} {tokens[1]} {TEXT}",
            [OTHER],
        ]
        _, more = self.say(port, *mistakes)
        answers, _ = self.say(port, {**login, "token": tokens[1]}, {"msgid": 37, "password": OTHER})
        self.assertEqual([it["errno"] for it in answers], [0, 0])
        return tokens, said + more

    def say(self, port: int, *requests: Any) -> tuple[list[Any], str]:
        """Send requests; the answers, and the same as one text."""
        answers: list[Any] = self.converse(port, *requests)
        return answers, repr(answers)

    def assert_nothing_of(self, secrets: list[str], text: str) -> None:
        """None of them is in the text, and neither are hashes."""
        for secret in secrets:
            digest = hashlib.sha256(secret.encode()).hexdigest()
            for form in (secret, digest, digest[:16]):
                self.assertNotIn(form, text)
        self.assertNotIn("argon2", text)
        self.assertNotIn("Traceback", text)

    def processes(self, pid: int) -> str:
        """What ``ps`` shows of this process and its threads."""
        folder = Path(f"/proc/{pid}")
        named = [*folder.glob("task/*/comm"), folder / "cmdline", folder / "status"]
        return "\n".join(path.read_bytes().replace(b"\0", b" ").decode() for path in named)

    def test_on_sqlite(self) -> None:
        with self.served(ANY_PORT, CHAT_DATABASE="sqlite:chat.sqlite") as process:
            tokens, answers = self.live(self.port())
            shown = self.processes(process.pid)
            files = sorted(self.folder.glob("chat.sqlite*"))
            self.assertIn(self.folder / "chat.sqlite-wal", files)
            for path in files:
                self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600, path)
            process.terminate()
            process.wait()
        secrets = [PASSWORD, OTHER, MISTYPED, TEXT, *tokens]
        self.assertIn("logged in", self.output())
        for text in (self.output(), shown, answers):
            self.assert_nothing_of(secrets, text)

    def test_on_mariadb(self) -> None:
        server = mariadb.shared()
        with self.served(ANY_PORT, CHAT_DATABASE=server.fresh()) as process:
            tokens, answers = self.live(self.port())
            shown = self.processes(process.pid)
            process.terminate()
            process.wait()
        for text in (self.output(), shown, answers):
            self.assert_nothing_of([PASSWORD, OTHER, MISTYPED, TEXT, mariadb.PASSWORD], text)
            self.assert_nothing_of(tokens, text)
            self.assertNotIn("p%40ss", text)

    def test_the_database_holds_no_secret_in_the_clear(self) -> None:
        with self.served(ANY_PORT, CHAT_DATABASE="sqlite:chat.sqlite") as process:
            port = self.port()
            ((answer,), _) = self.say(port, {"msgid": 3, "name": "ann", "password": PASSWORD})
            login = {"msgid": 1, "id": answer["id"], "proto": 2, "password": PASSWORD}
            ((answer,), _) = self.say(port, login)
            process.terminate()
            eventually(lambda: process.poll() is not None)
        for path in self.folder.glob("chat.sqlite*"):
            data = path.read_bytes()
            for secret in (PASSWORD, answer["token"]):
                self.assertNotIn(secret.encode(), data)
