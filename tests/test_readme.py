"""The README is true: its dialogue, and the commands it names."""

from __future__ import annotations

import re
import socket
from contextlib import ExitStack, closing
from pathlib import Path

import chat
from chat.options import SETTINGS
from tests.test_plugin import ANY_PORT, PATIENCE, PluginTestCase

ROOT = Path(chat.__file__).parent.parent
README = (ROOT / "README.md").read_text()
TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


class ReadmeTests(PluginTestCase):
    def test_dialogue(self) -> None:
        turns = re.findall(r"^(\w+)([$><]) ?(.*)$", README, re.MULTILINE)
        self.assertGreater(len(turns), 10)
        with self.served(ANY_PORT, "--database=memory:"), ExitStack() as ending:
            address = ("127.0.0.1", self.port())
            people: dict[str, socket.socket] = {}
            for who, what, line in turns:
                if what == "$":
                    self.assertEqual(line, "nc 127.0.0.1 6000")
                    connection = socket.create_connection(address, PATIENCE)
                    people[who] = ending.enter_context(closing(connection))
                elif what == ">":
                    people[who].sendall(f"{line}\n".encode())
                else:
                    said = self.line(people[who])
                    self.assertEqual(TIME.sub("TIME", said), TIME.sub("TIME", line))

    def line(self, connection: socket.socket) -> str:
        """The next line, and not a byte more."""
        line = b""
        while not line.endswith(b"\n"):
            piece = connection.recv(1)
            self.assertNotEqual(piece, b"", f"closed after {line!r}")
            line += piece
        return line.decode().rstrip("\n")

    def test_commands(self) -> None:
        targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
            self.assertIn(target, targets)
        options = {setting.option for setting in SETTINGS.values()}
        others = "nodaemon logfile help server user to reactor"  # of twistd, and of the console
        for option in re.findall(r"--([a-z-]+)", README):
            self.assertIn(option, options | set(others.split()))
        for variable in re.findall(r"CHAT_[A-Z_]+", README):
            known = {setting.variable for setting in SETTINGS.values()} | {"CHAT_PASSWORD"}
            self.assertIn(variable, known)

    def test_links(self) -> None:
        for target in re.findall(r"\]\((?!http)([^)]+)\)", README):
            self.assertTrue((ROOT / target).exists(), target)
