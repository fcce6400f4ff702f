"""``chat-admin``: the command line."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from argon2 import PasswordHasher

from ..errors import BadStart
from ..passwords import MEMORY_KIB, PASSES
from ..progress import Meter
from ..secret import secret_file
from ..storage import dialect_of, schema
from ..storage.direct import Direct
from ..tokens import new_secret
from . import copies, stock
from .parser import parser
from .running import NotReached, Running
from .show import Answer, table
from .users import SHOWN, People, Unfit, groups

PASSWORD_BYTES = 1024

GROUPS_AT_ONCE = 20
"""So many groups that somebody has left fit into what is asked of a server, whatever their new
creators are called."""

Work = Callable[["Desk"], Answer]


class Desk:
    """One command with what it needs: the database is opened when it is asked for."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.meter = Meter()
        self._direct: Direct | None = None
        secret = secret_file(options.status_secret, options.database)
        self.server = Running(options.status, secret)

    def close(self) -> None:
        """The command is done."""
        if self._direct is not None:
            self._direct.close()

    @property
    def any_database(self) -> Direct:
        """The database, of whatever version."""
        if self._direct is None:
            dialect = dialect_of(self.options.database)
            if not dialect.exists() and not self.options.may_be_new:
                raise BadStart(f"there is no database {dialect.place}: --database")
            self._direct = Direct(dialect)
        return self._direct

    @property
    def database(self) -> Direct:
        """The database, of the version that this program knows."""
        direct = self.any_database
        stock.need_current(direct)
        return direct

    @property
    def people(self) -> People:
        """Its users."""
        return People(self.database)

    def who(self) -> tuple[int, str]:
        """The user that the command names."""
        user = self.people.find(self.options.user)
        return int(str(user["id"])), str(user["name"])

    def tell_server(self, what: str, user_id: int, **more: str) -> str:
        """Have a server that runs know of it; what became of that, to be read after a sentence."""
        try:
            told = self.server.ask("POST", what, user=user_id, **more)
        except NotReached as error:
            return f"no server was told ({error})"
        return _closed(told)

    def sure(self, what: str) -> None:
        """Ask on a terminal; elsewhere ``--yes`` is needed.

        :raises Unfit: it was not wanted.
        """
        if self.options.yes:
            return
        if not sys.stdin.isatty():
            raise Unfit(f"{what}: --yes is needed")
        sys.stderr.write(f"{what}? Type yes: ")
        sys.stderr.flush()
        if sys.stdin.readline().strip() != "yes":
            raise Unfit("nothing was done")

    def new_password(self) -> tuple[str, str]:
        """A password and its hash; typed, or the first line of standard input, or made here."""
        if self.options.generate:
            password = new_secret()[:20]
        elif sys.stdin.isatty():
            password = getpass.getpass("Password: ")
            if getpass.getpass("Once more: ") != password:
                raise Unfit("these were two passwords")
        else:
            password = sys.stdin.readline().rstrip("\r\n")
        if not 1 <= len(password.encode("utf-8", "surrogatepass")) <= PASSWORD_BYTES:
            raise Unfit(f"a password has 1 to {PASSWORD_BYTES} bytes")
        hasher = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=1)
        return password, hasher.hash(password)


def _closed(told: Mapping[str, Any]) -> str:
    """What became of a user's connection, to be read behind the name."""
    return f"{'was disconnected' if told['disconnected'] else 'was not connected'}{_but(told)}"


def _but(told: Mapping[str, Any]) -> str:
    """Which nodes may not know of it."""
    silent = told.get("silent")
    return f"; no answer from {', '.join(silent)}: try it again" if silent else ""


def _users_list(desk: Desk) -> Answer:
    options = desk.options
    return table(desk.people.some(options.after, options.limit, options.disabled), SHOWN)


def _users_find(desk: Desk) -> Answer:
    return table([desk.people.find(desk.options.user)], SHOWN)


def _users_add(desk: Desk) -> Answer:
    password, secret = desk.new_password()
    user_id = desk.people.add(desk.options.name, secret)
    data: dict[str, object] = {"id": user_id, "name": desk.options.name}
    text = f"{desk.options.name} is user {user_id}"
    if desk.options.generate:
        return Answer({**data, "password": password}, f"{text}, password {password}")
    return Answer(data, text)


def _users_set_password(desk: Desk) -> Answer:
    user_id, name = desk.who()
    password, secret = desk.new_password()
    desk.people.set_password(user_id, secret)
    closed = desk.tell_server("disconnect", user_id)
    text = f"{name} ({user_id}) has a new password and no tokens, and {closed}"
    if desk.options.generate:
        return Answer({"id": user_id, "password": password}, f"{text}; it is {password}")
    return Answer({"id": user_id}, text)


def _users_disable(desk: Desk) -> Answer:
    user_id, name = desk.who()
    desk.people.disable(user_id, True)
    closed = desk.tell_server("disconnect", user_id)
    return Answer({"id": user_id, "disabled": True},
                  f"{name} ({user_id}) cannot log in any more, and {closed}")  # fmt: skip


def _users_enable(desk: Desk) -> Answer:
    user_id, name = desk.who()
    desk.people.disable(user_id, False)
    return Answer({"id": user_id, "disabled": False}, f"{name} ({user_id}) may log in again")


def _users_delete(desk: Desk) -> Answer:
    user_id, name = desk.who()
    desk.sure(f"delete {name} ({user_id}) for good")
    # Once before, so that friends see the user leave; and once after, for who came back meanwhile.
    desk.tell_server("disconnect", user_id)
    deleted = desk.people.delete(user_id)
    told = ""
    for start in range(0, len(deleted.left) or 1, GROUPS_AT_ONCE):
        left = msgspec.json.encode(deleted.left[start : start + GROUPS_AT_ONCE]).decode()
        now_told = desk.tell_server("gone", user_id, name=name, left=left)
        told = told or now_told
    counts = ", ".join(f"{count} {what}" for what, count in deleted.counts.items())
    return Answer({"id": user_id, "deleted": deleted.counts},
                  f"{name} ({user_id}) is gone, with {counts}; {told}")  # fmt: skip


def _invites_create(desk: Desk) -> Answer:
    made = stock.create_invite(desk.database, desk.options.days, desk.options.uses)
    return Answer(made, f"{made['code']}  ({made['uses']} uses, until {made['expires']} UTC)")


def _invites_list(desk: Desk) -> Answer:
    return table(stock.invites(desk.database), ("id", "created", "expires", "uses"))


def _invites_revoke(desk: Desk) -> Answer:
    if not stock.revoke_invite(desk.database, desk.options.id):
        raise Unfit(f"there is no invitation {desk.options.id}")
    return Answer({"id": desk.options.id}, f"invitation {desk.options.id} is revoked")


def _groups_list(desk: Desk) -> Answer:
    found = groups(desk.database, desk.options.after, desk.options.limit)
    return table(found, ("id", "name", "description", "members"))


def _waiting_count(desk: Desk) -> Answer:
    found = stock.waiting(desk.database)
    text = (
        f"{found['messages']} messages ({found['bytes']} bytes) wait for {found['users']} users"
        f"{', since ' if found['oldest'] else ''}{found['oldest']}"
    )
    return Answer(found, text)


def _waiting_users(desk: Desk) -> Answer:
    found = stock.waiting_by_user(desk.database, desk.options.limit)
    return table(found, ("id", "name", "messages", "oldest"))


def _waiting_purge(desk: Desk) -> Answer:
    user_id = desk.who()[0] if desk.options.user else None
    days = desk.options.older_than
    desk.sure(f"delete messages that have waited for more than {days:g} days")
    deleted = stock.purge(desk.database, days, user_id, desk.meter.show)
    return Answer({"deleted": deleted}, f"{deleted} messages deleted")


def _schema_show(desk: Desk) -> Answer:
    state = stock.versions(desk.any_database)
    return Answer(state, f"version {state['version']}; this program wants {state['newest']}")


def _schema_upgrade(desk: Desk) -> Answer:
    direct = desk.any_database
    before, newest = schema.upgrade(direct.dialect, direct.raw), schema.newest(direct.dialect)
    return Answer({"before": before, "version": newest}, f"from version {before} to {newest}")


def _schema_check(desk: Desk) -> Answer:
    wrong = stock.check(desk.any_database)
    return Answer({"wrong": wrong}, "\n".join(wrong) or "all is well", 1 if wrong else 0)


def _online_list(desk: Desk) -> Answer:
    # Only there may be several servers; those who are joined say who is where.
    if desk.options.database.startswith("mysql:") and stock.nodes(desk.database):
        return table(stock.online(desk.database), ("id", "name", "node"))
    return table(desk.server.ask("GET", "online")["online"], ("id", "name", "level", "address"))


def _nodes_list(desk: Desk) -> Answer:
    return table(stock.nodes(desk.database), ("id", "name", "users", "seconds"))


def _disconnect(desk: Desk) -> Answer:
    user_id, name = desk.who()
    told = desk.server.ask("POST", "disconnect", user=user_id)
    return Answer({"id": user_id, **told}, f"{name} ({user_id}) {_closed(told)}")


def _notice(desk: Desk) -> Answer:
    told = desk.server.ask("POST", "notice", msg=desk.options.text)
    return Answer(told, f"{told['told']} clients were told{_but(told)}")


def _backup(desk: Desk) -> Answer:
    path = Path(desk.options.file)
    size = copies.backup(desk.database, path, desk.meter.show)
    return Answer({"file": str(path), "bytes": size}, f"{path}: {size} bytes")


def _restore(desk: Desk) -> Answer:
    direct = desk.any_database
    copies.need_sqlite(direct)
    if stock.versions(direct)["version"]:
        desk.sure(f"replace everything in {direct.place}")
    had = copies.restore(direct, Path(desk.options.file), desk.meter.show)
    return Answer({"version": had}, f"{direct.place} is what {desk.options.file} was")


def _export(desk: Desk) -> Answer:
    user_id, name = desk.who()
    count = 0
    out = sys.stdout.buffer
    if desk.options.output:
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY
        out = os.fdopen(os.open(desk.options.output, flags, 0o600), "wb")
    try:
        for record in desk.people.export(user_id):
            out.write(msgspec.json.encode(record) + b"\n")
            count += 1
        out.flush()
    finally:
        if out is not sys.stdout.buffer:
            out.close()
    if not desk.options.output:
        return Answer(None, "")
    return Answer({"id": user_id, "records": count}, f"{count} records of {name} ({user_id})")


COMMANDS: Mapping[str, Work] = {
    "users list": _users_list,
    "users find": _users_find,
    "users add": _users_add,
    "users set-password": _users_set_password,
    "users disable": _users_disable,
    "users enable": _users_enable,
    "users delete": _users_delete,
    "invites create": _invites_create,
    "invites list": _invites_list,
    "invites revoke": _invites_revoke,
    "groups list": _groups_list,
    "waiting count": _waiting_count,
    "waiting users": _waiting_users,
    "waiting purge": _waiting_purge,
    "schema show": _schema_show,
    "schema upgrade": _schema_upgrade,
    "schema check": _schema_check,
    "online list": _online_list,
    "nodes list": _nodes_list,
    "disconnect": _disconnect,
    "notice": _notice,
    "backup": _backup,
    "restore": _restore,
    "export": _export,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    options: Any = parser().parse_args(arguments)
    desk = None
    try:
        desk = Desk(options)
        answer = COMMANDS[options.command](desk)
    except (BadStart, NotReached, Unfit, OSError) as error:
        sys.stderr.write(f"chat-admin: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("chat-admin: broken off\n")
        return 1
    finally:
        if desk is not None:
            desk.close()
    if options.json and answer.data is not None:
        sys.stdout.write(msgspec.json.encode(answer.data).decode() + "\n")
    elif answer.text and not options.json:
        sys.stdout.write(answer.text + "\n")
    return answer.status


if __name__ == "__main__":
    sys.exit(main())
