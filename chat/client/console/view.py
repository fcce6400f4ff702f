"""Lines as they stand on the screen: fragments of styled text, made of what others wrote."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from prompt_toolkit.utils import get_cwidth

from ..results import AnyMessage, Friend, Group
from . import text
from .orders import COMMANDS, ORIGINAL

Fragment = tuple[str, str]
Line = list[Fragment]

STYLES = {
    "time": "ansibrightblack",
    "name": "bold ansicyan",
    "me": "bold ansigreen",
    "place": "bold ansimagenta",
    "mark": "ansibrightblack",
    "note": "ansibrightblack",
    "notice": "bold ansiyellow",
    "error": "ansired",
    "head": "bold",
    "bottom-toolbar": "noreverse bg:#303030 #d0d0d0",
    "bottom-toolbar.online": "bg:#303030 #87d787",
    "bottom-toolbar.offline": "bg:#303030 bold #ff8787",
    "bottom-toolbar.unread": "bg:#303030 bold #ffd75f",
}

MARKS = {
    "sending": "… sending",
    "pushed": "→ sent",
    "stored": "✓ stored",
    "delivered": "✓✓ delivered",
}
"""What is known of a message of one's own."""

PLAIN_MARKS = {state: f"({state})" for state in MARKS}
"""The same where the terminal has no such characters."""


def message(
    name: str, body: str, time: str, today: datetime, *, me: bool = False, mark: str = ""
) -> Line:
    """A message in the conversation one is in; its lines stand below each other."""
    first, *more = text.lines(body)
    head = text.plain(name)
    when = text.clock(time, today)
    line: Line = [
        ("class:time", f"{when} "),
        ("class:me" if me else "class:name", head),
        ("", f": {first}"),
    ]
    margin = " " * (len(when) + get_cwidth(head) + 3)
    line += [("", f"\n{margin}{each}") for each in more]
    if mark:
        line.append(("class:mark", f"  {mark}"))
    return line


def elsewhere(title: str, said: AnyMessage, group: bool, width: int) -> Line:
    """A line that tells of a message in another conversation."""
    where = text.plain(title)
    who = f"{text.plain(said.name)}: " if group else ""
    room = max(10, width - len(where) - len(who) - 4)
    return [
        ("class:place", f"[{where}] "),
        ("class:note", f"{who}{text.shortened(said.msg, room)}"),
    ]


def lobby(title: str, said: AnyMessage, group: bool, today: datetime) -> Line:
    """A whole message, while one is in no conversation."""
    line = message(said.name, said.msg, said.time, today)
    if group:
        line.insert(1, ("class:place", f"[{text.plain(title)}] "))
    return line


def note(words: str) -> Line:
    """Something by the way."""
    return [("class:note", words)]


def error(words: str) -> Line:
    """Something that did not work."""
    return [("class:error", words)]


def notice(words: str) -> Line:
    """Something that one should not miss."""
    return [("class:notice", words)]


def head(words: str) -> Line:
    """The head of a list."""
    return [("class:head", words)]


def table(rows: Sequence[tuple[str, ...]]) -> list[Line]:
    """Rows in columns, two spaces between them."""
    widths = [max(map(get_cwidth, column)) for column in zip(*rows, strict=True)]

    def padded(row: tuple[str, ...]) -> str:
        cells = zip(row, widths, strict=True)
        return "  ".join(cell + " " * (width - get_cwidth(cell)) for cell, width in cells)

    return [[("", f"  {padded(row)}".rstrip())] for row in rows]


def asks(name: str, note_: str) -> list[Line]:
    """Somebody asks to be friends."""
    who = text.plain(name)
    said = f": {text.shortened(note_, 200)}" if note_ else ""
    return [
        notice(f"{who} asks to be your friend{said}"),
        note(f"/accept {who} or /decline {who}"),
    ]


def help_lines() -> list[Line]:
    """All commands."""
    ours = [(f"/{it.name} {it.usage}".rstrip(), it.what) for it in COMMANDS.values()]
    return [
        head(
            "In a conversation (/to NAME), what you type is said. // says a text that begins with /"
        ),
        *table(ours),
        head("And as in the original, with ids:"),
        *table(ORIGINAL),
    ]


def friends(listed: list[Friend]) -> list[Line]:
    """Friends, those online first."""
    order = sorted(listed, key=lambda it: (it.state != "online", it.name.casefold()))
    return table([(text.plain(it.name), f"id {it.id}", text.plain(it.state)) for it in order])


def groups(listed: list[Group]) -> list[Line]:
    """Groups, by name."""
    order = sorted(listed, key=lambda it: it.groupname.casefold())
    return table(
        [
            (
                f"#{text.plain(it.groupname)}",
                f"id {it.id}",
                f"{it.members} members",
                text.shortened(it.groupdesc, 60),
            )
            for it in order
        ]
    )
