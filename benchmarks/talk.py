"""Our own server and its language, as far as the load needs them."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from .processes import PASSED, Failed, NotStarted, Server, connect_to, free_port

TIME = "2026-01-01 12:00:00"
LOGINS_AT_ONCE = 32
"""Fewer than the server lets wait for its hashing threads."""


class Refused(Failed):
    """The server did not do what the load needs."""


def as_line(fields: dict[str, Any]) -> bytes:
    """One line as the original's client writes it: compact, keys in alphabetical order."""
    return json.dumps(fields, separators=(",", ":"), sort_keys=True).encode() + b"\n"


PING = as_line({"msgid": 13})


def start_chat(
    folder: Path,
    database: str,
    *options: str,
    reactor: str = "",
    listening: socket.socket | None = None,
) -> Server:
    """``twistd chat`` as anybody would start it, but for the limits on strangers and the history.

    :param folder: an existing folder for its log.
    :param options: further options; a later one of a name counts.
    :param reactor: another one than Twisted takes by itself.
    :param listening: one more socket to listen with; a copy of it becomes the server's.
    """
    port = free_port()
    command = [
        str(Path(sys.executable).with_name("twistd")),
        *([f"--reactor={reactor}"] if reactor else []),
        "-n", "--pidfile=", "chat",
        "--listen", f"tcp:{port}:interface=127.0.0.1",
        "--database", database,
        "--no-limits",
        "--history-days", "0",
        "--ping-seconds", "3600",
        *([] if listening is None else ["--listen", f"systemd:domain=INET:name={PASSED}"]),
        *options,
    ]  # fmt: skip
    server = Server("chat", command, port, folder, listening)
    try:
        # It listens before its database is ready, and answers after.
        with connect_to(port) as sock:
            sock.sendall(PING)
            read_line(sock, bytearray())
    except (Refused, OSError) as cause:
        server.stop()
        raise NotStarted(f"{cause}:\n{server.log()}") from cause
    return server


def user_name(user: int) -> str:
    return f"user{user}"


def chat_line(
    sender: int, recipient: int, text: str, *, name: str | None = None, cid: str | None = None
) -> bytes:
    """A one-to-one message with all fields that the original's client writes.

    Without ``cid`` it is such a client's, which ends its lines with a NUL.

    :param name: another name than the sender's own.
    """
    return _said({"msgid": 5, "toid": recipient}, sender, name or user_name(sender), text, cid)


def group_line(sender: int, group: int, text: str, *, cid: str | None = None) -> bytes:
    """A message to a group, as :func:`chat_line`."""
    return _said({"msgid": 9, "groupid": group}, sender, user_name(sender), text, cid)


def _said(target: dict[str, Any], sender: int, name: str, text: str, cid: str | None) -> bytes:
    fields = {**target, "id": sender, "name": name, "msg": text, "time": TIME}
    if cid is None:
        return as_line(fields)[:-1] + b"\0"
    return as_line({**fields, "cid": cid})


def read_line(sock: socket.socket, kept: bytearray) -> bytes:
    """The next line from a blocking socket; what came behind it is left in ``kept``."""
    while (end := kept.find(b"\n")) < 0:
        piece = sock.recv(1 << 18)
        if not piece:
            raise Refused("the server closed the connection")
        kept += piece
    line = bytes(kept[:end])
    del kept[: end + 1]
    return line


def login_line(user: int, password: str, proto: int) -> bytes:
    fields: dict[str, Any] = {"msgid": 1, "id": user, "password": password}
    if proto != 1:
        fields["proto"] = proto
    return as_line(fields)


def login(port: int, user: int, password: str, proto: int = 1) -> socket.socket:
    """A connection on which the user is logged in, and nothing else to be read."""
    return login_all(port, [user], password, proto)[0]


def login_all(
    port: int, users: Iterable[int], password: str, proto: int = 1
) -> list[socket.socket]:
    """A connection for each user, as :func:`login`."""
    users = list(users)
    sockets: list[socket.socket] = []
    for start in range(0, len(users), LOGINS_AT_ONCE):
        some = users[start : start + LOGINS_AT_ONCE]
        fresh = [connect_to(port) for _ in some]
        sockets += fresh
        for sock, user in zip(fresh, some, strict=True):
            sock.sendall(login_line(user, password, proto))
        for sock, user in zip(fresh, some, strict=True):
            rest = bytearray()
            ack = json.loads(read_line(sock, rest))
            if ack["msgid"] != 2 or ack["errno"] != 0 or rest:
                raise Refused(f"login of {user}: {ack}, and {bytes(rest[:200])!r} behind it")
    return sockets


def pairs_of(users: Sequence[int]) -> list[tuple[int, int]]:
    """Who writes to whom."""
    return list(zip(users[::2], users[1::2], strict=True))
