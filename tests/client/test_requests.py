"""Every request, against the real server in memory."""

from __future__ import annotations

from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from chat.client import Client, LoginRefused, Refused, Stopped, requests
from chat.client.results import (
    AnyHint,
    AnyMessage,
    DirectMessage,
    FriendAnswered,
    FriendAsked,
    FriendRemoved,
    GroupMessage,
    MembershipChanged,
    PresenceChanged,
    ReadUpTo,
    TypingChanged,
)
from chat.errors import Code
from tests.support import PASSWORD

from .live import LiveCase

T = TypeVar("T")


class RequestTests(LiveCase, TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.hints: list[AnyHint] = []
        self.messages: list[AnyMessage] = []
        self.ann_id, self.bob_id = self.account("ann"), self.account("bob")
        self.ann = self.client(self.ann_id)
        self.bob = self.client(
            self.bob_id, on_message=self.messages.append, on_hint=self.hints.append
        )

    def result(self, asked: Deferred[T]) -> T:
        self.time.settle()
        result: T = self.successResultOf(asked)
        return result

    def refused(self, asked: Deferred[Any]) -> Code:
        self.time.settle()
        error = self.failureResultOf(asked, Refused).value
        assert isinstance(error, Refused)
        return error.code

    def heard(self, kind: type[T]) -> list[T]:
        self.time.settle()
        return [hint for hint in self.hints if isinstance(hint, kind)]

    def friends(self, client: Client) -> list[tuple[str, str]]:
        return [(it.name, it.state) for it in self.result(client.friends())]

    def test_friends(self) -> None:
        self.ann.watch_presence()
        self.bob.watch_presence()
        self.assertFalse(self.result(self.ann.ask_friend(self.bob_id, "it's me")))
        (asked,) = self.heard(FriendAsked)
        self.assertEqual((asked.id, asked.name, asked.note), (self.ann_id, "ann", "it's me"))
        (request,) = self.result(self.bob.friend_requests())
        self.assertEqual((request.id, request.note), (self.ann_id, "it's me"))
        self.assertIsNone(self.result(self.bob.answer_friend(self.ann_id, False)))
        self.assertEqual(self.result(self.bob.friend_requests()), [])
        self.result(self.bob.ask_friend(self.ann_id))
        friend = self.result(self.ann.answer_friend(self.bob_id, True))
        assert friend is not None
        self.assertEqual((friend.id, friend.name, friend.state), (self.bob_id, "bob", "online"))
        (answered,) = self.heard(FriendAnswered)
        self.assertTrue(answered.accept)
        self.assertEqual(self.friends(self.bob), [("ann", "online")])
        self.ann.stopService()
        self.go(5)
        self.assertEqual(self.heard(PresenceChanged)[-1].state, "offline")
        self.ann = self.client(self.ann_id)
        self.go(5)
        self.assertEqual(self.heard(PresenceChanged)[-1].state, "online")
        self.result(self.ann.remove_friend(self.bob_id))
        self.assertEqual(len(self.heard(FriendRemoved)), 1)
        self.assertEqual(self.friends(self.bob), [])

    def test_add_friend_as_in_the_original(self) -> None:
        friend = self.result(self.ann.add_friend(self.bob_id))
        assert friend is not None
        self.assertEqual(friend.name, "bob")
        self.assertEqual(self.friends(self.ann), [("bob", "online")])
        self.assertEqual(self.friends(self.bob), [])
        self.assertIs(self.refused(self.ann.add_friend(999)), Code.NO_SUCH_USER)

    def test_more_friends_than_a_page(self) -> None:
        ids = [self.account(f"friend {number}") for number in range(505)]
        for user_id in ids:
            self.result(self.ann.add_friend(user_id))
            self.go(0.05)
        self.assertEqual([it.id for it in self.result(self.ann.friends())], ids)

    def test_finding_users(self) -> None:
        found = self.result(self.ann.find_user("bob"))
        assert found is not None
        self.assertEqual((found.id, found.name), (self.bob_id, "bob"))
        self.assertEqual(self.result(self.ann.user(self.bob_id)), found)
        self.assertIsNone(self.result(self.ann.find_user("nobody")))
        self.assertIsNone(self.result(self.ann.user(999)))

    def test_blocking(self) -> None:
        self.result(self.bob.block(self.ann_id))
        self.assertEqual([it.name for it in self.result(self.bob.blocked())], ["ann"])
        self.ann.send(self.bob_id, "psst").addErrback(lambda _: None)
        self.go(2)
        self.assertEqual(self.messages, [])
        self.result(self.bob.block(self.ann_id, False))
        self.assertEqual(self.result(self.bob.blocked()), [])

    def test_groups(self) -> None:
        group_id = self.result(self.ann.create_group("tea", "at five"))
        group = self.result(self.bob.join_group(group_id))
        self.assertEqual(
            (group.id, group.groupname, group.groupdesc, group.role, group.members),
            (group_id, "tea", "at five", "normal", 2),
        )
        self.assertEqual([it.id for it in self.result(self.bob.groups())], [group_id])
        sent = self.result(self.ann.send_group(group_id, "hi all"))
        self.assertEqual((sent.state, sent.members, sent.refused), ("delivered", 1, 0))
        (message,) = self.messages
        assert isinstance(message, GroupMessage)
        self.assertEqual((message.groupid, message.name, message.msg), (group_id, "ann", "hi all"))
        roles = [(it.name, it.role) for it in self.result(self.ann.members(group_id))]
        self.assertEqual(roles, [("ann", "creator"), ("bob", "normal")])
        self.result(self.ann.hand_over(group_id, self.bob_id))
        self.result(self.ann.leave_group(group_id))
        events = [(hint.name, hint.event) for hint in self.heard(MembershipChanged)]
        self.assertEqual(events[-2:], [("bob", "creator"), ("ann", "left")])
        self.result(self.ann.join_group(group_id))
        self.result(self.bob.remove_member(group_id, self.ann_id))
        self.assertIs(self.refused(self.ann.send_group(group_id, "hi")), Code.FORBIDDEN)

    def test_history(self) -> None:
        for number in range(30):
            self.result(self.ann.send(self.bob_id, str(number)))
        self.go(2)
        page = self.result(self.bob.history(self.ann_id, limit=20))
        self.assertEqual([it.msg for it in page.messages], [str(n) for n in range(29, 9, -1)])
        self.assertTrue(all(isinstance(it, DirectMessage) for it in page.messages))
        self.assertGreater(page.before, 0)
        rest = self.result(self.bob.history(self.ann_id, before=page.before, limit=20))
        self.assertEqual([it.msg for it in rest.messages], [str(n) for n in range(9, -1, -1)])
        self.assertEqual(rest.before, 0)
        (talk,) = self.result(self.bob.conversations())
        self.assertEqual((talk.toid, talk.groupid, talk.name), (self.ann_id, 0, "ann"))
        self.assertEqual(talk.last.msg, "29")

    def test_conversations_come_in_as_many_answers_as_it_takes(self) -> None:
        self.patch(requests, "PAGE", 1)
        self.result(self.bob.send(self.bob_id, "to myself"))
        self.go(1)
        sent = self.bob.send(self.ann_id, "to ann")
        self.go(2)
        self.result(sent)
        talks = self.result(self.bob.conversations())
        self.assertEqual([it.last.msg for it in talks], ["to ann", "to myself"])
        self.assertEqual(self.result(self.bob.conversations(1)), talks[:1])

    def test_typing_and_reading(self) -> None:
        self.ann.typing(self.bob_id)
        self.ann.read("cid", self.bob_id)
        self.assertEqual(self.heard(TypingChanged), [TypingChanged(self.ann_id, "ann", True)])
        self.assertEqual(self.heard(ReadUpTo), [ReadUpTo(self.ann_id, "ann", "cid")])

    def test_tokens_and_the_password(self) -> None:
        tokens = self.result(self.ann.tokens())
        self.assertEqual([it.current for it in tokens], [True])
        old = self.ann.token
        new = self.result(self.ann.change_password(PASSWORD, "another secret"))
        self.assertEqual(self.ann.token, new)
        self.assertNotEqual(new, old)
        self.ann.stopService()
        self.go(1)
        refused = self.client(self.ann_id, token=old)
        self.go(1)
        self.assertIsInstance(refused.error, LoginRefused)
        again = self.client(self.ann_id, token=new)
        self.go(1)
        self.assertIsNone(again.error)
        (token,) = self.result(again.tokens())
        self.result(again.revoke(token.id))
        self.assertEqual(self.result(again.tokens()), [])

    def test_deleting_the_account(self) -> None:
        self.assertIs(self.refused(self.ann.delete_account("wrong")), Code.REFUSED)
        self.result(self.ann.add_friend(self.bob_id))
        deleted = self.result(self.ann.delete_account(PASSWORD))
        self.assertEqual(deleted.get("friends"), 1, deleted)
        self.go(1)
        self.assertIsInstance(self.ann.error, Stopped)
        self.assertIsNone(self.result(self.bob.find_user("ann")))
