"""A dialogue's connections: made, kept up, made again, written to, closed."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import msgspec
from twisted.application.internet import ClientService
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from .dialogue import Dialogue
from .endpoints import Watched
from .errors import BadAnswer
from .events import Broken, Event, LoggedIn, LoginFailed, Phase
from .lines import LineConnection

CLOSE_WITHIN = 5.0
"""Seconds in which the server takes the rest of what was written before the connection is cut."""


class State(Enum):
    """How it stands with the connection."""

    CONNECTING = "connecting"
    ONLINE = "online"
    WAITING = "waiting"
    """There is none; it will be tried again."""
    STOPPED = "stopped"


class Status(msgspec.Struct, frozen=True):
    """A change of state; ``error`` says why, ``retry_in`` (seconds) when it is tried again."""

    state: State
    error: BaseException | None = None
    retry_in: float = 0.0


class Link:
    """Keeps a dialogue connected from :meth:`start` to :meth:`stop`.

    :param retry_policy: seconds to wait before the n-th attempt since the last login.
    :param on_event: gets what the dialogue says, but for what concerns the connection alone.
    """

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        dialogue: Dialogue,
        retry_policy: Callable[[int], float],
        clock: IReactorTime,
        on_event: Callable[[Event], None],
        on_status: Callable[[Status], None],
    ) -> None:
        self._dialogue = dialogue
        self._retry_policy = retry_policy
        self._clock = clock
        self._on_event = on_event
        self._on_status = on_status
        self._service = ClientService(
            Watched(endpoint, self._not_connected),
            Factory.forProtocol(lambda: LineConnection(self)),
            self._retry_in,
            clock,
        )
        self._connection: LineConnection | None = None
        self._failures = 0
        self._reason: BaseException | None = None
        self._reading = False
        self._stopping = False
        self._flush_call: IDelayedCall | None = None
        self._wake_call: IDelayedCall | None = None

    @property
    def online(self) -> bool:
        """Whether requests can be sent."""
        return self._connection is not None and self._dialogue.phase is Phase.ONLINE

    def start(self) -> None:
        """Connect."""
        self._on_status(Status(State.CONNECTING))
        self._service.startService()

    def stop(self) -> Deferred[None]:
        """Write what there is to write, close, and do not come back; fires when it is closed."""
        self._stopping = True
        self._flush()
        closing: Deferred[None] = self._service.stopService()
        if self._connection is not None:
            cut = self._clock.callLater(CLOSE_WITHIN, self._connection.abort)
            closing.addBoth(lambda _: cut.cancel() if cut.active() else None)
        return closing

    def flush_soon(self) -> None:
        """Write at the end of this turn of the reactor, all in one piece."""
        if not self._reading and self._flush_call is None and self._connection is not None:
            self._flush_call = self._clock.callLater(0, self._flush_now)

    # What the connection says

    def connection_made(self, connection: LineConnection) -> None:
        self._connection = connection
        self._dialogue.connected(self._clock.seconds())
        if self._failures:
            self._on_status(Status(State.CONNECTING))
        self._flush()

    def lines_received(self, connection: LineConnection, lines: list[bytes]) -> None:
        now = self._clock.seconds()
        self._reading = True
        try:
            for line in lines:
                if self._connection is not connection or self._stopping:
                    return
                self._act(self._dialogue.line(line, now))
        finally:
            self._reading = False
        self._flush()

    def connection_lost(self, connection: LineConnection, reason: Failure) -> None:
        if self._connection is connection:
            self._reason = reason.value
            self._let_go()

    def _not_connected(self, failure: Failure) -> None:
        self._reason = failure.value

    def _retry_in(self, _: int) -> float:
        """The service is about to wait.  It counts connections; here logins count."""
        self._failures += 1
        delay = self._retry_policy(self._failures)
        delay += max(0.0, self._dialogue.retry_at - self._clock.seconds())
        reason, self._reason = self._reason, None
        self._on_status(Status(State.WAITING, reason, delay))
        return delay

    def _act(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, LoginFailed) and not event.final:
                self._hang_up(event.error)
            elif isinstance(event, Broken):
                self._hang_up(BadAnswer(event.reason))
            else:
                if isinstance(event, LoggedIn):
                    self._failures = 0
                self._on_event(event)

    def _hang_up(self, reason: BaseException) -> None:
        """Give up this connection; the service makes another one."""
        connection = self._connection
        if connection is not None:
            self._reason = reason
            self._let_go()
            connection.abort()

    def _let_go(self) -> None:
        self._connection = None
        for call in (self._wake_call, self._flush_call):
            if call is not None and call.active():
                call.cancel()
        self._wake_call = self._flush_call = None
        self._act(self._dialogue.lost())

    # Writing, and time

    def _flush_now(self) -> None:
        self._flush_call = None
        self._flush()

    def _flush(self) -> None:
        if self._connection is None:
            return
        data = self._dialogue.take(self._clock.seconds())
        if data:
            self._connection.write(data)
        self._plan_wake()

    def _plan_wake(self) -> None:
        due = self._dialogue.wake_at
        if due is None:
            return
        call = self._wake_call
        if call is not None and call.active():
            if call.getTime() <= due:
                return
            call.cancel()
        delay = max(0.0, due - self._clock.seconds())
        self._wake_call = self._clock.callLater(delay, self._wake)

    def _wake(self) -> None:
        self._act(self._dialogue.wake(self._clock.seconds()))
        self._flush()
