"""All that an operator can set.

:class:`Settings` is the one table: each field has its group, its unit, its bounds and its text
beside its default.  :mod:`chat.options` makes of it what the command line, the environment and the
manual need; a new setting is a new field and nothing else.
"""

from __future__ import annotations

import os
import re
import sys
from functools import cache
from secrets import token_hex
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

UNLIMITED = sys.maxsize
"""What a bound is when ``--no-limits`` has lifted it."""

BASICS = "Basics"
CONNECTIONS = "Connections"
CUSTODY = "Custody of messages"
MAILBOXES = "Mailboxes (lifted by --no-limits)"
LIMITS = "Limits (lifted by --no-limits)"
STORE = "Store and history"
PEOPLE = "Friends and groups"
PROCESS = "Process"
SERVERS = "Several servers"

LIFTED = (
    "mailbox_messages",
    "mailbox_per_sender",
    "failed_logins",
    "failed_logins_per_address",
    "registrations",
    "requests_burst",
    "bad_lines",
    "strangers_per_address",
    "connections",
)
"""The fields that ``--no-limits`` lifts."""


def _words(group: str, unit: str, text: str) -> Meta:
    return Meta(description=text, extra={"group": group, "unit": unit})


def _number(group: str, low: float, high: float, text: str, unit: str = "NUMBER") -> Meta:
    return Meta(ge=low, le=high, description=text, extra={"group": group, "unit": unit})


def _size(group: str, low: int, high: int, text: str) -> Meta:
    return _number(group, low, high, text, "BYTES")


def _seconds(group: str, high: int, text: str) -> Meta:
    return _number(group, 0.01, high, text, "SECONDS")


def _cores() -> int:
    return len(os.sched_getaffinity(0))


@cache
def _node() -> str:
    """The same for the whole life of a process, and for no other."""
    host = re.sub(r"[^A-Za-z0-9-]+", "-", os.uname().nodename.partition(".")[0])[:40]
    return f"{host or 'node'}-{token_hex(3)}"


_PASSWORD = re.compile(r"(?<=://)([^:/@]*):.*@")


def redacted(url: str) -> str:
    """A database's URL for people: without its password, and without its query."""
    return _PASSWORD.sub(r"\1:***@", url).partition("?")[0]


_ACCESS = re.compile(r"(?<=://).*@")


def redacted_bus(url: str) -> str:
    """A bus's URL for people: without who we are there, which may be a token alone."""
    return _ACCESS.sub("***@", url)


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the server is told when it starts.

    ``Settings(…)`` takes values as they are; :func:`chat.options.settings_from` reads text and
    tests the bounds.  A bound that ``--no-limits`` lifts is :data:`UNLIMITED` from the beginning,
    so whoever reads a field reads the bound in force.
    """

    # fmt: off

    listen: Annotated[tuple[str, ...], _words(BASICS, "ENDPOINT",
        "Where clients connect: any server endpoint of Twisted (tcp:, ssl:, unix:, systemd:,"
        " haproxy:tcp: ...). May be given several times; in the environment several are separated"
        " by spaces.")] = ("tcp:6000:interface=127.0.0.1",)

    web: Annotated[str, _words(BASICS, "ENDPOINT",
        "Where the page for browsers is, with WebSocket below it at /ws; none: nowhere. When its"
        " port is taken, the default one is left out.")] = "tcp:8080:interface=127.0.0.1"

    web_origin: Annotated[tuple[str, ...], _words(BASICS, "ORIGIN",
        "Pages from here (https://chat.example) may connect too, beside those from the host that"
        " the request names. May be given several times.")] = ()

    tls_listen: Annotated[tuple[str, ...], _words(BASICS, "ENDPOINT",
        "Where clients connect over TLS (tcp:6697 ...), with the certificate below. May be given"
        " several times.")] = ()

    tls_web: Annotated[str, _words(BASICS, "ENDPOINT",
        "Where the page and its WebSocket are over TLS (https, wss); none: nowhere.")] = "none"

    tls_certificate: Annotated[str, _words(BASICS, "PATH",
        "The certificate for these, with its chain, in PEM form. A renewed file is used within"
        " seconds, without a restart; one that cannot be used is not.")] = "none"

    tls_key: Annotated[str, _words(BASICS, "PATH",
        "Its key, in PEM form without a passphrase; none: in the certificate's file.")] = "none"

    original: Annotated[tuple[str, ...], _words(BASICS, "ENDPOINT",
        "Where unmodified C++ clients of the original connect, which want one message a segment and"
        " may speak another numbering. May be given several times.")] = ()

    original_ids: Annotated[Literal["final", "seed"], _words(BASICS, "NUMBERING",
        "What such a client is taken to speak until it shows: final (LOGINOUT is 3, as most"
        " published copies have it) or seed (REG is 3).")] = "final"

    status: Annotated[str, _words(BASICS, "ENDPOINT",
        "Where /metrics, /healthz and /readyz are, and what chat-admin asks of a running server;"
        " none: nowhere. When its port is taken, the default one is left out.")
    ] = "tcp:9090:interface=127.0.0.1"

    status_secret: Annotated[str, _words(BASICS, "PATH",
        "The file with the secret that chat-admin shows there; made when it is missing, for its"
        " owner alone. auto: beside the SQLite file, its name and .secret; none: chat-admin can"
        " ask nothing.")] = "auto"

    database: Annotated[str, _words(BASICS, "URL",
        "Where the data are: sqlite:PATH (a relative one is found from where twistd is started),"
        " mysql://USER:PASSWORD@HOST:PORT/NAME (?unix_socket=PATH), or memory: (gone at the end)."
        " A URL with a password belongs in the environment: everybody on the machine can read"
        " command lines.")] = "sqlite:chat.sqlite"

    registration: Annotated[Literal["open", "closed", "invite"], _words(BASICS, "WHO",
        "Who may register: open (everybody), closed (nobody), or invite (who has a code that an"
        " operator has made).")] = "open"

    log_format: Annotated[Literal["text", "json"], _words(BASICS, "FORMAT",
        "What a line of the log is: text, or json (an object with time, level, text, and address,"
        " user, errno and duration where they are known).")] = "text"

    no_limits: Annotated[bool, _words(BASICS, "",
        "Lift the limits that hold strangers back; for benchmarks and trusted networks. What"
        " stays: sizes of lines, windows, the time to log in, the hashing queue.")] = False

    max_line: Annotated[int, _size(CONNECTIONS, 1024, 1 << 20,
        "A longer line from a client is refused (errno 106) and its connection closed.")] = 65_536

    send_line_bound: Annotated[int, _size(CONNECTIONS, 1 << 16, 1 << 24,
        "What one line to a client may have; longer answers are cut into pages.")] = 1 << 20

    login_seconds: Annotated[float, _seconds(CONNECTIONS, 3600,
        "Who has not logged in by then is closed.")] = 30.0

    ping_seconds: Annotated[float, _seconds(CONNECTIONS, 3600,
        "A level 2 client silent for as long is asked whether it is there, and once more after as"
        " long again; then it is given up.")] = 30.0

    stall_seconds: Annotated[float, _seconds(CONNECTIONS, 3600,
        "A client that takes nothing of what is written to it for as long is closed; its messages"
        " are stored.")] = 30.0

    takeover_seconds: Annotated[float, _seconds(CONNECTIONS, 60,
        "How long a level 2 client may take to show that it is alive when its user logs in a"
        " second time.")] = 2.0

    original_pace: Annotated[float, Meta(ge=0.0, le=1.0, description=
        "How long after one message was acknowledged such a client gets the next one.",
        extra={"group": CONNECTIONS, "unit": "SECONDS"})] = 0.005

    window_messages: Annotated[int, _number(CUSTODY, 1, 100_000,
        "Messages in flight to one client, not acknowledged yet.")] = 256

    window_bytes: Annotated[int, _size(CUSTODY, 1024, 1 << 30,
        "The same in bytes; one message may always be in flight.")] = 256 << 10

    waiting_messages: Annotated[int, _number(CUSTODY, 1, 100_000,
        "Messages to one user that wait in memory for the store; beyond it senders are told to"
        " come again (errno 108).")] = 512

    waiting_bytes: Annotated[int, _size(CUSTODY, 1024, 1 << 30, "The same in bytes.")] = 1 << 20

    unanswered_per_sender: Annotated[int, _number(CUSTODY, 1, 1_000_000,
        "Messages of one sender without an answer yet; beyond it the sender's connection is not"
        " read.")] = 1000

    keep_after_seconds: Annotated[float, _seconds(CUSTODY, 60,
        "What a client has not acknowledged, or the kernel not taken, after as long is stored,"
        " and its sender answered.")] = 1.0

    page_rows: Annotated[int, _number(CUSTODY, 1, 10_000,
        "Stored messages read in one go for a client that comes back.")] = 100

    page_bytes: Annotated[int, _size(CUSTODY, 1024, 1 << 26,
        "The same in bytes; one message is always read.")] = 256 << 10

    remembered_cids: Annotated[int, _number(CUSTODY, 1, 100_000,
        "Answered messages remembered for each sender, to tell a repeat from news.")] = 1000

    remembered_seconds: Annotated[float, _seconds(CUSTODY, 86_400, "For how long.")] = 300.0

    remembered_total: Annotated[int, _number(CUSTODY, 1000, 100_000_000,
        "The same over all senders.")] = 200_000

    mailbox_messages: Annotated[int, _number(MAILBOXES, 1, UNLIMITED,
        "Messages that may wait in the store for one user; beyond it their senders are refused"
        " (errno 109).")] = 5000

    mailbox_per_sender: Annotated[int, _number(MAILBOXES, 1, UNLIMITED,
        "Of these, messages from one sender.")] = 1000

    failed_logins: Annotated[int, _number(LIMITS, 1, UNLIMITED,
        "Wrong passwords for one account from one address; beyond it they are not looked at (errno"
        " 107). A right one forgives them.")] = 5

    failed_login_seconds: Annotated[float, _seconds(LIMITS, 86_400,
        "After which there may be one more of them.")] = 6.0

    failed_logins_per_address: Annotated[int, _number(LIMITS, 1, UNLIMITED,
        "Wrong passwords from one address, for whatever accounts; beyond it no passwords are taken"
        " from there (errno 107), only tokens.")] = 20

    blocked_seconds: Annotated[float, _seconds(LIMITS, 31 * 86_400,
        "For how long.")] = 3600.0

    registrations: Annotated[int, _number(LIMITS, 1, UNLIMITED,
        "Accounts that may be made from one address at once (errno 107).")] = 5

    registration_seconds: Annotated[float, _seconds(LIMITS, 86_400,
        "After which there may be one more.")] = 60.0

    requests_burst: Annotated[int, _number(LIMITS, 1, UNLIMITED,
        "Requests of one user, messages among them, that are worked off as they come; then they"
        " wait their turn.")] = 200

    requests_per_second: Annotated[float, Meta(ge=0.01, le=1_000_000, description=
        "How many are, from then on.", extra={"group": LIMITS, "unit": "NUMBER"})] = 20.0

    bad_lines: Annotated[int, _number(LIMITS, 1, UNLIMITED,
        "Lines of one connection that are no requests; beyond it the connection is closed (errno"
        " 107).")] = 100

    bad_line_seconds: Annotated[float, _seconds(LIMITS, 3600,
        "After which one of them is forgotten.")] = 1.0

    strangers_per_address: Annotated[int, _number(LIMITS, 1, UNLIMITED,
        "Connections from one address on which nobody has logged in yet, those of the page among"
        " them; what comes beyond is told and closed (errno 107).")] = 100

    connections: Annotated[int, _number(LIMITS, 1, UNLIMITED,
        "Connections in all; the same.")] = 10_000

    store_patience_seconds: Annotated[float, _seconds(STORE, 300,
        "How long the store may not answer before requests are refused (errno 108).")] = 5.0

    history_days: Annotated[int, _number(STORE, 0, 36_500,
        "How long what was said can be read again; 0 keeps no history.", "DAYS")] = 90

    history_waiting: Annotated[int, _number(STORE, 100, 10_000_000,
        "Lines that may wait in memory to be written to the history; beyond it they are left out,"
        " and the gap is recorded.")] = 20_000

    friends_per_user: Annotated[int, _number(PEOPLE, 1, 1_000_000,
        "Friends of one user.")] = 10_000

    requests_per_user: Annotated[int, _number(PEOPLE, 1, 1_000_000,
        "Friend requests that may wait for one user's answer.")] = 1000

    blocked_per_user: Annotated[int, _number(PEOPLE, 1, 1000,
        "Users whom one user may block.")] = 1000

    groups_per_user: Annotated[int, _number(PEOPLE, 1, 1_000_000,
        "Groups that one user may be in.")] = 1000

    hashing_threads: Annotated[int, _number(PROCESS, 1, 1024,
        "Threads that compute password hashes, at low priority; by default as many as there are"
        " cores.")] = msgspec.field(default_factory=_cores)

    hashing_queue: Annotated[int, _number(PROCESS, 1, 1_000_000,
        "Passwords that may wait for a thread; beyond it clients are told to come again (errno"
        " 107).")] = 500

    shutdown_seconds: Annotated[float, _seconds(PROCESS, 300,
        "What is under way at the end has as long to be finished and stored.")] = 10.0

    bus: Annotated[str, _words(SERVERS, "URL",
        "What joins this server to others, so that they are one chat: local (nothing does), or"
        " nats://HOST:PORT,HOST:PORT (the servers of one NATS cluster; nats://USER:PASSWORD@HOST or"
        " nats://TOKEN@HOST where they ask who we are; tls:// to insist on TLS). All need the same"
        " mysql:// database, and twistd --reactor=asyncio. A URL with a password belongs in the"
        " environment.")] = "local"

    node: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-]{1,64}\Z", description=
        "What this server is called among them: letters, digits, - and _, 64 at"
        " most. When a second one has the same name, it is the first one's successor, and the first"
        " one closes its connections; by default the host's name and a random part.",
        extra={"group": SERVERS, "unit": "NAME"})] = msgspec.field(default_factory=_node)

    # fmt: on

    def __post_init__(self) -> None:
        if self.no_limits:
            for name in LIFTED:
                msgspec.structs.force_setattr(self, name, UNLIMITED)

    def __repr__(self) -> str:
        shown = {**msgspec.structs.asdict(self), "database": redacted(self.database)}
        shown["bus"] = redacted_bus(self.bus)
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"
