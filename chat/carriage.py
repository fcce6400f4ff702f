"""What goes from this node to others and comes back: entries and their facts, and the question
where a user is.

What one turn brings for one node travels as one message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .arrivals import Arrivals
from .cluster import Bus, Message
from .config import Settings
from .delivery import Delivery
from .envelopes import (
    Batch,
    Entry,
    Fact,
    Facts,
    Here,
    Look,
    To,
    node_subject,
    pack,
    unpack,
    user_subject,
)
from .leases import Lease
from .routes import AGAIN_SECONDS, PATIENCE, Item, entry_of

OVERHEAD = 200
"""Bytes of an entry beside its lines, about."""

FACTS = 5000
"""What one message tells at most."""


class _Outgoing:
    """What goes to one node in this turn."""

    __slots__ = ("entries", "size", "source")

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.size = 0
        self.source: object = None


class Carriage:
    """Implements :class:`chat.routes.Carrier` and :class:`chat.arrivals.Answering`.

    :param now: monotonic seconds.
    :param soon: calls a function at the end of the read that is being worked off, or soon.
    :param call_later: calls a function after so many seconds.
    """

    def __init__(
        self,
        settings: Settings,
        bus: Bus,
        lease: Lease,
        delivery: Delivery,
        now: Callable[[], float],
        soon: Callable[[Callable[[], object]], object],
        call_later: Callable[[float, Callable[[], object]], object],
    ) -> None:
        self.now = now
        self.patience = settings.keep_after_seconds + PATIENCE
        self.arrivals = Arrivals(delivery, lease.epochs, settings, self, now)
        self.posted = 0
        """Messages that went to other nodes."""
        self.received = 0
        """Messages that came from them."""
        self.looks = 0
        """How often it was asked where a user is."""
        self.gone = 0
        self.given_up = 0
        self._bus = bus
        self._lease = lease
        self._delivery = delivery
        self._soon = soon
        self._call_later = call_later
        self._numbers = 0
        self._outgoing: dict[int, _Outgoing] = {}
        self._facts: dict[int, list[Fact]] = {}
        self._flushing = False

    # To other nodes: implements chat.routes.Carrier

    @property
    def most(self) -> int:
        """See :class:`chat.routes.Carrier`."""
        return self._bus.most // 4

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
        number = self._lease.number
        reply = node_subject(number, f"who.{user_id}")
        look = pack(Look(node=number, user=user_id, stored=stored))
        if not self._bus.publish(user_subject(user_id), look, reply):
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
            self._soon(self.flush)

    def flush(self) -> None:
        """Send what has been collected."""
        self._flushing = False
        number = self._lease.number
        facts, self._facts = self._facts, {}
        for node, some in _portions(facts):
            subject = node_subject(node, f"out.{number}")
            self._bus.publish(subject, pack(Facts(node=number, facts=some)))
        outgoing, self._outgoing = self._outgoing, {}
        for node, out in outgoing.items():
            self._send(node, out)

    def _send(self, node: int, out: _Outgoing) -> None:
        number = self._lease.number
        subject, reply = node_subject(node, "in"), node_subject(number, f"out.{node}")
        entries = out.entries
        most = self._bus.most // 2
        while entries:
            count, size = 0, 0
            while count < len(entries) and (not count or size < most):
                size += OVERHEAD + sum(map(len, entries[count].lines))
                count += 1
            some, entries = entries[:count], entries[count:]
            self.posted += sum(len(entry.lines) * len(entry.to) for entry in some)
            if not self._bus.publish(subject, pack(Batch(node=number, entries=some)), reply):
                self._call_later(0, lambda: self.lost(node))
                return

    def lost(self, node: int) -> None:
        """Nothing that goes to this node arrives."""
        for mailbox in list(self._delivery.mailboxes.values()):
            if mailbox.route is not None:
                mailbox.route.lost(node)

    def clear(self) -> None:
        """Send nothing of it."""
        self._outgoing.clear()
        self._facts.clear()

    def cut(self) -> None:
        """No other node can be reached."""
        for mailbox in list(self._delivery.mailboxes.values()):
            if mailbox.route is not None:
                mailbox.route.cut()

    def found(self, user_id: int, node: int, epoch: int) -> None:
        """A user is on this node."""
        mailbox = self._delivery.mailboxes.get(user_id)
        if mailbox is not None and mailbox.route is not None and node != self._lease.number:
            mailbox.route.found(node, epoch)

    # From other nodes

    def on_batch(self, message: Message) -> None:
        """Messages for users who are here."""
        batch = unpack(message.data)
        if isinstance(batch, Batch) and self._lease.number:
            for entry in batch.entries:
                self.received += len(entry.lines) * len(entry.to)
                self.arrivals.take(batch.node, entry)

    def on_facts(self, message: Message) -> None:
        """What has become of ours; or that their node is gone."""
        if message.undelivered:
            self.lost(int(message.subject.rpartition(".")[2]))
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

    def on_here(self, message: Message) -> None:
        """Where a user is; or that nobody listens for that one."""
        if message.undelivered:
            self._nowhere(int(message.subject.rpartition(".")[2]))
            return
        here = unpack(message.data)
        if isinstance(here, Here):
            self.found(here.user, here.node, here.epoch)


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
