"""One user as the author of messages: what is unanswered, what is remembered of what was answered,
and which recipients have to be begun anew after an errno 108.  It outlives connections.

Pure: no I/O, the time is passed in.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from math import inf

from .config import Settings
from .errors import ChatError, Code
from .messages import MsgId
from .receipts import Sent, SentTogether, SentToGroup
from .wire import encode

GATES = 1000
"""Recipients, or groups, that one sender may have to begin anew; beyond it all are shut."""

RETRY_SECONDS = 1.0

_LAST = (sys.maxsize, "")


class Sender:
    """One user as the author of messages."""

    __slots__ = (
        "_ordered", "_remembered", "_seconds", "fields", "gates", "id", "low_water", "name", "now",
        "on_low_water", "order", "sent", "told", "unanswered",
    )  # fmt: skip

    def __init__(
        self, user_id: int, name: str, settings: Settings, now: Callable[[], float]
    ) -> None:
        self.id = user_id
        self.name = name
        self.fields = (user_id, name, b',"id":%d' % user_id, b',"name":%b' % encode(name))
        self.now = now
        self.unanswered = 0
        """Requests that wait for their fact."""
        self.low_water = 0
        self.on_low_water: Callable[[], None] | None = None
        """Called once, when :attr:`unanswered` has come down to :attr:`low_water`."""
        self.sent: dict[str, Sent | SentTogether] = {}
        """By ``cid``, what is under way and what is answered and remembered."""
        self.gates: dict[int, tuple[int, str]] = {}
        """After a 108: by target (groups negative) the stamp and the ``cid`` of the message with
        which it goes on."""
        self.told: set[int] | None = None
        """Where something of this sender may be in the store from another node: the recipients
        whose mailboxes have been told; None: nothing is."""
        self.order: deque[Sent | SentTogether] = deque()
        """The same, and what was refused lately, as it arrived."""
        self._ordered = 0
        """How many messages that is."""
        self._remembered = settings.remembered_cids
        self._seconds = settings.remembered_seconds

    def known(self, cid: str) -> Sent | None:
        """The message with this ``cid``, if it is under way or remembered."""
        sent = self.sent.get(cid)
        return sent.part(cid) if isinstance(sent, SentTogether) else sent

    def remember(self, sent: Sent) -> None:
        """A message is under way; its answer is remembered with the last ones."""
        self.sent[sent.cid] = sent
        self.remember_all(sent)

    def remember_all(self, sent: Sent | SentTogether) -> None:
        """The same for messages that are in :attr:`sent` already."""
        order = self.order
        order.append(sent)
        self._ordered += len(sent.cids) if type(sent) is SentTogether else 1
        # Within the bound, but for what was sent together with the last one inside it.
        over = self._ordered - self._remembered - self.unanswered
        while over > 0:
            oldest = order[0]
            count = len(oldest.cids) if type(oldest) is SentTogether else 1
            if over < count:
                break
            if oldest.fresh(inf):
                # It is under way; another one may not be.
                count = self.forget_oldest()
                if not count:
                    break
            else:
                order.popleft()
                oldest.forget(self.sent)
                self._ordered -= count
            over -= count

    @property
    def remembered(self) -> int:
        """How many messages are known by their ``cid``."""
        return len(self.sent)

    def ended(self, count: int) -> None:
        """So many requests are answered."""
        self.unanswered -= count
        if self.on_low_water is not None and self.unanswered <= self.low_water:
            call, self.on_low_water = self.on_low_water, None
            call()

    def gave_up(self, sent: Sent, error: ChatError) -> None:
        """Refused: nothing is remembered, but where to begin again after a 108."""
        sent.forget(self.sent)
        if error.code == Code.BUSY and len(self.gates) < GATES:
            key = -sent.target if sent.kind == MsgId.GROUP_CHAT else sent.target
            # The earliest one, though a later one may have been refused before it.
            self.gates[key] = min((sent.stamp, sent.cid), self.gates.get(key, _LAST))

    def behind(self, first: SentToGroup) -> list[SentToGroup]:
        """What came later for the same group and is not answered."""
        return [
            sent
            for sent in self.order
            if isinstance(sent, SentToGroup)
            and sent.target == first.target
            and sent.stamp > first.stamp
            and sent.state is None
            and not sent.over
        ]

    def gate(self, key: int, cid: str | None) -> None:
        """Let a message to this target through, or not.

        :raises ChatError: 108, an earlier one has to come again first.
        """
        first = self.gates.get(key)
        if first is None:
            if len(self.gates) >= GATES:
                raise ChatError(Code.BUSY, retry_after=RETRY_SECONDS)
        elif first[1] == cid:
            del self.gates[key]
        else:
            raise ChatError(Code.BUSY, retry_after=RETRY_SECONDS)

    def forget_oldest(self) -> int:
        """Forget the oldest answer, with those that were sent together; how many that were."""
        order = self.order
        for _ in range(len(order)):
            sent = order.popleft()
            if not sent.fresh(inf):
                sent.forget(self.sent)
                count = _count(sent)
                self._ordered -= count
                return count
            order.append(sent)
        return 0

    def expire(self, now: float) -> None:
        """Forget the answers that are old enough."""
        before = now - self._seconds
        order = self.order
        while order and not order[0].fresh(before):
            sent = order.popleft()
            sent.forget(self.sent)
            self._ordered -= _count(sent)


def _count(sent: Sent | SentTogether) -> int:
    return len(sent.cids) if type(sent) is SentTogether else 1
