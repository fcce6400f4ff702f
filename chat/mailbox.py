"""One user's custody: what is on its way to the user, what waits, what is in the store.

A state machine without I/O: events are method calls, effects go through
:class:`~chat.copies.Receiver` (the user's connection) and :class:`~chat.copies.Shelf` (the store),
and the time is passed in.  ``docs/delivery.md`` draws its states and says why each transition is
there.

The states::

    away      no connection; what arrives is kept in the store
    greeting  a connection is there, its login answer is not out; what arrives is kept
    draining  the store may hold messages that were not pushed yet; what arrives is kept
    closing   as draining, but the end of the store is in sight: what arrives waits in memory
    live      nothing is in the store that was not pushed: what arrives is pushed at once

Where there are several nodes, the mailbox of a user who is away has a route, on which messages go
to the node where the user may be (:mod:`chat.routes`); what does not go there is kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING

from .config import Settings
from .copies import Copy, Receiver, Row, Shelf
from .errors import ChatError, Code
from .messages import MsgId
from .model import Census, Keeping, Kept, Outcome, Place
from .receipts import State
from .runs import GroupRun, Run
from .window import Tally, Window
from .wire import with_seq

if TYPE_CHECKING:
    from .routes import Route

RETRY_SECONDS = 1.0
"""After which a store that could not be reached is asked again, and a client told to."""

UNCOUNTED_MESSAGES = 20_000
UNCOUNTED_BYTES = 64 << 20
"""What may wait for the store's first word on a user, as much as may wait for its writer; beyond it
senders are told that the store is busy."""

HELD_SECONDS = 2.0
"""How long what was in flight stays in memory once it is stored, for a quick return."""


class Phase(Enum):
    """The states of the drawing."""

    AWAY = "away"
    GREETING = "greeting"
    DRAINING = "draining"
    CLOSING = "closing"
    LIVE = "live"


# Looked up once: an Enum's members cost a call each time.
_LIVE = Phase.LIVE
_PUSHED = State.PUSHED
_DELIVERED = State.DELIVERED


def busy() -> ChatError:
    """Errno 108 as mailboxes say it."""
    return ChatError(Code.BUSY, retry_after=RETRY_SECONDS)


class Mailbox:
    """What is under way to one user."""

    __slots__ = (
        "_asked_census", "_attaching", "_awaited", "_counted_at", "_cursor", "_deleting",
        "_fetching",
        "_held_since", "_login", "_retry_at", "_rewind", "_seq", "_settings", "_shelf", "_stale",
        "_tally", "_unsure", "_waiting", "_waiting_bytes", "_window", "blocked", "known", "phase",
        "receiver", "route", "user_id",
    )  # fmt: skip

    def __init__(self, user_id: int, settings: Settings, shelf: Shelf) -> None:
        self.user_id = user_id
        self.phase = Phase.AWAY
        self.receiver: Receiver | None = None
        self.known = False
        """Whether the store has told how much waits there."""
        self.blocked: frozenset[int] = frozenset()
        """Whose one-to-one messages do not reach this user."""
        self.route: Route | None = None
        """The way to other nodes, if there are any."""
        self._counted_at = 0.0
        """When the store was last asked how much waits as there seemed to be too much."""
        self._settings = settings
        self._shelf = shelf
        self._window = Window()
        self._waiting: deque[Copy] = deque()
        self._waiting_bytes = 0
        self._tally = Tally()
        self._seq = 0
        self._login = 0
        """Counts logins, to know the pages that a former one asked for."""
        self._cursor = (0, 0)
        self._deleting = 0
        """Rows of which the store has not said yet that they are gone."""
        self._fetching = False
        self._stale = False
        """Something was kept since the last page was asked for."""
        self._rewind = False
        """The next page is read from the beginning."""
        self._unsure = False
        """Rows may be in the store that nobody counted."""
        self._attaching = False
        self._awaited = 0
        """Of what was being written at the login, how much still is."""
        self._asked_census = False
        self._held_since = 0.0
        self._retry_at: float | None = None

    # What others ask

    @property
    def idle(self) -> bool:
        """Whether nothing would be lost if this object were."""
        return (
            self.receiver is None
            and not (self._window or self._waiting or self._window.has_rows)
            and not (self._tally.writing or self._asked_census)
            and (self.route is None or self.route.idle)
        )

    @property
    def writing(self) -> bool:
        """Whether something is on its way into the store."""
        return self._tally.writing > 0

    @property
    def changing(self) -> bool:
        """Whether something is on its way into the store, or out of it."""
        return self._tally.writing > 0 or self._deleting > 0

    @property
    def settled(self) -> bool:
        """Whether nothing is looked for in the store."""
        return self.phase is _LIVE

    @property
    def pushed(self) -> int:
        """Messages that were pushed and are not acknowledged."""
        return len(self._window)

    @property
    def waiting(self) -> int:
        """Messages in memory that wait to be pushed."""
        return len(self._waiting)

    @property
    def stored(self) -> int:
        """Messages that wait in the store, as far as is known here."""
        return self._tally.stored

    # A message arrives

    def send(self, copy: Copy) -> None:
        """Take a message; its receipt is told the fact, at once or later."""
        if copy.sender in self.blocked and copy.kind == MsgId.ONE_CHAT:
            self._feign(copy)
        elif self.phase is _LIVE:
            if self._waiting or not self._window.has_room(self._settings):
                self._make_room()
                if self._waiting or not self._window.has_room(self._settings):
                    self._wait(copy)
                    return
            self._push(copy)
        elif self.route is not None and self.route.take([copy]):
            pass
        elif self.phase is Phase.CLOSING or not self.known:
            self._wait(copy)
        else:
            self._keep_new(copy)

    def send_all(self, copies: list[Copy], source: object = None) -> None:
        """Take one sender's messages, in order, as :meth:`send` takes each.

        :param source: what others get these from as well.
        """
        route = None if copies[0].sender in self.blocked else self.route
        if route is not None and route.take(copies, source):
            return
        receiver = self.receiver
        pushed = 0
        if (
            self.phase is _LIVE
            and receiver is not None
            and not self._waiting
            and copies[0].sender not in self.blocked
        ):
            if receiver.level == 2:
                pushed = self._window.push_all(copies, receiver, self._seq, self._settings)
                self._seq += pushed
            else:
                pushed = self._window.push_bodies(copies, receiver, self._settings)
        for copy in copies[pushed:]:
            self.send(copy)

    def room(self, sender: int) -> int:
        """How many messages of this sender may be pushed together; 0: they have to take the way of
        :meth:`send`."""
        if self.phase is not _LIVE or self._waiting or sender in self.blocked:
            route = self.route
            return 0 if route is None or sender in self.blocked else route.room()
        room = self._window.room(self._settings)
        if room <= 0:
            self._make_room()
            room = self._window.room(self._settings)
        return room

    def push_run(self, run: Run | GroupRun) -> None:
        """Push messages together; there must be :meth:`room`, in bytes for the first of them."""
        receiver = self.receiver
        if receiver is None:
            assert self.route is not None and type(run) is Run
            self.route.push_run(run)
            return
        if receiver.level == 1:
            run.place = receiver.push_all(run.lines)
        else:
            assert type(run) is Run
            receiver.push_all(run.with_seqs(self._seq + 1))
            self._seq += len(run.lines)
            run.place = self._seq
            run.numbered = True
        self._window.enter_run(run)

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
        self._window.enter(copy)

    def _wait(self, copy: Copy) -> None:
        if self.known:
            most, size = self._settings.waiting_messages, self._settings.waiting_bytes
        else:
            most, size = UNCOUNTED_MESSAGES, UNCOUNTED_BYTES
        full = len(self._waiting) >= most or self._waiting_bytes >= size
        if full and not self.known:
            copy.refuse(busy())
            return
        self._waiting.append(copy)
        self._waiting_bytes += len(copy.body)
        if full:
            self._spill()
        elif not self.known:
            self.open()

    def take_waiting(self) -> list[Copy]:
        """Take out what waits in memory."""
        waiting = list(self._waiting)
        self._waiting.clear()
        self._waiting_bytes = 0
        return waiting

    def _keep_new(self, copy: Copy) -> None:
        if not self._tally.is_full_for(copy.sender, self._settings):
            self._keep([copy])
        elif self.route is not None and copy.born >= self._counted_at + RETRY_SECONDS:
            # It may have been emptied on another node.
            self._counted_at = copy.born
            self.known = False
            self._wait(copy)
        else:
            copy.refuse(ChatError(Code.MAILBOX_FULL))

    def block(self, blocked: frozenset[int]) -> None:
        """These one-to-one messages do not reach the user from now on."""
        self.blocked = blocked
        for sender in [one for one in self._tally.feigned if one not in blocked]:
            del self._tally.feigned[sender]

    def _feign(self, copy: Copy) -> None:
        # To its sender this is a mailbox whose user is never there to empty it.
        if self._tally.is_full_for(copy.sender, self._settings):
            copy.refuse(ChatError(Code.MAILBOX_FULL))
        else:
            self._tally.feign(copy.sender)
            self._shelf.pretend(self, copy)

    # Into the store

    def _spill(self) -> None:
        """Everything unanswered goes into the store, in one transaction."""
        batch = self._window.unanswered()
        if self._waiting:
            batch.extend(self.take_waiting())
            self._fall_behind()
        self._keep(batch)

    def _fall_behind(self) -> None:
        if self.phase in (Phase.LIVE, Phase.CLOSING):
            self.phase = Phase.DRAINING

    def keep_all(self, copies: list[Copy]) -> None:
        """What could not go elsewhere is stored, in one transaction."""
        self._keep(copies)

    def _keep(self, copies: list[Copy]) -> None:
        if not copies:
            return
        for copy in copies:
            copy.row = Row.WRITING
            self._tally.begin(copy)
            if copy.in_window:
                self._window.note_row(copy)
        self._shelf.keep(self, copies)

    def kept(self, copies: Sequence[Copy], outcomes: Sequence[Outcome]) -> None:
        """The store has answered for each copy, in order."""
        gone = []
        self._awaited -= len(copies)
        for copy, outcome in zip(copies, outcomes, strict=True):
            # A commit whose answer was cut is repeated, and finds its rows: nobody counted them.
            own = outcome.keeping is Keeping.REPEATED and outcome.stamp == copy.stamp
            self._tally.end(copy, own or outcome.keeping is Keeping.STORED)
            if outcome.keeping in (Keeping.STORED, Keeping.REPEATED):
                copy.stamp = outcome.stamp
                copy.row = Row.KEPT
                if not copy.in_window:
                    self._stale = True
                    # Its place may be before what was read: the clock was set back, say.
                    if (copy.stamp, copy.sender) <= self._cursor:
                        self._rewind = True
                copy.settle(State.STORED)
                if copy.acknowledged:
                    gone.append(copy)
            else:
                copy.row = Row.NONE
                self._window.drop_row(copy)
                conflict = outcome.keeping is Keeping.CONFLICT
                copy.refuse(ChatError(Code.CID_REUSED if conflict else Code.BAD_REQUEST))
        self._forget(gone)
        if self.route is not None and self.receiver is None:
            self.route.kept()
        self._go_on()

    def not_kept(self, copies: Sequence[Copy], unknown: bool) -> None:
        """The store could not be reached; ``unknown``: the rows may be there all the same."""
        gone = []
        self._awaited -= len(copies)
        for copy in copies:
            self._tally.end(copy, new=False)
            if not (copy.in_window or copy.acknowledged):
                self._unsure = self._unsure or unknown
            elif unknown:
                copy.row = Row.PERHAPS
                if copy.acknowledged:
                    gone.append(copy)
            else:
                copy.row = Row.NONE
                self._window.drop_row(copy)
            copy.refuse(busy())
        self._rewind = self._rewind or self._unsure
        self._refuse_behind({copy.sender for copy in copies})
        if self.receiver is None:
            self._drop_refused()
        self._forget(gone)
        self._go_on()

    def _refuse_behind(self, senders: set[int]) -> None:
        """These have to send again; what is unanswered of theirs came later, and has to come later
        again."""
        for copy in self._window.unanswered():
            if copy.sender in senders:
                copy.refuse(busy())
        for copy in self.take_waiting():
            if copy.sender in senders:
                copy.refuse(busy())
            else:
                self._waiting.append(copy)
                self._waiting_bytes += len(copy.body)
        if self.route is not None:
            self.route.refuse(senders)

    def appeared(self) -> None:
        """Rows whose keeping had been given up are in the store after all, or another node has
        stored some: look for them."""
        self._unsure = self._rewind = True
        if self.phase in (Phase.LIVE, Phase.CLOSING):
            # What comes from now on is stored, and what is unanswered is before it.
            self._spill()
        self._fall_behind()
        self._go_on()

    def _drop_refused(self) -> None:
        """Nobody waits any more for what was refused in the window of a lost connection."""
        self._unsure = self._window.drop_refused() or self._unsure

    # Out of the store

    def _forget(self, copies: list[Copy]) -> None:
        for copy in copies:
            if copy.row is Row.KEPT:
                # It waits no longer, whenever its row goes.
                self._tally.remove(copy)
        if copies:
            self._deleting += len(copies)
            self._shelf.forget(self, copies)

    def forgotten(self, copies: Sequence[Copy], done: bool) -> None:
        """The rows are deleted, or (not ``done``) will be shown again at the next login."""
        self._deleting -= len(copies)
        for copy in copies:
            self._window.forget_row(copy)
            if not done and copy.row is Row.KEPT:
                self._tally.put_back(copy)
        self._unsure = self._unsure or not done

    def _fetch(self) -> None:
        self._fetching = True
        self._stale = False
        if self._rewind:
            self._rewind = False
            self._cursor = (0, 0)
        self._window.page_asked()
        self._shelf.fetch(self, self._cursor, self._login)

    def page(
        self,
        login: int,
        rows: Sequence[Kept],
        more: bool,
        now: float,
        places: Sequence[Place] = (),
    ) -> None:
        """A page of what waits, asked for during this ``login``.

        :param places: where there are several nodes, which do not commit in one order: what stood
            up to the page's end when the page had been read.
        """
        if login != self._login:
            return
        late = self._late(rows, places)
        if late:
            self._rewind = True
        fresh = []
        gone = []
        for row in rows:
            self._cursor = (row.stamp, row.sender)
            pushed = self._window.with_row(row.sender, row.cid)
            if pushed is None and row.stamp > late.get(row.sender, row.stamp):
                continue  # it comes again, behind the one that is late
            if pushed is None:
                copy = Copy.from_row(row, now)
                if self.route is not None and self.route.was_delivered(row.sender, row.cid):
                    # It came here, and its sender's node did not know and stored it.
                    gone.append(copy)
                    continue
                self._window.note_row(copy)
                fresh.append(copy)
            elif pushed.stamp != row.stamp and pushed.row is Row.PERHAPS:
                # It was sent again, and the row is that of the second time.
                if pushed.acknowledged:
                    gone.append(Copy.from_row(row, now))
                else:
                    pushed.stamp = row.stamp
                    pushed.row = Row.KEPT
        self._page_came()
        self._forget(gone)
        if self.phase is Phase.GREETING:
            self._greet(fresh)
            self.phase = Phase.DRAINING
        else:
            for copy in fresh:
                self._push(copy)
        if not more:
            unseen = self._stale or self._rewind or self._tally.unpushed
            self.phase = Phase.CLOSING if unseen else Phase.LIVE
            if not unseen:
                # Every row there is has been seen since the login.
                self._tally.recount(self._window.with_rows)
        self._go_on()

    def _late(self, rows: Sequence[Kept], places: Sequence[Place]) -> dict[int, int]:
        """By sender, the stamp of the first message that stands before the page's end and has not
        been seen: it was committed after what stands behind it was read."""
        shown = {(row.sender, row.cid) for row in rows} if places else ()
        late: dict[int, int] = {}
        for place in places:
            if (
                (place.sender, place.cid) not in shown
                and self._window.with_row(place.sender, place.cid) is None
                and not (self.route and self.route.was_delivered(place.sender, place.cid))
            ):
                late.setdefault(place.sender, place.stamp)
        return late

    def no_page(self, login: int, now: float) -> None:
        """The store could not be reached."""
        if login != self._login:
            return
        self._page_came()
        if self.phase is Phase.GREETING:
            self._fail_login(busy())
        else:
            self._retry_at = now + RETRY_SECONDS

    def _page_came(self) -> None:
        self._fetching = False
        self._window.page_came()

    def _go_on(self) -> None:
        """Whatever has become possible."""
        if self.phase is _LIVE:
            while self._waiting and self._window.has_room(self._settings):
                copy = self._waiting.popleft()
                self._waiting_bytes -= len(copy.body)
                self._push(copy)
        elif self.phase is Phase.GREETING:
            # What was said before the login belongs into its answer.
            if not self._fetching and self._awaited <= 0:
                self._fetch()
        elif self.phase in (Phase.DRAINING, Phase.CLOSING) and self._retry_at is None:
            must_wait = self.phase is Phase.CLOSING and self._tally.unpushed
            half_empty = self._window.is_half_empty(self._settings)
            if not self._fetching and not must_wait and half_empty:
                self._fetch()
        elif self.route is not None:
            self.route.go_on()

    # The recipient acknowledges

    def received(self, seq: int) -> None:
        """A level 2 client has everything up to this ``seq``.

        :raises ChatError: 100, so many were not pushed.
        """
        if seq > self._seq:
            raise ChatError(Code.BAD_REQUEST, "seq was not pushed yet")
        self._acknowledge(seq, _DELIVERED)

    def written(self, taken: int) -> None:
        """The kernel has so many of a level 1 client's bytes."""
        if self._window.copies:
            self._acknowledge(taken, _PUSHED)

    def _acknowledge(self, place: int, state: State) -> None:
        window = self._window
        copies = window.copies
        if len(copies) == 1 and not self._waiting and self.phase is _LIVE:
            # What happens nearly always, without the calls that all else takes.
            only = copies[0]
            if only.place <= place and type(only) is not Copy:
                copies.clear()
                window.count = window.size = 0
                only.settle(state)
                return
        self._forget(window.acknowledge(place, state))
        if self._waiting or self.phase is not _LIVE:
            self._go_on()

    # Logins come and go

    def attach(self, receiver: Receiver) -> None:
        """A login: the receiver is welcomed with what waits, at once or after a look into the
        store.  There must be no other receiver."""
        assert self.receiver is None
        self.receiver = receiver
        self._login += 1
        self._retry_at = None
        if self.route is not None:
            self._come_from_elsewhere(self.route)
        if self.known:
            self._attach_known(receiver)
        else:
            self._attaching = True
            self.open()

    def _come_from_elsewhere(self, route: Route) -> None:
        """Other nodes may have stored, and taken out, what is not known here."""
        route.arrived()
        self.known = False
        self._unsure = True
        # So nothing is pushed from memory: what was in flight here is in the store, or will be.
        for copy in self._window.clear():
            copy.in_window = False
            self._window.drop_row(copy)
            if copy.row is Row.WRITING:
                self._tally.unpushed += 1

    def open(self) -> None:
        """Ask the store how much waits there, unless that is known or under way."""
        if not self.known and not self._asked_census:
            self._asked_census = True
            self._shelf.census(self)

    def opened(self, census: Census) -> None:
        """How much waits in the store."""
        self._asked_census = False
        self.known = True
        # What is being deleted has been received.
        self._tally.stored = max(0, census.waiting - self._deleting)
        self._tally.by_sender = dict(census.by_sender)
        self.blocked = census.blocked
        for copy in self.take_waiting():
            self.send(copy)
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
        for copy in self.take_waiting():
            copy.refuse(error)
        if self._attaching:
            self._attaching = False
            self._fail_login(error)

    def _fail_login(self, error: ChatError) -> None:
        receiver, self.receiver = self.receiver, None
        self.phase = Phase.AWAY
        # What the login was about to look for is looked for by the next one.
        self._unsure = True
        if self.route is not None:
            self.route.left()
        if receiver is not None:
            receiver.not_welcome(error)

    def _attach_known(self, receiver: Receiver) -> None:
        tally = self._tally
        held = list(self._window.take_apart())
        kept = sum(1 for copy in held if copy.row is Row.KEPT)
        elsewhere = self._unsure or tally.unpushed > 0 or tally.stored > kept
        self._seq = 0
        self._rewind = True
        self._unsure = False
        if receiver.level == 2:
            receiver.welcome(tally.stored + len(held) - kept + tally.unpushed, ())
            self._push_held(0)
            self.phase = Phase.DRAINING if elsewhere else Phase.LIVE
            self._go_on()
        elif elsewhere:
            self.phase = Phase.GREETING
            self._awaited = tally.writing
            self._go_on()
        else:
            self._greet([])
            self.phase = Phase.LIVE
            self._go_on()

    def _greet(self, fresh: list[Copy]) -> None:
        """The login answer of a level 1 client, with as much of what waits as goes into it."""
        receiver = self.receiver
        assert receiver is not None
        for copy in fresh:
            self._window.enter(copy)
        waiting = list(self._window.take_apart())
        taken, place = receiver.welcome(len(waiting), waiting)
        for copy in waiting[:taken]:
            copy.place = place
        self._push_held(taken)

    def _push_held(self, already: int) -> None:
        """What is in the window from before is pushed on this connection first, from memory."""
        for index, copy in enumerate(self._window.clear()):
            if index < already:
                self._window.enter(copy)
            else:
                self._push(copy)

    def detach(self, now: float) -> None:
        """The connection has ended, or its user has logged out: what is unanswered is stored."""
        was_live = self.phase is _LIVE
        self.receiver = None
        self.phase = Phase.AWAY
        self._login += 1
        self._attaching = False
        self._held_since = now
        # What was not seen to its end is looked for again.
        self._unsure = self._unsure or not was_live
        self._page_came()
        self._drop_refused()
        if self.route is not None:
            self.route.left()
        if not self.known:
            return
        unpushed = self.take_waiting()
        if was_live:
            # Nothing else is in the store: what waits in memory is next in line.
            for copy in unpushed:
                self._window.enter(copy)
            unpushed = []
        held = [copy for copy in self._window.take_apart() if copy.row is Row.NONE]
        self._keep(held + unpushed)

    def end(self) -> None:
        """There is no such user any more, and nothing of the user's in the store."""
        self.receiver = None
        self.phase = Phase.AWAY
        self.known = False
        self._login += 1
        nobody = ChatError(Code.NO_SUCH_USER)
        if self.route is not None:
            self.route.end()
        for copy in [*self._window.clear(), *self.take_waiting()]:
            if copy.row is not Row.WRITING:
                copy.refuse(nobody)

    # Time passes

    def tick(self, now: float) -> None:
        """Store what has been unanswered for too long; try again what failed."""
        if self._retry_at is not None and now >= self._retry_at:
            self._retry_at = None
            self._go_on()
        if self.route is not None:
            self.route.tick(now)
        if self.receiver is None:
            self._release_held(now)
        elif self._overdue(now - self._settings.keep_after_seconds):
            self._spill()

    def _overdue(self, before: float) -> bool:
        if self._waiting and self._waiting[0].born <= before:
            return self.known
        copies = self._window.copies
        if not copies or copies[-1].row is not Row.NONE:
            return False
        for copy in copies:
            if copy.row is Row.NONE and copy.receipt is not None:
                return copy.born <= before
        return False

    def _release_held(self, now: float) -> None:
        if not self._window or now - self._held_since < HELD_SECONDS:
            return
        if all(copy.row is Row.KEPT for copy in self._window.copies):
            for copy in self._window.clear():
                copy.in_window = False
                self._window.drop_row(copy)
