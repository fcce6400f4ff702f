"""The end of a server, in order and in time, whatever does not answer."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.logger import Logger

from .oversight import notice_line

if TYPE_CHECKING:
    from .service import Server

PARTING_SECONDS = 0.5
LEAVING_SECONDS = 0.5
CLOSING_SECONDS = 3.5
"""Of the time for stopping, what is kept for the clients to take their last lines; for the end of
the membership; and for the end of the store, of the bus and of the process."""

COME_AGAIN_ELSEWHERE = (0.1, 2.0)
COME_AGAIN_HERE = (2.0, 4.0)
"""Seconds, from and to: when clients come again who are told that the server stops.  Other nodes
get them one after the other; the same one, started again, is back in a second or two."""

_LOOK_SECONDS = 0.02


class Stopping:
    """Of one server, which lets nobody in any more."""

    log = Logger()

    def __init__(self, server: Server) -> None:
        self._server = server

    async def run(self) -> None:
        """Store what is in memory, or have it at its recipients' nodes; tell the clients when to
        come again, and close them; leave the other nodes.  Within the settings'
        ``shutdown_seconds``."""
        server, node = self._server, self._server.node
        end = server.monotonic() + server.settings.shutdown_seconds
        left = end - CLOSING_SECONDS
        gone = left - LEAVING_SECONDS
        for session in list(server.sessions):
            session.retire()
        await self._until(self._all_answered, gone - PARTING_SECONDS)
        self._say_goodbye()
        await self._until(self._all_gone, gone)
        server.stop_clocks()
        for session in list(server.sessions):
            session.transport.abort()
        await server.passwords.stop()
        if node is None:
            await server.store.close()
            return
        # Nothing is cancelled: what a thread does with the database cannot be.
        leaving = server.spawn(node.leave())
        await self._until(lambda: leaving.called, left)
        closing = server.spawn(node.close())
        await server.store.close()
        await self._until(lambda: closing.called, end)

    def _say_goodbye(self) -> None:
        """Close the clients; those who are told when to come again do not come all at once."""
        server = self._server
        first, last = COME_AGAIN_HERE if server.node is None else COME_AGAIN_ELSEWHERE
        now = server.time()
        for session in list(server.sessions):
            if session.sender is not None:
                seconds = round(random.uniform(first, last), 2)
                session.hint(notice_line("the server stops", now, seconds))
            session.end()

    async def _until(self, condition: Callable[[], bool], deadline: float) -> None:
        server = self._server
        while not condition():
            if server.monotonic() >= deadline:
                self.log.warn("stopped waiting: clients, the store or the bus do not answer")
                break
            server.recorder.write()
            await server.pause(_LOOK_SECONDS)

    def _all_answered(self) -> bool:
        """Whether everything is where it belongs, and who asked has been told."""
        server = self._server
        parts = (server.rounds, server.shelf, server.states, server.recorder)
        return not (
            any(not part.idle for part in parts)
            or any(session.at_work for session in server.sessions)
            or any(sender.unanswered for sender in server.delivery.senders.values())
        )

    def _all_gone(self) -> bool:
        """Whether, on top of that, every client has closed, or was cut off.

        A process that ends with something unread resets the connection, and what was written to the
        client last may be lost on its way.
        """
        return self._all_answered() and not self._server.sessions
