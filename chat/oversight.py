"""What an operator does with people who are online, wherever they are; and what all are told.

Pure: the status listener calls it, :mod:`chat.decrees` brings what was asked of another node.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import NamedTuple, Protocol

from .delivery import Delivery, Peer, written
from .interfaces import Clock
from .memberships import Memberships
from .messages import MsgId
from .model import Left, User
from .presence import Presence
from .rooms import Rooms
from .wire import encode


class Outcome(NamedTuple):
    """What became of it on all nodes."""

    met: int
    """Connections that it met."""
    silent: tuple[str, ...] = ()
    """The names of the nodes that did not answer, and may not know of it."""


class Elsewhere(Protocol):
    """The other nodes, which do the same."""

    def decree(
        self, what: str, *, user: int = 0, name: str = "", line: bytes = b""
    ) -> Awaitable[Outcome]:
        """Have every other node do it; waits a moment for their answers."""


def notice_line(text: str, time: float, reconnect: float | None = None) -> bytes:
    """A NOTICE_MSG.

    :param time: seconds since the epoch.
    :param reconnect: the server is about to stop, and who hears it is to come again after so many
        seconds.
    """
    fields = {"msgid": int(MsgId.NOTICE), "msg": text, "time": written(time)}
    return encode(fields if reconnect is None else {**fields, "reconnect": reconnect})


class Oversight:
    """Of one node; :attr:`elsewhere` are the others."""

    def __init__(
        self,
        delivery: Delivery,
        presence: Presence,
        rooms: Rooms,
        memberships: Memberships,
        clock: Clock,
    ) -> None:
        self.elsewhere: Elsewhere | None = None
        """None: there are none."""
        self._delivery = delivery
        self._presence = presence
        self._rooms = rooms
        self._memberships = memberships
        self._clock = clock

    async def disconnect(self, user_id: int) -> Outcome:
        """Close the user's connection, with errno 103."""
        return await self._everywhere("disconnect", user=user_id)

    async def notice(self, text: str) -> Outcome:
        """Tell all level 2 clients."""
        return await self._everywhere("notice", line=notice_line(text, self._clock.time()))

    async def gone(self, user: User, left: Sequence[Left]) -> Outcome:
        """The user was deleted from the store: nobody may go on as if it were there.

        :param left: the groups that the user was in.
        """
        outcome = await self._everywhere("gone", user=user.id, name=user.name)
        await self._memberships.ended(user, left)
        return outcome

    async def _everywhere(
        self, what: str, *, user: int = 0, name: str = "", line: bytes = b""
    ) -> Outcome:
        met = self.here(what, user=user, name=name, line=line)
        if self.elsewhere is None:
            return Outcome(met)
        others = await self.elsewhere.decree(what, user=user, name=name, line=line)
        return Outcome(met + others.met, others.silent)

    def here(self, what: str, *, user: int, name: str, line: bytes) -> int:
        """Do it on this node; the connections that it met.  What is unknown is not done."""
        if what == "notice":
            return self._tell(line)
        met = self._disconnect(user) if what in ("disconnect", "gone") else 0
        if what == "gone":
            self._delivery.forget(user)
            self._rooms.forget_user(user)
            self._presence.gone(user, name, [])
        return met

    def _disconnect(self, user_id: int) -> int:
        peer = self._delivery.online.get(user_id)
        if peer is None or peer.sender is None:
            return 0
        peer.dismissed("disconnected by the operator")
        return 1

    def _tell(self, line: bytes) -> int:
        told: list[Peer] = [
            peer
            for user_id in self._delivery.here
            if (peer := self._delivery.online[user_id]).level == 2
        ]
        for peer in told:
            peer.hint(line)
        return len(told)
