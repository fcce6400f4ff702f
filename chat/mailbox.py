"""One user's custody: what is on its way to the user, what waits, what is in the store.

A state machine without I/O: events are method calls, effects go through :class:`Receiver` (the
user's connection) and :class:`Shelf` (the store), and the time is passed in.  ``docs/delivery.md``
draws its states and says why each transition is there.

The states::

    away      no connection; what arrives is kept in the store
    greeting  a connection is there, its login answer is not out; what arrives is kept
    draining  the store may hold messages that were not pushed yet; what arrives is kept
    closing   as draining, but the end of the store is in sight: what arrives waits in memory
    live      nothing is in the store that was not pushed: what arrives is pushed at once

The window holds what was pushed on this connection and is not acknowledged, oldest first; for a
level 1 client the kernel's taking of the last byte is the acknowledgement.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import Enum, IntEnum
from typing import Protocol

from .config import Settings
from .errors import ChatError, Code
from .messages import Chat
from .model import Census, Keeping, Kept, Outcome
from .receipts import Receipt, State
from .wire import with_seq

RETRY_SECONDS = 1.0
"""After which a store that could not be reached is asked again, and a client told to."""

HELD_SECONDS = 2.0
"""How long what was in flight stays in memory once it is stored, for a quick return."""


class Row(IntEnum):
    """Whether a message in memory has a row in the store as well."""

    NONE = 0
    WRITING = 1
    KEPT = 2
    PERHAPS = 3
    """The store went away in the middle."""


class Phase(Enum):
    """The states of the drawing."""

    AWAY = "away"
    GREETING = "greeting"
    DRAINING = "draining"
    CLOSING = "closing"
    LIVE = "live"


class Copy:
    """A message on its way to one recipient."""

    __slots__ = (
        "acknowledged", "ask", "body", "born", "cid", "given", "in_window", "kind", "place",
        "receipt", "row", "sender", "stamp",
    )  # fmt: skip

    def __init__(
        self, sender: int, stamp: int, cid: str, given: bool, kind: int, body: bytes,
        receipt: Receipt | None, born: float, ask: Chat | None, row: Row = Row.NONE,
    ) -> None:  # fmt: skip
        self.sender = sender
        self.stamp = stamp
        self.cid = cid
        self.given = given
        self.kind = kind
        self.body = body
        self.receipt = receipt
        self.born = born
        self.ask = ask
        """What was asked; None for a copy that came from the store."""
        self.row = row
        self.place = 0
        """Level 2: its ``seq``; level 1: how many bytes the connection had to write with it."""
        self.in_window = False
        self.acknowledged = False

    @classmethod
    def from_row(cls, row: Kept, now: float) -> Copy:
        """A message that waited in the store."""
        return cls(
            row.sender, row.stamp, row.cid, row.given, row.kind, row.body, None, now, None,
            Row.KEPT,
        )  # fmt: skip

    @property
    def name(self) -> tuple[int, str]:
        """What names the message for its recipient."""
        return self.sender, self.cid

    def settle(self, state: State) -> None:
        """Tell the sender, once."""
        receipt = self.receipt
        if receipt is not None:
            self.receipt = None
            receipt.settle(state)

    def refuse(self, error: ChatError) -> None:
        """Tell the sender that this copy is not taken, once."""
        receipt = self.receipt
        if receipt is not None:
            self.receipt = None
            receipt.refuse(error)


class Receiver(Protocol):
    """The connection of the user."""

    level: int

    def push(self, line: bytes) -> int:
        """Queue a line; how many bytes have been queued since the connection began."""

    def flush(self) -> None:
        """Hand over to the kernel what it takes now; may call :meth:`Mailbox.written`."""

    def welcome(self, backlog: int, waiting: Sequence[Copy]) -> tuple[int, int]:
        """Answer the login.  At level 1 with the first of ``waiting``: how many of them are in the
        answer, and what :meth:`push` would return for it."""

    def not_welcome(self, error: ChatError) -> None:
        """The login fails after all."""


class Shelf(Protocol):
    """The store as a mailbox sees it; every answer comes later, as a call of the mailbox."""

    def census(self, mailbox: Mailbox) -> None:
        """:meth:`Mailbox.opened`, :meth:`Mailbox.nobody` or :meth:`Mailbox.not_opened`."""

    def keep(self, mailbox: Mailbox, copies: Sequence[Copy]) -> None:
        """In one transaction; :meth:`Mailbox.kept` or :meth:`Mailbox.not_kept`."""

    def fetch(self, mailbox: Mailbox, after: tuple[int, int], login: int) -> None:
        """:meth:`Mailbox.page` or :meth:`Mailbox.no_page`, with the same ``login``."""

    def forget(self, mailbox: Mailbox, copies: Sequence[Copy]) -> None:
        """:meth:`Mailbox.forgotten`, also when it gives up."""

    def pretend(self, mailbox: Mailbox, copy: Copy) -> None:
        """Settle the copy as stored after an ordinary commit's time, and keep nothing."""


def busy() -> ChatError:
    """Errno 108 as mailboxes say it."""
    return ChatError(Code.BUSY, retry_after=RETRY_SECONDS)


class Mailbox:
    """What is under way to one user."""

    __slots__ = (
        "_asked_census", "_attaching", "_cursor", "_fetching", "_held_since", "_just_forgotten", "_login", "_retry_at",
        "_rewind", "_rows", "_seq", "_settings", "_shelf", "_stale", "_unpushed_writing", "_unsure",
        "_waiting", "_waiting_bytes", "_window", "_window_bytes", "_writing", "blocked",
        "by_sender", "known", "phase", "receiver", "stored", "user_id",
    )  # fmt: skip

    def __init__(self, user_id: int, settings: Settings, shelf: Shelf) -> None:
        self.user_id = user_id
        self.phase = Phase.AWAY
        self.receiver: Receiver | None = None
        self.known = False
        """Whether the store has told how much waits there."""
        self.stored = 0
        """Rows in the store, as far as is known."""
        self.by_sender: dict[int, int] = {}
        self.blocked: frozenset[int] = frozenset()
        """Whose one-to-one messages do not reach this user."""
        self._settings = settings
        self._shelf = shelf
        self._window: deque[Copy] = deque()
        self._window_bytes = 0
        self._waiting: deque[Copy] = deque()
        self._waiting_bytes = 0
        self._rows: dict[tuple[int, str], Copy] = {}
        """Copies that were pushed and whose row is in the store, or may be: a page may show it."""
        self._writing = 0
        self._unpushed_writing = 0
        self._seq = 0
        self._login = 0
        self._cursor = (0, 0)
        self._fetching = False
        self._just_forgotten: list[Copy] = []
        self._stale = False
        """Something was kept since the last page was asked for."""
        self._rewind = False
        """The next page is read from the beginning."""
        self._unsure = False
        """Rows may be in the store that nobody counted."""
        self._attaching = False
        self._asked_census = False
        self._held_since = 0.0
        self._retry_at: float | None = None

    # What others ask

    @property
    def idle(self) -> bool:
        """Whether nothing would be lost if this object were."""
        return (
            self.receiver is None
            and not (self._window or self._waiting or self._rows)
            and not (self._writing or self._asked_census)
        )

    @property
    def under_way(self) -> int:
        """Messages in memory."""
        return len(self._window) + len(self._waiting) + self._unpushed_writing

    # A message arrives

    def send(self, copy: Copy) -> None:
        """Take a message; its receipt is told the fact, at once or later."""
        if copy.sender in self.blocked and copy.kind == 5:
            self._feign(copy)
        elif self.phase is Phase.LIVE:
            if self._waiting or not self._room():
                self._make_room()
                if self._waiting or not self._room():
                    self._wait(copy)
                    return
            self._push(copy)
        elif self.phase is Phase.CLOSING or not self.known:
            self._wait(copy)
        else:
            self._keep_new(copy)

    def _room(self) -> bool:
        settings = self._settings
        return (
            len(self._window) < settings.window_messages
            and self._window_bytes < settings.window_bytes
        )

    def _make_room(self) -> None:
        # A level 1 client's window empties as the kernel takes its bytes, which may be now.
        if self.receiver is not None and self.receiver.level == 1:
            self.receiver.flush()

    def _push(self, copy: Copy) -> None:
        receiver = self.receiver
        assert receiver is not None
        if receiver.level == 2:
            self._seq = copy.place = self._seq + 1
            receiver.push(with_seq(copy.body, self._seq, copy.cid if copy.given else None))
        else:
            copy.place = receiver.push(copy.body)
        self._enter(copy)

    def _enter(self, copy: Copy) -> None:
        copy.in_window = True
        self._window.append(copy)
        self._window_bytes += len(copy.body)

    def _wait(self, copy: Copy) -> None:
        settings = self._settings
        full = (
            len(self._waiting) >= settings.waiting_messages
            or self._waiting_bytes >= settings.waiting_bytes
        )
        if full and not self.known:
            copy.refuse(busy())
            return
        self._waiting.append(copy)
        self._waiting_bytes += len(copy.body)
        if full:
            self._spill()

    def _keep_new(self, copy: Copy) -> None:
        if self._full_for(copy.sender):
            copy.refuse(ChatError(Code.MAILBOX_FULL))
        else:
            self._keep([copy])

    def _full_for(self, sender: int) -> bool:
        settings = self._settings
        return (
            self.stored + self._writing >= settings.mailbox_messages
            or self.by_sender.get(sender, 0) >= settings.mailbox_per_sender
        )

    def _feign(self, copy: Copy) -> None:
        if self.known and self._full_for(copy.sender):
            copy.refuse(ChatError(Code.MAILBOX_FULL))
        else:
            self._shelf.pretend(self, copy)

    # Into the store

    def _spill(self) -> None:
        """Everything unanswered goes into the store, in one transaction."""
        batch = [c for c in self._window if c.row is Row.NONE and c.receipt is not None]
        if self._waiting:
            batch.extend(self._waiting)
            self._waiting.clear()
            self._waiting_bytes = 0
            self._fall_behind()
        self._keep(batch)

    def _fall_behind(self) -> None:
        if self.phase in (Phase.LIVE, Phase.CLOSING):
            self.phase = Phase.DRAINING

    def _keep(self, copies: list[Copy]) -> None:
        if not copies:
            return
        self._writing += len(copies)
        for copy in copies:
            copy.row = Row.WRITING
            # Counted from now on, so that a burst cannot pass the quota before its commit.
            self.by_sender[copy.sender] = self.by_sender.get(copy.sender, 0) + 1
            if copy.in_window:
                self._rows[copy.name] = copy
            else:
                self._unpushed_writing += 1
        self._shelf.keep(self, copies)

    def kept(self, copies: Sequence[Copy], outcomes: Sequence[Outcome]) -> None:
        """The store has answered for each copy, in order."""
        gone = []
        for copy, outcome in zip(copies, outcomes, strict=True):
            self._no_longer_writing(copy)
            there = outcome.keeping in (Keeping.STORED, Keeping.REPEATED)
            if outcome.keeping is Keeping.STORED:
                self.stored += 1
            else:
                self._uncount(copy.sender)
            if there:
                copy.stamp = outcome.stamp
                copy.row = Row.KEPT
                self._stale = self._stale or not copy.in_window
                copy.settle(State.STORED)
                if copy.acknowledged:
                    gone.append(copy)
            else:
                self._unwritten(copy)
                conflict = outcome.keeping is Keeping.CONFLICT
                copy.refuse(ChatError(Code.CID_REUSED if conflict else Code.BAD_REQUEST))
        self._forget(gone)
        self._go_on()

    def not_kept(self, copies: Sequence[Copy], unknown: bool) -> None:
        """The store could not be reached; ``unknown``: the rows may be there all the same."""
        gone = []
        for copy in copies:
            self._no_longer_writing(copy)
            self._uncount(copy.sender)
            if copy.in_window or copy.acknowledged:
                if unknown:
                    copy.row = Row.PERHAPS
                    if copy.acknowledged:
                        gone.append(copy)
                else:
                    self._unwritten(copy)
            elif unknown:
                self._unsure = True
            copy.refuse(busy())
        if self._unsure:
            self._rewind = True
        if self.receiver is None:
            self._drop_refused()
        self._forget(gone)
        self._go_on()

    def appeared(self) -> None:
        """Rows whose keeping had been given up are in the store after all, or another node has
        stored some: look for them."""
        self._unsure = self._rewind = True
        self._fall_behind()
        self._go_on()

    def _no_longer_writing(self, copy: Copy) -> None:
        self._writing -= 1
        if not copy.in_window and not copy.acknowledged:
            self._unpushed_writing -= 1

    def _unwritten(self, copy: Copy) -> None:
        copy.row = Row.NONE
        self._leave_rows(copy)

    def _uncount(self, sender: int) -> None:
        count = self.by_sender.get(sender, 0) - 1
        if count > 0:
            self.by_sender[sender] = count
        else:
            self.by_sender.pop(sender, None)

    def _drop_refused(self) -> None:
        """Nobody waits any more for what was refused in the window of a lost connection."""
        for copy in [c for c in self._window if c.row in (Row.NONE, Row.PERHAPS)]:
            if copy.receipt is None:
                self._unsure = self._unsure or copy.row is Row.PERHAPS
                self._window.remove(copy)
                self._window_bytes -= len(copy.body)
                copy.in_window = False
                self._rows.pop(copy.name, None)

    # Out of the store

    def _forget(self, copies: list[Copy]) -> None:
        if copies:
            self._shelf.forget(self, copies)

    def forgotten(self, copies: Sequence[Copy], done: bool) -> None:
        """The rows are deleted, or (not ``done``) will be shown again at the next login."""
        for copy in copies:
            if self._fetching:
                # The page that is on its way may have been read before the deletion.
                self._just_forgotten.append(copy)
            else:
                self._leave_rows(copy)
            if done and copy.row is Row.KEPT:
                self.stored = max(0, self.stored - 1)
                self._uncount(copy.sender)
        self._unsure = self._unsure or not done

    def _leave_rows(self, copy: Copy) -> None:
        if self._rows.get(copy.name) is copy:
            del self._rows[copy.name]

    def _fetched(self) -> None:
        self._fetching = False
        for copy in self._just_forgotten:
            self._leave_rows(copy)
        self._just_forgotten.clear()

    def page(self, login: int, rows: Sequence[Kept], more: bool, now: float) -> None:
        """A page of what waits, asked for during this ``login``."""
        if login != self._login:
            return
        fresh = []
        for row in rows:
            self._cursor = (row.stamp, row.sender)
            if (row.sender, row.cid) not in self._rows:
                fresh.append(Copy.from_row(row, now))
        self._fetched()
        if self.phase is Phase.GREETING:
            self._greet(fresh)
            self.phase = Phase.DRAINING
        else:
            for copy in fresh:
                self._rows[copy.name] = copy
                self._push(copy)
        if not more:
            self._end_in_sight()
        self._go_on()

    def no_page(self, login: int, now: float) -> None:
        """The store could not be reached."""
        if login != self._login:
            return
        self._fetched()
        if self.phase is Phase.GREETING:
            self._fail_login(busy())
        else:
            self._retry_at = now + RETRY_SECONDS

    def _end_in_sight(self) -> None:
        unseen = self._stale or self._rewind or self._unpushed_writing
        self.phase = Phase.CLOSING if unseen else Phase.LIVE

    def _go_on(self) -> None:
        """Whatever has become possible."""
        if self.phase is Phase.LIVE:
            while self._waiting and self._room():
                copy = self._waiting.popleft()
                self._waiting_bytes -= len(copy.body)
                self._push(copy)
        elif self.phase in (Phase.DRAINING, Phase.CLOSING) and self._retry_at is None:
            closing_must_wait = self.phase is Phase.CLOSING and self._unpushed_writing
            if not self._fetching and not closing_must_wait and self._half_empty():
                self._fetch()

    def _half_empty(self) -> bool:
        settings = self._settings
        return (
            len(self._window) <= settings.window_messages // 2
            and self._window_bytes <= settings.window_bytes // 2
        )

    def _fetch(self) -> None:
        self._fetching = True
        self._stale = False
        if self._rewind:
            self._rewind = False
            self._cursor = (0, 0)
        self._shelf.fetch(self, self._cursor, self._login)

    # The recipient acknowledges

    def received(self, seq: int) -> None:
        """A level 2 client has everything up to this ``seq``.

        :raises ChatError: 100, so many were not pushed.
        """
        if seq > self._seq:
            raise ChatError(Code.BAD_REQUEST, "seq was not pushed yet")
        self._acknowledge(seq, State.DELIVERED)

    def written(self, taken: int) -> None:
        """The kernel has so many of a level 1 client's bytes."""
        if self._window:
            self._acknowledge(taken, State.PUSHED)

    def _acknowledge(self, place: int, state: State) -> None:
        window = self._window
        gone = []
        while window and window[0].place <= place:
            copy = window.popleft()
            self._window_bytes -= len(copy.body)
            if copy.row is Row.NONE:
                receipt = copy.receipt
                if receipt is not None:
                    copy.receipt = None
                    receipt.settle(state)
                continue
            copy.in_window = False
            copy.acknowledged = True
            copy.settle(state)
            if copy.row is not Row.WRITING:
                gone.append(copy)
        self._forget(gone)
        if self._waiting or self.phase is not Phase.LIVE:
            self._go_on()

    # Logins come and go

    def attach(self, receiver: Receiver) -> None:
        """A login: the receiver is welcomed with what waits, at once or after a look into the
        store.  There must be no other receiver."""
        assert self.receiver is None
        self.receiver = receiver
        self._login += 1
        self._retry_at = None
        if self.known:
            self._attach_known(receiver)
        else:
            self._attaching = True
            self.open()

    def open(self) -> None:
        """Ask the store how much waits there, unless that is known or under way."""
        if not self.known and not self._asked_census:
            self._asked_census = True
            self._shelf.census(self)

    def opened(self, census: Census) -> None:
        """How much waits in the store."""
        self._asked_census = False
        self.known = True
        self.stored = census.waiting
        self.by_sender = dict(census.by_sender)
        self.blocked = census.blocked
        waiting, self._waiting, self._waiting_bytes = self._waiting, deque(), 0
        for copy in waiting:
            if copy.sender in self.blocked and copy.kind == 5:
                self._feign(copy)
            else:
                self._keep_new(copy)
        if self._attaching and self.receiver is not None:
            self._attaching = False
            self._attach_known(self.receiver)

    def nobody(self) -> None:
        """There is no such user."""
        self._not_opened(ChatError(Code.NO_SUCH_USER))

    def not_opened(self) -> None:
        """The store could not be reached."""
        self._not_opened(busy())

    def _not_opened(self, error: ChatError) -> None:
        self._asked_census = False
        waiting, self._waiting, self._waiting_bytes = self._waiting, deque(), 0
        for copy in waiting:
            copy.refuse(error)
        if self._attaching:
            self._attaching = False
            self._fail_login(error)

    def _fail_login(self, error: ChatError) -> None:
        receiver, self.receiver = self.receiver, None
        self.phase = Phase.AWAY
        if receiver is not None:
            receiver.not_welcome(error)

    def _attach_known(self, receiver: Receiver) -> None:
        self._seq = 0
        self._rewind = True
        in_memory = sum(1 for copy in self._window if copy.row is Row.KEPT)
        elsewhere = self._unsure or self._unpushed_writing or self.stored > in_memory
        if receiver.level == 2:
            unkept = sum(1 for copy in self._window if copy.row is not Row.KEPT)
            receiver.welcome(self.stored + unkept + self._unpushed_writing, ())
            self._push_held(0)
            self.phase = Phase.DRAINING if elsewhere else Phase.LIVE
            self._unsure = False
            self._go_on()
        elif elsewhere:
            self._unsure = False
            self.phase = Phase.GREETING
            self._fetch()
        else:
            self._greet([])
            self.phase = Phase.LIVE
            self._go_on()

    def _greet(self, fresh: list[Copy]) -> None:
        """The login answer of a level 1 client, with as much of what waits as goes into it."""
        receiver = self.receiver
        assert receiver is not None
        for copy in fresh:
            self._rows[copy.name] = copy
            self._enter(copy)
        taken, place = receiver.welcome(len(self._window), tuple(self._window))
        for copy in list(self._window)[:taken]:
            copy.place = place
        self._push_held(taken)

    def _push_held(self, already: int) -> None:
        """What is in the window from before is pushed on this connection first, from memory."""
        held = list(self._window)
        self._window.clear()
        self._window_bytes = 0
        for index, copy in enumerate(held):
            if index < already:
                self._enter(copy)
            else:
                self._push(copy)

    def detach(self, now: float) -> None:
        """The connection has ended, or its user has logged out: what is unanswered is stored."""
        self.receiver = None
        self._login += 1
        self._fetched()
        self._attaching = False
        self._held_since = now
        was_live = self.phase is Phase.LIVE
        # What was not seen to its end is looked for again.
        self._unsure = self._unsure or not was_live
        self.phase = Phase.AWAY
        self._drop_refused()
        if was_live:
            # Nothing else is in the store: what waits in memory is next in line.
            for copy in self._waiting:
                self._enter(copy)
            unpushed: list[Copy] = []
        else:
            unpushed = list(self._waiting)
        if self.known:
            self._waiting.clear()
            self._waiting_bytes = 0
            self._keep([c for c in self._window if c.row is Row.NONE] + unpushed)

    # Time passes

    def tick(self, now: float) -> None:
        """Store what has been unanswered for too long; try again what failed."""
        if self._retry_at is not None and now >= self._retry_at:
            self._retry_at = None
            self._go_on()
        if self.receiver is None:
            self._release_held(now)
        elif self._overdue(now - self._settings.keep_after_seconds):
            self._spill()

    def _overdue(self, before: float) -> bool:
        if self._waiting and self.phase is not Phase.AWAY and self._waiting[0].born <= before:
            return self.known
        if not self._window or self._window[-1].row is not Row.NONE:
            return False
        for copy in self._window:
            if copy.row is Row.NONE and copy.receipt is not None:
                return copy.born <= before
        return False

    def _release_held(self, now: float) -> None:
        if not self._window or now - self._held_since < HELD_SECONDS:
            return
        if all(copy.row is Row.KEPT for copy in self._window):
            for copy in self._window:
                copy.in_window = False
                self._rows.pop(copy.name, None)
            self._window.clear()
            self._window_bytes = 0
