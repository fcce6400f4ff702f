"""The conversations of a single server, held through the balancer, each client on some node.

Some have no place here, as they rely on what takes a moment between nodes: what somebody at level 1
said, who is told nothing, is on its way to another node when the next request is answered; and
right behind a login messages go through the store, so that their senders are told ``stored``.
"""

from __future__ import annotations

import os
from typing import Any
from unittest import TestSuite

from twisted.trial.runner import TestLoader

from tests import cables
from tests import test_contacts as contacts
from tests import test_conversations_accounts as accounts
from tests import test_conversations_bad_input as bad_input
from tests import test_conversations_cids as cids
from tests import test_conversations_level1 as level1
from tests import test_conversations_level2 as level2
from tests import test_conversations_takeover as takeover
from tests import test_groups as groups
from tests import test_presence as presence
from tests.cables import Client, TcpCable
from tests.support import ServerCase, told

from .shared import shared

PATIENCE = 60.0


class Told(dict[str, Any]):
    """What a sender is told about a message that may also have gone through the store."""

    def __init__(self, cid: str, state: str) -> None:
        super().__init__(told(cid, state))
        self._stored = told(cid, "stored")

    __hash__ = None

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other) or self._stored == other

    def __ne__(self, other: object) -> bool:
        return not self == other


class ThroughBalancer(ServerCase):
    """Clients come to the nodes as the balancer sends them: each to one with the fewest."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        self.clients: list[Client] = []
        self.patch(cables, "PATIENCE", PATIENCE)
        for module in (level2, cids):
            self.patch(module, "told", Told)
        self.cluster = shared().cluster
        self.cluster.forget_names()
        self.addCleanup(self.leave)

    async def leave(self) -> None:
        """Everybody goes."""
        for client in self.clients:
            if not client.closed:
                client.cable.let_go()
                client.cable.abort()
                await client.end()

    async def connect(self) -> Client:
        client = await TcpCable.connect(self.cluster.port)
        self.clients.append(client)
        return client


class Level1ChattingTests(level1.Chatting, ThroughBalancer):
    pass


class Level2LoggingInTests(level2.LoggingIn, ThroughBalancer):
    pass


class Level2ChattingTests(level2.Chatting, ThroughBalancer):
    pass


class Level2BeingAwayTests(level2.BeingAway, ThroughBalancer):
    pass


class RepeatingTests(cids.Repeating, ThroughBalancer):
    pass


class TakingOverTests(takeover.TakingOver, ThroughBalancer):
    pass


class MembershipTests(groups.Membership, ThroughBalancer):
    pass


class SpeakingTests(groups.Speaking, ThroughBalancer):
    pass


class SignallingTests(groups.Signalling, ThroughBalancer):
    pass


class WatchingTests(presence.Watching, ThroughBalancer):
    pass


class RegisteringTests(accounts.Registering, ThroughBalancer):
    pass


class LoggingInTests(accounts.LoggingIn, ThroughBalancer):
    pass


class BadInputTests(bad_input.BadInput, ThroughBalancer):
    pass


class AddingFriendsTests(contacts.AddingFriends, ThroughBalancer):
    pass


class AskingTests(contacts.Asking, ThroughBalancer):
    pass


ACROSS: tuple[type[ServerCase], ...] = (
    Level1ChattingTests,
    Level2LoggingInTests,
    Level2ChattingTests,
    Level2BeingAwayTests,
    RepeatingTests,
    TakingOverTests,
    MembershipTests,
    SpeakingTests,
    SignallingTests,
    WatchingTests,
)
"""Those in which nodes talk to each other."""

BESIDE: tuple[type[ServerCase], ...] = (
    RegisteringTests,
    LoggingInTests,
    BadInputTests,
    AddingFriendsTests,
    AskingTests,
)
"""Those in which they hardly do; for the long form."""

LEFT_OUT = {
    # Somebody at level 1 says, or does, something, and somebody else comes to another node.
    "test_emoji_and_nul_escapes",
    "test_nothing_is_answered_when_all_is_well",
    "test_level_1_sender_and_level_1_recipient_in_between",
    "test_level_1_is_told_refusals_only",
    "test_level_1_gets_what_was_written",
    # No answer is wanted before the recipient has acknowledged.
    "test_delivered",
    "test_one_acknowledgement_for_many",
    "test_acknowledgement_beyond_what_was_pushed",
    "test_cid_is_wanted",
    "test_oneself_right_behind_the_login",
    "test_what_was_not_acknowledged_comes_again",
    "test_other_content",
    "test_from_a_new_connection",
    "test_line_that_is_not_sound_is_refused_though_its_cid_is_known",
    "test_what_was_in_flight_comes_first",
    "test_answers_go_to_the_connection_that_asked",
    "test_answered_when_everybody_is_served",
    # The same, under names that others have as well.
    f"{Level2ChattingTests.__name__}.test_oneself",
    f"{SpeakingTests.__name__}.test_refusals",
}


def testSuite() -> TestSuite:  # noqa: N802  # trial asks for it
    """All of them but those; ``CLUSTER_ALL=1`` adds those of :data:`BESIDE`."""
    loader = TestLoader()
    suite = TestSuite()
    for case in (*ACROSS, *(BESIDE if os.environ.get("CLUSTER_ALL") else ())):
        for rest in loader.getTestCaseNames(case):
            name = f"test{rest}"
            if not {name, f"{case.__name__}.{name}"} & LEFT_OUT:
                suite.addTest(case(name))
    return suite
