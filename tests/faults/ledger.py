"""Who said what to whom, and whether all of it came: what the faults are judged by.

Clients write down what they do and see, in the order in which it happens.  A message is named by
its text (sender, recipient, number), which the server does not read; the clients themselves drop
what they have seen by ``id`` and ``cid``, as the protocol has it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, fields
from time import monotonic
from typing import NamedTuple


class Message(NamedTuple):
    """The numbers of a pair of users begin at 1 and leave none out."""

    sender: int
    recipient: int
    number: int


class Ledger:
    """What happened."""

    def __init__(self) -> None:
        self.sent: set[Message] = set()
        self.answers: dict[Message, str] = {}
        """The first fact that the sender was told."""
        self.shown: dict[tuple[int, int], list[int]] = defaultdict(list)
        """By pair, the numbers that the recipient has shown, after its own dropping."""
        self.acknowledged: set[Message] = set()
        self.complaints: list[str] = []
        """Whatever else was not as the protocol says."""
        self.untrue: list[Message] = []
        self.dropped = 0
        """Pushed again, and dropped by the recipient: allowed, and counted."""
        self.busy = 0
        """Answers with errno 108."""
        self.events: list[tuple[float, str, Message | None]] = []
        """All that happened, with the seconds: for who has to find out why."""

    def note(self, event: str, message: Message | None = None) -> None:
        """Something that is only of interest when something else went wrong."""
        self.events.append((monotonic(), event, message))

    def story(self, wrong: Message) -> str:
        """What happened to a message and its neighbours, and around them."""
        pair = wrong[:2]
        told = [
            (when, event, message)
            for when, event, message in self.events
            if message is None or (message[:2] == pair and abs(message.number - wrong.number) <= 1)
        ]
        times = [when for when, _, message in told if message is not None] or [0.0]
        return "\n".join(
            f"{when - times[0]:8.3f} {event}{f' {message.number}' if message else ''}"
            for when, event, message in told
            if times[0] - 1 <= when <= times[-1] + 1
            and (message or event.split(" ", 1)[0] in (*map(str, pair), "fault:"))
        )

    def send(self, message: Message) -> None:
        """It was sent for the first time."""
        self.sent.add(message)

    def answered(self, message: Message, state: str) -> None:
        """The sender was told a fact."""
        if state == "delivered" and message not in self.acknowledged:
            self.untrue.append(message)
        self.answers.setdefault(message, state)
        self.note(state, message)

    def show(self, message: Message) -> None:
        """The recipient has seen the message for the first time, as it thinks."""
        self.shown[message.sender, message.recipient].append(message.number)
        self.note("shown", message)


@dataclass(frozen=True)
class Verdict:
    """What is wrong; every list must be empty."""

    lost: list[Message]
    """Told ``delivered`` or ``stored``, and never shown."""
    out_of_order: list[Message]
    """Shown after one that the same sender had sent later."""
    twice: list[Message]
    """Shown, and shown again."""
    unanswered: list[Message]
    """Sent, and its sender was never told a fact."""
    untrue: list[Message]
    """Told ``delivered`` before the recipient had acknowledged it."""
    invented: list[Message]
    """Shown, and never sent."""
    complaints: list[str]

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not any(getattr(self, field.name) for field in fields(self))

    def __str__(self) -> str:
        return ", ".join(
            f"{field.name.replace('_', ' ')} {len(getattr(self, field.name))}"
            for field in fields(self)
        )

    def examples(self, count: int = 5) -> str:
        """The first of each kind, a line for a kind."""
        found = ((field.name, getattr(self, field.name)) for field in fields(self))
        return "\n".join(f"{name}: {wrong[:count]}" for name, wrong in found if wrong)

    def first(self) -> list[Message]:
        """The first message of each kind."""
        found = (getattr(self, field.name)[:1] for field in fields(self))
        return [wrong for some in found for wrong in some if isinstance(wrong, Message)]


def judge(ledger: Ledger) -> Verdict:
    """What is wrong, when everybody has come back and has got what waited."""
    out_of_order, twice = [], []
    shown: set[Message] = set()
    for (sender, recipient), numbers in ledger.shown.items():
        highest = 0
        for number in numbers:
            message = Message(sender, recipient, number)
            if message in shown:
                twice.append(message)
            elif number < highest:
                out_of_order.append(message)
            shown.add(message)
            highest = max(highest, number)
    return Verdict(
        lost=sorted(ledger.answers.keys() - shown),
        out_of_order=out_of_order,
        twice=twice,
        unanswered=sorted(ledger.sent - ledger.answers.keys()),
        untrue=ledger.untrue,
        invented=sorted(shown - ledger.sent),
        complaints=ledger.complaints,
    )
