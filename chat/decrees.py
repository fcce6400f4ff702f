"""What an operator asks of one node, carried to all others, and their answers back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from secrets import token_hex

from .cluster import Bus, Message
from .envelopes import DECREES, Decree, Obeyed, pack, unpack
from .leases import Lease
from .oversight import Outcome, Oversight

ANSWER_SECONDS = 1.0
"""How long the others are waited for."""

_LOOK_SECONDS = 0.02


class _Issued:
    """One that is out."""

    def __init__(self, missing: set[str]) -> None:
        self.missing = missing
        self.met = 0


class Decrees:
    """Implements :class:`chat.oversight.Elsewhere`, and does what others decree.

    It needs no lease: who has lost it has nobody online, and may say so.

    :param lease: tells which other nodes there are.
    """

    def __init__(
        self,
        bus: Bus,
        lease: Lease,
        oversight: Oversight,
        now: Callable[[], float],
        pause: Callable[[float], Awaitable[None]],
    ) -> None:
        self._bus = bus
        self._lease = lease
        self._oversight = oversight
        self._now = now
        self._pause = pause
        self._answers = f"{DECREES}.{token_hex(8)}"
        self._issued: dict[int, _Issued] = {}
        self._numbers = 0
        bus.subscribe(DECREES, self._on_decree)
        bus.subscribe(self._answers, self._on_answer)

    async def decree(
        self, what: str, *, user: int = 0, name: str = "", line: bytes = b""
    ) -> Outcome:
        """See :class:`chat.oversight.Elsewhere`."""
        self._numbers += 1
        number, issued = self._numbers, _Issued(set(self._lease.others))
        decree = Decree(
            node=self._lease.number, number=number, what=what, user=user, name=name, line=line
        )
        self._issued[number] = issued
        try:
            if self._bus.publish(DECREES, pack(decree), self._answers):
                until = self._now() + ANSWER_SECONDS
                while issued.missing and self._now() < until:
                    await self._pause(_LOOK_SECONDS)
        finally:
            del self._issued[number]
        return Outcome(issued.met, tuple(sorted(issued.missing)))

    def _on_decree(self, message: Message) -> None:
        decree = unpack(message.data)
        if not isinstance(decree, Decree) or message.reply == self._answers:
            return
        self._lease.check(self._now())
        met = self._oversight.here(
            decree.what, user=decree.user, name=decree.name, line=decree.line
        )
        lease = self._lease
        obeyed = Obeyed(node=lease.number, number=decree.number, name=lease.name, met=met)
        self._bus.publish(message.reply, pack(obeyed))

    def _on_answer(self, message: Message) -> None:
        obeyed = unpack(message.data)
        if not isinstance(obeyed, Obeyed):
            return
        issued = self._issued.get(obeyed.number)
        if issued is not None:
            issued.missing.discard(obeyed.name)
            issued.met += obeyed.met
