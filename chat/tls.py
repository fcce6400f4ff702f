"""TLS with a certificate that is renewed while the server runs.

The files are looked at now and then; what they hold is for the connections that come after it.
When they cannot be used (half written, a key of another certificate) the old ones stay in use.
TLS 1.2 and up, with Twisted's choice of ciphers.

Importing this needs pyOpenSSL, the extra ``tls``.
"""

from __future__ import annotations

import os
import re
from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IProtocolFactory
from twisted.internet.ssl import CertificateOptions
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

from .errors import BadStart

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


@implementer(IOpenSSLServerConnectionCreator)
class CertificateFiles:
    """A certificate, its chain and its key, in PEM files.

    :param certificate: the server's certificate first, then those that vouch for it.
    :param key: may be the same file.
    :raises BadStart: they cannot be used.
    """

    log = Logger()

    def __init__(self, certificate: str, key: str) -> None:
        self._paths = (certificate, key)
        try:
            self._seen = self._stamps()
            self._context = self._load()
        except Exception as error:
            raise BadStart(f"TLS: {self._reason(error)}") from None

    def look(self) -> None:
        """Use what the files hold now, if that has changed and can be used."""
        try:
            stamps = self._stamps()
            if stamps == self._seen:
                return
            self._seen = stamps
            self._context = self._load()
        except Exception as error:
            if isinstance(error, OSError):
                if self._seen == ():
                    return
                self._seen = ()
            self.log.error(
                "TLS: the old certificate stays in use: {reason}", reason=self._reason(error)
            )
        else:
            self.log.info("TLS: {path} is used from now on", path=self._paths[0])

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N802
        """What encrypts one connection."""
        return SSL.Connection(self._context, None)

    def over_tls(self, factory: IProtocolFactory) -> TLSMemoryBIOFactory:
        """The same factory, for clients that speak TLS."""
        return TLSMemoryBIOFactory(self, False, factory)

    def _stamps(self) -> tuple[object, ...]:
        """Other ones when the files are."""
        found = [os.stat(path) for path in self._paths]
        return tuple((it.st_mtime_ns, it.st_size, it.st_ino, it.st_dev) for it in found)

    def _load(self) -> SSL.Context:
        certificate, key = self._paths
        with open(certificate, "rb") as file:
            blocks = _CERTIFICATE.findall(file.read())
        if not blocks:
            raise ValueError(f"{certificate} holds no certificate in PEM form")
        first, *chain = (crypto.load_certificate(crypto.FILETYPE_PEM, block) for block in blocks)
        with open(key, "rb") as file:
            text = file.read()
        try:
            # A passphrase that does not fit, so that nobody is asked for one at the terminal.
            private = crypto.load_privatekey(crypto.FILETYPE_PEM, text, b"")
        except Exception:
            raise ValueError(f"{key} holds no key in PEM form without a passphrase") from None
        options = CertificateOptions(
            privateKey=private, certificate=first, extraCertChain=chain or None
        )
        try:
            context: Any = options.getContext()
        except SSL.Error:
            raise ValueError(f"{key} is not the key of {certificate}") from None
        return context  # type: ignore[no-any-return]

    def _reason(self, error: Exception) -> str:
        if isinstance(error, OSError):
            return f"{error.filename}: {error.strerror}"
        if isinstance(error, ValueError):
            return str(error)
        return f"{self._paths[0]} cannot be read as a certificate"
