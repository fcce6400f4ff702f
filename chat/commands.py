"""The protocol on one screen: which rule answers which request, and who may ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from . import messages as m
from .accounts import Accounts
from .delivery import Delivery

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


def table(accounts: Accounts, delivery: Delivery) -> Commands:
    """All commands; RECEIVED_MSG and PONG_MSG are the session's own."""
    return {
        m.Login: Command(accounts.login, login=False),
        m.Reg: Command(accounts.register, login=False),
        m.OneChat: Command(delivery.one_chat),
        m.LogOut: Command(accounts.log_out),
        m.Ping: Command(accounts.ping, login=False),
    }
