"""The log as JSON lines, for ``--log-format json``: an object a line, for programs to read."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import IO, Any, cast

import msgspec
from twisted.logger import FileLogObserver, ILogObserver, LogEvent, formatEvent
from twisted.python.failure import Failure
from twisted.python.logfile import LogFile

FIELDS = ("address", "user", "msgid", "errno", "duration", "interaction")
"""What is shown beside time, level, system and text, where an event has it."""


def json_line(event: LogEvent) -> str:
    """One event: ``time`` (UTC), ``level``, ``system``, ``text``, those of :data:`FIELDS` that are
    known, and ``traceback``."""
    level = event.get("log_level")
    line: dict[str, Any] = {
        "time": datetime.fromtimestamp(event["log_time"], UTC).isoformat(timespec="milliseconds"),
        "level": getattr(level, "name", "info"),
        "system": event.get("log_namespace") or event.get("system") or "-",
        "text": _sound(formatEvent(event)),
    }
    for name in FIELDS:
        value = event.get(name)
        if value is not None and value != "-":
            line[name] = value if isinstance(value, int | float) else _sound(str(value))
    failure = event.get("log_failure")
    if isinstance(failure, Failure):
        line["traceback"] = _sound(failure.getTraceback())
    return msgspec.json.encode(line).decode() + "\n"


def _sound(text: str) -> str:
    """Without lone surrogates, which no UTF-8 has."""
    return text.encode("utf-8", "backslashreplace").decode()


def json_observer(twistd: Mapping[str, Any], call_from_thread: Callable[..., Any]) -> ILogObserver:
    """What writes them where twistd was told to log: ``--logfile``, or standard output in the
    foreground.  SIGUSR1 begins a new file, as with twistd's own.

    :param twistd: its options.
    :param call_from_thread: brings a call out of a signal into the reactor.
    """
    path = twistd.get("logfile") or ""
    out: IO[Any]
    if path == "-" or (not path and twistd.get("nodaemon")):
        out = sys.stdout
    else:
        file = LogFile.fromFullPath(path or "twistd.log")
        out = cast(IO[Any], file)
        if not signal.getsignal(signal.SIGUSR1):
            signal.signal(signal.SIGUSR1, lambda number, frame: call_from_thread(file.rotate))
    return FileLogObserver(out, json_line)
