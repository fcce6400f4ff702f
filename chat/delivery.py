"""Where a message goes: to a live client, or to the store.

Holds who is online, one mailbox for each user with anything under way, and one sender for each
user who wrote lately.  For two people online a message's way through here is one synchronous call
chain.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence, Set
from time import gmtime, strftime
from typing import Any, Protocol

from msgspec import UNSET

from .config import Settings
from .copies import Copy, Receiver, Shelf
from .errors import ChatError, Code
from .interfaces import Clock
from .mailbox import Mailbox
from .messages import Chat, MsgId, OneChat, OptionalId
from .receipts import Answers, Nameless, NamelessGroup, Receipt, Sent, SentToGroup, digest_of
from .routes import Carrier, Route
from .runs import Run
from .senders import Sender
from .wire import chat_body

IDLE_MAILBOXES = 10_000
"""So many mailboxes of users who are away are kept open, for their counts, when idle."""


class Peer(Receiver, Answers, Protocol):
    """One logged-in connection, as seen from here."""

    sender: Sender | None
    nameless: Nameless
    now: float
    """When the connection was last read, in monotonic seconds."""
    line: bytes
    """The line of the request that is being worked off."""

    def hint(self, line: bytes) -> None:
        """Queue a line for a level 2 client; it is left out while the client does not take what
        it has."""

    def still_there(self) -> Awaitable[bool]:
        """Ask the client, if it can be asked; False: no answer came in time."""

    def replaced(self) -> None:
        """Another login takes over: tell the client, log it out and close."""

    def dismissed(self, why: str) -> None:
        """Tell the client that it may not go on (errno 103), log it out and close."""


class Elsewhere(Protocol):
    """The other nodes, as seen from here."""

    @property
    def carrier(self) -> Carrier:
        """What takes messages there."""

    async def claim(self, user_id: int, takeover: bool) -> None:
        """The user is on this node from now on.

        :raises ChatError: 2, is on another one and answers there; 108, nobody knows.
        """

    def came(self, user_id: int, name: str) -> None:
        """The user's login here has been answered."""

    def released(self, user_id: int) -> None:
        """The user is not here any more, or the login has come to nothing."""

    def hint(self, users: Sequence[int], line: bytes, sender: int = 0) -> None:
        """A line without custody for the level 2 clients of users who are not here."""

    async def online(self, users: Sequence[int], viewer: int) -> Set[int]:
        """Which of these users are online on some node, as far as the viewer may know.

        :raises StoreAway: nobody knows.
        """


def sender_of(me: Peer, user_id: OptionalId = UNSET) -> Sender:
    """Who asks.

    :raises ChatError: 103, the id in the request is another's.
    """
    sender = me.sender
    assert sender is not None
    if user_id is not UNSET and user_id != sender.id:
        raise ChatError(Code.FORBIDDEN, "that id is not yours")
    return sender


def written(seconds: float) -> str:
    """A time as messages say it: ``YYYY-MM-DD HH:MM:SS``, UTC."""
    return strftime("%Y-%m-%d %H:%M:%S", gmtime(seconds))


class Stamps:
    """The order numbers of messages: microseconds since the epoch, strictly increasing."""

    __slots__ = ("_time", "last")

    def __init__(self, clock: Clock) -> None:
        self._time = clock.time
        self.last = 0

    def next(self) -> int:
        """One more than the last, or the time if that is more."""
        return self.reserve(1)

    def reserve(self, count: int) -> int:
        """The first of so many in a row."""
        now = int(self._time() * 1_000_000)
        first = now if now > self.last else self.last + 1
        self.last = first + count - 1
        return first

    def exceed(self, stamp: int) -> None:
        """What comes from now on is higher than this."""
        self.last = max(self.last, stamp)


class Delivery:
    """The routes of all messages of one process."""

    def __init__(self, settings: Settings, shelf: Shelf, clock: Clock) -> None:
        self.online: dict[int, Peer] = {}
        """Who is logged in, or is about to be."""
        self.here: set[int] = set()
        """Whose login has been answered."""
        self.mailboxes: dict[int, Mailbox] = {}
        self.senders: dict[int, Sender] = {}
        self.stamps = Stamps(clock)
        self.elsewhere: Elsewhere | None = None
        """The other nodes; None: there are none."""
        self.presence: list[Callable[[int, str, bool], None]] = []
        """Called with id, name and whether the user is online now, when that changes."""
        self.said: list[Callable[[Copy | Run, int, int], None]] = []
        """Called with what is accepted, and its recipient or its group."""
        self._settings = settings
        self._shelf = shelf
        self._clock = clock
        self.given_prefix = f"{int(clock.time() * 1_000_000):x}."
        """Of the cids that the server gives; with a stamp behind it, it is never repeated."""
        self._time_second = 0
        self._time_text = ""

    # Messages

    def one_chat(self, me: Peer, ask: OneChat) -> None:
        """Send a message to one user.

        :raises ChatError: 100, 103, 108, 110; other refusals come through the receipt.
        """
        copy = self.prepare(me, ask, MsgId.ONE_CHAT, ask.toid)
        if copy is None:
            return
        mailbox = self.mailboxes.get(ask.toid)
        if mailbox is None or not mailbox.known:
            mailbox = self.mailbox(ask.toid)
        for listener in self.said:
            listener(copy, ask.toid, 0)
        if mailbox.receiver is not None and self.has_more(copy.sender, ask.toid):
            mailbox.appeared()
        mailbox.send(copy)

    def prepare(self, me: Peer, ask: Chat, kind: int, target: int) -> Copy | None:
        """A message that may go on its way; None: it is a repeat, and is answered as one."""
        sender = sender_of(me, ask.id)
        one = kind == MsgId.ONE_CHAT
        cid = ask.cid
        receipt: Receipt
        if cid is UNSET:
            if me.level == 2:
                raise ChatError(Code.BAD_REQUEST, "cid is missing")
            body = chat_body(ask, me.line, sender.fields, self.time_text())
            if sender.gates:
                sender.gate(target if one else -target, None)
            stamp = self.stamps.next()
            cid = self.given_prefix + str(stamp)
            given = True
            receipt = me.nameless if one else NamelessGroup(sender, me, kind)
            sender.unanswered += 1
        else:
            body = chat_body(ask, me.line, sender.fields, self.time_text())
            digest = digest_of(kind, target, hash(ask.msg))
            known = sender.known(cid)
            if known is not None:
                known.again(me, digest)
                return None
            if sender.gates:
                sender.gate(target if one else -target, cid)
            stamp = self.stamps.next()
            given = False
            sender.unanswered += 1
            sent = (Sent if one else SentToGroup)(
                sender, me, kind, target, cid, digest, stamp=stamp
            )
            sender.remember(sent)
            receipt = sent
        return Copy(sender.id, stamp, cid, given, kind, body, receipt, me.now, ask)

    def time_text(self) -> str:
        """Now, as messages say it."""
        second = int(self._clock.time())
        if second != self._time_second:
            self._time_second = second
            self._time_text = written(second)
        return self._time_text

    def mailbox(self, user_id: int) -> Mailbox:
        """The user's mailbox; its count is asked for when it is new."""
        mailbox = self.mailboxes.get(user_id)
        if mailbox is None:
            mailbox = self.mailboxes[user_id] = Mailbox(user_id, self._settings, self._shelf)
            if self.elsewhere is not None:
                mailbox.route = Route(mailbox, self.elsewhere.carrier)
        if not mailbox.known and mailbox.route is None:
            mailbox.open()
        return mailbox

    def has_more(self, sender_id: int, user_id: int) -> bool:
        """Whether something of this sender to this user may be in the store from another node; it
        is answered once for each login of the sender."""
        sender = self.senders.get(sender_id)
        if sender is None or sender.told is None or user_id in sender.told:
            return False
        sender.told.add(user_id)
        return True

    # Hints, which may be lost

    def shows(self, user_id: int, viewer: int) -> bool:
        """Whether the viewer sees that the user is online; who is blocked does not."""
        mailbox = self.mailboxes.get(user_id)
        return (
            user_id in self.online
            and mailbox is not None
            and mailbox.known
            and viewer not in mailbox.blocked
        )

    async def online_elsewhere(self, users: Iterable[int], viewer: int = 0) -> Set[int]:
        """Which of these users are online on other nodes, and shown so to the viewer.

        :raises StoreAway: nobody knows.
        """
        if self.elsewhere is None:
            return frozenset()
        others = [user_id for user_id in users if user_id not in self.online]
        return await self.elsewhere.online(others, viewer) if others else frozenset()

    def hint(self, users: Sequence[int], line: bytes) -> None:
        """Push a line without custody to users, where they are online on level 2."""
        others = []
        for user_id in users:
            if user_id in self.here:
                self.online[user_id].hint(line)
            else:
                others.append(user_id)
        if others and self.elsewhere is not None:
            self.elsewhere.hint(others, line)

    def signal(self, sender_id: int, user_id: int, line: bytes) -> None:
        """The same to one, from somebody whom the user may block."""
        if user_id in self.here:
            self.signal_here(sender_id, user_id, line)
        elif self.elsewhere is not None:
            self.elsewhere.hint([user_id], line, sender_id)

    def signal_here(self, sender_id: int, user_id: int, line: bytes) -> None:
        """The same, if the user is on this node."""
        if user_id in self.here and sender_id not in self.mailboxes[user_id].blocked:
            self.online[user_id].hint(line)

    # Logins

    async def claim(self, user_id: int, newcomer: Peer, takeover: bool) -> None:
        """Make the newcomer the user's one connection.

        :raises ChatError: 2, somebody else is and answers.
        """
        while (older := self.online.get(user_id)) is not None:
            if not takeover and await older.still_there():
                raise ChatError(Code.IN_USE)
            if self.online.get(user_id) is older:
                older.replaced()
                self.release(user_id, older)
        self.online[user_id] = newcomer
        if self.elsewhere is not None:
            try:
                await self.elsewhere.claim(user_id, takeover)
            except BaseException:
                self.release(user_id, newcomer)
                raise

    def sender(self, user_id: int, name: str, last_stamp: int) -> Sender:
        """The user as a sender, who has just logged in."""
        sender = self.senders.get(user_id)
        if sender is None or sender.name != name:
            sender = Sender(user_id, name, self._settings, self._clock.monotonic)
            self.senders[user_id] = sender
        sender.gates.clear()
        sender.told = set() if last_stamp and self.elsewhere is not None else None
        self.stamps.exceed(last_stamp)
        return sender

    def came(self, sender: Sender) -> None:
        """The user's login has been answered."""
        self.here.add(sender.id)
        if self.elsewhere is not None:
            self.elsewhere.came(sender.id, sender.name)
        for listener in self.presence:
            listener(sender.id, sender.name, True)

    def release(self, user_id: int, peer: Peer) -> None:
        """The connection is no longer the user's: it has ended, logged out, or failed to log in."""
        if self.online.get(user_id) is not peer:
            return
        del self.online[user_id]
        self.here.discard(user_id)
        mailbox = self.mailboxes.get(user_id)
        if mailbox is not None and mailbox.receiver is peer:
            mailbox.detach(self._clock.monotonic())
        if self.elsewhere is not None:
            self.elsewhere.released(user_id)
        if peer.sender is not None:
            for listener in self.presence:
                listener(user_id, peer.sender.name, False)

    def forget(self, user_id: int) -> None:
        """There is no such user any more: the connection is nobody's, and what was on its way has
        no recipient."""
        peer = self.online.get(user_id)
        mailbox = self.mailboxes.pop(user_id, None)
        if mailbox is not None:
            mailbox.end()
        if peer is not None:
            self.release(user_id, peer)
        self.senders.pop(user_id, None)

    # Time

    def tick(self, now: float) -> None:
        """Call it a few times a second."""
        idle: list[int] = []
        for mailbox in list(self.mailboxes.values()):
            mailbox.tick(now)
            if mailbox.idle:
                idle.append(mailbox.user_id)
        for user_id in idle:
            # Those without a count were asked for in vain; of the others the oldest may go.  What
            # other nodes do to a count is not seen here: those do not stay.
            mailbox = self.mailboxes[user_id]
            if mailbox.route is not None:
                old = mailbox.route.is_old(now)
            else:
                old = not mailbox.known or len(self.mailboxes) > IDLE_MAILBOXES
            if old:
                del self.mailboxes[user_id]

    def sweep(self, now: float) -> None:
        """Forget old answers and senders; call it every second or so."""
        total = 0
        for user_id, sender in list(self.senders.items()):
            sender.expire(now)
            total += sender.remembered
            quiet = not (sender.remembered or sender.unanswered)
            if quiet and user_id not in self.online:
                del self.senders[user_id]
        excess = total - self._settings.remembered_total
        for sender in self.senders.values():
            if excess <= 0:
                break
            half = sender.remembered // 2
            while half > 0 and (count := sender.forget_oldest()):
                half -= count
                excess -= count

    def figures(self) -> dict[str, Any]:
        """Counted for the status page."""
        return {
            "online": len(self.online),
            "mailboxes": len(self.mailboxes),
            "in_flight": sum(box.pushed + box.waiting for box in self.mailboxes.values()),
            "stored": sum(box.stored for box in self.mailboxes.values()),
        }
