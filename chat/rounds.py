"""The way of a group's messages to its members.

What one read brings for a group is collected and goes round the members together, at the end of
the read: for each member it is one step.  It goes round in slices, one a turn of the reactor, so
that a great group does not stop other people's messages.  What comes meanwhile waits behind it: all
that is said in a group keeps its order.  Who gets a message is decided once, when it arrives.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from .circulars import OVERHEAD, Hint, Messages, Round
from .copies import Copy
from .delivery import Delivery
from .errors import ChatError, Code, StoreAway
from .mailbox import busy
from .receipts import NamelessGroup, SentToGroup
from .rooms import Room, Rooms, not_a_member

TURN = 2000
"""What goes round in one turn may cost so much, in all groups together; see
:meth:`chat.circulars.Round.slice`."""

WAITING_BYTES = 16 << 20
"""What may wait for its turn, in all groups together; beyond it senders are told to come again
(errno 108)."""

HINTS = 20
"""With so many rounds before it in its group, a hint is left out."""

STORE_SECONDS = 0.01
"""How long a round waits before it looks again whether the store has room."""


class _Queue:
    """What waits in one group."""

    __slots__ = ("rounds", "unread")

    def __init__(self) -> None:
        self.unread: deque[Copy] | None = None
        """What came before the members were known; None: they are."""
        self.rounds: deque[Round] = deque()
        """The first of them may have begun."""


class Rounds:
    """All that goes round.

    :param crowded: whether the store has much to write already.
    :param spawn: runs a coroutine and logs what it raises.
    :param soon: calls a function at the end of the read that is being worked off, or soon.
    :param call_later: calls a function after so many seconds.
    """

    def __init__(
        self,
        rooms: Rooms,
        delivery: Delivery,
        crowded: Callable[[], bool],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        soon: Callable[[Callable[[], object]], object],
        call_later: Callable[[float, Callable[[], object]], object],
    ) -> None:
        self._rooms = rooms
        self._delivery = delivery
        self._crowded = crowded
        self._spawn = spawn
        self._soon = soon
        self._call_later = call_later
        self._queues: dict[int, _Queue] = {}
        self._waiting = 0
        """Bytes in the queues."""
        self._left = TURN
        """What may still be spent in this turn."""
        self._collecting = False
        self._turning = False

    @property
    def idle(self) -> bool:
        """Whether nothing is going round."""
        return not self._queues

    def send(self, group_id: int, copy: Copy) -> None:
        """Take a message; its receipt is told when every member is served."""
        if self._waiting >= WAITING_BYTES:
            copy.refuse(busy())
            return
        queue = self._queue(group_id)
        if queue.unread is None:
            room = self._rooms.known(group_id)
            if room is not None:
                self._add(queue, room, copy)
                return
        self._waiting += len(copy.body) + OVERHEAD
        if queue.unread is None:
            queue.unread = deque((copy,))
            self._spawn(self._open(group_id, queue, queue.unread))
        else:
            queue.unread.append(copy)

    def tell(self, group_id: int, room: Room, line: bytes, but: int = 0) -> None:
        """Tell the members who are here, all but one; left out where much is on its way."""
        queue = self._queue(group_id)
        if len(queue.rounds) < HINTS:
            hint = Hint(line, room.ids, but)
            queue.rounds.append(hint)
            self._waiting += hint.size

    def _queue(self, group_id: int) -> _Queue:
        """What waits in this group; it goes on at the end of this read."""
        if not self._collecting:
            self._collecting = True
            self._soon(self._collected)
        queue = self._queues.get(group_id)
        if queue is None:
            queue = self._queues[group_id] = _Queue()
        return queue

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
                    self._add(queue, room, copy)
            queue.unread = None
            self._come_again(0)

    def _add(self, queue: _Queue, room: Room, copy: Copy) -> None:
        if copy.sender not in room:
            copy.refuse(not_a_member())
            return
        ids = room.ids
        receipt = copy.receipt
        assert isinstance(receipt, SentToGroup | NamelessGroup)
        receipt.expect(len(ids) - 1)
        for listener in self._delivery.said:
            listener(copy, 0, room.group_id)
        last = queue.rounds[-1] if queue.rounds else None
        if not (isinstance(last, Messages) and last.takes(copy, receipt, ids)):
            queue.rounds.append(Messages(copy, receipt, ids))
        self._waiting += len(copy.body) + OVERHEAD

    # Turn by turn

    def _collected(self) -> None:
        """A read is over: what it has brought goes round, as much as may be in this turn."""
        self._collecting = False
        self._go()

    def _come_again(self, seconds: float) -> None:
        if not self._turning:
            self._turning = True
            self._call_later(seconds, self._turn)

    def _turn(self) -> None:
        self._turning = False
        self._left = TURN
        self._go()

    def _go(self) -> None:
        pause = 0.0
        for group_id, queue in list(self._queues.items()):
            if self._left <= 0:
                break
            if self._work(queue):
                pause = STORE_SECONDS
            del self._queues[group_id]
            if queue.rounds or queue.unread is not None:
                # The next turn begins with another one.
                self._queues[group_id] = queue
        if self._left < TURN or any(queue.rounds for queue in self._queues.values()):
            self._come_again(pause if self._left > 0 else 0)

    def _work(self, queue: _Queue) -> bool:
        """What is first in a queue goes on; whether it has to wait for the store."""
        rounds = queue.rounds
        while rounds and self._left > 0:
            going = rounds[0]
            if going.at == 0:
                going.begin(self._delivery)
            if going.at < going.away and self._crowded():
                return True
            count, cost = going.slice()
            at, total = going.at, len(going.ids)
            going.at += count
            self._left -= cost
            going.pass_to(going.ids[at : at + count], self._delivery)
            if going.at < total:
                break
            rounds.popleft()
            self._waiting -= going.size
            going.end()
        return False
