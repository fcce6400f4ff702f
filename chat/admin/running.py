"""The server that runs, asked through its status listener."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from ..secret import read_secret

PATIENCE = 10.0
"""Seconds for an answer."""

ANYWHERE = ("", "0.0.0.0", "::")


class NotReached(Exception):
    """The server was not reached, or did not do it; one line that says why."""


class Running:
    """One server.

    :param endpoint: its ``--status``, of the kind ``tcp:``.
    :param secret: the file with its secret; None: there is none.
    """

    def __init__(self, endpoint: str, secret: Path | None) -> None:
        self._endpoint = endpoint
        self._secret = secret

    def ask(self, method: str, what: str, **query: object) -> dict[str, Any]:
        """Ask it.

        :raises NotReached: see there.
        """
        host, port = address_of(self._endpoint)
        if self._secret is None:
            raise NotReached("--status-secret: where is the file with the server's secret?")
        try:
            secret = read_secret(self._secret)
        except OSError as error:
            raise NotReached(f"the secret {self._secret}: {error.strerror}") from None
        connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
        try:
            connection.request(
                method, f"/admin/{what}?{urlencode(query)}",
                headers={"Authorization": f"Bearer {secret}"},
            )  # fmt: skip
            response = connection.getresponse()
            text = response.read().decode()
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or error
            raise NotReached(f"no server at {host}:{port}: {reason}") from None
        finally:
            connection.close()
        if response.status != 200:
            raise NotReached(f"the server at {host}:{port} says: {text.strip()}")
        answer: dict[str, Any] = json.loads(text)
        return answer


def address_of(endpoint: str) -> tuple[str, int]:
    """Where this endpoint is reached from here.

    :raises NotReached: it is not of the kind ``tcp:``.
    """
    kind, _, rest = endpoint.partition(":")
    parts = rest.split(":", 1)
    if kind != "tcp" or not parts[0].isdecimal():
        raise NotReached(f"--status {endpoint}: chat-admin wants tcp:PORT:interface=ADDRESS")
    host = parts[1].removeprefix("interface=") if len(parts) > 1 else ""
    host = host.replace("\\:", ":").partition(":backlog")[0]
    return "127.0.0.1" if host in ANYWHERE else host, int(parts[0])
