"""Messages of the application on their way out, and who waits for their acknowledgement."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger

from .dialogue import Dialogue
from .errors import ClientError
from .events import Answered
from .ledger import Ledger, written
from .results import Sent
from .sending import Unsent


class Posting:
    """Takes messages into the ledger and the dialogue, and brings back the answers.

    :param on_sent: called with every message and its answer, whether or not somebody waits.
    :param now: seconds since the epoch, for the ``time`` of messages.
    """

    log = Logger()

    def __init__(
        self,
        dialogue: Dialogue,
        ledger: Ledger | None,
        on_sent: Callable[[Unsent, Sent | Exception], Any] | None,
        now: Callable[[], float],
    ) -> None:
        self._dialogue = dialogue
        self._ledger = ledger
        self._on_sent = on_sent
        self._now = now
        self._waiting: dict[str, list[Deferred[Sent]]] = {}
        self._error: Exception | None = None

    def send(self, kind: int, target: int, text: str, cid: str | None) -> Deferred[Sent]:
        """Send a message; in the ledger, if there is one, when this returns."""
        if self._error is not None:
            return fail(self._error)
        time = datetime.fromtimestamp(self._now(), UTC).strftime("%Y-%m-%d %H:%M:%S")
        try:
            unsent = self._dialogue.compose(kind, target, text, time, cid)
            if self._ledger is not None and unsent.cid not in self._dialogue.outbox:
                self._ledger.keep(unsent)
            self._dialogue.send(unsent)
        except ClientError as error:
            return fail(error)
        waiting: Deferred[Sent] = Deferred()
        self._waiting.setdefault(unsent.cid, []).append(waiting)
        return waiting

    def answered(self, event: Answered) -> None:
        """The last word on a message came."""
        cid = event.unsent.cid
        if self._ledger is not None:
            written(self._ledger.forget, cid)
        if self._on_sent is not None:
            try:
                self._on_sent(event.unsent, event.result)
            except Exception:
                self.log.failure("on_sent failed")
        for waiting in self._waiting.pop(cid, ()):
            if isinstance(event.result, Sent):
                waiting.callback(event.result)
            else:
                waiting.errback(event.result)

    def end(self, error: Exception) -> None:
        """Nothing more will be answered."""
        self._error = error
        given_up, self._waiting = self._waiting, {}
        for waiting in (one for each in given_up.values() for one in each):
            waiting.errback(error)
