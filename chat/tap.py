"""``twistd chat``: from a command line to a service that is ready to run.

Whatever keeps the server from starting is one line on standard error and exit status 1, told
before the process goes into the background: :func:`makeService` asks the database and takes the
ports, and twistd goes into the background after it.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Sequence
from typing import Any, ClassVar

from twisted.application.service import IService
from twisted.python.usage import Options as UsageOptions
from twisted.python.usage import UsageError

from . import __version__, bus, storage
from .config import Settings
from .errors import BadStart
from .logs import json_line, observer, text_line
from .options import SETTINGS, from_environment, manual, settings_from
from .service import ChatService, make_service

_SYNOPSIS = """\
Usage: twistd [twistd's options] chat [options]

A chat server: one JSON object a line over TCP. Users register, log in, and write to each other;
what is written to somebody who is away waits in a database.

  twistd -n chat
      stays in the foreground, listens on 127.0.0.1 port 6000, has a page for browsers at
      http://127.0.0.1:8080, keeps its data in ./chat.sqlite
  twistd --pidfile=/run/chat.pid --logfile=/var/log/chat.log chat --listen tcp:6000
      goes into the background, for everybody who can reach the machine
  CHAT_DATABASE=mysql://chat:secret@127.0.0.1:3306/chat twistd -n chat
      keeps its data in MySQL or MariaDB; the password is not seen in the list of processes

Every option can also be given as an environment variable: --max-line 4096 is CHAT_MAX_LINE=4096,
--no-limits is CHAT_NO_LIMITS=1. An option beats its variable. Options of twistd itself (where the
log goes, what user it runs as) are listed by twistd --help."""


class Options(UsageOptions):
    """The command line of ``twistd chat``.

    A mistake ends the process with one line and status 1, where Twisted would print the manual.
    """

    settings: Settings
    """What the command line and the environment say, once they are parsed."""

    optParameters: ClassVar[list[list[Any]]] = [
        [setting.option, None, None, ""]
        for setting in SETTINGS.values()
        if setting.unit and not setting.many
    ]
    optFlags: ClassVar[list[list[Any]]] = [
        [setting.option, None, ""] for setting in SETTINGS.values() if not setting.unit
    ]

    def __init__(self) -> None:
        super().__init__()
        self._many: dict[str, list[str]] = {}
        """What may be given several times, by field name."""

    def opt_listen(self, endpoint: str) -> None:
        """Take one more endpoint."""
        self._many.setdefault("listen", []).append(endpoint)

    def opt_tls_listen(self, endpoint: str) -> None:
        """Take one more endpoint over TLS."""
        self._many.setdefault("tls_listen", []).append(endpoint)

    def opt_original(self, endpoint: str) -> None:
        """Take one more endpoint for the original's clients."""
        self._many.setdefault("original", []).append(endpoint)

    def opt_web_origin(self, origin: str) -> None:
        """Take one more origin."""
        self._many.setdefault("web_origin", []).append(origin)

    def opt_version(self) -> None:
        """Print the version and leave."""
        print(f"twistd-chat {__version__}")  # noqa: T201
        sys.exit(0)

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        try:
            super().parseOptions(options)
        except UsageError as error:
            raise _ending(error) from None

    def postOptions(self) -> None:
        given: dict[str, object] = {}
        for name, setting in SETTINGS.items():
            if (value := self.get(setting.option)) not in (None, 0):
                given[name] = value
        given |= self._many
        try:
            self.settings = settings_from(from_environment(os.environ) | given)
        except ValueError as error:
            raise UsageError(str(error)) from None

    def getSynopsis(self) -> str:
        return _SYNOPSIS

    def getUsage(self, width: int | None = None) -> str:
        return f"{manual()}\nOthers:\n  --version\n  --help\n"


def makeService(options: Options) -> IService:
    """The server, with its database asked and its ports taken; twistd starts it."""
    settings = options.settings
    try:
        bus.check(settings.bus, settings.database)
        storage.check(settings.database)
        service = make_service(settings)
        service.privilegedStartService()
        twistd = getattr(options, "parent", None) or {}
        as_json = settings.log_format == "json"
        if as_json or not twistd.get("syslog"):
            line = json_line if as_json else text_line
            service.observer = observer(twistd, line, service.reactor)
    except BadStart as error:
        raise _ending(error) from error
    # twistd ends with status 0 whatever its service thinks of it.
    atexit.register(_end_with_status, service)
    return service


def _end_with_status(service: ChatService) -> None:
    if service.failed:
        sys.stdout.flush()
        os._exit(1)


def _ending(error: Exception) -> SystemExit:
    return SystemExit(f"twistd chat: {error}")
