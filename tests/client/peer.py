"""A server played by the test: it says exactly what the test has it say, at the test's own time."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionRefusedError as Refusal
from twisted.internet.testing import MemoryReactorClock, StringTransportWithDisconnection
from twisted.python.failure import Failure

WELCOME = {"msgid": 2, "errno": 0, "id": 7, "name": "bob", "proto": 2, "token": "t"}


class Peer:
    """The other end of a client in memory; one connection at a time."""

    def __init__(self) -> None:
        self.reactor = MemoryReactorClock()
        self.endpoint = TCP4ClientEndpoint(self.reactor, "127.0.0.1", 6000)
        self.transport = StringTransportWithDisconnection()

    @property
    def wanted(self) -> bool:
        """Whether a client waits to be let in."""
        return bool(self.reactor.tcpClients)

    def accept(self) -> list[dict[str, Any]]:
        """Let the client in; what it says first."""
        factory = self.reactor.tcpClients.pop(0)[2]
        protocol = factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 6000))
        assert protocol is not None
        self.transport = StringTransportWithDisconnection()
        self.transport.protocol = protocol
        protocol.makeConnection(self.transport)
        return self.heard()

    def welcome(self, **more: Any) -> list[dict[str, Any]]:
        """Let the client in and log it in; what it says then."""
        self.accept()
        self.say({**WELCOME, **more})
        return self.heard()

    def refuse(self) -> None:
        """Do not let it in."""
        factory = self.reactor.tcpClients.pop(0)[2]
        factory.clientConnectionFailed(self.reactor.connectors.pop(0), Failure(Refusal()))

    def say(self, *messages: dict[str, Any]) -> None:
        """Send messages in one packet."""
        data = b"".join(json.dumps(message).encode() + b"\n" for message in messages)
        self.transport.protocol.dataReceived(data)

    def heard(self) -> list[dict[str, Any]]:
        """What the client has said since the last time."""
        self.reactor.advance(0)
        data = self.transport.value()
        self.transport.clear()
        return [json.loads(line) for line in data.splitlines()]

    def hang_up(self) -> None:
        """Close the connection."""
        self.transport.loseConnection()

    @property
    def closed(self) -> bool:
        """Whether the client has closed."""
        return not self.transport.connected


def pushed(seq: int, cid: str, text: str = "hi") -> dict[str, Any]:
    """A message from ann (8) as the server pushes it."""
    return {
        "msgid": 5, "toid": 7, "msg": text, "id": 8, "name": "ann", "time": "now", "cid": cid,
        "seq": seq,
    }  # fmt: skip
