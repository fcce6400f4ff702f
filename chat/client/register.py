"""Making an account."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import connectProtocol
from twisted.python.failure import Failure

from ..errors import Code
from ..messages import Reg
from . import incoming
from .endpoints import global_reactor, to_endpoint
from .errors import BadAnswer, Disconnected, Refused
from .incoming import RegAck
from .lines import LineConnection

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint


def register(
    endpoint: str | IStreamClientEndpoint,
    name: str,
    password: str,
    *,
    invite: str | None = None,
    timeout: float = 30.0,
    clock: IReactorTime | None = None,
) -> Deferred[int]:
    """Make an account, on a connection of its own.

    :param endpoint: as for :class:`~chat.client.Client`.
    :param invite: the code, where the server asks for one.
    :param timeout: seconds in which the answer must be there.
    :returns: the new user's id.
    :raises Refused: the name is taken or not allowed (1), or as in ``docs/protocol.md``.
    :raises ClientError: who answers is no chat server, or there was no answer.
    """
    request = Reg(name=name, password=password, invite=UNSET if invite is None else invite)
    registration = _Registration(msgspec.json.encode(request) + b"\n")
    registration.connect(to_endpoint(endpoint))
    registration.done.addTimeout(timeout, clock or global_reactor(), registration.timed_out)
    return registration.done


class _Registration:
    def __init__(self, line: bytes) -> None:
        self.done: Deferred[int] = Deferred(lambda _: self._close())
        self._line = line
        self._connection: LineConnection | None = None
        self._connecting: Deferred[LineConnection] | None = None
        self._over = False

    def connect(self, endpoint: IStreamClientEndpoint) -> None:
        self._connecting = connectProtocol(endpoint, LineConnection(self))
        self._connecting.addErrback(self._fail)

    def connection_made(self, connection: LineConnection) -> None:
        self._connection = connection
        if self._over:
            connection.abort()
        else:
            connection.write(self._line)

    def lines_received(self, connection: LineConnection, lines: list[bytes]) -> None:
        for line in lines:
            if self._over or not line.strip():
                continue
            try:
                said = incoming.parse(line)
            except BadAnswer as error:
                self._end(error)
                continue
            if isinstance(said, RegAck):
                self._end(said.id if said.errno == Code.DONE else incoming.refused(said, Refused))
            elif isinstance(said, incoming.Ack) and said.errno:
                self._end(incoming.refused(said, Refused))

    def connection_lost(self, connection: LineConnection, reason: Failure) -> None:
        self._end(Disconnected("the connection ended before the answer came"))

    def _fail(self, failure: Failure) -> None:
        assert failure.value is not None
        self._end(failure.value)

    def timed_out(self, result: object, seconds: float) -> object:
        if isinstance(result, Failure):
            raise Disconnected(f"no answer within {seconds:g} s")
        return result

    def _end(self, result: int | BaseException) -> None:
        if self._over:
            return
        self._close()
        if isinstance(result, int):
            self.done.callback(result)
        else:
            self.done.errback(result)

    def _close(self) -> None:
        self._over = True
        if self._connection is not None:
            self._connection.abort()
        elif self._connecting is not None:
            self._connecting.cancel()
