"""What the commands do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

from ..errors import ClientError
from ..results import AnyMessage, HistoryPage
from . import text, view
from .futures import asked
from .orders import COMMANDS, Do
from .people import People
from .roster import Talk

if TYPE_CHECKING:
    from .talker import Talker

LINES = 20
"""Lines of history that are shown on entering a conversation, and more of it by default."""
MOST = 500


class Deeds(People):
    """The commands of one session.  What the server refuses is raised."""

    def __init__(self, talker: Talker) -> None:
        super().__init__(talker)
        self._deeds: dict[str, Callable[[Do], Awaitable[None]]] = {
            name: getattr(self, f"_{name}") for name in COMMANDS if name not in ("quit", "logout")
        }
        self._deeds |= {"addfriend": self._addfriend, "addgroup": self._join}

    async def do(self, order: Do) -> None:
        """Do what was asked for.

        :raises ClientError: it cannot be done.
        :raises ValueError: an argument names nothing; the text says which.
        """
        await self._deeds[order.name](order)

    # Conversations

    async def _to(self, order: Do) -> None:
        talk = self._roster.find(order.argument)
        if talk is None and not order.argument.startswith("#"):
            user_id, name = await self._user(order.argument)
            talk = self._roster.talk(False, user_id, name)
        if talk is None:
            raise ValueError(f"You are in no group {text.plain(order.argument)}.")
        if not talk.group and talk.name == str(talk.id):
            user = await asked(self._client.user(talk.id))
            if user is None:
                del self._roster.talks[talk.place]
                raise ValueError(f"There is no user {talk.id}.")
            talk.name = self._roster.people[user.id] = user.name
        await self._enter(talk)

    async def _enter(self, talk: Talk) -> None:
        self._talker.talk = talk
        self._say(view.head(f"── {text.plain(talk.title)} ──"))
        old: list[AnyMessage] = []
        try:
            old = await self._page(talk, 0, LINES)
        except ClientError as error:
            self._say(view.note(f"(no history: {text.plain(str(error))})"))
        # What has just come may not be in the history yet, and what is there is not shown twice.
        new = list(talk.new)
        talk.new.clear()
        unread, talk.unread = talk.unread, 0
        keys = {message.key for message in new}
        self._show(message for message in old if message.key not in keys)
        if unread:
            self._say(view.head(f"── {unread} new ──"))
            self._show(new)
        theirs = [it.cid for it in (*old, *new) if it.id != self._roster.user_id]
        if theirs:
            self._talker.mark_read(talk, theirs[-1])
        if talk.group and talk.id not in self._roster.members:
            self._talker.soon(self._learn_members(talk.id))

    async def _page(self, talk: Talk, before: int, limit: int) -> list[AnyMessage]:
        """A page of history, the oldest first."""
        page: HistoryPage
        if talk.group:
            page = await asked(self._client.history(groupid=talk.id, before=before, limit=limit))
        else:
            page = await asked(self._client.history(talk.id, before=before, limit=limit))
        talk.before, talk.more = page.before, page.more
        if page.gap:
            self._say(view.note("(some of what was said here was not recorded)"))
        return list(reversed(page.messages))

    def _show(self, messages: Iterable[AnyMessage]) -> None:
        today = self._talker.today()
        self._say(
            *(
                view.message(it.name, it.msg, it.time, today, me=it.id == self._roster.user_id)
                for it in messages
            )
        )

    async def _history(self, order: Do) -> None:
        talk = self._talker.talk
        if talk is None:
            raise ValueError("Whose? Choose a conversation first: /to NAME.")
        if order.argument and not (order.argument.isascii() and order.argument.isdigit()):
            raise ValueError("Usage: /history [N]")
        limit = min(MOST, max(1, int(order.argument or LINES)))
        if not talk.more:
            self._say(view.note("There is nothing older."))
            return
        older = await self._page(talk, talk.before, limit)
        self._say(view.head(f"── {text.plain(talk.title)}, earlier ──"))
        self._show(older)
        self._say(view.head("──"))

    async def _close(self, order: Do) -> None:
        self._talker.talk = None

    async def _talks(self, order: Do) -> None:
        today = self._talker.today()
        rows = []
        for it in await asked(self._client.conversations(30)):
            talk = self._roster.talk(bool(it.groupid), it.groupid or it.toid, it.name)
            said = f"{text.plain(it.last.name)}: {text.shortened(it.last.msg, 40)}"
            rows.append((text.plain(talk.title), text.clock(it.last.time, today), said))
        self._list("You have talked to nobody yet.", view.table(rows))

    # The rest

    async def _who(self, order: Do) -> None:
        roster = self._roster
        self._say(
            *view.table(
                [
                    ("you", f"{text.plain(roster.name)}, id {roster.user_id}"),
                    ("server", f"{text.plain(self._talker.where)}, {self._client.state.value}"),
                    ("under way", f"{len(self._client.unacknowledged)} messages"),
                ]
            )
        )

    async def _password(self, order: Do) -> None:
        old = await self._talker.screen.ask_secret("Password now: ")
        new = await self._talker.screen.ask_secret("New password: ")
        again = await self._talker.screen.ask_secret("Once more: ")
        if new != again:
            raise ValueError("These were not the same; nothing is changed.")
        await asked(self._client.change_password(old, new))
        self._say(view.notice("Your password is changed"))

    async def _help(self, order: Do) -> None:
        self._say(*view.help_lines())
