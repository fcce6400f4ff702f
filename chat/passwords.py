"""Password hashes, computed beside the event loop.

Argon2id with 19 MiB, two passes and one lane (OWASP's recommendation for servers); about 20 ms of
a core each, in threads of its own at a low priority, so that a storm of logins takes no turn
from those who chat.
"""

from __future__ import annotations

import os
import sys
import threading
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from .errors import ChatError, Code

MEMORY_KIB = 19 * 1024
PASSES = 2
NICENESS = 10
"""A tenth of the event loop's share where both want a core.  Not 19: beside a busy neighbour on the
machine logins would stand still, and so would the loop while such a thread holds Python's lock."""

_SALT_BYTES = 16
_HASH_BYTES = 32
_SECONDS_EACH = 0.02
"""What one hash takes about, to tell a client when to come again."""

_T = TypeVar("_T")


class CallFromThread(Protocol):
    """``reactor.callFromThread``, or what stands for it."""

    def __call__(self, function: Callable[..., Any], *args: Any) -> object:
        """Have the function called in the reactor's thread."""


class Passwords:
    """Hashes passwords and verifies them, a bounded number at a time.

    Everything but the hashing itself happens in the reactor's thread.

    :param call_from_thread: brings results there.
    :param threads: how many are computed at the same time.
    :param queue: how many may wait beside those.
    :param memory_kib: argon2's memory; tests make it cheap.
    :param passes: argon2's time cost.
    """

    def __init__(
        self,
        call_from_thread: CallFromThread,
        *,
        threads: int,
        queue: int,
        memory_kib: int = MEMORY_KIB,
        passes: int = PASSES,
    ) -> None:
        self._call_from_thread = call_from_thread
        self._bound = threads + queue
        self._retry_after = max(1.0, queue * _SECONDS_EACH / threads)
        self._pending = 0
        self._stopped: Deferred[None] | None = None
        self._pool = ThreadPoolExecutor(threads, "passwords", _give_way)
        self._argon2 = PasswordHasher(
            time_cost=passes,
            memory_cost=memory_kib,
            parallelism=1,
            hash_len=_HASH_BYTES,
            salt_len=_SALT_BYTES,
        )
        # Nobody's hash: no password has it, and it costs what anybody's does.
        self._nobodys = (
            f"$argon2id$v=19$m={memory_kib},t={passes},p=1"
            f"${_unpadded(os.urandom(_SALT_BYTES))}${_unpadded(os.urandom(_HASH_BYTES))}"
        )

    @property
    def pending(self) -> int:
        """How many are being computed or wait for it."""
        return self._pending

    def hash(self, password: str) -> Deferred[str]:
        """The encoded hash to keep for this password, with a salt of its own.

        Cancelling takes it out of the queue.

        :raises ChatError: 107 when too many wait, 108 when the server is stopping.
        """
        secret = _encoded(password)
        return self._submit(lambda: self._argon2.hash(secret))

    def verify(self, encoded: str | None, password: str) -> Deferred[bool]:
        """Whether this is the password that has this encoded hash.

        None, for an id that is nobody's, takes as long as a wrong password, and so does what is no
        hash at all, as of an account that nobody may log in to.

        :raises ChatError: 107 when too many wait, 108 when the server is stopping.
        """
        secret = _encoded(password)
        return self._submit(lambda: self._verify(encoded or self._nobodys, secret))

    def is_outdated(self, kept: str) -> bool:
        """Whether this valid hash was made with other parameters than today's."""
        return self._argon2.check_needs_rehash(kept)

    def stop(self) -> Deferred[None]:
        """Refuse what waits (108) and fire when what is being computed is done."""
        if self._stopped is None:
            self._stopped = Deferred() if self._pending else succeed(None)
            self._pool.shutdown(wait=False, cancel_futures=True)
        return self._stopped

    def _verify(self, kept: str, secret: bytes) -> bool:
        try:
            return self._argon2.verify(kept, secret)
        except VerifyMismatchError:
            return False
        except InvalidHashError:
            return self._verify(self._nobodys, secret)

    def _submit(self, work: Callable[[], _T]) -> Deferred[_T]:
        if self._stopped is not None:
            raise ChatError(Code.BUSY, retry_after=self._retry_after)
        if self._pending >= self._bound:
            raise ChatError(Code.TOO_FAST, retry_after=self._retry_after)
        self._pending += 1
        future = self._pool.submit(work)

        def cancel(_: Deferred[_T]) -> None:
            future.cancel()

        result: Deferred[_T] = Deferred(cancel)
        future.add_done_callback(
            lambda done: self._call_from_thread(self._deliver, done, result),
        )
        return result

    def _deliver(self, done: Future[_T], result: Deferred[_T]) -> None:
        self._pending -= 1
        if result.called:  # it was cancelled: nobody waits for it any more
            pass
        elif done.cancelled():
            result.errback(Failure(ChatError(Code.BUSY, retry_after=self._retry_after)))
        elif (error := done.exception()) is not None:
            result.errback(Failure(error))
        else:
            result.callback(done.result())
        if self._stopped is not None and not self._pending and not self._stopped.called:
            self._stopped.callback(None)


def _give_way() -> None:
    """Let the event loop's thread go first (on Linux priorities are a thread's own)."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        nice = os.getpriority(os.PRIO_PROCESS, thread)
        os.setpriority(os.PRIO_PROCESS, thread, min(19, nice + NICENESS))


def _encoded(password: str) -> bytes:
    # A lone surrogate is no reason to fail: it hashes to something that only itself matches.
    return password.encode("utf-8", "surrogatepass")


def _unpadded(data: bytes) -> str:
    return b64encode(data).rstrip(b"=").decode("ascii")
