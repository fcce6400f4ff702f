"""``chat send``, ``chat listen``, ``chat register``: for pipes and scripts."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from getpass import getpass
from typing import Any

import msgspec

from ...messages import MAX_ID
from ..client import Client
from ..errors import ClientError, Refused, Stopped
from ..link import Status
from ..register import register as make_account
from ..results import AnyMessage, GroupMessage, Sent
from ..sending import Unsent
from . import text
from .futures import asked
from .options import DONE, REFUSED, UNREACHABLE, Setup, Usage

AHEAD = 500
"""Lines of standard input read before those in front of them are acknowledged."""


def complain(words: str, status: int) -> int:
    """One line on standard error."""
    print(f"chat: {text.plain(words)}", file=sys.stderr)  # noqa: T201
    return status


class _Session:
    """A client for as long as a command takes, and why it cannot connect."""

    def __init__(self, setup: Setup, **callbacks: Any) -> None:
        user = setup.user
        if not user:
            raise Usage("who is it? --user NAME-OR-ID")
        user_id = setup.user_id(user)
        password = setup.password(user_id, user, sys.stdin.isatty())
        self.timeout = setup.options.timeout
        self.trouble: BaseException | None = None
        self._setup = setup
        self.client = Client(
            setup.endpoint,
            user_id,
            password,
            ledger=setup.ledger(user_id),
            remember=setup.options.stay,
            takeover=setup.options.takeover,
            on_status=self._changed,
            **callbacks,
        )

    async def login(self) -> None:
        """Connect and log in.

        :raises Refused: the server does not let us in.
        :raises TimeoutError: it did not answer in time.
        """
        online = asked(self.client.when_online())
        self.client.startService()
        welcome = await asyncio.wait_for(online, self.timeout)
        self._setup.known.learn(self._setup.server, welcome.name, welcome.id)

    async def close(self) -> None:
        """Stop the client."""
        await asked(self.client.stopService())

    def unreachable(self) -> int:
        """Say that there was no login in time."""
        reason = text.why(self.trouble) if self.trouble else f"no answer within {self.timeout:g} s"
        return complain(f"cannot reach {self._setup.server}: {reason}", UNREACHABLE)

    def _changed(self, status: Status) -> None:
        self.trouble = status.error or self.trouble


async def send(setup: Setup) -> int:
    """Send what is to be sent, and wait for the acknowledgements."""
    options = setup.options
    words = " ".join(options.text)
    if not options.lines and not words:
        words = (await asyncio.to_thread(_all_of_input)).removesuffix("\n")
    if not options.lines and not words:
        raise Usage("nothing to send: TEXT, or something on standard input")
    ours: set[str] = set()

    def told(unsent: Unsent, result: Sent | Exception) -> None:
        if isinstance(result, Sent):
            if options.verbose:
                print(f"{result.state}: {text.shortened(unsent.text, 60)}")  # noqa: T201
        elif not isinstance(result, Stopped) and unsent.cid not in ours:
            complain(f"refused ({text.why(result)}), from an earlier start: {unsent.text}", REFUSED)

    session = _Session(setup, on_sent=told)
    try:
        await session.login()
        sending = _Sending(session.client, *await _target(session.client, setup), ours)
        if options.lines:
            async for line in _lines_of_input():
                if line:
                    await sending.send(line)
        else:
            await sending.send(words)
        return await sending.finish(session.timeout)
    except TimeoutError:
        return session.unreachable()
    except (ClientError, ValueError) as error:
        return complain(text.why(error), REFUSED)
    finally:
        await session.close()


class _Sending:
    """Messages to one place, and what became of them."""

    def __init__(self, client: Client, group: bool, target: int, ours: set[str]) -> None:
        self._client = client
        self._send = client.send_group if group else client.send
        self._target = target
        self._ours = ours
        self._waiting: set[asyncio.Future[Sent]] = set()
        self._status = DONE

    async def send(self, words: str) -> None:
        """Send one; waits while too many are under way."""
        while len(self._waiting) >= AHEAD:
            await asyncio.wait(self._waiting, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(0)
        cid = self._client.new_cid()
        self._ours.add(cid)
        sent = asked(self._send(self._target, words, cid=cid))
        self._waiting.add(sent)
        sent.add_done_callback(self._done)

    async def finish(self, timeout: float) -> int:
        """Wait for the acknowledgements; the exit status."""
        if self._waiting:
            await asyncio.wait(self._waiting, timeout=timeout)
            await asyncio.sleep(0)
        left = len(self._waiting)
        if left and self._status == DONE:
            self._waiting.clear()
            words = (
                f"{left} not acknowledged within {timeout:g} s; kept, and sent at the next start"
            )
            return complain(words, UNREACHABLE)
        return self._status

    def _done(self, sent: asyncio.Future[Sent]) -> None:
        self._waiting.discard(sent)
        error = None if sent.cancelled() else sent.exception()
        if error is not None and not isinstance(error, Stopped):
            self._status = complain(text.why(error), REFUSED)


async def _target(client: Client, setup: Setup) -> tuple[bool, int]:
    """Where to send to: whether it is a group, and its id.

    :raises ValueError: there is nobody and nothing of that name.
    """
    name = setup.options.group or setup.options.to
    if name.isascii() and name.isdigit() and 1 <= int(name) <= MAX_ID:
        return bool(setup.options.group), int(name)
    if setup.options.group:
        for group in await asked(client.groups()):
            if group.groupname == name.removeprefix("#"):
                return True, group.id
        raise ValueError(f"you are in no group {name}")
    user = await asked(client.find_user(name))
    if user is None:
        raise ValueError(f"there is no user {name}")
    return False, user.id


def _all_of_input() -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError:
        raise Usage("standard input is not UTF-8") from None


async def _lines_of_input() -> AsyncIterator[str]:
    """Lines as they come.  They are read in a thread that nobody waits for at the end."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[bytes] = asyncio.Queue(100)

    def read() -> None:
        for line in sys.stdin.buffer:
            asyncio.run_coroutine_threadsafe(queue.put(line), loop).result()
        asyncio.run_coroutine_threadsafe(queue.put(b""), loop).result()

    threading.Thread(target=read, daemon=True).start()
    while line := await queue.get():
        try:
            yield line.decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise Usage("standard input is not UTF-8") from None


async def listen(setup: Setup) -> int:
    """Print what arrives until enough has come."""
    options = setup.options
    loop = asyncio.get_running_loop()
    enough: asyncio.Future[None] = loop.create_future()
    left = options.count

    def show(message: AnyMessage) -> asyncio.Future[None] | None:
        nonlocal left
        if enough.done():
            return loop.create_future()  # not printed, so never acknowledged
        try:
            print(_as_json(message) if options.json else _as_line(message), flush=True)  # noqa: T201
        except BrokenPipeError:
            enough.set_result(None)
            return loop.create_future()
        left -= 1
        if left == 0:
            enough.set_result(None)
        return None

    session = _Session(setup, on_message=show)
    try:
        stopped = asked(session.client.when_stopped())
        await session.login()
        await asyncio.wait([enough, stopped], return_when=asyncio.FIRST_COMPLETED)
        if stopped.done():
            stopped.result()
        return DONE
    except TimeoutError:
        return session.unreachable()
    except Refused as error:
        return complain(text.why(error), REFUSED)
    finally:
        await session.close()


def _as_json(message: AnyMessage) -> str:
    whole = msgspec.to_builtins(message)
    return json.dumps(whole, ensure_ascii=sys.stdout.isatty(), separators=(",", ":"))


def _as_line(message: AnyMessage) -> str:
    where = f"#{message.groupid} " if isinstance(message, GroupMessage) else ""
    return text.plain(f"{message.time} {where}{message.name}: {message.msg}")


async def register(setup: Setup) -> int:
    """Make an account, and print its id."""
    options = setup.options
    password = setup.given_password()
    if password is None:
        if not sys.stdin.isatty():
            raise Usage("no password: --password-file, or CHAT_PASSWORD")
        password = new_password(options.name)
    try:
        user_id = await asked(
            make_account(
                setup.endpoint,
                options.name,
                password,
                invite=options.invite,
                timeout=options.timeout,
            )
        )
    except Refused as error:
        return complain(text.why(error), REFUSED)
    except Exception as error:
        return complain(f"cannot reach {setup.server}: {text.why(error)}", UNREACHABLE)
    setup.known.learn(setup.server, options.name.strip(), user_id)
    print(user_id)  # noqa: T201
    return DONE


def new_password(name: str) -> str:
    """Ask for a password twice.

    :raises Usage: it was not the same.
    """
    password = getpass(f"Password for {name}: ")
    if getpass("Once more: ") != password:
        raise Usage("these were not the same")
    return password


COMMANDS: dict[str, Callable[[Setup], Coroutine[Any, Any, int]]] = {
    "send": send,
    "listen": listen,
    "register": register,
}
