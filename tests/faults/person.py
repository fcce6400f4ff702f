"""A user and the client that stands for it: it comes and goes, and behaves badly."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from enum import Enum

from .proxy import Passage, Proxy
from .visit import Manner, Mind, Visit
from .wire import Gone, Wire

SMALL = 4096
"""Bytes of buffers for who reads slowly."""
PATIENCE = 3.0
"""Seconds for what a polite ending waits for: the server may be dead, or stopped."""

WELL_BEHAVED = Manner(seconds=3600.0, ending="close", takes_over=True)

Task = asyncio.Task[None]


class After(Enum):
    """What becomes of the connection."""

    CLOSE = "close"
    LOG_IN = "log in"
    LEAVE = "leave"


async def over(*tasks: Task) -> None:
    """Cancel them; a connection that has ended is no news, but any other exception is."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    for task in tasks:
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, Gone):
            raise error


class Person:
    """Lives in :meth:`live`, a task of its own.

    :param door: the proxy through which the server is reached.
    :param watch: called with all that comes from the server, before it is passed on.
    """

    def __init__(self, mind: Mind, door: Proxy, watch: Callable[[bytes], None]) -> None:
        self.mind = mind
        self.endings: Counter[str] = Counter()
        """How often a login ended in which way; ``lost``: by somebody else."""
        self._door = door
        self._watch = watch
        self._to_cut: int | None = None
        self._left_open: list[Task] = []
        door.see_down = self._see

    async def live(self) -> None:
        """Come and go until it is time to settle; then stay, and come back, until cancelled."""
        settling, chance = self.mind.settling, self.mind.chance
        manner = self._some_manner(takes_over=False)
        try:
            while True:
                with suppress(Gone):
                    await self._connect(WELL_BEHAVED if settling.is_set() else manner)
                pause = chance.choice((0.0, 0.0, 0.05, 0.3, 1.0))
                await asyncio.sleep(0.1 if settling.is_set() else pause)
                manner = self._some_manner(manner.ending in ("take over", "vanish"))
        finally:
            await over(*self._left_open)

    def _some_manner(self, takes_over: bool) -> Manner:
        chance = self.mind.chance
        return Manner(
            seconds=chance.uniform(0.1, 3.0),
            ending=chance.choice(list(_ENDINGS)),
            acknowledges=chance.choice((1.0, 1.0, 1.0, 1.0, 0.5, 0.0)),
            reads_every=chance.choice((0.0, 0.0, 0.0, 0.0, 0.05, 0.3)),
            takes_over=takes_over or chance.random() < 0.2,
        )

    def _see(self, passage: Passage, data: bytes) -> bytes:
        if passage.port == self._to_cut and b'"ack":5' in data:
            passage.cut()
            return b""
        self._watch(data)
        return data

    async def _connect(self, manner: Manner) -> None:
        """One connection, which may be logged out and in again.

        :raises Gone: it has ended.
        """
        wire = await Wire.connect(self._door.port, buffer=SMALL if manner.reads_every else None)
        after = After.LOG_IN
        try:
            while after is After.LOG_IN:
                visit = self._visit(wire, manner)
                await visit.log_in()
                after = await self._stay(visit)
                manner = self._some_manner(takes_over=False)
        finally:
            if after is not After.LEAVE:
                wire.close()

    def _visit(self, wire: Wire, manner: Manner) -> Visit:
        return Visit(wire, self.mind, manner)

    async def _stay(self, visit: Visit) -> After:
        """One login."""
        settling = self.mind.settling
        reading = asyncio.create_task(visit.read())
        writing = asyncio.create_task(visit.write())
        calling = asyncio.create_task(_true(settling))
        awaited = {reading, writing} if settling.is_set() else {reading, writing, calling}
        try:
            await asyncio.wait(
                awaited, timeout=visit.manner.seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if reading.done() or writing.done():
                self.endings["lost"] += 1
                self.mind.ledger.note(f"{self.mind.user_id} is lost")
                return After.CLOSE
            self.endings[visit.manner.ending] += 1
            self.mind.ledger.note(f"{self.mind.user_id} does: {visit.manner.ending}")
            return await _ENDINGS[visit.manner.ending](self, visit, reading, writing)
        finally:
            await over(calling, writing)
            if reading not in self._left_open:
                await over(reading)

    # How it ends

    async def _close(self, visit: Visit, reading: Task, writing: Task) -> After:
        """FIN, or RST if something was unread."""
        return After.CLOSE

    async def _reset(self, visit: Visit, reading: Task, writing: Task) -> After:
        """RST."""
        visit.wire.reset()
        return After.CLOSE

    async def _shut(self, visit: Visit, reading: Task, writing: Task) -> After:
        """Our side is shut; what the server still says is taken."""
        await over(writing)
        visit.wire.shut()
        await asyncio.wait([reading], timeout=PATIENCE)
        return After.CLOSE

    async def _log_out(self, visit: Visit, reading: Task, writing: Task) -> After:
        """The connection stays."""
        await over(writing)
        with suppress(Gone):
            await visit.log_out()
            await asyncio.wait([reading], timeout=PATIENCE)
        answered = reading.done() and reading.exception() is None
        return After.LOG_IN if answered else After.CLOSE

    async def _vanish(self, visit: Visit, reading: Task, writing: Task) -> After:
        """Silence: the server gets rid of its bytes, and hears nothing more, no end either."""
        self._swallow(visit.wire, up=True)
        return After.CLOSE

    async def _go_deaf(self, visit: Visit, reading: Task, writing: Task) -> After:
        """The answers get lost, and in the end the connection."""
        self._swallow(visit.wire, up=False)
        await asyncio.sleep(self.mind.chance.uniform(0.0, 0.5))
        visit.wire.reset()
        return After.CLOSE

    async def _cut(self, visit: Visit, reading: Task, writing: Task) -> After:
        """RST to both sides in place of the next answer."""
        self._to_cut = visit.wire.port
        await asyncio.wait([reading], timeout=PATIENCE)
        self._to_cut = None
        return After.CLOSE

    async def _take_over(self, visit: Visit, reading: Task, writing: Task) -> After:
        """It stays open, and is read, while the next one takes over."""
        await over(*(task for task in self._left_open if task.done()))
        reading.add_done_callback(lambda _: visit.wire.close())
        self._left_open = [task for task in self._left_open if not task.done()]
        self._left_open.append(reading)
        return After.LEAVE

    def _swallow(self, wire: Wire, *, up: bool) -> None:
        for passage in self._door.passages:
            if passage.port == wire.port:
                passage.swallow(up=up, down=True)


async def _true(event: asyncio.Event) -> None:
    await event.wait()


_ENDINGS = {
    "close": Person._close,
    "reset": Person._reset,
    "shut": Person._shut,
    "log out": Person._log_out,
    "vanish": Person._vanish,
    "go deaf": Person._go_deaf,
    "cut": Person._cut,
    "take over": Person._take_over,
}
ENDINGS = tuple(_ENDINGS)
