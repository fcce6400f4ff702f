"""``user.state`` in the database, for other programs to read.

Written behind, in batches: nothing in the server believes it, so it may be a second late.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from .errors import StoreAway
from .interfaces import Users

DELAY_SECONDS = 0.5
RETRY_SECONDS = 5.0


class States:
    """Collects who came and went."""

    def __init__(
        self,
        users: Users,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        call_later: Callable[[float, Callable[[], object]], object],
    ) -> None:
        self._users = users
        self._spawn = spawn
        self._call_later = call_later
        self._changed: dict[int, bool] = {}
        self._scheduled = False

    @property
    def idle(self) -> bool:
        """Whether everything is written."""
        return not self._scheduled

    def changed(self, user_id: int, name: str, online: bool) -> None:
        """A user has come or gone."""
        self._changed[user_id] = online
        if not self._scheduled:
            self._scheduled = True
            self._later(DELAY_SECONDS)

    def _later(self, seconds: float) -> None:
        self._call_later(seconds, lambda: self._spawn(self._write()))

    async def _write(self) -> None:
        changed, self._changed = self._changed, {}
        try:
            await self._users.set_states(changed)
        except StoreAway:
            self._changed = changed | self._changed
            self._later(RETRY_SECONDS)
            return
        self._scheduled = bool(self._changed)
        if self._scheduled:
            self._later(DELAY_SECONDS)
