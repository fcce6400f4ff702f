"""One of several servers that are one: what it says to the others over the bus, and hears of them.

A :class:`Node` is the carrier of the :mod:`~chat.routes`, takes what others send to the
:mod:`~chat.arrivals`, claims the users who log in, and looks every few seconds whether a word of
something in the store was lost.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence, Set
from contextlib import suppress
from typing import Any

from .arrivals import Arrivals
from .cluster import Bus, BusAway, Claim, Message, NoResponder, Subscription
from .config import Settings
from .delivery import Delivery
from .envelopes import (
    ALL_NODES,
    Batch,
    Changed,
    Deleted,
    Entry,
    Envelope,
    Fact,
    Facts,
    Here,
    Hint,
    Look,
    Probe,
    Probed,
    Seen,
    To,
    node_subject,
    pack,
    unpack,
    user_subject,
)
from .errors import ChatError, Code, StoreAway
from .interfaces import Clock, Store
from .leases import Lease
from .mailbox import busy
from .memberships import Memberships
from .model import User
from .owners import Owners
from .presence import Presence
from .rooms import Rooms
from .routes import AGAIN_SECONDS, PATIENCE, Item, entry_of

PROBE_SECONDS = 1.5
"""Beyond :attr:`chat.config.Settings.takeover_seconds`, how long another node may take to say
whether a user is there."""

STORED_SECONDS = 2.0
"""How long a login elsewhere waits for what was in flight here to be stored."""

CHECK_SECONDS = 10.0
"""How often it is looked for what nobody said; every second while the bus is down."""

RELEASE_SECONDS = 0.1
"""Those who have left within as long are told to the database together."""

OVERHEAD = 200
"""Bytes of an entry beside its lines, about."""

USERS = 20_000
FACTS = 5000
"""What one message names at most."""

_SETTLING = 0.02


class _Outgoing:
    """What goes to one node in this turn."""

    __slots__ = ("entries", "size", "source")

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.size = 0
        self.source: object = None


class Node:
    """See the module.  Implements :class:`chat.routes.Carrier`, :class:`chat.arrivals.Answering`
    and :class:`chat.delivery.Elsewhere`.

    :param soon: calls a function at the end of the read that is being worked off, or soon.
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
        call_later: Callable[[float, Callable[[], object]], object],
        pause: Callable[[float], Awaitable[None]],
    ) -> None:
        self.bus = bus
        self.lease = Lease(store.members, settings.node, clock, spawn)
        self.lease.over.append(self._over)
        self.lease.joined.append(self._joined)
        self.lease.taken.append(self._taken)
        self.lease.reaped.append(self._reaped)
        self.patience = settings.keep_after_seconds + PATIENCE
        self.now = clock.monotonic
        self.arrivals = Arrivals(delivery, self.lease.epochs, settings, self, clock.monotonic)
        self.posted = 0
        """Messages that went to other nodes."""
        self.received = 0
        """Messages that came from them."""
        self.looks = 0
        """How often it was asked where a user is."""
        self.gone = 0
        self.given_up = 0
        self._settings = settings
        self._members = store.members
        self._offline = store.offline
        self._delivery = delivery
        self._presence = presence
        self._rooms = rooms
        self._spawn = spawn
        self._soon = soon
        self._call_later = call_later
        self._pause = pause
        self._numbers = 0
        self._outgoing: dict[int, _Outgoing] = {}
        self._facts: dict[int, list[Fact]] = {}
        self._flushing = False
        self._mine: list[Subscription] = []
        self._users: dict[int, Subscription] = {}
        self._names: dict[int, str] = {}
        self._left: dict[int, tuple[int, float]] = {}
        """Epochs of who has left and when the database is told at the latest."""
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
        self._check_at = self.now() + CHECK_SECONDS

    async def leave(self) -> None:
        """Nobody is here any more; what comes from now on is told that nobody listens."""
        self._flush()
        for subscription in [*self._mine, *self._users.values()]:
            subscription.close()
        await self._release(True)
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
                (node_subject(number, "in"), self._on_batch),
                (node_subject(number, "out.>"), self._on_facts),
                (node_subject(number, "who.>"), self._on_here),
                (node_subject(number, "ask"), self._on_probe),
                (ALL_NODES, self._on_news),
            )
        ]

    def _checked(self, call: Callable[[Message], None]) -> Callable[[Message], None]:
        """Nothing is worked off without a lease."""

        def checked(message: Message) -> None:
            self.lease.check(self.now())
            call(message)

        return checked

    def _over(self) -> None:
        for subscription in [*self._mine, *self._users.values()]:
            subscription.close()
        self._mine = []
        self._users.clear()
        self._left.clear()
        self._outgoing.clear()
        self._facts.clear()

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
            self._check_at = self.now()
            return
        for mailbox in list(self._delivery.mailboxes.values()):
            if mailbox.route is not None:
                mailbox.route.cut()

    # Users come and go

    async def claim(self, user_id: int, takeover: bool) -> None:
        """The user is on this node from now on.

        :raises ChatError: 2, is on another one and answers there; 108, nobody knows.
        """
        lease = self.lease
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
            node=self.lease.number, user=user_id, epoch=claim.epoch, takeover=takeover
        )
        seconds = self._settings.takeover_seconds + STORED_SECONDS + PROBE_SECONDS
        try:
            data = await self.bus.request(node_subject(claim.node, "ask"), pack(probe), seconds)
        except NoResponder:
            return False
        except BusAway:
            if not self.bus.up:
                # It is us who cannot be heard: wait for the other's lease to end.
                raise busy() from None
            return False
        answer = unpack(data)
        return isinstance(answer, Probed) and answer.in_use

    def _on_probe(self, message: Message) -> None:
        probe = unpack(message.data)
        if isinstance(probe, Probe):
            self._spawn(self._probe(probe, message.reply))

    async def _probe(self, probe: Probe, reply: str) -> None:
        in_use = await self._answers(probe)
        self.bus.publish(reply, pack(Probed(node=self.lease.number, in_use=in_use)))

    async def _answers(self, probe: Probe) -> bool:
        user_id = probe.user
        peer = self._delivery.online.get(user_id)
        # Of another login than the one in question nothing is said: who asks will learn of it.
        if peer is not None and self.lease.epochs.get(user_id) == probe.epoch:
            if not probe.takeover and await peer.still_there():
                return True
            if self._delivery.online.get(user_id) is peer:
                peer.replaced()
                self._delivery.release(user_id, peer)
        # What was in flight here goes before what is sent to the user there, and what the user has
        # received here is not to be seen there.
        deadline = self.now() + STORED_SECONDS
        while self._is_changing(user_id) and self.now() < deadline:
            await self._pause(_SETTLING)
        return False

    def _is_changing(self, user_id: int) -> bool:
        mailbox = self._delivery.mailboxes.get(user_id)
        return mailbox is not None and mailbox.changing

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
        self.arrivals.left(user_id)
        subscription = self._users.pop(user_id, None)
        if subscription is not None:
            subscription.close()
        name = self._names.pop(user_id, None)
        if name is not None:
            self._tell_seen(user_id, name, False)
        epoch = self.lease.epochs.pop(user_id, None)
        if epoch is not None:
            if not self._left:
                self._release_later()
            self._left[user_id] = (epoch, self.now() + STORED_SECONDS)

    def _release_later(self) -> None:
        self._call_later(RELEASE_SECONDS, lambda: self._spawn(self._release(False)))

    async def _release(self, all_of_them: bool) -> None:
        """Tell the database who has left; of whom something is still on its way into the store or
        out of it, we are asked."""
        now = self.now()
        left = {
            user_id: epoch
            for user_id, (epoch, until) in self._left.items()
            if all_of_them or now >= until or not self._is_changing(user_id)
        }
        for user_id in left:
            del self._left[user_id]
        if self._left:
            self._release_later()
        if left and self.lease.number:
            # If it cannot be told: whoever logs in elsewhere asks us, or waits for our lease's end.
            with suppress(StoreAway):
                await self._members.release(self.lease.number, left)

    def deleted(self, user_id: int, name: str, watchers: Sequence[int]) -> None:
        """There is no such user any more."""
        for start in range(0, len(watchers) or 1, USERS):
            some = list(watchers[start : start + USERS])
            self._tell_all(
                Deleted(node=self.lease.number, user=user_id, name=name, watchers=some)
            )

    # To other nodes: implements chat.routes.Carrier

    @property
    def most(self) -> int:
        """See :class:`chat.routes.Carrier`."""
        return self.bus.most // 4

    def next_route(self) -> int:
        """See :class:`chat.routes.Carrier`."""
        self._numbers += 1
        return self._numbers

    def post(self, node: int, item: Item, source: object, to: To) -> int:
        """See :class:`chat.routes.Carrier`."""
        outgoing = self._outgoing.get(node)
        if outgoing is None:
            outgoing = self._outgoing[node] = _Outgoing()
        elif source is not None and source is outgoing.source:
            entry = outgoing.entries[-1]
            entry.to.append(to)
            outgoing.size += OVERHEAD // 4
            return entry.number
        self._numbers += 1
        entry = entry_of(self._numbers, item, to)
        outgoing.entries.append(entry)
        outgoing.source = source
        outgoing.size += OVERHEAD + sum(map(len, entry.lines))
        self._flush_soon()
        return entry.number

    def look(self, user_id: int, stored: bool, again: bool) -> None:
        """See :class:`chat.routes.Carrier`."""
        if again:
            self._call_later(AGAIN_SECONDS, lambda: self._look(user_id, stored))
        else:
            self._look(user_id, stored)

    def _look(self, user_id: int, stored: bool) -> None:
        self.looks += 1
        number = self.lease.number
        reply = node_subject(number, f"who.{user_id}")
        look = pack(Look(node=number, user=user_id, stored=stored))
        if not self.bus.publish(user_subject(user_id), look, reply):
            self._call_later(0, lambda: self._nowhere(user_id))

    def _nowhere(self, user_id: int) -> None:
        mailbox = self._delivery.mailboxes.get(user_id)
        if mailbox is not None and mailbox.route is not None:
            mailbox.route.nowhere()

    def has_more(self, sender: int, user_id: int) -> bool:
        """See :class:`chat.routes.Carrier`."""
        return self._delivery.has_more(sender, user_id)

    def was_delivered(self, user_id: int, sender: int, cid: str) -> bool:
        """See :class:`chat.routes.Carrier`."""
        return self.arrivals.delivered(user_id, sender, cid)

    def answer(self, node: int, fact: Fact) -> None:
        """See :class:`chat.arrivals.Answering`."""
        facts = self._facts.get(node)
        if facts is None:
            facts = self._facts[node] = []
            self._flush_soon()
        elif facts:
            last = facts[-1]
            same = last.number == fact.number and last.code == fact.code
            if same and last.index == fact.index:
                last.users += fact.users
                return
        facts.append(fact)

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        number = self.lease.number
        facts, self._facts = self._facts, {}
        for node, some in _portions(facts):
            subject = node_subject(node, f"out.{number}")
            self.bus.publish(subject, pack(Facts(node=number, facts=some)))
        outgoing, self._outgoing = self._outgoing, {}
        for node, out in outgoing.items():
            self._send(node, out)

    def _send(self, node: int, out: _Outgoing) -> None:
        number = self.lease.number
        subject, reply = node_subject(node, "in"), node_subject(number, f"out.{node}")
        entries = out.entries
        most = self.bus.most // 2
        while entries:
            count, size = 0, 0
            while count < len(entries) and (not count or size < most):
                size += OVERHEAD + sum(map(len, entries[count].lines))
                count += 1
            some, entries = entries[:count], entries[count:]
            self.posted += sum(len(entry.lines) * len(entry.to) for entry in some)
            if not self.bus.publish(subject, pack(Batch(node=number, entries=some)), reply):
                self._call_later(0, lambda: self._lost(node))
                return

    def _lost(self, node: int) -> None:
        """Nothing that goes to this node arrives."""
        for mailbox in list(self._delivery.mailboxes.values()):
            if mailbox.route is not None:
                mailbox.route.lost(node)

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

    # From other nodes

    def _on_batch(self, message: Message) -> None:
        batch = unpack(message.data)
        if isinstance(batch, Batch) and self.lease.number:
            for entry in batch.entries:
                self.received += len(entry.lines) * len(entry.to)
                self.arrivals.take(batch.node, entry)

    def _on_facts(self, message: Message) -> None:
        if message.undelivered:
            self._lost(int(message.subject.rpartition(".")[2]))
            return
        facts = unpack(message.data)
        if not isinstance(facts, Facts):
            return
        mailboxes = self._delivery.mailboxes
        for fact in facts.facts:
            for user_id in fact.users:
                mailbox = mailboxes.get(user_id)
                if mailbox is not None and mailbox.route is not None:
                    mailbox.route.fact(fact.number, fact.index, fact.code)

    def _on_here(self, message: Message) -> None:
        if message.undelivered:
            self._nowhere(int(message.subject.rpartition(".")[2]))
            return
        here = unpack(message.data)
        if isinstance(here, Here):
            self._found(here.user, here.node, here.epoch)

    def _found(self, user_id: int, node: int, epoch: int) -> None:
        mailbox = self._delivery.mailboxes.get(user_id)
        if mailbox is not None and mailbox.route is not None and node != self.lease.number:
            mailbox.route.found(node, epoch)

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
            self._delivery.forget(news.user)
            self._rooms.forget_user(news.user)
            self._presence.gone(news.user, news.name, news.watchers, elsewhere=True)

    def _on_seen(self, seen: Seen) -> None:
        if seen.online:
            epoch = self.lease.epochs.get(seen.user)
            if epoch is not None and epoch < seen.epoch:
                self._taken(seen.user)
            self._found(seen.user, seen.node, seen.epoch)
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
        self.lease.check(self.now())
        for user_id, census in found.items():
            mailbox = mailboxes.get(user_id)
            if mailbox is not None and mailbox.settled and census.waiting > mailbox.stored:
                mailbox.appeared()


def _portions(facts: dict[int, list[Fact]]) -> Iterator[tuple[int, list[Fact]]]:
    """By node, as many as one message takes."""
    for node, all_of_them in facts.items():
        some: list[Fact] = []
        names = 0
        for fact in all_of_them:
            if some and names + len(fact.users) > FACTS:
                yield node, some
                some, names = [], 0
            some.append(fact)
            names += len(fact.users)
        yield node, some
