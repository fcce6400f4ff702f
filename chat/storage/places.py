"""Where a database is: the URL of ``--database``, taken apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from ..errors import BadStart

FORMS = "sqlite:PATH, mysql://user:password@host:port/name or memory:"


@dataclass(frozen=True)
class Memory:
    """Nowhere: it is gone with the process."""

    def __str__(self) -> str:
        return "memory:"


@dataclass(frozen=True)
class SqlitePlace:
    """A file; the path is absolute, as a daemon changes its directory."""

    path: Path

    def __str__(self) -> str:
        return f"sqlite:{self.path}"


@dataclass(frozen=True)
class MysqlPlace:
    """A database of a MySQL or MariaDB server."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    name: str
    unix_socket: str | None = None

    def __str__(self) -> str:
        where = self.unix_socket or f"{self.host}:{self.port}"
        return f"mysql://{self.user}@{where}/{self.name}"


Place = Memory | SqlitePlace | MysqlPlace


def parse(url: str) -> Place:
    """Take a URL apart.

    :raises BadStart: it is none; the text never quotes the URL, which may hold a password.
    """
    kind, colon, rest = url.partition(":")
    if colon and kind == "memory" and not rest:
        return Memory()
    if colon and kind == "sqlite":
        if not rest or "\0" in rest:
            raise BadStart("--database: sqlite: wants a path, as in sqlite:chat.sqlite")
        return SqlitePlace(Path(rest).absolute())
    if colon and kind == "mysql":
        try:
            return _mysql(urlsplit(url))
        except ValueError:
            raise BadStart(
                "--database: not a MySQL URL; it looks like mysql://user:password@host:port/name"
                " (%40 for an @ in the password, and so on)"
            ) from None
    raise BadStart(f"--database: unknown kind of database; there are {FORMS}")


def _mysql(url: SplitResult) -> MysqlPlace:
    options = dict(parse_qsl(url.query, strict_parsing=True)) if url.query else {}
    name = unquote(url.path.removeprefix("/"))
    if not url.netloc or not url.username or not name or "/" in name or url.fragment:
        raise ValueError
    unix_socket = options.pop("unix_socket", None)
    if options:
        raise BadStart("--database: the one option of a MySQL URL is unix_socket=PATH")
    return MysqlPlace(
        host=url.hostname or "127.0.0.1",
        port=3306 if url.port is None else url.port,
        user=unquote(url.username),
        password=unquote(url.password or ""),
        name=name,
        unix_socket=unix_socket,
    )
