"""What a login shows of friends and groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any, NamedTuple

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


class People(NamedTuple):
    """Whom a login shows."""

    roster: Roster
    elsewhere: Set[int]
    """Who of them is online on another node."""


class Logins:
    """The ``friends`` and ``groups`` in the answers to logins."""

    def __init__(self, rosters: Rosters, delivery: Delivery, settings: Settings) -> None:
        self._rosters = rosters
        self._delivery = delivery
        bound = settings.send_line_bound
        self._size = max(bound - OTHERWISE, bound // 8)
        self._groups = settings.groups_per_user

    async def read(self, user_id: int, level: int) -> People:
        """What a login on this level needs to know of them, and who is online on other nodes.

        :raises StoreAway: nothing is known.
        """
        if level == 1:
            many = LEVEL_1_ENTRIES
            roster = await self._rosters.read(user_id, many, self._groups, many)
        else:
            roster = await self._rosters.read(user_id, ENTRIES, ENTRIES, 0)
        people = {friend.id for friend in roster.friends}
        people.update(member.id for members in roster.members.values() for member in members)
        return People(roster, await self._delivery.online_elsewhere(people, user_id))

    def fields(self, account: Account, level: int, people: People) -> Fields:
        """What the answer says of them, with everybody's state as it is now."""
        return self._texts(account, *people) if level == 1 else self._objects(*people)

    def _friends(self, roster: Roster, elsewhere: Set[int]) -> Iterator[Fields]:
        return (friend_entry(self._delivery, friend, elsewhere) for friend in roster.friends)

    # Level 2: arrays of objects, always there

    def _objects(self, roster: Roster, elsewhere: Set[int]) -> Fields:
        friends, cut_friends = fitting(self._friends(roster, elsewhere), self._size // 2)
        groups, cut_groups = fitting(map(group_entry, roster.groups), self._size // 2)
        fields: dict[str, Any] = {"friends": friends, "groups": groups}
        if roster.more_friends or cut_friends:
            fields["more_friends"] = True
        if roster.more_groups or cut_groups:
            fields["more_groups"] = True
        return fields

    # Level 1: arrays of texts, where they are not empty

    def _texts(self, account: Account, roster: Roster, elsewhere: Set[int]) -> Fields:
        fields: dict[str, Any] = {}
        friends, _ = fitting(map(_text, self._friends(roster, elsewhere)), self._size)
        if friends:
            fields["friends"] = friends
        size = self._size - sum(len(bytes(text)) + 1 for text in friends)
        groups = list(self._group_texts(account, roster, elsewhere, size))
        if groups:
            fields["groups"] = groups
        return fields

    def _group_texts(
        self, account: Account, roster: Roster, elsewhere: Set[int], size: int
    ) -> Iterator[str]:
        """The groups with their users, as long as they fit."""
        for group in roster.groups:
            members = roster.members.get(group.id, ())
            text, cost = self._group_text(account, group, members, elsewhere, size)
            size -= cost
            if size < 0:
                return
            yield text

    def _group_text(
        self,
        account: Account,
        group: Group,
        members: Iterable[Member],
        elsewhere: Set[int],
        size: int,
    ) -> tuple[str, int]:
        """A group with as many of its users as fit, the user first; and its cost in bytes."""
        myself = {"id": account.id, "name": account.name, "state": "online", "role": group.role}
        users = [_text(myself)]
        head = {"id": group.id, "groupname": group.name, "groupdesc": group.desc}
        cost = len(encode(_text({**head, "users": users}))) + 1
        for member in members:
            if member.id == account.id:
                continue
            user = _text(member_entry(self._delivery, member, account.id, elsewhere))
            # Quoted in the group's text, which is quoted itself; and a comma.
            more = len(encode(_text(user))) - 1
            if cost + more > size:
                break
            users.append(user)
            cost += more
        return _text({**head, "users": users}), cost


def _text(value: Any) -> str:
    return encode(value).decode()
