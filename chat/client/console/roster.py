"""Whom one knows, and the conversations one has: what the console shows and completes from.

Pure: the talker tells it what happens.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..results import AnyMessage, Friend, Group, GroupMessage, Welcome
from .orders import Names

KEPT = 200
"""Messages kept of a conversation that one is not looking at."""

Place = tuple[bool, int]
"""A conversation: whether it is a group's, and the user's or the group's id."""


@dataclass
class Talk:
    """One conversation."""

    group: bool
    id: int
    name: str
    unread: int = 0
    new: deque[AnyMessage] = field(default_factory=lambda: deque(maxlen=KEPT))
    """What came while one was looking elsewhere, the newest of it."""
    before: int = 0
    """Where the next older page of its history begins; 0: nothing was asked for yet."""
    more: bool = True
    """Whether there may be older history."""
    last_sent: str = ""
    """The cid of the last message one wrote here."""
    read: bool = False
    """Whether somebody has read that one."""
    typing: dict[str, float] = field(default_factory=dict)
    """Who types, and until when (seconds, monotonic) that is believed."""

    @property
    def place(self) -> Place:
        return self.group, self.id

    @property
    def title(self) -> str:
        """How it is called on the screen."""
        return f"#{self.name}" if self.group else self.name


class Roster:
    """Everything by name and by id."""

    def __init__(self, user_id: int) -> None:
        self.user_id = user_id
        self.name = str(user_id)
        self.friends: dict[int, Friend] = {}
        self.groups: dict[int, Group] = {}
        self.asking: dict[int, str] = {}
        """Who asks to be friends."""
        self.people: dict[int, str] = {}
        """Others whose names were seen."""
        self.members: dict[int, list[str]] = {}
        """Names of members, of groups where they were asked for."""
        self.talks: dict[Place, Talk] = {}

    def welcome(self, welcome: Welcome) -> None:
        """A login's answer."""
        self.name = welcome.name
        self.set_friends(welcome.friends)
        self.set_groups(welcome.groups)

    def set_friends(self, friends: Iterable[Friend]) -> None:
        """The list of friends, as it is now."""
        self.friends = {friend.id: friend for friend in friends}
        self._name_talks(False, {friend.id: friend.name for friend in self.friends.values()})

    def set_groups(self, groups: Iterable[Group]) -> None:
        """The list of groups, as it is now."""
        self.groups = {group.id: group for group in groups}
        self._name_talks(True, {group.id: group.groupname for group in self.groups.values()})

    def talk(self, group: bool, place_id: int, name: str | None = None) -> Talk:
        """The conversation with a user or in a group; begun when there was none."""
        talk = self.talks.get((group, place_id))
        if talk is None:
            talk = Talk(group, place_id, self._name(group, place_id, name))
            self.talks[talk.place] = talk
        elif name:
            talk.name = name
        return talk

    def talk_of(self, message: AnyMessage) -> Talk:
        """The conversation a message belongs to."""
        if isinstance(message, GroupMessage):
            self.people.setdefault(message.id, message.name)
            return self.talk(True, message.groupid)
        if message.id == self.user_id:
            return self.talk(False, message.toid)
        self.people[message.id] = message.name
        return self.talk(False, message.id, message.name)

    def find(self, typed: str) -> Talk | None:
        """The conversation that somebody means: ``#GROUP``, ``#ID``, a user's id, or the name of a
        friend, of somebody seen, or of a group; None: nobody known here."""
        if typed.startswith("#"):
            group = self.find_group(typed[1:])
            return None if group is None else self.talk(True, group.id)
        user_id = self.find_user(typed)
        if user_id is not None:
            return self.talk(False, user_id)
        group = self.find_group(typed)
        return None if group is None else self.talk(True, group.id)

    def find_user(self, typed: str) -> int | None:
        """A user's id, from an id or a name that is known here."""
        if typed.isascii() and typed.isdigit() and int(typed) > 0:
            return int(typed)
        if typed == self.name:
            return self.user_id
        for user_id, friend in self.friends.items():
            if friend.name == typed:
                return user_id
        for names in (self.asking, self.people):
            for user_id, name in names.items():
                if name == typed:
                    return user_id
        return None

    def find_group(self, typed: str) -> Group | None:
        """A group one is in, from its id or name."""
        typed = typed.removeprefix("#")
        for group in self.groups.values():
            if typed in (group.groupname, str(group.id)):
                return group
        return None

    def names(self, kind: Names, talk: Talk | None) -> list[str]:
        """What a command's argument can be, sorted."""
        groups = {f"#{group.groupname}" for group in self.groups.values()}
        friends = {friend.name for friend in self.friends.values()}
        seen = friends | set(self.people.values())
        found: set[str] = set()
        if kind is Names.ANYONE:
            found = seen | groups
        elif kind is Names.USER:
            found = seen
        elif kind is Names.FRIEND:
            found = friends
        elif kind is Names.ASKER:
            found = set(self.asking.values())
        elif kind is Names.GROUP:
            found = groups
        elif kind is Names.MEMBER and talk is not None and talk.group:
            found = set(self.members.get(talk.id, ())) - {self.name}
        return sorted(found, key=str.casefold)

    def unread(self) -> list[Talk]:
        """The conversations in which something is unread."""
        return [talk for talk in self.talks.values() if talk.unread]

    def _name_talks(self, group: bool, names: dict[int, str]) -> None:
        for talk in self.talks.values():
            if talk.group is group:
                talk.name = names.get(talk.id, talk.name)

    def _name(self, group: bool, place_id: int, name: str | None) -> str:
        if name:
            return name
        if group:
            known = self.groups.get(place_id)
            return known.groupname if known else str(place_id)
        if place_id == self.user_id:
            return self.name
        friend = self.friends.get(place_id)
        return friend.name if friend else self.people.get(place_id, str(place_id))
