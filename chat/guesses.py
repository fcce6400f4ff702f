"""Passwords that are guessed: how often, at which account, from which address.

Two bounds, both looked at before anything is hashed: a few wrong ones for an account from one
address, then one now and then; and an address from which too many came, whatever the accounts, may
try none for a while.  Somebody else's guesses keep nobody out who comes from another address, and
nobody out at all who has a token.

Pure: times are monotonic seconds, passed in.
"""

from __future__ import annotations

from collections import OrderedDict

from .errors import ChatError, Code
from .throttle import REMEMBERED, Bucket, Buckets

ACCOUNTS_AN_ADDRESS = 100
"""Accounts whose wrong passwords are told apart at one address, to be taken back by a right one."""


def too_fast(seconds: float, text: str | None = None) -> ChatError:
    """Errno 107, to come again after so many seconds."""
    return ChatError(Code.TOO_FAST, text, retry_after=max(0.1, round(seconds, 1)))


class _Address:
    """What came from one address."""

    __slots__ = ("blocked_until", "bucket", "wrong")

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.blocked_until = 0.0
        self.wrong: OrderedDict[int, int] = OrderedDict()
        """How many wrong passwords by account."""


class Guess:
    """One attempt to log in, which may turn out to be a guess."""

    __slots__ = ("_bucket", "_guesses", "_key")

    def __init__(self, guesses: Guesses, key: tuple[int, str, bool], bucket: Bucket) -> None:
        self._guesses = guesses
        self._key = key
        self._bucket = bucket

    def right(self) -> None:
        """It was none: what this account's owner got wrong here is forgiven."""
        self._guesses.forgive(*self._key)

    def wrong(self, now: float) -> None:
        """It was one."""
        user_id, origin, token = self._key
        if not token:
            self._guesses.count(user_id, origin, now)

    def void(self) -> None:
        """Nobody knows: it was not looked at."""
        self._bucket.give_back()


class Guesses:
    """Who has guessed lately.

    :param burst: wrong ones for one account from one address at once.
    :param seconds: after which there may be one more.
    :param per_address: wrong ones from one address, within about ``blocked_seconds``.
    :param blocked_seconds: for how long it may try none afterwards.
    """

    def __init__(
        self,
        burst: float,
        seconds: float,
        per_address: float,
        blocked_seconds: float,
        most: int = REMEMBERED,
    ) -> None:
        self._pairs: Buckets[tuple[int, str, bool]] = Buckets(burst, 1 / seconds, most)
        self._addresses: OrderedDict[str, _Address] = OrderedDict()
        self._per_address = per_address
        self._blocked_seconds = blocked_seconds
        self._most = most

    def __len__(self) -> int:
        """How many accounts and addresses are remembered."""
        return len(self._pairs) + len(self._addresses)

    def begin(self, user_id: int, origin: str, now: float, *, token: bool = False) -> Guess:
        """Somebody at ``origin`` wants to be this user.  Counts as a guess until it is known
        better, so that many at the same time are no way round.

        :param origin: see :func:`chat.doors.origin_of`; empty where there is no address.
        :param token: whether it is by a token, which nobody can guess: the address does not matter.
        :raises ChatError: 107.
        """
        address = None if token else self._addresses.get(origin)
        if address is not None and now < address.blocked_until:
            raise too_fast(address.blocked_until - now)
        key = (user_id, origin, token)
        bucket = self._pairs.of(key, now)
        wait = bucket.take(now)
        if wait:
            raise too_fast(wait)
        return Guess(self, key, bucket)

    def count(self, user_id: int, origin: str, now: float) -> None:
        """A wrong password came from this address."""
        if not origin:
            return
        address = self._addresses.get(origin)
        if address is None:
            rate = self._per_address / self._blocked_seconds
            address = self._addresses[origin] = _Address(Bucket(self._per_address, rate, now))
            if len(self._addresses) > self._most:
                self._addresses.popitem(last=False)
        self._addresses.move_to_end(origin)
        address.bucket.refill(now)
        if address.bucket.spend(1):
            address.blocked_until = now + self._blocked_seconds
            address.bucket.level = self._per_address
            address.wrong.clear()
            return
        address.wrong[user_id] = address.wrong.get(user_id, 0) + 1
        if len(address.wrong) > ACCOUNTS_AN_ADDRESS:
            address.wrong.popitem(last=False)

    def forgive(self, user_id: int, origin: str, token: bool) -> None:
        """This user has proved to be at this address."""
        self._pairs.forget((user_id, origin, token))
        address = None if token else self._addresses.get(origin)
        if address is not None:
            for _ in range(address.wrong.pop(user_id, 0)):
                address.bucket.give_back()
