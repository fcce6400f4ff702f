"""TLS with files of one's own, renewed while the server runs; and warnings where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase, TestCase

from chat.config import Settings
from chat.errors import BadStart
from chat.listeners import CERTIFICATE_SECONDS, Listeners
from chat.service import ChatService, make_service
from chat.tls import CertificateFiles

from .cables import Client, TcpCable, _Plug

LOCAL = "tcp:0:interface=127.0.0.1"


def make_certificate(folder: Path, name: str = "chat", *extensions: str) -> None:
    """A key and a certificate of its own, ``name.key`` and ``name.pem``."""
    folder.mkdir(exist_ok=True)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "2",
         "-subj", f"/CN={name}", *(word for it in extensions for word in ("-addext", it))],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip


def shown(files: CertificateFiles) -> str:
    """Whose certificate a client is shown."""
    server = files.serverConnectionForTLS(None)  # type: ignore[arg-type]
    certificate = server.get_certificate()
    assert certificate is not None
    return str(certificate.get_subject().CN)


class FilesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        for name in ("chat", "other"):
            make_certificate(self.folder, name)
        self.certificate, self.key = (str(self.folder / f"chat.{end}") for end in ("pem", "key"))
        self.ticks = 0

    def put(self, what: str, data: bytes) -> None:
        """Write a file anew, at a time of its own however coarse the clock is."""
        path = self.folder / what
        path.write_bytes(data)
        self.ticks += 1
        os.utime(path, (self.ticks, self.ticks))

    def take(self, name: str) -> bytes:
        """What a file holds."""
        return (self.folder / name).read_bytes()

    def test_renewed_files_are_used(self) -> None:
        files = CertificateFiles(self.certificate, self.key)
        self.assertEqual(shown(files), "chat")
        files.look()
        self.assertEqual(shown(files), "chat")
        self.put("chat.pem", self.take("other.pem"))
        self.put("chat.key", self.take("other.key"))
        with capturedLogs() as events:
            files.look()
            files.look()
        self.assertEqual(shown(files), "other")
        self.assertEqual([event["log_level"] for event in events], [LogLevel.info])

    def test_the_old_one_is_kept_while_the_new_one_cannot_be_used(self) -> None:
        files = CertificateFiles(self.certificate, self.key)
        steps = (
            ("chat.pem", self.take("other.pem"), "is not the key of"),
            ("chat.pem", self.take("other.pem")[:100], "holds no certificate"),
            ("chat.pem", b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----", "cannot be"),
            ("chat.pem", b"", "holds no certificate"),
            ("chat.pem", self.take("other.pem"), "is not the key of"),
            ("chat.key", b"", "holds no key"),
        )
        for name, data, reason in steps:
            self.put(name, data)
            with capturedLogs() as events:
                files.look()
                # Said once, not every few seconds.
                files.look()
            self.assertEqual(len(events), 1, reason)
            self.assertEqual(events[0]["log_level"], LogLevel.error)
            self.assertIn(reason, formatEvent(events[0]))
            self.assertEqual(shown(files), "chat")
        self.put("chat.key", self.take("other.key"))
        files.look()
        self.assertEqual(shown(files), "other")

    def test_files_that_are_gone_for_a_while(self) -> None:
        files = CertificateFiles(self.certificate, self.key)
        (self.folder / "chat.pem").unlink()
        with capturedLogs() as events:
            files.look()
            files.look()
        self.assertEqual(len(events), 1)
        self.assertIn("No such file", formatEvent(events[0]))
        self.assertEqual(shown(files), "chat")
        self.put("chat.pem", self.take("other.pem"))
        self.put("chat.key", self.take("other.key"))
        files.look()
        self.assertEqual(shown(files), "other")

    def test_a_link_that_is_changed_is_a_renewal(self) -> None:
        link = self.folder / "live.pem"
        for name in ("chat", "other"):
            both = self.folder / f"{name}.both"
            both.write_bytes(self.take(f"{name}.key") + self.take(f"{name}.pem"))
        link.symlink_to("chat.both")
        files = CertificateFiles(str(link), str(link))
        self.assertEqual(shown(files), "chat")
        new = self.folder / "new"
        new.symlink_to("other.both")
        new.rename(link)
        files.look()
        self.assertEqual(shown(files), "other")

    def test_what_cannot_be_used_at_the_start(self) -> None:
        locked = str(self.folder / "locked.key")
        subprocess.run(
            ["openssl", "pkey", "-in", self.key, "-aes256", "-passout", "pass:x", "-out", locked],
            check=True, capture_output=True,
        )  # fmt: skip
        for certificate, key, reason in (
            (self.certificate, str(self.folder / "other.key"), "is not the key of"),
            (self.key, self.key, "holds no certificate"),
            (self.certificate, self.certificate, "holds no key"),
            (self.certificate, locked, "without a passphrase"),
            (str(self.folder / "none"), self.key, "No such file"),
            (str(self.folder), self.key, "Is a directory"),
        ):
            error = self.assertRaises(BadStart, CertificateFiles, certificate, key)
            self.assertIn(reason, str(error))
            self.assertNotIn("\n", str(error))

    def test_without_pyopenssl(self) -> None:
        self.addCleanup(sys.modules.__setitem__, "OpenSSL", sys.modules["OpenSSL"])
        sys.modules["OpenSSL"] = None  # type: ignore[assignment]
        settings = Settings(
            database="memory:", web="none", tls_listen=(LOCAL,), tls_certificate=self.certificate,
            tls_key=self.key,
        )  # fmt: skip
        error = self.assertRaises(BadStart, make_service, settings, reactor)
        self.assertIn("twistd-chat[tls]", str(error))
        service = make_service(Settings(database="memory:", web="none", listen=("ssl:0",)), reactor)
        error = self.assertRaises(BadStart, service.privilegedStartService)
        self.assertIn("twistd-chat[tls]", str(error))

    def test_options_that_do_not_go_together(self) -> None:
        for settings in (
            Settings(database="memory:", tls_listen=(LOCAL,)),
            Settings(database="memory:", tls_web=LOCAL),
            Settings(database="memory:", tls_key=self.key),
            Settings(database="memory:", tls_certificate=self.certificate, tls_key=self.key),
        ):
            error = self.assertRaises(BadStart, make_service, settings, reactor)
            self.assertIn("--tls-", str(error))


class ServedTests(TestCase):
    """A whole service with a certificate, and clients that look at it."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        self.folder = Path(self.mktemp())
        make_certificate(self.folder)
        self.clients: list[_Plug] = []
        self.service: ChatService = make_service(
            Settings(
                database="memory:", listen=(), web="none", tls_listen=(LOCAL,), tls_web=LOCAL,
                tls_certificate=str(self.folder / "chat.pem"),
                tls_key=str(self.folder / "chat.key"),
            ),
            reactor,
        )  # fmt: skip
        self.service.privilegedStartService()
        self.service.startService()
        await self.service.started
        self.addCleanup(self.service.stopService)
        self.addCleanup(self.hang_up)

    async def hang_up(self) -> None:
        """Nobody is left."""
        for plug in self.clients:
            assert plug.client is not None
            if not plug.client.closed:
                plug.transport.abortConnection()  # type: ignore[union-attr]
            while not plug.client.closed:
                await plug.client.cable.more()

    def port(self, option: str) -> int:
        """Where that listens."""
        (ports,) = [it for it, _ in self.service.listeners._ports if it._option == option]
        (address,) = ports.addresses()
        return int(address.port)  # type: ignore[attr-defined]

    async def connect(self, option: str, **versions: Any) -> _Plug:
        """A client over TLS."""
        plug = _Plug()
        plug.client = Client(lambda client: TcpCable(plug, client))
        endpoint = wrapClientTLS(
            CertificateOptions(verify=False, **versions),
            TCP4ClientEndpoint(reactor, "127.0.0.1", self.port(option)),
        )
        await connectProtocol(endpoint, plug)
        plug.client.cable.transport = plug.transport  # type: ignore[attr-defined]
        self.clients.append(plug)
        return plug

    def shown(self, plug: _Plug) -> str:
        """Whose certificate the client was shown."""
        assert ISSLTransport.providedBy(plug.transport)
        transport: Any = plug.transport
        name: str = transport.getPeerCertificate().get_subject().CN
        return name

    async def test_lines(self) -> None:
        plug = await self.connect("--tls-listen")
        assert plug.client is not None
        answer = await plug.client.ask({"msgid": 3, "name": "ann", "password": "x"})
        self.assertEqual(answer["errno"], 0)
        answer = await plug.client.ask({"msgid": 1, "id": answer["id"], "password": "x"})
        self.assertEqual(answer["errno"], 0)
        self.assertEqual(self.shown(plug), "chat")

    async def test_the_page(self) -> None:
        plug = await self.connect("--tls-web")
        assert plug.client is not None and plug.transport is not None
        plug.transport.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        self.assertEqual(await plug.client.line(), b"HTTP/1.1 200 OK\r")

    async def test_a_socket_from_a_page_over_tls(self) -> None:
        plug = await self.connect("--tls-web")
        assert plug.client is not None and plug.transport is not None
        plug.transport.write(
            b"GET /ws HTTP/1.1\r\nhost: chat.example\r\norigin: https://chat.example\r\n"
            b"upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n"
            b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        self.assertEqual(await plug.client.line(), b"HTTP/1.1 101 Switching Protocols\r")

    async def test_nothing_below_1_2(self) -> None:
        plug = await self.connect(
            "--tls-listen", insecurelyLowerMinimumTo=TLSVersion.TLSv1_0,
            lowerMaximumSecurityTo=TLSVersion.TLSv1_1,
        )  # fmt: skip
        assert plug.client is not None
        plug.client.send({"msgid": 13})
        self.assertEqual(await plug.client.end(), [])
        plug = await self.connect("--tls-listen", lowerMaximumSecurityTo=TLSVersion.TLSv1_2,
                                  insecurelyLowerMinimumTo=TLSVersion.TLSv1_2)  # fmt: skip
        assert plug.client is not None
        self.assertEqual(await plug.client.ask({"msgid": 13}), {"msgid": 14})

    async def test_renewed_while_it_runs(self) -> None:
        before = await self.connect("--tls-listen")
        assert before.client is not None
        await before.client.nothing()
        make_certificate(self.folder, "new")
        for end in ("pem", "key"):
            (self.folder / f"new.{end}").rename(self.folder / f"chat.{end}")
        watching = self.service.listeners._watching
        assert watching is not None
        self.assertEqual(watching.interval, CERTIFICATE_SECONDS)
        watching.f()
        for option in ("--tls-listen", "--tls-web"):
            plug = await self.connect(option)
            assert plug.client is not None and plug.transport is not None
            plug.transport.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            await plug.client.line()
            self.assertEqual(self.shown(plug), "new")
        # Who was there before is not disturbed.
        await before.client.nothing()
        self.assertEqual(self.shown(before), "chat")

    async def test_what_is_no_tls(self) -> None:
        plug = _Plug()
        plug.client = Client(lambda client: TcpCable(plug, client))
        port = self.port("--tls-listen")
        await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port), plug)
        plug.client.cable.transport = plug.transport  # type: ignore[attr-defined]
        plug.transport.write(b'{"msgid":13}\n')  # type: ignore[union-attr]
        while not plug.client.closed:
            plug.client._rest = b""
            await plug.client.cable.more()
        plug = await self.connect("--tls-listen")
        assert plug.client is not None
        await plug.client.nothing()


class WarningTests(TestCase):
    """Cleartext where others than this machine can connect."""

    def warned(self, **settings: Any) -> list[str]:
        """What is said of these listeners at the start."""
        given = {"database": "memory:", "listen": (), "web": "none", **settings}
        service = make_service(Settings(**given), reactor)
        listeners: Listeners = service.listeners
        listeners.bind()
        self.addCleanup(service.store.close)
        try:
            with capturedLogs() as events:
                listeners.tell()
        finally:
            for ports, _ in listeners._ports:
                self.addCleanup(ports.stopService)
        return [formatEvent(it) for it in events if it["log_level"] is LogLevel.warn]

    def test_cleartext_for_others(self) -> None:
        for settings in (
            {"listen": ("tcp:0",)},
            {"listen": ("tcp:0:interface=0.0.0.0",)},
            {"listen": ("haproxy:tcp:0:interface=0.0.0.0",)},
            {"web": "tcp:0"},
            {"original": ("tcp:0",)},
        ):
            (text,) = self.warned(**settings)
            self.assertIn("not encrypted", text)
            self.assertIn("0.0.0.0", text)

    def test_no_cause(self) -> None:
        folder = Path(self.mktemp())
        make_certificate(folder)
        both = folder / "both.pem"
        both.write_bytes((folder / "chat.key").read_bytes() + (folder / "chat.pem").read_bytes())
        self.assertEqual(
            self.warned(
                listen=(
                    LOCAL, "tcp6:0:interface=\\:\\:1", f"ssl:0:privateKey={both}:certKey={both}",
                    f"unix:{folder.absolute()}/s",
                ),
                tls_listen=("tcp:0",), tls_web="tcp:0", tls_certificate=str(both),
            ),
            [],
        )  # fmt: skip


