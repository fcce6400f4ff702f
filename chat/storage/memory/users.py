"""The accounts, in memory."""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import NameTaken
from ...model import Account, User
from .offline import MemoryOffline
from .tables import Tables, UserRow, answered


class MemoryUsers:
    """See :class:`chat.interfaces.Users`."""

    def __init__(self, tables: Tables, offline: MemoryOffline) -> None:
        self._tables = tables
        self._offline = offline

    @answered
    def register(self, name: str, name_key: str, password: str) -> int:
        if name_key in self._tables.names:
            raise NameTaken(name_key)
        self._tables.last_user += 1
        user_id = self._tables.last_user
        self._tables.users[user_id] = UserRow(user_id, name, name_key, password)
        self._tables.names[name_key] = user_id
        return user_id

    @answered
    def account(self, user_id: int) -> Account | None:
        row = self._tables.users.get(user_id)
        return self.account_of(row) if row else None

    def account_of(self, row: UserRow) -> Account:
        """The account of a row."""
        return Account(
            row.id, row.name, row.password, self._offline.last_stamp(row.id), row.disabled
        )

    @answered
    def user(self, user_id: int) -> User | None:
        row = self._tables.users.get(user_id)
        return User(row.id, row.name) if row else None

    @answered
    def find(self, name_key: str) -> User | None:
        row = self._tables.users.get(self._tables.names.get(name_key, 0))
        return User(row.id, row.name) if row else None

    @answered
    def set_states(self, states: Mapping[int, bool]) -> None:
        for user_id, online in states.items():
            row = self._tables.users.get(user_id)
            if row:
                row.online = online

    @answered
    def reset_states(self) -> None:
        for row in self._tables.users.values():
            row.online = False
