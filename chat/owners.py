"""What somebody does with the own account: another password, tokens, and its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .accounts import Me
from .credentials import Credentials, checked_password
from .delivery import Delivery, sender_of, written
from .errors import ChatError, Code
from .interfaces import Store
from .memberships import Memberships
from .messages import ChangePassword, DeleteAccount, ListTokens, Revoke
from .model import User
from .presence import Presence
from .tokens import TokenLogins

Fields = Mapping[str, Any]


class Owners:
    """The rules of msgids 34 to 37."""

    def __init__(
        self,
        store: Store,
        credentials: Credentials,
        tokens: TokenLogins,
        delivery: Delivery,
        presence: Presence,
        memberships: Memberships,
    ) -> None:
        self.deleted: list[Callable[[int, str, Sequence[int]], None]] = []
        """Called with the id and the name of who is no user any more, and the former friends."""
        self._store = store
        self._credentials = credentials
        self._tokens = tokens
        self._delivery = delivery
        self._presence = presence
        self._memberships = memberships

    async def change_password(self, me: Me, ask: ChangePassword) -> Fields:
        """Another password; all tokens are gone, and there is a new one."""
        user_id = sender_of(me).id
        checked_password(ask.newpassword)
        await self._credentials.by_password(me.standing, user_id, ask.password)
        encoded = await self._credentials.new_hash(ask.newpassword)
        await self._store.users.set_password(user_id, encoded)
        token, me.token_id = await self._tokens.issue(user_id, me.standing.host, encoded)
        return {"token": token}

    async def tokens(self, me: Me, ask: ListTokens) -> Fields:
        """Where one may log in without a password."""
        found = await self._store.tokens.list(sender_of(me).id)
        return {
            "tokens": [
                {
                    "id": token.id,
                    "created": written(token.created),
                    "used": written(token.used),
                    "expires": written(token.expires),
                    "address": token.address,
                    "current": token.id == me.token_id,
                }
                for token in found
            ]
        }

    async def revoke(self, me: Me, ask: Revoke) -> Fields:
        """A token logs in no more; who has logged in by it stays."""
        if not await self._store.tokens.revoke(sender_of(me).id, ask.token):
            raise ChatError(Code.FORBIDDEN, "no such token of yours")
        return {}

    async def delete(self, me: Me, ask: DeleteAccount) -> Fields:
        """The account and what is about it is gone, here and in the store."""
        sender = sender_of(me)
        await self._credentials.by_password(me.standing, sender.id, ask.password)
        await me.answered()
        # Asked for now, as nobody will be its friend afterwards.
        watchers = await self._store.friends.watchers(sender.id)
        deleted = await self._store.users.delete(sender.id)
        peer = self._delivery.online.get(sender.id)
        self._delivery.forget(sender.id)
        self._presence.gone(sender.id, sender.name, watchers)
        for listener in self.deleted:
            listener(sender.id, sender.name, watchers)
        if peer is me:
            me.forget()
        elif peer is not None:
            # It was taken over meanwhile.
            peer.replaced()
        await self._memberships.ended(User(sender.id, sender.name), deleted.left)
        return {"deleted": deleted.counts}
