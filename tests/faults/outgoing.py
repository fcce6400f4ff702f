"""A sender as the protocol wants one: what is not answered is sent again, in its order."""

from __future__ import annotations

from bisect import insort
from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from random import Random

from .ledger import Ledger, Message
from .wire import Fields, line

RECENT = 20
"""So many answered messages to each recipient can be sent again for nothing."""

TIME = "2026-01-01 12:00:00"
FILLINGS = (0, 0, 1, 10, 10, 30, 30, 200)


class Outgoing:
    """One user's messages.

    :param name: the user's, to write what the original's client does; None: as little as possible.
    :param tag: begins each ``cid``: other runs of the same users have other ones.
    """

    def __init__(
        self, user_id: int, name: str | None, tag: str, ledger: Ledger, chance: Random
    ) -> None:
        self._user_id = user_id
        self._name = name
        self._tag = tag
        self._ledger = ledger
        self._chance = chance
        self._last: Counter[int] = Counter()
        self._open: dict[int, list[int]] = defaultdict(list)
        """By recipient, the numbers that want an answer, ascending."""
        self._owed: Counter[Message] = Counter()
        """How many answers to each message the newest login still owes."""
        self._recent: dict[int, deque[int]] = defaultdict(lambda: deque(maxlen=RECENT))
        self._held: dict[int, float] = {}
        """After a 108, by recipient: when to begin again."""

    @property
    def open(self) -> int:
        """Messages that want an answer."""
        return sum(map(len, self._open.values()))

    def is_held(self, recipient: int) -> bool:
        """Whether messages to this one wait to be sent again."""
        return recipient in self._held

    def fresh(self, recipient: int) -> bytes:
        """One more message."""
        self._last[recipient] = number = self._last[recipient] + 1
        self._ledger.send(Message(self._user_id, recipient, number))
        self._open[recipient].append(number)
        return self._lines(recipient, [number])

    def repeated(self, recipient: int) -> bytes:
        """Some message of late once more, though it has been answered; nothing if there is none."""
        recent = self._recent[recipient]
        return self._lines(recipient, [self._chance.choice(recent)]) if recent else b""

    def last_again(self, recipient: int) -> bytes:
        """The newest message a second time, right behind the first."""
        return self._lines(recipient, [self._last[recipient]])

    def begin(self) -> tuple[Counter[Message], bytes]:
        """A new login: what it will owe, for :meth:`answered`; and everything that is open, in its
        order."""
        self._owed = Counter()
        self._held.clear()
        return self._owed, b"".join(self._lines(*some) for some in self._open.items())

    def due_again(self, now: float) -> bytes:
        """What a 108 has held long enough: all that is open for that recipient, in its order."""
        due = [recipient for recipient, when in self._held.items() if when <= now]
        for recipient in due:
            del self._held[recipient]
        return b"".join(self._lines(recipient, self._open[recipient]) for recipient in due)

    def answered(self, fields: Fields, owed: Counter[Message], now: float) -> None:
        """An ACK_MSG for a message of ours, from the login that owed it."""
        recipient, number = map(int, fields["cid"].rsplit(".", 2)[1:])
        message = Message(self._user_id, recipient, number)
        if not owed[message]:
            self._ledger.complaints.append(f"an answer too many: {fields}")
            return
        owed[message] -= 1
        open_ = self._open[recipient]
        if fields["errno"] == 0:
            self._ledger.answered(message, fields["state"])
            if number in open_:
                open_.remove(number)
                self._recent[recipient].append(number)
        elif fields["errno"] == 108 and fields["retry_after"] > 0:
            self._ledger.busy += 1
            self._ledger.note("busy", message)
            if owed is self._owed and not owed[message]:
                # Even a repeat of what was answered long ago has to come again: until then the
                # way to this recipient is closed to us.
                if number not in open_:
                    insort(open_, number)
                self._held.setdefault(recipient, now + fields["retry_after"])
        else:
            self._ledger.complaints.append(f"refused: {fields}")

    def _to(self, recipient: int) -> Fields:
        return {"msgid": 5, "toid": recipient}

    def _lines(self, recipient: int, numbers: Iterable[int]) -> bytes:
        return b"".join(self._line(Message(self._user_id, recipient, number)) for number in numbers)

    def _line(self, message: Message) -> bytes:
        self._owed[message] += 1
        self._ledger.note("sent", message)
        filling = 'grüße 😀 "' * FILLINGS[message.number % len(FILLINGS)]
        fields: Fields = {
            **self._to(message.recipient),
            "cid": f"{self._tag}.{message.recipient}.{message.number}",
            "msg": f"{message.sender} {message.recipient} {message.number} {filling}",
        }
        if self._name is not None:
            fields |= {"id": self._user_id, "name": self._name, "time": TIME}
        return line(**fields)
