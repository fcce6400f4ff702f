"""Frames: cut at the right places however they come, bounded before they are there."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from wsproto.connection import Connection, ConnectionType
from wsproto.events import TextMessage

from chat.frames import FrameRefused, Frames, text_head
from chat.websocket import one_line

from .sockets import BINARY, CLOSE, CONTINUATION, PING, TEXT, frame

BOUND = 1000


def taken(frames: Frames) -> list[tuple[bool, bytes]]:
    """All that is there now."""
    found = []
    while (one := frames.next()) is not None:
        found.append(one)
    return found


class FramesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.frames = Frames(BOUND)

    def feed(self, *pieces: bytes) -> list[tuple[bool, bytes]]:
        self.frames.feed(b"".join(pieces))
        return taken(self.frames)

    def refused(self, *pieces: bytes) -> int:
        """The close code."""
        refused: FrameRefused = self.assertRaises(FrameRefused, self.feed, *pieces)
        return refused.code

    def test_plain_text(self) -> None:
        for text in ("", "x", "é🔑", "x" * 125, "x" * 126, "x" * BOUND):
            self.assertEqual(self.feed(frame(TEXT, text.encode())), [(True, text.encode())])

    def test_plain_ones_together(self) -> None:
        """As far as they are whole, and up to what is not one, or is empty."""
        plain = ["x", "é🔑", "x" * 125, "x" * 126, "x" * BOUND]
        stream = b"".join(frame(TEXT, text.encode()) for text in plain)
        last = frame(TEXT, b"last")
        for behind in (
            b"", last[:-1], frame(TEXT) + last, frame(PING) + last, frame(TEXT, b"\xff") + last,
            frame(TEXT, b"unmasked", masked=False), frame(TEXT, b"first", final=False) + last,
            frame(TEXT, b"x" * (BOUND + 1)) + last, frame(BINARY, b"x") + last,
            frame(TEXT, b"x", reserved=4) + last,
        ):  # fmt: skip
            frames = Frames(BOUND)
            frames.feed(stream + behind)
            self.assertEqual(frames.texts(), [text.encode() for text in plain])
            self.assertEqual(frames.texts(), [])

    def test_not_in_the_middle_of_a_message(self) -> None:
        self.frames.feed(frame(TEXT, b"a", final=False) + frame(TEXT, b"b"))
        self.assertEqual(self.frames.texts(), [])
        self.frames.next()
        self.assertEqual(self.frames.texts(), [])

    def test_long_form_of_a_length_that_would_go_into_fewer_bytes(self) -> None:
        """It is the library's to refuse or not."""
        head, payload = b"\x81\xff" + (3).to_bytes(8, "big"), b"\0\0\0\0abc"
        self.assertEqual(self.feed(head, payload), [(True, b"abc")])

    @given(st.lists(st.text(max_size=300), max_size=6), st.lists(st.integers(1, 40), min_size=1))
    def test_it_does_not_matter_how_they_are_torn(self, texts: list[str], steps: list[int]) -> None:
        frames = Frames(2000)
        stream = b"".join(frame(TEXT, text.encode()) for text in texts)
        found = []
        at = turn = 0
        while at < len(stream):
            step = steps[turn % len(steps)]
            frames.feed(stream[at : at + step])
            found += [(True, text) for text in frames.texts()] + taken(frames)
            at += step
            turn += 1
        self.assertEqual(found, [(True, text.encode()) for text in texts])

    def test_what_is_not_taken_at_once_stays(self) -> None:
        one, two, three = (frame(TEXT, text) for text in (b"1", b"2", b"3"))
        self.frames.feed(one + two)
        self.assertEqual(self.frames.next(), (True, b"1"))
        self.frames.feed(three)
        self.assertEqual(taken(self.frames), [(True, b"2"), (True, b"3")])

    def test_a_large_frame_in_many_small_reads_is_copied_once(self) -> None:
        frames = Frames(1 << 20)
        stream = frame(TEXT, b"x" * (1 << 20))
        looked = 0
        found = []
        for at in range(0, len(stream), 64):
            frames.feed(stream[at : at + 64])
            looked += frames._data != b""
            found += taken(frames)
        self.assertEqual(found, [(True, b"x" * (1 << 20))])
        self.assertLess(looked, 5)

    def test_everything_unusual_goes_to_the_library(self) -> None:
        for unusual in (
            frame(PING, b"x"),
            frame(CLOSE),
            frame(TEXT, b"\xff"),
            frame(TEXT, b"x", reserved=4),
            frame(3, b"x"),
        ):
            self.assertEqual(self.feed(unusual), [(False, unusual)])

    def test_fragments_go_to_the_library_and_whole_messages_after_them_do_not(self) -> None:
        parts = [
            frame(TEXT, b"1", final=False),
            frame(PING),
            frame(CONTINUATION, b"2", final=False),
            frame(CONTINUATION, b"3"),
        ]
        self.assertEqual(self.feed(*parts), [(False, part) for part in parts])
        self.assertEqual(self.feed(frame(TEXT, b"4")), [(True, b"4")])

    def test_too_large_is_known_by_the_header(self) -> None:
        self.assertEqual(self.refused(frame(TEXT, b"x" * (BOUND + 1))[:4]), 1009)

    def test_too_large_by_eight_bytes(self) -> None:
        self.assertEqual(self.refused(b"\x81\xff" + b"\xff" * 8), 1009)

    def test_too_large_over_all_fragments(self) -> None:
        self.feed(frame(TEXT, b"x" * BOUND, final=False))
        self.feed(frame(CONTINUATION, b"", final=False))
        self.assertEqual(self.refused(frame(CONTINUATION, b"x")), 1009)

    def test_fragments_up_to_the_bound(self) -> None:
        for _ in range(2):
            self.feed(frame(TEXT, b"x" * (BOUND - 1), final=False))
            self.feed(frame(CONTINUATION, b"x"))

    def test_binary_is_known_by_its_first_bytes(self) -> None:
        self.assertEqual(self.refused(frame(BINARY, b"x" * 500)[:2]), 1003)

    def test_header_with_a_mistake_is_handed_over_before_the_rest_has_come(self) -> None:
        for head in (frame(TEXT, b"x" * 100, masked=False)[:2], b"\x89\xfe\x01\x00"):
            self.assertEqual(Frames.next(self._fed(head)), (False, head))

    def _fed(self, data: bytes) -> Frames:
        frames = Frames(BOUND)
        frames.feed(data)
        return frames


class TextHeadTests(SynchronousTestCase):
    def test_a_client_reads_them(self) -> None:
        for size in (0, 1, 125, 126, 65_535, 65_536, 1 << 20):
            client = Connection(ConnectionType.CLIENT)
            client.receive_data(text_head(size) + b"x" * size)
            found = [event.data for event in client.events() if isinstance(event, TextMessage)]
            self.assertEqual("".join(found), "x" * size)


class OneLineTests(SynchronousTestCase):
    def test_between_tokens(self) -> None:
        text = b'{\r\n"msg":"a\\"\\\\",\n"x":[1,\r2]}\n'
        self.assertEqual(one_line(text), b'{  "msg":"a\\"\\\\", "x":[1, 2]} ')

    def test_within_a_string_it_stays(self) -> None:
        for text in (b'{"msg":"a\nb"}', b'{"msg":"a\\\nb"}'):
            self.assertEqual(one_line(text), text)

    @given(
        st.recursive(
            st.text() | st.integers(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        )
    )
    def test_means_the_same(self, value: object) -> None:
        text = json.dumps(value, indent=1).encode()
        line = one_line(text)
        self.assertEqual(json.loads(line), value)
        self.assertNotIn(b"\n", line)
