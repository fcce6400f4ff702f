"""What goes round a group: messages of one sender, or a hint; in slices.

Decides who is served next and what that costs; when it may, :mod:`chat.rounds` says.
"""

from __future__ import annotations

from collections.abc import Sequence

from .copies import Copy
from .delivery import Delivery
from .receipts import Burst, NamelessGroup, SentToGroup, State
from .runs import GroupRun

SLICE = 250
"""What one message, or what goes with it, may cost in one turn; see :meth:`Round.slice`."""

AWAY_SLICE = 2500
"""Rows, about, that one slice makes for members who are away: so many are one batch."""

TOGETHER = 64
TOGETHER_BYTES = 64 << 10
"""Messages that go round together at most."""

OVERHEAD = 500
"""Bytes that a waiting message takes beside its body, about."""


class Round:
    """Something that goes round."""

    __slots__ = ("at", "away", "ids", "size")

    together = 1
    """How many messages it is."""

    def __init__(self, ids: Sequence[int], size: int) -> None:
        self.ids = ids
        """The members; once it has begun, those who are away come first."""
        self.away = 0
        """How many they are."""
        self.at = 0
        """How many have been served."""
        self.size = size

    def begin(self, delivery: Delivery) -> None:
        """Nobody has been served yet; it may be called again as long as this is so."""

    def slice(self) -> tuple[int, int]:
        """How many members are served in one turn, and what that costs: a member who is here and
        gets one message costs 1, about 6 µs with the kernel's part."""
        if self.at < self.away:
            count = min(self.away - self.at, max(1, AWAY_SLICE // self.together))
            return count, count * self.together
        count = min(len(self.ids) - self.at, max(1, 8 * SLICE // (7 + self.together)))
        return count, count * (7 + self.together) // 8

    def pass_to(self, ids: Sequence[int], delivery: Delivery) -> None:
        """Serve these members."""
        raise NotImplementedError

    def end(self) -> None:
        """Every member has been served."""


class Messages(Round):
    """Messages of one sender, in order."""

    __slots__ = ("_burst", "_copies", "_lines", "_receipts", "_sender", "_size", "together")

    def __init__(
        self, copy: Copy, receipt: SentToGroup | NamelessGroup, ids: Sequence[int]
    ) -> None:
        super().__init__(ids, len(copy.body) + OVERHEAD)
        self.together = 1
        self._sender = copy.sender
        self._copies = [copy]
        self._receipts = [receipt]
        self._lines = [copy.body]
        self._size = len(copy.body) + 1
        self._burst: Burst | None = None

    def takes(
        self, copy: Copy, receipt: SentToGroup | NamelessGroup, ids: Sequence[int]
    ) -> bool:
        """Whether one more may come along; then it does."""
        fits = (
            self._burst is None
            and copy.sender == self._sender
            and copy.given == self._copies[0].given
            and ids is self.ids
            and self.together < TOGETHER
            and self._size < TOGETHER_BYTES
        )
        if fits:
            self.together += 1
            self._copies.append(copy)
            self._receipts.append(receipt)
            self._lines.append(copy.body)
            self._size += len(copy.body) + 1
            self.size += len(copy.body) + OVERHEAD
        return fits

    def begin(self, delivery: Delivery) -> None:
        if self._burst is not None:
            return
        here = delivery.here
        away = [user_id for user_id in self.ids if user_id not in here]
        self.away = len(away)
        self.ids = away + [user_id for user_id in self.ids if user_id in here]
        self._burst = Burst(self._receipts)

    def pass_to(self, ids: Sequence[int], delivery: Delivery) -> None:
        burst, copies, lines, size = self._burst, self._copies, self._lines, self._size
        assert burst is not None
        whole = not any(receipt.over for receipt in self._receipts)
        if not whole:
            copies = self._going_on()
            if not copies:
                return
        sender = self._sender
        born = copies[0].born
        mailboxes = delivery.mailboxes
        author = delivery.senders.get(sender)
        elsewhere = author is not None and author.told is not None
        for user_id in ids:
            if user_id == sender:
                continue
            mailbox = mailboxes.get(user_id)
            if mailbox is None or not mailbox.known:
                mailbox = delivery.mailbox(user_id)
            receiver = mailbox.receiver
            # To who is not here, the first message on the way says it.
            if elsewhere and receiver is not None and delivery.has_more(sender, user_id):
                mailbox.appeared()
            # A level 1 client needs no names for what it is sent, unless something goes wrong.
            if whole and receiver is not None and receiver.level == 1 and mailbox.room(0) > 0:
                mailbox.push_run(GroupRun(burst, copies, lines, born, size))
                burst.began()
            else:
                mailbox.send_all(
                    [
                        Copy(sender, copy.stamp, copy.cid, copy.given, copy.kind, copy.body,
                             copy.receipt, born, copy.ask)
                        for copy in copies
                    ],
                    self,
                )  # fmt: skip

    def _going_on(self) -> list[Copy]:
        """Those that have not been refused meanwhile."""
        pairs = zip(self._copies, self._receipts, strict=True)
        return [copy for copy, receipt in pairs if not receipt.over]

    def end(self) -> None:
        assert self._burst is not None
        self._burst.end()
        for copy in self._copies:
            copy.settle(State.DELIVERED)


class Hint(Round):
    """A line without custody for who is here."""

    __slots__ = ("_but", "_line")

    def __init__(self, line: bytes, ids: Sequence[int], but: int) -> None:
        super().__init__(ids, len(line) + OVERHEAD)
        self._line = line
        self._but = but

    def pass_to(self, ids: Sequence[int], delivery: Delivery) -> None:
        delivery.hint([user_id for user_id in ids if user_id != self._but], self._line)
