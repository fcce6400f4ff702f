"""Where the bus is: the URL of ``--bus``, taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from ..errors import BadStart

PORT = 4222
FORMS = "nats://host:port,host:port or nats://user:password@host:port (tls:// to insist on TLS)"

_SERVER = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?")


@dataclass(frozen=True)
class NatsPlace:
    """The NATS servers of one cluster, and who we are there."""

    servers: tuple[str, ...]
    """Each as ``host:port``."""
    tls: bool
    """Whether a connection without TLS is refused."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        scheme = "tls" if self.tls else "nats"
        return f"{scheme}://{','.join(self.servers)}"


def parse(url: str) -> NatsPlace | None:
    """Take a URL apart; None: ``local``.

    :raises BadStart: it is none; the text never quotes the URL, which may hold a password.
    """
    if url == "local":
        return None
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("nats", "tls"):
        raise BadStart(f"--bus: unknown kind of bus; there are local, {FORMS}")
    access, at, hosts = rest.rpartition("@")
    user, colon, password = access.partition(":")
    if at and (not user or "@" in access or "/" in access):
        raise _no_url()
    servers = tuple(_server(host) for host in hosts.removesuffix("/").split(","))
    place = NatsPlace(servers, scheme == "tls")
    if not at:
        return place
    if not colon:
        return NatsPlace(servers, place.tls, token=unquote(user))
    return NatsPlace(servers, place.tls, unquote(user), unquote(password))


def _server(text: str) -> str:
    found = _SERVER.fullmatch(text)
    if found is None or not 0 < (port := int(found[2] or PORT)) < 65536:
        raise _no_url()
    return f"{found[1]}:{port}"


def _no_url() -> BadStart:
    return BadStart(
        f"--bus: not a NATS URL; it looks like {FORMS}; %40 for an @ in the password, and so on"
    )
