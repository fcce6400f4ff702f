"""One connection as the limits see it: where it is from, its place, its pace, its bad lines."""

from __future__ import annotations

from .doors import Place
from .errors import ChatError
from .guesses import too_fast
from .limits import Limits
from .throttle import Bucket

GLANCE_SECONDS = 1.0
"""How long a pace may be left without a look at the clock, while it has tokens enough."""


class Standing:
    """What is held against one connection, or not.

    :param address: where the client is, for people.
    :param origin: by what it is counted (:func:`chat.doors.origin_of`); None: not known yet.
    :param now: monotonic seconds.
    """

    __slots__ = ("_bad_lines", "_limits", "_place", "address", "origin", "pace")

    def __init__(self, limits: Limits, address: str, origin: str | None, now: float) -> None:
        self.address = address
        self.origin = origin
        self.pace = limits.strangers_pace(now)
        """How fast requests are worked off; None: as they come."""
        self._limits = limits
        self._place: Place | None = None
        self._bad_lines: Bucket | None = None

    @property
    def host(self) -> str:
        """The address without the port; empty where there is none."""
        return self.address.rpartition(":")[0]

    def enter(self, place: Place | None) -> None:
        """The client is here.

        :param place: one that the connection has already.
        :raises ChatError: 107, there is none.
        """
        if place is None:
            self._place = self._limits.doors.enter()
            if self.origin is not None:
                self._place.locate(self.origin)
        else:
            self._place = place

    def locate(self, address: str, origin: str | None) -> None:
        """This is what is known of it now.

        :raises ChatError: 107, there is no place for one from there.
        """
        self.address, self.origin = address, origin
        if origin is not None and self._place is not None:
            self._place.locate(origin)

    def logged_in(self, user_id: int, now: float) -> None:
        """It is somebody."""
        if self._place is not None:
            self._place.known()
        self.pace = self._limits.pace(user_id, now)

    def logged_out(self) -> None:
        """It is a stranger again, at the pace of who it was."""
        if self._place is not None:
            self._place.stranger_again()

    def leave(self) -> None:
        """It takes up no place any more; once more does nothing."""
        if self._place is not None:
            self._place.leave()

    def allowance(self, wanted: int, now: float) -> int:
        """How many of so many requests may be worked off at once."""
        pace = self.pace
        if pace is None or (pace.level > wanted and now - pace.at < GLANCE_SECONDS):
            return wanted
        return min(wanted, int(pace.refill(now)))

    def bad_line(self, now: float) -> ChatError | None:
        """It has sent a line that is no request; the refusal if that was one too many."""
        if self._bad_lines is None:
            self._bad_lines = self._limits.bad_lines(now)
        wait = self._bad_lines.take(now)
        if not wait:
            return None
        error = too_fast(wait, "too many lines that are no requests")
        error.fatal = True
        return error
