"""Where to connect to, and with which reactor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.python.failure import Failure
from zope.interface import implementer


def global_reactor() -> Any:
    """The reactor; imported late, as whoever imports it first chooses which one it is."""
    from twisted.internet import reactor

    return reactor


def to_endpoint(endpoint: str | IStreamClientEndpoint) -> IStreamClientEndpoint:
    """An endpoint, from its description (``tcp:chat.example:6000``, ``tls:chat.example:6001``) too.

    :raises ValueError: the description is none.
    """
    if isinstance(endpoint, str):
        made: IStreamClientEndpoint = clientFromString(global_reactor(), endpoint)
        return made
    return endpoint


@implementer(IStreamClientEndpoint)
class Watched:
    """An endpoint that also tells why a connection could not be made."""

    def __init__(self, endpoint: IStreamClientEndpoint, failed: Callable[[Failure], None]) -> None:
        self._endpoint = endpoint
        self._failed = failed

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803
        def note(failure: Failure) -> Failure:
            self._failed(failure)
            return failure

        connecting: Deferred[IProtocol] = self._endpoint.connect(protocolFactory)
        return connecting.addErrback(note)
