"""The page on the protocol is true: its dialogues are held, in order, against a server."""

from __future__ import annotations

import re
from pathlib import Path

from chat.errors import Code
from chat.messages import MsgId
from tests.cables import Client
from tests.support import InMemory

PAGE = (Path(__file__).parent.parent / "docs" / "protocol.md").read_text()
TURN = re.compile(r"(?P<who>\w+)(?P<what>[$><]) (?P<line>.*)|\((?P<passes>a second passes)\)")
CHANGING = (
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "TIME"),
    (re.compile(r'"cid":"[0-9a-f]{10,}\.[0-9a-f]+"'), '"cid":"GIVEN"'),
    (re.compile(r'"token":"[^"]*"'), '"token":"TOKEN"'),
)


def dialogues() -> list[str]:
    """The lines of all dialogues, one after the other."""
    blocks = re.findall(r"^```\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def steady(line: str) -> str:
    """The same without what is another each time."""
    for pattern, name in CHANGING:
        line = pattern.sub(name, line)
    return line


class DialogueTests(InMemory):
    async def test_dialogues(self) -> None:
        people: dict[str, Client] = {}
        turns = dialogues()
        self.assertGreater(len(turns), 90)
        for number, turn in enumerate(turns, 1):
            match = TURN.fullmatch(turn)
            assert match is not None, f"no turn of a dialogue: {turn}"
            if match["passes"]:
                self.go(1.5)
                continue
            who, what, line = match["who"], match["what"], match["line"]
            if what == "$":
                self.assertEqual(line, "nc 127.0.0.1 6000")
                people[who] = await self.connect()
            elif what == ">":
                people[who].send(line.encode())
                self.time.settle()
            elif line == "(closed)":
                self.assertEqual(await people[who].end(), [])
            else:
                said = (await people[who].line()).decode()
                self.assertEqual(steady(said), steady(line), f"turn {number}")
        for who, client in people.items():
            if not client.closed:
                await client.nothing()
                self.assertEqual(list(client.lines), [], who)


class TableTests(InMemory):
    def rows(self, title: str) -> set[int]:
        """The numbers that begin the rows of a section's tables."""
        section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
        return {int(number) for number in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)}

    def test_every_errno_has_a_row(self) -> None:
        self.assertEqual(self.rows("Errors"), set(Code))

    def test_every_msgid_has_a_row(self) -> None:
        self.assertEqual(self.rows("All messages"), set(MsgId))

    def test_links(self) -> None:
        titles = {title.lower().replace(" ", "-") for title in re.findall(r"^## (.*)$", PAGE, re.M)}
        links = set(re.findall(r"\]\(#([^)]+)\)", PAGE))
        self.assertLessEqual(links, titles)
