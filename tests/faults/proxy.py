"""A TCP proxy that can be told to swallow, to cut, and to look at what passes."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress

LOCALHOST = "127.0.0.1"
PIECE = 1 << 16

See = Callable[["Passage", bytes], bytes]
"""Called with what is about to be passed on; what it returns is passed on instead."""


def unchanged(passage: Passage, data: bytes) -> bytes:
    """What a proxy does when nothing else is asked of it."""
    return data


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST; what was not read or sent is gone."""
    sock = writer.get_extra_info("socket")
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Passage:
    """One connection through a proxy."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self._near = near
        self._far = far
        self.port: int = near.get_extra_info("peername")[1]
        """The near side's own."""
        self._swallows = {True: False, False: False}

    def swallow(self, *, up: bool, down: bool) -> None:
        """From now on nothing goes up, or comes down, or both: no bytes and no end.  Whoever sends
        it thinks that it has arrived."""
        self._swallows = {True: up, False: down}

    def passes(self, up: bool) -> bool:
        """Whether what goes up, or comes down, gets through."""
        return not self._swallows[up]

    def cut(self) -> None:
        """RST to both sides."""
        reset(self._near)
        reset(self._far)


class Proxy:
    """Listens on a free port of 127.0.0.1 and passes on to another one.

    :attr:`see_up` and :attr:`see_down` look at what goes to the target and at what comes from it.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.see_up: See = unchanged
        self.see_down: See = unchanged
        self.passages: list[Passage] = []
        """Those that are open, the oldest first."""
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._came, LOCALHOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """End, with every connection."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _came(self, near_in: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._connect(near_in, near))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, near_in: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        try:
            far_in, far = await asyncio.open_connection(LOCALHOST, self.target)
        except OSError:
            reset(near)
            return
        passage = Passage(near, far)
        self.passages.append(passage)
        try:
            await asyncio.gather(
                self._pass(passage, near_in, far, up=True),
                self._pass(passage, far_in, near, up=False),
            )
        finally:
            self.passages.remove(passage)
            near.transport.abort()
            far.transport.abort()

    async def _pass(
        self, passage: Passage, source: asyncio.StreamReader, sink: asyncio.StreamWriter, up: bool
    ) -> None:
        try:
            while data := await source.read(PIECE):
                data = (self.see_up if up else self.see_down)(passage, data)
                if data and passage.passes(up):
                    sink.write(data)
                    await sink.drain()
            if passage.passes(up):
                sink.write_eof()
            elif not up:
                sink.transport.abort()
        except OSError:
            if passage.passes(up) or not up:
                reset(sink)
