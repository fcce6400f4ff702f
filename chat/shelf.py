"""The way of the mailboxes to the store, for all of them together.

One writer collects what is to be kept while the last transaction runs, and keeps it in the next:
a transaction costs about the same for one row as for a hundred.  Deletions, pages and counts are
collected as well.  When the store does not answer, whoever waits is told within the patience that
the settings give, and nothing queues behind a store that is known to be away.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from hashlib import blake2b
from typing import Any

from .config import Settings
from .copies import Copy, Row
from .errors import StoreAway
from .interfaces import Clock, Offline
from .mailbox import RETRY_SECONDS, Mailbox
from .messages import Chat, OneChat
from .model import Kept, KeptKey, Place
from .orders import Feigned, Order

BATCH_ROWS = 5000
BATCH_BYTES = 8 << 20
"""What one transaction of the writer takes at most (beyond it by one request)."""

QUEUE_ROWS = 20_000
QUEUE_BYTES = 64 << 20
"""What may wait for the writer; beyond it senders are told that the store is busy."""

FORGET_ROWS = 1000
FORGET_DELAY = 0.02
"""Deletions are collected so long, in seconds, or until there are so many."""

FORGET_QUEUE = 100_000
"""Deletions beyond it are given up: their rows are shown again at the next login."""

FORGET_BEHIND = 5000
"""With so many deletions to come pages are not read ahead of them, or memory would fill with what
a fast reader has acknowledged."""

CENSUS_ROWS = 5000

USUAL_SECONDS = 0.002
"""What a commit takes, before the first one has been seen."""

LONGEST_FEIGNED = 0.5
"""Seconds that the pretence of a commit takes at most."""

Spawn = Callable[[Coroutine[Any, Any, None]], object]
CallLater = Callable[[float, Callable[[], object]], object]


class Figures:
    """Counted for the status page."""

    __slots__ = ("batches", "failed", "fetched", "forgotten", "kept", "last_batch", "seconds")

    def __init__(self) -> None:
        self.kept = 0
        self.batches = 0
        self.last_batch = 0
        self.seconds = 0.0
        self.failed = 0
        self.forgotten = 0
        self.fetched = 0


class StoreShelf:
    """Implements :class:`chat.copies.Shelf` over :class:`chat.interfaces.Offline`.

    :param spawn: runs a coroutine and logs what it raises.
    :param call_later: calls a function after so many seconds.
    """

    def __init__(
        self,
        offline: Offline,
        settings: Settings,
        clock: Clock,
        spawn: Spawn,
        call_later: CallLater,
    ) -> None:
        self.figures = Figures()
        self.check: Callable[[], None] = _nothing
        """Called before an answer of the store is worked off."""
        self._offline = offline
        self._settings = settings
        self._clock = clock
        self._spawn = spawn
        self._call_later = call_later
        self._orders: deque[Order] = deque()
        self._waiting_rows = 0
        self._waiting_bytes = 0
        self._current: list[Order] = []
        self._current_since = 0.0
        self._away_until = 0.0
        self._writing = False
        self._usual = USUAL_SECONDS
        """What a commit takes these days."""
        self._feigning = 0
        self._forgetting = False
        self._to_forget: deque[tuple[Mailbox, Copy]] = deque()
        self._to_fetch: deque[tuple[Mailbox, tuple[int, int], int]] = deque()
        self._counting: list[Mailbox] = []

    # Keeping

    @property
    def away(self) -> bool:
        """Whether the store did not answer when it was last asked to keep something."""
        now = self._clock.monotonic()
        return now < self._away_until or (bool(self._current) and self._current[0].given_up)

    @property
    def crowded(self) -> bool:
        """Whether what can wait with more had better do so."""
        return self._waiting_rows >= QUEUE_ROWS // 2 or self._waiting_bytes >= QUEUE_BYTES // 2

    @property
    def idle(self) -> bool:
        """Whether nothing is under way to the store."""
        writing = self._writing or self._orders or self._feigning
        return not (writing or self._to_forget or self._forgetting)

    def keep(self, mailbox: Mailbox, copies: Sequence[Copy]) -> None:
        """See :meth:`chat.copies.Shelf.keep`."""
        self._put(Order(mailbox, tuple(copies)))

    def pretend(self, mailbox: Mailbox, copy: Copy) -> None:
        """See :meth:`chat.copies.Shelf.pretend`."""
        self._put(Feigned(mailbox, (copy,)))

    def _put(self, order: Order) -> None:
        full = self._waiting_rows >= QUEUE_ROWS or self._waiting_bytes >= QUEUE_BYTES
        if full or self.away:
            self.figures.failed += len(order.rows)
            order.give_up(False)
            return
        self._orders.append(order)
        self._waiting_rows += len(order.copies)
        self._waiting_bytes += sum(len(copy.body) for copy in order.copies)
        if not self._writing:
            self._writing = True
            # After what this turn of the reactor still brings.
            self._call_later(0, lambda: self._spawn(self._write()))

    async def _write(self) -> None:
        try:
            while self._orders:
                await self._write_batch(self._take())
        finally:
            self._writing = False

    def _take(self) -> list[Order]:
        batch: list[Order] = []
        rows = size = 0
        while self._orders and rows < BATCH_ROWS and size < BATCH_BYTES:
            order = self._orders.popleft()
            batch.append(order)
            rows += len(order.copies)
            size += sum(len(copy.body) for copy in order.copies)
        self._waiting_rows -= rows
        self._waiting_bytes -= size
        return batch

    async def _write_batch(self, batch: list[Order]) -> None:
        rows = _rows(batch)
        if not rows:
            self._feign(batch)
            return
        self._current = batch
        self._current_since = began = self._clock.monotonic()
        try:
            outcomes = await self._offline.keep(rows)
        except StoreAway as away:
            self._fail(batch, away.unknown)
            return
        except Exception:
            self._fail(batch, unknown=True)
            raise
        finally:
            self._current = []
            self.check()
        took = self._clock.monotonic() - began
        self._usual = (7 * self._usual + took) / 8
        self.figures.seconds += took
        self.figures.batches += 1
        self.figures.last_batch = len(rows)
        self.figures.kept += len(rows)
        at = 0
        for order in batch:
            end = at + len(order.rows)
            order.kept(outcomes[at:end])
            at = end

    def _feign(self, batch: Sequence[Order]) -> None:
        """There is nothing to write: answer when a commit would have been done."""
        self._feigning += 1
        self._call_later(min(self._usual, LONGEST_FEIGNED), lambda: self._feigned(batch))

    def _feigned(self, batch: Sequence[Order]) -> None:
        self._feigning -= 1
        for order in batch:
            if self.away:
                order.give_up(False)
            else:
                order.kept(())

    def _fail(self, batch: Sequence[Order], unknown: bool) -> None:
        """Those of the batch, and all behind it: what came later must not be stored before."""
        self._away_until = self._clock.monotonic() + RETRY_SECONDS
        orders = [*((order, unknown) for order in batch), *((o, False) for o in self._orders)]
        self._orders.clear()
        self._waiting_rows = self._waiting_bytes = 0
        for order, perhaps in orders:
            if not order.given_up:
                self.figures.failed += len(order.rows)
                order.give_up(perhaps)

    def tick(self, now: float) -> None:
        """Give up what has waited for longer than the patience; call it a few times a second."""
        patience = self._settings.store_patience_seconds
        if self._current and now - self._current_since >= patience:
            self._fail(self._current, unknown=True)

    # Deleting

    def forget(self, mailbox: Mailbox, copies: Sequence[Copy]) -> None:
        """See :meth:`chat.copies.Shelf.forget`."""
        if len(self._to_forget) >= FORGET_QUEUE:
            mailbox.forgotten(copies, done=False)
            return
        for copy in copies:
            if copy.ask is None:
                copy.body = b""  # it came from the store: nobody else has it, and it may be long
            self._to_forget.append((mailbox, copy))
        if not self._forgetting:
            self._forgetting = True
            delay = 0 if len(self._to_forget) >= FORGET_ROWS else FORGET_DELAY
            self._call_later(delay, lambda: self._spawn(self._forget()))

    async def _forget(self) -> None:
        retry = False
        try:
            while self._to_forget and not retry:
                count = min(len(self._to_forget), FORGET_ROWS)
                batch = [self._to_forget.popleft() for _ in range(count)]
                try:
                    await self._offline.forget(
                        [KeptKey(box.user_id, copy.stamp, copy.sender) for box, copy in batch]
                    )
                except StoreAway:
                    self._to_forget.extendleft(reversed(batch))
                    retry = True
                else:
                    self.check()
                    self.figures.forgotten += count
                    for box, copies in _by_mailbox(batch):
                        box.forgotten(copies, done=True)
                    if len(self._to_forget) < FORGET_BEHIND:
                        self._fetch_again()
        finally:
            self._forgetting = retry
            # Whoever waits for a page does not wait for a store that takes nothing.
            self._fetch_again()
            if retry:
                self._call_later(RETRY_SECONDS, lambda: self._spawn(self._forget()))

    # Reading

    def fetch(self, mailbox: Mailbox, after: tuple[int, int], login: int) -> None:
        """See :meth:`chat.copies.Shelf.fetch`."""
        if len(self._to_forget) >= FORGET_BEHIND and self._forgetting:
            self._to_fetch.append((mailbox, after, login))
        else:
            self._spawn(self._fetch(mailbox, after, login))

    def _fetch_again(self) -> None:
        while self._to_fetch:
            self._spawn(self._fetch(*self._to_fetch.popleft()))

    async def _fetch(self, mailbox: Mailbox, after: tuple[int, int], login: int) -> None:
        settings = self._settings
        try:
            rows, more = await self._offline.page(
                mailbox.user_id, after, settings.page_rows, settings.page_bytes
            )
            places: Sequence[Place] = ()
            if rows and mailbox.route is not None:
                # After the page: what another node has committed meanwhile is seen by now.
                last = rows[-1]
                places = await self._offline.places(mailbox.user_id, (last.stamp, last.sender))
        except StoreAway:
            mailbox.no_page(login, self._clock.monotonic())
            return
        self.check()
        self.figures.fetched += len(rows)
        mailbox.page(login, rows, more, self._clock.monotonic(), places)

    def census(self, mailbox: Mailbox) -> None:
        """See :meth:`chat.copies.Shelf.census`."""
        self._counting.append(mailbox)
        if len(self._counting) == 1:
            self._call_later(0, lambda: self._spawn(self._census()))

    async def _census(self) -> None:
        mailboxes, self._counting = self._counting, []
        for start in range(0, len(mailboxes), CENSUS_ROWS):
            some = mailboxes[start : start + CENSUS_ROWS]
            try:
                found = await self._offline.census([mailbox.user_id for mailbox in some])
            except StoreAway:
                for mailbox in some:
                    mailbox.not_opened()
                continue
            self.check()
            for mailbox in some:
                census = found.get(mailbox.user_id)
                if census is None:
                    mailbox.nobody()
                else:
                    mailbox.opened(census)


def _nothing() -> None:
    """There is no lease that could have ended."""


def _rows(batch: Sequence[Order]) -> list[Kept]:
    digests: dict[int, bytes] = {}
    rows = []
    for order in batch:
        recipient = order.mailbox.user_id
        for copy in order.rows:
            ask = copy.ask
            assert ask is not None and copy.row is Row.WRITING
            digest = digests.get(id(ask))
            if digest is None:
                digest = digests[id(ask)] = digest_of(copy.kind, ask)
            rows.append(
                Kept(recipient, copy.stamp, copy.sender, copy.cid, copy.given, copy.kind, digest,
                     copy.body)
            )  # fmt: skip
    return rows


def digest_of(kind: int, ask: Chat) -> bytes:
    """What tells a repeat from another message: msgid, target and text, in 8 bytes."""
    target = ask.toid if isinstance(ask, OneChat) else ask.groupid
    return blake2b(b"%d %d %b" % (kind, target, ask.msg.encode()), digest_size=8).digest()


def _by_mailbox(batch: Sequence[tuple[Mailbox, Copy]]) -> list[tuple[Mailbox, list[Copy]]]:
    found: dict[int, tuple[Mailbox, list[Copy]]] = {}
    for mailbox, copy in batch:
        found.setdefault(mailbox.user_id, (mailbox, []))[1].append(copy)
    return list(found.values())
