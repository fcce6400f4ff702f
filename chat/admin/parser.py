"""The words of ``chat-admin``, and its manual."""

from __future__ import annotations

import argparse
import os
from typing import Any

ABOUT = """\
Look after a chat server: its database, and the server itself where it runs. Works beside a running
server; what needs one says so.

  chat-admin --database sqlite:/srv/chat/chat.sqlite users list
  echo 'correct horse' | chat-admin users add ann
  chat-admin --json waiting users --limit 10

USER is an id or a name (name:7 for the name 7). Passwords are never on a command line: they are
typed, or are the first line of standard input, or --generate makes one. A database's URL with a
password belongs into the environment: CHAT_DATABASE; CHAT_STATUS and CHAT_STATUS_SECRET are read
as well.
"""

EPILOG = "Exit status: 0 done, 1 it could not be done (a line says why), 2 the line is wrong."


def parser() -> argparse.ArgumentParser:
    """The whole command line; ``command`` is the name in ``COMMANDS``."""
    top = argparse.ArgumentParser(
        "chat-admin", description=ABOUT, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    environ = os.environ.get
    top.add_argument(
        "--database", metavar="URL", default=environ("CHAT_DATABASE") or "sqlite:chat.sqlite",
        help="as --database of twistd chat (CHAT_DATABASE, or sqlite:chat.sqlite)",
    )  # fmt: skip
    top.add_argument(
        "--status", metavar="ENDPOINT",
        default=environ("CHAT_STATUS") or "tcp:9090:interface=127.0.0.1",
        help="as --status of twistd chat (CHAT_STATUS, or tcp:9090:interface=127.0.0.1)",
    )  # fmt: skip
    top.add_argument(
        "--status-secret", metavar="PATH", default=environ("CHAT_STATUS_SECRET") or "auto",
        help="as --status-secret of twistd chat (beside the SQLite file)",
    )  # fmt: skip
    top.add_argument("--json", action="store_true", help="answers for programs")
    top.set_defaults(may_be_new=False, yes=False, generate=False)
    words = top.add_subparsers(metavar="COMMAND", required=True)
    _users(words)
    _stock(words)
    _server(words)
    _copies(words)
    return top


def _group(words: Any, name: str, text: str) -> Any:
    one = words.add_parser(name, help=text, description=text)
    return one.add_subparsers(metavar="ACTION", required=True)


def _command(words: Any, name: str, text: str, group: str = "") -> Any:
    one = words.add_parser(name, help=text, description=text)
    one.set_defaults(command=f"{group} {name}".strip())
    return one


def _pages(one: Any) -> None:
    one.add_argument("--after", type=int, default=0, metavar="ID", help="those with higher ids")
    one.add_argument("--limit", type=_count, default=100, metavar="NUMBER", help="100 by default")


def _user(one: Any) -> None:
    one.add_argument("user", metavar="USER", help="an id or a name")


def _generate(one: Any) -> None:
    one.add_argument("--generate", action="store_true", help="make a password and show it")


def _yes(one: Any) -> None:
    one.add_argument("--yes", action="store_true", help="do not ask")


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _days(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 36_500:
        raise argparse.ArgumentTypeError("must be 0 to 36500")
    return number


def _users(words: Any) -> None:
    users = _group(words, "users", "users and their accounts")
    one = _command(users, "list", "by id", "users")
    _pages(one)
    one.add_argument("--disabled", action="store_true", help="only those who cannot log in")
    _user(_command(users, "find", "one of them", "users"))
    one = _command(users, "add", "a new user, whatever --registration says", "users")
    one.add_argument("name", metavar="NAME")
    _generate(one)
    text = "another password; all tokens are gone, and the user is disconnected"
    one = _command(users, "set-password", text, "users")
    _user(one)
    _generate(one)
    text = "the user cannot log in any more, and is disconnected"
    _user(_command(users, "disable", text, "users"))
    _user(_command(users, "enable", "the user may log in again", "users"))
    text = "the user is gone for good; what others wrote and heard stays theirs"
    one = _command(users, "delete", text, "users")
    _user(one)
    _yes(one)


def _stock(words: Any) -> None:
    invites = _group(words, "invites", "codes for --registration invite")
    one = _command(invites, "create", "a new code, which is shown this once", "invites")
    one.add_argument("--days", type=_days, default=7, metavar="DAYS", help="7 by default")
    one.add_argument("--uses", type=_count, default=1, metavar="NUMBER", help="1 by default")
    _command(invites, "list", "those there are", "invites")
    one = _command(invites, "revoke", "a code is of no use any more", "invites")
    one.add_argument("id", type=int, metavar="ID", help="as the list shows it")
    _pages(_command(_group(words, "groups", "groups"), "list", "by id", "groups"))
    waiting = _group(words, "waiting", "messages that wait for somebody to come back")
    _command(waiting, "count", "how many, for how many, since when", "waiting")
    one = _command(waiting, "users", "for whom most waits", "waiting")
    one.add_argument("--limit", type=_count, default=20, metavar="NUMBER", help="20 by default")
    text = "delete what has waited for too long; nobody is told"
    one = _command(waiting, "purge", text, "waiting")
    one.add_argument("--older-than", type=_days, required=True, metavar="DAYS")
    one.add_argument("--user", metavar="USER", help="for this one only")
    _yes(one)
    schema = _group(words, "schema", "the tables' version")
    _command(schema, "show", "what the database has, and what is wanted", "schema")
    one = _command(schema, "upgrade", "bring the tables up to date, as a start does", "schema")
    one.set_defaults(may_be_new=True)
    _command(schema, "check", "the version, and whether tables are broken", "schema")


def _server(words: Any) -> None:
    online = _group(words, "online", "who is online (asks the running server)")
    text = "by id; with several servers as the database has it, and on which node"
    _command(online, "list", text, "online")
    nodes = _group(words, "nodes", "the servers that are joined by a bus")
    text = "with the users on each, and the seconds that its lease has left"
    _command(nodes, "list", text, "nodes")
    text = "close a user's connection, wherever it is (asks a running server)"
    _user(_command(words, "disconnect", text))
    text = "tell everybody online, on all nodes, level 2 clients that is (asks a running server)"
    one = _command(words, "notice", text)
    one.add_argument("text", metavar="TEXT")


def _copies(words: Any) -> None:
    one = _command(words, "backup", "copy a SQLite database, beside a server that runs")
    one.add_argument("file", metavar="FILE", help="a new one")
    one = _command(words, "restore", "put a backup in the place of the database; no server may run")
    one.add_argument("file", metavar="FILE")
    _yes(one)
    one.set_defaults(may_be_new=True)
    one = _command(words, "export", "everything about one user, as JSON lines")
    _user(one)
    one.add_argument("--output", metavar="FILE", help="a new file, instead of standard output")
