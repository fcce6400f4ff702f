"""The real server for tests, and who talks to it.

A conversation is written once, as a class of tests derived from :class:`Conversation`, and runs
over each transport and store: mixed with :class:`InMemory`, whose time the test owns, or with
:class:`OverTcp`, with sockets, threads and SQLite::

    class Chatting(Conversation):
        async def test_hello(self) -> None:
            ann, bob = await self.enter("ann"), await self.enter("bob")
            ...

    class MemoryChattingTests(Chatting, InMemory): ...
    class TcpChattingTests(Chatting, OverTcp): ...
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import TestCase

from chat import states
from chat.config import UNLIMITED, Settings
from chat.errors import ALREADY_ONLINE
from chat.interfaces import Store
from chat.passwords import Passwords
from chat.service import Server
from chat.storage import open_store
from chat.tcp import ChatFactory

from .broken import breakable
from .cables import Client, MemoryCable, MemoryTransport, TcpCable, Time, reactor

T = TypeVar("T")
PASSWORD = "correct horse"
TIME = r"\A\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\Z"
"""A time as the server writes it."""

UNHURRIED = dict.fromkeys(
    (
        "failed_logins", "failed_logins_per_address", "registrations", "requests_burst",
        "bad_lines", "strangers_per_address", "connections",
    ),
    UNLIMITED,
)  # fmt: skip
"""Settings without the limits that hold strangers back, which all come from one address here."""

CHEAP = {"memory_kib": 8, "passes": 1}


class PasswordsInMemory(Passwords):
    """Real hashes, cheap ones, computed at once, or when :meth:`release` is called."""

    def __init__(self) -> None:
        super().__init__(lambda function, *args: None, threads=1, queue=1, **CHEAP)
        self.held: list[Callable[[], None]] | None = None
        self.computed = 0
        """How many hashes were asked for."""

    def hold(self) -> None:
        """Compute nothing for the time being."""
        self.held = []

    def release(self) -> None:
        """Compute what is held, and the rest at once again."""
        held, self.held = self.held or [], None
        for compute in held:
            compute()

    def _submit(self, work: Callable[[], T]) -> Deferred[T]:
        self.computed += 1
        if self.held is None:
            return succeed(work())
        done: Deferred[T] = Deferred()
        self.held.append(lambda: done.callback(work()))
        return done


class ServerCase(TestCase):
    """A server to talk to, with the settings in :attr:`bounds`."""

    bounds: Mapping[str, Any] = {}
    server: Server
    numbers = count(1)

    def make_store(self) -> Store:
        """The store that the server is to have."""
        raise NotImplementedError

    async def connect(self) -> Client:
        """One more client."""
        raise NotImplementedError

    def go(self, seconds: float) -> None:
        """Let time pass, where it is the test's; elsewhere it does by itself."""

    # What people do

    async def register(self, name: str) -> int:
        """Make an account; its id."""
        client = await self.connect()
        answer = await client.ask({"msgid": 3, "name": name, "password": PASSWORD})
        self.assertEqual(answer, {"msgid": 4, "errno": 0, "id": answer.get("id")})
        client.cable.close()
        user_id: int = answer["id"]
        return user_id

    async def login(self, user_id: int, level: int = 1, **fields: Any) -> Client:
        """A client that has logged in."""
        client = await self.connect()
        await self.log_in(client, user_id, level, **fields)
        return client

    async def log_in(self, client: Client, user_id: int, level: int = 1, **fields: Any) -> None:
        """Log in on this connection."""
        client.ack = await client.ask(login(user_id, level, **fields))
        self.assertEqual((client.ack["msgid"], client.ack["errno"]), (2, 0), client.ack)
        client.id = user_id

    async def enter(self, name: str, level: int = 1) -> Client:
        """Somebody new, logged in."""
        return await self.login(await self.register(name), level)

    # What is expected

    def assert_refused(
        self, answer: Mapping[str, Any], errno: int, ack: int, cid: str | None = None
    ) -> None:
        """An ACK_MSG that refuses this request, with nothing else in it."""
        expected = {"msgid": 11, "errno": errno, "errmsg": answer.get("errmsg"), "ack": ack}
        if cid is not None:
            expected["cid"] = cid
        if errno in (107, 108):
            self.assertGreater(answer.get("retry_after", 0), 0)
            expected["retry_after"] = answer["retry_after"]
        self.assertEqual(dict(answer), expected)
        self.assertTrue(answer["errmsg"])

    def assert_in_use(self, answer: Mapping[str, Any]) -> None:
        """A login that is refused because the user is online."""
        self.assertEqual(answer, {"msgid": 2, "errno": 2, "errmsg": ALREADY_ONLINE})

    async def assert_stored(self, sender: Client, cid: str) -> None:
        """The sender is told that the database has it."""
        self.assertEqual(await sender.get(), told(cid, "stored"))

    async def assert_chatting(self, one: Client, other: Client) -> None:
        """These two are not disturbed."""
        for sender, recipient in ((one, other), (other, one)):
            cid = f"{sender.id} asks {next(self.numbers)}"
            sender.send(say(recipient.id, "still there?", cid=cid))
            pushed = await recipient.get()
            self.assertEqual((pushed.get("id"), pushed.get("cid")), (sender.id, cid), pushed)
            if "seq" in pushed:
                recipient.send(received(pushed["seq"]))
            if "proto" in sender.ack:
                self.assertEqual((await sender.get()).get("cid"), cid)


if TYPE_CHECKING:
    Conversation = ServerCase
else:

    class Conversation:
        """Tests that run once they are mixed with a transport."""


class InMemory(ServerCase):
    """Everything in memory; time passes with :meth:`go`, and the store fails with ``faults``."""

    def setUp(self) -> None:
        self.begin()
        self.addCleanup(self.stop)

    def make_store(self) -> Store:
        return open_store("memory:", self.time)

    def begin(self) -> None:
        """A new server with an empty store."""
        self.time = Time()
        self.store, self.faults = breakable(self.make_store())
        self.start()

    def start(self) -> None:
        """Serve what is in the store."""
        self.passwords = PasswordsInMemory()
        self.server = Server(settings(self.bounds), self.store, self.time, self.passwords)
        self.factory = ChatFactory(self.server, self.server.turn)
        self.server.start()

    def stop(self) -> None:
        """End the server."""
        stopped = Deferred.fromCoroutine(self.server.stop())
        for _ in range(300):
            if stopped.called:
                break
            self.go(0.1)
        self.successResultOf(stopped)

    def go(self, seconds: float) -> None:
        self.time.go(seconds)

    async def connect(self, host: str = "127.0.0.1") -> Client:
        """One more client, from this address."""
        return Client(lambda client: MemoryCable(self.time, self.factory, client, host))

    def server_side(self, client: Client) -> MemoryTransport:
        """The other end of a client's cable."""
        cable = client.cable
        assert isinstance(cable, MemoryCable)
        return cable.transport


class OverTcp(ServerCase):
    """Sockets, threads for passwords, and SQLite in a temporary folder.

    What is not acknowledged is stored after a minute, if a test does not want it sooner: whether a
    message is delivered or stored is no matter of the machine's speed.
    """

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        self.clients: list[Client] = []
        # A server that stops writes this first.
        self.patch(states, "DELAY_SECONDS", 0.01)
        passwords = Passwords(reactor.callFromThread, threads=2, queue=100, **CHEAP)
        store = self.make_store()
        await store.open()
        bounds = {"keep_after_seconds": 60.0, **self.bounds}
        self.server = Server(settings(bounds), store, reactor, passwords)
        self.factory = ChatFactory(self.server, self.server.turn)
        self.server.start()
        self.listening: Any = reactor.listenTCP(0, self.factory, interface="127.0.0.1")
        self.port: int = self.listening.getHost().port
        self.addCleanup(self.stop)

    def make_store(self) -> Store:
        folder = Path(self.mktemp())
        folder.mkdir()
        return open_store(f"sqlite:{folder / 'chat.sqlite'}", reactor)

    async def stop(self) -> None:
        """End the server, and wait until its clients have seen it."""
        await self.listening.stopListening()
        await self.server.stop()
        for client in self.clients:
            client.cable.let_go()
            await client.end()

    async def connect(self) -> Client:
        client = await TcpCable.connect(self.port)
        self.clients.append(client)
        return client


def settings(bounds: Mapping[str, Any]) -> Settings:
    """These bounds, and none for strangers that are not among them."""
    return Settings(**{**UNHURRIED, **bounds})


def login(user_id: int, level: int = 1, **fields: Any) -> dict[str, Any]:
    """A LOGIN_MSG."""
    proto = {} if level == 1 else {"proto": level}
    return {"msgid": 1, "id": user_id, "password": PASSWORD, **proto, **fields}


def say(toid: int, text: str, **fields: Any) -> dict[str, Any]:
    """A ONE_CHAT_MSG."""
    return {"msgid": 5, "toid": toid, "msg": text, **fields}


def told(cid: str, state: str) -> dict[str, Any]:
    """What the sender of a ONE_CHAT_MSG is told."""
    return {"msgid": 11, "errno": 0, "ack": 5, "cid": cid, "state": state}


def received(seq: int) -> dict[str, Any]:
    """A RECEIVED_MSG."""
    return {"msgid": 12, "seq": seq}
