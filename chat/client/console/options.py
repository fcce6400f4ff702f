"""What is asked of ``chat`` on its command line, in the environment and in files."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from getpass import getpass
from pathlib import Path

from ..ledger import Ledger
from .places import DEFAULT_SERVER, Known, endpoint, ledger_path

DONE, REFUSED, USAGE, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 130

_ABOUT = """\
Talk to people on a chat server, in this terminal.

  chat                                  ask for the user and the password, then talk
  chat register NAME                    make an account, and print its id
  chat --server chat.example --user bob
  echo hi | chat send --to ann          one message, for scripts
  tail -f log | chat send --group ops --lines
  chat listen --json                    print what arrives, a JSON object a line"""

_NOTES = """\
The password is asked for without showing it, or taken from --password-file, or from CHAT_PASSWORD.
Messages that are not acknowledged are kept (in ~/.local/state/chat, or $XDG_STATE_HOME/chat) and
sent at the next start; the names whose ids are known are in ~/.config/chat/known.json.

Exit status: 0 done, and every message acknowledged; 1 refused by the server; 2 wrong usage;
3 the server cannot be reached, or has not acknowledged in time (what was to be sent is kept);
130 interrupted."""


class Usage(Exception):
    """The command line asks for something that makes no sense; the text is one line."""


def _parser() -> argparse.ArgumentParser:
    """The command line."""
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument(
        "--server",
        metavar="HOST:PORT",
        help="the server, or a Twisted endpoint description; by default $CHAT_SERVER, the one "
        "used last, or " + DEFAULT_SERVER,
    )
    common.add_argument("--tls", action="store_true", help="encrypt (HOST:PORT speaks TLS)")
    common.add_argument("--user", metavar="NAME-OR-ID", help="the user; a name that is known here")
    common.add_argument("--password-file", metavar="FILE", help="its first line is the password")
    common.add_argument(
        "--takeover", action="store_true", help="end another login of this user, if there is one"
    )
    common.add_argument(
        "--stay", action="store_true", help="stay logged in: no password at the next start"
    )
    whole = argparse.ArgumentParser(
        prog="chat",
        description=_ABOUT,
        epilog=_NOTES,
        parents=[common],
        argument_default=argparse.SUPPRESS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = whole.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    def command(name: str, what: str) -> argparse.ArgumentParser:
        return commands.add_parser(
            name, parents=[common], help=what, argument_default=argparse.SUPPRESS
        )

    send = command("send", "send messages, for scripts")
    send.description = "Send TEXT, or standard input, and wait until it is acknowledged."
    to = send.add_mutually_exclusive_group(required=True)
    to.add_argument("--to", metavar="NAME-OR-ID", help="the user to send it to")
    to.add_argument("--group", metavar="NAME-OR-ID", help="the group to send it to")
    send.add_argument("--lines", action="store_true", help="a message a line, each as it comes")
    send.add_argument(
        "--timeout", type=float, metavar="SECONDS", help="how long to wait (default 30)"
    )
    send.add_argument("-v", "--verbose", action="store_true", help="print what became of each")
    send.add_argument("text", nargs="*", metavar="TEXT", help="the message")

    listen = command("listen", "print what arrives, for scripts")
    listen.description = "Print each message as a line, and acknowledge it when it is printed."
    listen.add_argument("--json", action="store_true", help="as JSON objects, whole")
    listen.add_argument("--count", type=int, metavar="N", help="leave after N messages")

    register = command("register", "make an account")
    register.description = "Make an account and print its id."
    register.add_argument("name", metavar="NAME", help="1 to 50 characters")
    register.add_argument("--invite", metavar="CODE", help="the invitation, where one is needed")
    return whole


@dataclass(frozen=True)
class Options:
    """What stands on the command line."""

    command: str = ""
    server: str = ""
    tls: bool = False
    user: str = ""
    password_file: str = ""
    takeover: bool = False
    stay: bool = False
    to: str = ""
    group: str = ""
    lines: bool = False
    timeout: float = 30.0
    verbose: bool = False
    text: Sequence[str] = ()
    json: bool = False
    count: int = 0
    name: str = ""
    invite: str | None = None


class Setup:
    """The options with all that they leave open.

    :raises Usage: they make no sense.
    """

    def __init__(self, options: Options, environ: Mapping[str, str]) -> None:
        self.options = options
        self.environ = environ
        self.known = Known(environ)
        self.server = (
            options.server or environ.get("CHAT_SERVER") or self.known.last_server or DEFAULT_SERVER
        )
        """As it was typed, which is how it is known."""
        try:
            self.endpoint = endpoint(self.server, options.tls)
        except ValueError as error:
            raise Usage(str(error)) from None

    @property
    def user(self) -> str:
        """Who is to log in, as far as one can tell; empty: nobody can tell."""
        asked = self.options.user or self.environ.get("CHAT_USER")
        return asked or self.known.last_user(self.server) or ""

    def user_id(self, user: str) -> int:
        """The id of a user who is named.

        :raises Usage: it is not known here.
        """
        user_id = self.known.id_of(self.server, user)
        if user_id is None:
            raise Usage(f"the id of {user} is not known here: log in with the id once (--user ID)")
        return user_id

    def ledger(self, user_id: int) -> Path:
        """Where the messages of a user are kept."""
        return ledger_path(self.environ, self.server, user_id)

    def given_password(self) -> str | None:
        """The password from the file or the environment; None: there is none.

        :raises Usage: the file cannot be read.
        """
        if not self.options.password_file:
            return self.environ.get("CHAT_PASSWORD") or None
        try:
            text = Path(self.options.password_file).read_text()
        except (OSError, ValueError) as error:
            raise Usage(f"--password-file: {error}") from None
        return text.partition("\n")[0].rstrip("\r")

    def password(self, user_id: int, who: str, at_terminal: bool) -> str | None:
        """The password to log in with; None: a token in the ledger stands for it.

        :raises Usage: there is none, and nobody to ask.
        :raises LedgerError: the ledger cannot be read.
        """
        password = self.given_password()
        if password is not None:
            return password
        ledger = Ledger(self.ledger(user_id), user_id)
        token = ledger.token()
        ledger.close()
        if token is not None:
            return None
        if not at_terminal:
            raise Usage("no password: --password-file, or CHAT_PASSWORD, or chat --stay once")
        return getpass(f"Password of {who}: ")


def read(arguments: Sequence[str] | None, environ: Mapping[str, str]) -> Setup:
    """The command line, understood.

    :raises SystemExit: 2, after a line that says what is wrong; 0 after ``--help``.
    :raises Usage: it makes no sense in another way.
    """
    options = Options(**vars(_parser().parse_args(arguments)))
    if options.timeout <= 0 or options.count < 0:
        raise Usage("--timeout and --count want a number above 0")
    if options.lines and options.text:
        raise Usage("--lines reads standard input; it takes no TEXT")
    return Setup(options, environ)
