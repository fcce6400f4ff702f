"""The protocol on one screen: which rule answers which request, and who may ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from . import messages as m
from .accounts import Accounts
from .contacts import Contacts
from .delivery import Delivery
from .groups import Groups
from .history import Past
from .owners import Owners
from .presence import Presence
from .signals import Signals

Result = Mapping[str, Any] | None
"""The fields of a successful answer; None: the rule has answered, or will."""

Rule = Callable[[Any, Any], "Result | Awaitable[Result]"]
"""Called with the session and the request; raises :class:`~chat.errors.ChatError`."""


class Command(msgspec.Struct, frozen=True):
    """How one kind of request is served."""

    rule: Rule
    login: bool = True
    """Whether one has to be logged in."""
    level: int = 1
    """The lowest level at which it is known."""


Commands = dict[type[m.Request], Command]


def table(
    accounts: Accounts,
    delivery: Delivery,
    contacts: Contacts,
    groups: Groups,
    presence: Presence,
    signals: Signals,
    past: Past,
    owners: Owners,
) -> Commands:
    """All commands; RECEIVED_MSG and PONG_MSG are the session's own."""
    return {
        m.Login: Command(accounts.login, login=False),
        m.Reg: Command(accounts.register, login=False),
        m.OneChat: Command(delivery.one_chat),
        m.AddFriend: Command(contacts.add),
        m.CreateGroup: Command(groups.create),
        m.AddGroup: Command(groups.join),
        m.GroupChat: Command(groups.chat),
        m.LogOut: Command(accounts.log_out),
        m.Ping: Command(accounts.ping, login=False),
        m.AskFriend: Command(contacts.ask, level=2),
        m.AnswerFriend: Command(contacts.answer, level=2),
        m.RemoveFriend: Command(contacts.remove, level=2),
        m.Block: Command(contacts.block, level=2),
        m.LeaveGroup: Command(groups.leave, level=2),
        m.RemoveMember: Command(groups.remove, level=2),
        m.HandOver: Command(groups.hand_over, level=2),
        m.ListFriends: Command(contacts.friends, level=2),
        m.ListRequests: Command(contacts.requests, level=2),
        m.ListBlocked: Command(contacts.blocked, level=2),
        m.ListGroups: Command(groups.groups, level=2),
        m.ListMembers: Command(groups.members, level=2),
        m.FindUser: Command(contacts.find, level=2),
        m.Presence: Command(presence.watch, level=2),
        m.Typing: Command(signals.typing, level=2),
        m.Read: Command(signals.read, level=2),
        m.AskHistory: Command(past.history, level=2),
        m.ListConversations: Command(past.conversations, level=2),
        m.ChangePassword: Command(owners.change_password, level=2),
        m.ListTokens: Command(owners.tokens, level=2),
        m.Revoke: Command(owners.revoke, level=2),
        m.DeleteAccount: Command(owners.delete, level=2),
    }
