"""Whether a client is there: when it was heard last, and who waits to know."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

PINGS = 2
"""So many unanswered pings, and a level 2 client is given up."""


class Liveness:
    """What is known of one client; times in monotonic seconds."""

    __slots__ = ("_asked", "_asked_until", "_pings", "awaited", "heard_at", "opened_at")

    def __init__(self, now: float) -> None:
        self.opened_at = now
        """When it connected, or logged out: since then it might have logged in."""
        self.heard_at = now
        self.awaited = False
        """Whether it was pinged or asked for: a word of it means more than that it is there now."""
        self._pings = 0
        self._asked: list[Deferred[bool]] | None = None
        self._asked_until: IDelayedCall | None = None

    def heard(self, now: float) -> None:
        """Anything came."""
        self.heard_at = now
        self.awaited = False
        self._pings = 0
        if self._asked is not None:
            self.tell(True)

    def excuse(self, now: float) -> None:
        """It was not read, so its silence was ours."""
        self.heard_at = now

    def is_silent(self, now: float, seconds: float) -> bool:
        """Whether it has been silent for so long since it was heard or pinged last."""
        return now - self.heard_at >= seconds * (self._pings + 1)

    def ping(self) -> bool:
        """One more ping is due; False: it has left enough of them unanswered."""
        self.awaited = True
        self._pings += 1
        return self._pings <= PINGS

    @property
    def asked(self) -> bool:
        """Whether somebody waits to know already."""
        return self._asked is not None

    def ask(self, call_later: Callable[..., IDelayedCall], seconds: float) -> Deferred[bool]:
        """Whether it is heard within so many seconds."""
        answer: Deferred[bool] = Deferred()
        if self._asked is None:
            self.awaited = True
            self._asked = []
            self._asked_until = call_later(seconds, lambda: self.tell(False))
        self._asked.append(answer)
        return answer

    def tell(self, there: bool) -> None:
        """Answer who has asked."""
        asked, self._asked = self._asked, None
        if self._asked_until is not None and self._asked_until.active():
            self._asked_until.cancel()
        for answer in asked or ():
            answer.callback(there)
