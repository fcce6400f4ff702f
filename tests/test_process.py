"""The server as a process: it is asked to end, or killed, while people talk."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from tests.support import login, received, say
from tests.test_plugin import ANY_PORT, PATIENCE, PluginTestCase

SECRET = "correct horse"
OPTIONS = (ANY_PORT, "--web=none", "--no-limits")


class Talker:
    """A client that blocks."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._lines = self._socket.makefile("rb")

    def send(self, *messages: dict[str, Any]) -> None:
        """All in one packet."""
        self._socket.sendall("".join(f"{json.dumps(it)}\n" for it in messages).encode())

    def get(self) -> dict[str, Any]:
        """The next message."""
        message: dict[str, Any] = json.loads(self._lines.readline())
        return message

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send one, get one."""
        self.send(message)
        return self.get()

    def rest(self) -> list[dict[str, Any]]:
        """Everything until the server closes."""
        return [json.loads(line) for line in self._lines]

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


class ProcessTests(PluginTestCase):
    @contextmanager
    def talkers(self, port: int, *user_ids: int) -> Iterator[list[Talker]]:
        """Level 2 clients, logged in."""
        clients = [Talker(port) for _ in user_ids]
        try:
            for client, user_id in zip(clients, user_ids, strict=True):
                ack = client.ask(login(user_id, 2))
                self.assertEqual(ack["errno"], 0)
            yield clients
        finally:
            for client in clients:
                client.close()

    def register(self, port: int, *names: str) -> list[int]:
        """Make accounts."""
        with closing(Talker(port)) as client:
            asked = [{"msgid": 3, "name": name, "password": SECRET} for name in names]
            return [int(client.ask(it)["id"]) for it in asked]

    def signalled(self, process: subprocess.Popen[bytes], sign: signal.Signals) -> int:
        """Send a signal, and wait for the end."""
        process.send_signal(sign)
        return process.wait(PATIENCE)

    def test_sigterm_with_messages_in_flight(self) -> None:
        cids = [f"c{number}" for number in range(400)]
        with self.served(*OPTIONS) as process:
            ann, bob, carl = self.register(self.port(), "ann", "bob", "carl")
            with self.talkers(self.port(), ann, bob) as (sender, recipient):
                for cid in cids:
                    sender.send(say(bob, cid, cid=f"b{cid}"), say(carl, cid, cid=f"c{cid}"))
                self.assertEqual(recipient.get()["cid"], f"b{cids[0]}")
                self.assertEqual(self.signalled(process, signal.SIGTERM), -signal.SIGTERM)
                answers = [it for it in sender.rest() if it["msgid"] == 11]
        self.assertEqual({it["errno"] for it in answers}, {0})
        self.assertEqual({it["state"] for it in answers}, {"stored"})
        stored = {it["cid"] for it in answers}
        with self.served(*OPTIONS), self.talkers(self.port(), bob, carl) as clients:
            for client, prefix in zip(clients, "bc", strict=True):
                expected = [cid for cid in cids if f"{prefix}{cid}" in stored]
                self.assertGreater(len(expected), 0)
                self.assertEqual(expected, cids[: len(expected)])
                for number, cid in enumerate(expected, 1):
                    pushed = client.get()
                    self.assertEqual((pushed["seq"], pushed["msg"]), (number, cid))
                    client.send(received(number))

    def test_killed_while_people_talk(self) -> None:
        """What was answered is there, and nobody is online for ever."""
        with self.served(*OPTIONS) as process:
            ann, bob, carl = self.register(self.port(), "ann", "bob", "carl")
            with self.talkers(self.port(), ann, bob) as (sender, _):
                sender.send(*(say(carl, "hi", cid=f"c{number}") for number in range(100)))
                answered = [sender.get() for _ in range(50)]
                self.assertLess(self.signalled(process, signal.SIGKILL), 0)
        self.assertEqual({it["state"] for it in answered}, {"stored"})
        with self.served(*OPTIONS):
            port = self.port()
            with closing(sqlite3.connect(self.folder / "chat.sqlite")) as database:
                states = {row[0] for row in database.execute("SELECT state FROM user")}
            self.assertEqual(states, {"offline"})
            with self.talkers(port, ann, bob, carl) as (_, _, recipient):
                cids = [recipient.get()["cid"] for _ in answered]
                self.assertEqual(cids, [it["cid"] for it in answered])

    def test_password_is_nowhere(self) -> None:
        """Neither in the database, which has argon2id with its full cost, nor in the log."""
        with self.served(*OPTIONS) as process:
            ann, _ = self.register(self.port(), "ann", "bob")
            with self.talkers(self.port(), ann):
                pass
            self.assertEqual(self.signalled(process, signal.SIGTERM), -signal.SIGTERM)
        for path in self.folder.iterdir():
            self.assertNotIn(SECRET.encode(), path.read_bytes(), path.name)
        with closing(sqlite3.connect(self.folder / "chat.sqlite")) as database:
            kept = [row[0] for row in database.execute("SELECT password FROM user")]
        self.assertEqual(len(set(kept)), 2)
        for encoded in kept:
            self.assertTrue(encoded.startswith("$argon2id$v=19$m=19456,t=2,p=1$"), encoded)
