"""What is typed, understood: the commands of the original, and ours.

Pure; who the names are is found out later.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from ...messages import MAX_ID


class Names(Enum):
    """What a command's first argument names, for completion."""

    NOTHING = 0
    ANYONE = 1
    """A user or a group."""
    USER = 2
    FRIEND = 3
    ASKER = 4
    """Somebody who asked to be friends."""
    GROUP = 5
    MEMBER = 6
    """A member of the group one is in."""


class Arity(Enum):
    """How many arguments a command takes."""

    NONE = 0
    MAYBE = 1
    """One, which may be left out; the whole rest of the line, spaces and all."""
    ONE = 2
    """The whole rest of the line."""
    AND_TEXT = 3
    """One, in quotes if it has spaces, and text, which may be left out."""


@dataclass(frozen=True)
class Command:
    """One command with ``/``."""

    name: str
    arity: Arity
    names: Names
    usage: str
    what: str
    """What it does, for ``/help``."""


COMMANDS = {
    command.name: command
    for command in (
        Command("to", Arity.ONE, Names.ANYONE, "NAME", "talk to a user, or in a group (#GROUP)"),
        Command("close", Arity.NONE, Names.NOTHING, "", "leave the conversation"),
        Command("history", Arity.MAYBE, Names.NOTHING, "[N]", "what was said here, N lines more"),
        Command("talks", Arity.NONE, Names.NOTHING, "", "with whom you talked last"),
        Command("friends", Arity.NONE, Names.NOTHING, "", "your friends, and who is online"),
        Command("find", Arity.ONE, Names.USER, "NAME", "whether there is such a user"),
        Command("add", Arity.AND_TEXT, Names.USER, "NAME [NOTE]", "ask somebody to be friends"),
        Command("requests", Arity.NONE, Names.NOTHING, "", "who asks to be your friend"),
        Command("accept", Arity.ONE, Names.ASKER, "NAME", "accept such a request"),
        Command("decline", Arity.ONE, Names.ASKER, "NAME", "decline it"),
        Command("unfriend", Arity.ONE, Names.FRIEND, "NAME", "end a friendship"),
        Command("block", Arity.ONE, Names.USER, "NAME", "get nothing more from somebody"),
        Command("unblock", Arity.ONE, Names.USER, "NAME", "take that back"),
        Command("blocked", Arity.NONE, Names.NOTHING, "", "whom you block"),
        Command("groups", Arity.NONE, Names.NOTHING, "", "the groups you are in"),
        Command("create", Arity.AND_TEXT, Names.NOTHING, "NAME [ABOUT]", "make a group"),
        Command("join", Arity.ONE, Names.NOTHING, "ID", "join a group"),
        Command("members", Arity.MAYBE, Names.GROUP, "[GROUP]", "who is in a group"),
        Command("leave", Arity.MAYBE, Names.GROUP, "[GROUP]", "leave a group"),
        Command("remove", Arity.ONE, Names.MEMBER, "NAME", "put somebody out of this group"),
        Command("handover", Arity.ONE, Names.MEMBER, "NAME", "make somebody this group's creator"),
        Command("who", Arity.NONE, Names.NOTHING, "", "who you are, and how it stands"),
        Command("password", Arity.NONE, Names.NOTHING, "", "change your password"),
        Command("help", Arity.NONE, Names.NOTHING, "", "this list"),
        Command("logout", Arity.NONE, Names.NOTHING, "", "log out, and in again as somebody else"),
        Command("quit", Arity.NONE, Names.NOTHING, "", "leave (Ctrl-D)"),
    )
}

ORIGINAL = (
    ("help", "this list"),
    ("chat:friendid:message", "one-to-one chat"),
    ("addfriend:friendid", "add a friend, at once"),
    ("creategroup:groupname:groupdesc", "make a group"),
    ("addgroup:groupid", "join a group"),
    ("groupchat:groupid:message", "group chat"),
    ("loginout", "log out"),
)
"""The original's commands, as its ``help`` lists them."""

_WITH_ID = re.compile(
    r"(chat|groupchat):([0-9]{1,19}):(.+)|(addfriend|addgroup):([0-9]{1,19})", re.DOTALL
)
_CREATE = re.compile(r"creategroup:([^:]+):(.*)", re.DOTALL)


@dataclass(frozen=True)
class Say:
    """Text for the conversation one is in."""

    text: str


@dataclass(frozen=True)
class SayTo:
    """Text for a user's or a group's id, in the original's way."""

    target: int
    group: bool
    text: str


@dataclass(frozen=True)
class Do:
    """A command: its name, and its arguments (empty where there is none)."""

    name: str
    argument: str = ""
    text: str = ""


@dataclass(frozen=True)
class Wrong:
    """What is not understood, and what to tell."""

    why: str


Order = Say | SayTo | Do | Wrong


def understand(line: str, talking: bool) -> Order | None:
    """What a typed line asks for; None: nothing.

    The original's bare words count while one is in no conversation; in one, they are said.  A line
    that begins with ``//`` is said, without the first ``/``.

    :param talking: whether one is in a conversation.
    """
    typed = line.strip()
    if not typed:
        return None
    if typed.startswith("//"):
        return Say(typed[1:])
    if typed.startswith("/"):
        return _command(typed[1:])
    original = _original(typed)
    if original is not None:
        return original
    if talking:
        return Say(line.rstrip("\n"))
    if typed == "help":
        return Do("help")
    if typed == "loginout":
        return Do("logout")
    return Wrong("Choose whom to talk to first: /to NAME. /help lists all commands.")


def _original(typed: str) -> Order | None:
    found = _WITH_ID.fullmatch(typed)
    if found is not None:
        target = int(found[2] or found[5])
        if not 1 <= target <= MAX_ID:
            return Wrong(f"{target} is no id.")
        if found[1]:
            return SayTo(target, found[1] == "groupchat", found[3])
        return Do(found[4], str(target))
    found = _CREATE.fullmatch(typed)
    return Do("create", found[1], found[2]) if found else None


def _command(typed: str) -> Order:
    word, _, rest = typed.partition(" ")
    command = COMMANDS.get(word)
    rest = rest.strip()
    if command is None:
        return Wrong(f"There is no /{word}; /help lists all commands.")
    if (rest and command.arity is Arity.NONE) or (
        not rest and command.arity in (Arity.ONE, Arity.AND_TEXT)
    ):
        return Wrong(f"Usage: /{command.name} {command.usage}".rstrip())
    if command.arity is Arity.AND_TEXT:
        return Do(command.name, *_first_word(rest))
    return Do(command.name, _unquoted(rest))


def _first_word(rest: str) -> tuple[str, str]:
    """The first argument, which may be in quotes, and the rest."""
    if rest[0] in "\"'":
        end = rest.find(rest[0], 1)
        if end > 1:
            return rest[1:end], rest[end + 1 :].strip()
    word, _, text = rest.partition(" ")
    return word, text.strip()


def _unquoted(rest: str) -> str:
    if rest[:1] in ("'", '"') and rest[-1:] == rest[:1] and len(rest) > 2:
        return rest[1:-1]
    return rest


def quoted(name: str) -> str:
    """A name as it is written where text may follow."""
    if " " not in name and name[:1] not in ("'", '"'):
        return name
    return f"'{name}'" if '"' in name else f'"{name}"'
