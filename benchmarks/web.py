"""WebSocket, as far as the load needs it: the handshake, and whole text frames."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable

from .processes import connect_to
from .talk import LOGINS_AT_ONCE, Refused, login_line

_HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_MASK = bytes.fromhex("37fa213d")


def frame(text: bytes) -> bytes:
    """One message as a client sends it."""
    size = len(text)
    head = bytes((0x81, 0x80 | size)) if size < 126 else b"\x81\xfe" + size.to_bytes(2, "big")
    return head + _MASK + bytes(byte ^ _MASK[at % 4] for at, byte in enumerate(text))


def frame_size(size: int) -> int:
    """Bytes of the frame in which the server sends a text of so many (less than 64 KiB)."""
    return size + (2 if size < 126 else 4)


def read_frame(sock: socket.socket, kept: bytearray) -> bytes:
    """The text of the next frame from a blocking socket; what came behind it is left in
    ``kept``."""
    head = 2
    while True:
        if len(kept) >= 2:
            size = kept[1]
            if size == 126:
                head, size = 4, int.from_bytes(kept[2:4], "big")
            if len(kept) >= head + size:
                text = bytes(kept[head : head + size])
                del kept[: head + size]
                return text
        _read_more(sock, kept)


def _read_more(sock: socket.socket, kept: bytearray) -> None:
    piece = sock.recv(1 << 16)
    if not piece:
        raise Refused(f"the server closed the connection: {bytes(kept[:200])!r}")
    kept += piece


def _shake_hands(sock: socket.socket) -> None:
    sock.sendall(_HANDSHAKE)
    answer = bytearray()
    while b"\r\n\r\n" not in answer:
        _read_more(sock, answer)
    if not answer.startswith(b"HTTP/1.1 101 ") or not answer.endswith(b"\r\n\r\n"):
        raise Refused(f"the handshake: {bytes(answer[:200])!r}")


def login_all(port: int, users: Iterable[int], password: str) -> list[socket.socket]:
    """A connection for each user, logged in at level 1, and nothing else to be read.

    :raises Refused: a handshake, or a login.
    """
    users = list(users)
    sockets: list[socket.socket] = []
    for start in range(0, len(users), LOGINS_AT_ONCE):
        some = users[start : start + LOGINS_AT_ONCE]
        fresh = [connect_to(port) for _ in some]
        sockets += fresh
        for sock, user in zip(fresh, some, strict=True):
            _shake_hands(sock)
            sock.sendall(frame(login_line(user, password, 1).strip()))
        for sock, user in zip(fresh, some, strict=True):
            rest = bytearray()
            ack = json.loads(read_frame(sock, rest))
            if ack["msgid"] != 2 or ack["errno"] != 0 or rest:
                raise Refused(f"login of {user}: {ack}, and {bytes(rest[:200])!r} behind it")
    return sockets
