"""``chat-import``: the command line."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import msgspec
from argon2 import PasswordHasher

from ..errors import BadStart
from ..passwords import MEMORY_KIB, PASSES
from ..progress import Meter
from ..storage import dialect_of
from .moving import Move, Table
from .source import Source, SourceLost
from .target import Target

ABOUT = """\
Import the database of the original C++ chat server: users (their passwords are hashed on the way),
friends, groups and the messages that wait. Ids stay what they were. Nothing in the source is
changed, and the import may be repeated: what is there already is left alone. Run it while neither
server runs, before the first start of ours.

  chat-import mysql://root@127.0.0.1:3306/chat --into sqlite:/srv/chat/chat.sqlite

A URL with a password belongs in the environment: CHAT_IMPORT_FROM and CHAT_DATABASE.
Exit status: 0 done, 1 it broke off (repeat it), 2 the command line is wrong.
"""


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "chat-import", description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    source = os.environ.get("CHAT_IMPORT_FROM")
    parser.add_argument(
        "source", nargs="?" if source else None, default=source, metavar="URL",
        help="the original's database: mysql://user:password@host:port/name",
    )  # fmt: skip
    parser.add_argument(
        "--into", default=os.environ.get("CHAT_DATABASE", "sqlite:chat.sqlite"), metavar="URL",
        help="ours, as --database of twistd chat (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    return parser.parse_args(arguments)


def report(tables: Sequence[Table]) -> str:
    """What became of each table, for people."""
    lines = [f"{'table':<16}{'read':>10}{'imported':>10}{'there':>10}{'left out':>10}"]
    for table in tables:
        if table.missing:
            lines.append(f"{table.name:<16}   the source has no such table")
            continue
        counts = (table.read, table.imported, table.there, table.left_out)
        lines.append(f"{table.name:<16}" + "".join(f"{count:>10}" for count in counts))
    for table in tables:
        lines += [f"  {note}" for note in table.notes]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    options = _arguments(arguments)
    hasher = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=1)
    move = None
    try:
        source = Source(options.source)
        target = Target(dialect_of(options.into))
        threads = len(os.sched_getaffinity(0))
        move = Move(source, target, hasher.hash, threads, Meter().show)
        move.all()
    except (BadStart, SourceLost) as error:
        print(f"chat-import: {error}", file=sys.stderr)
        if move is not None:
            print(report(move.tables), file=sys.stderr)
        return 1
    if options.json:
        print(msgspec.json.encode(move.tables).decode())
    else:
        print(report(move.tables))
    return 0


if __name__ == "__main__":
    sys.exit(main())
