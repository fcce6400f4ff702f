"""Bring a database's tables up to date from the numbered files of ``db/``.

A file is applied once, in the order of its number, and never changes after its release.  The
table ``schemaversion`` has one row: the last file that was applied whole, and how many statements
of the next one were, as MySQL commits each statement that changes a table by itself.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ..errors import BadStart
from .dialects import Dialect, Raw, Statements

TABLE = "schemaversion"
# Table, column or key exists: MySQL's words for a statement that was done before an interruption.
_DONE_ALREADY = (1050, 1060, 1061)


@cache
def _files(kind: str) -> dict[int, Path]:
    """The schema files of a dialect by their number."""
    here = Path(__file__).resolve()
    # Installed from a wheel they lie in the package, in a working tree beside it.
    for folder in (here.parents[1] / "db" / kind, here.parents[2] / "db" / kind):
        found = {int(path.name[:3]): path for path in folder.glob("[0-9][0-9][0-9]_*.sql")}
        if found:
            return found
    raise BadStart(f"the schema files db/{kind}/*.sql are missing; install the package again")


def newest(dialect: Dialect) -> int:
    """The version that this code works with."""
    return max(_files(dialect.folder))


def statements_of(text: str) -> list[str]:
    """A schema file's statements: each ends with a ``;`` at the end of a line, and a line that
    begins with ``--`` is a comment."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    parts = "\n".join(lines).split(";\n")
    return [part.strip().removesuffix(";") for part in parts if part.strip()]


def version(dialect: Dialect, raw: Raw) -> int:
    """The version of this database; 0 when it is empty.

    :raises BadStart: it is newer than this code, or another program's.
    """
    statements = Statements(dialect, raw)
    have = _state(dialect, statements)
    return 0 if have is None else have[0]


def upgrade(dialect: Dialect, raw: Raw, to: int | None = None) -> int:
    """Apply the files that are not applied yet, up to number ``to``; the version it was before.

    Safe beside other processes that do the same, and after one that died with it.

    :raises BadStart: the database is newer than this code, another program's, or this user may
        not change its tables; nothing was changed then.
    """
    target = newest(dialect) if to is None else to
    statements = Statements(dialect, raw)
    have = _state(dialect, statements)
    if have is not None and have[0] >= target:
        return have[0]
    try:
        with dialect.alone(raw):
            return _upgrade(dialect, statements, target)
    except dialect.error as error:
        raise BadStart(
            f"the schema of {dialect.place} cannot be brought from version"
            f" {have[0] if have else 0} to {target}: {error.args[-1] if error.args else error}"
        ) from None


def _upgrade(dialect: Dialect, statements: Statements, target: int) -> int:
    have = _state(dialect, statements)
    if have is None:
        statements.run(f"CREATE TABLE {TABLE} (version INT NOT NULL, statements INT NOT NULL)")
        statements.change(f"INSERT INTO {TABLE} VALUES (0, 0)")
    before, done = have or (0, 0)
    interrupted = have is not None
    for number, path in sorted(_files(dialect.folder).items()):
        if not before < number <= target:
            continue
        for place, sql in enumerate(statements_of(path.read_text(encoding="utf-8")), 1):
            if number == before + 1 and place <= done:
                continue
            try:
                statements.run(sql)
            except dialect.error as error:
                if not (interrupted and error.args and error.args[0] in _DONE_ALREADY):
                    raise
            interrupted = False
            statements.change(f"UPDATE {TABLE} SET statements = ?", (place,))
        statements.change(f"UPDATE {TABLE} SET version = ?, statements = 0", (number,))
    return before


def _state(dialect: Dialect, statements: Statements) -> tuple[int, int] | None:
    """Version and statements done beyond it; None: the database is empty."""
    try:
        there = dialect.tables(statements)
        row = statements.row(f"SELECT version, statements FROM {TABLE}") if TABLE in there else None
    except dialect.error as error:
        raise BadStart(f"the database {dialect.place} cannot be read: {error}") from None
    if row is None:
        if "user" in there:
            raise BadStart(
                f"the database {dialect.place} has tables of another program; give it an empty one"
            )
        return None
    if row[0] > newest(dialect):
        raise BadStart(
            f"the database {dialect.place} has version {row[0]} of the schema, and this program"
            f" knows {newest(dialect)}: use the newer program"
        )
    return int(row[0]), int(row[1])
