"""The conversations that are held over TCP, over WebSocket, and between the two."""

from __future__ import annotations

from itertools import count

from . import test_conversations_accounts as accounts
from . import test_conversations_level1 as level1
from . import test_conversations_level2 as level2
from .cables import Client
from .sockets import OverWebSocket


class Mixed(OverWebSocket):
    """Every second client speaks lines over TCP."""

    async def setUp(self) -> None:  # type: ignore[override]
        await super().setUp()
        self._numbers = count()

    async def connect(self) -> Client:
        if next(self._numbers) % 2:
            return await self.connect_tcp()
        return await super().connect()


class RegisteringTests(OverWebSocket, accounts.Registering):
    pass


class LoggingInTests(OverWebSocket, accounts.LoggingIn):
    pass


class Level1ChattingTests(OverWebSocket, level1.Chatting):
    pass


class Level1BeingAwayTests(OverWebSocket, level1.BeingAway):
    pass


class Level2LoggingInTests(OverWebSocket, level2.LoggingIn):
    pass


class Level2ChattingTests(OverWebSocket, level2.Chatting):
    pass


class Level2BeingAwayTests(OverWebSocket, level2.BeingAway):
    pass


class MixedLevel1ChattingTests(Mixed, level1.Chatting):
    pass


class MixedLevel2ChattingTests(Mixed, level2.Chatting):
    pass


class MixedLevel2BeingAwayTests(Mixed, level2.BeingAway):
    pass
