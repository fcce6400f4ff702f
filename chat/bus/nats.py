"""The bus over NATS: as many servers of one cluster as there are, and reconnected for ever."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from nats.aio.msg import Msg
from twisted.internet.defer import Deferred, succeed

from ..cluster import Message
from ..errors import BadStart
from .base import BaseBus
from .connection import Connection, NotConnected
from .heads import SIZE, Heads, Own
from .listening import Listening
from .places import NatsPlace

AGAIN_SECONDS = 0.5
"""Between two tries to connect, give or take a half of it, lest all nodes come at once."""
COMPLAINT_SECONDS = 1.0
_NOBODY = "503"
_MOST = 1 << 20


class NatsBus(BaseBus):
    """Implements :class:`chat.cluster.Bus`; its reactor is the one on asyncio.

    :param name: what the servers call it in their lists of connections.
    """

    def __init__(self, place: NatsPlace, name: str, reactor: Any) -> None:
        super().__init__(reactor.callLater, _MOST - SIZE)
        self._place = place
        self._name = name
        self._reactor = reactor
        self._own = Own()
        self._head = b""
        self._heads = Heads()
        self._listening: dict[Listening, None] = {}
        self._connection: Connection | None = None
        self._gone: asyncio.Future[None] | None = None
        self._life: asyncio.Task[None] | None = None
        self._closed = False
        self._complaints: Counter[str] = Counter()
        self._complained = 0.0
        self.subscribe(self.asking.subject, self.asking.answered)

    def open(self) -> Deferred[None]:
        opened: Deferred[None] = Deferred()
        # Outside of what the reactor calls there is no running loop.
        self._reactor.callLater(0.0, self._run, self._open, opened)
        return opened

    def _run(self, work: Callable[[], Any], done: Deferred[None]) -> None:
        Deferred.fromFuture(asyncio.ensure_future(work())).chainDeferred(done)

    async def _open(self) -> None:
        try:
            await self._connect()
        except NotConnected as error:
            where = " or ".join(self._place.servers)
            raise BadStart(f"--bus: no NATS server at {where}: {error}") from None
        self._life = asyncio.ensure_future(self._live())

    async def _live(self) -> None:
        """Connect again whenever the connection is lost."""
        while True:
            assert self._gone is not None
            await self._gone
            said = ""
            while not self.up:
                await asyncio.sleep(AGAIN_SECONDS * random.uniform(0.5, 1.5))
                try:
                    await self._connect()
                except NotConnected as error:
                    if str(error) != said:
                        said = str(error)
                        self.log.warn("the bus is down: {reason}", reason=said)

    async def _connect(self) -> None:
        """Be up again, at any of the servers."""
        failed = NotConnected("no server")
        for server in random.sample(self._place.servers, len(self._place.servers)):
            if self._closed:
                break
            connection = Connection(
                self._place, self._name, self._receive, self._lost, self._complain
            )
            try:
                await connection.open(server)
                self._connection = connection
                for listening in self._listening:
                    listening.subscribed = None
                    connection.adjust(listening)
                await connection.flush()
                if self._connection is not connection:
                    raise NotConnected("the connection has ended")
            except NotConnected as error:
                failed = error
                connection.abandon()
                self._connection = None
            except BaseException:
                connection.abandon()
                raise
            else:
                self._use(connection)
                return
        raise failed

    def _use(self, connection: Connection) -> None:
        self._head = self._own.next()
        self.most = connection.most - SIZE
        self._gone = asyncio.get_running_loop().create_future()
        self.turn(True)

    def _lost(self) -> None:
        self._connection = None
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)
        self.turn(False)

    def turn(self, up: bool) -> None:
        if up != self.up and not self._closed:
            self.log.info(
                "the bus is {state}: {bus}", state="up" if up else "down", bus=self._place
            )
        super().turn(up)

    def close(self) -> Deferred[None]:
        self._closed = True
        self.turn(False)
        if self._life is not None:
            self._life.cancel()
        connection, self._connection = self._connection, None
        if connection is None:
            return succeed(None)
        closed: Deferred[None] = Deferred()
        self._reactor.callLater(0.0, self._run, connection.close, closed)
        return closed

    def send(self, subject: str, data: bytes, reply: str) -> bool:
        connection = self._connection
        if connection is not None and connection.publish(subject, self._head + data, reply):
            return True
        self.dropped += 1
        self._complain("the bus does not take what is sent, and messages are left out")
        return False

    def subscribe(self, subject: str, call: Callable[[Message], None]) -> Listening:
        listening = Listening(subject, call, self._unsubscribe)
        self._listening[listening] = None
        if self._connection is not None:
            self._connection.adjust(listening)
        return listening

    def _unsubscribe(self, listening: Listening) -> None:
        del self._listening[listening]
        if self._connection is not None:
            self._connection.adjust(listening)

    def describe(self) -> str:
        return str(self._place)

    def _receive(self, came: Msg, listening: Listening) -> None:
        if listening.closed or self._closed:
            return
        if came.headers is not None and came.headers.get("Status") == _NOBODY:
            message = Message(came.subject, b"", undelivered=True)
        elif self._heads.fits(came.data[:SIZE]):
            message = Message(came.subject, came.data[SIZE:], came.reply)
        else:
            self.ignored += 1
            return
        self.give(listening.call, message)

    def _complain(self, what: str) -> None:
        """Log it, at most once a second, with how often it happened."""
        self._complaints[what] += 1
        now = self._reactor.seconds()
        if now - self._complained >= COMPLAINT_SECONDS:
            self._complained = now
            for text, times in self._complaints.items():
                self.log.warn("{text} ({times} times)", text=text, times=times)
            self._complaints.clear()
