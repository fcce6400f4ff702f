"""The library over TLS."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.ssl import PrivateCertificate
from twisted.trial.unittest import TestCase

from chat.client import Client, Disconnected, register
from tests.support import PASSWORD, OverTcp


class TlsTests(OverTcp, TestCase):
    bounds = {"keep_after_seconds": 1.0}  # noqa: RUF012

    async def setUp(self) -> None:  # type: ignore[override]
        await super().setUp()
        folder = Path(self.mktemp()).absolute()
        self.trusted, self.others = folder / "trusted", folder / "others"
        for each in (self.trusted, self.others):
            each.mkdir(parents=True)
            self.make_certificate(each)
        whole = "".join((self.trusted / name).read_text() for name in ("key", "server.pem"))
        options = PrivateCertificate.loadPEM(whole).options()
        self.secure: Any = reactor.listenSSL(0, self.factory, options, interface="127.0.0.1")  # type: ignore[attr-defined]

    def make_certificate(self, folder: Path) -> None:
        subprocess.run(
            [
                *(
                    "openssl",
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:P-256",
                ),
                *("-nodes", "-keyout", "key", "-out", "server.pem", "-days", "2"),
                *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            ],
            cwd=folder,
            check=True,
            capture_output=True,
        )

    async def stop(self) -> None:
        await self.secure.stopListening()
        await super().stop()

    def endpoint(self, trust: Path) -> str:
        return f"tls:localhost:{self.secure.getHost().port}:trustRoots={trust}"

    async def test_they_talk(self) -> None:
        ends = self.endpoint(self.trusted)
        ann_id, bob_id = [await register(ends, name, PASSWORD) for name in ("ann", "bob")]
        ann, bob = (Client(ends, user_id, PASSWORD) for user_id in (ann_id, bob_id))
        for client in (ann, bob):
            client.startService()
            self.addCleanup(client.stopService)
            await client.when_online()
        sent = ann.send(bob_id, "x" * 60_000)
        message = await anext(bob.messages())
        self.assertEqual(message.msg, "x" * 60_000)
        self.assertEqual((await sent).state, "stored")

    async def test_a_stranger_is_told_nothing(self) -> None:
        try:
            await register(self.endpoint(self.others), "ann", PASSWORD)
        except Disconnected:
            pass
        else:
            self.fail("it trusted a certificate that it does not know")
        self.assertIsNone(await self.server.store.users.find("ann"))
