"""One connection to one NATS server, from its beginning until it is lost.

nats-py serves it, but does not reconnect it: where it does that itself it ends for good when the
server refuses something, and waits for a connection that it has given up to take what was written
to it.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import AuthorizationError, ConnectionClosedError, Error

from .listening import Listening, Sink
from .places import NatsPlace

CONNECT_SECONDS = 2
PING_SECONDS = 1
PINGS = 2
"""So many may be unanswered; then the connection is lost."""
LOOK_SECONDS = 0.25
"""How often it is looked whether nats-py has given it up, which it does not always tell."""
CLOSE_SECONDS = 2.0
WAITING_BYTES = 8 << 20
"""What may wait to be written; more is not taken."""
_UNSENT_BYTES = 1 << 20
"""What nats-py may hold of it."""
_OVERHEAD = 100


class NotConnected(Exception):
    """It cannot be; the text says why."""


class _Context(ssl.SSLContext):
    """TLS for clients, that knows whether it was used."""

    used = False

    def wrap_bio(self, *args: Any, **named: Any) -> ssl.SSLObject:
        self.used = True
        return super().wrap_bio(*args, **named)


class Connection:
    """See the module; made and used within the asyncio loop.

    :param receive: called with each message, and who listens.
    :param lost: called once, when it has been open and is no more.
    :param complain: called with what went wrong with a single thing.
    """

    def __init__(
        self,
        place: NatsPlace,
        name: str,
        receive: Callable[[Msg, Listening], None],
        lost: Callable[[], None],
        complain: Callable[[str], None],
    ) -> None:
        self._place = place
        self._name = name
        self._receive = receive
        self._lost = lost
        self._complain = complain
        self._loop = asyncio.get_running_loop()
        self._client = Client()
        self._error: Exception | None = None
        self._look: asyncio.TimerHandle | None = None
        self._over = False
        self._queue: list[tuple[str, bytes, str] | Listening] = []
        self._size = 0
        self._writer: asyncio.Task[None] | None = None

    @property
    def most(self) -> int:
        """Bytes that the server takes in one message."""
        return self._client.max_payload

    async def open(self, server: str) -> None:
        """Connect to ``host:port``; whoever is done with it, or cannot, abandons or closes it.

        :raises NotConnected: it was not possible.
        """
        try:
            await asyncio.wait_for(self._connect(server), 4 * CONNECT_SECONDS)
        except Exception as error:
            raise NotConnected(_reason(self._error or error)) from error
        self._look_later()

    async def _connect(self, server: str) -> None:
        place = self._place
        context = None
        if place.tls:
            context = _Context(ssl.PROTOCOL_TLS_CLIENT)
            context.load_default_certs()

        def safely(secret: str | None) -> Callable[[], str] | None:
            # nats-py asks for these when it would send them next, on whatever it has connected.
            return None if secret is None else lambda: _checked(context, secret)

        await self._client.connect(
            f"{'tls' if place.tls else 'nats'}://{server}",
            name=self._name,
            user=safely(place.user),
            password=safely(place.password),
            token=safely(place.token),
            tls=context,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=CONNECT_SECONDS,
            ping_interval=PING_SECONDS,
            max_outstanding_pings=PINGS,
            pending_size=_UNSENT_BYTES,
            error_cb=self._failed,
            disconnected_cb=self._disconnected,
        )
        _checked(context, "")

    async def _failed(self, error: Exception) -> None:
        if not isinstance(error, Error) or self._error is None:
            self._error = error
        if self._look is not None:
            self._complain(f"NATS: {_reason(error)}")
            self._loop.call_soon(self._see)

    async def _disconnected(self) -> None:
        self._loop.call_soon(self._see)

    def _look_later(self) -> None:
        self._look = self._loop.call_later(LOOK_SECONDS, self._see)

    def _see(self) -> None:
        if self._over or self._look is None:
            return
        self._look.cancel()
        if self._client.is_connected:
            self._look_later()
        else:
            self.abandon()
            self._lost()

    def publish(self, subject: str, data: bytes, reply: str) -> bool:
        """Send in this turn what was not sent yet; False: too much waits."""
        size = self._size + len(data) + _OVERHEAD
        if size > WAITING_BYTES:
            return False
        self._size = size
        self._put((subject, data, reply))
        return True

    def adjust(self, listening: Listening) -> None:
        """Listen to it, or no more if it was closed; in order with what is published."""
        self._put(listening)

    def _put(self, what: tuple[str, bytes, str] | Listening) -> None:
        self._queue.append(what)
        if self._writer is None:
            self._writer = self._loop.create_task(self._write())

    async def _write(self) -> None:
        try:
            while self._queue and not self._over:
                queue, self._queue = self._queue, []
                size = self._size
                for what in queue:
                    await self._write_one(what)
                self._size -= size
        finally:
            self._writer = None

    async def _write_one(self, what: tuple[str, bytes, str] | Listening) -> None:
        if self._over:
            return
        try:
            if isinstance(what, tuple):
                await self._client.publish(*what)
            else:
                await self._listen(what)
        except ConnectionClosedError:
            self._loop.call_soon(self._see)
        except Exception as error:
            self._complain(f"NATS: {_reason(error)}")

    async def _listen(self, listening: Listening) -> None:
        subscribed = listening.subscribed
        if not listening.closed and subscribed is None:
            sink = Sink(self._loop, self._received, listening)
            listening.subscribed = await self._client.subscribe(listening.subject, future=sink)
        elif listening.closed and subscribed is not None:
            listening.subscribed = None
            await subscribed.unsubscribe()

    def _received(self, message: Msg, listening: Listening) -> None:
        if not self._over:
            self._receive(message, listening)

    async def flush(self) -> None:
        """The server has taken everything.

        :raises NotConnected: it has not, or the connection is lost.
        """
        while self._writer is not None and not self._over:
            await asyncio.wait([self._writer])
        if self._over:
            raise NotConnected("the connection has ended")
        try:
            await self._client.flush(CONNECT_SECONDS)
        except Exception as error:
            raise NotConnected(_reason(error)) from error

    async def close(self) -> None:
        """Send what is to be sent, and end."""
        # Both wait for ever where the other side does not read.
        flushing = self._loop.create_task(self._flush())
        await asyncio.wait([flushing], timeout=CLOSE_SECONDS)
        flushing.cancel()
        await asyncio.wait([self.abandon()], timeout=CLOSE_SECONDS)

    async def _flush(self) -> None:
        with suppress(NotConnected):
            await self.flush()

    def abandon(self) -> asyncio.Task[None]:
        """End at once; what is done when the socket is closed."""
        self._over = True
        if self._look is not None:
            self._look.cancel()
        if self._writer is not None:
            self._writer.cancel()
        ended = self._loop.create_task(self._close())
        _ending.add(ended)
        ended.add_done_callback(_ending.discard)
        return ended

    async def _close(self) -> None:
        with suppress(Exception):
            await self._client.close()


_ending: set[asyncio.Task[None]] = set()
"""What the loop itself does not hold on to."""


def _checked(context: _Context | None, secret: str) -> str:
    if context is not None and not context.used:
        raise Error("it offers no TLS")
    return secret


def _reason(error: Exception) -> str:
    """What went wrong, in words."""
    text = str(error).removeprefix("nats: ").strip("'")
    if isinstance(error, AuthorizationError) or "authorization" in text.lower():
        return "it refuses the user, the password or the token"
    if isinstance(error, ssl.SSLError):
        return str(getattr(error, "verify_message", "") or error.reason or "TLS failed")
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno) if error.errno > 0 else str(error.strerror)
    return text or type(error).__name__
