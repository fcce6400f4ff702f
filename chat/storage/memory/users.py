"""The accounts, in memory."""

from __future__ import annotations

from collections.abc import Mapping

from ...errors import NameTaken
from ...model import Account, Deletion, Left, Role, User
from .friends import MemoryFriends
from .offline import MemoryOffline
from .tables import Ids, Tables, UserRow, answered


class MemoryUsers:
    """See :class:`chat.interfaces.Users`."""

    def __init__(self, tables: Tables, offline: MemoryOffline, friends: MemoryFriends) -> None:
        self._tables = tables
        self._offline = offline
        self._friends = friends
        self._ids = Ids()

    @answered
    def register(self, name: str, name_key: str, password: str) -> int:
        if name_key in self._tables.names:
            raise NameTaken(name_key)
        user_id = self._ids.next()
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
        """Nobody else can read it here."""

    @answered
    def reset_states(self) -> None:
        """As :meth:`set_states`."""

    @answered
    def set_password(self, user_id: int, password: str) -> None:
        row = self._tables.users.get(user_id)
        if row:
            row.password = password
        self._tables.drop_tokens(user_id)

    @answered
    def delete(self, user_id: int) -> Deletion:
        tables = self._tables
        left = [Left(it, self._leave(it, user_id)) for it in tables.memberships.of(user_id)]
        tables.gaps = {gap for gap in tables.gaps if gap[0] != user_id}
        tables.claims.pop(user_id, None)
        row = tables.users.pop(user_id, None)
        if row:
            del tables.names[row.name_key]
        counts = {
            "groups": len(left),
            "friends": tables.friends.clear(user_id),
            "requests": self._friends.clear_requests(user_id),
            "blocks": tables.blocks.clear(user_id),
            "messages": self._offline.clear(user_id),
            "tokens": tables.drop_tokens(user_id),
        }
        return Deletion(counts, left)

    def _leave(self, group_id: int, user_id: int) -> User | None:
        """Out of a group; who is its creator now, if it was the user."""
        group = self._tables.groups[group_id]
        role = group.members[user_id].role
        self._tables.drop_member(group_id, user_id)
        if not group.members or role is not Role.CREATOR:
            return None
        heir = min(group.members, key=lambda one: (group.members[one].joined, one))
        group.members[heir].role = Role.CREATOR
        return User(heir, self._tables.users[heir].name)
