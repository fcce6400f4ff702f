"""What other nodes send to the users who are here.

Each entry goes into its user's mailbox, which has the custody of it from then on, beside the node
that sent it; what becomes of it is told to that node.  An entry that comes late, or behind one that
is missing, is not taken: the sender's node has stored it, or will.

A message that has come before, from another node say, to which its sender has moved, is not pushed
again: it is answered as the first one was.  Pure: the time is passed in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import json

from .config import Settings
from .copies import Copy
from .delivery import Delivery
from .envelopes import BROKEN, FEIGNED, GONE, Entry, Fact, To
from .errors import ChatError, Code
from .mailbox import Mailbox
from .messages import Chat, MsgId
from .receipts import State, digest_of
from .runs import Run

Pair = tuple[int, int]
"""Recipient and sender."""


class Answering(Protocol):
    """Who takes the facts to the nodes."""

    def answer(self, node: int, fact: Fact) -> None:
        """Send a fact, with all others of this turn."""


class Arrived:
    """The messages of one entry for one user: what becomes of them is told to their node.

    While nothing has to be told of a single one, it is one fact.
    """

    __slots__ = ("_arrivals", "_node", "_number", "at", "cids", "pair", "parts", "state")

    def __init__(
        self, arrivals: Arrivals, node: int, number: int, pair: Pair, cids: list[str], at: float
    ) -> None:
        self._arrivals = arrivals
        self._node = node
        self._number = number
        self.pair = pair
        self.cids = cids
        self.at = at
        self.state: State | None = None
        """Of all of them, once it is known."""
        self.parts: list[Part] | None = None

    def settle_many(self, count: int, state: State) -> None:
        """All of them are served."""
        if self.parts is not None:
            for part in self.parts:
                part.settle(state)
            return
        self.state = state
        self.tell(-1, state)

    def apart(self) -> list[Part]:
        """The messages; from now on each is answered by itself."""
        if self.parts is None:
            self.parts = [Part(self, index, self.state) for index in range(len(self.cids))]
        return self.parts

    def tell(self, index: int, code: int) -> None:
        """This has become of one of them, or of all (-1)."""
        arrivals = self._arrivals
        arrivals.carrier.answer(self._node, Fact(self._number, [self.pair[0]], index, code))

    def refused(self, index: int, code: int) -> None:
        """One of them is not taken, and may come again."""
        arrivals = self._arrivals
        arrivals.forget(self, self.cids[index])
        if code == Code.BUSY:
            arrivals.shut(self._node, self.pair[0])
        self.tell(index, code)


class Part:
    """One of them; implements :class:`chat.receipts.Receipt`."""

    __slots__ = ("_arrived", "_index", "copy", "others", "state")

    def __init__(self, arrived: Arrived, index: int, state: State | None) -> None:
        self._arrived = arrived
        self._index = index
        self.state = state
        self.copy: Copy | None = None
        """What is in the mailbox."""
        self.others: list[Part] | None = None
        """The same message, come again meanwhile."""

    def settle(self, state: State) -> None:
        """See :class:`chat.receipts.Receipt`."""
        self.state = state
        feigned = self.copy is not None and self.copy.void
        self.copy = None
        self._arrived.tell(self._index, FEIGNED if feigned else state)
        others, self.others = self.others, None
        for other in others or ():
            other.settle(state)

    def refuse(self, error: ChatError) -> None:
        """See :class:`chat.receipts.Receipt`."""
        self.copy = None
        self._arrived.refused(self._index, error.code)
        others, self.others = self.others, None
        for other in others or ():
            other.refuse(error)


class Echo:
    """What is answered to somebody who was here, is told where that one is now; implements
    :class:`chat.receipts.Answers`."""

    level = 2

    def __init__(self, part: Part) -> None:
        self._part = part

    def answer(self, line: bytes) -> None:
        """The answer to the message."""
        said = json.decode(line)
        if said["errno"]:
            self._part.refuse(ChatError(Code(said["errno"])))
        else:
            self._part.settle(State[said["state"].upper()])

    def answer_all(self, lines: list[bytes]) -> None:
        """The same, one by one."""
        for line in lines:
            self.answer(line)


class Arrivals:
    """All entries that come to this node.

    :param epochs: of the logins that are here, by user.
    """

    def __init__(
        self,
        delivery: Delivery,
        epochs: dict[int, int],
        settings: Settings,
        carrier: Answering,
        now: Callable[[], float],
    ) -> None:
        self.carrier = carrier
        self._delivery = delivery
        self._epochs = epochs
        self._most = settings.remembered_total
        self._seconds = settings.remembered_seconds
        self._now = now
        self._routes: dict[int, dict[int, list[int]]] = {}
        """By user and node: the route, and the place that comes next on it; -1: it is shut."""
        self._known: dict[Pair, dict[str, Arrived]] = {}
        """What has come, by its cid."""
        self._order: deque[Arrived] = deque()
        self._remembered = 0
        """Messages in it."""

    def take(self, node: int, entry: Entry) -> None:
        """Take an entry of another node."""
        cids = entry.cids
        if cids is None:
            stamps: Sequence[int] = entry.stamps
            if len(stamps) < len(entry.lines):
                stamps = range(stamps[0], stamps[0] + len(entry.lines))
            cids = [f"{entry.prefix}{stamp}" for stamp in stamps]
        size = sum(map(len, entry.lines)) + len(entry.lines)
        for to in entry.to:
            code = self._place(node, to)
            if code is None:
                continue
            if code:
                self.carrier.answer(node, Fact(entry.number, [to.user], -1, code))
                continue
            mailbox = self._delivery.mailboxes[to.user]
            if to.look:
                mailbox.appeared()
            self._deliver(mailbox, node, entry, cids, size)

    def _place(self, node: int, to: To) -> int | None:
        """0: it is next on its route; None: it comes too late to be answered."""
        if self._epochs.get(to.user) != to.epoch or to.user not in self._delivery.here:
            return GONE
        routes = self._routes.setdefault(to.user, {})
        route = routes.get(node)
        if route is None or to.route > route[0]:
            route = routes[node] = [to.route, 0]
        elif to.route < route[0]:
            return None
        if to.place != route[1]:
            if 0 <= to.place < route[1]:
                return None
            route[1] = -1
            return BROKEN
        route[1] += 1
        return 0

    def shut(self, node: int, user_id: int) -> None:
        """Nothing more is taken on this route."""
        route = self._routes.get(user_id, {}).get(node)
        if route is not None:
            route[1] = -1

    def left(self, user_id: int) -> None:
        """The user is not here any more."""
        self._routes.pop(user_id, None)

    def _deliver(
        self, mailbox: Mailbox, node: int, entry: Entry, cids: list[str], size: int
    ) -> None:
        sender = entry.sender
        pair = mailbox.user_id, sender
        now = self._now()
        arrived = Arrived(self, node, entry.number, pair, cids, now)
        again: set[str] = set()
        known = self._known.get(pair)
        if known is not None and not known.keys().isdisjoint(cids):
            again = known.keys() & cids
        if entry.kind == MsgId.ONE_CHAT:
            # The sender may have been here before, and have sent it from here.
            before = self._delivery.senders.get(sender)
            if before is not None and not before.sent.keys().isdisjoint(cids):
                again |= before.sent.keys() & cids
        self._remember(arrived, [cid for cid in cids if cid not in again] if again else cids)
        stamps = entry.stamps
        run = Run(
            sender, stamps[0], entry.cids, entry.prefix, entry.lines, arrived, now, size,
            kind=entry.kind, stamps=stamps if len(stamps) > 1 else None,
        )  # fmt: skip
        if not again and mailbox.receiver is not None and mailbox.room(sender) >= len(cids):
            mailbox.push_run(run)
            return
        parts = arrived.apart()
        copies = []
        for copy, part in zip(run.apart(), parts, strict=True):
            copy.in_window = False
            copy.place = 0
            assert copy.ask is not None
            if copy.cid in again and self._repeated(pair, copy.cid, copy.ask, part):
                continue
            part.copy = copy
            copies.append(copy)
        if copies:
            mailbox.send_all(copies)

    # What has come before

    def _remember(self, arrived: Arrived, new: list[str]) -> None:
        if new:
            self._known.setdefault(arrived.pair, {}).update(dict.fromkeys(new, arrived))
        order = self._order
        order.append(arrived)
        self._remembered += len(arrived.cids)
        before = arrived.at - self._seconds
        while order and (order[0].at < before or self._remembered > self._most):
            oldest = order.popleft()
            self._remembered -= len(oldest.cids)
            for cid in oldest.cids:
                self.forget(oldest, cid)

    def forget(self, arrived: Arrived, cid: str) -> None:
        """What comes under this name is new."""
        known = self._known.get(arrived.pair)
        if known is not None and known.get(cid) is arrived:
            del known[cid]
            if not known:
                del self._known[arrived.pair]

    def _repeated(self, pair: Pair, cid: str, ask: Chat, part: Part) -> bool:
        """Answer as before, or when the first one is answered; False: it has not come before."""
        before = self._known.get(pair, {}).get(cid)
        if before is None:
            return self._sent_from_here(pair, cid, ask, part)
        if before.state is not None:
            part.settle(before.state)
            return True
        first = before.apart()[before.cids.index(cid)]
        if first.state is not None:
            part.settle(first.state)
        else:
            first.others = [*(first.others or ()), part]
        return True

    def _sent_from_here(self, pair: Pair, cid: str, ask: Chat, part: Part) -> bool:
        user, sender = pair
        sent = self._delivery.senders[sender].known(cid)
        if sent is None or sent.kind != MsgId.ONE_CHAT or sent.target != user:
            return False
        try:
            sent.again(Echo(part), digest_of(MsgId.ONE_CHAT, user, hash(ask.msg)))
        except ChatError as error:
            part.refuse(error)
        return True

    def delivered(self, user_id: int, sender: int, cid: str) -> bool:
        """Whether this message, which another node may have stored as well, has been received."""
        arrived = self._known.get((user_id, sender), {}).get(cid)
        if arrived is None:
            return False
        state = arrived.state
        if arrived.parts is not None:
            state = arrived.parts[arrived.cids.index(cid)].state
        return state in (State.PUSHED, State.DELIVERED)
