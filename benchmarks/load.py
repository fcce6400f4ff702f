"""Traffic that is not the limit: raw sockets, prebuilt lines, newlines counted in C.

A :class:`Loop` waits for bytes on many sockets of one process.  Nothing is encoded, decoded or
copied while traffic runs: a read is ``recv_into`` one shared buffer, what arrived is
``count(b"\\n")``, and what goes out is a slice of lines that were made before.  The row ``ceiling``
shows how far this carries.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Sequence

from .processes import Failed

NEWLINE = 10
READ_SIZE = 1 << 18
PATIENCE = 30.0
"""Seconds without a single event after which something is lost or stuck."""


class Lost(Failed):
    """Messages that were sent did not arrive, or a connection was closed."""


class Lines:
    """Lines of one length, handed out in order, and from the first again after the last.

    :param lines: at least one; all of the same length, with their line end.
    :param most: how many are asked for at once at the most.
    """

    def __init__(self, lines: Sequence[bytes], most: int) -> None:
        self.each = len(lines[0])
        self._count = len(lines)
        if any(len(line) != self.each for line in lines):
            raise ValueError("lines of different lengths")
        # The beginning stands once more behind the end: no slice ever wraps.
        again = b"".join(lines[number % self._count] for number in range(most))
        self._data = memoryview(b"".join(lines) + again)
        self._at = 0

    def take(self, number: int) -> memoryview:
        """The next ``number`` lines as one piece."""
        start = self._at * self.each
        self._at = (self._at + number) % self._count
        return self._data[start : start + number * self.each]


class Loop:
    """Reads from many sockets; ``buffer`` holds what the last read brought."""

    def __init__(self) -> None:
        self.buffer = bytearray(READ_SIZE)
        self._epoll = select.epoll()
        self._reads: dict[int, tuple[Callable[[bytearray], int], Callable[[int], None]]] = {}
        self._writes: dict[int, Plug] = {}

    def add(self, plug: Plug, arrived: Callable[[int], None]) -> None:
        """Call ``arrived`` with the number of bytes whenever the plug's socket brought some."""
        self._reads[plug.fd] = (plug.sock.recv_into, arrived)
        plug.loop = self
        self._epoll.register(plug.fd, select.EPOLLIN)

    def remove(self, plug: Plug) -> None:
        """Forget the plug; its socket stays open."""
        self._epoll.unregister(plug.fd)
        del self._reads[plug.fd]
        self._writes.pop(plug.fd, None)

    def await_room(self, plug: Plug) -> None:
        """The plug's socket was full: let it go on when there is room."""
        self._writes[plug.fd] = plug
        self._epoll.modify(plug.fd, select.EPOLLIN | select.EPOLLOUT)

    def once(self, timeout: float) -> int:
        """Work off what is ready; how many sockets that were."""
        ready = self._epoll.poll(timeout)
        buffer = self.buffer
        for fd, events in ready:
            if events & select.EPOLLOUT and self._writes[fd].go_on():
                del self._writes[fd]
                self._epoll.modify(fd, select.EPOLLIN)
            if events & ~select.EPOLLOUT:
                receive, arrived = self._reads[fd]
                size = receive(buffer)
                if not size:
                    raise Lost("the server closed a connection")
                arrived(size)
        return len(ready)

    def run_for(self, seconds: float) -> float:
        """Work for about so many seconds; how many they were.

        Without ever sleeping: to wake this process would be a third of the server's work when
        there is little in flight, which clients on other machines would not ask of it.
        """
        started = time.perf_counter()
        while (spent := time.perf_counter() - started) < seconds:
            self.once(0)
        return spent

    def run_until(self, done: Callable[[], bool], patience: float = PATIENCE) -> None:
        """Work until ``done``.

        :raises Lost: nothing at all happened for ``patience`` seconds.
        """
        while not done():
            if not self.once(patience) and not done():
                raise Lost(f"nothing happened for {patience:g} s")

    def close(self) -> None:
        """Close the epoll object; the sockets are their owners'."""
        self._epoll.close()


class Plug:
    """One connected socket, not blocking; what the kernel does not take waits here."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        self.sock = sock
        self.fd = sock.fileno()
        self.loop: Loop | None = None
        self._waiting: list[memoryview | bytes] = []

    def send(self, data: memoryview | bytes) -> None:
        """Write ``data`` now, or as soon as there is room."""
        if self._waiting:
            self._waiting.append(data)
            return
        try:
            sent = self.sock.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            self._waiting.append(data[sent:])
            assert self.loop is not None
            self.loop.await_room(self)

    def go_on(self) -> bool:
        """Write what waits; whether that was all."""
        while self._waiting:
            data = self._waiting[0]
            try:
                sent = self.sock.send(data)
            except BlockingIOError:
                return False
            if sent < len(data):
                self._waiting[0] = data[sent:]
                return False
            del self._waiting[0]
        return True

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()
