"""The library's Deferreds, for code that waits in asyncio's way."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from twisted.internet.defer import Deferred

T = TypeVar("T")


def asked(deferred: Deferred[T]) -> asyncio.Future[T]:
    """A future with the Deferred's result; cancelling it cancels the Deferred."""
    future: asyncio.Future[T] = deferred.asFuture(asyncio.get_running_loop())
    return future
