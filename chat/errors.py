"""What a client can do wrong, and how it is told.

Every refusal is one :class:`ChatError`.  Its :class:`Code` is the ``errno`` on the wire, its text
is fixed (never an exception's, never made from user input), and ``fatal`` says that the connection
ends with it::

    ChatError
      code 1..2      a login or a name is refused, in the original's own words
      code 100..106  the request is wrong: ask differently
      code 107..108  not now: ``retry_after`` seconds say when
      code 109..110  this message cannot be taken
      code 199       our own fault, logged with its traceback

Codes and texts are the table "Errors" of ``docs/protocol.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType


class Code(IntEnum):
    """The ``errno`` of an answer."""

    DONE = 0
    REFUSED = 1
    IN_USE = 2
    BAD_REQUEST = 100
    UNKNOWN_MSGID = 101
    LOGIN_FIRST = 102
    FORBIDDEN = 103
    NO_SUCH_USER = 104
    NO_SUCH_GROUP = 105
    TOO_LARGE = 106
    TOO_FAST = 107
    BUSY = 108
    MAILBOX_FULL = 109
    CID_REUSED = 110
    INTERNAL = 199


NOTHING: Mapping[str, str] = MappingProxyType({})

INVALID_LOGIN = "id or password is invalid!"
ALREADY_ONLINE = "this account is using, input another!"

_TEXTS = {
    Code.REFUSED: "refused",
    Code.IN_USE: ALREADY_ONLINE,
    Code.BAD_REQUEST: "not a valid request",
    Code.UNKNOWN_MSGID: "unknown msgid",
    Code.LOGIN_FIRST: "log in first",
    Code.FORBIDDEN: "not yours to do",
    Code.NO_SUCH_USER: "no such user",
    Code.NO_SUCH_GROUP: "no such group",
    Code.TOO_LARGE: "too large",
    Code.TOO_FAST: "too fast, try again later",
    Code.BUSY: "busy, try again later",
    Code.MAILBOX_FULL: "the recipient's mailbox is full",
    Code.CID_REUSED: "this cid was used for another message",
    Code.INTERNAL: "internal error",
}


class ChatError(Exception):
    """A request is refused.

    :param code: the ``errno`` that the client gets.
    :param text: its ``errmsg``; by default the code's own.
    :param fatal: whether the connection is closed after the answer.
    :param retry_after: seconds, > 0, after which trying again makes sense (107 and 108).
    :param fields: what programs need to know beside the code.
    """

    def __init__(
        self,
        code: Code,
        text: str | None = None,
        *,
        fatal: bool = False,
        retry_after: float | None = None,
        fields: Mapping[str, str] = NOTHING,
    ) -> None:
        self.code = code
        self.text = _TEXTS[code] if text is None else text
        self.fatal = fatal
        self.retry_after = retry_after
        self.fields = fields
        super().__init__(f"{int(code)} {self.text}")


class StoreAway(Exception):
    """The store could not be reached, or did not answer in time.

    :param unknown: whether the work may have been done all the same (a commit whose answer was
        lost).  False: it certainly was not.
    """

    def __init__(self, text: str, *, unknown: bool) -> None:
        self.unknown = unknown
        super().__init__(text)


class NameTaken(Exception):
    """A user or group of that name exists (compared on the NFKC form)."""


class BadStart(Exception):
    """The server cannot start; the text is one line that says what is wrong and what to do."""
