"""docs/client.md says what is so."""

from __future__ import annotations

import inspect
import re

from twisted.trial.unittest import TestCase

import chat.client
from chat.client import Client, ClientError
from chat.client.console.orders import COMMANDS, ORIGINAL

from .live import ROOT


class DocsTests(TestCase):
    def setUp(self) -> None:
        self.text = (ROOT / "docs" / "client.md").read_text()

    def test_the_bot_is_the_bot(self) -> None:
        self.assertIn((ROOT / "examples" / "echo_bot.py").read_text(), self.text)

    def test_the_constructor_is_the_constructor(self) -> None:
        block = re.findall(r"    Client\((.*?)\)\n\n", self.text, re.DOTALL)[0]
        named = re.findall(r"(\w+)(?:=[^,]*)?,?\s*", block.replace("*,", ""))
        self.assertEqual(named, list(inspect.signature(Client).parameters))

    def test_every_request_is_there(self) -> None:
        table = self.text.partition("### Requests")[2].partition("### Errors")[0]
        named = {name for name in re.findall(r"`(\w+)\(", table) if name not in ("register", "ask")}
        for name in named:
            self.assertTrue(callable(getattr(Client, name)), name)
        public = {
            name
            for name, _ in inspect.getmembers(chat.client.requests.Requests, inspect.isfunction)
            if not name.startswith("_")
        }
        self.assertEqual(named, public - {"ask"} | {"watch_presence"})

    def test_every_error_is_there(self) -> None:
        listed = self.text.partition("### Errors")[2].partition("### On asyncio")[0]
        for name in chat.client.__all__:
            thing = getattr(chat.client, name)
            if inspect.isclass(thing) and issubclass(thing, ClientError):
                self.assertIn(name, listed)

    def test_every_command_is_there(self) -> None:
        listed = re.findall(r"/([a-z]+)", self.text.partition("`chat`, in a terminal")[2])
        self.assertLessEqual(set(COMMANDS), set(listed))
        for typed, _ in ORIGINAL:
            self.assertIn(f"`{typed}`", self.text)
