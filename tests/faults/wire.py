"""A client's end of a connection: lines of JSON, and the ways to end it."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import suppress
from typing import Any

from .proxy import LOCALHOST, PIECE, reset

Fields = dict[str, Any]


class Gone(Exception):
    """The connection has ended."""


def line(**fields: object) -> bytes:
    """One request."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


class Wire:
    """One connection; made by :meth:`connect`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._rest = b""
        self._read: list[Fields] = []
        self.port: int = writer.get_extra_info("sockname")[1]
        """Our own."""
        self.writable = True
        """Whether :meth:`shut` was not called yet."""

    @classmethod
    async def connect(cls, port: int, *, buffer: int | None = None) -> Wire:
        """A new connection.

        :param buffer: how little the kernel and we take of what is not asked for.
        :raises Gone: nobody listens.
        """
        sock = socket.socket()
        sock.setblocking(False)
        try:
            # asyncio does it for those sockets only that it has made itself.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if buffer is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            await asyncio.get_running_loop().sock_connect(sock, (LOCALHOST, port))
            return cls(*await asyncio.open_connection(sock=sock, limit=buffer or PIECE))
        except OSError as error:
            sock.close()
            raise Gone from error

    async def send(self, data: bytes) -> None:
        """Whole lines; waits while the other side does not read.

        :raises Gone: the connection has ended.
        """
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise Gone from error

    async def lines(self) -> list[Fields]:
        """What has come, at least one line.

        :raises Gone: nothing comes any more.
        """
        while not self._read:
            try:
                data = await self._reader.read(PIECE)
            except OSError as error:
                raise Gone from error
            if not data:
                raise Gone
            *whole, self._rest = (self._rest + data).split(b"\n")
            self._read = [json.loads(text) for text in whole]
        read, self._read = self._read, []
        return read

    async def next(self) -> Fields:
        """The next line; for who asks and waits for the answer.

        :raises Gone: nothing comes any more.
        """
        first, *rest = await self.lines()
        self.put_back(rest)
        return first

    def put_back(self, lines: list[Fields]) -> None:
        """They are read again by the next who reads."""
        self._read = lines + self._read

    async def ask(self, **fields: object) -> Fields:
        """Send one request, and take the next line for its answer.

        :raises Gone: the connection has ended.
        """
        await self.send(line(**fields))
        return await self.next()

    def shut(self) -> None:
        """Say that nothing more will be written."""
        self.writable = False
        with suppress(OSError):  # it may have ended already
            self._writer.write_eof()

    def close(self) -> None:
        """FIN, or RST if something is unread."""
        self._writer.transport.abort()

    def reset(self) -> None:
        """RST."""
        reset(self._writer)
