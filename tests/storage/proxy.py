"""A network between a store and its MySQL server that is cut where a test says."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.protocols.portforward import (
    Proxy,
    ProxyClient,
    ProxyClientFactory,
    ProxyFactory,
    ProxyServer,
)
from twisted.trial.unittest import TestCase


class _TowardsServer(ProxyClient):
    mute = False

    def dataReceived(self, data: bytes) -> None:
        if self.mute:
            _reset(self)
        else:
            super().dataReceived(data)


class _TowardsServerFactory(ProxyClientFactory):
    protocol = _TowardsServer
    noisy = False


class _TowardsStore(ProxyServer):
    clientProtocolFactory = _TowardsServerFactory  # noqa: N815 - the name that Twisted looks for
    factory: CutNetwork

    def dataReceived(self, data: bytes) -> None:
        if self.factory.cuts and self.factory.text in data:
            self.factory.cuts -= 1
            self.factory.closed = self.factory.for_good
            if not self.factory.answer_only:
                _reset(self)
                return
            assert isinstance(self.peer, _TowardsServer)
            self.peer.mute = True
        super().dataReceived(data)


def _reset(one: Proxy) -> None:
    """Both connections end at once."""
    other = one.peer
    for side in (one, other):
        if side is not None:
            side.setPeer(None)
            transport: Any = side.transport
            transport.abortConnection()


class CutNetwork(ProxyFactory):
    """Carries everything to a server on 127.0.0.1, but for what :meth:`cut` says."""

    protocol = _TowardsStore
    noisy = False
    cuts = 0
    text = b""
    answer_only = False
    for_good = False
    closed = False

    def cut(
        self, text: bytes, times: int = 1, *, answer_only: bool = False, for_good: bool = False
    ) -> None:
        """The next ``times`` that a request holds ``text``, its connection is cut before the
        server has it, or (``answer_only``) when the server has worked it off and answers; and no
        further one is made (``for_good``)."""
        self.text, self.cuts = text, times
        self.answer_only, self.for_good = answer_only, for_good

    def buildProtocol(self, addr: Any) -> Any:
        return None if self.closed else super().buildProtocol(addr)

    @classmethod
    def listen(cls, test: TestCase, port: int) -> tuple[CutNetwork, int]:
        """A network to this port for the time of a test, and the port where it begins."""
        network = cls("127.0.0.1", port)
        listening: Any = reactor.listenTCP(0, network, interface="127.0.0.1")  # type: ignore[arg-type]
        test.addCleanup(listening.stopListening)
        return network, listening.getHost().port
