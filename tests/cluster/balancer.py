"""HAProxy with the configuration of the docs, whose addresses and paths become the test's own."""

from __future__ import annotations

import csv
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import NamedTuple

from tests.faults.proxy import LOCALHOST
from tests.faults.world import PATIENCE, ROOT

from .ports import free_port

CONFIGURATION = ROOT / "docs" / "haproxy.cfg"
NODES = 3
"""As many as the configuration has."""


class Behind(NamedTuple):
    """The ports of a node that stands behind it."""

    chat: int
    page: int
    status: int


def make_certificate(folder: Path) -> Path:
    """A key and a certificate that nobody vouches for, in one file."""
    key, certificate, both = (folder / name for name in ("key.pem", "cert.pem", "chat.pem"))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=chat"],
        check=True, capture_output=True,
    )  # fmt: skip
    both.write_text(certificate.read_text() + key.read_text())
    return both


class Balancer:
    """One process.

    :param behind: up to :data:`NODES` nodes.
    :param most: connections at the same time.
    """

    def __init__(self, behind: Sequence[Behind], most: int = 1000) -> None:
        # A short path: HAProxy takes 97 bytes for its socket.
        self.folder = Path(tempfile.mkdtemp(prefix="chat-haproxy-", dir="/tmp"))
        self.port = free_port()
        """For clients in the clear."""
        self.tls = free_port()
        self.page = free_port()
        """The page over TLS."""
        self.configuration = self.folder / "haproxy.cfg"
        self.socket = self.folder / "socket"
        self._most = most
        self._process: subprocess.Popen[bytes] | None = None
        self.configuration.write_text(self._configured(behind))

    def _configured(self, behind: Sequence[Behind]) -> str:
        changes = {
            "    user haproxy\n    group haproxy\n": "",  # it is whoever runs the test
            "maxconn 100000": f"maxconn {self._most}",
            "/run/haproxy/admin.sock": str(self.socket),
            "/dev/log local0": "stdout format raw local0",
            "bind :6697 ": f"bind {LOCALHOST}:{self.tls} ",
            "#bind :6000 ": f"bind {LOCALHOST}:{self.port} ",
            "bind :443 ": f"bind {LOCALHOST}:{self.page} ",
            "/etc/haproxy/chat.pem": str(make_certificate(self.folder)),
        }
        for number, node in enumerate(behind, 1):
            for port, own in ((6000, node.chat), (8080, node.page)):
                there = f"10.0.0.{10 + number}:{port}\n"
                changes[there] = f"{LOCALHOST}:{own} port {node.status}\n"
        text = CONFIGURATION.read_text()
        for old, new in changes.items():
            assert old in text, f"{CONFIGURATION} has no {old!r} any more"
            text = text.replace(old, new)
        return re.sub(r"^ +server .* 10\.0\.0\..*\n", "", text, flags=re.MULTILINE)

    def check(self) -> str:
        """What HAProxy itself has to say about the configuration."""
        done = subprocess.run(
            [_program(), "-c", "-f", self.configuration],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        return done.stdout.strip()

    def start(self) -> None:
        """Returns when it answers."""
        with (self.folder / "haproxy.log").open("ab") as log:
            self._process = subprocess.Popen(
                [_program(), "-db", "-f", self.configuration],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        until = monotonic() + PATIENCE
        while True:
            try:
                self.states()
                return
            except OSError:
                if self._process.poll() is not None or monotonic() > until:
                    raise RuntimeError((self.folder / "haproxy.log").read_text()) from None
            sleep(0.02)  # between two looks at the condition awaited

    def states(self, backend: str = "chat") -> dict[str, str]:
        """By server, what HAProxy thinks of it: ``UP``, ``DOWN``, and how sure it is."""
        rows = csv.DictReader(self._ask("show stat").removeprefix("# ").splitlines())
        return {
            row["svname"]: row["status"]
            for row in rows
            if row["pxname"] == backend and row["svname"] not in ("FRONTEND", "BACKEND")
        }

    def tell(self, command: str) -> None:
        """What an operator types."""
        answer = self._ask(command).strip()
        assert not answer, answer

    def _ask(self, command: str) -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(str(self.socket))
            connection.sendall(f"{command}\n".encode())
            answer = b""
            while data := connection.recv(1 << 16):
                answer += data
        return answer.decode()

    def end(self) -> None:
        """The process and its folder are gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def _program() -> str:
    found = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if found is None:
        raise FileNotFoundError("install Debian's haproxy")
    return found
