"""Where the server is, and where the console keeps its files."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from twisted.internet.endpoints import quoteStringArgument

DEFAULT_SERVER = "127.0.0.1:6000"
DEFAULT_PORT = 6000
_DESCRIPTION = re.compile(r"(tcp|tls|ssl|unix):.*[^0-9:].*|(tcp|tls|unix):.*:.*")
_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^\[\]:]+))(?::([0-9]{1,5}))?")


def endpoint(server: str, tls: bool = False) -> str:
    """``HOST``, ``HOST:PORT`` or ``[IPV6]:PORT`` as a description of a Twisted endpoint; such a
    description is one already.

    :raises ValueError: it is neither; the text says so.
    """
    if _DESCRIPTION.fullmatch(server):
        return server
    address = _ADDRESS.fullmatch(server)
    port = int(address[3] or DEFAULT_PORT) if address else 0
    if address is None or not 0 < port < 65536:
        raise ValueError(f"{server} is no HOST:PORT")
    host = quoteStringArgument(address[1] or address[2])
    return f"{'tls' if tls else 'tcp'}:{host}:{port}"


def config_folder(environ: Mapping[str, str]) -> Path:
    """Where what is known of servers and users is kept."""
    return Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "chat"


def state_folder(environ: Mapping[str, str]) -> Path:
    """Where ledgers and the log are kept."""
    return Path(environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "chat"


def ledger_path(environ: Mapping[str, str], server: str, user_id: int) -> Path:
    """One user's ledger for one server; its folder is made."""
    folder = state_folder(environ) / quote(server, safe="")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / f"{user_id}.ledger"


class Known:
    """The names whose ids are known, by server: a login needs the id.

    The file is JSON, for people to read and mend: ``{"servers": {SERVER: {NAME: ID}}, "last":
    {"server": SERVER, "user": NAME}}``.  One that cannot be read counts as empty.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.path = config_folder(environ) / "known.json"
        try:
            data: Any = json.loads(self.path.read_text())
        except (OSError, ValueError):
            data = {}
        servers = data.get("servers") if isinstance(data, dict) else None
        last = data.get("last") if isinstance(data, dict) else None
        self._servers: dict[str, dict[str, int]] = servers if isinstance(servers, dict) else {}
        self._last: dict[str, str] = last if isinstance(last, dict) else {}

    @property
    def last_server(self) -> str | None:
        """The server that was used last."""
        return self._last.get("server")

    def last_user(self, server: str) -> str | None:
        """Who used this server last, if it was the last one that was used."""
        return self._last.get("user") if self.last_server == server else None

    def id_of(self, server: str, user: str) -> int | None:
        """The id of a user by name or id; None: not known here."""
        if user.isascii() and user.isdigit() and int(user) > 0:
            return int(user)
        found = self._servers.get(server, {}).get(user)
        return found if type(found) is int else None

    def learn(self, server: str, name: str, user_id: int) -> None:
        """Keep a name's id, and that this was used last.  What cannot be written is not kept."""
        known = self._servers.setdefault(server, {})
        last = {"server": server, "user": name}
        if known.get(name) == user_id and self._last == last:
            return
        known[name] = user_id
        self._last = last
        text = json.dumps({"servers": self._servers, "last": last}, ensure_ascii=False, indent=1)
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(
                "w", dir=self.path.parent, encoding="utf-8", delete=False
            ) as file:
                file.write(text + "\n")
            os.replace(file.name, self.path)
        except OSError:
            return
