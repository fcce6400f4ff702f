"""What a dialogue tells the application, and the bounds it keeps."""

from __future__ import annotations

from enum import Enum

import msgspec

from .errors import Disconnected, Refused, TakenOver, WrongServer
from .results import AnyHint, AnyMessage, Sent, Welcome
from .sending import Unsent


class Limits(msgspec.Struct, frozen=True):
    """The bounds of a client."""

    window: int = 500
    """Messages sent and not yet acknowledged."""
    window_bytes: int = 2**20
    """The same in bytes, about."""
    waiting: int = 10_000
    """Messages not acknowledged, sent or not; one more raises OutboxFull."""
    line: int = 65_536
    """Bytes of a line to the server, as the server is configured."""
    seen: int = 20_000
    """How many messages received are remembered so as not to show them twice."""
    keepalive: float = 30.0
    """Seconds of silence after which the server is asked whether it is there."""
    grace: float = 15.0
    """Seconds it has to answer; then the connection is given up."""


class Phase(Enum):
    """Where a dialogue stands."""

    OFFLINE = "offline"
    LOGIN = "login"
    ONLINE = "online"
    ENDED = "ended"


class LoggedIn(msgspec.Struct, frozen=True):
    """The login succeeded; ``token``, if there is one, logs in again without the password."""

    welcome: Welcome
    token: str


class LoginFailed(msgspec.Struct, frozen=True):
    """It did not.  ``final``: there is no use in trying again."""

    error: Refused | WrongServer
    final: bool


class Arrived(msgspec.Struct, frozen=True):
    """A message that was not seen before; :meth:`Dialogue.handled` when it is dealt with."""

    message: AnyMessage


class Answered(msgspec.Struct, frozen=True):
    """The last word on a message of ours."""

    unsent: Unsent
    result: Sent | Refused


class Replied(msgspec.Struct, frozen=True):
    """The answer to a request: the line, or why there is none."""

    cid: str
    result: bytes | Refused | Disconnected


class Hinted(msgspec.Struct, frozen=True):
    """Somebody did something."""

    hint: AnyHint


class Broken(msgspec.Struct, frozen=True):
    """This connection is of no more use: close it, and connect again."""

    reason: str


class Ended(msgspec.Struct, frozen=True):
    """It is over: close, and do not come back."""

    error: TakenOver


Event = LoggedIn | LoginFailed | Arrived | Answered | Replied | Hinted | Broken | Ended
