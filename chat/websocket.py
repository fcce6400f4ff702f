"""The WebSocket transport: each text message is one JSON object, over the same session as TCP.

:mod:`twisted.web.websocket` does the handshake, the control frames and whatever is unusual;
:mod:`chat.frames` stands before it with the bounds that it has not, and takes the plain frames past
it.  What goes out is framed in the outbox, so that many small frames leave in one piece.
"""

from __future__ import annotations

import re
from math import inf
from typing import Any, cast

from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Request
from twisted.web.websocket import WebSocketTransport

from .frames import NOT_ACCEPTED, TOO_BIG, FrameRefused, Frames, text_head
from .link import Link
from .outbox import Outbox, SocketOutbox, TransportOutbox, Turn, outbox_for
from .session import Server, Session

NORMAL = 1000
"""The close code of an ordinary end."""

_STRING_OR_LINE_END = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\r\n]', re.DOTALL)


def one_line(text: bytes) -> bytes:
    """The same JSON without line ends between its tokens: on TCP they would end the message.

    Within a string they are not JSON, and stay for the codec to refuse.
    """
    if b"\n" not in text and b"\r" not in text:
        return text
    return _STRING_OR_LINE_END.sub(lambda found: found[0] if len(found[0]) > 1 else b" ", text)


class Framed(Outbox):
    """An outbox whose lines leave as text frames."""

    sealed = False
    """Whether a close frame has been queued: nothing may follow it."""

    def heard(self) -> None:
        """The client has sent something."""

    def write(self, line: bytes) -> int:
        if self.sealed:
            # It never leaves, so nobody may take it for handed over.
            return self.queued + len(line) + 1
        return self.put(text_head(len(line)) + line)

    def write_all(self, lines: list[bytes]) -> int:
        if self.sealed:
            return self.queued + sum(map(len, lines)) + len(lines)
        return self.put(*[text_head(len(line)) + line for line in lines])

    def put(self, *frames: bytes) -> int:
        """Queue whole frames; the new :attr:`queued`."""
        self._lines += frames
        self.queued += sum(map(len, frames))
        if not self._dirty:
            self._dirty = True
            self._turn.add(self)
        return self.queued

    def _joined(self) -> bytes:
        data = b"".join(self._lines)
        self._lines.clear()
        self._dirty = False
        return data


class FramedSocketOutbox(Framed, SocketOutbox):
    """Past the transport's buffer, once the answer to the handshake has left it."""

    _answered = False

    def heard(self) -> None:
        self._answered = True

    def flush(self) -> None:
        if self._answered or self.closed or not self._lines:
            super().flush()
        else:
            data = self._joined()
            self._transport.write(data)
            self._took(len(data))


class FramedTransportOutbox(Framed, TransportOutbox):
    """Through ``transport.write``."""


class Below:
    """What the library writes to and closes: its frames take their turn among the others."""

    def __init__(self, socket: ChatSocket) -> None:
        self._socket = socket

    def write(self, data: bytes) -> None:
        """A ping, a pong or the close frame."""
        self._socket.outbox.put(data)

    def loseConnection(self) -> None:
        """The close frame has been written."""
        self._socket.goodbye()


class ChatSocket(Link):
    """One client in a browser, or wherever else WebSocket is spoken.

    :param channel: the HTTP connection on which it came.
    """

    log = Logger()

    outbox: Framed

    def __init__(self, server: Server, turn: Turn, channel: Any) -> None:
        self.server = server
        self._turn = turn
        self._channel = channel
        self._frames = Frames(server.settings.max_line)
        self._texts: list[bytes] = []
        """Read, and left over when the session paused."""
        self._code = NORMAL
        self._pinged_at = -inf

    # What the library calls

    def negotiationStarted(self, transport: WebSocketTransport) -> None:
        """The handshake will be answered."""
        self._wire: Any = transport

    def negotiationFinished(self) -> None:
        """A client is here."""
        channel = self._channel
        self.transport = transport = channel.transport
        # HTTP would stop reading when the client does not read, and miss its acknowledgements.
        transport.unregisterProducer()
        self.begin()
        outbox = outbox_for(self._turn, transport, FramedSocketOutbox, FramedTransportOutbox)
        self.outbox = cast(Framed, outbox)
        self._library = channel.dataReceived
        self._wire.transport = Below(self)
        channel.dataReceived = self.dataReceived
        self.session = Session(self.server, self, self.outbox)
        self._watching = self.server.call_later(self.server.settings.ping_seconds, self._watch)
        self.session.open(channel.place)

    def textMessageReceived(self, message: str) -> None:
        """A message came in fragments."""
        self.session.receive(one_line(message.encode()))

    def bytesMessageReceived(self, data: bytes | bytearray) -> None:
        """A binary message; its first frame has been refused before."""
        self._refuse(NOT_ACCEPTED)

    def pongReceived(self, payload: bytes) -> None:
        """The client is there, as any other bytes say too."""

    def connectionLost(self, reason: Failure) -> None:
        """The client has gone."""
        self.gone()
        if self._watching.active():
            self._watching.cancel()
        self.session.lost()

    # In

    def _take(self, data: bytes) -> None:
        """Take what was read, frame by frame, and stop where the session pauses."""
        if self.closing is not None or self.outbox.sealed:
            return
        self.outbox.heard()
        self.session.heard()
        self._frames.feed(data)
        self._take_frames()

    def _take_frames(self) -> None:
        frames, session = self._frames, self.session
        try:
            while not self.paused and self.closing is None and not self.outbox.sealed:
                texts = self._texts or [one_line(text) for text in frames.texts()]
                if texts:
                    done = session.receive_all(texts)
                    # What has its last request behind it throws the rest away.
                    self._texts = texts[done:] if self.paused else []
                    continue
                frame = frames.next()
                if frame is None:
                    return
                plain, content = frame
                if plain:
                    session.receive(one_line(content))
                else:
                    self._library(content)
        except FrameRefused as refused:
            self._refuse(refused.code)

    def _refuse(self, code: int) -> None:
        self._code = code
        if code == TOO_BIG:
            self.session.too_long()
        else:
            self.session.end()

    def _go_on(self) -> None:
        self._take_frames()

    def _drop_input(self) -> None:
        self._frames = Frames(0)
        self._texts = []

    # Out

    def close(self) -> None:
        """Write what is queued and the close frame, then end as any connection."""
        if self.closing is None and not self.outbox.sealed:
            self._wire.loseConnection(self._code)
        super().close()

    def goodbye(self) -> None:
        """A close frame is queued: ours, or the answer to the client's, who is served with what it
        asked before."""
        self.outbox.sealed = True
        self.session.finished()

    def _watch(self) -> None:
        """Ask a level 1 client whether it is there; a level 2 client is asked by its session."""
        seconds = self.server.settings.ping_seconds
        session = self.session
        silent = self.server.monotonic() - session.liveness.heard_at
        if session.level == 1 and silent >= seconds and not self.outbox.sealed:
            # Whether it was asked counts, and not the time: a look may be a little late.
            if self._pinged_at > session.liveness.heard_at:
                self.log.info("{address}: closed, does not answer pings", address=session.address)
                self.abort()
                return
            self._pinged_at = self.server.monotonic()
            self._wire.ping()
        self._watching = self.server.call_later(seconds, self._watch)


class ChatSockets:
    """Makes a :class:`ChatSocket` for each handshake; for :class:`~twisted.web.websocket.
    WebSocketResource`."""

    def __init__(self, server: Server, turn: Turn) -> None:
        self._server = server
        self._turn = turn

    def buildProtocol(self, request: Request) -> ChatSocket:
        """One more client."""
        return ChatSocket(self._server, self._turn, request.channel)
