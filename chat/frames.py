"""WebSocket frames as bytes: what the library below cannot do fast enough, or not at all.

The library (wsproto, under :mod:`twisted.web.websocket`) bounds no message and takes some 20 µs for
a frame.  :class:`Frames` stands before it: it cuts what a client sends into whole frames by their
headers, so that a frame which is too large is known before it is buffered, and reads the ordinary
ones (a whole text message, masked, valid UTF-8) itself.  Every other frame, valid or not, is the
library's to judge.
"""

from __future__ import annotations

TEXT, BINARY = 1, 2

FINAL = 0x80
MASKED = 0x80
PLAIN_TEXT = FINAL | TEXT
CONTROL = 0x08
CONTROL_MOST = 125
"""Bytes that a control frame may have."""

TOO_BIG = 1009
NOT_ACCEPTED = 1003
"""Close codes."""


class FrameRefused(Exception):
    """A frame that is not read; the connection is to be closed with ``code``."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(code)


class Frames:
    """What one client sends, frame by frame: :meth:`feed` bytes, then ask for :meth:`next` until
    there is none.

    :param bound: bytes that a message may have, over all its fragments.
    """

    __slots__ = ("_at", "_bound", "_data", "_message", "_rest", "_wanted")

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._data = b""
        self._at = 0
        self._rest = bytearray()
        self._wanted = 0
        """So many bytes must be there before looking again makes sense."""
        self._message = -1
        """Bytes of a fragmented message that have passed; -1 between messages."""

    def feed(self, data: bytes) -> None:
        """Take what was read; all frames of earlier reads have been taken, or wait their turn."""
        rest = self._rest
        if self._at < len(self._data):
            rest += self._data[self._at :]
        self._at = 0
        if rest:
            rest += data
            if len(rest) < self._wanted:
                self._data = b""
                return
            data = bytes(rest)
            rest.clear()
        self._data = data
        self._wanted = 0

    def texts(self) -> list[bytes]:
        """The texts of the plain frames that are there, up to the first that is not plain, or is
        empty: those are :meth:`next`'s."""
        found: list[bytes] = []
        data, at = self._data, self._at
        end = len(data)
        while self._message < 0 and at + 6 < end and data[at] == PLAIN_TEXT:
            size = data[at + 1] - MASKED
            head = at + 6
            if size == 126:
                size = int.from_bytes(data[at + 2 : at + 4], "big")
                head += 2
            if not 0 < size <= self._bound or size == 127 or head + size > end:
                break
            text = _unmasked(data[head - 4 : head], data[head : head + size])
            if not _is_utf8(text):
                break
            found.append(text)
            at = head + size
        self._at = at
        return found

    def next(self) -> tuple[bool, bytes] | None:
        """The next whole frame: True and its text for a plain one, else False and the bytes of the
        frame, for the library; None: wait for more.

        :raises FrameRefused: it is too large, or binary.
        """
        data, at = self._data, self._at
        there = len(data) - at
        if there < 2:
            self._wait(2)
            return None
        first, second = data[at], data[at + 1]
        if first & 0x0F == BINARY:
            raise FrameRefused(NOT_ACCEPTED)
        size = second & 0x7F
        head = 2
        if size > CONTROL_MOST:
            head = 4 if size == 126 else 10
            if there < head:
                self._wait(head)
                return None
            size = int.from_bytes(data[at + 2 : at + head], "big")
        if first & CONTROL:
            if size > CONTROL_MOST:
                return self._everything()
        elif size + max(self._message, 0) > self._bound:
            raise FrameRefused(TOO_BIG)
        if not second & MASKED:
            return self._everything()
        head += 4
        end = at + head + size
        if len(data) < end:
            self._wait(head + size)
            return None
        self._at = end
        if first == PLAIN_TEXT and self._message < 0:
            text = _unmasked(data[at + head - 4 : at + head], data[at + head : end])
            if _is_utf8(text):
                return True, text
        elif not first & CONTROL:
            self._message = -1 if first & FINAL else max(self._message, 0) + size
        return False, data[at:end]

    def _wait(self, wanted: int) -> None:
        if self._at == len(self._data):
            return
        self._rest += self._data[self._at :]
        self._data = b""
        self._at = 0
        self._wanted = wanted

    def _everything(self) -> tuple[bool, bytes]:
        """The library will find the mistake in the header and close."""
        at, self._at = self._at, len(self._data)
        return False, self._data[at:]


def _is_utf8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _unmasked(mask: bytes, masked: bytes) -> bytes:
    size = len(masked)
    key = (mask * ((size + 3) // 4))[:size]
    return (int.from_bytes(masked, "little") ^ int.from_bytes(key, "little")).to_bytes(
        size, "little"
    )


_SHORT_HEADS = tuple(bytes((PLAIN_TEXT, size)) for size in range(126))


def text_head(size: int) -> bytes:
    """What stands before ``size`` bytes of text from a server."""
    if size < 126:
        return _SHORT_HEADS[size]
    if size < 1 << 16:
        return b"\x81\x7e" + size.to_bytes(2, "big")
    return b"\x81\x7f" + size.to_bytes(8, "big")
