"""Bytes to messages and back.

Pure: no I/O, no state but a count, raises only :class:`BadLine`.  A line is decoded and validated
in one typed step; whatever that step skips (fields that the protocol does not know) is looked at
only when the line's quotes tell that there is something of the kind.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, NoReturn

import msgspec
from msgspec import UNSET, Raw

from .errors import ChatError, Code
from .messages import AnyRequest, Chat, MsgId, Request

MAX_DEPTH = 32
"""How deep a line may nest, its own braces counted."""

MAX_NUMBER_DIGITS = 309
"""A double's range ends within numbers of so many digits (1.8e308)."""

decode = msgspec.json.Decoder(AnyRequest).decode
"""A typed decode and nothing else: for who looks at the rest."""

_decode_any = msgspec.json.Decoder(Any).decode
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode
encode = msgspec.json.encode
"""An object as compact JSON, non-ASCII unescaped."""

MSGIDS: dict[type[Request], int] = {
    kind: kind.__struct_config__.tag for kind in AnyRequest.__args__
}
"""The msgid of each kind of request."""

refused: Counter[Code] = Counter()
"""How many refusals this process has put into words; all are, whoever refuses."""

_REQUESTS = frozenset(MSGIDS.values())
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')
_LONG_NUMBER = re.compile(rb"[0-9]{%d}" % MAX_NUMBER_DIGITS)


class BadLine(ChatError):
    """A line that is no request.

    :param ack: the msgid that it has, or 0.
    :param cid: its cid, when that is a valid one.
    """

    def __init__(self, code: Code, text: str, ack: int, cid: str | None) -> None:
        super().__init__(code, text)
        self.ack = ack
        self.cid = cid


def is_utf8(data: bytes) -> bool:
    """Whether these are whole characters."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def parse(line: bytes) -> AnyRequest:
    """The request that a line holds.

    The fields that a chat message carries along unchecked are checked by :func:`chat_body`.

    :raises BadLine: it holds none.
    """
    try:
        # msgspec looks at the UTF-8 of what it decodes only, not of what it skips.
        request: AnyRequest = decode(line.decode())
    except (ValueError, RecursionError, msgspec.MsgspecError) as cause:
        return _second_look(line, cause)
    if line.count(b'"') != request.plain_quotes and not isinstance(request, Chat):
        _look_closer(line, request)
    return request


def chat_body(
    ask: Chat, line: bytes, sender_fields: tuple[int, str, bytes, bytes], now: str
) -> bytes:
    """The line as its recipients get it: vouched for by the server, without ``seq``.

    The bytes go on as they came where nothing has to change; what is missing is spliced in.  That
    the line has just the quotes of the fields that were decoded shows that it holds no other field
    and none twice.

    :param sender_fields: the sender's id and name, and both as ``,"id":7`` and ``,"name":"bob"``.
    :param now: ``time`` where the client wrote none.
    :raises BadLine: an unknown field of the line is not what PROTOCOL allows.
    """
    sender_id, sender_name, id_field, name_field = sender_fields
    quotes = 8
    missing = b""
    if ask.id is UNSET:
        missing = id_field
    else:
        quotes += 2
    if ask.name == sender_name:
        quotes += 4
    elif ask.name is UNSET:
        missing += name_field
    else:
        return _rewrite(ask, line, sender_id, sender_name, now)
    if type(ask.time) is str:
        quotes += 4
    elif ask.time is UNSET:
        missing += b',"time":"%b"' % now.encode()
    else:
        return _rewrite(ask, line, sender_id, sender_name, now)
    if ask.cid is not UNSET:
        quotes += 4
    seen = line.count(b'"')
    if seen != quotes and b"\\" in line and b"\\\\" not in line:
        # Without \\ in the line each \" is a quote inside a text.
        seen -= line.count(b'\\"')
    if seen != quotes or ask.seq is not UNSET or line[-1] != 0x7D:
        return _rewrite(ask, line, sender_id, sender_name, now)
    return line[:-1] + missing + b"}" if missing else line


def _rewrite(ask: Chat, line: bytes, sender_id: int, sender_name: str, now: str) -> bytes:
    _look_closer(line, ask)
    fields: dict[str, Any] = dict(_decode_fields(line))
    fields.pop("seq", None)
    fields["id"] = sender_id
    fields["name"] = sender_name
    if type(ask.time) is not str:
        fields["time"] = now
    return encode(fields)


def with_seq(body: bytes, seq: int, cid: str | None = None) -> bytes:
    """A body as a level 2 client gets it; ``cid`` when the server gave it."""
    if cid is None:
        return b'%b,"seq":%d}' % (body[:-1], seq)
    return b'%b,"cid":%b,"seq":%d}' % (body[:-1], encode(cid), seq)


def refusal(
    msgid: int, error: ChatError, *, ack: int | None = None, cid: str | None = None
) -> bytes:
    """A refused request's answer; ``ack`` and ``cid`` only in an ACK_MSG."""
    refused[error.code] += 1
    answer: dict[str, Any] = {"msgid": msgid, "errno": int(error.code), "errmsg": error.text}
    if ack is not None:
        answer["ack"] = ack
    if cid is not None:
        answer["cid"] = cid
    if error.retry_after is not None:
        answer["retry_after"] = error.retry_after
    return encode({**answer, **error.fields})


def answer(ack: int, cid: str | None, fields: Mapping[str, Any]) -> bytes:
    """A successful ACK_MSG."""
    head: dict[str, Any] = {"msgid": int(MsgId.ACK), "errno": 0, "ack": ack}
    if cid is not None:
        head["cid"] = cid
    return encode({**head, **fields})


def _look_closer(line: bytes, request: Request) -> None:
    """What the typed decode skipped has to be sound as well."""
    try:
        whole = _decode_any(line)
    except (ValueError, RecursionError, msgspec.MsgspecError) as cause:
        _refuse(line, cause)
    if line.count(b"[") + line.count(b"{") > MAX_DEPTH and _depth(line.decode()) > MAX_DEPTH:
        _refuse(line, ValueError("nested too deep"))
    if _LONG_NUMBER.search(line) and not _within_range(whole):
        _refuse(line, ValueError("a number is out of range"))


def _depth(text: str) -> int:
    depth = deepest = 0
    for token in _TOKENS.findall(text):
        if token in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif token in "]}":
            depth -= 1
    return deepest


def _within_range(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_within_range, value.values()))
    if isinstance(value, list):
        return all(map(_within_range, value))
    if isinstance(value, int):
        try:
            float(value)
        except OverflowError:
            return False
    return True


def _second_look(line: bytes, cause: Exception) -> AnyRequest:
    """A line that the typed decode refused: a key that stands twice may have misled it."""
    try:
        fields = _decode_fields(line.decode())
        request: AnyRequest = decode(encode(fields))
    except (ValueError, RecursionError, msgspec.MsgspecError):
        _refuse(line, cause)
    _look_closer(line, request)
    return request


def _refuse(line: bytes, cause: Exception) -> NoReturn:
    """Raise the refusal that tells most: which msgid it was, and which cid."""
    try:
        whole = _outline(line.decode())
    except (ValueError, RecursionError):
        raise BadLine(Code.BAD_REQUEST, "not a line of UTF-8 JSON", 0, None) from None
    if not isinstance(whole, dict):
        raise BadLine(Code.BAD_REQUEST, "not a JSON object", 0, None)
    msgid = whole.get("msgid")
    if type(msgid) is not int:
        text = "no msgid" if msgid is None else "msgid is not an integer"
        raise BadLine(Code.BAD_REQUEST, text, 0, None)
    cid = whole.get("cid")
    if not (isinstance(cid, str) and 1 <= len(cid) <= 64 and _is_text(cid)):
        cid = None
    if msgid not in _REQUESTS:
        raise BadLine(Code.UNKNOWN_MSGID, "unknown msgid", msgid, cid)
    raise BadLine(Code.BAD_REQUEST, _describe(cause), msgid, cid)


def _outline(text: str) -> Any:
    """The line as JSON at its most lenient, to find out what it wanted to be."""
    try:
        return json.loads(text, parse_constant=_no_constant, parse_int=_short_int)
    except RecursionError:
        return json.loads(_flatten(text), parse_constant=_no_constant, parse_int=_short_int)


def _flatten(text: str) -> str:
    """The text with null for what nests, so that only the outermost object is left."""
    parts: list[str] = []
    depth = start = 0
    for token in _TOKENS.finditer(text):
        mark = token.group()
        if mark in "[{":
            depth += 1
            if depth == 2:
                parts.append(text[start : token.start()] + "null")
        elif mark in "]}":
            depth -= 1
            if depth == 1:
                start = token.end()
    if depth != 0:
        raise ValueError("brackets do not match")
    return "".join(parts) + text[start:]


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _short_int(digits: str) -> int | None:
    return int(digits) if len(digits) <= 40 else None


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_REASON = re.compile(r"(?P<what>.*?)(?: - at `\$\.(?P<field>\w+)`)?\Z", re.DOTALL)
_KNOWN_FIELDS = frozenset(
    field.encode_name for kind in AnyRequest.__args__ for field in msgspec.structs.fields(kind)
)


def _describe(cause: Exception) -> str:
    """Which field is wrong, in fixed words of ours."""
    match = _REASON.match(str(cause))
    field = match["field"] if match else None
    if field in _KNOWN_FIELDS:
        return f"{field} is not valid"
    for name in _KNOWN_FIELDS:
        if f"required field `{name}`" in str(cause):
            return f"{name} is missing"
    if isinstance(cause, RecursionError) or "deep" in str(cause):
        return "nested too deep"
    return "not a valid request"
