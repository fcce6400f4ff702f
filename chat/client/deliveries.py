"""Handing what arrives to the application, and learning when it is done with it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from inspect import iscoroutine
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure

from .errors import Stopped
from .receiving import Key
from .results import AnyMessage


class Deliveries:
    """Messages on their way into the application.

    :param on_message: gets each message; without it they wait for :class:`Messages`.  How many may
        wait is bounded by the server, which pushes only so many without acknowledgement.
    :param handled: called with the key of each message that the application is done with.
    """

    log = Logger()

    def __init__(
        self, on_message: Callable[[AnyMessage], Any] | None, handled: Callable[[Key], None]
    ) -> None:
        self._on_message = on_message
        self.handled = handled
        self._arrived: deque[AnyMessage] = deque()
        self._takers: deque[Deferred[AnyMessage]] = deque()
        self._error: Exception | None = None

    def give(self, message: AnyMessage) -> None:
        """A message arrived."""
        if self._on_message is None:
            self._arrived.append(message)
            self._hand_out()
            return
        try:
            waiting = self._on_message(message)
        except Exception:
            self._log_failure(Failure())
            waiting = None
        if iscoroutine(waiting):
            waiting = Deferred.fromCoroutine(waiting)
        elif asyncio.isfuture(waiting):
            waiting = Deferred.fromFuture(waiting)
        if isinstance(waiting, Deferred):
            waiting.addErrback(self._log_failure)
            waiting.addCallback(lambda _: self.handled(message.key))
        else:
            self.handled(message.key)

    def next(self) -> Deferred[AnyMessage]:
        """The next message that arrives."""
        if self._error is not None:
            return fail(self._error)
        taker: Deferred[AnyMessage] = Deferred(self._takers.remove)
        self._takers.append(taker)
        self._hand_out()
        return taker

    def end(self, error: Exception) -> None:
        """Nothing more will arrive."""
        self._error = error
        takers, self._takers = self._takers, deque()
        for taker in takers:
            taker.errback(error)

    def _hand_out(self) -> None:
        while self._arrived and self._takers:
            self._takers.popleft().callback(self._arrived.popleft())

    def _log_failure(self, failure: Failure) -> None:
        self.log.failure("on_message failed; the message counts as received", failure)


class Messages:
    """What arrives, one after another: ``async for message in client.messages()``.

    A message counts as received when the loop asks for the next one.  The loop ends when the
    client is stopped, and raises :attr:`Client.error` when the client stopped by itself.
    """

    def __init__(self, deliveries: Deliveries) -> None:
        self._deliveries = deliveries
        self._last: Key | None = None

    def __aiter__(self) -> Messages:
        return self

    async def __anext__(self) -> AnyMessage:
        if self._last is not None:
            self._deliveries.handled(self._last)
            self._last = None
        try:
            message = await self._deliveries.next()
        except Stopped:
            raise StopAsyncIteration from None
        self._last = message.key
        return message
