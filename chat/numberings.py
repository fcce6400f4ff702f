"""What unmodified clients of the original speak, to and from what we speak.

Pure.  The original's clients know two numberings of the messages: *seed*, which is ours, and
*final*, which most published copies have.  A client is told apart by its first request other than a
login: its fields say which it is, and its msgid whose number that is.  What such a client gets fits
into the 1,024 bytes that it reads at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Raw

from .copies import Copy
from .messages import MsgId
from .senders import Sender
from .wire import encode

MESSAGE_BYTES = 1023
"""What one message to such a client may have, beside the NUL that ends it."""

NAME_LENGTH = 64
TIME_LENGTH = 64
"""Characters that a message which has to be shortened keeps of its sender's name and its time."""

CUT = "…"


class Numbering(StrEnum):
    """Whose msgids a client speaks."""

    SEED = "seed"
    FINAL = "final"


FINAL_IDS: Mapping[int, int] = {
    MsgId.LOGIN: 1,
    MsgId.LOGIN_ACK: 2,
    MsgId.LOGINOUT: 3,
    MsgId.REG: 4,
    MsgId.REG_ACK: 5,
    MsgId.ONE_CHAT: 6,
    MsgId.ADD_FRIEND: 7,
    MsgId.CREATE_GROUP: 8,
    MsgId.ADD_GROUP: 9,
    MsgId.GROUP_CHAT: 10,
}
"""Our msgid to the final one."""

_KINDS: tuple[tuple[frozenset[str], MsgId], ...] = (
    (frozenset(("id", "password")), MsgId.LOGIN),
    (frozenset(("name", "password")), MsgId.REG),
    (frozenset(("toid",)), MsgId.ONE_CHAT),
    (frozenset(("friendid",)), MsgId.ADD_FRIEND),
    (frozenset(("groupname",)), MsgId.CREATE_GROUP),
    (frozenset(("groupid", "msg")), MsgId.GROUP_CHAT),
    (frozenset(("groupid",)), MsgId.ADD_GROUP),
)
_ONLY_ID = frozenset(("msgid", "id"))

_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_integer = msgspec.json.Decoder(int).decode
_text = msgspec.json.Decoder(str).decode


def kind_of(fields: Mapping[str, Raw]) -> MsgId | None:
    """Which request has these fields; None: none of the original's."""
    for wanted, kind in _KINDS:
        if wanted <= fields.keys():
            return kind
    return MsgId.LOGINOUT if fields.keys() == _ONLY_ID else None


def request_from(line: bytes, numbering: Numbering) -> tuple[bytes, Numbering]:
    """A request with our msgid, and the numbering that it shows, or the one assumed so far.

    What is not one of the original's requests is left as it is.
    """
    try:
        fields = _fields(line)
        msgid = _integer(fields["msgid"])
    except (ValueError, KeyError, RecursionError, msgspec.MsgspecError):
        return line, numbering
    kind = kind_of(fields)
    if kind is None or msgid not in (kind, FINAL_IDS[kind]):
        return line, numbering
    if FINAL_IDS[kind] != kind:
        numbering = Numbering.SEED if msgid == kind else Numbering.FINAL
    fields["msgid"] = Raw(b"%d" % kind)
    # Such a client knows level 1 only, whatever its fields seem to say.
    fields.pop("proto", None)
    return encode(fields), numbering


def answer_for(line: bytes, numbering: Numbering) -> bytes:
    """A line of ours as such a client gets it, without the NUL."""
    if numbering is Numbering.SEED and len(line) <= MESSAGE_BYTES:
        return line
    fields = _fields(line)
    msgid = _integer(fields["msgid"])
    if numbering is Numbering.FINAL:
        fields["msgid"] = Raw(b"%d" % FINAL_IDS.get(msgid, msgid))
    whole = encode(fields)
    if len(whole) <= MESSAGE_BYTES:
        return whole
    return _shortened(fields) if "msg" in fields else whole


def _shortened(fields: Mapping[str, Raw]) -> bytes:
    """A chat with what its recipient needs, its text cut at a character."""
    kept: dict[str, Any] = {
        key: fields[key] for key in ("msgid", "id", "toid", "groupid") if key in fields
    }
    kept["name"] = _cut(_text(fields["name"]), NAME_LENGTH)
    kept["time"] = _cut(_text(fields["time"]), TIME_LENGTH)
    text = _text(fields["msg"])
    fits, too_many = 0, len(text) + 1
    while too_many - fits > 1:
        length = (fits + too_many) // 2
        if len(encode({**kept, "msg": _cut(text, length)})) <= MESSAGE_BYTES:
            fits = length
        else:
            too_many = length
    return encode({**kept, "msg": _cut(text, fits)})


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[:length] + CUT


def login_ack(
    sender: Sender, waiting: Sequence[Copy], roster: Mapping[str, Any], numbering: Numbering
) -> tuple[bytes, int]:
    """A login's answer with what fits of friends, groups and offline messages, in this order (what
    is left out of the last follows by itself); and how many of those that wait are in it."""
    ack: dict[str, Any] = {"msgid": int(MsgId.LOGIN_ACK), "errno": 0, "id": sender.id}
    ack["name"] = _cut(sender.name, NAME_LENGTH)
    for key in ("friends", "groups"):
        _fill(ack, key, roster.get(key, ()))
    taken = _fill(ack, "offlinemsg", (answer_for(copy.body, numbering) for copy in waiting))
    return encode(ack), taken


def _fill(ack: dict[str, Any], key: str, texts: Iterable[str | bytes]) -> int:
    """Put texts into the answer as long as they fit; how many did."""
    fitting: list[str] = []
    room = MESSAGE_BYTES - len(encode({**ack, key: fitting}))
    for text in texts:
        plain = text.decode() if isinstance(text, bytes) else text
        room -= len(encode(plain)) + (1 if fitting else 0)
        if room < 0:
            break
        fitting.append(plain)
    if fitting:
        ack[key] = fitting
    return len(fitting)


Translate = Callable[[bytes], bytes]
"""A line of ours to what a client gets."""
