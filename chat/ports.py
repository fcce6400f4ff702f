"""Listening: bound before the process goes into the background, open when everything is ready."""

from __future__ import annotations

import re
from collections.abc import Sequence
from errno import EADDRINUSE
from ipaddress import ip_address
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IListeningPort, IProtocolFactory
from twisted.internet.tcp import Port
from twisted.python.failure import Failure

from .errors import BadStart
from .link import keep_alive

BACKLOG = 4096
"""Connections that the kernel keeps for us, unless the endpoint says otherwise or the kernel allows
fewer (net.core.somaxconn): when a node has died its clients come all at once.  Who finds no place
tries again after a second or more."""


ACCEPTS = 20
"""Connections that are let in, or turned away, in one turn: a flood of them is a few milliseconds
of it, and other people's lines are read in between."""

_TLS = re.compile(r"(haproxy:)?ssl:")


class Ports(Service):
    """The endpoints on which one factory's clients connect.

    Three steps, so that a busy port is known while there is still a terminal to tell it to, and
    nobody is served before there is a store: :meth:`bind`, then :meth:`open`; until that, who
    connects waits in the kernel.  Stopping lets nobody in any more and leaves the connections.

    :param endpoints: server endpoint strings of Twisted.
    :param option: what the operator calls them.
    :param secure: whether the factory speaks TLS.
    """

    def __init__(
        self,
        reactor: Any,
        endpoints: Sequence[str],
        factory: IProtocolFactory,
        option: str = "--listen",
        *,
        secure: bool = False,
    ) -> None:
        self._reactor = reactor
        self._endpoints = endpoints
        self._factory = factory
        self._option = option
        self._secure = secure
        self._ports: list[Any] = []

    def bind(self) -> None:
        """Take the ports, all or none; again does nothing.

        :raises BadStart: one is taken, or an endpoint is not valid.
        """
        if self._ports:
            return
        try:
            for text in self._endpoints:
                self._ports.append(self._listen(text))
        except BadStart:
            self._close()
            raise

    def open(self) -> None:
        """Let in who comes, and who has been waiting."""
        for port in self._ports:
            port.startReading()

    def addresses(self) -> list[IAddress]:
        """Where the ports are, in the order of their endpoints."""
        return [port.getHost() for port in self._ports]

    def in_the_clear(self) -> list[IAddress]:
        """Those of them that others than this machine may reach, and where nothing is encrypted."""
        if self._secure:
            return []
        return [
            port.getHost()
            for text, port in zip(self._endpoints, self._ports, strict=True)
            if not _TLS.match(text) and _is_public(port.getHost())
        ]

    def near(self) -> list[Any]:
        """Those of them that a program without TLS reaches on this machine alone."""
        if self._secure:
            return []
        return [
            port.getHost()
            for text, port in zip(self._endpoints, self._ports, strict=False)
            if text.startswith("tcp:") and not _is_public(port.getHost())
        ]

    def privilegedStartService(self) -> None:
        self.bind()

    def stopService(self) -> Deferred[Any]:
        self.running = 0
        return self._close()

    def _close(self) -> Deferred[Any]:
        ports, self._ports = self._ports, []
        return DeferredList([port.stopListening() for port in ports if port.connected])

    def _listen(self, text: str) -> IListeningPort:
        outcome: list[Any] = []
        if _TLS.match(text):
            check_tls(f"{self._option} {text}")
        try:
            endpoint = serverFromString(self._reactor, text)
            endpoint.listen(self._factory).addBoth(outcome.append)
        except Exception as error:  # what parsers of endpoints, files and plugins may raise
            raise BadStart(f"{self._option} {text}: {_reason(error)}") from error
        if not outcome:
            raise BadStart(f"{self._option} {text}: this kind of endpoint is not ready at once")
        port = outcome[0]
        if isinstance(port, Failure):
            reason = _reason(port.value)
            if _taken(port.value):
                reason += ", by another program (ss -ltnp says which)"
            raise BadStart(f"cannot listen on {text}: {reason}; see {self._option}") from port.value
        if isinstance(port, Port):
            _accept_in_turns(port)
            keep_alive(port.socket)
        port.stopReading()
        if "backlog=" not in text and hasattr(port, "socket"):
            port.socket.listen(BACKLOG)
        return port  # type: ignore[no-any-return]


def _accept_in_turns(port: Port) -> None:
    accept = port.doRead

    def do_read() -> None:
        # Twisted takes 20 more each time that it has not come to the end.
        port.numberAccepts = min(port.numberAccepts, ACCEPTS)
        accept()

    port.doRead = do_read  # type: ignore[method-assign]


def check_tls(what: str) -> None:
    """There has to be what this needs.

    :raises BadStart: it has to be installed.
    """
    try:
        import OpenSSL  # noqa: F401
    except ImportError:
        raise BadStart(f"{what}: TLS needs pyOpenSSL: pip install 'twistd-chat[tls]'") from None


def _is_public(address: IAddress) -> bool:
    host = getattr(address, "host", None)
    try:
        return host is not None and not ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return True


def _taken(error: BaseException | None) -> bool:
    return (
        isinstance(error, CannotListenError)
        and isinstance(error.socketError, OSError)
        and error.socketError.errno == EADDRINUSE
    )


def _reason(error: BaseException | None) -> str:
    if isinstance(error, CannotListenError) and isinstance(error.socketError, OSError):
        error = error.socketError
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error).partition("\n")[0] or type(error).__name__
