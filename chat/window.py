"""What was pushed on one connection and is not acknowledged, and which of it has rows.

A part of the mailbox, which decides; pure bookkeeping.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from .config import Settings
from .copies import Copy, Receiver, Row
from .errors import ChatError
from .receipts import Receipt, State, settle_all
from .runs import GroupRun, Run
from .wire import with_seq


class Window:
    """Pushed and not acknowledged, oldest first.

    For a level 1 client the kernel's taking of the last byte is the acknowledgement.
    """

    __slots__ = ("_just_forgotten", "_rows", "copies", "count", "size")

    def __init__(self) -> None:
        self.copies: deque[Copy | Run | GroupRun] = deque()
        self.count = 0
        """Messages, also those that went together."""
        self.size = 0
        """Bytes of the bodies."""
        self._rows: dict[tuple[int, str], Copy] = {}
        self._just_forgotten: list[Copy] | None = None

    def __len__(self) -> int:
        return self.count

    def has_room(self, settings: Settings) -> bool:
        """Whether one more may be pushed."""
        return self.count < settings.window_messages and self.size < settings.window_bytes

    def room(self, settings: Settings) -> int:
        """How many more may be pushed together."""
        return settings.window_messages - self.count if self.size < settings.window_bytes else 0

    def is_half_empty(self, settings: Settings) -> bool:
        """Whether a page from the store may be pushed."""
        return (
            self.count <= settings.window_messages // 2 and self.size <= settings.window_bytes // 2
        )

    def enter(self, copy: Copy) -> None:
        """It was pushed, or stands in line to be pushed first at the next login."""
        copy.in_window = True
        self.copies.append(copy)
        self.count += 1
        self.size += len(copy.body)

    def enter_run(self, run: Run | GroupRun) -> None:
        """They were pushed."""
        self.copies.append(run)
        self.count += len(run.lines)
        self.size += run.size

    def _fitting(self, copies: list[Copy], settings: Settings) -> list[Copy]:
        """Those that there is room for."""
        room = settings.window_messages - self.count
        size_bound = settings.window_bytes - self.size
        fitting = []
        for copy in copies[: max(0, room)]:
            if size_bound <= 0:
                break
            size_bound -= len(copy.body)
            fitting.append(copy)
        return fitting

    def push_all(self, copies: list[Copy], receiver: Receiver, seq: int, settings: Settings) -> int:
        """As many as there is room for go to a level 2 client, with the numbers behind ``seq``;
        how many that are."""
        fitting = self._fitting(copies, settings)
        size = self.size
        lines = []
        for copy in fitting:
            seq += 1
            copy.place = seq
            copy.in_window = True
            body = copy.body
            size += len(body)
            if copy.given:
                lines.append(with_seq(body, seq, copy.cid))
            else:
                lines.append(b'%b,"seq":%d}' % (body[:-1], seq))
        self.copies += fitting
        self.count += len(fitting)
        self.size = size
        receiver.push_all(lines)
        return len(fitting)

    def push_bodies(self, copies: list[Copy], receiver: Receiver, settings: Settings) -> int:
        """The same for a level 1 client."""
        fitting = self._fitting(copies, settings)
        place = receiver.push_all([copy.body for copy in fitting])
        for copy in reversed(fitting):
            copy.place = place
            copy.in_window = True
            place -= len(copy.body) + 1
            self.size += len(copy.body)
        self.copies += fitting
        self.count += len(fitting)
        return len(fitting)

    def acknowledge(self, place: int, state: State) -> list[Copy]:
        """Everything up to this place is acknowledged; whose rows can be deleted."""
        copies = self.copies
        settled: list[Receipt] = []
        gone = []
        size = count = 0
        while copies:
            copy = copies[0]
            if copy.place > place:
                if type(copy) is not Run or not copy.numbered or copy.first > place:
                    break
                # Acknowledged in part.
                copies.popleft()
                copies.extendleft(reversed(copy.apart()))
                size += len(copy.lines)
                continue
            copies.popleft()
            if type(copy) is Run or type(copy) is GroupRun:
                size += copy.size
                count += len(copy.lines)
                if settled:
                    settle_all(settled, state)
                    settled = []
                copy.settle(state)
                continue
            assert type(copy) is Copy
            receipt = copy.receipt
            size += len(copy.body)
            count += 1
            if receipt is not None:
                copy.receipt = None
                settled.append(receipt)
            if copy.row is not Row.NONE:
                copy.in_window = False
                copy.acknowledged = True
                if copy.row is not Row.WRITING:
                    gone.append(copy)
        self.size -= size
        self.count -= count
        if settled:
            settle_all(settled, state)
        return gone

    def take_apart(self) -> Iterable[Copy]:
        """The copies one by one, also those that went together."""
        if any(type(copy) is not Copy for copy in self.copies):
            apart: deque[Copy | Run | GroupRun] = deque()
            for copy in self.copies:
                if not isinstance(copy, Copy):
                    apart.extend(copy.apart())
                    self.size -= len(copy.lines)
                else:
                    apart.append(copy)
            self.copies = apart
        return self.copies  # type: ignore[return-value]  # no Run is left

    def unanswered(self) -> list[Copy]:
        """Those whose senders wait, and that are not on their way into the store."""
        return [
            copy
            for copy in self.take_apart()
            if copy.row is Row.NONE and copy.receipt is not None
        ]

    def clear(self) -> list[Copy]:
        """Take everything out, to push it again or because the store has it."""
        copies = list(self.take_apart())
        self.copies.clear()
        self.count = self.size = 0
        return copies

    def drop_refused(self) -> bool:
        """Take out what nobody waits for any more; whether one of them may have a row."""
        perhaps = False
        for copy in self.clear():
            if copy.receipt is None and copy.row in (Row.NONE, Row.PERHAPS):
                perhaps = perhaps or copy.row is Row.PERHAPS
                copy.in_window = False
                self._rows.pop(copy.name, None)
            else:
                self.enter(copy)
        return perhaps

    def refuse(self, error: ChatError) -> None:
        """Nobody gets any of it."""
        for copy in self.clear():
            copy.refuse(error)

    # Rows of what was pushed: a page of the store may show them, and they are not pushed again.

    @property
    def has_rows(self) -> bool:
        """Whether something that was pushed has a row, or may have one."""
        return bool(self._rows)

    @property
    def with_rows(self) -> Iterable[Copy]:
        """What was pushed and has a row, or may have one."""
        return self._rows.values()

    def with_row(self, sender: int, cid: str) -> Copy | None:
        """The one of them with this name."""
        return self._rows.get((sender, cid))

    def note_row(self, copy: Copy) -> None:
        """It has a row, or will have one."""
        self._rows[copy.name] = copy

    def forget_row(self, copy: Copy) -> None:
        """Its row is gone, but a page that is on its way may still show it."""
        if self._just_forgotten is None:
            self.drop_row(copy)
        else:
            self._just_forgotten.append(copy)

    def drop_row(self, copy: Copy) -> None:
        """It has no row."""
        if self._rows.get(copy.name) is copy:
            del self._rows[copy.name]

    def page_asked(self) -> None:
        """A page is on its way."""
        self._just_forgotten = []

    def page_came(self) -> None:
        """No page is on its way any more."""
        forgotten, self._just_forgotten = self._just_forgotten, None
        for copy in forgotten or ():
            self.drop_row(copy)


class Tally:
    """How many rows one user has in the store, and how many are being written."""

    __slots__ = ("by_sender", "feigned", "stored", "unpushed", "writing")

    def __init__(self) -> None:
        self.stored = 0
        self.by_sender: dict[int, int] = {}
        """Rows, and what is being written, by sender."""
        self.feigned: dict[int, int] = {}
        """Rows that blocked senders believe in."""
        self.writing = 0
        self.unpushed = 0
        """Those being written that have not been pushed."""

    def is_full_for(self, sender: int, settings: Settings) -> bool:
        """Whether one more message of this sender is beyond the quotas."""
        return (
            self.stored + self.writing >= settings.mailbox_messages
            or self.by_sender.get(sender, 0) + self.feigned.get(sender, 0)
            >= settings.mailbox_per_sender
        )

    def feign(self, sender: int) -> None:
        """One more is said to be stored."""
        self.feigned[sender] = self.feigned.get(sender, 0) + 1

    def begin(self, copy: Copy) -> None:
        """It is being written: counted from now on, so that a burst cannot pass the quota."""
        self.writing += 1
        self.by_sender[copy.sender] = self.by_sender.get(copy.sender, 0) + 1
        if not copy.in_window:
            self.unpushed += 1

    def end(self, copy: Copy, new: bool) -> None:
        """The writing has ended; ``new``: with a row that was not there before."""
        self.writing -= 1
        if not copy.in_window and not copy.acknowledged:
            self.unpushed -= 1
        if new:
            self.stored += 1
        else:
            self._uncount(copy.sender)

    def recount(self, with_rows: Iterable[Copy]) -> None:
        """The whole store has been seen: only what was pushed has rows, or may have."""
        self.stored = 0
        self.by_sender = {}
        for copy in with_rows:
            if copy.row is Row.KEPT and not copy.acknowledged:
                self.put_back(copy)
            elif copy.row is Row.WRITING:
                self.by_sender[copy.sender] = self.by_sender.get(copy.sender, 0) + 1

    def remove(self, copy: Copy) -> None:
        """Its row is going to be deleted."""
        self.stored = max(0, self.stored - 1)
        self._uncount(copy.sender)

    def put_back(self, copy: Copy) -> None:
        """Its row stays after all."""
        self.stored += 1
        self.by_sender[copy.sender] = self.by_sender.get(copy.sender, 0) + 1

    def _uncount(self, sender: int) -> None:
        count = self.by_sender.get(sender, 0) - 1
        if count > 0:
            self.by_sender[sender] = count
        else:
            self.by_sender.pop(sender, None)
