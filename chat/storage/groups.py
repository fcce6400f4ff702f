"""The tables ``allgroup`` and ``groupuser``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred

from ..errors import NameTaken
from ..model import Group, Member, Role
from .dialects import Row, Statements, Trouble, marks
from .sql import Database
from .times import micros

_GROUPS = """
    SELECT groupuser.userid, allgroup.id, groupname, groupdesc, grouprole, members
    FROM groupuser JOIN allgroup ON allgroup.id = groupuser.groupid
"""


class SqlGroups:
    """See :class:`chat.interfaces.Groups`.

    :param now: seconds since the epoch, for the time of joining.
    """

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now

    def create(self, name: str, name_key: str, desc: str, creator: int, most: int) -> Deferred[int]:
        joined = micros(self._now())

        def work(statements: Statements) -> int:
            statements.lock("user", creator)
            if _memberships(statements, creator) >= most:
                return 0
            try:
                group_id = statements.insert(
                    "INSERT INTO allgroup (groupname, name_key, groupdesc, members)"
                    " VALUES (?, ?, ?, 1)",
                    (name, name_key.encode(), desc),
                )
            except statements.dialect.error as error:
                if statements.dialect.trouble(error) is Trouble.DUPLICATE:
                    raise NameTaken(name_key) from None
                raise
            _insert(statements, group_id, creator, Role.CREATOR, joined)
            return group_id

        return self._database.write("create group", work)

    def join(self, group_id: int, user_id: int, most: int) -> Deferred[Group | None]:
        joined = micros(self._now())

        def work(statements: Statements) -> Group | None:
            statements.lock("user", user_id)
            if not statements.lock("allgroup", group_id):
                return None
            if _role(statements, group_id, user_id) is None:
                if _memberships(statements, user_id) >= most:
                    raise ValueError("in too many groups")
                _insert(statements, group_id, user_id, Role.NORMAL, joined)
                statements.change(
                    "UPDATE allgroup SET members = members + 1 WHERE id = ?", (group_id,)
                )
            return _group(statements, group_id, user_id)

        return self._database.write("join group", work, again=True)

    def leave(self, group_id: int, user_id: int) -> Deferred[bool]:
        def work(statements: Statements) -> bool:
            statements.lock("allgroup", group_id)
            group = _group(statements, group_id, user_id)
            if group and group.role is Role.CREATOR and group.members > 1:
                raise ValueError("a creator among others")
            return drop_member(statements, group_id, user_id)

        return self._database.write("leave group", work)

    def hand_over(self, group_id: int, creator: int, user_id: int) -> Deferred[bool]:
        def work(statements: Statements) -> bool:
            statements.lock("allgroup", group_id)
            if (
                _role(statements, group_id, creator) != Role.CREATOR
                or _role(statements, group_id, user_id) is None
            ):
                return False
            set_role(statements, group_id, creator, Role.NORMAL)
            set_role(statements, group_id, user_id, Role.CREATOR)
            return True

        return self._database.write("hand over", work)

    def group(self, group_id: int, user_id: int) -> Deferred[Group | None]:
        return self._database.read(
            "group", lambda statements: _group(statements, group_id, user_id)
        )

    def exists(self, group_id: int) -> Deferred[bool]:
        def work(statements: Statements) -> bool:
            return statements.row("SELECT 1 FROM allgroup WHERE id = ?", (group_id,)) is not None

        return self._database.read("group", work)

    def page(self, user_id: int, after: int, limit: int) -> Deferred[tuple[list[Group], bool]]:
        return self._database.read(
            "groups", lambda statements: groups_page(statements, user_id, after, limit)
        )

    def members(self, group_id: int, after: int, limit: int) -> Deferred[tuple[list[Member], bool]]:
        return self._database.read(
            "members", lambda statements: members_page(statements, group_id, after, limit)
        )

    def member_ids(self, group_id: int) -> Deferred[list[int] | None]:
        def work(statements: Statements) -> list[int] | None:
            rows = statements.rows(
                "SELECT userid FROM groupuser WHERE groupid = ? ORDER BY userid", (group_id,)
            )
            # A group without members is gone.
            return [user_id for (user_id,) in rows] or None

        return self._database.read("member ids", work)


def groups_page(
    statements: Statements, user_id: int, after: int, limit: int
) -> tuple[list[Group], bool]:
    """See :meth:`chat.interfaces.Groups.page`."""
    rows = statements.rows(
        f"{_GROUPS} WHERE userid = ? AND groupid > ? ORDER BY groupid LIMIT ?",
        (user_id, after, limit + 1),
    )
    return [_group_of(row) for row in rows[:limit]], len(rows) > limit


def groups_of(
    statements: Statements, user_ids: Sequence[int], limit: int
) -> dict[int, list[Group]] | None:
    """All groups of several users; None: there are more than ``limit``."""
    rows = statements.rows(
        f"{_GROUPS} WHERE userid IN ({marks(len(user_ids))}) ORDER BY userid, groupid LIMIT ?",
        (*user_ids, limit + 1),
    )
    if len(rows) > limit:
        return None
    found: dict[int, list[Group]] = {user_id: [] for user_id in user_ids}
    for row in rows:
        found[row[0]].append(_group_of(row))
    return found


def members_page(
    statements: Statements, group_id: int, after: int, limit: int
) -> tuple[list[Member], bool]:
    """See :meth:`chat.interfaces.Groups.members`."""
    rows = statements.rows(
        "SELECT user.id, user.name, grouprole FROM groupuser"
        " JOIN user ON user.id = groupuser.userid"
        " WHERE groupid = ? AND userid > ? ORDER BY userid LIMIT ?",
        (group_id, after, limit + 1),
    )
    page = [Member(user_id, name, Role(role)) for user_id, name, role in rows]
    return page[:limit], len(page) > limit


def drop_member(statements: Statements, group_id: int, user_id: int) -> bool:
    """Take a user out of a group, and the group away with its last member; False: was none."""
    statements.lock("allgroup", group_id)
    gone = statements.change(
        "DELETE FROM groupuser WHERE groupid = ? AND userid = ?", (group_id, user_id)
    )
    if not gone:
        return False
    statements.change("UPDATE allgroup SET members = members - 1 WHERE id = ?", (group_id,))
    statements.change("DELETE FROM allgroup WHERE id = ? AND members <= 0", (group_id,))
    return True


def set_role(statements: Statements, group_id: int, user_id: int, role: Role) -> None:
    """Give a member a role."""
    statements.change(
        "UPDATE groupuser SET grouprole = ? WHERE groupid = ? AND userid = ?",
        (role.value, group_id, user_id),
    )


def _insert(statements: Statements, group_id: int, user_id: int, role: Role, joined: int) -> None:
    statements.change(
        "INSERT INTO groupuser (groupid, userid, grouprole, joined) VALUES (?, ?, ?, ?)",
        (group_id, user_id, role.value, joined),
    )


def _memberships(statements: Statements, user_id: int) -> int:
    row = statements.row("SELECT COUNT(*) FROM groupuser WHERE userid = ?", (user_id,))
    return int(row[0]) if row else 0


def _role(statements: Statements, group_id: int, user_id: int) -> Role | None:
    row = statements.row(
        "SELECT grouprole FROM groupuser WHERE groupid = ? AND userid = ?", (group_id, user_id)
    )
    return Role(row[0]) if row else None


def _group(statements: Statements, group_id: int, user_id: int) -> Group | None:
    row = statements.row(f"{_GROUPS} WHERE groupid = ? AND userid = ?", (group_id, user_id))
    return _group_of(row) if row else None


def _group_of(row: Row) -> Group:
    _, group_id, name, desc, role, members = row
    return Group(group_id, name, desc, Role(role), members)
