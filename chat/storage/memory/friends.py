"""Friends, requests and blocks, in memory."""

from __future__ import annotations

from ...model import Asking, Friend, FriendRequest, User
from ..times import micros, seconds
from .tables import Tables, answered


class MemoryFriends:
    """See :class:`chat.interfaces.Friends`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._notes: dict[tuple[int, int], tuple[str, int]] = {}
        """Note and time of the requests in ``tables.requests``."""

    @answered
    def add(self, user_id: int, friend_id: int, most: int) -> bool:
        self._check_room(user_id, friend_id, most)
        self._settle_both(user_id, friend_id)
        return self._tables.friends.add(user_id, friend_id)

    @answered
    def accept(self, user_id: int, asker_id: int, most: int) -> bool:
        if (asker_id, user_id) not in self._tables.requests:
            return False
        self._befriend(user_id, asker_id, most)
        return True

    @answered
    def remove(self, user_id: int, friend_id: int) -> bool:
        there = self._tables.friends.remove(user_id, friend_id)
        back = self._tables.friends.remove(friend_id, user_id)
        return there or back

    @answered
    def page(self, user_id: int, after: int, limit: int) -> tuple[list[Friend], bool]:
        return self.friends_page(user_id, after, limit)

    def friends_page(self, user_id: int, after: int, limit: int) -> tuple[list[Friend], bool]:
        """What :meth:`page` answers."""
        page = [
            Friend(user.id, user.name, (user.id, user_id) in self._tables.blocks)
            for user in self._people(self._tables.friends.of(user_id))
            if user.id > after
        ]
        return page[:limit], len(page) > limit

    @answered
    def watchers(self, user_id: int) -> list[int]:
        return [
            watcher
            for watcher in self._tables.friends.to(user_id)
            if (user_id, watcher) not in self._tables.blocks
        ]

    @answered
    def are_friends(self, user_id: int, friend_id: int) -> bool:
        return (user_id, friend_id) in self._tables.friends

    @answered
    def ask(
        self, user_id: int, friend_id: int, note: str, now: float, most: int, most_friends: int
    ) -> Asking:
        tables = self._tables
        back = (friend_id, user_id)
        if back in tables.friends or back in tables.requests:
            self._befriend(user_id, friend_id, most_friends)
            return Asking.FRIENDS
        others = [asker for asker in tables.requests.to(friend_id) if asker != user_id]
        if len(others) >= most:
            return Asking.FULL
        if back not in tables.blocks:
            tables.requests.add(user_id, friend_id)
            self._notes[user_id, friend_id] = (note, micros(now))
        return Asking.WAITS

    @answered
    def requests(self, user_id: int, after: int, limit: int) -> tuple[list[FriendRequest], bool]:
        page: list[FriendRequest] = []
        for asker in self._people(self._tables.requests.to(user_id)):
            note, asked = self._notes[asker.id, user_id]
            if asker.id > after:
                page.append(FriendRequest(asker.id, asker.name, note, seconds(asked)))
        return page[:limit], len(page) > limit

    @answered
    def settle(self, user_id: int, asker_id: int) -> bool:
        return self._settle(user_id, asker_id)

    @answered
    def block(self, user_id: int, blocked_id: int) -> None:
        self._settle_both(user_id, blocked_id)
        self._tables.blocks.add(user_id, blocked_id)

    @answered
    def unblock(self, user_id: int, blocked_id: int) -> None:
        self._tables.blocks.remove(user_id, blocked_id)

    @answered
    def blocked(self, user_id: int) -> list[User]:
        return self._people(self._tables.blocks.of(user_id))

    def clear_requests(self, user_id: int) -> int:
        """Requests from and to a user are gone; how many there were."""
        asked = self._tables.requests.of(user_id)
        askers = self._tables.requests.to(user_id)
        for friend_id in asked:
            self._settle(friend_id, user_id)
        for asker in askers:
            self._settle(user_id, asker)
        return len(asked) + len(askers)

    def _people(self, ids: list[int]) -> list[User]:
        users = self._tables.users
        return [User(one, users[one].name) for one in ids if one in users]

    def _settle(self, user_id: int, asker_id: int) -> bool:
        self._notes.pop((asker_id, user_id), None)
        return self._tables.requests.remove(asker_id, user_id)

    def _check_room(self, user_id: int, friend_id: int, most: int) -> None:
        if sum(one != friend_id for one in self._tables.friends.of(user_id)) >= most:
            raise ValueError("too many friends")

    def _befriend(self, one: int, other: int, most: int) -> None:
        self._check_room(one, other, most)
        self._check_room(other, one, most)
        self._settle_both(one, other)
        self._tables.friends.add(one, other)
        self._tables.friends.add(other, one)

    def _settle_both(self, user_id: int, friend_id: int) -> None:
        self._settle(user_id, friend_id)
        self._settle(friend_id, user_id)
