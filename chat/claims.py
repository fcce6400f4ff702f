"""One login a user, over all nodes.

A login claims its user in the store.  When another node has the user, that one is asked whether the
older connection answers; a node from which no answer comes has no say.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

from .cluster import Bus, BusAway, Claim, Members, Message, NoResponder
from .config import Settings
from .delivery import Delivery
from .envelopes import Probe, Probed, node_subject, pack, unpack
from .errors import ChatError, Code, StoreAway
from .leases import Lease
from .mailbox import busy

PROBE_SECONDS = 1.5
"""Beyond :attr:`chat.config.Settings.takeover_seconds`, how long another node may take to say
whether a user is there."""

STORED_SECONDS = 2.0
"""How long a login elsewhere waits for what was in flight here to be stored."""

RELEASE_SECONDS = 0.1
"""Those who have left within as long are told to the database together."""

_SETTLING = 0.02


class Claims:
    """The logins of one node.

    :param now: monotonic seconds.
    :param spawn: runs a coroutine and logs what it raises.
    :param call_later: calls a function after so many seconds.
    :param pause: waits for so many seconds.
    """

    def __init__(
        self,
        settings: Settings,
        members: Members,
        bus: Bus,
        lease: Lease,
        delivery: Delivery,
        now: Callable[[], float],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        call_later: Callable[[float, Callable[[], object]], object],
        pause: Callable[[float], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._members = members
        self._bus = bus
        self._lease = lease
        self._delivery = delivery
        self._now = now
        self._spawn = spawn
        self._call_later = call_later
        self._pause = pause
        self._left: dict[int, tuple[int, float]] = {}
        """Epochs of who has left and when the database is told at the latest."""

    async def claim(self, user_id: int, takeover: bool) -> None:
        """The user is on this node from now on.

        :raises ChatError: 2, is on another one and answers there; 108, nobody knows.
        """
        lease = self._lease
        newcomer = self._delivery.online.get(user_id)
        after = 0
        while True:
            if not lease.number:
                raise busy()
            claim = await self._members.claim(user_id, lease.number, after)
            here = claim.node == lease.number
            if self._delivery.online.get(user_id) is not newcomer:
                # Taken over meanwhile, by who is not to be taken over for it.
                if here:
                    with suppress(StoreAway):
                        await self._members.release(claim.node, {user_id: claim.epoch})
                raise ChatError(Code.IN_USE)
            if here:
                # Of two who log in here at the same time the one that was later in the store.
                lease.epochs[user_id] = max(claim.epoch, lease.epochs.get(user_id, 0))
                return
            if await self._in_use(claim, user_id, takeover):
                raise ChatError(Code.IN_USE)
            after = claim.epoch

    async def _in_use(self, claim: Claim, user_id: int, takeover: bool) -> bool:
        probe = Probe(
            node=self._lease.number, user=user_id, epoch=claim.epoch, takeover=takeover
        )
        seconds = self._settings.takeover_seconds + STORED_SECONDS + PROBE_SECONDS
        try:
            data = await self._bus.request(node_subject(claim.node, "ask"), pack(probe), seconds)
        except NoResponder:
            return False
        except BusAway:
            if not self._bus.up:
                # It is us who cannot be heard: wait for the other's lease to end.
                raise busy() from None
            return False
        answer = unpack(data)
        return isinstance(answer, Probed) and answer.in_use

    def on_probe(self, message: Message) -> None:
        """Another node has a login of a user who is here."""
        probe = unpack(message.data)
        if isinstance(probe, Probe):
            self._spawn(self._probe(probe, message.reply))

    async def _probe(self, probe: Probe, reply: str) -> None:
        in_use = await self._answers(probe)
        self._bus.publish(reply, pack(Probed(node=self._lease.number, in_use=in_use)))

    async def _answers(self, probe: Probe) -> bool:
        user_id = probe.user
        peer = self._delivery.online.get(user_id)
        # Of another login than the one in question nothing is said: who asks will learn of it.
        if peer is not None and self._lease.epochs.get(user_id) == probe.epoch:
            if not probe.takeover and await peer.still_there():
                return True
            if self._delivery.online.get(user_id) is peer:
                peer.replaced()
                self._delivery.release(user_id, peer)
        # What was in flight here goes before what is sent to the user there, and what the user has
        # received here is not to be seen there.
        deadline = self._now() + STORED_SECONDS
        while self._is_changing(user_id) and self._now() < deadline:
            await self._pause(_SETTLING)
        return False

    def _is_changing(self, user_id: int) -> bool:
        mailbox = self._delivery.mailboxes.get(user_id)
        return mailbox is not None and mailbox.changing

    def left(self, user_id: int) -> None:
        """The user is not on this node any more, or the login has come to nothing."""
        epoch = self._lease.epochs.pop(user_id, None)
        if epoch is not None:
            if not self._left:
                self._release_later()
            self._left[user_id] = (epoch, self._now() + STORED_SECONDS)

    def clear(self) -> None:
        """There is no lease any more, and no claim."""
        self._left.clear()

    def _release_later(self) -> None:
        self._call_later(RELEASE_SECONDS, lambda: self._spawn(self.release(False)))

    async def release(self, all_of_them: bool) -> None:
        """Tell the database who has left; of whom something is still on its way into the store or
        out of it, we are asked."""
        now = self._now()
        left = {
            user_id: epoch
            for user_id, (epoch, until) in self._left.items()
            if all_of_them or now >= until or not self._is_changing(user_id)
        }
        for user_id in left:
            del self._left[user_id]
        if self._left:
            self._release_later()
        if left and self._lease.number:
            # If it cannot be told: whoever logs in elsewhere asks us, or waits for our lease's end.
            with suppress(StoreAway):
                await self._members.release(self._lease.number, left)
