"""A user's connection to the server, kept up: the client as a Twisted service."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from twisted.application.internet import backoffPolicy
from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger

from .. import messages
from ..messages import LogOut, MsgId, Request
from .deliveries import Deliveries, Messages
from .dialogue import Dialogue
from .endpoints import global_reactor, to_endpoint
from .errors import BadAnswer, ClientError, NotOnline, Stopped
from .events import (
    Answered,
    Arrived,
    Ended,
    Event,
    Hinted,
    Limits,
    LoggedIn,
    LoginFailed,
    Replied,
)
from .ledger import Ledger, written
from .link import Link, State, Status
from .posting import Posting
from .receiving import Key
from .requests import Requests
from .results import AnyHint, AnyMessage, GroupMessage, Sent, Welcome
from .sending import Unsent

T = TypeVar("T")


class Client(Requests, Service):
    """One user, logged in whenever there is a way.

    It connects when the service starts, logs in, and connects again, with growing delays, when the
    connection ends.  Messages that are not acknowledged are sent again, in order; those that come
    a second time are not given to the application.  A login that is refused for good, or another
    login that takes over, stops it: :attr:`error` says why, and :meth:`when_stopped` fires.  A
    client that has stopped stays so.

    :param endpoint: a Twisted client endpoint, or the description of one.
    :param user_id: the user's id, as :func:`~chat.client.register` gave it.
    :param password: may be left out when there is a ``token``, here or in the ledger.
    :param ledger: the path of a file that keeps what must outlive this process, made if missing;
        or an open :class:`Ledger`, which the client closes when it stops.
    :param remember: keep the login's token in the ledger, so that the next start needs no password.
    :param takeover: end another login of this user, if there is one, at the first login.
    :param on_message: called with every message, in order.  It may return something to wait for;
        the message is acknowledged only when that is done, and meanwhile the next one may come.
        What it raises is logged, and the message counts as received.  Without it, messages wait
        for :meth:`messages`.
    :param on_hint: called with what others do (presence, typing, friend requests …).
    :param on_sent: called with each message of ours and its :class:`Sent` or ``Refused``; also for
        those that an earlier run left in the ledger.
    :param on_status: called when the connection comes or goes.
    :param retry_policy: seconds to wait before the n-th attempt in a row, as for ClientService.
    :param clock: the reactor by default.
    :param now: seconds since the epoch, for the ``time`` of messages.
    :raises LedgerError: the ledger cannot be used.
    """

    log = Logger()

    def __init__(
        self,
        endpoint: str | IStreamClientEndpoint,
        user_id: int,
        password: str | None = None,
        *,
        token: str | None = None,
        ledger: str | os.PathLike[str] | Ledger | None = None,
        remember: bool = False,
        takeover: bool = False,
        on_message: Callable[[AnyMessage], Any] | None = None,
        on_hint: Callable[[AnyHint], Any] | None = None,
        on_sent: Callable[[Unsent, Sent | Exception], Any] | None = None,
        on_status: Callable[[Status], Any] | None = None,
        retry_policy: Callable[[int], float] | None = None,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        clock: IReactorTime | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.welcome: Welcome | None = None
        """The last login's answer."""
        self.error: Exception | None = None
        """Why it has stopped."""
        self.state = State.CONNECTING
        if ledger is None or isinstance(ledger, Ledger):
            self._ledger = ledger
        else:
            self._ledger = Ledger(ledger, user_id, seen=limits.seen)
        self._remember = remember
        if token is None and self._ledger is not None:
            token = self._ledger.token()
        self._dialogue = Dialogue(
            user_id,
            nonce=secrets.token_hex(8),
            password=password,
            token=token,
            takeover=takeover,
            waiting=self._ledger.unsent() if self._ledger else (),
            seen=self._ledger.seen() if self._ledger else (),
            limits=limits,
        )
        self._deliveries = Deliveries(on_message, self._handled)
        self._on_hint = on_hint
        self._posting = Posting(self._dialogue, self._ledger, on_sent, now)
        self._on_status = on_status
        self._link = Link(
            to_endpoint(endpoint),
            self._dialogue,
            retry_policy or backoffPolicy(initialDelay=0.5, maxDelay=30.0, factor=2.0),
            clock or global_reactor(),
            self._happened,
            self._tell,
        )
        self._watching = False
        self._asks: dict[str, Deferred[bytes]] = {}
        self._online: list[Deferred[Welcome]] = []
        self._stopping = False
        self._stopped = False
        self._stop_waiters: list[Deferred[None]] = []

    # What the application does

    @property
    def user_id(self) -> int:
        """Whose client this is."""
        return self._dialogue.user_id

    @property
    def token(self) -> str | None:
        """What logs in again without the password; None before the first login."""
        return self._dialogue.token

    @property
    def unacknowledged(self) -> list[Unsent]:
        """The messages that are not acknowledged, in order."""
        return self._dialogue.outbox.all()

    def new_cid(self) -> str:
        """A cid that was never used, for who wants to know it before the message is sent."""
        return self._dialogue.new_cid()

    def send(self, toid: int, text: str, *, cid: str | None = None) -> Deferred[Sent]:
        """Send a message to a user; fires when it is acknowledged, however long that takes.

        :param cid: names the message; by default a new one.  Sending the same again with the same
            cid sends it once.
        :returns: it fails with ``Refused`` (the server's last word: the message is not delivered),
            ``OutboxFull``, ``LedgerError``, or ``Stopped`` when the client stops before.
            Cancelling it only ends the waiting.
        """
        sent = self._posting.send(MsgId.ONE_CHAT, toid, text, cid)
        self._link.flush_soon()
        return sent

    def send_group(self, groupid: int, text: str, *, cid: str | None = None) -> Deferred[Sent]:
        """Send a message to all members of a group; as :meth:`send`."""
        sent = self._posting.send(MsgId.GROUP_CHAT, groupid, text, cid)
        self._link.flush_soon()
        return sent

    def reply(self, message: AnyMessage, text: str) -> Deferred[Sent]:
        """Send the one reply to a message, to where it came from.

        Its cid is made from the message's, so it arrives once even when the process is killed
        after replying and gets the message again.
        """
        if isinstance(message, GroupMessage):
            return self.send_group(message.groupid, text, cid=message.reply_cid)
        return self.send(message.id, text, cid=message.reply_cid)

    def messages(self) -> Messages:
        """What arrives, one after another, instead of ``on_message``."""
        return Messages(self._deliveries)

    def ask(self, request: Request, answer: type[T]) -> Deferred[T]:
        """Send any request; its answer, decoded as ``answer``."""
        if not self._link.online:
            return fail(NotOnline("not connected"))
        try:
            cid = self._dialogue.ask(request)
        except ClientError as error:
            return fail(error)
        asked: Deferred[bytes] = Deferred()
        self._asks[cid] = asked
        self._link.flush_soon()

        def decode(line: bytes) -> T:
            try:
                return msgspec.json.decode(line, type=answer)
            except msgspec.MsgspecError as cause:
                raise BadAnswer(f"an answer that cannot be read: {cause}") from cause

        return asked.addCallback(decode)

    def watch_presence(self, watch: bool = True) -> None:
        """Get :class:`~chat.client.PresenceChanged` of friends, on later connections too."""
        self._watching = watch
        self._hint(messages.Presence(watch=watch))

    def change_password(self, password: str, newpassword: str) -> Deferred[str]:
        def remember(token: str) -> str:
            self._dialogue.password = newpassword
            self._keep_token(token)
            return token

        return super().change_password(password, newpassword).addCallback(remember)

    def delete_account(self, password: str) -> Deferred[dict[str, int]]:
        """As :meth:`Requests.delete_account`; with the account gone, the client stops."""

        def stop(deleted: dict[str, int]) -> dict[str, int]:
            self.stopService()
            return deleted

        return super().delete_account(password).addCallback(stop)

    def when_online(self) -> Deferred[Welcome]:
        """Fires when logged in, at once if that is so; fails when the client stops before."""
        if self.state is State.ONLINE and self.welcome is not None:
            return succeed(self.welcome)
        if self.error is not None:
            return fail(self.error)
        waiting: Deferred[Welcome] = Deferred()
        self._online.append(waiting)
        return waiting

    def when_stopped(self) -> Deferred[None]:
        """Fires when the client was stopped; fails with :attr:`error` when it stopped by itself."""
        waiting: Deferred[None] = Deferred()
        self._stop_waiters.append(waiting)
        if self._stopped:
            self._tell_stopped()
        return waiting

    def logout(self) -> Deferred[None]:
        """Leave for good: messages under way are answered first, and the token that was to be
        remembered is forgotten.  Stops the client."""
        if self._ledger is not None:
            written(self._ledger.keep_token, None)
        self._remember = False
        return self.ask(LogOut(), dict).addBoth(lambda _: self.stopService())

    def startService(self) -> None:
        if self._stopping:
            raise RuntimeError("a client that has stopped is not started again")
        super().startService()
        self._link.start()

    def stopService(self) -> Deferred[None]:
        super().stopService()
        self._stop(Stopped("the client was stopped"))
        return self.when_stopped().addErrback(lambda _: None)

    # What happens

    def _happened(self, event: Event) -> None:
        if isinstance(event, Arrived):
            self._deliveries.give(event.message)
        elif isinstance(event, Answered):
            self._posting.answered(event)
        elif isinstance(event, Replied):
            self._replied(event)
        elif isinstance(event, Hinted):
            if self._on_hint is not None:
                self._call(self._on_hint, event.hint)
        elif isinstance(event, LoggedIn):
            self._logged_in(event)
        elif isinstance(event, (LoginFailed, Ended)):
            self._stop(event.error)

    def _logged_in(self, event: LoggedIn) -> None:
        self.welcome = event.welcome
        self._keep_token(event.token)
        self._tell(Status(State.ONLINE))
        if self._watching:
            self.watch_presence()
        waiting, self._online = self._online, []
        for one in waiting:
            one.callback(event.welcome)

    def _keep_token(self, token: str) -> None:
        if not token:
            return
        self._dialogue.token = token
        if self._ledger is not None and self._remember:
            written(self._ledger.keep_token, token)

    def _handled(self, key: Key) -> None:
        """The application is done with a message.

        First it is on the file, then the server hears of it: a kill in between makes the server
        send it again, and it is known.
        """
        if self._ledger is not None and not self._stopped:
            written(self._ledger.saw, key)
        self._dialogue.handled(key)
        self._link.flush_soon()

    def _replied(self, event: Replied) -> None:
        waiting = self._asks.pop(event.cid, None)
        if waiting is not None:
            if isinstance(event.result, bytes):
                waiting.callback(event.result)
            else:
                waiting.errback(event.result)

    def _stop(self, error: Exception) -> None:
        if self._stopping:
            return
        self._stopping = True
        self.error = error
        self._posting.end(error)
        online, self._online = self._online, []
        for one in online:
            one.errback(error)
        self._deliveries.end(error)
        self._tell(Status(State.STOPPED, error))
        self._link.stop().addBoth(self._closed)

    def _closed(self, _: object) -> None:
        self._stopped = True
        if self._ledger is not None:
            self._ledger.close()
        self._tell_stopped()

    def _tell_stopped(self) -> None:
        waiting, self._stop_waiters = self._stop_waiters, []
        for one in waiting:
            if self.error is None or isinstance(self.error, Stopped):
                one.callback(None)
            else:
                one.errback(self.error)

    def _tell(self, status: Status) -> None:
        self.state = status.state
        if self._on_status is not None:
            self._call(self._on_status, status)

    def _call(self, callback: Callable[..., Any], *args: Any) -> Any:
        try:
            return callback(*args)
        except Exception:
            self.log.failure("in {callback}", callback=callback)
            return None
