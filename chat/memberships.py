"""What the members of a group are told of each other: who came, who went (msgid 33)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .errors import ChatError, StoreAway
from .messages import MsgId
from .model import Left, User
from .rooms import Rooms
from .rounds import Rounds
from .wire import encode


class Memberships:
    """Changes that the store has already."""

    def __init__(self, rooms: Rooms, rounds: Rounds) -> None:
        self.changes: list[Callable[[int], None]] = []
        """Called with the group whose members have changed."""
        self._rooms = rooms
        self._rounds = rounds

    def changed(self, group_id: int, user: User, event: str, member: bool, but: int) -> bytes:
        """Tell the members who are here, all but one; the line that says it."""
        self._rooms.change(group_id, user.id, member)
        for listener in self.changes:
            listener(group_id)
        line = encode(
            {"msgid": int(MsgId.MEMBERSHIP), "groupid": group_id, "id": user.id, "name": user.name,
             "event": event}
        )  # fmt: skip
        room = self._rooms.known(group_id)
        if room is not None:
            self._rounds.tell(group_id, room, line, but)
        return line

    async def ended(self, user: User, left: Sequence[Left]) -> None:
        """The account is gone: its groups are told, and of their new creators."""
        self._rooms.forget_user(user.id)
        for group in left:
            try:
                await self._rooms.room(group.group_id)
            except ChatError:
                # Nobody is left.
                continue
            except StoreAway:
                # It is a hint: who wants to be sure asks for the members.
                break
            self.changed(group.group_id, user, "left", False, but=user.id)
            if group.heir is not None:
                self.changed(group.group_id, group.heir, "creator", True, but=user.id)
