"""The rules of history: what was said, by page, and with whom one talked last.

Only who took part sees it; who joins a group sees what was said since.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any

import msgspec
from msgspec import Raw

from .config import Settings
from .delivery import Peer, sender_of
from .interfaces import History
from .lists import fitting
from .messages import AskHistory, ListConversations
from .model import Conversation, Page, Said
from .rooms import Rooms
from .signals import one_target

READ_LINES = 50
"""Lines that are read in one go as long as it is not known how long they are."""

Fields = Mapping[str, Any]

_fields = msgspec.json.Decoder(dict[str, Raw]).decode


class Past:
    """What can be read again."""

    def __init__(self, history: History, rooms: Rooms, settings: Settings) -> None:
        self._history = history
        self._rooms = rooms
        self._size = settings.send_line_bound

    async def history(self, me: Peer, ask: AskHistory) -> Fields:
        """A page, newest first; shorter than asked for where it would be too much for a line."""
        user_id = sender_of(me).id
        toid, groupid = one_target(ask.toid, ask.groupid)
        if groupid:
            await self._rooms.room_of(groupid, user_id)
        lines: list[Raw] = []
        before, wanted, size = ask.before, ask.limit, self._size
        more, gap = True, False
        while more and wanted > 0:
            # So many that they fit if they are like those before.
            typical = (self._size - size) // len(lines) if lines else self._size // READ_LINES
            count = max(1, min(wanted, size // typical))
            page = await self._page(user_id, toid, groupid, before, count)
            fit, cut = fitting(map(_entry, page.lines), size, least=0 if lines else 1)
            lines += fit
            more, gap = page.more or cut, page.gap or gap
            if cut or not page.lines:
                break
            before = page.lines[-1].stamp
            wanted -= len(fit)
            size -= sum(len(bytes(line)) + 1 for line in fit)
        return {"messages": lines, "more": more, "gap": gap}

    def _page(
        self, user_id: int, toid: int, groupid: int, before: int, limit: int
    ) -> Awaitable[Page]:
        if groupid:
            return self._history.in_group(groupid, user_id, before, limit)
        return self._history.between(user_id, toid, before, limit)

    async def conversations(self, me: Peer, ask: ListConversations) -> Fields:
        """The newest line of each conversation, the newest conversation first."""
        found, more = await self._history.conversations(sender_of(me).id, ask.before, ask.limit)
        fit, cut = fitting(map(_conversation, found), self._size)
        if cut:
            # The next page begins below this one's last stamp.
            stamp = found[len(fit)].last.stamp
            while len(fit) > 1 and found[len(fit) - 1].last.stamp == stamp:
                fit.pop()
        return {"conversations": fit, "more": more or cut}


def _entry(line: Said) -> dict[str, Any]:
    """A line as it was pushed, with its cid and its place."""
    return {**_fields(line.body), "cid": line.cid, "stamp": line.stamp}


def _conversation(one: Conversation) -> Fields:
    place = {"groupid": one.group} if one.group else {"toid": one.peer}
    return {**place, "name": one.name, "last": _entry(one.last)}
