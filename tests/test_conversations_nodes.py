"""The conversations of one server, held across two."""

from __future__ import annotations

from twisted.trial.unittest import TestCase

from . import (
    test_contacts,
    test_conversations_cids,
    test_conversations_takeover,
    test_conversations_tokens,
    test_groups,
    test_presence,
)
from . import test_conversations_level1 as level1
from . import test_conversations_level2 as level2
from .across import AcrossNodes


class Level1ChattingTests(level1.Chatting, AcrossNodes):
    """At level 1, both here."""


class Level1BeingAwayTests(level1.BeingAway, AcrossNodes):
    """At level 1, one away."""


class LoggingInTests(level2.LoggingIn, AcrossNodes):
    """What a login shows."""


class Level2ChattingTests(level2.Chatting, AcrossNodes):
    """At level 2, both here."""


class Level2BeingAwayTests(level2.BeingAway, AcrossNodes):
    """At level 2, one away."""


class RepeatingTests(test_conversations_cids.Repeating, AcrossNodes):
    """The same cid again."""


class TakingOverTests(test_conversations_takeover.TakingOver, AcrossNodes):
    """A second login."""


class AddingFriendsTests(AcrossNodes, test_contacts.AddingFriends, TestCase):
    """Friends."""


class AskingTests(AcrossNodes, test_contacts.Asking, TestCase):
    """Requests."""


class LookingTests(AcrossNodes, test_contacts.Looking, TestCase):
    """Lists."""


class BlockingTests(AcrossNodes, test_contacts.Blocking, TestCase):
    """Who is not heard."""


class MembershipTests(AcrossNodes, test_groups.Membership, TestCase):
    """Who is in a group."""


class SpeakingTests(AcrossNodes, test_groups.Speaking, TestCase):
    """What is said in one."""


class SignallingTests(AcrossNodes, test_groups.Signalling, TestCase):
    """Typing and read marks."""


class WatchingTests(AcrossNodes, test_presence.Watching, TestCase):
    """Comings and goings."""


class DeletingTests(AcrossNodes, test_conversations_tokens.Deleting, TestCase):
    """The end of an account."""
