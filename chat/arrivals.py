"""What other nodes send to the users who are here.

Each entry goes into its user's mailbox, which has the custody of it from then on, beside the node
that sent it; what becomes of it is told to that node.  An entry that comes late, or behind one that
is missing, is not taken: the sender's node has stored it, or will.

A message that has come before, from another node say, to which its sender has moved, is not pushed
again: it is answered as the first one was.  Pure: the time is passed in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Set
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
from .wire import parse

Name = tuple[int, int, str]
"""Recipient, sender, cid."""


class Answering(Protocol):
    """Who takes the facts to the nodes."""

    def answer(self, node: int, fact: Fact) -> None:
        """Send a fact, with all others of this turn."""


class Arrived:
    """The messages of one entry for one user: what becomes of them is told to their node.

    While nothing has to be told of a single one, it is one fact.
    """

    __slots__ = ("_arrivals", "_node", "_number", "at", "names", "parts", "route", "state", "user")

    def __init__(
        self, arrivals: Arrivals, node: int, number: int, user: int, names: list[Name], at: float
    ) -> None:
        self._arrivals = arrivals
        self._node = node
        self._number = number
        self.user = user
        self.names = names
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
            self.parts = [Part(self, index, self.state) for index in range(len(self.names))]
        return self.parts

    def tell(self, index: int, code: int) -> None:
        """This has become of one of them, or of all (-1)."""
        arrivals = self._arrivals
        arrivals.carrier.answer(self._node, Fact(self._number, [self.user], index, code))

    def refused(self, index: int, code: int) -> None:
        """One of them is not taken, and may come again."""
        arrivals = self._arrivals
        arrivals.forget(self.names[index], self)
        if code == Code.BUSY:
            arrivals.shut(self._node, self.user)
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
        self._known: dict[Name, Arrived] = {}
        self._order: deque[Arrived] = deque()

    def take(self, node: int, entry: Entry) -> None:
        """Take an entry of another node."""
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
            self._deliver(mailbox, node, entry, to.user)

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

    def _deliver(self, mailbox: Mailbox, node: int, entry: Entry, user: int) -> None:
        lines = entry.lines
        count = len(lines)
        sender = entry.sender
        cids = entry.cids
        if cids is None:
            cids = [f"{entry.prefix}{stamp}" for stamp in entry.stamps]
        names = [(user, sender, cid) for cid in cids]
        now = self._now()
        arrived = Arrived(self, node, entry.number, user, names, now)
        known = self._known
        again = {index for index, name in enumerate(names) if name in known}
        # The sender may have been here before, and have sent it from here.
        before = self._delivery.senders.get(sender)
        if before is not None and before.sent and entry.kind == MsgId.ONE_CHAT:
            again.update(index for index, cid in enumerate(cids) if cid in before.sent)
        self._remember(arrived, again)
        first = entry.stamps[0]
        if (
            not again
            and entry.kind == MsgId.ONE_CHAT
            and entry.stamps[-1] - first == count - 1
            and mailbox.receiver is not None
            and mailbox.room(sender) >= count
        ):
            mailbox.push_run(
                Run(sender, first, entry.cids, entry.prefix, lines, arrived, now,
                    sum(map(len, lines)) + count)
            )  # fmt: skip
            return
        parts = arrived.apart()
        copies = []
        for index, line in enumerate(lines):
            ask = parse(line)
            assert isinstance(ask, Chat)
            if index in again and self._repeated(names[index], ask, parts[index]):
                continue
            copy = Copy(
                sender, entry.stamps[index], cids[index], entry.cids is None, entry.kind, line,
                parts[index], now, ask,
            )  # fmt: skip
            parts[index].copy = copy
            copies.append(copy)
        if copies:
            mailbox.send_all(copies)

    # What has come before

    def _remember(self, arrived: Arrived, but: Set[int]) -> None:
        known = self._known
        for index, name in enumerate(arrived.names):
            if index not in but:
                known[name] = arrived
        order = self._order
        order.append(arrived)
        before = arrived.at - self._seconds
        while order and (order[0].at < before or len(known) > self._most):
            for name in order[0].names:
                self.forget(name, order[0])
            order.popleft()

    def forget(self, name: Name, arrived: Arrived) -> None:
        """What comes under this name is new."""
        if self._known.get(name) is arrived:
            del self._known[name]

    def _repeated(self, name: Name, ask: Chat, part: Part) -> bool:
        """Answer as before, or when the first one is answered; False: it has not come before."""
        before = self._known.get(name)
        if before is None:
            return self._sent_from_here(name, ask, part)
        if before.state is not None:
            part.settle(before.state)
            return True
        first = before.apart()[before.names.index(name)]
        if first.state is not None:
            part.settle(first.state)
        else:
            first.others = [*(first.others or ()), part]
        return True

    def _sent_from_here(self, name: Name, ask: Chat, part: Part) -> bool:
        user, sender, cid = name
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
        arrived = self._known.get((user_id, sender, cid))
        if arrived is None:
            return False
        state = arrived.state
        if arrived.parts is not None:
            state = arrived.parts[arrived.names.index((user_id, sender, cid))].state
        return state in (State.PUSHED, State.DELIVERED)
