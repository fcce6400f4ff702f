"""This node's membership: a lease in the database, and the users who are here by claims of it.

Whoever holds no lease may not go on as if its users were its own: :meth:`Lease.check` compares the
lease's end with the clock before anything is worked off, and the timer only renews.  So a process
that was stopped for longer than its lease delivers nothing more when it wakes.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from math import inf
from typing import Any

from .cluster import Members
from .errors import StoreAway
from .interfaces import Clock
from .model import User

LEASE_SECONDS = 15.0
RENEW_SECONDS = 5.0
RETRY_SECONDS = 1.0


class Lease:
    """The lease of one node.

    :param name: the node's.
    :param spawn: runs a coroutine and logs what it raises.
    """

    def __init__(
        self,
        members: Members,
        name: str,
        clock: Clock,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self.name = name
        self.number = 0
        """Of the membership; 0: there is none, and nobody may log in."""
        self.end = inf
        """Monotonic seconds."""
        self.epochs: dict[int, int] = {}
        """Of the users who are here."""
        self.others: list[str] = []
        """The names of the other nodes, as of the last renewal."""
        self.lost = 0
        """How often the lease was."""
        self.over: list[Callable[[], None]] = []
        """Called when the lease is lost: nobody is here any more."""
        self.joined: list[Callable[[], None]] = []
        """Called when there is a new membership."""
        self.taken: list[Callable[[int], None]] = []
        """Called with a user who is on another node now."""
        self.reaped: list[Callable[[User], None]] = []
        """Called with users whose node is gone."""
        self._members = members
        self._clock = clock
        self._spawn = spawn
        self._next = inf
        self._working = False
        self._leaving = False

    async def join(self) -> None:
        """Begin a membership.

        :raises StoreAway: not now.
        """
        begun = self._clock.monotonic()
        number = await self._members.join(self.name, LEASE_SECONDS)
        if self._leaving:
            await self._members.leave(number)
            return
        self.number = number
        self.end = begun + LEASE_SECONDS
        # At once, as it tells of the others.
        self._next = begun
        for listener in self.joined:
            listener()

    def check(self, now: float) -> None:
        """Nothing may be worked off before this was called with the time."""
        if now >= self.end:
            self._lose()

    def _lose(self) -> None:
        self.end = inf
        self.number = 0
        self.lost += 1
        self.epochs.clear()
        self._next = self._clock.monotonic()
        for listener in self.over:
            listener()

    def tick(self, now: float) -> None:
        """Call it a few times a second."""
        self.check(now)
        if now >= self._next and not self._working and not self._leaving:
            self._working = True
            self._spawn(self._work())

    async def _work(self) -> None:
        try:
            if self.number:
                await self._renew()
                if self.number:
                    self._next = self._clock.monotonic() + RENEW_SECONDS
            else:
                await self.join()
        except StoreAway:
            self._next = self._clock.monotonic() + RETRY_SECONDS
        finally:
            self._working = False

    async def _renew(self) -> None:
        begun = self._clock.monotonic()
        number, epochs = self.number, dict(self.epochs)
        renewal = await self._members.renew(number, LEASE_SECONDS, epochs)
        self.check(self._clock.monotonic())
        if number != self.number:
            return
        if not renewal.held:
            self._lose()
            return
        self.end = begun + LEASE_SECONDS
        self.others = renewal.others
        for user_id in renewal.lost:
            if self.epochs.get(user_id) == epochs[user_id]:
                for taken in self.taken:
                    taken(user_id)
        while users := await self._members.reap():
            for user in users:
                for reaped in self.reaped:
                    reaped(user)

    async def leave(self) -> None:
        """End the membership; its users can log in elsewhere at once."""
        self._leaving = True
        number, self.number, self.end = self.number, 0, inf
        if number:
            await self._members.leave(number)
