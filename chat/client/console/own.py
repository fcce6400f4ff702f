"""Messages of one's own, and how far they have come."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from twisted.python.failure import Failure

from ...messages import MsgId
from ..errors import Stopped
from ..results import Sent
from ..sending import Unsent
from . import text, view
from .roster import Talk

if TYPE_CHECKING:
    from .talker import Talker

PATIENCE = 0.4
"""Seconds in which a message of one's own is usually answered; it is shown then at the latest."""


class Own:
    """Shows each of them once with its mark, and later marks on lines of their own: what stands
    above the prompt cannot be changed any more."""

    def __init__(self, talker: Talker) -> None:
        self._talker = talker
        self._timers: dict[str, asyncio.TimerHandle] = {}
        """By cid, when those that were written in this session are shown without an answer."""
        self._shown: set[str] = set()
        """The cids of those that are shown and not answered."""

    def send(self, talk: Talk, body: str) -> None:
        """Send a message."""
        client = self._talker.client
        cid = client.new_cid()
        kind = MsgId.GROUP_CHAT if talk.group else MsgId.ONE_CHAT
        unsent = Unsent(cid, kind, talk.id, body, "")
        talk.last_sent, talk.read = cid, False
        loop = asyncio.get_running_loop()
        self._timers[cid] = loop.call_later(PATIENCE, self._show, unsent, "sending")

        def failed(failure: Failure) -> None:
            # What the server refuses comes to `answered` by itself; what is refused here does not.
            if cid in self._timers and isinstance(failure.value, Exception):
                self.answered(unsent, failure.value)

        send = client.send_group if talk.group else client.send
        send(talk.id, body, cid=cid).addErrback(failed)

    def answered(self, unsent: Unsent, result: Sent | Exception) -> None:
        """How a message of this session, or of an earlier one, has ended."""
        timer = self._timers.pop(unsent.cid, None)
        if timer is not None:
            timer.cancel()
        shown = unsent.cid in self._shown
        self._shown.discard(unsent.cid)
        if isinstance(result, Stopped):
            return
        short = text.shortened(unsent.text, 40)
        if not isinstance(result, Sent):
            self._talker.say(view.error(f"Not delivered ({text.why(result)}): {short}"))
            return
        if timer is not None and not shown:
            self._show(unsent, result.state)
        else:
            self._talker.say(view.note(f"      {self._mark(result.state)}: {short}"))
        if result.refused:
            lost = f"{result.refused} of {result.members} did not get it: their mailboxes are full"
            self._talker.say(view.note(f"      {lost}"))

    def _show(self, unsent: Unsent, state: str) -> None:
        """The message as a line of its conversation."""
        if state == "sending":
            self._shown.add(unsent.cid)
        roster = self._talker.roster
        talk = roster.talk(unsent.kind == MsgId.GROUP_CHAT, unsent.target)
        name = roster.name if talk is self._talker.talk else f"{roster.name} → {talk.title}"
        now = self._talker.today()
        mark = self._mark(state)
        self._talker.say(view.message(name, unsent.text, f"{now:%H:%M}", now, me=True, mark=mark))

    def _mark(self, state: str) -> str:
        return self._talker.screen.marks.get(state, state)
