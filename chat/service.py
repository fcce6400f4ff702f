"""The composition root: the one module that knows every concrete class.

:class:`ChatService` starts in order (store, bus, listeners) and stops in the opposite one: no new
connections, answers under way, what is in memory into the store, clients, the membership, the pool.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Coroutine
from typing import Any, cast

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import ILogObserver, Logger
from twisted.python.failure import Failure

from . import __version__
from .accounts import Accounts
from .bus import open_bus
from .cluster import Bus
from .commands import table
from .config import Settings
from .contacts import Contacts
from .counts import Counts
from .credentials import Credentials
from .decrees import Decrees
from .delivery import Delivery
from .errors import BadStart
from .groups import Groups
from .history import Past
from .intake import Intake
from .interfaces import Store
from .leases import Lease
from .limits import Limits
from .listeners import Listeners
from .memberships import Memberships
from .nodes import Node
from .outbox import Turn
from .oversight import Oversight
from .owners import Owners
from .passwords import Passwords
from .presence import Presence
from .recorder import Recorder
from .relay import Relay
from .rooms import Rooms
from .roster import Logins
from .rounds import Rounds
from .session import Session
from .shelf import StoreShelf
from .signals import Signals
from .states import States
from .status import Status
from .stopping import Stopping
from .storage import open_store
from .tokens import TokenLogins

TICK_SECONDS = 0.25
SWEEP_SECONDS = 1.0

GARBAGE = (20_000, 10, 10)
"""After how many objects the garbage collector looks, as :func:`gc.set_threshold` takes them.
Nothing else happens while it looks at all there are (about 100 ms with 5,000 connections), and with
Python's own numbers a few messages to a great group are enough for that."""


class ReactorClock:
    """The reactor's seconds, and the system's time of day."""

    def __init__(self, reactor: IReactorTime) -> None:
        self.monotonic: Callable[[], float] = reactor.seconds
        self.time: Callable[[], float] = time.time


class Server:
    """Everything that conversations share; implements :class:`chat.session.Server`.

    Listens nowhere: :class:`ChatService` does.

    :param passwords: where hashes are computed; by default as the settings say.
    :param bus: to other servers of the same store, not open yet; None: there are none.
    """

    log = Logger()

    def __init__(
        self,
        settings: Settings,
        store: Store,
        reactor: Any,
        passwords: Passwords | None = None,
        bus: Bus | None = None,
    ) -> None:
        self.settings = settings
        self.store = store
        self.reactor = reactor
        self.sessions: set[Session] = set()
        clock = ReactorClock(reactor)
        self.monotonic = clock.monotonic
        self.time = clock.time
        self.limits = Limits(settings)
        self.counts = Counts()
        self.turn = Turn(self.call_later)
        self.intake = Intake(reactor)
        self.shelf = StoreShelf(store.offline, settings, clock, self.spawn, self.call_later)
        self.delivery = Delivery(settings, self.shelf, clock)
        self.relay = Relay(self.delivery, settings.unanswered_per_sender)
        self.states = States(store.users, self.spawn, self.call_later)
        self.delivery.presence.append(self.states.changed)
        self.passwords = passwords or Passwords(
            reactor.callFromThread, threads=settings.hashing_threads, queue=settings.hashing_queue
        )
        self.presence = Presence(store.friends, self.delivery, clock, self.spawn)
        self.recorder = Recorder(store.history, self.delivery, settings, clock, self.spawn)
        self.rooms = Rooms(store.groups)
        self.rounds = Rounds(
            self.rooms, self.delivery, lambda: self.shelf.crowded, self.spawn, self.turn.call,
            self.call_later,
        )  # fmt: skip
        self.memberships = Memberships(self.rooms, self.rounds)
        logins = Logins(store.rosters, self.delivery, settings)
        tokens = TokenLogins(store.tokens, clock, self.spawn)
        credentials = Credentials(store.users, self.passwords, tokens, self.limits, clock)
        owners = Owners(store, credentials, tokens, self.delivery, self.presence, self.memberships)
        self.oversight = Oversight(
            self.delivery, self.presence, self.rooms, self.memberships, clock
        )
        self.commands = table(
            Accounts(
                store, credentials, tokens, self.delivery, logins, self.limits,
                settings.registration, clock,
            ),
            self.delivery,
            Contacts(store.users, store.friends, self.delivery, self.presence, settings, clock),
            Groups(
                store.groups, store.users, self.delivery, self.rooms, self.rounds,
                self.memberships, settings,
            ),
            self.presence,
            Signals(self.delivery, self.rooms, self.rounds),
            Past(store.history, self.rooms, settings),
            owners,
        )  # fmt: skip
        self.node: Node | None = None
        self.lease: Lease | None = None
        if bus is not None:
            self.node = Node(
                settings, store, bus, self.delivery, self.presence, self.rooms, self.memberships,
                owners, clock, self.spawn, self.turn.call, self.turn.work, self.call_later,
                self.pause,
            )  # fmt: skip
            self.lease = self.node.lease
            self.lease.over.insert(0, self._end_all)
            self.shelf.check = self._check
            self.oversight.elsewhere = Decrees(
                bus, self.lease, self.oversight, clock.monotonic, self.pause
            )
        self._clocks = [LoopingCall(self._tick), LoopingCall(self._sweep)]
        for loop in self._clocks:
            loop.clock = reactor

    def spawn(self, work: Coroutine[Any, Any, None]) -> Deferred[None]:
        """Run a coroutine; what it raises is logged."""
        done = Deferred.fromCoroutine(work)
        done.addErrback(lambda failure: self.log.failure("a task failed", failure))
        return done

    def call_later(self, seconds: float, call: Callable[[], object]) -> IDelayedCall:
        """Call a function later."""
        return cast(IDelayedCall, self.reactor.callLater(seconds, call))

    def start(self) -> None:
        """Begin to watch the time; the store must be open."""
        for loop, seconds in zip(self._clocks, (TICK_SECONDS, SWEEP_SECONDS), strict=True):
            done = loop.start(seconds, now=False)
            done.addErrback(lambda failure: self.log.failure("the clock has stopped", failure))

    def _check(self) -> None:
        assert self.lease is not None
        self.lease.check(self.monotonic())

    def _end_all(self) -> None:
        """The lease is lost: the users may be on other nodes by now."""
        self.log.warn("the lease is lost: every client has to log in again")
        for session in list(self.sessions):
            session.abort("the lease is lost")

    async def open(self) -> None:
        """Join the other servers, if there are any; the store must be open.

        :raises BadStart: they cannot be reached.
        """
        if self.node is not None:
            await self.node.open()

    def _tick(self) -> None:
        now = self.monotonic()
        if self.node is not None:
            self.node.tick(now)
        self.shelf.tick(now)
        self.delivery.tick(now)
        self.presence.tick(now)
        self.recorder.tick(now)

    def _sweep(self) -> None:
        now = self.monotonic()
        self.delivery.sweep(now)
        self.recorder.sweep(now)
        for session in list(self.sessions):
            session.tick(now)

    async def stop(self) -> None:
        """See :class:`chat.stopping.Stopping`."""
        await Stopping(self).run()

    def stop_clocks(self) -> None:
        """The time is not watched any more."""
        for loop in self._clocks:
            if loop.running:
                loop.stop()

    def pause(self, seconds: float) -> Deferred[None]:
        """Wait for so long."""
        paused: Deferred[None] = Deferred()
        self.call_later(seconds, lambda: paused.callback(None))
        return paused


class ChatService(Service):
    """``twistd chat``: a store, a server and its listeners."""

    log = Logger()

    def __init__(self, settings: Settings, reactor: Any) -> None:
        self.settings = settings
        self.reactor = reactor
        self.store = open_store(settings.database, reactor)
        self.server = Server(
            settings, self.store, reactor, bus=open_bus(settings.bus, reactor, settings.node)
        )
        self.listeners = Listeners(settings, self.server, self.server.turn, reactor)
        self.status = Status(settings, self.server, reactor)
        self.observer: ILogObserver | None = None
        """What writes the log; None: what twistd has."""
        self.failed = False
        """Whether it ends because it could not start."""
        self.started: Deferred[None] = succeed(None)
        """When the server lets clients in."""

    def setServiceParent(self, parent: Any) -> None:
        """Become twistd's application's, and write its log if that is wanted."""
        if self.observer is not None:
            parent.setComponent(ILogObserver, self.observer)
        super().setServiceParent(parent)

    def privilegedStartService(self) -> None:
        """Take the ports.

        :raises BadStart: an address is not free, or not ours to take.
        """
        super().privilegedStartService()
        self.listeners.bind()
        self.status.bind()

    def startService(self) -> None:
        """Serve."""
        super().startService()
        self.started = Deferred.fromCoroutine(self._start())
        self.started.addErrback(self._cannot_start)

    async def _start(self) -> None:
        await self.store.open()
        await self.store.users.reset_states()
        self.server.start()
        await self.server.open()
        self.listeners.open()
        self.status.bind()
        self.status.open()
        self.log.info("chat {version} is here", version=__version__)
        self.listeners.tell()
        self.log.info("data: {store}", store=self.store.describe())
        _look_for_garbage_rarely()

    def _cannot_start(self, failure: Failure) -> None:
        self.failed = True
        if failure.check(BadStart) is None:
            self.log.failure("cannot start", failure)
        else:
            self.log.critical("cannot start: {reason}", reason=failure.getErrorMessage())
        self.reactor.stop()

    def stopService(self) -> Deferred[None]:
        """Let nobody in any more, then :meth:`Server.stop`."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self.log.info("stopping")
        self.status.stopping = True
        await self.listeners.close()
        await self.server.stop()
        await self.status.close()
        self.log.info("stopped")


def _look_for_garbage_rarely() -> None:
    """What is here now stays, and the collector need not look at it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE)


def make_service(settings: Settings, reactor: Any = None) -> ChatService:
    """The service that ``twistd chat`` runs.

    :raises BadStart: the settings cannot work.
    """
    if reactor is None:
        from twisted.internet import reactor
    return ChatService(settings, reactor)
