"""The cluster that the tests of this package share: started once, at first use.

Its cables, and the people of the storms, live in a thread of their own, so that the nodes have
their NATS and their database also while a test runs on trial's reactor.
"""

from __future__ import annotations

import asyncio
import atexit
import tempfile
from collections.abc import Coroutine
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

from tests import mariadb
from tests.mariadb import MariaDB

from .world import Cluster

T = TypeVar("T")


class Shared:
    """A cluster and its thread."""

    def __init__(self, folder: Path, maria: MariaDB) -> None:
        self.cluster = Cluster(folder, maria, ["--no-limits"])
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        try:
            self.run(self.cluster.open())
        except BaseException:
            self.end()
            raise

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it in the thread, and wait for its end."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def end(self) -> None:
        """Every process is gone."""
        self.cluster.end()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()


@cache
def shared() -> Shared:
    """The one of this process.  Where its logs are is told when it begins."""
    folder = Path(tempfile.mkdtemp(prefix="chat-cluster-"))
    print(f"the nodes' logs are in {folder}", flush=True)
    made = Shared(folder, mariadb.shared())
    atexit.register(made.end)
    return made
