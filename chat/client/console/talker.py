"""One user's session at the terminal: what arrives is shown, what is typed is sent or done."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from datetime import datetime
from enum import Enum
from time import monotonic
from typing import Any

from ..client import Client
from ..errors import ClientError, NotOnline, Refused, Stopped, TakenOver
from ..link import State, Status
from ..results import AnyMessage
from . import text, view
from .deeds import Deeds
from .futures import asked
from .hints import Hints
from .orders import Do, Names, Order, Say, SayTo, Wrong, understand
from .own import Own
from .roster import Roster, Talk
from .screen import Screen
from .view import Line

TYPING_EVERY = 3.0
"""Seconds after which one tells again that one is typing."""
SETTLING = 1.5
"""Seconds that the first prompt waits for the first login."""
LEAVING = 3.0
"""Seconds that leaving waits for what is not acknowledged."""


class Outcome(Enum):
    """How a session ended."""

    QUIT = 0
    LOGOUT = 1
    REFUSED = 2
    """Never logged in."""
    ENDED = 3
    """Another login took over."""


class Talker:
    """The session; :meth:`run` is its life.

    :param connect: makes the client, with the callbacks it is given.
    :param where: the server, for the bar.
    :param on_welcome: called with the user's name and id after each login.
    """

    def __init__(
        self,
        user_id: int,
        connect: Callable[..., Client],
        where: str,
        on_welcome: Callable[[str, int], None],
    ) -> None:
        self.roster = Roster(user_id)
        self.talk: Talk | None = None
        self.outcome = Outcome.QUIT
        self.screen = Screen(self._prompt, self._bar, self._names, self._typed)
        self._own = Own(self)
        self.client = connect(
            on_message=self._arrived,
            on_hint=Hints(self).heard,
            on_sent=self._own.answered,
            on_status=self._changed,
        )
        self.deeds = Deeds(self)
        self.where = where
        self._on_welcome = on_welcome
        self._status = Status(State.CONNECTING)
        self._retry_at = 0.0
        self._was_online = False
        self._settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.told_typing = 0.0
        self._read_call: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    # Its life

    async def run(self) -> Outcome:
        """Connect, and read lines until the user leaves."""
        orders: asyncio.Queue[str] = asyncio.Queue()
        working = asyncio.ensure_future(self._work(orders))
        stopped = asked(self.client.when_stopped())
        self.client.watch_presence()
        self.client.startService()
        # The prompt comes when there is something above it, unless that takes its time.
        await asyncio.wait([stopped, self._settled], timeout=SETTLING)
        reading = asyncio.ensure_future(self._read_lines(orders))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, working.cancel)
        await asyncio.wait([stopped, working], return_when=asyncio.FIRST_COMPLETED)
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.remove_signal_handler(number)
        if stopped.done() and stopped.exception() is not None:
            self.outcome = Outcome.ENDED if self._was_online else Outcome.REFUSED
        for task in (reading, working, *self._tasks):
            task.cancel()
        await asyncio.gather(reading, working, *self._tasks, return_exceptions=True)
        if not stopped.done():
            await self._leave()
        await asyncio.gather(stopped, return_exceptions=True)
        await self.screen.flush()
        return self.outcome

    async def _read_lines(self, orders: asyncio.Queue[str]) -> None:
        while True:
            try:
                orders.put_nowait(await self.screen.ask())
            except EOFError:
                orders.put_nowait("/quit")
                return
            except KeyboardInterrupt:
                self.say(view.note("Ctrl-D or /quit leaves."))

    async def _work(self, orders: asyncio.Queue[str]) -> None:
        """Do what is asked for, one after another."""
        while True:
            order = understand(await orders.get(), self.talk is not None)
            if order is None:
                continue
            if isinstance(order, Do) and order.name in ("quit", "logout"):
                self.outcome = Outcome.LOGOUT if order.name == "logout" else Outcome.QUIT
                return
            try:
                await self._do(order)
            except NotOnline:
                self.say(view.error("That needs a connection, and there is none just now."))
            except Refused as error:
                self.say(view.error(f"Refused: {text.plain(error.text)}"))
            except (ClientError, ValueError) as error:
                self.say(view.error(text.plain(str(error))))

    async def _do(self, order: Order) -> None:
        if isinstance(order, Wrong):
            self.say(view.error(order.why))
        elif isinstance(order, Say) and self.talk is not None:
            self._own.send(self.talk, order.text)
        elif isinstance(order, SayTo):
            self._own.send(self.roster.talk(order.group, order.target), order.text)
        elif isinstance(order, Do):
            await self.deeds.do(order)
        else:
            self.say(view.error("Choose whom to talk to first: /to NAME."))

    async def _leave(self) -> None:
        """Wait a little for what is under way, then stop; the ledger keeps the rest."""
        deadline = monotonic() + LEAVING
        if self.client.state is State.ONLINE:
            while self.client.unacknowledged and monotonic() < deadline:
                await asyncio.sleep(0.05)
        left = len(self.client.unacknowledged)
        if self.outcome is Outcome.LOGOUT:
            await asked(self.client.logout())
        else:
            await asked(self.client.stopService())
        if left:
            self.say(view.note(f"{left} not acknowledged yet; sent again at the next start."))

    def say(self, *lines: Line) -> asyncio.Future[None]:
        """Put lines on the screen."""
        return self.screen.show(*lines)

    def today(self) -> datetime:
        """Now, in the local time zone."""
        return datetime.now().astimezone()

    def soon(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside what is typed."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # What arrives

    def _arrived(self, message: AnyMessage) -> asyncio.Future[None]:
        talk = self.roster.talk_of(message)
        talk.typing.pop(message.name, None)
        if message.id == self.roster.user_id:
            return self.screen.show()
        if talk is self.talk:
            self.mark_read(talk, message.cid)
            return self.say(view.message(message.name, message.msg, message.time, self.today()))
        if self.talk is None:
            return self.say(view.lobby(talk.title, message, talk.group, self.today()))
        talk.unread += 1
        talk.new.append(message)
        self.screen.refresh()
        return self.say(view.elsewhere(talk.title, message, talk.group, self.screen.width))

    def mark_read(self, talk: Talk, cid: str) -> None:
        """Tell the other side, soon, and once for many messages."""
        if self._read_call is not None:
            self._read_call.cancel()
        target = {"groupid": talk.id} if talk.group else {"toid": talk.id}
        loop = asyncio.get_running_loop()
        self._read_call = loop.call_later(0.3, lambda: self.client.read(cid, **target))

    def _changed(self, status: Status) -> None:
        self._status = status
        self._retry_at = monotonic() + status.retry_in
        if status.state is State.ONLINE and self.client.welcome is not None:
            welcome = self.client.welcome
            self.roster.welcome(welcome)
            self._on_welcome(welcome.name, welcome.id)
            if not self._was_online:
                self._was_online = True
                self._greet(welcome.backlog)
            if welcome.more_friends:
                self.soon(self.deeds.learn_friends())
            if welcome.more_groups:
                self.soon(self.deeds.learn_groups())
            self.soon(self.deeds.learn_requests())
        elif status.state is State.STOPPED and not isinstance(status.error, Stopped):
            words = "Another login of yours took over." if isinstance(
                status.error, TakenOver
            ) else f"Cannot log in: {text.why(status.error)}"  # fmt: skip
            self.say(view.error(words))
        elif status.state is State.WAITING and not self._was_online and status.error is not None:
            self.say(view.error(f"{self.where}: {text.why(status.error)}"))
        if status.state is not State.CONNECTING and not self._settled.done():
            self._settled.set_result(None)
        self.screen.refresh()

    def _greet(self, backlog: int) -> None:
        online = sum(friend.state == "online" for friend in self.roster.friends.values())
        waiting = f", {backlog} messages waiting" if backlog else ""
        self.say(
            view.notice(f"Welcome, {text.plain(self.roster.name)} (id {self.roster.user_id})"),
            view.note(f"{online} friends online{waiting}. /to NAME to talk, /help for the rest."),
        )

    # What is typed, and what stands around it

    def _typed(self, typed: str) -> None:
        now = monotonic()
        if self.talk is None or not typed or typed.startswith("/"):
            return
        if now - self.told_typing >= TYPING_EVERY:
            self.told_typing = now
            if self.talk.group:
                self.client.typing(groupid=self.talk.id)
            else:
                self.client.typing(self.talk.id)

    def _names(self, kind: Names) -> list[str]:
        return self.roster.names(kind, self.talk)

    def _prompt(self) -> Line:
        if self.talk is None:
            return [("", "> ")]
        return [("class:place", text.plain(self.talk.title)), ("", "> ")]

    def _bar(self) -> Line:
        line: Line = [("", f" {text.plain(self.roster.name)}@{text.plain(self.where)} ")]
        status = self._status
        if status.state is State.ONLINE:
            line.append(("class:bottom-toolbar.online", "online"))
        elif status.state is State.WAITING:
            seconds = max(0, round(self._retry_at - monotonic()))
            line.append(("class:bottom-toolbar.offline", f"offline, again in {seconds} s"))
        else:
            line.append(("class:bottom-toolbar.offline", status.state.value))
        unread = self.roster.unread()
        if unread:
            counts = ", ".join(f"{text.plain(talk.title)} {talk.unread}" for talk in unread)
            line += [("", " | "), ("class:bottom-toolbar.unread", f"unread: {counts}")]
        unsent = len(self.client.unacknowledged)
        if unsent:
            line.append(("", f" | {unsent} under way"))
        if self.talk is not None:
            now = monotonic()
            typing = [name for name, until in self.talk.typing.items() if until > now]
            if typing:
                line.append(("", f" | {text.plain(', '.join(typing[:3]))} typing…"))
            elif self.talk.read:
                line.append(("", " | read"))
        return line
