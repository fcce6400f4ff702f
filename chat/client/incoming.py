"""The server's lines, decoded."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from ..errors import Code
from .errors import BadAnswer, Refused, known_code
from .results import AnyHint, AnyMessage, Friend, Group, Record, Sent


class _Line(Record, tag_field="msgid", frozen=True):
    pass


class LoginAck(_Line, tag=2, frozen=True):
    """The answer to a login."""

    errno: int
    errmsg: str = ""
    retry_after: float = 0.0
    id: int = 0
    name: str = ""
    proto: int = 1
    backlog: int = 0
    token: str = ""
    friends: tuple[Friend, ...] = ()
    groups: tuple[Group, ...] = ()
    more_friends: bool = False
    more_groups: bool = False


class RegAck(_Line, tag=4, frozen=True):
    """The answer to a registration."""

    errno: int
    errmsg: str = ""
    retry_after: float = 0.0
    id: int = 0


class Ack(_Line, tag=11, frozen=True):
    """The answer to any other request.  What more it holds depends on the request: other fields
    of the same name are none of this one's business, and are decoded by who asked."""

    errno: int
    ack: int
    errmsg: str = ""
    retry_after: float = 0.0
    cid: str = ""


class PingLine(_Line, tag=13, frozen=True):
    """The server asks whether one is there."""

    cid: str | None = None


class PongLine(_Line, tag=14, frozen=True):
    """The answer to a ping of ours."""


class Unknown(msgspec.Struct, frozen=True):
    """A kind of message that this version does not know; ``seq`` when it wants an answer."""

    msgid: int
    seq: int = 0


AnyRefused = TypeVar("AnyRefused", bound=Refused)

Incoming = LoginAck | RegAck | Ack | PingLine | PongLine | AnyMessage | AnyHint

_decode: Callable[[bytes], Incoming] = msgspec.json.Decoder(Incoming).decode
_decode_sent: Callable[[bytes], Sent] = msgspec.json.Decoder(Sent).decode
_decode_unknown = msgspec.json.Decoder(Unknown).decode


def parse(line: bytes) -> Incoming | Unknown:
    """What a line says.  A message or hint with a field that is not what it should be is
    ``Unknown`` as well: it cannot be shown, and must not be asked for again and again.

    :raises BadAnswer: it is no line of a chat server, or an answer that cannot be read.
    """
    try:
        return _decode(line)
    except (msgspec.MsgspecError, RecursionError, ValueError) as cause:
        try:
            unknown = _decode_unknown(line)
        except (msgspec.MsgspecError, RecursionError, ValueError):
            raise BadAnswer(f"not a line of a chat server: {line[:80]!r}") from cause
        if unknown.msgid in (2, 4, 11):
            raise BadAnswer(f"an answer that cannot be read: {cause}") from cause
        return unknown


def sent(line: bytes) -> Sent:
    """What the answer to a chat message says.

    :raises BadAnswer: it says nothing of the kind.
    """
    try:
        return _decode_sent(line)
    except msgspec.MsgspecError as cause:
        raise BadAnswer(f"an answer that cannot be read: {cause}") from cause


def refused(answer: LoginAck | RegAck | Ack, kind: type[AnyRefused]) -> AnyRefused:
    """The error that an answer is."""
    code = known_code(answer.errno)
    words = answer.errmsg or None
    if code is Code.INTERNAL and answer.errno != Code.INTERNAL:
        words = f"errno {answer.errno} {answer.errmsg}".rstrip()
    return kind(code, words, retry_after=answer.retry_after or None)
