"""Who is shown as online, and who wants to know.

Somebody who goes and comes back at once has not gone: goings are told a moment later, when they
have turned out to be true.  Whom to tell is asked for only while somebody watches.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from .delivery import Delivery, Peer, sender_of
from .errors import StoreAway
from .interfaces import Clock, Friends
from .messages import MsgId
from .messages import Presence as Watch
from .wire import encode

GONE_SECONDS = 1.0
"""Who is not back by then has gone."""


class Presence:
    """Watches :attr:`chat.delivery.Delivery.presence` and tells friends of it.

    :param spawn: runs a coroutine and logs what it raises.
    """

    def __init__(
        self,
        friends: Friends,
        delivery: Delivery,
        clock: Clock,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._friends = friends
        self._delivery = delivery
        self._clock = clock
        self._spawn = spawn
        self._watching: set[int] = set()
        self._shown: set[int] = set()
        """Who is shown as online."""
        self._going: dict[int, tuple[float, str]] = {}
        """Who is not here any more: when to look again, and the name; the first to be due first."""
        self._untold: dict[int, tuple[str, bool]] = {}
        """Of whom friends are to be told, with the name and whether online."""
        self._telling = False
        delivery.presence.append(self.changed)

    def watch(self, me: Peer, ask: Watch) -> Mapping[str, Any]:
        """From now on, until the logout, the client is told of its friends' comings and goings."""
        user_id = sender_of(me).id
        if ask.watch:
            self._watching.add(user_id)
        else:
            self._watching.discard(user_id)
        return {}

    def changed(self, user_id: int, name: str, online: bool) -> None:
        """A user has come or gone."""
        if online:
            self._going.pop(user_id, None)
            if user_id not in self._shown:
                self._shown.add(user_id)
                self._tell(user_id, name, True)
        else:
            self._watching.discard(user_id)
            if user_id in self._shown:
                self._going.pop(user_id, None)
                self._going[user_id] = (self._clock.monotonic() + GONE_SECONDS, name)

    def seen(self, user_id: int, name: str, online: bool) -> None:
        """A user has come or gone on another node."""
        self._shown.discard(user_id)
        self._going.pop(user_id, None)
        if not self._watching:
            return
        if online:
            self._tell(user_id, name, True)
        else:
            self._going[user_id] = (self._clock.monotonic() + GONE_SECONDS, name)

    def gone(
        self, user_id: int, name: str, watchers: list[int], *, elsewhere: bool = False
    ) -> None:
        """There is no such user any more; ``watchers`` were its friends.

        :param elsewhere: the user was on another node.
        """
        self._watching.discard(user_id)
        self._going.pop(user_id, None)
        self._untold.pop(user_id, None)
        if elsewhere or user_id in self._shown:
            self._shown.discard(user_id)
            self._push(user_id, name, False, watchers)

    def tick(self, now: float) -> None:
        """Call it a few times a second."""
        for user_id, (when, name) in list(self._going.items()):
            if now < when:
                break
            # Who is about to log in again has not gone.
            if user_id not in self._delivery.online:
                del self._going[user_id]
                self._shown.discard(user_id)
                self._tell(user_id, name, False)

    async def visibility(self, user_id: int, name: str, watcher: int) -> None:
        """The user has blocked the watcher, or does so no more."""
        if watcher not in self._watching or user_id not in self._shown:
            return
        if await self._friends.are_friends(watcher, user_id):
            self._push(user_id, name, self._delivery.shows(user_id, watcher), [watcher])

    def _tell(self, user_id: int, name: str, online: bool) -> None:
        if self._watching:
            self._untold[user_id] = (name, online)
            if not self._telling:
                self._telling = True
                self._spawn(self._tell_all())

    async def _tell_all(self) -> None:
        try:
            while self._untold:
                user_id = next(iter(self._untold))
                watchers = await self._friends.watchers(user_id)
                elsewhere = await self._delivery.online_elsewhere([user_id])
                # As it is by now, if the user has come or gone again meanwhile.
                name, online = self._untold.pop(user_id, ("", False))
                if name and (online or user_id not in elsewhere):
                    self._push(user_id, name, online, watchers)
        except StoreAway:
            # Presence is a hint: who wants to be sure asks for the friends.
            self._untold.clear()
        finally:
            self._telling = False

    def _push(self, user_id: int, name: str, online: bool, watchers: list[int]) -> None:
        line = encode(
            {"msgid": int(MsgId.PRESENCE), "id": user_id, "name": name, "state": state_word(online)}
        )
        self._delivery.hint([one for one in watchers if one in self._watching], line)


def state_word(online: bool) -> str:
    """A state as messages say it."""
    return "online" if online else "offline"
