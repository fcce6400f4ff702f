"""The way of messages to users who may be on another node.

Each user who is not here, and to whom something is sent, has one :class:`Route`.  All messages to
that user take one way at a time, so that none overtakes another::

    looking   it is asked for the user; what arrives waits in memory
    there     the user is on a node: what arrives goes there, and waits for its fact
    leaving   the user is not there any more: what arrives waits for the facts of what went before
    settling  the way is known, but something of ours is still on its way into the store
    away      the user is nowhere: what arrives goes into the store
    here      the user is on this node: there is no route

Custody stays here until the fact is there.  When one fact is not there in time, or something was
lost on the way, everything unanswered goes into the store, in one transaction and in order; only
then the next way is used, and the first message on it says that the store has to be looked into
before it.  Pure: no I/O, the time is passed in.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Protocol

from .copies import Copy
from .envelopes import BROKEN, FEIGNED, GONE, Entry, To
from .errors import ChatError, Code
from .mailbox import Mailbox, busy
from .receipts import State
from .runs import Run

PATIENCE = 1.0
"""Seconds beyond :attr:`chat.config.Settings.keep_after_seconds`, when the other node stores what
its client does not acknowledge, after which a fact is not waited for any more."""

LOOK_SECONDS = 0.5
"""How long an answer to the question where a user is may take."""

AGAIN_SECONDS = 0.03
"""After which it is asked once more where a user is who is nowhere: somebody may just be on the way
from one node to another."""

POKE_SECONDS = 0.2
"""How often at most the user's node, if there is one, is told that something was stored."""

IDLE_SECONDS = 30.0
"""What is known of a user who is not here is forgotten so long after it was last needed: when even
a word that was lost has been made up for, at the user's node."""

ROUTE_BYTES = 4 << 20
WAITING_BYTES = 1 << 20
"""What may be unanswered, and what may wait; beyond it everything goes into the store."""

Item = Run | list[Copy]
"""What travels as one entry."""


class Way(Enum):
    """The states of the drawing."""

    LOOKING = "looking"
    THERE = "there"
    LEAVING = "leaving"
    SETTLING = "settling"
    AWAY = "away"
    HERE = "here"


class Carrier(Protocol):
    """What routes ask of the node."""

    patience: float
    """Seconds after which a fact is not waited for any more."""

    @property
    def most(self) -> int:
        """Bytes that one item may have."""

    gone: int
    """Entries that came back, as their user was not there any more."""
    given_up: int
    """Messages that went into the store, as nothing was known of them in time."""

    def now(self) -> float:
        """Monotonic seconds."""

    def next_route(self) -> int:
        """A number higher than any before."""

    def post(self, node: int, item: Item, source: object, to: To) -> int:
        """Send an item, with all else of this turn; its number.  What has the same ``source`` for
        the same node becomes one entry."""

    def look(self, user_id: int, stored: bool, again: bool) -> None:
        """Ask for the user: :meth:`Route.found`, or :meth:`Route.nowhere`."""

    def has_more(self, sender: int, user_id: int) -> bool:
        """Whether something of this sender to this user may be in the store from another node; it
        is answered once."""

    def was_delivered(self, user_id: int, sender: int, cid: str) -> bool:
        """Whether this message came here from another node, and was received."""


class Route:
    """The way to one user."""

    __slots__ = (
        "_again", "_carrier", "_dirty", "_first", "_node", "_out", "_poke_at", "_poked_at",
        "_refused", "_returned", "_since", "_size", "_waiting", "_waiting_bytes", "box", "epoch",
        "place", "route", "used", "way",
    )  # fmt: skip

    def __init__(self, box: Mailbox, carrier: Carrier) -> None:
        self.box = box
        self.way = Way.LOOKING
        self._carrier = carrier
        self._node = 0
        self.epoch = 0
        self.route = 0
        self.place = 0
        self._dirty = False
        """Whether something may be in the store that the user's node does not know of."""
        self._first = False
        """Whether nothing has gone this way yet."""
        self._out: dict[int, tuple[Item, float, int]] = {}
        """What waits for its fact, by number, with the time and its bytes."""
        self._returned: dict[int, Item] = {}
        """What the user was gone for, by number."""
        self._refused: set[int] = set()
        """Senders who have to begin anew, as a message of theirs was refused with errno 108."""
        self._size = 0
        self._waiting: list[Item] = []
        self._waiting_bytes = 0
        self._since: float | None = None
        """Since when it is asked for the user; None: it is not."""
        self._again = False
        """Whether it has been asked once more."""
        self._poked_at = -POKE_SECONDS
        self._poke_at: float | None = None
        """When the user's node is to be told that it has to look into the store; None: it was."""
        self.used = carrier.now()

    @property
    def idle(self) -> bool:
        """Whether nothing would be lost if this object were."""
        return not (self._out or self._returned or self._waiting) and self._poke_at is None

    def is_old(self, now: float) -> bool:
        """Whether what is known of the user may be forgotten."""
        return now - self.used >= IDLE_SECONDS

    @property
    def unanswered(self) -> int:
        """Entries that wait for their facts."""
        return len(self._out)

    # A message arrives

    def take(self, copies: list[Copy], source: object = None) -> bool:
        """Take one sender's messages, in order; False: they are the mailbox's, for the store or for
        the user who is here."""
        way = self.way
        if way is Way.HERE:
            return False
        self.used = self._carrier.now()
        if way is Way.AWAY:
            return False
        if way is Way.THERE and not self._waiting:
            self._post(copies, source)
        else:
            self._wait(copies)
            if way is Way.LOOKING and self._since is None:
                self._look()
        return True

    def room(self) -> int:
        """How many messages may travel together, as :meth:`push_run` takes them."""
        free = self.way is Way.THERE and not self._waiting and self._size < ROUTE_BYTES
        return 256 if free else 0

    def push_run(self, run: Run) -> None:
        """Send messages together; there must be :meth:`room`."""
        self.used = self._carrier.now()
        self._post(run, None)

    def _post(self, item: Item, source: object) -> None:
        carrier = self._carrier
        size = _size(item)
        if size > carrier.most:
            # It cannot travel.
            self._returned[carrier.next_route()] = item
            self.give_up()
            return
        sender = item.sender if isinstance(item, Run) else item[0].sender
        look = self._first and self._dirty
        if self._first:
            self._first = self._dirty = False
        look = carrier.has_more(sender, self.box.user_id) or look
        to = To(self.box.user_id, self.epoch, self.route, self.place, look)
        self.place += 1
        number = carrier.post(self._node, item, source, to)
        self._out[number] = (item, carrier.now(), size)
        self._size += size
        if self._size > ROUTE_BYTES:
            self.give_up()

    def _wait(self, copies: list[Copy]) -> None:
        self._waiting.append(copies)
        self._waiting_bytes += _size(copies)
        if self._waiting_bytes > WAITING_BYTES:
            self.give_up()

    # Where the user is

    def _look(self) -> None:
        self.way = Way.LOOKING
        self._since = self._carrier.now()
        self._again = False
        self._carrier.look(self.box.user_id, self._dirty, False)

    def found(self, node: int, epoch: int) -> None:
        """The user is on this node."""
        self._since = None
        if self.way in (Way.THERE, Way.LEAVING):
            if epoch > self.epoch:
                self._leave()
            return
        if self.way is Way.HERE:
            return
        # What waits for the store's first word on the user need not wait for it any more.
        self._waiting[:0] = [[copy] for copy in self.box.take_waiting()]
        self._node, self.epoch = node, epoch
        self.way = Way.SETTLING
        self.go_on()

    def nowhere(self) -> None:
        """Nobody answers for the user."""
        if self.way is not Way.LOOKING or self._since is None:
            return
        if not self._again:
            self._again = True
            self._carrier.look(self.box.user_id, self._dirty, True)
            return
        self._since = None
        self.way = Way.AWAY
        for item in self._take_waiting():
            self._to_store(item)

    def _to_store(self, item: Item) -> None:
        """It is for a mailbox whose user is away."""
        for copy in _unfold(item):
            if copy.receipt is not None:
                self.box.send(copy)

    def go_on(self) -> None:
        """The store has answered: what was settling may be settled."""
        if self.way is not Way.SETTLING or self.box.writing or self._out:
            return
        self.way = Way.THERE
        self.route = self._carrier.next_route()
        self.place = 0
        self._first = True
        self._refused.clear()
        for item in self._take_waiting():
            if self.way is Way.THERE:
                self._post(item, None)
            else:
                self._to_store(item)

    def _take_waiting(self) -> list[Item]:
        waiting, self._waiting = self._waiting, []
        self._waiting_bytes = 0
        return waiting

    def kept(self) -> None:
        """Something of ours to this user has been committed."""
        self._dirty = True
        self.used = self._carrier.now()
        if self.way is Way.HERE or self._poke_at is not None:
            return
        if self._carrier.now() >= self._poked_at + POKE_SECONDS:
            self._poke()
        else:
            self._poke_at = self._poked_at + POKE_SECONDS

    def _poke(self) -> None:
        self._poked_at = self._carrier.now()
        self._poke_at = None
        self._carrier.look(self.box.user_id, True, False)

    # What has become of it

    def fact(self, number: int, index: int, code: int) -> None:
        """What the other node says of an entry; what is known already does no harm."""
        found = self._out.get(number)
        if found is None:
            return
        item, _, size = found
        if code == BROKEN:
            self.give_up()
        elif code == GONE:
            self._carrier.gone += 1
            del self._out[number]
            self._size -= size
            self._returned[number] = item
            self._leave()
        elif index < 0:
            del self._out[number]
            self._size -= size
            self._settle(item, code)
        else:
            copies = _unfold(item)
            if index < len(copies):
                self._settle([copies[index]], code)
            if any(copy.receipt is not None for copy in copies):
                if number in self._out:
                    self._out[number] = (copies, found[1], size)
            elif self._out.pop(number, None) is not None:
                self._size -= size
        if self.way is Way.LEAVING:
            self._leave()

    def _settle(self, item: Item, code: int) -> None:
        if code == FEIGNED:
            for copy in _unfold(item):
                copy.void = True
                copy.settle(State.STORED)
            return
        if code in (State.PUSHED, State.STORED, State.DELIVERED):
            state = State(code)
            # Should the user go elsewhere, that node has to look.
            self._dirty = self._dirty or state is State.STORED
            if isinstance(item, Run):
                item.settle(state)
            else:
                for copy in item:
                    copy.settle(state)
            return
        error = _error(code)
        for copy in _unfold(item):
            copy.refuse(error)
            if error.code == Code.BUSY:
                self._refused.add(copy.sender)
        if error.code == Code.BUSY:
            # What came later has to come later again.
            self.give_up()

    def _leave(self) -> None:
        """The user is not there any more: once all facts are there, it is looked elsewhere."""
        self.way = Way.LEAVING
        if self._out:
            return
        returned = [item for _, item in sorted(self._returned.items())]
        self._returned.clear()
        # One of them may have said that the store has to be looked into.
        self._dirty = True
        self._waiting[:0] = returned
        self._waiting_bytes += sum(map(_size, returned))
        self._look()

    def lost(self, node: int) -> None:
        """There is no such node any more."""
        if self.way in (Way.THERE, Way.LEAVING, Way.SETTLING) and node == self._node:
            self.give_up()

    def give_up(self) -> None:
        """Everything unanswered goes into the store, in one transaction."""
        self.way = Way.AWAY
        self._dirty = True
        self._since = None
        out = [(number, item) for number, (item, _, _) in self._out.items()]
        numbered = sorted([*out, *self._returned.items()], key=lambda pair: pair[0])
        items = [*(item for _, item in numbered), *self._take_waiting()]
        self._out.clear()
        self._returned.clear()
        self._size = 0
        copies = [copy for item in items for copy in _unfold(item) if copy.receipt is not None]
        for copy in copies:
            if copy.sender in self._refused:
                copy.refuse(busy())
        copies = [copy for copy in copies if copy.receipt is not None]
        self._carrier.given_up += len(copies)
        self.box.keep_all(copies)

    def refuse(self, senders: Iterable[int]) -> None:
        """The store is away: what waits of these senders has to come again."""
        waiting = self._take_waiting()
        for item in waiting:
            copies = _unfold(item)
            for copy in copies:
                if copy.sender in senders:
                    copy.refuse(busy())
            if rest := [copy for copy in copies if copy.receipt is not None]:
                self._waiting.append(rest)
                self._waiting_bytes += _size(rest)

    def was_delivered(self, sender: int, cid: str) -> bool:
        """Whether this message came here from another node, and the user has received it."""
        return self._carrier.was_delivered(self.box.user_id, sender, cid)

    def cut(self) -> None:
        """No other node can be reached."""
        if self.way not in (Way.HERE, Way.AWAY):
            self.give_up()

    # Logins here, and time

    def arrived(self) -> None:
        """The user logs in here: what is unanswered is stored, and comes to the user from there."""
        if self._out or self._returned or self._waiting:
            self.give_up()
        self.way = Way.HERE
        self._poke_at = None

    def left(self) -> None:
        """The user is not here any more."""
        self.way = Way.LOOKING
        self._since = None
        # What was in flight is being stored.
        self._dirty = True

    def end(self) -> None:
        """There is no such user any more."""
        nobody = ChatError(Code.NO_SUCH_USER)
        for item in [*(item for item, _, _ in self._out.values()), *self._returned.values(),
                     *self._take_waiting()]:  # fmt: skip
            for copy in _unfold(item):
                copy.refuse(nobody)
        self._out.clear()
        self._returned.clear()
        self._size = 0
        self._poke_at = None

    def tick(self, now: float) -> None:
        """Call it a few times a second."""
        if self._out:
            _, sent, _ = next(iter(self._out.values()))
            if now - sent >= self._carrier.patience:
                self.give_up()
        if self._since is not None and now - self._since >= LOOK_SECONDS:
            self._again = True
            self.nowhere()
        if self._poke_at is not None and now >= self._poke_at:
            self._poke()


def _unfold(item: Item) -> list[Copy]:
    """The messages one by one; they are in nobody's window."""
    if not isinstance(item, Run):
        return item
    copies = item.parts if item.parts is not None else item.apart()
    for copy in copies:
        copy.in_window = False
        copy.place = 0
    return copies


def _size(item: Item) -> int:
    return item.size if isinstance(item, Run) else sum(len(copy.body) for copy in item)


def _error(code: int) -> ChatError:
    try:
        known = Code(code)
    except ValueError:
        known = Code.INTERNAL
    return busy() if known is Code.BUSY else ChatError(known)


def entry_of(number: int, item: Item, to: To) -> Entry:
    """An item as it goes over the bus."""
    if isinstance(item, Run):
        prefix = item.prefix if item.cids is None else ""
        stamps = [item.stamp] if item.stamps is None else item.stamps
        return Entry(
            number, item.kind, item.sender, stamps, item.cids, prefix, item.lines, [to]
        )  # fmt: skip
    first = item[0]
    given = first.given
    return Entry(
        number,
        first.kind,
        first.sender,
        [copy.stamp for copy in item],
        None if given else [copy.cid for copy in item],
        first.cid.removesuffix(str(first.stamp)) if given else "",
        [copy.body for copy in item],
        [to],
    )
