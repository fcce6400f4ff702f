"""A real server, a real browser, and what people do on the page.

Starting them takes longer than most tests, so they are shared: a test that needs nobody new talks
with Ann and Bob (:meth:`BrowserCase.pair`), and says what nobody has said before.
"""

from __future__ import annotations

import atexit
import functools
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright
from twisted.trial.unittest import SynchronousTestCase

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 120.0
"""Seconds that anything on a page, or the start of a server, may take before a test fails."""

PASSWORD = "correct horse"

STALE = "net::ERR_EMPTY_RESPONSE"
"""What Chromium says when it uses a connection that it had opened ahead, and that has gone with a
server which was restarted meanwhile.  What it could not load shows in what is missing."""

USUAL: dict[str, Any] = {
    "viewport": {"width": 1280, "height": 800},
    "locale": "en-GB",
    "reduced_motion": "reduce",  # animations cost the processor more than the tests do
}

expect.set_options(timeout=PATIENCE * 1000)


@functools.cache
def the_browser() -> Browser:
    """One Chromium for all tests of a run; everybody has a profile of their own in it."""
    playwright = sync_playwright().start()
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))

    def end() -> None:
        browser.close()
        playwright.stop()

    atexit.register(end)
    return browser


class Server:
    """``twistd chat`` as a process, with its page on a port of 127.0.0.1."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder = folder
        self._options = options
        self._ports = {"listen": 0, "web": 0}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self._ports['web']}/"

    @property
    def port(self) -> int:
        """Where lines are spoken."""
        return self._ports["listen"]

    @property
    def database(self) -> str:
        """Its URL."""
        return f"sqlite:{self._folder / 'chat.sqlite'}"

    def start(self) -> None:
        """Start it; after a :meth:`stop` on the same ports and with the same data."""
        log = self._folder / "log"
        log.write_bytes(b"")
        options = [f"--{name}=tcp:{port}:interface=127.0.0.1" for name, port in self._ports.items()]
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                [Path(sys.executable).with_name("twistd"), "--nodaemon", "--pidfile=", "chat",
                 *options, f"--database={self.database}", "--no-limits",
                 # A browser opens connections ahead, and says so when one is closed under it.
                 "--login-seconds=3600",
                 # A page that acknowledges late makes no difference to what is shown.
                 "--keep-after-seconds=60", *self._options],
                cwd=self._folder, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
            )  # fmt: skip
        deadline = time.monotonic() + PATIENCE
        while (page := re.search(r"the page is at .*:(\d+)", log.read_text())) is None:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"no server: {log.read_text()}")
            time.sleep(0.02)
        listening = re.search(r"listening on .*:(\d+)", log.read_text())
        assert listening is not None
        self._ports = {"listen": int(listening[1]), "web": int(page[1])}

    def stop(self) -> None:
        """End it in order."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait(PATIENCE)

    def lines(self) -> socket.socket:
        """A connection on which one speaks lines."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)


class Person:
    """Somebody at a browser of their own; ``url`` is where the page is."""

    def __init__(self, *, url: str = "", **options: Any) -> None:
        self.url = url or the_server().url
        self.context: BrowserContext = the_browser().new_context(**{**USUAL, **options})
        self.name = ""
        self.id = ""
        self.problems: list[str] = []
        """Errors on the console."""
        self.expected: list[str] = []
        """Parts of those that a test brings about."""
        self.page = self.open()

    def open(self) -> Page:
        """Open the page in a new tab."""
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE * 1000)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("dialog", lambda dialog: self.problems.append(f"dialog {dialog.message}"))
        self.page.goto(self.url)
        return self.page

    def _said(self, message: Any) -> None:
        expected = (STALE, *self.expected)
        if message.type == "error" and not any(part in message.text for part in expected):
            self.problems.append(message.text)

    # Logging in

    def register(self, name: str) -> Person:
        """Make an account, and see one's number."""
        page = self.page
        page.get_by_label("Your name").fill(name)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Create account").click()
        self.name, self.id = name, page.locator("dialog .number b").inner_text()
        page.get_by_role("button", name="Start chatting").click()
        expect(page.locator("body")).to_have_attribute("data-connection", "online")
        return self

    def log_in(self, user_id: str, password: str = PASSWORD) -> None:
        """Fill in the form for those who have an account."""
        switch = self.page.get_by_role("button", name="Have an account?")
        number = self.page.get_by_label("Your number")
        expect(switch.or_(number)).to_be_visible()
        if switch.is_visible():
            switch.click()
        number.fill(user_id)
        self.page.get_by_label("Password", exact=True).fill(password)
        self.page.get_by_role("button", name="Log in", exact=True).click()

    def is_online(self) -> None:
        """Wait until this page is logged in."""
        expect(self.page.locator("body")).to_have_attribute("data-connection", "online")
        expect(self.page.locator(".shell")).to_be_visible()

    # Finding one's way

    def go(self, tab: str) -> None:
        """Choose ``Chats``, ``Friends`` or ``Groups``."""
        self.page.locator(".rail").get_by_role("link", name=tab).click()

    def find(self, name: str) -> Locator:
        """Look somebody up; the card that opens."""
        self.go("Friends")
        self.page.get_by_role("searchbox", name="Find by name or number").fill(name)
        self.page.get_by_role("button", name="Find").click()
        card = self.page.get_by_role("dialog", name=name)
        expect(card).to_be_visible()
        return card

    def befriend(self, other: Person) -> None:
        """Ask somebody, who accepts."""
        card = self.find(other.name)
        card.get_by_label("Say hello (optional)").fill("it is me")
        card.get_by_role("button", name="Add friend").click()
        other.go("Friends")
        request = other.page.locator(".request")
        expect(request).to_contain_text("it is me")
        request.get_by_role("button", name="Accept").click()
        for one, friend in ((self, other), (other, self)):
            one.go("Friends")
            expect(one.friend(friend.name)).to_be_visible()

    def friend(self, name: str) -> Locator:
        """The line of a friend."""
        return self._row("Friends", name)

    def chat(self, name: str) -> Locator:
        """The line of a conversation."""
        return self._row("Chats", name)

    def _row(self, panel: str, name: str) -> Locator:
        title = self.page.locator(".row-name").get_by_text(name, exact=True)
        return self.page.locator(f"section[aria-label={panel}] .row", has=title)

    def enter(self, name: str) -> None:
        """Open a conversation from the list."""
        self.go("Chats")
        self.chat(name).click()
        self.is_in(name)

    def talk_to(self, name: str) -> None:
        """Open a conversation with somebody for the first time."""
        self.find(name).get_by_role("button", name="Message").click()
        self.is_in(name)

    def is_in(self, name: str) -> None:
        """Wait until this conversation is on the screen."""
        expect(self.page.locator(".room-head h2")).to_have_text(name)

    # Talking

    def say(self, text: str) -> None:
        """Write something, and send it."""
        box = self.page.locator(".composer textarea")
        box.fill(text)
        box.press("Enter")

    def bubble(self, text: str) -> Locator:
        """The message with exactly this text."""
        return self.page.locator(".item", has=self.page.get_by_text(text, exact=True)).last

    def sees(self, text: str) -> None:
        """Wait for a message of somebody else."""
        expect(self.bubble(text)).to_have_class(re.compile(r"\btheirs\b"))

    def last_texts(self, number: int) -> list[str]:
        """What was said last."""
        return self.page.locator(".item .text").all_inner_texts()[-number:]

    def has_mark(self, text: str, *marks: str) -> None:
        """Wait until one's own message has one of these marks."""
        icon = self.bubble(text).locator(".meta svg")
        expect(icon).to_have_attribute("aria-label", re.compile(f"^(?:{'|'.join(marks)})$"))


@functools.cache
def the_server() -> Server:
    """One server for all tests of a run; who restarts it leaves it running."""
    folder = Path(tempfile.mkdtemp(prefix="chat-browser-"))
    server = Server(folder)
    server.start()
    atexit.register(shutil.rmtree, folder)
    atexit.register(server.stop)
    return server


@functools.cache
def the_pair() -> tuple[Person, Person]:
    """Ann and Bob, who are friends, each with a browser that stays open from test to test."""
    ann, bob = Person().register("Ann"), Person().register("Bob")
    ann.befriend(bob)
    return ann, bob


class BrowserCase(SynchronousTestCase):
    """A server and a browser; a console error fails the test."""

    def setUp(self) -> None:
        self.server = the_server()
        self._people: list[Person] = []

    def person(self, name: str = "", **options: Any) -> Person:
        """Somebody with a browser of their own; with a name, registered."""
        person = Person(**options)
        self.addCleanup(person.context.close)
        self._people.append(person)
        return person.register(name) if name else person

    def pair(self) -> tuple[Person, Person]:
        """Ann and Bob, at their lists of conversations."""
        pair = the_pair()
        for person in pair:
            person.page.evaluate("location.hash = '#/chats'")
            person.expected.clear()
        self._people += pair
        return pair

    def tearDown(self) -> None:
        for person in self._people:
            problems, person.problems = person.problems, []
            self.assertEqual(problems, [], f"{person.name}'s console")
