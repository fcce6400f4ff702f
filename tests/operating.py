"""A real server with its status listener, and how to ask it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import NamedTuple
from urllib.parse import urlencode

from tests.test_plugin import ANY_PORT, PATIENCE, PluginTestCase, eventually

STATUS = "--status=tcp:0:interface=127.0.0.1"


class Reply(NamedTuple):
    """What an HTTP server said."""

    status: int
    text: str

    @property
    def json(self) -> object:
        """The body as an object."""
        return json.loads(self.text)


def fetch(port: int, path: str, method: str = "GET", secret: str = "", **query: object) -> Reply:
    """Ask the status listener."""
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        where = f"{path}?{urlencode(query)}" if query else path
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        connection.request(method, where, headers=headers)
        response = connection.getresponse()
        return Reply(response.status, response.read().decode())
    finally:
        connection.close()


class OperatedTestCase(PluginTestCase):
    """Tests of a server that is looked after."""

    @contextmanager
    def operated(self, *options: str, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
        """A server with a status listener."""
        with self.served(ANY_PORT, STATUS, *options, **variables) as process:
            yield process

    def status_port(self) -> int:
        """Where the status is, once it is."""
        found: list[str] = []

        def there() -> bool:
            found[:] = re.findall(r"status is at 127\.0\.0\.1:(\d+)", self.output())
            return bool(found)

        eventually(there)
        return int(found[0])

    def secret(self) -> str:
        """Of the server in this folder."""
        return (self.folder / "chat.sqlite.secret").read_text().strip()
