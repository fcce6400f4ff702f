"""A server that only sends back what it gets: ``python -m benchmarks.sink PORT``.

It costs the same system calls as a relay and nothing else, so what the load generator reaches
against it is the most that it could ever report.
"""

from __future__ import annotations

import select
import socket
import sys

from .load import READ_SIZE
from .processes import LOCALHOST


def echo(port: int) -> None:
    """Serve for ever."""
    listener = socket.create_server((LOCALHOST, port), backlog=1024)
    epoll = select.epoll()
    epoll.register(listener.fileno(), select.EPOLLIN)
    sockets: dict[int, socket.socket] = {}
    buffer = memoryview(bytearray(READ_SIZE))
    while True:
        for fd, _ in epoll.poll():
            if fd == listener.fileno():
                sock, _ = listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sockets[sock.fileno()] = sock
                epoll.register(sock.fileno(), select.EPOLLIN)
            elif size := sockets[fd].recv_into(buffer):
                sockets[fd].sendall(buffer[:size])
            else:
                epoll.unregister(fd)
                sockets.pop(fd).close()


if __name__ == "__main__":
    echo(int(sys.argv[1]))
