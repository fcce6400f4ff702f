"""Where clients come in: every endpoint that the settings name, with what is spoken there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IAddress, IProtocolFactory
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from .config import Settings
from .errors import BadStart
from .numberings import Numbering
from .original import OriginalFactory
from .outbox import Turn
from .page import page_site
from .ports import Ports, check_tls
from .session import Server
from .tcp import ChatFactory

if TYPE_CHECKING:
    from .tls import CertificateFiles

CERTIFICATE_SECONDS = 5.0
"""How often it is looked whether the certificate was renewed."""

FIRST_LINE = '{"msgid":3,"name":"ann","password":"secret"}'
"""What somebody who tries it out sends."""

DEFAULT_WEB = Settings().web


class Listeners:
    """All ports of one server.

    :raises BadStart: the certificate cannot be used, is missing, or is of no use.
    """

    log = Logger()

    def __init__(self, settings: Settings, server: Server, turn: Turn, reactor: Any) -> None:
        self.factory = ChatFactory(server, turn)
        self._settings = settings
        self._reactor = reactor
        self._ports: list[tuple[Ports, str]] = []
        self._certificate = _certificate(settings)
        self._watching: LoopingCall | None = None
        original = OriginalFactory(
            server, turn, Numbering(settings.original_ids), settings.original_pace
        )
        site = page_site(server, turn, settings.web_origin)
        self._lines = self._add("--listen", settings.listen, self.factory, "listening on {address}")
        self._add("--original", settings.original, original, "the original's clients: {address}")
        if self._certificate is not None:
            over_tls = self._certificate.over_tls
            text = "listening on {address} over TLS"
            self._add("--tls-listen", settings.tls_listen, over_tls(self.factory), text, tls=True)
            text = "the page is at {address} over TLS"
            self._add("--tls-web", _some(settings.tls_web), over_tls(site), text, tls=True)
        # The last, as it may be left out.
        self._page = self._add("--web", _some(settings.web), site, "the page is at {address}")

    def _add(
        self,
        option: str,
        endpoints: tuple[str, ...],
        factory: IProtocolFactory,
        text: str,
        *,
        tls: bool = False,
    ) -> Ports:
        ports = Ports(self._reactor, endpoints, factory, option, secure=tls)
        self._ports.append((ports, text))
        return ports

    def bind(self) -> None:
        """Take the ports; nobody is let in yet.

        :raises BadStart: an address is not free, or not ours to take.
        """
        *ours, (web, _) = self._ports
        for ports, _ in ours:
            ports.privilegedStartService()
        try:
            web.privilegedStartService()
        except BadStart as error:
            if self._settings.web != DEFAULT_WEB:
                raise
            # Nobody has asked for it, and a second server on a machine is no mistake.
            self.log.warn("no page for browsers: {reason}", reason=error)
            del self._ports[-1]

    def open(self) -> None:
        """Let clients in.

        :raises BadStart: as :meth:`bind`, for who has not called that.
        """
        for ports, _ in self._ports:
            ports.bind()
            ports.startService()
            ports.open()
        if self._certificate is not None:
            self._watching = watching = LoopingCall(self._certificate.look)
            watching.clock = self._reactor
            done = watching.start(CERTIFICATE_SECONDS, now=False)
            done.addErrback(lambda failure: self.log.failure("TLS: nobody looks any more", failure))

    def tell(self) -> None:
        """Say in the log where they are, and where nothing is encrypted that should be."""
        for ports, text in self._ports:
            for address in ports.addresses():
                self.log.info(text, address=_text(address))
        if self._settings.registration == "open":
            self._invite()
        for ports, _ in self._ports:
            for address in ports.in_the_clear():
                self.log.warn(
                    "{address}: passwords and messages are not encrypted there, and others than"
                    " this machine can connect; see --tls-listen, or put a proxy before it",
                    address=_text(address),
                )

    def _invite(self) -> None:
        """Whoever tries it out, on this machine, is told how."""
        page = "".join(f"open {_url(address)}, or " for address in self._page.near()[:1])
        for address in self._lines.near()[:1]:
            self.log.info(
                "to try it, {page}paste this into another terminal; it answers with your id:"
                "\n\n    {command}\n",
                page=page, command=f"echo '{FIRST_LINE}' | nc -q 1 {address.host} {address.port}",
            )  # fmt: skip

    async def close(self) -> None:
        """Let nobody in any more."""
        if self._watching is not None and self._watching.running:
            self._watching.stop()
        for ports, _ in self._ports:
            await ports.stopService()


def _some(endpoint: str) -> tuple[str, ...]:
    return () if endpoint == "none" else (endpoint,)


def _certificate(settings: Settings) -> CertificateFiles | None:
    """For the listeners over TLS; None: there are none."""
    wanted = bool(settings.tls_listen) or settings.tls_web != "none"
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate == "none":
        if wanted or key != "none":
            raise BadStart("TLS needs a certificate: --tls-certificate PATH")
        return None
    if not wanted:
        raise BadStart("--tls-certificate is for --tls-listen or --tls-web: give one of them")
    check_tls("--tls-certificate")
    from .tls import CertificateFiles

    return CertificateFiles(certificate, certificate if key == "none" else key)


def _url(address: Any) -> str:
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"http://{host}:{address.port}/"


def _text(address: IAddress) -> str:
    host, port = getattr(address, "host", None), getattr(address, "port", None)
    return f"{host}:{port}" if host is not None else str(getattr(address, "name", address))
