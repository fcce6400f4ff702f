"""What the original kept, as we keep it.  Pure.

Its tables are declared latin1 and hold whatever bytes its clients sent: UTF-8 from most, GBK from
Windows, and latin1 where somebody typed that.  Its names were compared by a collation, its messages
are the JSON texts that its clients had written.
"""

from __future__ import annotations

import re
import unicodedata
from hashlib import sha256
from typing import Any

import msgspec

from ..errors import ChatError
from ..messages import MAX_ID, GroupChat, MsgId, OneChat
from ..model import Kept
from ..names import NAME_LENGTH, name_key
from ..shelf import digest_of
from ..wire import BadLine, chat_body, encode, parse

# Letters and signs of GB 2312, each of two high bytes: longer texts of latin1 do not look like it.
_GB2312 = re.compile(rb"(?:[\x00-\x7f]|[\xa1-\xa9\xb0-\xf7][\xa1-\xfe])*")


def text_of(data: bytes) -> str:
    """The text that these bytes most likely are."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        pass
    if _GB2312.fullmatch(data):
        try:
            return data.decode("gb2312")
        except UnicodeDecodeError:
            pass
    return data.decode("cp1252", "replace")


def name_of(data: bytes, otherwise: str) -> str:
    """A name within our bounds; ``otherwise`` for one of which nothing is left."""
    text = "".join(c for c in text_of(data) if unicodedata.category(c) not in ("Cc", "Zl", "Zp"))
    text = text.strip()
    while len(name_key(text)) > NAME_LENGTH:
        text = text[:-1].rstrip()
    return text if name_key(text) else otherwise


def told_apart(name: str, user_id: int) -> str:
    """Another name for somebody whose own is taken under our rules."""
    mark = f" ({user_id})"
    while len(name_key(name + mark)) > NAME_LENGTH:
        name = name[:-1]
    return name + mark


class Unreadable(Exception):
    """A stored message of which nothing can be made; the text says why."""


def message_of(recipient: int, data: bytes, stamp: int, occurrence: int) -> Kept:
    """A stored message; its cid depends on what it says and which of its like it is, so that an
    import that is repeated finds it.

    :raises Unreadable: it is no chat message of the original.
    """
    text = text_of(data)
    try:
        fields: Any = msgspec.json.decode(text)
    except (ValueError, RecursionError, msgspec.MsgspecError):
        raise Unreadable("not JSON") from None
    if not isinstance(fields, dict):
        raise Unreadable("not a JSON object")
    sender = fields.get("id")
    if type(sender) is not int or not 1 <= sender <= MAX_ID:
        raise Unreadable("no sender")
    kind = MsgId.GROUP_CHAT if "groupid" in fields else MsgId.ONE_CHAT
    fields["msgid"] = int(kind)
    fields.pop("cid", None)
    fields.pop("seq", None)
    name = fields.get("name")
    name = name if isinstance(name, str) else ""
    line = encode(fields)
    try:
        ask = parse(line)
        assert isinstance(ask, OneChat | GroupChat)
        named = (sender, name, b"", b',"name":%b' % encode(name))
        body = chat_body(ask, line, named, "")
    except (BadLine, ChatError) as error:
        raise Unreadable(error.text) from None
    mark = sha256(b"%d %d %b" % (recipient, occurrence, data)).hexdigest()[:32]
    return Kept(
        recipient, stamp, sender, f"import.{mark}", True, int(kind), digest_of(kind, ask), body
    )
