"""The way of a group's messages to its members.

A message goes round its members in slices, one a turn of the reactor, so that a great group does
not stop other people's messages.  What comes meanwhile waits behind it: all that is said in a group
keeps its order.  Who gets a message is decided once, when it arrives.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from .copies import Copy
from .delivery import Delivery
from .errors import ChatError, Code, StoreAway
from .mailbox import busy
from .receipts import NamelessGroup, SentToGroup, State
from .rooms import Room, Rooms, not_a_member

SLICE = 500
"""Members who are here that get one message in one turn."""

AWAY_SLICE = 2500
"""The same of members who are away: less work, and so many go into one batch of rows."""

AWAY_COST = 4
"""So many members who are away cost as much as one who is here."""

TURN = 4000
"""What goes round in one turn, in all groups together, counted in members who are here."""

WAITING_BYTES = 16 << 20
"""What may wait for its turn, in all groups together; beyond it senders are told to come again
(errno 108)."""

OVERHEAD = 500
"""Bytes that a waiting message takes beside its body, about."""

HINTS = 20
"""With so many before it in its group, a hint is left out."""


class _Round:
    """Something that goes round."""

    __slots__ = ("at", "away", "ids", "size")

    def __init__(self, ids: Sequence[int], away: int, size: int) -> None:
        self.ids = ids
        """The members, those who are away first."""
        self.away = away
        """How many they are."""
        self.at = 0
        """How many have been served."""
        self.size = size

    def pass_to(self, ids: Sequence[int], delivery: Delivery) -> None:
        """Serve these members."""
        raise NotImplementedError

    def end(self) -> None:
        """Every member has been served."""


class _Message(_Round):
    __slots__ = ("_copy",)

    def __init__(self, copy: Copy, ids: Sequence[int], away: int) -> None:
        super().__init__(ids, away, len(copy.body) + OVERHEAD)
        self._copy = copy

    def pass_to(self, ids: Sequence[int], delivery: Delivery) -> None:
        copy = self._copy
        sender, stamp, cid, given = copy.sender, copy.stamp, copy.cid, copy.given
        kind, body, receipt, born, ask = copy.kind, copy.body, copy.receipt, copy.born, copy.ask
        mailboxes = delivery.mailboxes
        for user_id in ids:
            if user_id == sender:
                continue
            mailbox = mailboxes.get(user_id)
            if mailbox is None or not mailbox.known:
                mailbox = delivery.mailbox(user_id)
            mailbox.send(Copy(sender, stamp, cid, given, kind, body, receipt, born, ask))

    def end(self) -> None:
        self._copy.settle(State.DELIVERED)


class _Hint(_Round):
    __slots__ = ("_but", "_line")

    def __init__(self, line: bytes, ids: Sequence[int], but: int) -> None:
        super().__init__(ids, 0, len(line) + OVERHEAD)
        self._line = line
        self._but = but

    def pass_to(self, ids: Sequence[int], delivery: Delivery) -> None:
        for user_id in ids:
            if user_id != self._but:
                delivery.hint(user_id, self._line)


class _Queue:
    """What waits in one group."""

    __slots__ = ("rounds", "unread")

    def __init__(self) -> None:
        self.unread: deque[Copy] | None = None
        """What came before the members were known; None: they are."""
        self.rounds: deque[_Round] = deque()


class Rounds:
    """All that goes round.

    :param spawn: runs a coroutine and logs what it raises.
    :param call_later: calls a function after so many seconds.
    """

    def __init__(
        self,
        rooms: Rooms,
        delivery: Delivery,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        call_later: Callable[[float, Callable[[], object]], object],
    ) -> None:
        self._rooms = rooms
        self._delivery = delivery
        self._spawn = spawn
        self._call_later = call_later
        self._queues: dict[int, _Queue] = {}
        self._waiting = 0
        """Bytes in the queues."""
        self._left = TURN
        self._turning = False
        self._passing = False

    @property
    def idle(self) -> bool:
        """Whether nothing is going round."""
        return not self._queues

    def send(self, group_id: int, copy: Copy) -> None:
        """Take a message; its receipt is told when every member is served."""
        if self._waiting >= WAITING_BYTES:
            copy.refuse(busy())
            return
        queue = self._queues.get(group_id)
        if queue is None or queue.unread is None:
            room = self._rooms.known(group_id)
            if room is not None:
                self._begin(group_id, room, copy)
                return
            if queue is None:
                queue = self._queues[group_id] = _Queue()
            queue.unread = deque((copy,))
            self._waiting += len(copy.body) + OVERHEAD
            self._spawn(self._open(group_id, queue, queue.unread))
        else:
            self._waiting += len(copy.body) + OVERHEAD
            queue.unread.append(copy)

    def tell(self, group_id: int, room: Room, line: bytes, but: int = 0) -> None:
        """Tell the members who are here, all but one; left out where much is on its way."""
        queue = self._queues.get(group_id)
        if queue is None or len(queue.rounds) < HINTS:
            self._add(group_id, _Hint(line, room.ids, but))

    async def _open(self, group_id: int, queue: _Queue, unread: deque[Copy]) -> None:
        """Look who the members are; then what waits for that goes round."""
        room: Room | None = None
        error = ChatError(Code.INTERNAL)
        try:
            room = await self._rooms.room(group_id)
        except ChatError as refusal:
            error = refusal
        except StoreAway:
            error = busy()
        finally:
            while unread:
                copy = unread.popleft()
                self._waiting -= len(copy.body) + OVERHEAD
                if room is None:
                    copy.refuse(error)
                else:
                    self._begin(group_id, room, copy)
            queue.unread = None
            self._close(group_id, queue)

    def _begin(self, group_id: int, room: Room, copy: Copy) -> None:
        if copy.sender not in room:
            copy.refuse(not_a_member())
            return
        ids: Sequence[int] = room.ids
        receipt = copy.receipt
        assert isinstance(receipt, SentToGroup | NamelessGroup)
        receipt.expect(len(ids) - 1)
        for listener in self._delivery.said:
            listener(copy, 0, group_id)
        away = 0
        if len(ids) > SLICE:
            here = self._delivery.here
            ids = sorted(ids, key=here.__contains__)
            away = sum(user_id not in here for user_id in ids)
        self._add(group_id, _Message(copy, ids, away))

    # Turn by turn

    def _add(self, group_id: int, going: _Round) -> None:
        queue = self._queues.get(group_id)
        # Serving somebody may bring the next message of this group: it waits.
        if not self._passing and self._left > 0 and (queue is None or not queue.rounds):
            if self._pass(going):
                going.end()
                return
            self._wait(group_id).appendleft(going)
        else:
            self._wait(group_id).append(going)
        self._waiting += going.size

    def _wait(self, group_id: int) -> deque[_Round]:
        queue = self._queues.get(group_id)
        if queue is None:
            queue = self._queues[group_id] = _Queue()
        self._come_again()
        return queue.rounds

    def _pass(self, going: _Round) -> bool:
        """One slice; whether it was the last."""
        at, total = going.at, len(going.ids)
        if at < going.away:
            end = min(going.away, at + AWAY_SLICE)
            cost = 1 + (end - at) // AWAY_COST
        else:
            end = min(total, at + SLICE)
            cost = end - at
        ids = going.ids if end - at == total else going.ids[at:end]
        going.at = end
        self._left -= cost
        self._come_again()
        self._passing = True
        try:
            going.pass_to(ids, self._delivery)
        finally:
            self._passing = False
        return end == total

    def _come_again(self) -> None:
        if not self._turning:
            self._turning = True
            self._call_later(0, self._turn)

    def _turn(self) -> None:
        self._turning = False
        self._left = TURN
        for group_id, queue in list(self._queues.items()):
            if self._left <= 0:
                break
            self._work(queue)
            if self._queues.pop(group_id, None) is queue:
                # The next turn begins with another one.
                self._queues[group_id] = queue
                self._close(group_id, queue)

    def _work(self, queue: _Queue) -> None:
        while queue.rounds and self._left > 0:
            going = queue.rounds[0]
            if not self._pass(going):
                break
            queue.rounds.popleft()
            self._waiting -= going.size
            going.end()

    def _close(self, group_id: int, queue: _Queue) -> None:
        if queue.rounds:
            self._come_again()
        elif queue.unread is None and self._queues.get(group_id) is queue:
            del self._queues[group_id]
