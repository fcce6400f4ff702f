"""What others wrote, made fit for a terminal."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

from ..errors import Refused

TAB = "    "
LONGEST_TIME = 20
_HARMLESS = "\u200c\u200d"  # joiners, which emoji and several scripts need
_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def plain(text: str) -> str:
    """Text for one line: whatever would move the cursor, switch colours, turn the direction of
    writing or stay invisible is shown as a picture or by its number instead."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_visible, text))


def lines(text: str) -> list[str]:
    """A message's lines, each :func:`plain`; at least one."""
    text = text.replace("\r\n", "\n").replace("\t", TAB)
    return [plain(line) for line in text.rstrip("\n").split("\n")]


def shortened(text: str, width: int) -> str:
    """Text for one line of at most so many characters."""
    text = plain(" ".join(text.split()))
    return text if len(text) <= width else text[: width - 1] + "…"


def clock(time: str, today: datetime) -> str:
    """A message's time as one reads it: local, short, with the day unless it is today.

    :param today: now, with the time zone to show it in.
    """
    try:
        when = datetime.strptime(time, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        when = when.astimezone(today.tzinfo)
    except (ValueError, OverflowError):
        return shortened(time, LONGEST_TIME)
    if when.date() == today.date():
        return when.strftime("%H:%M")
    if when.year == today.year:
        return when.strftime("%d %b %H:%M")
    return when.strftime("%Y-%m-%d %H:%M")


def why(error: BaseException | None) -> str:
    """An error in words for people."""
    if isinstance(error, Refused):
        later = f", again in {error.retry_after:g} s" if error.retry_after else ""
        return plain(error.text) + later
    return plain(str(error) or type(error).__name__)


def _visible(character: str) -> str:
    if character in _HARMLESS or unicodedata.category(character) not in _UNSEEN:
        return character
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return f"\\u{code:04x}" if code > 0xFF else f"\\x{code:02x}"
