"""The status listener: ``/metrics``, ``/healthz``, ``/readyz``, and what an operator may ask.

It is HTTP for machines on the operator's side, by default on the loopback address.  Whatever
changes something, or tells who is online, is below ``/admin`` and takes two things: to come from
this machine, and the secret from a file that its owner alone can read.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any, Protocol

from msgspec import DecodeError, json
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from twisted.internet.defer import Deferred
from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from .config import Settings
from .errors import BadStart, StoreAway
from .metrics import Lag, Metrics, Observed
from .model import Left, User
from .oversight import Outcome, Oversight
from .page import PageRequest
from .ports import Ports
from .secret import read_secret, secret_file
from .wire import encode

LAG_SECONDS = 0.5
"""How often the loop's lag is looked at."""

READY_SECONDS = 3.0
"""How long the store may take to say that it is there."""

REQUEST_SECONDS = 30.0
"""How long a request may take to come."""

DEFAULT_STATUS = Settings().status

Act = Callable[[Request], Awaitable[object]]
"""What is done for an operator; what is answered, as JSON.  May raise :class:`Refused`."""


class Watched(Observed, Protocol):
    """A server, as far as an operator meddles with it."""

    oversight: Oversight

    def spawn(self, work: Coroutine[Any, Any, None]) -> object:
        """Run a coroutine; what it raises is logged."""


class Refused(Exception):
    """The request cannot be done; the status and why."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Root(Resource):
    """Everything below ``/``."""

    isLeaf = True

    def __init__(self, status: Status) -> None:
        super().__init__()
        self._status = status

    def render(self, request: Request) -> bytes | int:
        """Answer one request."""
        request.setHeader(b"server", b"chat")
        request.setHeader(b"cache-control", b"no-store")
        request.setHeader(b"x-content-type-options", b"nosniff")
        path = request.path.decode("ascii", "replace")
        try:
            if path.startswith("/admin/"):
                return self._admin(request, path.removeprefix("/admin/"))
            if request.method not in (b"GET", b"HEAD"):
                raise Refused(405, "this is to be read")
            if path == "/metrics":
                return self._metrics(request)
            if path == "/healthz":
                return _say(request, 200, "alive")
            if path == "/readyz":
                self._status.ready().addCallback(_tell_ready, request)
                return NOT_DONE_YET
            raise Refused(404, "there are /metrics, /healthz and /readyz")
        except Refused as refused:
            return _say(request, refused.status, str(refused))

    def _metrics(self, request: Request) -> bytes:
        accept = ",".join(request.requestHeaders.getRawHeaders("accept") or [])
        encoder, kind = choose_encoder(accept)
        request.setHeader(b"content-type", kind.encode())
        text: bytes = encoder(self._status.registry)
        return text

    def _admin(self, request: Request, what: str) -> int:
        _authorize(request, self._status.secret)
        method, act = self._status.acts.get(what, (b"", None))
        if act is None:
            raise Refused(404, "there is no such thing to ask")
        if request.method != method:
            raise Refused(405, f"it is asked with {method.decode()}")
        self._status.act(act, request)
        return NOT_DONE_YET


def _authorize(request: Request, secret: str) -> None:
    """Both are asked of everybody.

    :raises Refused: one is missing.
    """
    if not secret:
        raise Refused(403, "this server has no secret: see --status-secret")
    if not _is_here(request.getClientAddress()):
        raise Refused(403, "only from the machine that the server runs on")
    shown = (request.requestHeaders.getRawHeaders("authorization") or [""])[0]
    if not secrets.compare_digest(shown.encode("utf-8", "replace"), f"Bearer {secret}".encode()):
        raise Refused(403, "the secret is another one")


def _is_here(peer: object) -> bool:
    host = getattr(peer, "host", None)
    if host is None:
        return True  # a Unix socket
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _say(request: Request, status: int, text: str) -> bytes:
    request.setResponseCode(status, HTTPStatus(status).phrase.encode())
    request.setHeader(b"content-type", b"text/plain; charset=utf-8")
    return text.encode() + b"\n"


def _tell_ready(reason: str, request: Request) -> None:
    _finish(request, _say(request, 503 if reason else 200, reason or "ready"))


def _finish(request: Request, body: bytes) -> None:
    if not getattr(request, "_disconnected", False):
        request.write(body)
        request.finish()


def _argument(request: Request, name: bytes) -> str:
    values = (request.args or {}).get(name, [])
    if len(values) != 1:
        raise Refused(400, f"{name.decode()} is missing")
    text: str = values[0].decode("utf-8", "replace")
    return text


def _user(request: Request) -> int:
    try:
        return int(_argument(request, b"user"))
    except ValueError:
        raise Refused(400, "user is a number") from None


def _left(request: Request) -> list[Left]:
    try:
        return json.decode(_argument(request, b"left"), type=list[Left])
    except DecodeError:
        raise Refused(400, "left is a list of groups") from None


def _told(name: str, outcome: Outcome) -> object:
    silent = {"silent": outcome.silent} if outcome.silent else {}
    return {name: outcome.met, **silent}


class Status:
    """The listener and what stands behind it."""

    log = Logger()

    def __init__(self, settings: Settings, server: Watched, reactor: Any) -> None:
        self.secret = ""
        """Empty: nobody may ask anything of the operator's."""
        self.stopping = False
        """Whether clients should go elsewhere."""
        self.registry = CollectorRegistry(auto_describe=False)
        self.acts: dict[str, tuple[bytes, Act]] = {
            "online": (b"GET", self._online),
            "disconnect": (b"POST", self._disconnect),
            "notice": (b"POST", self._notice),
            "gone": (b"POST", self._gone),
        }
        self._settings = settings
        self._server = server
        self._reactor = reactor
        self._open = False
        lag = Lag(LAG_SECONDS)
        self.registry.register(Metrics(server, lag))
        self._watching = LoopingCall(lambda: lag.tick(reactor.seconds()))
        self._watching.clock = reactor
        site = Site(Root(self), requestFactory=PageRequest, timeout=REQUEST_SECONDS)
        site.noisy = False
        site.log = lambda request: None  # type: ignore[method-assign]
        endpoints = () if settings.status == "none" else (settings.status,)
        self.ports = Ports(reactor, endpoints, site, "--status")

    def bind(self) -> None:
        """Take the port.

        :raises BadStart: it is not free, and somebody asked for it.
        """
        try:
            self.ports.bind()
        except BadStart as error:
            if self._settings.status != DEFAULT_STATUS:
                raise
            # Nobody has asked for it, and a second server on a machine is no mistake.
            self.log.warn("no status listener: {reason}", reason=error)
            self.ports = Ports(self._reactor, (), Site(Root(self)), "--status")

    def open(self) -> None:
        """Answer; the store is open."""
        if self.ports.addresses():
            self.secret = self._read_secret()
        self._open = True
        self.ports.open()
        self._watching.start(LAG_SECONDS).addErrback(
            lambda failure: self.log.failure("nobody measures the loop's lag any more", failure)
        )
        for address in self.ports.addresses():
            host, port = getattr(address, "host", None), getattr(address, "port", None)
            where = f"{host}:{port}" if host is not None else str(getattr(address, "name", address))
            self.log.info("the status is at {address}", address=where)

    async def close(self) -> None:
        """The end."""
        if self._watching.running:
            self._watching.stop()
        await self.ports.stopService()

    def ready(self) -> Deferred[str]:
        """Why no client should be sent here; empty: there is no reason."""
        answer: Deferred[str] = Deferred()
        if reason := self._not_ready():
            answer.callback(reason)
            return answer

        def tell(text: str) -> None:
            if not answer.called:
                answer.callback(text)

        late = self._reactor.callLater(READY_SECONDS, tell, "the store does not answer")

        def answered(text: str) -> None:
            with suppress(AlreadyCalled, AlreadyCancelled):
                late.cancel()
            tell(text)

        async def ask() -> None:
            try:
                await self._server.store.ping()
            except StoreAway:
                answered("the store cannot be reached")
            else:
                answered("")

        self._server.spawn(ask())
        return answer

    def _not_ready(self) -> str:
        node = self._server.node
        if self.stopping:
            return "stopping"
        if not self._open:
            return "starting"
        if node is not None and not node.bus.up:
            return "the bus is down"
        if node is not None and not node.lease.number:
            return "this node has no lease"
        return ""

    def _read_secret(self) -> str:
        path = secret_file(self._settings.status_secret, self._settings.database)
        if path is None:
            return ""
        try:
            return read_secret(path, make=True)
        except OSError as error:
            self.log.warn(
                "chat-admin can ask nothing of this server: {path}: {reason}",
                path=str(path), reason=error.strerror,
            )  # fmt: skip
            return ""

    # What an operator asks

    def act(self, act: Act, request: Request) -> None:
        """Do it, and answer."""
        self._server.spawn(self._act(act, request))

    async def _act(self, act: Act, request: Request) -> None:
        body = b""
        try:
            answer = encode(await act(request)) + b"\n"
            request.setHeader(b"content-type", b"application/json")
            body = answer
        except Refused as refused:
            body = _say(request, refused.status, str(refused))
        finally:
            _finish(request, body or _say(request, 500, "it failed: the log has the reason"))

    async def _online(self, request: Request) -> object:
        found = []
        for user_id, peer in sorted(self._server.delivery.online.items()):
            sender = peer.sender
            if sender is not None:
                address = getattr(peer, "address", "")
                found.append(
                    {"id": user_id, "name": sender.name, "address": address, "level": peer.level}
                )
        return {"online": found}

    async def _disconnect(self, request: Request) -> object:
        return _told("disconnected", await self._server.oversight.disconnect(_user(request)))

    async def _notice(self, request: Request) -> object:
        text = _argument(request, b"msg")
        if not text.strip():
            raise Refused(400, "msg is empty")
        return _told("told", await self._server.oversight.notice(text))

    async def _gone(self, request: Request) -> object:
        user = User(_user(request), _argument(request, b"name"))
        return _told("disconnected", await self._server.oversight.gone(user, _left(request)))
