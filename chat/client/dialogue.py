"""The client's half of the protocol, without a network.

A :class:`Dialogue` is told what happens (connected, a line came, the application is done with a
message, time passes) and says what follows: :meth:`~Dialogue.take` gives the bytes to write, and
events tell the application.  It outlives connections.  Pure: no I/O; times are seconds of a
monotonic clock, passed in.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

import msgspec

from ..errors import Code
from ..messages import MAX_ID, Login, MsgId, Ping, Pong, Received, Request
from . import incoming
from .errors import (
    AlreadyOnline,
    BadAnswer,
    Disconnected,
    LoginRefused,
    OutboxFull,
    Refused,
    TakenOver,
    WrongServer,
)
from .events import (
    Answered,
    Arrived,
    Broken,
    Ended,
    Event,
    Hinted,
    Limits,
    LoggedIn,
    LoginFailed,
    Phase,
    Replied,
)
from .incoming import Ack, LoginAck, PingLine, PongLine, RegAck, Unknown
from .receiving import Inbox, Key, OutOfStep
from .results import AnyMessage, DirectMessage, GroupMessage, Notice, Welcome
from .sending import DEFAULT_WAIT, Outbox, Unsent

MAX_CID = 64


class _Asked(msgspec.Struct, frozen=True):
    msgid: int
    size: int


class Dialogue:
    """One user's dialogue with the server, over one connection after another.

    :param waiting: what an earlier run left unacknowledged, in order.
    :param seen: what it has shown, the oldest first.
    :param takeover: end an older login of this user, if there is one.  It holds for the first
        login only: a client that was away must not throw out the one that came after it.
    :param nonce: text of its own for every run, so that cids never repeat.
    """

    def __init__(
        self,
        user_id: int,
        *,
        nonce: str,
        password: str | None = None,
        token: str | None = None,
        takeover: bool = False,
        waiting: Iterable[Unsent] = (),
        seen: Iterable[Key] = (),
        limits: Limits = Limits(),  # noqa: B008 - frozen
    ) -> None:
        self.user_id = user_id
        self.password = password
        self.token = token
        self.phase = Phase.OFFLINE
        self.retry_at = 0.0
        """When to connect again at the earliest, as far as the server has said."""
        self.outbox = Outbox(waiting, window=limits.window, window_bytes=limits.window_bytes)
        self._inbox = Inbox(seen, bound=limits.seen)
        self._limits = limits
        self._takeover = takeover
        self._was_online = False
        self._nonce = nonce
        self._numbers = count(1)
        self._asked: dict[str, _Asked] = {}
        self._out: list[bytes] = []
        self._heard_at = 0.0
        self._pinged = False

    # What the application does

    def compose(self, kind: int, target: int, text: str, time: str, cid: str | None) -> Unsent:
        """A message as it will be sent; when its cid is in the outbox already, that one.

        :raises Refused: as the server would: ids, cid (100), size (106), cid of another (110).
        :raises OutboxFull: too many wait.
        """
        if not (type(target) is int and 1 <= target <= MAX_ID):
            raise Refused(Code.BAD_REQUEST, "not an id")
        if cid is not None and not 1 <= len(cid) <= MAX_CID:
            raise Refused(Code.BAD_REQUEST, f"a cid has 1 to {MAX_CID} characters")
        unsent = Unsent(cid or self.new_cid(), kind, target, text, time)
        try:
            size = len(unsent.line()) - 1
        except (ValueError, TypeError) as cause:
            raise Refused(Code.BAD_REQUEST, "not text that can be sent") from cause
        if size > self._limits.line:
            raise Refused(Code.TOO_LARGE)
        there = self.outbox.unsent(unsent.cid)
        if there is not None:
            if (there.lane, there.text) != (unsent.lane, unsent.text):
                raise Refused(Code.CID_REUSED)
            return there
        if len(self.outbox) >= self._limits.waiting:
            raise OutboxFull(f"{len(self.outbox)} messages wait to be acknowledged")
        return unsent

    def send(self, unsent: Unsent) -> None:
        """Send what :meth:`compose` made, now or when there is a connection."""
        if unsent.cid not in self.outbox:
            self.outbox.add(unsent)

    def ask(self, request: Request) -> str:
        """Send a request of another kind; its ``cid``, with which :class:`Replied` comes.

        :raises Refused: the line would be too long (106).
        """
        request.cid = cid = self.new_cid()
        line = msgspec.json.encode(request)
        if len(line) > self._limits.line:
            raise Refused(Code.TOO_LARGE)
        msgid = request.__struct_config__.tag
        assert isinstance(msgid, int)
        self._asked[cid] = _Asked(msgid, len(line))
        self._out.append(line + b"\n")
        return cid

    def handled(self, key: Key) -> None:
        """The application is done with a message; it may be acknowledged."""
        self._inbox.handled(key)

    def new_cid(self) -> str:
        """A cid that was never used before."""
        return f"{self._nonce}-{next(self._numbers):x}"

    # What happens on the connection

    def connected(self, now: float) -> None:
        """There is a connection: log in on it."""
        self._heard_at = now
        self._pinged = False
        self._out.clear()
        self.phase = Phase.LOGIN
        self._log_in()

    def lost(self) -> list[Event]:
        """The connection is gone."""
        if self.phase is not Phase.ENDED:
            self.phase = Phase.OFFLINE
        self._out.clear()
        self.outbox.closed()
        asked, self._asked = self._asked, {}
        error = Disconnected("the connection ended before the answer came")
        return [Replied(cid, error) for cid in asked]

    def line(self, line: bytes, now: float) -> list[Event]:
        """One line of the server, without its end."""
        self._heard_at = now
        self._pinged = False
        if not line.strip():
            return []
        try:
            return self._read(incoming.parse(line), line, now)
        except (BadAnswer, OutOfStep) as cause:
            return [Broken(str(cause))]

    def wake(self, now: float) -> list[Event]:
        """Time has passed; see :attr:`wake_at`."""
        if self.phase not in (Phase.LOGIN, Phase.ONLINE):
            return []
        silent = now - self._heard_at
        if silent >= self._limits.keepalive + self._limits.grace:
            return [Broken(f"nothing came from the server for {silent:.0f} s")]
        if silent >= self._limits.keepalive and not self._pinged:
            self._pinged = True
            self._out.append(msgspec.json.encode(Ping()) + b"\n")
        return []

    @property
    def wake_at(self) -> float | None:
        """When :meth:`wake` and :meth:`take` are to be called next, if nothing happens before."""
        if self.phase not in (Phase.LOGIN, Phase.ONLINE):
            return None
        due = self._heard_at + self._limits.keepalive
        if self._pinged:
            due += self._limits.grace
        resend = self.outbox.wake_at
        return due if resend is None else min(due, resend)

    def take(self, now: float) -> bytes:
        """What to write now."""
        out, self._out = self._out, []
        if self.phase is Phase.ONLINE:
            seq = self._inbox.received()
            if seq is not None:
                out.append(msgspec.json.encode(Received(seq=seq)) + b"\n")
            out += self.outbox.take(now)
        return b"".join(out)

    def _log_in(self) -> None:
        login = Login(id=self.user_id, proto=2)
        if self.token:
            login.token = self.token
        else:
            login.password = self.password or ""
        login.takeover = self._takeover and not self._was_online
        self._out.append(msgspec.json.encode(login) + b"\n")

    def _read(self, said: incoming.Incoming | Unknown, line: bytes, now: float) -> list[Event]:
        if isinstance(said, Ack):
            return self._read_ack(said, line, now)
        if isinstance(said, (DirectMessage, GroupMessage)):
            return self._read_message(said)
        if isinstance(said, PingLine):
            pong = Pong() if said.cid is None else Pong(cid=said.cid)
            self._out.append(msgspec.json.encode(pong) + b"\n")
            return []
        if isinstance(said, LoginAck):
            return self._read_login(said, now)
        if isinstance(said, Unknown):
            if said.seq and self.phase is Phase.ONLINE:
                self._inbox.skipped(said.seq)
            return []
        if isinstance(said, (PongLine, RegAck)):
            return []
        if isinstance(said, Notice) and said.reconnect > 0:
            self.retry_at = now + said.reconnect
        return [Hinted(said)]

    def _read_message(self, message: AnyMessage) -> list[Event]:
        if self.phase is not Phase.ONLINE:
            raise BadAnswer("a message before the login")
        return [Arrived(message)] if self._inbox.pushed(message.key, message.seq) else []

    def _read_login(self, ack: LoginAck, now: float) -> list[Event]:
        if self.phase is not Phase.LOGIN:
            raise BadAnswer("an answer to no login")
        if ack.errno == Code.DONE:
            if ack.proto < 2:
                return self._fail(WrongServer("this server does not acknowledge messages"))
            self.phase = Phase.ONLINE
            self._was_online = True
            self.token = ack.token or self.token
            self._inbox.opened()
            self.outbox.opened()
            welcome = Welcome(
                id=ack.id,
                name=ack.name,
                backlog=ack.backlog,
                friends=ack.friends,
                groups=ack.groups,
                more_friends=ack.more_friends,
                more_groups=ack.more_groups,
            )
            return [LoggedIn(welcome, ack.token)]
        if ack.errno == Code.REFUSED and self.token:
            # The token may be too old, or the password was changed elsewhere.
            self.token = None
            if self.password is not None:
                self._log_in()
                return []
        if ack.errno == Code.IN_USE:
            busy = incoming.refused(ack, AlreadyOnline)
            return [LoginFailed(busy, False)] if self._was_online else self._fail(busy)
        if ack.errno in (Code.TOO_FAST, Code.BUSY, Code.INTERNAL):
            self.retry_at = now + (ack.retry_after or DEFAULT_WAIT)
            return [LoginFailed(incoming.refused(ack, Refused), False)]
        return self._fail(incoming.refused(ack, LoginRefused))

    def _fail(self, error: Refused | WrongServer) -> list[Event]:
        self.phase = Phase.ENDED
        return [LoginFailed(error, True)]

    def _read_ack(self, ack: Ack, line: bytes, now: float) -> list[Event]:
        if ack.errno == Code.LOGIN_FIRST:
            raise BadAnswer("the server has forgotten the login")
        if ack.ack in (MsgId.ONE_CHAT, MsgId.GROUP_CHAT) and ack.cid in self.outbox:
            return self._read_answer(ack, line, now)
        if ack.cid in self._asked:
            del self._asked[ack.cid]
            result = line if ack.errno == Code.DONE else incoming.refused(ack, Refused)
            return [Replied(ack.cid, result)]
        if ack.errno == Code.FORBIDDEN and ack.ack == 0:
            self.phase = Phase.ENDED
            return [Ended(incoming.refused(ack, TakenOver))]
        if ack.errno == Code.TOO_LARGE:
            return self._give_up_longest(incoming.refused(ack, Refused))
        if ack.errno in (Code.TOO_FAST, Code.BUSY):
            self.retry_at = now + (ack.retry_after or DEFAULT_WAIT)
        return []

    def _read_answer(self, ack: Ack, line: bytes, now: float) -> list[Event]:
        result = incoming.sent(line) if ack.errno == Code.DONE else incoming.refused(ack, Refused)
        unsent = self.outbox.unsent(ack.cid)
        if unsent is None or not self.outbox.answered(ack.cid, ack.errno, ack.retry_after, now):
            return []
        return [Answered(unsent, result)]

    def _give_up_longest(self, error: Refused) -> list[Event]:
        """Some line of ours is too long for this server, which closes and does not say which:
        the longest one in flight is, whichever was meant.  Sent again, it would never end."""
        cid, size = self.outbox.longest_in_flight()
        asked = max(self._asked.items(), key=lambda item: item[1].size, default=None)
        if asked is not None and asked[1].size > size:
            del self._asked[asked[0]]
            return [Replied(asked[0], error)]
        unsent = self.outbox.unsent(cid)
        if unsent is None:
            return [Broken(str(error))]
        self.outbox.answered(cid, Code.TOO_LARGE, 0.0, 0.0)
        return [Answered(unsent, error)]
