"""The log: lines for people as twistd writes them, or JSON lines for programs.

A login is two lines of it, and what Twisted does for a line was a fifth of a login.  So lines are
formatted here, and written together at the end of the reactor's turn; a warning, or worse, at once.
"""

from __future__ import annotations

import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping
from functools import lru_cache
from time import gmtime, localtime, strftime
from typing import IO, Any, cast

import msgspec
from twisted.logger import (
    ILogObserver,
    LogEvent,
    LogLevel,
    formatEvent,
    formatEventAsClassicLogText,
)
from twisted.python.failure import Failure
from twisted.python.logfile import LogFile
from zope.interface import implementer

FIELDS = ("address", "user", "msgid", "errno", "duration", "interaction")
"""What is shown beside time, level, system and text, where an event has it."""

_URGENT = frozenset({LogLevel.warn, LogLevel.error, LogLevel.critical})


def text_line(event: LogEvent) -> str:
    """One event as twistd's own log has it: time, system, text; empty for one that says nothing."""
    when, level = event.get("log_time"), event.get("log_level")
    if when is None or level is None or "log_system" in event or "log_failure" in event:
        return formatEventAsClassicLogText(event) or ""
    text = _text(event)
    if "\n" in text:
        text = text.replace("\n", "\n\t")
    return text and (
        f"{_local(int(when))} [{event.get('log_namespace', '-')}#{level.name}] {_sound(text)}\n"
    )


def json_line(event: LogEvent) -> str:
    """One event: ``time`` (UTC), ``level``, ``system``, ``text``, those of :data:`FIELDS` that are
    known, and ``traceback``."""
    level = event.get("log_level")
    seconds, milliseconds = divmod(int(event["log_time"] * 1000), 1000)
    line: dict[str, Any] = {
        "time": f"{_utc(seconds)}.{milliseconds:03}+00:00",
        "level": getattr(level, "name", "info"),
        "system": event.get("log_namespace") or event.get("system") or "-",
        "text": _sound(_text(event)),
    }
    for name in FIELDS:
        value = event.get(name)
        if value is not None and value != "-":
            line[name] = value if isinstance(value, int | float) else _sound(str(value))
    failure = event.get("log_failure")
    if isinstance(failure, Failure):
        line["traceback"] = _sound(failure.getTraceback())
    return msgspec.json.encode(line).decode() + "\n"


def _text(event: LogEvent) -> str:
    template = event.get("log_format")
    # Twisted's own way is for values that are called, and for events that cannot be formatted.
    if type(template) is str and "(" not in template:
        try:
            return template.format_map(event)
        except Exception:
            return formatEvent(event)
    return formatEvent(event)


@lru_cache(maxsize=2)
def _local(seconds: int) -> str:
    return strftime("%Y-%m-%dT%H:%M:%S%z", localtime(seconds))


@lru_cache(maxsize=2)
def _utc(seconds: int) -> str:
    return strftime("%Y-%m-%dT%H:%M:%S", gmtime(seconds))


def _sound(text: str) -> str:
    """Without lone surrogates, which no UTF-8 has."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


@implementer(ILogObserver)
class Lines:
    """Writes events as lines.

    :param line: an event's line, or nothing.
    :param reactor: at the end of whose turn they are written; while it does not run, at once.
    """

    def __init__(self, out: IO[Any], line: Callable[[LogEvent], str], reactor: Any) -> None:
        self._out = out
        self._line = line
        self._reactor = reactor
        self._waiting: deque[str] = deque()
        """Threads add to it as well."""
        self._soon = False

    def __call__(self, event: LogEvent) -> None:
        """One more."""
        line = self._line(event)
        if not line:
            return
        self._waiting.append(line)
        if event.get("log_level") in _URGENT or not self._reactor.running:
            self.write()
        elif not self._soon:
            self._soon = True
            self._reactor.callFromThread(self.write)

    def write(self) -> None:
        """Write what waits."""
        self._soon = False
        waiting = self._waiting
        lines = [waiting.popleft() for _ in range(len(waiting))]
        if lines:
            self._out.write("".join(lines))
            self._out.flush()


def observer(
    twistd: Mapping[str, Any], line: Callable[[LogEvent], str], reactor: Any
) -> ILogObserver:
    """What writes the log where twistd was told to: ``--logfile``, or standard output in the
    foreground.  SIGUSR1 begins a new file, as with twistd's own.

    :param twistd: its options.
    :param line: :func:`text_line` or :func:`json_line`.
    """
    path = twistd.get("logfile") or ""
    out: IO[Any]
    if path == "-" or (not path and twistd.get("nodaemon")):
        out = sys.stdout
    else:
        file = LogFile.fromFullPath(path or "twistd.log")
        out = cast(IO[Any], file)
        if not signal.getsignal(signal.SIGUSR1):
            signal.signal(signal.SIGUSR1, lambda number, frame: reactor.callFromThread(file.rotate))
    return Lines(out, line, reactor)
