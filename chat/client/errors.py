"""What can go wrong at the client, typed.

::

    ClientError
      Refused          the server said no: code, text, retry_after (also a chat.errors.ChatError)
        LoginRefused     not this user, not this password; the client has stopped
          AlreadyOnline    the user is online elsewhere, and takeover was not asked for
        TakenOver        another login of this user took over; the client has stopped
      NotOnline        a request needs a connection, and there is none just now
      Disconnected     the connection ended before the answer came: the outcome is unknown
      Stopped          the client was stopped first; a ledger keeps the message for the next start
      OutboxFull       too many messages wait to be acknowledged
      BadAnswer        a line of the server that the protocol does not allow
      WrongServer      a server that does not acknowledge messages (level 1 only)
      LedgerError      the ledger's file cannot be used
        LedgerInUse      another running client has it
"""

from __future__ import annotations

from ..errors import ChatError, Code


class ClientError(Exception):
    """What all errors of :mod:`chat.client` have in common."""


class Refused(ChatError, ClientError):
    """The server refused a request; ``code``, ``text`` and ``retry_after`` are its words."""


class LoginRefused(Refused):
    """The login was refused for good: trying again would not help."""


class AlreadyOnline(LoginRefused):
    """The user is online elsewhere."""


class TakenOver(Refused):
    """Another login of the same user took over."""


class NotOnline(ClientError):
    """There is no connection, or no login on it yet."""


class Disconnected(ClientError):
    """The connection ended while the request was under way."""


class Stopped(ClientError):
    """The client was stopped while something was under way."""


class OutboxFull(ClientError):
    """As many messages wait as may."""


class BadAnswer(ClientError):
    """A line of the server that the protocol does not allow."""


class WrongServer(ClientError):
    """The server does not acknowledge messages."""


class LedgerError(ClientError):
    """The ledger's file cannot be read or written, or belongs to another user."""


class LedgerInUse(LedgerError):
    """Another client that runs now has the ledger."""


def known_code(errno: int) -> Code:
    """The code of an ``errno``; one that this version does not know counts as ``INTERNAL``."""
    try:
        return Code(errno)
    except ValueError:
        return Code.INTERNAL
