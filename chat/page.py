"""The page in the browser, and the way to its WebSocket: the HTTP side of the server.

The files of ``chat/web`` are read once, at the start.  Nothing is uploaded, nothing is looked up by
a path on the disk, and what is not there is a 404.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Sequence
from http import HTTPStatus
from importlib.resources import files
from importlib.resources.abc import Traversable
from io import BytesIO
from typing import Any, cast
from urllib.parse import urlsplit

from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from twisted.web.http import CACHED, HTTPChannel
from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from twisted.web.websocket import WebSocketResource

from .doors import Place
from .errors import ChatError
from .link import peer_of
from .outbox import Turn
from .session import Server
from .websocket import ChatSockets

TYPES = {
    ".css": b"text/css; charset=utf-8",
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
}

HEADERS = {
    b"server": b"chat",
    b"content-security-policy": (
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        b" connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
        b" require-trusted-types-for 'script'"
    ),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=()",
    # A browser asks each time, and is told that nothing has changed: no page of two versions.
    b"cache-control": b"no-cache",
}

PORTS = {"http": "80", "https": "443"}


class Page:
    """One file of the page, ready to be sent."""

    __slots__ = ("body", "etag", "packed", "type")

    def __init__(self, name: str, body: bytes) -> None:
        self.type = TYPES[name[name.rindex(".") :]]
        self.body = body
        self.packed = gzip.compress(body, mtime=0)
        self.etag = b'W/"%b"' % hashlib.sha256(body).hexdigest()[:20].encode()


def read_pages(folder: Traversable, under: str = "/") -> dict[bytes, Page]:
    """Every file of the page by its path on the server."""
    pages: dict[bytes, Page] = {}
    for entry in folder.iterdir():
        if entry.is_dir():
            pages |= read_pages(entry, f"{under}{entry.name}/")
        else:
            pages[f"{under}{entry.name}".encode()] = Page(entry.name, entry.read_bytes())
    return pages


def same_place(origin: str, host: str) -> bool:
    """Whether a page's origin (``https://chat.example``) is the host that the request names."""
    try:
        parts = urlsplit(origin.lower())
    except ValueError:
        return False
    default = PORTS.get(parts.scheme)
    if default is None:
        return False
    place = parts.netloc.removesuffix(f":{default}")
    return place != "" and place == host.lower().removesuffix(f":{default}")


class Root(Resource):
    """``/`` with what is below it, and ``/ws``."""

    isLeaf = True

    def __init__(self, pages: dict[bytes, Page], sockets: Resource, origins: Sequence[str]) -> None:
        super().__init__()
        self._pages = pages
        self._sockets = sockets
        self._origins = {origin.lower().rstrip("/") for origin in origins}

    def render(self, request: Request) -> bytes | int:
        """Answer one request."""
        for name, value in HEADERS.items():
            request.setHeader(name, value)
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader(b"allow", b"GET, HEAD")
            return _say(request, 405, b"this server has pages to read, and nothing else")
        if request.path == b"/ws":
            return self._socket(request)
        page = self._pages.get(b"/index.html" if request.path == b"/" else request.path)
        if page is None:
            return _say(request, 404, b"there is no such page")
        return _send(request, page)

    def _socket(self, request: Request) -> bytes | int:
        headers = request.requestHeaders
        if b"websocket" not in (headers.getRawHeaders(b"upgrade") or [b""])[0].lower():
            request.setHeader(b"upgrade", b"websocket")
            return _say(request, 426, b"this address speaks WebSocket")
        if headers.getRawHeaders(b"sec-websocket-version") != [b"13"]:
            request.setHeader(b"sec-websocket-version", b"13")
            return _say(request, 426, b"this server speaks version 13 of WebSocket")
        if not self._may_come_from(headers.getRawHeaders("origin"), request):
            return _say(request, 403, b"a page from another server may not connect to this one")
        return cast(int, self._sockets.render(request))

    def _may_come_from(self, origins: Sequence[str] | None, request: Request) -> bool:
        # Browsers always say where a page is from; what says nothing is no page.
        if not origins:
            return True
        hosts = request.requestHeaders.getRawHeaders("host") or [""]
        return len(origins) == 1 and (
            origins[0].lower() in self._origins or same_place(origins[0], hosts[0])
        )


def _say(request: Request, status: int, text: bytes) -> bytes:
    request.setResponseCode(status, HTTPStatus(status).phrase.encode())
    request.setHeader(b"content-type", b"text/plain; charset=utf-8")
    return text + b"\n"


def _send(request: Request, page: Page) -> bytes:
    request.setHeader(b"content-type", page.type)
    request.setHeader(b"vary", b"accept-encoding")
    if request.setETag(page.etag) is CACHED:
        return b""
    accepted = b",".join(request.requestHeaders.getRawHeaders(b"accept-encoding") or [])
    if b"gzip" in accepted:
        request.setHeader(b"content-encoding", b"gzip")
        return page.packed
    return page.body


class PageRequest(Request):
    """A request whose body, if it has one, is read and thrown away."""

    def gotLength(self, length: int | None) -> None:
        """Nothing is kept, however long it is."""
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """Part of a body."""


class PageChannel(HTTPChannel):
    """A connection that has to have asked for something within the time-out, and has its place
    among all others."""

    site: PageSite
    place: Place | None = None
    _located = False
    _turned_away = False

    def connectionMade(self) -> None:
        """A browser is here: let it in, or tell it why not."""
        super().connectionMade()
        try:
            self.place = self.site.server.limits.doors.enter()
            self._locate(told=False)
        except ChatError as error:
            self._turn_away(error)

    def dataReceived(self, data: bytes) -> None:
        """The stock method lets every byte start the time-out anew."""
        if not self._located:
            try:
                self._locate(told=True)
            except ChatError as error:
                self._turn_away(error)
        if not self._turned_away:
            LineReceiver.dataReceived(self, data)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """It has gone."""
        if self.place is not None:
            self.place.leave()
        super().connectionLost(reason)

    def _locate(self, *, told: bool) -> None:
        _, origin = peer_of(self.transport, told=told)
        if origin is not None and self.place is not None:
            self._located = True
            self.place.locate(origin)

    def _turn_away(self, error: ChatError) -> None:
        self._turned_away = True
        if self.place is not None:
            self.place.leave()
        text = error.text.encode() + b"\n"
        transport: Any = self.transport
        transport.write(
            b"HTTP/1.1 503 Service Unavailable\r\nretry-after: %d\r\nconnection: close\r\n"
            b"content-type: text/plain\r\ncontent-length: %d\r\n\r\n%b"
            % (max(1, round(error.retry_after or 1)), len(text), text)
        )
        self.loseConnection()


class PageSite(Site):
    """What listens on ``--web``."""

    noisy = False
    protocol: Any = PageChannel
    server: Server
    """Of the chat, whose connections these are too."""

    def log(self, request: Any) -> None:
        """Pages that are read are not worth a line."""


def page_site(server: Server, turn: Turn, origins: Sequence[str]) -> Any:
    """The factory of the page's connections.

    :param origins: pages of these origins may connect too, beside those of the request's own host.
    """
    sockets = WebSocketResource(ChatSockets(server, turn))
    pages = read_pages(files("chat") / "web")
    site = PageSite(
        Root(pages, sockets, origins),
        requestFactory=PageRequest,
        timeout=server.settings.login_seconds,
    )
    site.server = server
    return site
