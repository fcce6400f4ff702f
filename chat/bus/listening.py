"""What is listened to over NATS, and how it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from ..cluster import Message


class Listening:
    """What is listened to; implements :class:`chat.cluster.Subscription`."""

    __slots__ = ("_close", "call", "closed", "subject", "subscribed")

    def __init__(
        self, subject: str, call: Callable[[Message], None], close: Callable[[Listening], None]
    ) -> None:
        self.subject = subject
        self.call = call
        self.closed = False
        self.subscribed: Subscription | None = None
        """At the connection that there is now."""
        self._close = close

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._close(self)


class Sink(asyncio.Future[Msg]):
    """What nats-py gives all messages of a subscription to, at once and in order.

    It takes a future for the one answer to a request.  This one is never done, and costs neither
    the task for each subscription nor the turn for each message that a callback does.
    """

    __slots__ = ("_listening", "_receive")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        receive: Callable[[Msg, Listening], None],
        listening: Listening,
    ) -> None:
        super().__init__(loop=loop)
        self._receive = receive
        self._listening = listening

    def set_result(self, result: Msg) -> None:
        self._receive(result, self._listening)
