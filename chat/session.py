"""One client, whatever its transport: lines in, answers out, in order, bounded.

Requests are worked off in the order in which they came.  While one waits (a login, a store) the
next ones are queued, except that RECEIVED_MSG and PONG_MSG are taken as they are read; beyond a
bound the transport is not read.  The same goes for a sender with too many unanswered messages.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol

from msgspec import MsgspecError
from msgspec.json import Decoder
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from .commands import Commands
from .config import Settings
from .copies import Copy
from .counts import Counts
from .delivery import Delivery
from .doors import Place
from .errors import ChatError, Code, StoreAway
from .intake import Intake
from .leases import Lease
from .limits import Limits
from .liveness import Liveness
from .mailbox import Mailbox, busy
from .messages import MsgId, Pong, Received, Request
from .outbox import Outbox
from .receipts import Nameless
from .relay import Relay
from .requests import BUSY, CLOGGED, RATE, UNANSWERED, Requests, Tap
from .senders import Sender
from .standing import Standing
from .welcome import Level1Ack, level_1_ack, level_2_ack
from .wire import MSGIDS, BadLine, answer, parse, refusal

PING = b'{"msgid":13}'

_ACKNOWLEDGES = b'{"msgid":12,'
"""How a RECEIVED_MSG begins, in most clients."""

_decode_received = Decoder(Received).decode

PENDING_ANSWERS = 256 << 10
"""Bytes that a client has not taken; beyond it its requests wait."""

ENDING_SECONDS = 10.0
"""How long a client that has shut its writing side is served with what it asked before."""


class Transport(Tap, Protocol):
    """What a session asks of the connection below it."""

    def peer(self, told: bool) -> tuple[str, str | None]:
        """Where the client is, for the log, and by what it is counted; None: not known yet.
        ``told``: whether bytes of the client's have come."""

    def close(self) -> None:
        """Write what is queued, shut the writing side, then throw away what still comes until the
        client closes, or 2 s have passed."""

    def abort(self) -> None:
        """End at once."""


# One for all: as a class's attribute it would be made anew for each line.
_log = Logger(namespace="chat.session.Session")


class Gone:
    """What is below a session whose connection has ended; implements :class:`Transport`."""

    def pause(self) -> None:
        """Nothing is read."""

    def resume(self) -> None:
        """Nothing is read."""

    def peer(self, told: bool) -> tuple[str, str | None]:
        """Nowhere."""
        return "", None

    def close(self) -> None:
        """It is closed."""

    def abort(self) -> None:
        """It has ended."""


_GONE = Gone()


class Server(Protocol):
    """What all sessions share."""

    settings: Settings
    commands: Commands
    delivery: Delivery
    relay: Relay
    limits: Limits
    counts: Counts
    intake: Intake
    sessions: set[Session]

    lease: Lease | None
    """Without it nothing may be worked off; None: none is needed."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> object:
        """Run a coroutine; what it raises is logged."""

    def call_later(self, seconds: float, call: Callable[[], object]) -> IDelayedCall:
        """Call a function later."""


class Session:
    """One connection's conversation; implements :class:`chat.delivery.Peer`."""

    __slots__ = (
        "_acknowledged", "_deaf", "_ending_at", "_entering", "_level_1_ack", "_mailbox", "_roster",
        "closed", "level", "line", "liveness", "nameless", "now", "outbox", "requests", "sender",
        "server", "standing", "token_id", "transport",
    )  # fmt: skip

    def __init__(
        self,
        server: Server,
        transport: Transport,
        outbox: Outbox,
        level_1_ack: Level1Ack = level_1_ack,
    ) -> None:
        self.server = server
        self.transport = transport
        self.outbox = outbox
        self.token_id = 0
        """The token by which the client logs in, or may the next time; 0: it has none."""
        self.sender: Sender | None = None
        self.nameless: Nameless
        self.level = 1
        self.line = b""
        """The line of the request that is being worked off."""
        self.closed = False
        self.now = server.monotonic()
        self.standing = Standing(server.limits, *transport.peer(False), self.now)
        self.liveness = Liveness(self.now)
        self.requests = Requests(transport, self._perform)
        self._mailbox: Mailbox | None = None
        self._acknowledged = 0
        """The highest ``seq`` that the client has acknowledged."""
        self._deaf = False
        """Whether the last request has been read: what comes is thrown away."""
        self._ending_at: float | None = None
        self._entering: Deferred[None] | None = None
        self._roster: Mapping[str, Any] = {}
        self._level_1_ack = level_1_ack
        outbox.on_taken = self._taken
        server.sessions.add(self)

    def open(self, place: Place | None = None) -> None:
        """The client is here: let it in, or tell it why not and close.

        :param place: one that the connection has already.
        """
        try:
            self.standing.enter(place)
        except ChatError as error:
            self._turn_away(error)

    @property
    def address(self) -> str:
        """Where the client is, for the log."""
        return self.standing.address

    def _locate(self, told: bool) -> None:
        """A proxy stands between: find out who the client is."""
        try:
            self.standing.locate(*self.transport.peer(told))
        except ChatError as error:
            self._turn_away(error)

    def _turn_away(self, error: ChatError) -> None:
        limits = self.server.limits
        # Whoever floods is to take nobody's place while being shown out.
        self.standing.leave()
        if limits.log_lines.take(self.server.monotonic()) == 0:
            _log.warn(
                "{address}: turned away, {text}; {count} so far",
                address=self.address, text=error.text, count=limits.doors.turned_away,
            )  # fmt: skip
        self.answer(refusal(MsgId.ACK, error, ack=0))
        self.end()

    # Lines come in

    def heard(self) -> None:
        """Something was read: called once a read, before its lines."""
        server = self.server
        self.now = now = server.monotonic()
        if server.lease is not None:
            server.lease.check(now)
        liveness = self.liveness
        if liveness.awaited:
            liveness.heard(now)
        else:
            liveness.heard_at = now
        if self.standing.origin is None:
            self._locate(True)
        outbox = self.outbox
        if outbox.queued - outbox.taken > PENDING_ANSWERS:
            self.requests.hold(CLOGGED)

    def receive_all(self, lines: list[bytes]) -> int:
        """Work off the lines of one read, all of them UTF-8; how many were, as the transport may
        have to stop before the last."""
        at = 0
        end = len(lines)
        requests = self.requests
        while at < end and not requests.paused and not self.closed and not self._deaf:
            line = lines[at]
            sender = self.sender
            if line.startswith(_ACKNOWLEDGES):
                self._acknowledge(line)
                at += 1
                continue
            if sender is not None and not requests.holds and requests.queue is None:
                before = at
                at = self._pass_on(sender, lines, at)
                if at > before:
                    continue
            if line:
                self.receive(line)
            at += 1
        return at

    def _acknowledge(self, line: bytes) -> None:
        """What :meth:`receive` does, sooner, for a RECEIVED_MSG that is nothing else."""
        try:
            request = _decode_received(line)
        except (ValueError, RecursionError, MsgspecError):
            self.receive(line)
            return
        if line.count(b'"') == Received.plain_quotes:
            self._received(request)
        else:
            self.receive(line)

    def _pass_on(self, sender: Sender, lines: list[bytes], at: int) -> int:
        """Try the fast lane; the index of the first line that cannot go that way."""
        pace = self.standing.pace
        end = len(lines)
        if pace is not None:
            end = at + self.standing.allowance(end - at, self.now)
        relay = self.server.relay
        end = relay.pass_on(self, lines, at, end)
        if end > at:
            if sender.unanswered >= relay.unanswered:
                self._hold_for_answers(sender)
            if pace is not None:
                self._count(end - at)
        return end

    def receive(self, line: bytes) -> None:
        """Work off one line, now or when its turn comes."""
        if self._deaf:
            return
        request: Request | BadLine
        try:
            request = parse(line)
        except BadLine as bad:
            request = bad
        else:
            if type(request) is Received:
                self._received(request)
                return
            if type(request) is Pong:
                return
        self.requests.take(request, line)

    def too_long(self) -> None:
        """A line passed the bound: errno 106 in its turn, and the connection ends."""
        if self._deaf:
            return
        self._deaf = True
        bad = BadLine(Code.TOO_LARGE, "too large", 0, None)
        bad.fatal = True
        self.requests.take(bad, b"")

    def _received(self, request: Received) -> None:
        try:
            if self.sender is None:
                raise ChatError(Code.LOGIN_FIRST)
            if self._mailbox is None or self.level < 2:
                raise ChatError(Code.BAD_REQUEST, "nothing was pushed that asks for it")
            self._mailbox.received(request.seq)
            if request.seq > self._acknowledged:
                self.server.counts.delivered += request.seq - self._acknowledged
                self._acknowledged = request.seq
        except ChatError as error:
            self._refuse(error, MsgId.RECEIVED, request.cid or None)

    def _perform(self, request: Request | BadLine, line: bytes) -> None:
        if isinstance(request, BadLine):
            self._refuse_bad(request, request.ack, request.cid)
            return
        server = self.server
        if self.standing.pace is not None:
            self.standing.pace.refill(server.monotonic())
            self._count(1)
        command = server.commands.get(type(request))
        sender = self.sender
        try:
            if command is None:
                raise ChatError(Code.UNKNOWN_MSGID)
            if sender is None and command.login:
                raise ChatError(Code.LOGIN_FIRST)
            if self.level < command.level:
                raise ChatError(Code.UNKNOWN_MSGID, "log in with proto 2 for this")
            self.line = line
            result = command.rule(self, request)
        except BadLine as bad:
            self._refuse_bad(bad, MSGIDS[type(request)], request.cid or None)
            return
        except ChatError as error:
            self._refuse(error, MSGIDS[type(request)], request.cid or None)
            return
        except Exception:
            self._fail(request)
            return
        if result is None:
            if sender is not None:
                self._hold_for_answers(sender)
        elif isinstance(result, Mapping):
            self._answer(request, result, self.level)
        else:
            self.requests.hold(BUSY)
            server.spawn(self._finish(request, result, self.level))

    async def _finish(
        self, request: Request, result: Awaitable[Mapping[str, Any] | None], level: int
    ) -> None:
        try:
            fields = await result
        except ChatError as error:
            self._refuse(error, MSGIDS[type(request)], request.cid or None)
        except StoreAway:
            self._refuse(busy(), MSGIDS[type(request)], request.cid or None)
        except Exception:
            self._fail(request)
        else:
            if fields is not None:
                self._answer(request, fields, level)
        self._soon(lambda: self._release(BUSY))

    def _count(self, requests: int) -> None:
        """So many were worked off; if that is all for now, what follows waits."""
        pace = self.standing.pace
        if pace is not None and (wait := pace.spend(requests)):
            self.requests.hold(RATE)
            self.server.call_later(wait, lambda: self._release(RATE))

    def _refuse_bad(self, bad: BadLine, ack: int, cid: str | None) -> None:
        """A line was no request: one now and then may happen, many are not waited for."""
        self._refuse(self.standing.bad_line(self.server.monotonic()) or bad, ack, cid)

    def _soon(self, call: Callable[[], object]) -> None:
        """Go on when whoever has brought the news is done: what comes next may need the same
        mailbox."""
        self.server.call_later(0, call)

    def _hold_for_answers(self, sender: Sender) -> None:
        """If too many are unanswered, what follows waits."""
        if sender.unanswered < self.server.settings.unanswered_per_sender:
            return
        self.requests.hold(UNANSWERED)
        sender.low_water = self.server.settings.unanswered_per_sender // 2
        sender.on_low_water = lambda: self._soon(lambda: self._release(UNANSWERED))

    def _release(self, reason: int) -> None:
        if self.requests.release(reason):
            self.liveness.excuse(self.server.monotonic())
        if self._ending_at is not None:
            self._end_when_done()

    # Answers and pushes go out

    def answer(self, line: bytes) -> None:
        """Queue one line for the client; nothing happens when it has gone."""
        if not self.closed:
            self.outbox.write(line)

    def answer_all(self, lines: list[bytes]) -> None:
        """Queue several lines, as :meth:`answer` does."""
        if not self.closed:
            self.outbox.write_all(lines)

    def _answer(self, request: Request, fields: Mapping[str, Any], level: int) -> None:
        if level >= 2:
            self.answer(answer(MSGIDS[type(request)], request.cid or None, fields))

    def _refuse(self, error: ChatError, msgid: int, cid: str | None) -> None:
        if self.closed:
            return
        _log.info(
            "{address} user {user}: msgid {msgid} refused, errno {errno} {text}",
            address=self.address,
            user=self.sender.id if self.sender else "-",
            msgid=msgid,
            errno=int(error.code),
            text=error.text,
        )
        if msgid == MsgId.LOGIN:
            self.server.counts.logins_refused += 1
            self.answer(refusal(MsgId.LOGIN_ACK, error))
        elif msgid == MsgId.REG:
            self.answer(refusal(MsgId.REG_ACK, error))
        else:
            self.answer(refusal(MsgId.ACK, error, ack=msgid, cid=cid))
        if error.fatal:
            self.end()

    def _fail(self, request: Request) -> None:
        kind = type(request)
        _log.failure(
            "{address} user {user}: {request} failed",
            address=self.address,
            user=self.sender.id if self.sender else "-",
            request=kind.__name__,
        )
        self._refuse(ChatError(Code.INTERNAL), MSGIDS[kind], request.cid or None)

    def push(self, line: bytes) -> int:
        """See :meth:`chat.copies.Receiver.push`."""
        self.server.counts.pushes += 1
        return self.outbox.write(line)

    def push_all(self, lines: list[bytes]) -> int:
        """See :meth:`chat.copies.Receiver.push_all`."""
        self.server.counts.pushes += len(lines)
        return self.outbox.write_all(lines)

    def hint(self, line: bytes) -> None:
        """See :meth:`chat.delivery.Peer.hint`."""
        if self.level == 2 and self.outbox.pending <= PENDING_ANSWERS:
            self.answer(line)

    def flush(self) -> None:
        """Hand over what the kernel takes now."""
        self.outbox.flush()

    def _taken(self, total: int) -> None:
        if self.level == 1 and self._mailbox is not None:
            self._mailbox.written(total)
        if self.requests.holds & CLOGGED and self.outbox.pending < PENDING_ANSWERS // 2:
            self._release(CLOGGED)

    # The user comes and goes

    def identify(self, sender: Sender, level: int, roster: Mapping[str, Any]) -> None:
        """See :meth:`chat.accounts.Me.identify`."""
        self.sender = sender
        self.level = level
        self.nameless = Nameless(sender, self, MsgId.ONE_CHAT)
        self._roster = roster
        self._entering = Deferred()
        self.standing.logged_in(sender.id, self.server.monotonic())

    async def enter(self, mailbox: Mailbox) -> None:
        """See :meth:`chat.accounts.Me.enter`."""
        entering = self._entering
        assert entering is not None
        mailbox.attach(self)
        try:
            await entering
        finally:
            self._entering = None
            self._roster = {}
        self._mailbox = mailbox

    def welcome(self, backlog: int, waiting: Sequence[Copy]) -> tuple[int, int]:
        """See :meth:`chat.copies.Receiver.welcome`."""
        sender = self.sender
        assert sender is not None and self._entering is not None
        taken = 0
        if self.level == 2:
            line = level_2_ack(sender, backlog, self._roster)
        else:
            line, taken = self._level_1_ack(sender, waiting, self._roster)
        place = self.outbox.write(line)
        self._acknowledged = 0
        self.server.counts.logins += 1
        _log.info(
            "{address} user {user}: logged in, level {proto}, {backlog} waiting",
            address=self.address, user=sender.id, proto=self.level, backlog=backlog,
            duration=self._lasted(),
        )  # fmt: skip
        self._entering.callback(None)
        return taken, place

    def not_welcome(self, error: ChatError) -> None:
        """See :meth:`chat.copies.Receiver.not_welcome`."""
        if self._entering is not None and not self._entering.called:
            self._entering.errback(error)

    def forget(self) -> None:
        """Back to where one logs in."""
        if self.sender is not None:
            _log.info(
                "{address} user {user}: logged out",
                address=self.address, user=self.sender.id, duration=self._lasted(),
            )  # fmt: skip
            del self.nameless
        self.sender = None
        self.level = 1
        self._mailbox = None
        self.token_id = 0
        self.standing.logged_out()
        self.liveness.opened_at = self.server.monotonic()

    def _lasted(self) -> float:
        """Seconds since the connection opened, or since somebody last logged out on it."""
        return round(self.server.monotonic() - self.liveness.opened_at, 3)

    def answered(self) -> Awaitable[None]:
        """See :meth:`chat.accounts.Me.answered`."""
        sender = self.sender
        if sender is None or sender.unanswered == 0:
            return succeed(None)
        done: Deferred[None] = Deferred()
        sender.low_water = 0
        sender.on_low_water = lambda: self._soon(lambda: done.callback(None))
        return done

    def still_there(self) -> Awaitable[bool]:
        """See :meth:`chat.delivery.Peer.still_there`."""
        if self.closed:
            return succeed(False)
        if self.level == 1 or self._entering is not None:
            # It cannot be asked: the kernel's word counts.  Whose login is under way is there, and
            # its answer has to come first.
            return succeed(True)
        if not self.liveness.asked:
            self.answer(PING)
        settings = self.server.settings
        return self.liveness.ask(self.server.call_later, settings.takeover_seconds)

    def replaced(self) -> None:
        """See :meth:`chat.delivery.Peer.replaced`."""
        self.dismissed("taken over by another login")

    def dismissed(self, why: str) -> None:
        """See :meth:`chat.delivery.Peer.dismissed`."""
        self._refuse(ChatError(Code.FORBIDDEN, why, fatal=True), 0, None)

    # The end

    def end(self) -> None:
        """Close, after what is queued for the client has been written."""
        if not self.closed:
            self._leave()
            self.transport.close()

    def retire(self) -> None:
        """The server is about to stop: nothing more is read, and what is in flight to the user is
        stored.  What was asked before is still answered, until :meth:`end`."""
        if self.closed:
            return
        self._deaf = True
        self.transport.pause()
        self.requests.clear()
        if self.sender is not None and self._mailbox is not None:
            self._mailbox = None
            self.server.delivery.release(self.sender.id, self)

    @property
    def at_work(self) -> bool:
        """Whether a request is being worked off."""
        return bool(self.requests.holds & BUSY)

    def finished(self) -> None:
        """The client has shut its writing side: serve what it asked, then close."""
        self._ending_at = self.server.monotonic()
        self._end_when_done()

    def _end_when_done(self) -> None:
        if not self.requests.done or self.closed:
            return
        sender = self.sender
        if sender is None or sender.unanswered == 0:
            self.end()
        else:
            sender.low_water = 0
            sender.on_low_water = lambda: self._soon(self._end_when_done)

    def lost(self) -> None:
        """The connection is gone."""
        self._leave()
        self.outbox.close()
        self.standing.leave()
        self.server.sessions.discard(self)
        # What is gone is not to wait for the garbage collector, which looks rarely.
        self.transport = _GONE
        self.requests.end(_GONE)

    def _leave(self) -> None:
        if self.closed:
            return
        self.closed = True
        self.requests.clear()
        sender = self.sender
        if sender is not None:
            self.server.delivery.release(sender.id, self)
            self.not_welcome(ChatError(Code.BUSY))
            self.forget()
        self.liveness.tell(False)

    def abort(self, why: str) -> None:
        """End at once; what was in flight is stored."""
        if self.closed:
            return
        _log.info(
            "{address} user {user}: closed, {why}",
            address=self.address, user=self.sender.id if self.sender else "-", why=why,
            duration=self._lasted(),
        )  # fmt: skip
        self._leave()
        self.transport.abort()

    # Time passes

    def tick(self, now: float) -> None:
        """Called about once a second: silence and stalls have their bounds."""
        if self.closed:
            return
        if self.standing.origin is None:
            self._locate(False)
        settings = self.server.settings
        outbox = self.outbox
        if outbox.pending == 0:
            outbox.progress_at = None
        elif outbox.progress_at is None:
            outbox.progress_at = now
        elif now - outbox.progress_at >= settings.stall_seconds:
            self.abort("takes nothing of what is written to it")
            return
        requests = self.requests
        if self._ending_at is not None and requests.holds & RATE:
            # It is us whom it waits for, and not for more than the queue holds.
            self._ending_at = now
        elif self._ending_at is not None and now - self._ending_at >= ENDING_SECONDS:
            self.abort("has shut its writing side")
        elif self.sender is None and requests.holds in (0, RATE):
            # Whoever asks for other things faster than they are answered has not logged in either.
            if now - self.liveness.opened_at >= settings.login_seconds:
                text = f"no login within {settings.login_seconds:g} s"
                self._refuse(ChatError(Code.LOGIN_FIRST, text, fatal=True), 0, None)
        elif requests.paused:
            self.liveness.excuse(now)
        elif self.level == 2 and self.liveness.is_silent(now, settings.ping_seconds):
            if self.liveness.ping():
                self.answer(PING)
            else:
                self.abort("does not answer pings")
