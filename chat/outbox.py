"""What is on its way to one client.

Lines are collected while one read is worked off and leave in one piece at its end.  On a plain TCP
transport with nothing pending they go straight to the socket: ``transport.write`` would register
for writability, come back a turn later and unregister, three system calls more.  Whatever the
socket does not take, and all of it on any other transport, goes the ordinary way, under a producer,
so that :attr:`Outbox.taken` counts what the kernel has got and memory stays bounded by whoever
looks at :attr:`Outbox.pending`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet import tcp
from twisted.internet.interfaces import IPullProducer, IPushProducer
from twisted.protocols.haproxy._wrapper import HAProxyProtocolWrapper
from zope.interface import implementer

CHUNK = 64 << 10
"""So many bytes are given to a transport's buffer at a time."""


_Came = TypeVar("_Came")


class Turn:
    """The outboxes that have something to send when the current read, or turn, is over."""

    def __init__(self, call_later: Callable[[float, Callable[[], object]], object]) -> None:
        self._call_later = call_later
        self._outboxes: list[Outbox] = []
        self._calls: list[Callable[[], object]] = []
        self._open = False

    def begin(self) -> None:
        """A read begins: whoever began it calls :meth:`end`."""
        self._open = True

    def add(self, outbox: Outbox) -> None:
        """This one is to be flushed."""
        self._outboxes.append(outbox)
        if not self._open:
            self._open = True
            self._call_later(0, self.end)

    def call(self, call: Callable[[], object]) -> None:
        """Call this before they are flushed."""
        self._calls.append(call)
        if not self._open:
            self._open = True
            self._call_later(0, self.end)

    def work(self, call: Callable[[_Came], object], what: _Came) -> None:
        """Work off what has come as one turn."""
        self.begin()
        try:
            call(what)
        finally:
            self.end()

    def end(self) -> None:
        """Flush them all."""
        outboxes, calls = self._outboxes, self._calls
        try:
            while calls or outboxes:
                while calls:
                    calls.pop(0)()
                # Flushing settles messages, and their answers are lines for other outboxes.
                for outbox in outboxes:
                    outbox.flush()
                outboxes.clear()
        finally:
            outboxes.clear()
            self._open = False


class Outbox:
    """Lines to one client, in order.

    :attr:`queued` and :attr:`taken` count bytes since the connection began: what was given to
    :meth:`write`, and what the kernel has got of it.
    """

    __slots__ = (
        "_dirty", "_lines", "_rest", "_turn", "closed", "on_taken", "progress_at", "queued",
        "taken",
    )  # fmt: skip

    def __init__(self, turn: Turn) -> None:
        self.queued = 0
        self.taken = 0
        self.closed = False
        self.on_taken: Callable[[int], None] | None = None
        """Called with :attr:`taken` when it has grown."""
        self.progress_at: float | None = None
        """Since when nothing has been taken of what is pending (set by whoever watches it)."""
        self._turn = turn
        self._lines: list[bytes] = []
        self._rest: list[bytes] = []
        self._dirty = False

    @property
    def pending(self) -> int:
        """Bytes that the kernel has not got yet."""
        return self.queued - self.taken

    def write(self, line: bytes) -> int:
        """Queue one line, without its end; the new :attr:`queued`."""
        self._lines.append(line)
        self.queued += len(line) + 1
        if not self._dirty:
            self._dirty = True
            self._turn.add(self)
        return self.queued

    def write_all(self, lines: list[bytes]) -> int:
        """Queue several lines, as :meth:`write` does."""
        self._lines += lines
        count = len(lines)
        self.queued += count + (len(lines[0]) if count == 1 else sum(map(len, lines)))
        if not self._dirty:
            self._dirty = True
            self._turn.add(self)
        return self.queued

    def _joined(self) -> bytes:
        lines = self._lines
        lines.append(b"")
        data = b"\n".join(lines)
        lines.clear()
        self._dirty = False
        return data

    def flush(self) -> None:
        """Hand over what the kernel takes now."""
        raise NotImplementedError

    def _took(self, count: int) -> None:
        self.taken += count
        self.progress_at = None
        if self.on_taken is not None:
            self.on_taken(self.taken)

    def close(self) -> None:
        """Nothing more will be taken."""
        self.closed = True
        self._lines.clear()
        self._rest.clear()
        self.on_taken = None


@implementer(IPullProducer)
class SocketOutbox(Outbox):
    """The way past the transport's buffer, for plain TCP and Unix sockets."""

    __slots__ = ("_chunk", "_pulled", "_send", "_transport")

    def __init__(self, turn: Turn, transport: tcp.Connection) -> None:
        super().__init__(turn)
        self._transport = transport
        # What writeSomeData does, without its two calls in between.
        self._send = transport.socket.send
        self._chunk = 0
        self._pulled = False

    def flush(self) -> None:
        if not self._lines or self.closed:
            self._dirty = False
            return
        data = self._joined()
        if self._pulled:
            self._rest.append(data)
            return
        try:
            sent = self._send(data)
        except OSError:
            # Full, or lost: which of the two, the reactor finds when it writes the rest.
            sent = 0
        if sent == len(data):
            self.taken += sent
            self.progress_at = None
            if self.on_taken is not None:
                self.on_taken(self.taken)
            return
        self._rest.append(data[sent:])
        self._pulled = True
        if sent:
            self._took(sent)
        self._transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        """The kernel has taken the last chunk: the next one, please."""
        if self._chunk:
            chunk, self._chunk = self._chunk, 0
            self._took(chunk)
        if not self._rest:
            self._pulled = False
            self._transport.unregisterProducer()
            return
        data = b"".join(self._rest) if len(self._rest) > 1 else self._rest[0]
        self._rest = [data[CHUNK:]] if len(data) > CHUNK else []
        self._chunk = min(len(data), CHUNK)
        self._transport.write(data[:CHUNK])

    def stopProducing(self) -> None:
        """The connection is gone."""
        self.close()


@implementer(IPushProducer)
class TransportOutbox(Outbox):
    """The way through ``transport.write``, for TLS and whatever else wraps a socket.

    What the transport accepts without asking for a pause counts as taken.
    """

    __slots__ = ("_paused", "_transport", "_unconfirmed")

    def __init__(self, turn: Turn, transport: Any) -> None:
        super().__init__(turn)
        self._transport = transport
        self._paused = False
        self._unconfirmed = 0
        transport.registerProducer(self, True)

    def flush(self) -> None:
        if not self._lines or self.closed:
            self._dirty = False
            return
        data = self._joined()
        if self._paused:
            self._rest.append(data)
        else:
            self._give(data)

    def _give(self, data: bytes) -> None:
        self._unconfirmed += len(data)
        self._transport.write(data)
        if not self._paused:
            self._confirm()

    def _confirm(self) -> None:
        count, self._unconfirmed = self._unconfirmed, 0
        if count:
            self._took(count)

    def pauseProducing(self) -> None:
        """The transport's buffer is full."""
        self._paused = True

    def resumeProducing(self) -> None:
        """It is empty again."""
        self._paused = False
        self._confirm()
        while self._rest and not self._paused:
            self._give(self._rest.pop(0))

    def stopProducing(self) -> None:
        """The connection is gone."""
        self.close()


def outbox_for(
    turn: Turn,
    transport: Any,
    straight: type[SocketOutbox] = SocketOutbox,
    buffered: type[TransportOutbox] = TransportOutbox,
) -> Outbox:
    """The fastest outbox that this transport allows, of these two kinds."""
    while isinstance(transport, HAProxyProtocolWrapper):
        # It passes writes on as they are.
        transport = transport.transport
    if isinstance(transport, tcp.Connection) and not getattr(transport, "TLS", False):
        return straight(turn, transport)
    return buffered(turn, transport)
