"""One of several servers that are one.

A :class:`Node` holds a lease, claims the users who log in (:mod:`~chat.claims`), carries messages
to other nodes and takes theirs (:mod:`~chat.carriage`), tells and hears who comes and goes, and
looks every few seconds whether a word of something in the store was lost.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence, Set
from contextlib import suppress
from typing import Any

from .carriage import Carriage
from .claims import Claims
from .cluster import Bus, Message, Subscription
from .config import Settings
from .delivery import Delivery
from .envelopes import (
    ALL_NODES,
    Changed,
    Deleted,
    Envelope,
    Here,
    Hint,
    Look,
    Seen,
    node_subject,
    pack,
    unpack,
    user_subject,
)
from .errors import StoreAway
from .interfaces import Clock, Store
from .leases import Lease
from .memberships import Memberships
from .model import User
from .owners import Owners
from .presence import Presence
from .rooms import Rooms

CHECK_SECONDS = 10.0
"""How often it is looked for what nobody said; every second while the bus is down."""

USERS = 20_000
"""What one message names at most."""


class Node:
    """See the module.  Implements :class:`chat.delivery.Elsewhere`.

    :param spawn: runs a coroutine and logs what it raises.
    :param soon: calls a function at the end of the read that is being worked off, or soon.
    :param work: calls a function with a message, and sends at once what comes of it.
    :param call_later: calls a function after so many seconds.
    :param pause: waits for so many seconds.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        bus: Bus,
        delivery: Delivery,
        presence: Presence,
        rooms: Rooms,
        memberships: Memberships,
        owners: Owners,
        clock: Clock,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        soon: Callable[[Callable[[], object]], object],
        work: Callable[[Callable[[Message], None], Message], None],
        call_later: Callable[[float, Callable[[], object]], object],
        pause: Callable[[float], Awaitable[None]],
    ) -> None:
        self.bus = bus
        self.lease = Lease(store.members, settings.node, clock, spawn)
        self.lease.over.append(self._over)
        self.lease.joined.append(self._joined)
        self.lease.taken.append(self._taken)
        self.lease.reaped.append(self._reaped)
        self.carrier = Carriage(
            settings, bus, self.lease, delivery, clock.monotonic, soon, call_later
        )
        self.claims = Claims(
            settings, store.members, bus, self.lease, delivery, clock.monotonic, spawn, call_later,
            pause,
        )  # fmt: skip
        self._now = clock.monotonic
        self._members = store.members
        self._offline = store.offline
        self._delivery = delivery
        self._presence = presence
        self._rooms = rooms
        self._spawn = spawn
        self._work = work
        self._mine: list[Subscription] = []
        self._users: dict[int, Subscription] = {}
        self._names: dict[int, str] = {}
        """Of whom it was told that they came."""
        self._check_at = 0.0
        self._checking = False
        bus.changed.append(self._bus_changed)
        delivery.elsewhere = self
        memberships.changes.append(self.changed)
        owners.deleted.append(self.deleted)

    async def open(self) -> None:
        """Become a member, and listen.

        :raises BadStart: the bus cannot be reached.
        """
        await self.bus.open()
        await self.lease.join()
        self._check_at = self._now() + CHECK_SECONDS

    async def leave(self) -> None:
        """Nobody is here any more; what comes from now on is told that nobody listens."""
        self.carrier.flush()
        for subscription in [*self._mine, *self._users.values()]:
            subscription.close()
        await self.claims.release(True)
        with suppress(StoreAway):
            await self.lease.leave()

    async def close(self) -> None:
        """Say the last, and hear no more."""
        await self.bus.close()

    # The membership

    def _joined(self) -> None:
        for subscription in self._mine:
            subscription.close()
        number = self.lease.number
        self._mine = [
            self.bus.subscribe(subject, self._checked(call))
            for subject, call in (
                (node_subject(number, "in"), self.carrier.on_batch),
                (node_subject(number, "out.>"), self.carrier.on_facts),
                (node_subject(number, "who.>"), self.carrier.on_here),
                (node_subject(number, "ask"), self.claims.on_probe),
                (ALL_NODES, self._on_news),
            )
        ]

    def _checked(self, call: Callable[[Message], None]) -> Callable[[Message], None]:
        """Nothing is worked off without a lease."""

        def checked(message: Message) -> None:
            self.lease.check(self._now())
            self._work(call, message)

        return checked

    def _over(self) -> None:
        for subscription in [*self._mine, *self._users.values()]:
            subscription.close()
        self._mine = []
        self._users.clear()
        self.claims.clear()
        self.carrier.clear()

    def _taken(self, user_id: int) -> None:
        """The user is on another node by now."""
        peer = self._delivery.online.get(user_id)
        if peer is not None:
            peer.replaced()
            self._delivery.release(user_id, peer)

    def _reaped(self, user: User) -> None:
        self._tell_all(Seen(node=0, user=user.id, name=user.name, epoch=0, online=False))
        self._presence.seen(user.id, user.name, False)

    def _tell_all(self, envelope: Envelope) -> None:
        self.bus.publish(ALL_NODES, pack(envelope))

    def _bus_changed(self, up: bool) -> None:
        if up:
            self._rooms.forget_all()
            self._check_at = self._now()
        else:
            self.carrier.cut()

    # Users come and go

    async def claim(self, user_id: int, takeover: bool) -> None:
        """See :class:`chat.delivery.Elsewhere`."""
        await self.claims.claim(user_id, takeover)

    def came(self, user_id: int, name: str) -> None:
        """The user's login here has been answered."""
        self._names[user_id] = name
        if user_id not in self._users:
            self._users[user_id] = self.bus.subscribe(
                user_subject(user_id), self._checked(self._on_user)
            )
        self._tell_seen(user_id, name, True)

    def _tell_seen(self, user_id: int, name: str, online: bool) -> None:
        epoch = self.lease.epochs.get(user_id, 0)
        number = self.lease.number
        self._tell_all(Seen(node=number, user=user_id, name=name, epoch=epoch, online=online))

    def released(self, user_id: int) -> None:
        """The user is not here any more, or the login has come to nothing."""
        self.carrier.arrivals.left(user_id)
        subscription = self._users.pop(user_id, None)
        if subscription is not None:
            subscription.close()
        name = self._names.pop(user_id, None)
        if name is not None:
            self._tell_seen(user_id, name, False)
        self.claims.left(user_id)

    def deleted(self, user_id: int, name: str, watchers: Sequence[int]) -> None:
        """There is no such user any more."""
        for start in range(0, len(watchers) or 1, USERS):
            some = list(watchers[start : start + USERS])
            self._tell_all(
                Deleted(node=self.lease.number, user=user_id, name=name, watchers=some)
            )

    # What others are told, and what they tell

    def hint(self, users: Sequence[int], line: bytes, sender: int = 0) -> None:
        """A line without custody for the level 2 clients of users who are not here."""
        for start in range(0, len(users), USERS):
            some = list(users[start : start + USERS])
            hint = pack(Hint(node=self.lease.number, line=line, users=some, sender=sender))
            self.bus.publish(user_subject(some[0]) if len(users) == 1 else ALL_NODES, hint)

    async def online(self, users: Sequence[int], viewer: int) -> Set[int]:
        """See :class:`chat.delivery.Elsewhere`."""
        return await self._members.online(users, viewer)

    def changed(self, group_id: int) -> None:
        """The members of a group have changed."""
        self._tell_all(Changed(node=self.lease.number, group=group_id))

    def _on_user(self, message: Message) -> None:
        envelope = unpack(message.data)
        if isinstance(envelope, Look):
            user_id = envelope.user
            epoch = self.lease.epochs.get(user_id)
            if epoch is None or user_id not in self._delivery.here:
                return
            if envelope.stored:
                self._delivery.mailboxes[user_id].appeared()
            here = Here(node=self.lease.number, user=user_id, epoch=epoch)
            self.bus.publish(message.reply, pack(here))
        elif isinstance(envelope, Hint):
            self._on_hint(envelope)

    def _on_hint(self, hint: Hint) -> None:
        for user_id in hint.users:
            self._delivery.signal_here(hint.sender, user_id, hint.line)

    def _on_news(self, message: Message) -> None:
        news = unpack(message.data)
        if news is None or news.node == self.lease.number:
            return
        if isinstance(news, Seen):
            self._on_seen(news)
        elif isinstance(news, Changed):
            self._rooms.forget(news.group)
        elif isinstance(news, Hint):
            self._on_hint(news)
        elif isinstance(news, Deleted):
            peer = self._delivery.online.get(news.user)
            self._delivery.forget(news.user)
            if peer is not None:
                peer.dismissed("the account is deleted")
            self._rooms.forget_user(news.user)
            self._presence.gone(news.user, news.name, news.watchers, elsewhere=True)

    def _on_seen(self, seen: Seen) -> None:
        if seen.online:
            epoch = self.lease.epochs.get(seen.user)
            if epoch is not None and epoch < seen.epoch:
                self._taken(seen.user)
            self.carrier.found(seen.user, seen.node, seen.epoch)
        if seen.user not in self._delivery.online:
            self._presence.seen(seen.user, seen.name, seen.online)

    # Time

    def tick(self, now: float) -> None:
        """Call it a few times a second."""
        self.lease.tick(now)
        if now >= self._check_at and not self._checking and self.lease.number:
            self._check_at = now + (CHECK_SECONDS if self.bus.up else 1.0)
            self._rooms.forget_all()
            self._checking = True
            self._spawn(self._check())

    async def _check(self) -> None:
        """Look for what nobody said is in the store."""
        try:
            mailboxes = self._delivery.mailboxes
            users = [
                user_id
                for user_id in self._delivery.here
                if user_id in mailboxes and mailboxes[user_id].settled
            ]
            found = await self._offline.census(users) if users else {}
        except StoreAway:
            return
        finally:
            self._checking = False
        self.lease.check(self._now())
        for user_id, census in found.items():
            mailbox = mailboxes.get(user_id)
            if mailbox is not None and mailbox.settled and census.waiting > mailbox.stored:
                mailbox.appeared()
