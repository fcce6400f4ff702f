"""The bounds that hold strangers back, as the settings have them, for one process."""

from __future__ import annotations

from .config import UNLIMITED, Settings
from .doors import Doors
from .guesses import Guesses, too_fast
from .throttle import Bucket, Buckets


class Limits:
    """What everybody's connections share of them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.doors = Doors(settings.strangers_per_address, settings.connections)
        self.guesses = Guesses(
            settings.failed_logins,
            settings.failed_login_seconds,
            settings.failed_logins_per_address,
            settings.blocked_seconds,
        )
        self.log_lines = Bucket(10, 1, 0.0)
        """Who is turned away is worth a line in the log now and then, not each time."""
        self._registrations: Buckets[str] = Buckets(
            settings.registrations, 1 / settings.registration_seconds
        )
        self._paces: Buckets[int] = Buckets(settings.requests_burst, settings.requests_per_second)

    def registration(self, origin: str, now: float) -> Bucket | None:
        """One more account is to be made from there; what to give it back to if it is not.

        :raises ChatError: 107.
        """
        if not origin:
            return None
        bucket = self._registrations.of(origin, now)
        wait = bucket.take(now)
        if wait:
            raise too_fast(wait)
        return bucket

    def pace(self, user_id: int, now: float) -> Bucket | None:
        """How fast this user's requests are worked off, on whichever connection; None: at once."""
        return None if self._unpaced else self._paces.of(user_id, now)

    def strangers_pace(self, now: float) -> Bucket | None:
        """The same on a connection on which nobody is logged in."""
        if self._unpaced:
            return None
        return Bucket(self._settings.requests_burst, self._settings.requests_per_second, now)

    def bad_lines(self, now: float) -> Bucket:
        """How many bad lines one connection may send."""
        return Bucket(self._settings.bad_lines, 1 / self._settings.bad_line_seconds, now)

    @property
    def _unpaced(self) -> bool:
        return self._settings.requests_burst == UNLIMITED
