"""What the mailboxes order from the store's writer: copies to keep, or to be said to be kept."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from .copies import Copy
from .mailbox import Mailbox, busy
from .model import Outcome
from .receipts import State


class Order(msgspec.Struct, gc=False, eq=False):
    """Copies of one mailbox that go into one transaction.

    Outside the garbage collection, and with a tuple that leaves it: of a group's message there are
    thousands, which live long enough to be taken for something that stays, and whole collections
    are made for that.
    """

    mailbox: Mailbox
    copies: tuple[Copy, ...]
    given_up: bool = False

    @property
    def rows(self) -> Sequence[Copy]:
        """What is written of them."""
        return self.copies

    def kept(self, outcomes: Sequence[Outcome]) -> None:
        """The store has answered for each row."""
        if self.given_up:
            self.mailbox.appeared()
        else:
            self.mailbox.kept(self.copies, outcomes)

    def give_up(self, perhaps: bool) -> None:
        """The store could not be reached; ``perhaps``: the rows may be there all the same."""
        self.given_up = True
        self.mailbox.not_kept(self.copies, perhaps)


class Feigned(Order, gc=False, eq=False):
    """A copy of which nothing is written, and whose sender is not to notice."""

    @property
    def rows(self) -> Sequence[Copy]:
        return ()

    def kept(self, outcomes: Sequence[Outcome] = ()) -> None:
        for copy in self.copies:
            copy.void = True
            copy.settle(State.STORED)

    def give_up(self, perhaps: bool) -> None:
        self.given_up = True
        for copy in self.copies:
            copy.refuse(busy())
