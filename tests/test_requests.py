"""The requests of one connection: in order, bounded, and each performed once or never."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chat.messages import Ping, Request
from chat.requests import BUSY, CLOGGED, QUEUED_BYTES, QUEUED_REQUESTS, UNANSWERED, Requests
from chat.wire import BadLine


class Tap:
    """A connection that can be paused."""

    def __init__(self) -> None:
        self.open = True

    def pause(self) -> None:
        assert self.open
        self.open = False

    def resume(self) -> None:
        assert not self.open
        self.open = True


class RequestsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.tap = Tap()
        self.done: list[str] = []
        self.requests = Requests(self.tap, self.perform)
        self.hold_after: dict[str, int] = {}

    def perform(self, request: Request | BadLine, line: bytes) -> None:
        assert isinstance(request, Ping) and isinstance(request.cid, str)
        self.done.append(request.cid)
        if request.cid in self.hold_after:
            self.requests.hold(self.hold_after[request.cid])

    def take(self, *cids: str, line: bytes = b"x") -> None:
        for cid in cids:
            self.requests.take(Ping(cid=cid), line)

    def test_at_once(self) -> None:
        self.take("a", "b")
        self.assertEqual(self.done, ["a", "b"])
        self.assertTrue(self.requests.done)

    def test_wait_and_go_on(self) -> None:
        self.hold_after = {"a": BUSY, "c": UNANSWERED}
        self.take("a", "b", "c", "d")
        self.assertEqual(self.done, ["a"])
        self.assertFalse(self.requests.release(BUSY))
        self.assertEqual(self.done, ["a", "b", "c"])
        self.take("e")
        self.requests.release(UNANSWERED)
        self.assertEqual(self.done, [*"abcde"])
        self.assertTrue(self.requests.done)

    def test_every_reason_has_to_go(self) -> None:
        self.requests.hold(BUSY)
        self.requests.hold(CLOGGED)
        self.take("a")
        self.requests.release(BUSY)
        self.assertEqual(self.done, [])
        self.requests.release(CLOGGED)
        self.assertEqual(self.done, ["a"])

    def test_not_read_while_many_wait(self) -> None:
        self.requests.hold(BUSY)
        cids = [str(number) for number in range(QUEUED_REQUESTS + 5)]
        self.take(*cids[: QUEUED_REQUESTS - 1])
        self.assertTrue(self.tap.open)
        self.take(*cids[QUEUED_REQUESTS - 1 :])
        self.assertFalse(self.tap.open)
        self.assertTrue(self.requests.release(BUSY), "it is read again")
        self.assertEqual((self.done, self.tap.open), (cids, True))

    def test_not_read_while_much_waits(self) -> None:
        self.requests.hold(BUSY)
        self.take("a", line=b"x" * (QUEUED_BYTES - 1))
        self.assertTrue(self.tap.open)
        self.take("b")
        self.assertFalse(self.tap.open)
        self.requests.release(BUSY)
        self.assertTrue(self.tap.open)

    def test_cleared(self) -> None:
        self.hold_after = {"a": BUSY}
        self.take("a", "b", "c")
        self.requests.clear()
        self.requests.release(BUSY)
        self.assertEqual(self.done, ["a"])

    @given(st.lists(st.sampled_from(["take", "take", "hold", "release"]), max_size=40))
    def test_any_order_of_events(self, events: list[str]) -> None:
        self.begin()
        taken = []
        for number, event in enumerate(events):
            if event == "take":
                taken.append(str(number))
                self.take(str(number))
            elif event == "hold":
                self.requests.hold(BUSY)
            else:
                self.requests.release(BUSY)
            self.assertEqual(self.done, taken[: len(self.done)])
            if not self.requests.holds:
                self.assertEqual(self.done, taken)
        self.requests.release(BUSY)
        self.assertEqual(self.done, taken)
        self.assertTrue(self.requests.done)
