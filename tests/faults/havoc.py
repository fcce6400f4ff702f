"""What is done to the processes while people talk; each fault leaves everything running again."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random

from .proxy import Passage
from .world import ChatServer, MariaData

COMMIT = b"\x07\x00\x00\x00\x03COMMIT"
"""A packet of MySQL's protocol."""


class Faults:
    """What can be done, by name in :attr:`faults`.

    :param chance: decides how long something is away.
    """

    faults: dict[str, Callable[[], Awaitable[None]]]

    def __init__(self, chance: Random) -> None:
        self.counts: Counter[str] = Counter()
        self._chance = chance

    async def do(self, name: str) -> None:
        """One fault, from its beginning to its end."""
        await self.faults[name]()
        self.counts[name] += 1

    def watch(self, data: bytes) -> None:
        """Sees everything that clients are told, before it is passed on."""

    async def _away(self, longest: float) -> None:
        await asyncio.sleep(self._chance.uniform(0.0, longest))


class Havoc(Faults):
    """What can be done to one server and its database."""

    def __init__(self, server: ChatServer, chance: Random) -> None:
        super().__init__(chance)
        self.faults = {
            "kill server": self._kill_server,
            "kill server at an answer": self._kill_server_at_an_answer,
            "stop server": self._stop_server,
            "terminate server": self._terminate_server,
        }
        self._server = server
        self._trap: asyncio.Event | None = None
        if isinstance(server.data, MariaData):
            self._maria = server.data
            self.faults |= {
                "kill database": self._kill_database,
                "kill both": self._kill_both,
                "stop database": self._stop_database,
                "cut database": self._cut_database,
                "cut at a commit": self._cut_at_a_commit,
                "kill database at a commit": self._kill_database_at_a_commit,
            }

    def watch(self, data: bytes) -> None:
        if self._trap is not None and b'"state":"stored"' in data:
            self._server.kill()
            self._trap.set()
            self._trap = None

    # The server

    async def _kill_server(self) -> None:
        self._server.kill()
        await self._away(0.5)
        await self._server.start()

    async def _kill_server_at_an_answer(self) -> None:
        """The sender learns that its message is stored, and the server dies in that moment."""
        self._trap = asyncio.Event()
        await self._trap.wait()
        await self._server.start()

    async def _stop_server(self) -> None:
        self._server.stop()
        await self._away(3.0)
        self._server.wake()

    async def _terminate_server(self) -> None:
        """SIGTERM, with messages in flight; twistd ends by the signal that it has handled."""
        status = await self._server.terminate()
        if status != -signal.SIGTERM:
            raise RuntimeError(f"exit status {status}:\n{self._server.log()[-3000:]}")
        await self._server.start()

    # The database

    async def _kill_database(self) -> None:
        self._maria.server.kill()
        await self._away(1.5)
        await self._maria.start()

    async def _kill_both(self) -> None:
        self._maria.server.kill()
        self._server.kill()
        await self._maria.start()
        await self._server.start()

    async def _stop_database(self) -> None:
        self._maria.server.stop()
        await self._away(4.0)
        self._maria.server.wake()

    async def _cut_database(self) -> None:
        """RST on each of its connections."""
        for passage in list(self._maria.proxy.passages):
            passage.cut()

    async def _cut_at_a_commit(self) -> None:
        """The answer to a commit does not come through."""
        await self._at_a_commit(Passage.cut)

    async def _kill_database_at_a_commit(self) -> None:
        """SIGKILL when a commit has just been asked for, or just been done."""
        await self._at_a_commit(lambda passage: self._maria.server.kill())
        await self._maria.start()

    async def _at_a_commit(self, act: Callable[[Passage], None]) -> None:
        proxy = self._maria.proxy
        committing: list[Passage] = []
        done = asyncio.Event()

        def up(passage: Passage, data: bytes) -> bytes:
            if data.endswith(COMMIT) and not done.is_set():
                committing.append(passage)
            return data

        def down(passage: Passage, data: bytes) -> bytes:
            if passage not in committing or done.is_set():
                return data
            done.set()
            act(passage)
            return b""

        proxy.see_up, proxy.see_down = up, down
        await done.wait()
