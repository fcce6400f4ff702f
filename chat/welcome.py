"""The answer to a login, with as much of what waits as a level 1 client gets in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .copies import Copy
from .messages import MsgId
from .senders import Sender
from .wire import encode

OFFLINE_MESSAGES = 100
OFFLINE_BYTES = 48 << 10
"""What ``offlinemsg`` of a level 1 login holds at most; the rest follows as pushes."""


Level1Ack = Callable[[Sender, Sequence[Copy], Mapping[str, Any]], tuple[bytes, int]]
"""Composes the answer from the user, what waits, and friends and groups."""


def level_1_ack(
    sender: Sender, waiting: Sequence[Copy], roster: Mapping[str, Any]
) -> tuple[bytes, int]:
    """The original's answer; and how many of those that wait are in it."""
    offline = _texts(waiting)
    fields = {**_head(sender), **({"offlinemsg": offline} if offline else {}), **roster}
    return encode(fields), len(offline)


def level_2_ack(sender: Sender, backlog: int, roster: Mapping[str, Any]) -> bytes:
    """Ours: the number of those that wait, who follow as pushes."""
    return encode({**_head(sender), "proto": 2, "backlog": backlog, **roster})


def _head(sender: Sender) -> dict[str, Any]:
    return {"msgid": int(MsgId.LOGIN_ACK), "errno": 0, "id": sender.id, "name": sender.name}


def _texts(waiting: Sequence[Copy]) -> list[str]:
    texts = []
    size = 0
    for copy in waiting[:OFFLINE_MESSAGES]:
        text = copy.body.decode()
        size += len(encode(text)) + 1
        if size > OFFLINE_BYTES:
            break
        texts.append(text)
    return texts
