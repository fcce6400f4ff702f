"""The client's half of the protocol, word for word."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import TestCase

from chat.client.dialogue import Dialogue
from chat.client.errors import (
    AlreadyOnline,
    Disconnected,
    LoginRefused,
    OutboxFull,
    Refused,
    TakenOver,
    WrongServer,
)
from chat.client.events import (
    Answered,
    Arrived,
    Broken,
    Ended,
    Event,
    Hinted,
    Limits,
    LoggedIn,
    LoginFailed,
    Phase,
    Replied,
)
from chat.client.results import DirectMessage, GroupMessage, PresenceChanged, Sent
from chat.errors import Code
from chat.messages import FindUser, ListMembers

WELCOME = {"msgid": 2, "errno": 0, "id": 7, "name": "bob", "proto": 2, "token": "t", "backlog": 0}


class Wire:
    """A dialogue and the server's end of it."""

    def __init__(self, dialogue: Dialogue) -> None:
        self.dialogue = dialogue
        self.now = 100.0

    def say(self, **fields: Any) -> list[Event]:
        return self.dialogue.line(json.dumps(fields).encode(), self.now)

    def heard(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.dialogue.take(self.now).splitlines()]

    def connect(self) -> list[dict[str, Any]]:
        self.dialogue.connected(self.now)
        return self.heard()

    def online(self, **more: Any) -> list[Event]:
        self.connect()
        return self.say(**{**WELCOME, **more})


class DialogueTests(TestCase):
    def wire(self, **options: Any) -> Wire:
        return Wire(Dialogue(7, **{"nonce": "n", "password": "secret", **options}))

    def send(self, wire: Wire, text: str = "hi", cid: str | None = None) -> str:
        unsent = wire.dialogue.compose(5, 8, text, "now", cid)
        wire.dialogue.send(unsent)
        return unsent.cid


class LoginTests(DialogueTests):
    def test_it_logs_in_at_level_2(self) -> None:
        wire = self.wire()
        self.assertEqual(
            wire.connect(),
            [{"msgid": 1, "id": 7, "password": "secret", "proto": 2, "takeover": False}],
        )
        friend = {"id": 8, "name": "ann", "state": "online"}
        group = {"id": 3, "groupname": "tea", "groupdesc": "", "role": "normal", "members": 2}
        (event,) = wire.say(**WELCOME, friends=[friend], groups=[group], more_groups=True)
        assert isinstance(event, LoggedIn)
        self.assertEqual((event.welcome.name, event.token), ("bob", "t"))
        self.assertEqual(event.welcome.friends[0].name, "ann")
        self.assertEqual(event.welcome.groups[0].groupname, "tea")
        self.assertTrue(event.welcome.more_groups)
        self.assertIs(wire.dialogue.phase, Phase.ONLINE)

    def test_the_next_login_is_by_token(self) -> None:
        wire = self.wire(takeover=True)
        self.assertTrue(wire.connect()[0]["takeover"])
        wire.say(**WELCOME)
        wire.dialogue.lost()
        (login,) = wire.connect()
        self.assertEqual(login["token"], "t")
        self.assertNotIn("password", login)
        self.assertFalse(login["takeover"])

    def test_a_token_that_is_refused_gives_way_to_the_password(self) -> None:
        wire = self.wire(token="old")
        self.assertEqual(wire.connect()[0]["token"], "old")
        self.assertEqual(wire.say(msgid=2, errno=1, errmsg="no"), [])
        self.assertEqual(wire.heard()[0]["password"], "secret")
        (event,) = wire.say(msgid=2, errno=1, errmsg="id or password is invalid!")
        assert isinstance(event, LoginFailed) and isinstance(event.error, LoginRefused)
        self.assertTrue(event.final)
        self.assertEqual(event.error.text, "id or password is invalid!")

    def test_a_token_alone_that_is_refused_is_the_end(self) -> None:
        wire = self.wire(token="old", password=None)
        wire.connect()
        (event,) = wire.say(msgid=2, errno=1, errmsg="no")
        assert isinstance(event, LoginFailed)
        self.assertTrue(event.final)

    def test_online_elsewhere_is_final_the_first_time_only(self) -> None:
        wire = self.wire()
        wire.connect()
        (event,) = wire.say(msgid=2, errno=2, errmsg="this account is using, input another!")
        assert isinstance(event, LoginFailed) and isinstance(event.error, AlreadyOnline)
        self.assertTrue(event.final)

        wire = self.wire()
        wire.online()
        wire.dialogue.lost()
        wire.connect()
        (event,) = wire.say(msgid=2, errno=2, errmsg="this account is using, input another!")
        assert isinstance(event, LoginFailed)
        self.assertFalse(event.final)

    def test_a_busy_server_is_asked_later(self) -> None:
        for errno in (107, 108, 199):
            wire = self.wire()
            wire.connect()
            (event,) = wire.say(msgid=2, errno=errno, errmsg="later", retry_after=5)
            assert isinstance(event, LoginFailed)
            self.assertFalse(event.final)
            self.assertEqual(wire.dialogue.retry_at, 105.0)

    def test_a_server_of_level_1_will_not_do(self) -> None:
        wire = self.wire()
        wire.connect()
        (event,) = wire.say(msgid=2, errno=0, id=7, name="bob")
        assert isinstance(event, LoginFailed)
        self.assertIsInstance(event.error, WrongServer)

    def test_taken_over_is_the_end(self) -> None:
        wire = self.wire()
        wire.online()
        (event,) = wire.say(msgid=11, errno=103, ack=0, errmsg="taken over by another login")
        assert isinstance(event, Ended) and isinstance(event.error, TakenOver)
        wire.dialogue.lost()
        self.assertIs(wire.dialogue.phase, Phase.ENDED)

    def test_a_notice_of_a_restart_says_when_to_come_back(self) -> None:
        wire = self.wire()
        wire.online()
        (event,) = wire.say(msgid=38, msg="restart", time="now", reconnect=7)
        self.assertIsInstance(event, Hinted)
        self.assertEqual(wire.dialogue.retry_at, 107.0)


class ChatTests(DialogueTests):
    def test_a_message_is_answered(self) -> None:
        wire = self.wire()
        cid = self.send(wire)
        self.assertEqual(len(wire.connect()), 1)
        wire.say(**WELCOME)
        (line,) = wire.heard()
        self.assertEqual(line, {"msgid": 5, "cid": cid, "toid": 8, "msg": "hi", "time": "now"})
        (event,) = wire.say(msgid=11, errno=0, ack=5, cid=cid, state="delivered")
        assert isinstance(event, Answered)
        self.assertEqual(event.result, Sent(cid=cid, state="delivered"))
        self.assertEqual(event.unsent.text, "hi")
        self.assertEqual(wire.say(msgid=11, errno=0, ack=5, cid=cid, state="delivered"), [])

    def test_a_group_message_is_answered_with_numbers(self) -> None:
        wire = self.wire()
        wire.online()
        unsent = wire.dialogue.compose(9, 3, "hi", "now", None)
        wire.dialogue.send(unsent)
        wire.heard()
        (event,) = wire.say(
            msgid=11, errno=0, ack=9, cid=unsent.cid, state="stored", members=4, refused=1
        )
        assert isinstance(event, Answered)
        self.assertEqual(event.result, Sent(cid=unsent.cid, state="stored", members=4, refused=1))

    def test_a_refusal_is_typed(self) -> None:
        wire = self.wire()
        wire.online()
        cid = self.send(wire)
        wire.heard()
        (event,) = wire.say(msgid=11, errno=109, ack=5, cid=cid, errmsg="full")
        assert isinstance(event, Answered) and isinstance(event.result, Refused)
        self.assertIs(event.result.code, Code.MAILBOX_FULL)
        self.assertEqual(event.result.text, "full")

    def test_108_is_no_last_word(self) -> None:
        wire = self.wire()
        wire.online()
        first, second = self.send(wire, "1"), self.send(wire, "2")
        wire.heard()
        for cid in (first, second):
            self.assertEqual(
                wire.say(msgid=11, errno=108, ack=5, cid=cid, errmsg="busy", retry_after=2), []
            )
        self.assertEqual(wire.dialogue.wake_at, 102.0)
        wire.now = 102.0
        self.assertEqual([line["cid"] for line in wire.heard()], [first, second])

    def test_cids_never_repeat(self) -> None:
        wires = [self.wire(nonce=nonce) for nonce in ("a", "b")]
        cids = [wire.dialogue.new_cid() for wire in wires for _ in range(100)]
        self.assertEqual(len(set(cids)), 200)

    def test_what_cannot_be_sent_is_refused_here(self) -> None:
        dialogue = self.wire(limits=Limits(line=100, waiting=1)).dialogue
        for target, text, cid, code in (
            (0, "hi", None, Code.BAD_REQUEST),
            (2**63, "hi", None, Code.BAD_REQUEST),
            (True, "hi", None, Code.BAD_REQUEST),
            (8, "hi", "", Code.BAD_REQUEST),
            (8, "hi", "c" * 65, Code.BAD_REQUEST),
            (8, "\ud800", None, Code.BAD_REQUEST),
            (8, "x" * 100, None, Code.TOO_LARGE),
        ):
            with self.assertRaises(Refused) as caught:
                dialogue.compose(5, target, text, "now", cid)
            self.assertIs(caught.exception.code, code)
        first = dialogue.compose(5, 8, "hi", "now", "c")
        dialogue.send(first)
        self.assertIs(dialogue.compose(5, 8, "hi", "later", "c"), first)
        with self.assertRaises(Refused) as caught:
            dialogue.compose(5, 9, "hi", "now", "c")
        self.assertIs(caught.exception.code, Code.CID_REUSED)
        with self.assertRaises(OutboxFull):
            dialogue.compose(5, 8, "more", "now", None)

    def test_a_line_too_long_for_this_server_is_found_and_given_up(self) -> None:
        wire = self.wire()
        wire.online()
        self.send(wire, "short")
        long = self.send(wire, "long" * 100)
        asked = wire.dialogue.ask(FindUser(name="x" * 200))
        wire.heard()
        (event,) = wire.say(msgid=11, errno=106, ack=0, errmsg="too large")
        assert isinstance(event, Answered) and isinstance(event.result, Refused)
        self.assertEqual(event.unsent.cid, long)
        (second,) = wire.say(msgid=11, errno=106, ack=0, errmsg="too large")
        assert isinstance(second, Replied)
        self.assertEqual(second.cid, asked)


class DeliveryTests(DialogueTests):
    def push(self, wire: Wire, seq: int, cid: str, **more: Any) -> list[Event]:
        fields = {"msgid": 5, "toid": 7, "msg": "hi", "id": 8, "name": "ann", "time": "now"}
        return wire.say(**{**fields, "cid": cid, "seq": seq, **more})

    def test_what_is_handled_is_acknowledged_in_one_line(self) -> None:
        wire = self.wire()
        wire.online()
        events = [event for seq in (1, 2, 3) for event in self.push(wire, seq, f"c{seq}")]
        self.assertEqual(wire.heard(), [])
        for event in events:
            assert isinstance(event, Arrived) and isinstance(event.message, DirectMessage)
            wire.dialogue.handled(event.message.key)
        self.assertEqual(wire.heard(), [{"msgid": 12, "seq": 3}])

    def test_what_was_seen_in_an_earlier_run_is_not_shown(self) -> None:
        wire = self.wire(seen=[(8, "c1")])
        wire.online()
        self.assertEqual(self.push(wire, 1, "c1"), [])
        self.assertEqual(wire.heard(), [{"msgid": 12, "seq": 1}])

    def test_a_group_message_says_which_group(self) -> None:
        wire = self.wire()
        wire.online()
        (event,) = wire.say(
            msgid=9, groupid=3, msg="hi", id=8, name="ann", time="now", cid="c", seq=1, x=[{}]
        )
        assert isinstance(event, Arrived) and isinstance(event.message, GroupMessage)
        self.assertEqual(event.message.groupid, 3)

    def test_what_is_of_no_use_is_acknowledged_all_the_same(self) -> None:
        wire = self.wire()
        wire.online()
        self.assertEqual(wire.say(msgid=77, seq=1, new="kind"), [])
        self.assertEqual(self.push(wire, 2, "c", time=None), [])
        self.assertEqual(wire.heard(), [{"msgid": 12, "seq": 2}])

    def test_a_hole_breaks_the_connection(self) -> None:
        wire = self.wire()
        wire.online()
        (event,) = self.push(wire, 2, "c")
        self.assertIsInstance(event, Broken)

    def test_nothing_is_acknowledged_on_another_connection(self) -> None:
        wire = self.wire()
        wire.online()
        (event,) = self.push(wire, 1, "c")
        assert isinstance(event, Arrived)
        wire.dialogue.lost()
        wire.connect()
        wire.dialogue.handled(event.message.key)
        wire.say(**WELCOME)
        self.assertEqual(wire.heard(), [])


class RequestTests(DialogueTests):
    def test_an_answer_comes_back_to_its_request(self) -> None:
        wire = self.wire()
        wire.online()
        cids = [wire.dialogue.ask(FindUser(name=name)) for name in ("ann", "eve")]
        self.assertEqual([line["cid"] for line in wire.heard()], cids)
        (event,) = wire.say(msgid=11, errno=0, ack=27, cid=cids[1], user={"id": 9, "name": "eve"})
        assert isinstance(event, Replied) and isinstance(event.result, bytes)
        self.assertEqual((event.cid, json.loads(event.result)["user"]["id"]), (cids[1], 9))
        (event,) = wire.say(msgid=11, errno=104, ack=27, cid=cids[0], errmsg="nobody")
        assert isinstance(event, Replied) and isinstance(event.result, Refused)
        self.assertIs(event.result.code, Code.NO_SUCH_USER)

    def test_fields_of_one_name_and_different_meaning_do_not_meet(self) -> None:
        wire = self.wire()
        wire.online()
        cid = wire.dialogue.ask(ListMembers(groupid=3))
        answer = {"msgid": 11, "errno": 0, "ack": 26, "cid": cid}
        (event,) = wire.say(**answer, members=[{"id": 7}], state=None, refused="no", proto=[])
        assert isinstance(event, Replied) and isinstance(event.result, bytes)
        self.assertEqual(json.loads(event.result)["members"], [{"id": 7}])

    def test_the_end_of_the_connection_is_an_answer(self) -> None:
        wire = self.wire()
        wire.online()
        cid = wire.dialogue.ask(FindUser(name="ann"))
        (event,) = wire.dialogue.lost()
        assert isinstance(event, Replied)
        self.assertEqual(event.cid, cid)
        self.assertIsInstance(event.result, Disconnected)

    def test_an_errno_of_the_future_is_told(self) -> None:
        wire = self.wire()
        wire.online()
        cid = wire.dialogue.ask(FindUser(name="ann"))
        (event,) = wire.say(msgid=11, errno=345, ack=27, cid=cid, errmsg="new")
        assert isinstance(event, Replied) and isinstance(event.result, Refused)
        self.assertEqual(event.result.text, "errno 345 new")

    def test_hints_are_passed_on(self) -> None:
        wire = self.wire()
        wire.online()
        self.assertEqual(
            wire.say(msgid=28, id=8, name="ann", state="online"),
            [Hinted(PresenceChanged(8, "ann", "online"))],
        )


class LifeTests(DialogueTests):
    def test_a_ping_is_answered_with_its_cid(self) -> None:
        wire = self.wire()
        wire.online()
        wire.say(msgid=13)
        wire.say(msgid=13, cid="x")
        self.assertEqual(wire.heard(), [{"msgid": 14}, {"msgid": 14, "cid": "x"}])

    def test_a_silent_server_is_asked_and_then_given_up(self) -> None:
        wire = self.wire(limits=Limits(keepalive=30, grace=15))
        wire.online()
        self.assertEqual(wire.dialogue.wake_at, 130.0)
        wire.now = 130.0
        self.assertEqual(wire.dialogue.wake(wire.now), [])
        self.assertEqual(wire.heard(), [{"msgid": 13}])
        self.assertEqual(wire.dialogue.wake_at, 145.0)
        wire.now = 140.0
        wire.say(msgid=14)
        self.assertEqual(wire.dialogue.wake_at, 170.0)
        wire.now = 185.0
        (event,) = wire.dialogue.wake(wire.now)
        self.assertIsInstance(event, Broken)

    def test_an_offline_dialogue_wants_no_waking(self) -> None:
        wire = self.wire()
        self.assertIsNone(wire.dialogue.wake_at)
        wire.online()
        wire.dialogue.lost()
        self.assertIsNone(wire.dialogue.wake_at)
        self.assertEqual(wire.dialogue.wake(10_000.0), [])

    def test_what_is_no_chat_server_is_noticed(self) -> None:
        wire = self.wire()
        for line in (b"SSH-2.0-OpenSSH_9.2", b"[1]", b'{"msgid":"x"}', b'{"msgid":11}', b"\xff"):
            wire = self.wire()
            wire.connect()
            (event,) = wire.dialogue.line(line, wire.now)
            self.assertIsInstance(event, Broken)
        self.assertEqual(wire.dialogue.line(b"\r", wire.now), [])

    def test_a_server_that_forgot_the_login_is_left(self) -> None:
        wire = self.wire()
        wire.online()
        cid = self.send(wire)
        wire.heard()
        (event,) = wire.say(msgid=11, errno=102, ack=5, cid=cid, errmsg="log in first")
        self.assertIsInstance(event, Broken)
        self.assertIn(cid, wire.dialogue.outbox)
