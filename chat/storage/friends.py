"""The tables ``friend``, ``friendrequest`` and ``block``."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred

from ..model import Asking, Friend, FriendRequest, User
from .dialects import Statements, marks
from .sql import Database
from .times import micros, seconds

_FRIENDS = (
    "SELECT friend.userid, user.id, user.name, block.userid IS NOT NULL FROM friend"
    " JOIN user ON user.id = friend.friendid"
    " LEFT JOIN block ON block.userid = friend.friendid"
    " AND block.blockedid = friend.userid"
)


class SqlFriends:
    """See :class:`chat.interfaces.Friends`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, user_id: int, friend_id: int, most: int) -> Deferred[bool]:
        def work(statements: Statements) -> bool:
            statements.lock("user", user_id)
            _check_room(statements, user_id, friend_id, most)
            _settle(statements, user_id, friend_id)
            _settle(statements, friend_id, user_id)
            return _insert(statements, "friend (userid, friendid)", user_id, friend_id)

        return self._database.write("add friend", work, again=True)

    def accept(self, user_id: int, asker_id: int, most: int) -> Deferred[bool]:
        def work(statements: Statements) -> bool:
            _lock_both(statements, user_id, asker_id)
            asked = _has_asked(statements, asker_id, user_id)
            if asked:
                _befriend(statements, user_id, asker_id, most)
            return asked

        return self._database.write("accept friend", work)

    def remove(self, user_id: int, friend_id: int) -> Deferred[bool]:
        def work(statements: Statements) -> bool:
            low, high = sorted((user_id, friend_id))
            sql = "DELETE FROM friend WHERE userid = ? AND friendid = ?"
            return statements.change(sql, (low, high)) + statements.change(sql, (high, low)) > 0

        return self._database.write("remove friend", work)

    def page(self, user_id: int, after: int, limit: int) -> Deferred[tuple[list[Friend], bool]]:
        return self._database.read(
            "friends", lambda statements: friends_page(statements, user_id, after, limit)
        )

    def watchers(self, user_id: int) -> Deferred[list[int]]:
        def work(statements: Statements) -> list[int]:
            rows = statements.rows(
                "SELECT friend.userid FROM friend"
                " LEFT JOIN block ON block.userid = friend.friendid"
                " AND block.blockedid = friend.userid"
                " WHERE friend.friendid = ? AND block.userid IS NULL ORDER BY friend.userid",
                (user_id,),
            )
            return [watcher for (watcher,) in rows]

        return self._database.read("watchers", work)

    def are_friends(self, user_id: int, friend_id: int) -> Deferred[bool]:
        def work(statements: Statements) -> bool:
            return _has(statements, "friend", user_id, friend_id)

        return self._database.read("are friends", work)

    def ask(
        self, user_id: int, friend_id: int, note: str, now: float, most: int, most_friends: int
    ) -> Deferred[Asking]:
        def work(statements: Statements) -> Asking:
            _lock_both(statements, user_id, friend_id)
            if _has(statements, "friend", friend_id, user_id) or _has_asked(
                statements, friend_id, user_id
            ):
                _befriend(statements, user_id, friend_id, most_friends)
                return Asking.FRIENDS
            waiting = statements.row(
                "SELECT COUNT(*) FROM friendrequest WHERE friendid = ? AND userid <> ?",
                (friend_id, user_id),
            )
            if waiting and waiting[0] >= most:
                return Asking.FULL
            _settle(statements, friend_id, user_id)
            statements.change(
                "INSERT INTO friendrequest (friendid, userid, note, asked) VALUES (?, ?, ?, ?)",
                (friend_id, user_id, note, micros(now)),
            )
            if _has(statements, "block", friend_id, user_id):
                # Only now, so that it takes as long as it would have.
                _settle(statements, friend_id, user_id)
            return Asking.WAITS

        return self._database.write("ask friend", work, again=True)

    def requests(
        self, user_id: int, after: int, limit: int
    ) -> Deferred[tuple[list[FriendRequest], bool]]:
        def work(statements: Statements) -> tuple[list[FriendRequest], bool]:
            rows = statements.rows(
                "SELECT user.id, user.name, note, asked FROM friendrequest"
                " JOIN user ON user.id = friendrequest.userid"
                " WHERE friendid = ? AND userid > ? ORDER BY userid LIMIT ?",
                (user_id, after, limit + 1),
            )
            page = [
                FriendRequest(asker, name, note, seconds(asked))
                for asker, name, note, asked in rows
            ]
            return page[:limit], len(page) > limit

        return self._database.read("requests", work)

    def settle(self, user_id: int, asker_id: int) -> Deferred[bool]:
        def work(statements: Statements) -> bool:
            return _settle(statements, user_id, asker_id)

        return self._database.write("settle request", work)

    def block(self, user_id: int, blocked_id: int) -> Deferred[None]:
        def work(statements: Statements) -> None:
            _settle(statements, user_id, blocked_id)
            _settle(statements, blocked_id, user_id)
            _insert(statements, "block (userid, blockedid)", user_id, blocked_id)

        return self._database.write("block", work, again=True)

    def unblock(self, user_id: int, blocked_id: int) -> Deferred[None]:
        def work(statements: Statements) -> None:
            statements.change(
                "DELETE FROM block WHERE userid = ? AND blockedid = ?", (user_id, blocked_id)
            )

        return self._database.write("block", work, again=True)

    def blocked(self, user_id: int) -> Deferred[list[User]]:
        def work(statements: Statements) -> list[User]:
            rows = statements.rows(
                "SELECT user.id, user.name FROM block JOIN user ON user.id = block.blockedid"
                " WHERE block.userid = ? ORDER BY user.id",
                (user_id,),
            )
            return [User(*row) for row in rows]

        return self._database.read("blocked", work)


def friends_page(
    statements: Statements, user_id: int, after: int, limit: int
) -> tuple[list[Friend], bool]:
    """See :meth:`chat.interfaces.Friends.page`."""
    rows = statements.rows(
        f"{_FRIENDS} WHERE friend.userid = ? AND friend.friendid > ?"
        " ORDER BY friend.friendid LIMIT ?",
        (user_id, after, limit + 1),
    )
    page = [Friend(friend_id, name, bool(hidden)) for _, friend_id, name, hidden in rows]
    return page[:limit], len(page) > limit


def friends_of(
    statements: Statements, user_ids: Sequence[int], limit: int
) -> dict[int, list[Friend]] | None:
    """All friends of several users; None: there are more than ``limit``."""
    rows = statements.rows(
        f"{_FRIENDS} WHERE friend.userid IN ({marks(len(user_ids))})"
        " ORDER BY friend.userid, friend.friendid LIMIT ?",
        (*user_ids, limit + 1),
    )
    if len(rows) > limit:
        return None
    found: dict[int, list[Friend]] = {user_id: [] for user_id in user_ids}
    for user_id, friend_id, name, hidden in rows:
        found[user_id].append(Friend(friend_id, name, bool(hidden)))
    return found


def _insert(statements: Statements, table: str, one: int, other: int) -> bool:
    """A row of two ids; False: it was there."""
    ending = statements.dialect.unless_there("userid")
    return statements.change(f"INSERT INTO {table} VALUES (?, ?){ending}", (one, other)) > 0


def _has(statements: Statements, table: str, one: int, other: int) -> bool:
    """Whether there is a row of two ids in ``friend`` or ``block``."""
    column = "friendid" if table == "friend" else "blockedid"
    sql = f"SELECT 1 FROM {table} WHERE userid = ? AND {column} = ?"
    return statements.row(sql, (one, other)) is not None


def _has_asked(statements: Statements, asker_id: int, user_id: int) -> bool:
    sql = "SELECT 1 FROM friendrequest WHERE friendid = ? AND userid = ?"
    return statements.row(sql, (user_id, asker_id)) is not None


def _lock_both(statements: Statements, one: int, other: int) -> None:
    """The smaller id first, so that two who do it at once do not wait in a circle."""
    for user_id in sorted((one, other)):
        statements.lock("user", user_id)


def _check_room(statements: Statements, user_id: int, friend_id: int, most: int) -> None:
    others = statements.row(
        "SELECT COUNT(*) FROM friend WHERE userid = ? AND friendid <> ?", (user_id, friend_id)
    )
    if others and others[0] >= most:
        raise ValueError("too many friends")


def _befriend(statements: Statements, one: int, other: int, most: int) -> None:
    """Both directions, and no request is left."""
    for user_id, friend_id in ((one, other), (other, one)):
        _check_room(statements, user_id, friend_id, most)
        _settle(statements, user_id, friend_id)
        _insert(statements, "friend (userid, friendid)", user_id, friend_id)


def _settle(statements: Statements, user_id: int, asker_id: int) -> bool:
    sql = "DELETE FROM friendrequest WHERE friendid = ? AND userid = ?"
    return statements.change(sql, (user_id, asker_id)) > 0
