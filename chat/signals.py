"""Typing and read marks: passed on to who is online, never stored."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any

from msgspec import UNSET

from .delivery import Delivery, Peer, sender_of
from .errors import ChatError, Code
from .messages import MsgId, OptionalId, Read, Typing
from .rooms import Rooms
from .rounds import Rounds
from .senders import Sender
from .wire import encode

CIRCLE = 200
"""In a group with more members these are not passed on: nobody could make sense of them."""

Fields = Mapping[str, Any]


class Signals:
    """What people see of each other besides messages."""

    def __init__(self, delivery: Delivery, rooms: Rooms, rounds: Rounds) -> None:
        self._delivery = delivery
        self._rooms = rooms
        self._rounds = rounds

    def typing(self, me: Peer, ask: Typing) -> Fields | Awaitable[Fields]:
        """Somebody types, or has stopped."""
        return self._pass_on(me, ask, MsgId.TYPING, {"typing": ask.typing})

    def read(self, me: Peer, ask: Read) -> Fields | Awaitable[Fields]:
        """Somebody has read everything up to a message."""
        return self._pass_on(me, ask, MsgId.READ, {"upto": ask.upto})

    def _pass_on(
        self, me: Peer, ask: Typing | Read, msgid: MsgId, fields: Fields
    ) -> Fields | Awaitable[Fields]:
        sender = sender_of(me)
        toid, groupid = one_target(ask.toid, ask.groupid)
        line = {"msgid": int(msgid), "id": sender.id, "name": sender.name, **fields}
        if toid:
            self._delivery.signal(sender.id, toid, encode(line))
            return {}
        return self._to_group(sender, groupid, encode({**line, "groupid": groupid}))

    async def _to_group(self, sender: Sender, group_id: int, line: bytes) -> Fields:
        room = await self._rooms.room_of(group_id, sender.id)
        if len(room) <= CIRCLE:
            self._rounds.tell(group_id, room, line, but=sender.id)
        return {}


def one_target(toid: OptionalId, groupid: OptionalId) -> tuple[int, int]:
    """A user or a group; the other is 0.

    :raises ChatError: 100, it is both or none.
    """
    if (toid is UNSET) == (groupid is UNSET):
        raise ChatError(Code.BAD_REQUEST, "either toid or groupid")
    return (0 if toid is UNSET else toid, 0 if groupid is UNSET else groupid)
