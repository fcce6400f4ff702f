"""The page's files over HTTP: what is sent with them, and what is not to be had."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

import chat
from chat.config import Settings
from chat.page import page_site, same_place
from chat.service import Server
from chat.storage import open_store

from .cables import Time
from .support import PasswordsInMemory

FOLDER = Path(chat.__file__).parent / "web"
FIRST_VIEW = 100 << 10
"""Bytes that the first view may have, uncompressed."""

IMPORT = re.compile(r"""(?:^|\s)(?:import|export)\s[^;]*?from\s+"([^"]+)";""", re.MULTILINE)


class Answer:
    """An HTTP answer, taken apart."""

    def __init__(self, data: bytes) -> None:
        head, _, self.body = data.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        self.status = int(status.split()[1])
        fields = (line.split(": ", 1) for line in lines)
        self.headers = {name.lower(): value for name, value in fields}


class PageCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.time = Time()
        store = open_store("memory:", self.time)
        server = Server(Settings(login_seconds=30), store, self.time, PasswordsInMemory())
        self.site: Any = page_site(server, server.turn, ())
        self.site.reactor = self.time

    def connect(self) -> Any:
        """A connection on which nothing has been asked yet."""
        channel = self.site.buildProtocol(None)
        channel.callLater = self.time.callLater
        transport = StringTransport()
        transport.abortConnection = transport.loseConnection  # type: ignore[method-assign]
        channel.makeConnection(transport)
        return channel

    def get(
        self, path: str, headers: Mapping[str, str] = {}, method: str = "GET", body: bytes = b""
    ) -> Answer:
        """Ask for something."""
        channel = self.connect()
        lines = [f"{method} {path} HTTP/1.1", "Host: x", *(f"{n}: {v}" for n, v in headers.items())]
        channel.dataReceived("\r\n".join([*lines, "", ""]).encode() + body)
        return Answer(channel.transport.value())


class FilesTests(PageCase):
    def test_page(self) -> None:
        answer = self.get("/")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.body, (FOLDER / "index.html").read_bytes())
        self.assertEqual(answer.headers["content-type"], "text/html; charset=utf-8")
        self.assertEqual(self.get("/index.html").body, answer.body)

    def test_every_file(self) -> None:
        types = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
        for path in FOLDER.rglob("*.*"):
            if path.suffix in types:
                answer = self.get(f"/{path.relative_to(FOLDER)}")
                self.assertEqual(answer.body, path.read_bytes(), path)
                self.assertTrue(answer.headers["content-type"].startswith(types[path.suffix]), path)

    def test_safety(self) -> None:
        for path in ("/", "/style.css", "/nothing", "/ws"):
            headers = self.get(path).headers
            parts = headers["content-security-policy"].split("; ")
            policy = dict(part.split(None, 1) for part in parts)
            self.assertEqual(policy["default-src"], "'none'")
            sources = {value for name, value in policy.items() if name.endswith("-src")}
            self.assertEqual(sources, {"'none'", "'self'"})
            self.assertEqual(policy["frame-ancestors"], "'none'")
            self.assertEqual(policy["require-trusted-types-for"], "'script'")
            self.assertEqual(headers["x-content-type-options"], "nosniff")
            self.assertEqual(headers["referrer-policy"], "no-referrer")
            self.assertNotIn("Twisted", headers["server"])

    def test_nothing_else_is_to_be_had(self) -> None:
        for path in ("/nothing", "/js", "/js/", "//", "/../config.py", "/js/../../config.py",
                     "/%2e%2e/config.py", "/index.html/", "/js\\main.js", "/ws/x"):  # fmt: skip
            self.assertEqual(self.get(path).status, 404, path)

    def test_only_reading(self) -> None:
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE"):
            answer = self.get("/", method=method)
            self.assertEqual((answer.status, answer.headers["allow"]), (405, "GET, HEAD"), method)

    def test_head(self) -> None:
        answer = self.get("/", method="HEAD")
        self.assertEqual((answer.status, answer.body), (200, b""))

    def test_a_body_is_thrown_away(self) -> None:
        channel = self.connect()
        channel.dataReceived(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        request = channel.requests[-1]
        for _ in range(9):
            channel.dataReceived(b"x" * 100_000)
        self.assertEqual(request.content.getvalue(), b"")
        channel.dataReceived(b"x" * 100_000)
        self.assertEqual(Answer(channel.transport.value()).status, 405)

    def test_unchanged(self) -> None:
        tag = self.get("/").headers["etag"]
        answer = self.get("/", {"If-None-Match": tag})
        self.assertEqual((answer.status, answer.body), (304, b""))
        self.assertEqual(answer.headers["etag"], tag)
        self.assertEqual(self.get("/", {"If-None-Match": '"another"'}).status, 200)
        self.assertNotEqual(self.get("/style.css").headers["etag"], tag)
        self.assertEqual(self.get("/").headers["cache-control"], "no-cache")

    def test_packed(self) -> None:
        answer = self.get("/style.css", {"Accept-Encoding": "br, gzip"})
        self.assertEqual(answer.headers["content-encoding"], "gzip")
        self.assertEqual(gzip.decompress(answer.body), (FOLDER / "style.css").read_bytes())
        self.assertEqual(answer.headers["vary"], "accept-encoding")
        self.assertNotIn("content-encoding", self.get("/style.css").headers)


class PatienceTests(PageCase):
    def test_a_request_that_comes_byte_by_byte(self) -> None:
        channel = self.connect()
        for byte in b"GET / HTTP/1.1\r\nHost: x":
            channel.dataReceived(bytes([byte]))
            self.time.go(1.4)
        self.assertTrue(channel.transport.disconnecting)

    def test_silence_after_an_answer(self) -> None:
        channel = self.connect()
        self.time.go(20)
        channel.dataReceived(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        self.time.go(20)
        self.assertFalse(channel.transport.disconnecting)
        self.time.go(11)
        self.assertTrue(channel.transport.disconnecting)


class SourcesTests(SynchronousTestCase):
    """What is promised of the page's own text."""

    def sources(self) -> dict[str, str]:
        """Every module by its path."""
        return {str(p.relative_to(FOLDER)): p.read_text() for p in FOLDER.rglob("*.js")}

    def needed(self, *roots: str) -> set[str]:
        """The modules that these need before they run."""
        found: set[str] = set()
        waiting = list(roots)
        while waiting:
            name = waiting.pop()
            if name in found:
                continue
            found.add(name)
            for other in IMPORT.findall((FOLDER / name).read_text()):
                path = (FOLDER / name).parent / other
                waiting.append(str(path.resolve().relative_to(FOLDER.resolve())))
        return found

    def test_first_views_are_small(self) -> None:
        """Before one is logged in, and after it: the list of conversations."""
        for view in ("entry", "shell"):
            names = self.needed("js/main.js", f"js/views/{view}.js", "js/lang/en.js")
            names |= {"index.html", "style.css", "icon.svg"}
            size = sum((FOLDER / name).stat().st_size for name in names)
            self.assertLess(size, FIRST_VIEW, view)
            self.assertGreater(size, FIRST_VIEW // 2, view)

    def test_what_is_always_needed_is_fetched_ahead(self) -> None:
        page = (FOLDER / "index.html").read_text()
        named = re.findall(r'rel="modulepreload" href="([^"]+)"', page)
        self.assertEqual(sorted(named), sorted(self.needed("js/main.js") - {"js/main.js"}))

    def test_no_markup_is_made_of_text(self) -> None:
        forbidden = re.compile(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|srcdoc|\beval\b"
            r"|new Function"
        )
        for name, source in self.sources().items():
            self.assertIsNone(forbidden.search(source), name)

    def test_nothing_comes_from_elsewhere(self) -> None:
        for path in FOLDER.rglob("*.*"):
            found = re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"']*", path.read_text())
            self.assertEqual([url for url in found if "www.w3.org" not in url], [], path)

    def test_languages_say_the_same_things(self) -> None:
        keys = {}
        for language in ("en", "zh"):
            text = (FOLDER / "js" / "lang" / f"{language}.js").read_text()
            keys[language] = re.findall(r'^  "([^"]+)":', text, re.MULTILINE)
            self.assertEqual(len(keys[language]), len(set(keys[language])))
        self.assertEqual(keys["en"], keys["zh"])

    def test_every_word_is_there_and_used(self) -> None:
        text = (FOLDER / "js" / "lang" / "en.js").read_text()
        known = set(re.findall(r'^  "([^"]+)":', text, re.MULTILINE))
        used: set[str] = set()
        stems: set[str] = set()
        for name, source in self.sources().items():
            if not name.startswith("js/lang/"):
                used |= {word for word in re.findall(r'"([\w.]+)"', source) if word in known}
                stems |= set(re.findall(r"t\(`([\w.]+\.)\$\{", source))
                asked = set(re.findall(r'\bt\("([\w.]+)"', source))
                self.assertEqual(asked - known, set(), name)
        unused = {word for word in known - used if not any(word.startswith(stem) for stem in stems)}
        self.assertEqual(unused, set())


class SamePlaceTests(SynchronousTestCase):
    def test_same_place(self) -> None:
        for origin, host, same in (
            ("http://a.test", "a.test", True),
            ("http://a.test:80", "a.test", True),
            ("https://a.test", "a.test:443", True),
            ("https://a.test", "a.test:80", False),
            ("http://a.test:8080", "a.test:8080", True),
            ("http://a.test:8080", "a.test", False),
            ("http://user@a.test", "a.test", False),
            ("ftp://a.test", "a.test", False),
            ("a.test", "a.test", False),
            ("", "", False),
            ("http://", "", False),
        ):
            self.assertEqual(same_place(origin, host), same, (origin, host))
