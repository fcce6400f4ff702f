"""The server to compare with: Debian's ngircd, carrying the same text as PRIVMSG."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Sequence
from pathlib import Path

from .processes import NotStarted, Server, connect_to, free_port

CONFIG = """\
[Global]
Name = irc.bench.invalid
Info = benchmark
Listen = 127.0.0.1
Ports = {port}
MotdPhrase = bench

[Limits]
MaxConnections = 0
MaxConnectionsIP = 0
MaxJoins = 0
MaxNickLength = 20
MaxPenaltyTime = 0
PingTimeout = 3600
PongTimeout = 3600

[Options]
DNS = no
Ident = no
PAM = no
"""


def start_ngircd(folder: Path) -> Server:
    """A ngircd without penalties and limits, on a free port of 127.0.0.1.

    :raises NotStarted: it is not installed (``apt-get install ngircd``) or does not come up.
    """
    program = shutil.which("ngircd", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        raise NotStarted("ngircd is not installed")
    port = free_port()
    config = folder / "ngircd.conf"
    config.write_text(CONFIG.format(port=port))
    return Server("ngircd", [program, "-n", "-f", str(config)], port, folder)


def nick(number: int) -> str:
    """Nicks of one length."""
    return f"u{number:05d}"


def _read_past(sock: socket.socket, mark: bytes) -> None:
    heard = b""
    while mark not in heard or not heard.endswith(b"\n"):
        piece = sock.recv(65536)
        if not piece:
            raise ConnectionError(f"ngircd closed the connection: {heard!r}")
        heard += piece


def connect(port: int, number: int) -> socket.socket:
    """A registered connection; nothing is left unread."""
    sock = connect_to(port)
    sock.sendall(f"NICK {nick(number)}\r\nUSER {nick(number)} 0 * :bench\r\n".encode())
    _read_past(sock, b" 376 ")
    return sock


def join(sockets: Sequence[socket.socket], channel: str) -> None:
    """Bring all into a channel; what each is told of the others' coming is read."""
    for sock in sockets:
        sock.sendall(f"JOIN {channel}\r\n".encode())
        _read_past(sock, b" 366 ")
    for sock in sockets:
        sock.sendall(b"PING :joined\r\n")
        _read_past(sock, b" PONG ")


def message(target: str, text: str) -> bytes:
    """One line to a nick or a channel."""
    return f"PRIVMSG {target} :{text}\r\n".encode()
