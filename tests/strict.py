"""A client that reads exactly as the original's C++ client does, and ends where that aborts.

It blocks, so it lives in a thread of its own.  ``recv(1024)`` into a zeroed buffer, and what stands
before the first NUL has to be one JSON object; whatever stands behind is never looked at.
"""

from __future__ import annotations

import json
import socket
from typing import Any

BUFFER = 1024

OURS = {
    "LOGIN": 1, "LOGIN_ACK": 2, "REG": 3, "REG_ACK": 4, "ONE_CHAT": 5, "ADD_FRIEND": 6,
    "CREATE_GROUP": 7, "ADD_GROUP": 8, "GROUP_CHAT": 9, "LOGINOUT": 10,
}  # fmt: skip
FINAL = {
    "LOGIN": 1, "LOGIN_ACK": 2, "LOGINOUT": 3, "REG": 4, "REG_ACK": 5, "ONE_CHAT": 6,
    "ADD_FRIEND": 7, "CREATE_GROUP": 8, "ADD_GROUP": 9, "GROUP_CHAT": 10,
}  # fmt: skip
NUMBERINGS = {"seed": OURS, "final": FINAL}


class Aborted(AssertionError):
    """The C++ client would have ended here."""


class StrictClient:
    """One connection; ``numbers`` is the numbering that the client was compiled with."""

    def __init__(self, port: int, numbers: dict[str, int]) -> None:
        self.numbers = numbers
        self.lost = 0
        """Messages that stood behind another one in one read."""
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=120)

    def send(self, kind: str, **fields: Any) -> None:
        """One request in one ``send``, as the client writes it."""
        text = json.dumps({"msgid": self.numbers[kind], **fields}, separators=(",", ":"))
        self._socket.sendall(text.encode() + b"\0")

    def send_raw(self, data: bytes) -> None:
        """Bytes as they are."""
        self._socket.sendall(data)

    def read(self) -> dict[str, Any]:
        """One ``recv``, parsed as one JSON."""
        data = self._socket.recv(BUFFER)
        if not data:
            raise Aborted("the server has closed")
        buffer = data.ljust(BUFFER, b"\0")
        text, nul, behind = buffer.partition(b"\0")
        if not nul:
            raise Aborted("no NUL within 1,024 bytes")
        self.lost += sum(1 for other in behind.split(b"\0") if other)
        try:
            message: dict[str, Any] = json.loads(text)
        except ValueError:
            raise Aborted(f"not one JSON: {data!r}") from None
        return message

    def expect(self, kind: str) -> dict[str, Any]:
        """The next message, which has to be of this kind."""
        message = self.read()
        if message["msgid"] != self.numbers[kind]:
            raise Aborted(f"{message} is no {kind}")
        if kind in ("ONE_CHAT", "GROUP_CHAT"):
            for field in ("time", "name", "msg"):
                if not isinstance(message[field], str):
                    raise Aborted(f"{field} of {message} is no string")
        return message

    def register(self, name: str, password: str) -> int:
        """Make an account."""
        self.send("REG", name=name, password=password)
        user_id: int = self.expect("REG_ACK")["id"]
        return user_id

    def log_in(self, user_id: int, password: str) -> dict[str, Any]:
        """The login's answer, with the texts in it read as the client reads them."""
        self.send("LOGIN", id=user_id, password=password)
        ack = self.expect("LOGIN_ACK")
        if ack["errno"] != 0:
            return ack
        ack["friends"] = [json.loads(text) for text in ack.get("friends", ())]
        ack["offlinemsg"] = [json.loads(text) for text in ack.get("offlinemsg", ())]
        groups = [json.loads(text) for text in ack.get("groups", ())]
        for group in groups:
            group["users"] = [json.loads(text) for text in group["users"]]
        ack["groups"] = groups
        return ack

    def close(self) -> None:
        """End it."""
        self._socket.close()
