"""Streams of messages with a bounded number in flight, and how fast they go."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .load import NEWLINE, Lines, Loop, Lost, Plug


class Flow:
    """One sender's messages: as soon as some are done, as many more are sent.

    :param most: how many are sent in all; by default there is no end.
    """

    def __init__(self, loop: Loop, sender: Plug, lines: Lines, most: int | None = None) -> None:
        self.sent = 0
        self.done = 0
        self.left = most if most is not None else 1 << 62
        self._loop = loop
        self._sender = sender
        self._lines = lines
        self._going = False

    def start(self, window: int) -> None:
        """Send ``window`` messages, and from now on one for each that is done."""
        self._going = True
        self._send(window)

    def stop(self) -> None:
        """Send no more."""
        self._going = False

    def _send(self, number: int) -> None:
        number = min(number, self.left)
        if number:
            self.left -= number
            self.sent += number
            self._sender.send(self._lines.take(number))

    def _finish(self, number: int) -> None:
        self.done += number
        if number and self._going:
            self._send(number)

    def _unexpected(self, size: int) -> None:
        raise Lost(f"the sender was told {bytes(self._loop.buffer[:size])[:200]!r}")


class Relayed(Flow):
    """Level 1 and IRC: a message is done when its line has arrived at the receiver.

    With one socket at both ends the lines come back to where they came from.
    """

    def __init__(self, loop: Loop, sender: Plug, receiver: Plug, lines: Lines) -> None:
        super().__init__(loop, sender, lines)
        loop.add(receiver, self._arrived)
        if sender is not receiver:
            loop.add(sender, self._unexpected)

    def _arrived(self, size: int) -> None:
        self._finish(self._loop.buffer.count(NEWLINE, 0, size))


class Framed(Flow):
    """The same over WebSocket, where nothing ends a message: frames of one size are counted.

    :param size: bytes of a frame at the receiver.
    """

    def __init__(self, loop: Loop, sender: Plug, receiver: Plug, lines: Lines, size: int) -> None:
        super().__init__(loop, sender, lines)
        self._size = size
        self._arrived_bytes = 0
        loop.add(receiver, self._arrived)
        loop.add(sender, self._unexpected)

    def _arrived(self, size: int) -> None:
        self._arrived_bytes += size
        self._finish(self._arrived_bytes // self._size - self.done)


class Whole:
    """What a socket brings, cut to whole lines: ``take`` gives a buffer and how far it counts."""

    def __init__(self, loop: Loop) -> None:
        self._buffer = loop.buffer
        self._rest = b""

    def take(self, size: int) -> tuple[bytearray | bytes, int]:
        """The whole lines among the rest of before and the ``size`` bytes of the loop's buffer."""
        buffer = self._buffer
        if not self._rest and buffer[size - 1] == NEWLINE:
            return buffer, size
        return self.cut(buffer[:size])

    def cut(self, data: bytes | bytearray) -> tuple[bytes, int]:
        """The same for bytes that were read otherwise."""
        lines, end, self._rest = (self._rest + data).rpartition(b"\n")
        return lines + end, len(lines) + len(end)


class Answered(Flow):
    """Level 2: a message is done when the sender is told so; ``states`` counts what it was told.

    :raises Lost: anything else was answered.
    """

    def __init__(self, loop: Loop, sender: Plug, lines: Lines, most: int | None = None) -> None:
        super().__init__(loop, sender, lines, most)
        self.delivered = 0
        self.stored = 0
        self._whole = Whole(loop)
        loop.add(sender, self._answered)

    def _answered(self, size: int) -> None:
        lines, end = self._whole.take(size)
        number = lines.count(NEWLINE, 0, end)
        delivered = lines.count(b'"delivered"', 0, end)
        if delivered != number:
            stored = lines.count(b'"stored"', 0, end)
            if delivered + stored != number:
                raise Lost(f"the sender was told {bytes(lines[:end])[:500]!r}")
            self.stored += stored
        self.delivered += delivered
        self._finish(number)


class Recipient:
    """Level 2: takes everything and acknowledges it, once a read.

    :param behind: what came behind the answer to the login.
    :raises Lost: the numbers (``seq``) that the messages have are not 1, 2, 3 …
    """

    def __init__(self, loop: Loop, plug: Plug, behind: bytes = b"") -> None:
        self.arrived = 0
        self._plug = plug
        self._whole = Whole(loop)
        loop.add(plug, lambda size: self._take(*self._whole.take(size)))
        self._take(*self._whole.cut(behind))

    def has(self, number: int) -> bool:
        """Whether so many messages have arrived."""
        return self.arrived >= number

    def _take(self, lines: bytes | bytearray, end: int) -> None:
        number = lines.count(NEWLINE, 0, end)
        if not number:
            return
        self.arrived += number
        seq = bytes(lines[lines.rfind(b'"seq":', 0, end) + 6 : end - 2])
        if int(seq) != self.arrived:
            raise Lost(f"{self.arrived} messages arrived and the last one has seq {int(seq)}")
        self._plug.send(b'{"msgid":12,"seq":%b}\n' % seq)


class FanOut(Flow):
    """Speakers to a group: a message is done when all the others have it; counts deliveries.

    :param speakers: plugs that are among ``members``, with their lines.
    """

    def __init__(
        self, loop: Loop, members: Sequence[Plug], speakers: Sequence[tuple[Plug, Lines]]
    ) -> None:
        self.sent = 0
        self.done = 0
        self._loop = loop
        self._speakers = list(speakers)
        self._others = len(members) - 1
        self._credited = 0
        self._going = False
        for plug in members:
            loop.add(plug, self._arrived)

    def start(self, window: int) -> None:
        """Each speaker sends ``window`` messages."""
        self._going = True
        self._credited = self.done // self._others
        for number in range(len(self._speakers)):
            self._speak(number, window)

    def _speak(self, number: int, messages: int) -> None:
        plug, lines = self._speakers[number]
        self.sent += messages * self._others
        plug.send(lines.take(messages))

    def _arrived(self, size: int) -> None:
        self.done += self._loop.buffer.count(NEWLINE, 0, size)
        fresh = self.done // self._others - self._credited
        if fresh and self._going:
            self._credited += fresh
            each, more = divmod(fresh, len(self._speakers))
            for number in range(len(self._speakers)):
                messages = each + (number < more)
                if messages:
                    self._speak(number, messages)
            # Who had one more this time is the last to have one next time.
            self._speakers = self._speakers[more:] + self._speakers[:more]


@dataclass
class Burst:
    """What one turn of traffic came to."""

    rate: float
    """Messages done a second."""
    busy: float
    """The server's processor time as a share of the turn's; 1.0 is one core."""
    done: int
    """Messages within the time measured."""
    all_done: int
    """Messages with those of the warm-up and the end."""


def processor_seconds(pid: int) -> float:
    """Processor time that a process has used, all its threads together."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def burst(
    loop: Loop, flows: Sequence[Flow], window: int, seconds: float, pids: Iterable[int] = ()
) -> Burst:
    """Run the flows for ``seconds`` after a short warm-up and let everything arrive.

    :raises Lost: not all that was sent arrived, or more did.
    """
    pids = tuple(pids)
    at_first = sum(flow.done for flow in flows)
    for flow in flows:
        flow.start(window)
    loop.run_for(min(0.3, seconds / 4))
    before = sum(flow.done for flow in flows)
    used = sum(map(processor_seconds, pids))
    spent = loop.run_for(seconds)
    done = sum(flow.done for flow in flows) - before
    used = sum(map(processor_seconds, pids)) - used
    for flow in flows:
        flow.stop()
    settle(loop, flows)
    all_done = sum(flow.done for flow in flows) - at_first
    return Burst(done / spent, used / spent, done, all_done)


def settle(loop: Loop, flows: Sequence[Flow]) -> None:
    """Let all that was sent be done.

    :raises Lost: not all that was sent arrived, or more did.
    """
    loop.run_until(lambda: all(flow.done >= flow.sent for flow in flows))
    for flow in flows:
        if flow.done != flow.sent:
            raise Lost(f"{flow.sent} messages were sent and {flow.done} done")
