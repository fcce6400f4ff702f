"""One user as the author of messages: what is unanswered, what is remembered of what was answered,
and which recipients have to be begun anew after an errno 108.  It outlives connections.

Pure: no I/O, the time is passed in.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from .config import Settings
from .errors import ChatError, Code
from .messages import MsgId
from .receipts import Sent
from .wire import encode

GATES = 1000
"""Recipients, or groups, that one sender may have to begin anew; beyond it all are shut."""

RETRY_SECONDS = 1.0


class Sender:
    """One user as the author of messages."""

    __slots__ = (
        "_remembered", "_seconds", "fields", "gates", "id", "low_water", "name", "now",
        "on_low_water", "order", "sent", "unanswered",
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
        self.sent: dict[str, Sent] = {}
        """By ``cid``, what is under way and what is answered and remembered."""
        self.gates: dict[int, str] = {}
        """After a 108: by target (groups negative) the ``cid`` with which it goes on."""
        self.order: deque[Sent] = deque()
        """The same, and what was refused lately, as it arrived."""
        self._remembered = settings.remembered_cids
        self._seconds = settings.remembered_seconds

    def remember(self, sent: Sent) -> None:
        """A message is under way; its answer is remembered with the last ones."""
        self.sent[sent.cid] = sent
        self.order.append(sent)
        self.trim()

    def trim(self) -> None:
        """Keep what is remembered within its bound."""
        for _ in range(len(self.order) - self._remembered - self.unanswered):
            self.forget_oldest()

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
        self._drop(sent)
        if error.code == Code.BUSY and len(self.gates) < GATES:
            key = -sent.target if sent.kind == MsgId.GROUP_CHAT else sent.target
            self.gates.setdefault(key, sent.cid)

    def gate(self, key: int, cid: str | None) -> None:
        """Let a message to this target through, or not.

        :raises ChatError: 108, an earlier one has to come again first.
        """
        first = self.gates.get(key)
        if first is None:
            if len(self.gates) >= GATES:
                raise ChatError(Code.BUSY, retry_after=RETRY_SECONDS)
        elif first == cid:
            del self.gates[key]
        else:
            raise ChatError(Code.BUSY, retry_after=RETRY_SECONDS)

    def forget_oldest(self) -> None:
        """Forget the oldest answer, if there is one."""
        order = self.order
        for _ in range(len(order)):
            sent = order.popleft()
            known = self.sent.get(sent.cid) is sent
            if known and sent.state is None:
                order.append(sent)
                continue
            if known:
                del self.sent[sent.cid]
            return

    def expire(self, now: float) -> None:
        """Forget the answers that are old enough."""
        before = now - self._seconds
        order = self.order
        while order:
            sent = order[0]
            known = self.sent.get(sent.cid) is sent
            if known and (sent.state is None or sent.answered_at > before):
                break
            self._drop(order.popleft())

    def _drop(self, sent: Sent) -> None:
        if self.sent.get(sent.cid) is sent:
            del self.sent[sent.cid]
