"""What a login shows of friends and groups."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Iterator, Mapping
from typing import Any

from .config import Settings
from .contacts import friend_entry
from .delivery import Delivery
from .groups import group_entry, member_entry
from .interfaces import Rosters
from .lists import fitting
from .model import Account, Group, Member, Roster
from .wire import encode

ENTRIES = 500
"""Friends, and groups, that a level 2 login shows at most."""

LEVEL_1_ENTRIES = 20_000
"""Friends, and members of all groups together, that are read for a level 1 login: more do not fit
into its line."""

OTHERWISE = 64 << 10
"""Bytes of a login's answer that are for everything else."""

Fields = Mapping[str, Any]


class Logins:
    """The ``friends`` and ``groups`` in the answers to logins."""

    def __init__(self, rosters: Rosters, delivery: Delivery, settings: Settings) -> None:
        self._rosters = rosters
        self._delivery = delivery
        bound = settings.send_line_bound
        self._size = max(bound - OTHERWISE, bound // 8)
        self._groups = settings.groups_per_user

    def read(self, user_id: int, level: int) -> Awaitable[Roster]:
        """What a login on this level needs to know of them.

        :raises StoreAway: nothing is known.
        """
        if level == 1:
            many = LEVEL_1_ENTRIES
            return self._rosters.read(user_id, many, self._groups, many)
        return self._rosters.read(user_id, ENTRIES, ENTRIES, 0)

    def fields(self, account: Account, level: int, roster: Roster) -> Fields:
        """What the answer says of them, with everybody's state as it is now."""
        return self._texts(account, roster) if level == 1 else self._objects(roster)

    def _friends(self, roster: Roster) -> Iterator[Fields]:
        return (friend_entry(self._delivery, friend) for friend in roster.friends)

    # Level 2: arrays of objects, always there

    def _objects(self, roster: Roster) -> Fields:
        friends, cut_friends = fitting(self._friends(roster), self._size // 2)
        groups, cut_groups = fitting(map(group_entry, roster.groups), self._size // 2)
        fields: dict[str, Any] = {"friends": friends, "groups": groups}
        if roster.more_friends or cut_friends:
            fields["more_friends"] = True
        if roster.more_groups or cut_groups:
            fields["more_groups"] = True
        return fields

    # Level 1: arrays of texts, where they are not empty

    def _texts(self, account: Account, roster: Roster) -> Fields:
        fields: dict[str, Any] = {}
        friends, _ = fitting(map(_text, self._friends(roster)), self._size)
        if friends:
            fields["friends"] = friends
        size = self._size - sum(len(bytes(text)) + 1 for text in friends)
        groups = list(self._group_texts(account, roster, size))
        if groups:
            fields["groups"] = groups
        return fields

    def _group_texts(self, account: Account, roster: Roster, size: int) -> Iterator[str]:
        """The groups with their users, as long as they fit."""
        for group in roster.groups:
            members = roster.members.get(group.id, ())
            text, cost = self._group_text(account, group, members, size)
            size -= cost
            if size < 0:
                return
            yield text

    def _group_text(
        self, account: Account, group: Group, members: Iterable[Member], size: int
    ) -> tuple[str, int]:
        """A group with as many of its users as fit, the user first; and its cost in bytes."""
        myself = {"id": account.id, "name": account.name, "state": "online", "role": group.role}
        users = [_text(myself)]
        head = {"id": group.id, "groupname": group.name, "groupdesc": group.desc}
        cost = len(encode(_text({**head, "users": users}))) + 1
        for member in members:
            if member.id == account.id:
                continue
            user = _text(member_entry(self._delivery, member, account.id))
            # Quoted in the group's text, which is quoted itself; and a comma.
            more = len(encode(_text(user))) - 1
            if cost + more > size:
                break
            users.append(user)
            cost += more
        return _text({**head, "users": users}), cost


def _text(value: Any) -> str:
    return encode(value).decode()
