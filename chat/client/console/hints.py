"""What others do, as it is told on the screen."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from ..results import (
    AnyHint,
    Friend,
    FriendAnswered,
    FriendAsked,
    FriendRemoved,
    MembershipChanged,
    Notice,
    PresenceChanged,
    ReadUpTo,
    TypingChanged,
)
from . import text, view

if TYPE_CHECKING:
    from .talker import Talker

TYPING_LASTS = 6.0
"""Seconds that it is believed of others that they are typing."""


class Hints:
    """Takes hints for one session."""

    def __init__(self, talker: Talker) -> None:
        self._talker = talker

    def heard(self, hint: AnyHint) -> None:
        """Somebody did something."""
        talker, roster = self._talker, self._talker.roster
        name = "" if isinstance(hint, Notice) else text.plain(hint.name)
        if isinstance(hint, PresenceChanged):
            friend = roster.friends.get(hint.id)
            if friend is not None and friend.state != hint.state:
                roster.friends[hint.id] = Friend(hint.id, hint.name, hint.state)
                talker.say(view.note(f"{name} is {text.plain(hint.state)}"))
        elif isinstance(hint, TypingChanged):
            talk = roster.talk(bool(hint.groupid), hint.groupid or hint.id)
            if hint.typing:
                talk.typing[hint.name] = monotonic() + TYPING_LASTS
            else:
                talk.typing.pop(hint.name, None)
        elif isinstance(hint, ReadUpTo):
            talk = roster.talk(bool(hint.groupid), hint.groupid or hint.id)
            talk.read = talk.read or hint.upto == talk.last_sent
        elif isinstance(hint, FriendAsked):
            roster.asking[hint.id] = hint.name
            talker.say(*view.asks(hint.name, hint.note))
        elif isinstance(hint, FriendAnswered):
            did = "accepted" if hint.accept else "declined"
            talker.say(view.notice(f"{name} {did} your request to be friends"))
            talker.soon(talker.deeds.learn_friends())
        elif isinstance(hint, FriendRemoved):
            roster.friends.pop(hint.id, None)
            talker.say(view.note(f"{name} is no friend of yours any more"))
        elif isinstance(hint, MembershipChanged):
            group = text.plain(roster.talk(True, hint.groupid).title)
            did = {"creator": "is its creator now", "removed": "was put out"}.get(
                hint.event, text.plain(hint.event)
            )
            talker.say(view.note(f"{group}: {name} {did}"))
            roster.members.pop(hint.groupid, None)
            if hint.id == roster.user_id:
                talker.soon(talker.deeds.learn_groups())
        elif isinstance(hint, Notice):
            talker.say(view.notice(f"Server: {text.shortened(hint.msg, 500)}"))
        talker.screen.refresh()
