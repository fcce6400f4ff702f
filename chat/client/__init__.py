"""The client library: a user's connection that keeps its promises; see ``docs/client.md``.

::

    client = Client("tcp:127.0.0.1:6000", user_id, password, ledger="bot.ledger")
    client.startService()
    async for message in client.messages():
        await client.reply(message, message.msg)
"""

from .client import Client
from .deliveries import Messages
from .errors import (
    AlreadyOnline,
    BadAnswer,
    ClientError,
    Disconnected,
    LedgerError,
    LedgerInUse,
    LoginRefused,
    NotOnline,
    OutboxFull,
    Refused,
    Stopped,
    TakenOver,
    WrongServer,
)
from .events import Limits
from .ledger import Ledger
from .link import State, Status
from .register import register
from .results import (
    AnyHint,
    AnyMessage,
    Conversation,
    DirectMessage,
    Friend,
    FriendAnswered,
    FriendAsked,
    FriendRemoved,
    FriendRequest,
    Group,
    GroupMessage,
    HistoryPage,
    Member,
    MembershipChanged,
    Notice,
    PresenceChanged,
    ReadUpTo,
    Sent,
    Token,
    TypingChanged,
    User,
    Welcome,
)
from .sending import Unsent

__all__ = [
    "AlreadyOnline",
    "AnyHint",
    "AnyMessage",
    "BadAnswer",
    "Client",
    "ClientError",
    "Conversation",
    "DirectMessage",
    "Disconnected",
    "Friend",
    "FriendAnswered",
    "FriendAsked",
    "FriendRemoved",
    "FriendRequest",
    "Group",
    "GroupMessage",
    "HistoryPage",
    "Ledger",
    "LedgerError",
    "LedgerInUse",
    "Limits",
    "LoginRefused",
    "Member",
    "MembershipChanged",
    "Messages",
    "NotOnline",
    "Notice",
    "OutboxFull",
    "PresenceChanged",
    "ReadUpTo",
    "Refused",
    "Sent",
    "State",
    "Status",
    "Stopped",
    "TakenOver",
    "Token",
    "TypingChanged",
    "Unsent",
    "User",
    "Welcome",
    "WrongServer",
    "register",
]
