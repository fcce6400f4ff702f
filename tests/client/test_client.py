"""The client as a service: what it writes, when, and what the application hears."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from chat.client import (
    AlreadyOnline,
    Client,
    DirectMessage,
    Disconnected,
    Ledger,
    LedgerInUse,
    Limits,
    LoginRefused,
    NotOnline,
    PresenceChanged,
    Refused,
    Sent,
    State,
    Status,
    Stopped,
    TakenOver,
    Unsent,
)
from chat.client.results import AnyHint, AnyMessage
from chat.errors import Code

from .peer import WELCOME, Peer, pushed


def seconds(attempt: int) -> float:
    """A retry policy without chance: 1, 2, 3 … seconds."""
    return float(attempt)


class ClientCase(TestCase):
    def setUp(self) -> None:
        self.peer = Peer()
        self.shown: list[str] = []
        self.statuses: list[Status] = []
        self.hints: list[AnyHint] = []
        self.answers: list[tuple[str, Sent | Exception]] = []

    def client(self, **options: Any) -> Client:
        client = Client(
            self.peer.endpoint,
            7,
            "secret",
            **{
                "clock": self.peer.reactor,
                "retry_policy": seconds,
                "on_message": self.show,
                "on_hint": self.hints.append,
                "on_sent": self.answered,
                "on_status": self.statuses.append,
                "now": lambda: 1_900_000_000.0,
                **options,
            },
        )
        self.addCleanup(self.stop, client)
        client.startService()
        return client

    def stop(self, client: Client) -> None:
        stopped = client.stopService()
        self.successResultOf(stopped)
        left = [call for call in self.peer.reactor.getDelayedCalls() if call.active()]
        self.assertEqual(left, [])

    def show(self, message: AnyMessage) -> None:
        self.shown.append(message.msg)

    def answered(self, unsent: Unsent, result: Sent | Exception) -> None:
        self.answers.append((unsent.cid, result))

    def states(self) -> list[State]:
        return [status.state for status in self.statuses]


class ConnectionTests(ClientCase):
    def test_it_logs_in_and_tells(self) -> None:
        client = self.client()
        online = client.when_online()
        (login,) = self.peer.accept()
        self.assertEqual((login["id"], login["password"], login["proto"]), (7, "secret", 2))
        self.assertNoResult(online)
        self.peer.say(WELCOME)
        self.assertEqual(self.successResultOf(online).name, "bob")
        self.assertEqual(self.successResultOf(client.when_online()).name, "bob")
        self.assertEqual(self.states(), [State.CONNECTING, State.ONLINE])
        self.assertEqual(client.token, "t")

    def test_it_waits_longer_after_each_failure(self) -> None:
        self.client()
        for wait in (1.0, 2.0, 3.0):
            self.peer.refuse()
            self.assertFalse(self.peer.wanted)
            self.peer.reactor.advance(wait - 0.1)
            self.assertFalse(self.peer.wanted)
            self.peer.reactor.advance(0.1)
            self.assertTrue(self.peer.wanted)
        self.assertEqual([s.retry_in for s in self.statuses if s.state is State.WAITING], [1, 2, 3])
        assert self.statuses[-1].error is not None
        self.assertIn("refused", str(self.statuses[-1].error))

    def test_a_connection_without_a_login_is_a_failure(self) -> None:
        self.client()
        for wait in (1.0, 2.0):
            self.peer.accept()
            self.peer.hang_up()
            self.assertEqual(self.statuses[-1].retry_in, wait)
            self.peer.reactor.advance(wait)
        self.peer.welcome()
        self.peer.hang_up()
        self.assertEqual(self.statuses[-1].retry_in, 1.0)

    def test_the_server_says_when_to_come_back(self) -> None:
        self.client()
        self.peer.accept()
        self.peer.say({"msgid": 2, "errno": 108, "errmsg": "busy", "retry_after": 10})
        self.assertTrue(self.peer.closed)
        self.assertEqual(self.statuses[-1].retry_in, 11.0)
        self.assertIsInstance(self.statuses[-1].error, Refused)

    def test_a_wrong_password_stops_it(self) -> None:
        client = self.client()
        online, stopped = client.when_online(), client.when_stopped()
        sent = client.send(8, "hi")
        self.peer.accept()
        self.peer.say({"msgid": 2, "errno": 1, "errmsg": "id or password is invalid!"})
        self.assertTrue(self.peer.closed)
        self.failureResultOf(online, LoginRefused)
        self.failureResultOf(sent, LoginRefused)
        self.failureResultOf(stopped, LoginRefused)
        self.assertIs(client.state, State.STOPPED)
        self.failureResultOf(client.send(8, "more"), LoginRefused)
        self.failureResultOf(client.when_online(), LoginRefused)
        self.peer.reactor.advance(1000)
        self.assertFalse(self.peer.wanted)

    def test_online_elsewhere_stops_it(self) -> None:
        client = self.client()
        self.peer.accept()
        self.peer.say({"msgid": 2, "errno": 2, "errmsg": "this account is using, input another!"})
        self.assertIsInstance(client.error, AlreadyOnline)

    def test_taken_over_stops_it(self) -> None:
        client = self.client()
        self.peer.welcome()
        self.peer.say({"msgid": 11, "errno": 103, "ack": 0, "errmsg": "taken over"})
        self.assertIsInstance(client.error, TakenOver)
        self.assertTrue(self.peer.closed)
        self.peer.reactor.advance(1000)
        self.assertFalse(self.peer.wanted)

    def test_a_silent_server_is_left_for_another_connection(self) -> None:
        self.client(limits=Limits(keepalive=30, grace=15))
        self.peer.welcome()
        self.peer.reactor.advance(30)
        self.assertEqual(self.peer.heard(), [{"msgid": 13}])
        self.peer.reactor.advance(15)
        self.assertTrue(self.peer.closed)
        self.peer.reactor.advance(1)
        self.assertTrue(self.peer.wanted)

    def test_a_server_that_talks_is_not_asked(self) -> None:
        self.client(limits=Limits(keepalive=30, grace=15))
        self.peer.welcome()
        for _ in range(10):
            self.peer.reactor.advance(20)
            self.peer.say({"msgid": 13})
            self.assertEqual(self.peer.heard(), [{"msgid": 14}])

    def test_what_is_no_chat_server_is_left(self) -> None:
        self.client()
        self.peer.accept()
        self.peer.transport.protocol.dataReceived(b"220 mail.example ESMTP\r\n")
        self.assertTrue(self.peer.closed)

    def test_a_line_without_end_is_left(self) -> None:
        self.client()
        self.peer.accept()
        for _ in range(17):
            self.peer.transport.protocol.dataReceived(b"x" * 2**16)
        self.assertTrue(self.peer.closed)

    def test_stopping_ends_everything(self) -> None:
        client = self.client()
        self.peer.welcome()
        sent, asked = client.send(8, "hi"), client.friends()
        stopped = client.when_stopped()
        client.stopService()
        self.successResultOf(stopped)
        self.successResultOf(client.when_stopped())
        self.assertEqual([line["msgid"] for line in self.peer.heard()], [22, 5])
        self.failureResultOf(sent, Stopped)
        self.failureResultOf(asked, Disconnected)
        self.assertTrue(self.peer.closed)
        self.assertEqual(self.states()[-1], State.STOPPED)
        with self.assertRaises(RuntimeError):
            client.startService()

    def test_a_library_that_is_imported_chooses_no_reactor(self) -> None:
        code = "import sys, chat.client; print('twisted.internet.reactor' in sys.modules)"
        out = subprocess.check_output([sys.executable, "-c", code], text=True)
        self.assertEqual(out.strip(), "False")


class SendTests(ClientCase):
    def test_a_message_is_acknowledged(self) -> None:
        client = self.client()
        self.peer.welcome()
        sent = client.send(8, "hi")
        (line,) = self.peer.heard()
        self.assertEqual(
            (line["toid"], line["msg"], line["time"]), (8, "hi", "2030-03-17 17:46:40")
        )
        self.assertNoResult(sent)
        self.peer.say({"msgid": 11, "errno": 0, "ack": 5, "cid": line["cid"], "state": "stored"})
        result = Sent(cid=line["cid"], state="stored")
        self.assertEqual(self.successResultOf(sent), result)
        self.assertEqual(self.answers, [(line["cid"], result)])
        self.assertEqual(client.unacknowledged, [])

    def test_a_refusal_is_raised(self) -> None:
        client = self.client()
        self.peer.welcome()
        sent = client.send_group(3, "hi")
        (line,) = self.peer.heard()
        self.peer.say(
            {"msgid": 11, "errno": 103, "ack": 9, "cid": line["cid"], "errmsg": "not a member"}
        )
        refused = self.failureResultOf(sent, Refused).value
        assert isinstance(refused, Refused)
        self.assertEqual((refused.code, refused.text), (Code.FORBIDDEN, "not a member"))

    def test_what_is_sent_in_one_turn_is_one_write(self) -> None:
        client = self.client()
        self.peer.welcome()
        writes: list[bytes] = []
        self.peer.transport.write = writes.append  # type: ignore[method-assign]
        for number in range(20):
            client.send(8, str(number)).addErrback(lambda _: None)
        self.peer.reactor.advance(0)
        self.assertEqual(len(writes), 1)
        self.assertEqual(writes[0].count(b"\n"), 20)

    def test_what_was_not_acknowledged_goes_out_again(self) -> None:
        client = self.client()
        first = client.send(8, "1")
        second = client.send(8, "2")
        lines = self.peer.welcome()
        self.assertEqual([line["msg"] for line in lines], ["1", "2"])
        self.peer.hang_up()
        third = client.send(8, "3")
        self.peer.reactor.advance(1)
        again = self.peer.welcome()
        self.assertEqual([line["msg"] for line in again], ["1", "2", "3"])
        self.assertEqual(again[:2], lines)
        for line in again:
            self.peer.say(
                {"msgid": 11, "errno": 0, "ack": 5, "cid": line["cid"], "state": "stored"}
            )
        for sent in (first, second, third):
            self.assertEqual(self.successResultOf(sent).state, "stored")

    def test_the_same_cid_is_sent_once_and_answered_twice(self) -> None:
        client = self.client()
        self.peer.welcome()
        both = [client.send(8, "hi", cid="c"), client.send(8, "hi", cid="c")]
        self.assertEqual(len(self.peer.heard()), 1)
        self.failureResultOf(client.send(8, "other", cid="c"), Refused)
        self.peer.say({"msgid": 11, "errno": 0, "ack": 5, "cid": "c", "state": "delivered"})
        for sent in both:
            self.successResultOf(sent)

    def test_cancelling_only_ends_the_waiting(self) -> None:
        client = self.client()
        self.peer.welcome()
        sent = client.send(8, "hi", cid="c")
        sent.cancel()
        self.failureResultOf(sent)
        self.assertEqual(len(self.peer.heard()), 1)
        self.peer.say({"msgid": 11, "errno": 0, "ack": 5, "cid": "c", "state": "delivered"})
        self.assertEqual(len(self.answers), 1)

    def test_a_reply_is_named_after_its_message(self) -> None:
        client = self.client()
        message = DirectMessage(id=8, name="ann", msg="hi", time="now", cid="c", toid=7)
        other = DirectMessage(id=9, name="eve", msg="hi", time="now", cid="c", toid=7)
        client.reply(message, "yes").addErrback(lambda _: None)
        client.reply(message, "yes").addErrback(lambda _: None)
        client.reply(other, "yes").addErrback(lambda _: None)
        self.assertEqual([one.target for one in client.unacknowledged], [8, 9])


class ReceiveTests(ClientCase):
    def test_one_acknowledgement_for_one_read(self) -> None:
        self.client()
        self.peer.welcome()
        self.peer.say(pushed(1, "a", "1"), pushed(2, "b", "2"), pushed(3, "c", "3"))
        self.assertEqual(self.shown, ["1", "2", "3"])
        self.assertEqual(self.peer.heard(), [{"msgid": 12, "seq": 3}])

    def test_what_is_torn_is_put_together(self) -> None:
        self.client()
        self.peer.accept()
        for byte in b'{"msgid":2,"errno":0,"id":7,"name":"b\xc3\xb6b","proto":2}\r\n':
            self.peer.transport.protocol.dataReceived(bytes([byte]))
        self.assertEqual(self.states()[-1], State.ONLINE)

    def test_nothing_comes_twice(self) -> None:
        self.client()
        self.peer.welcome()
        self.peer.say(pushed(1, "a", "1"))
        self.peer.hang_up()
        self.peer.reactor.advance(1)
        self.peer.welcome()
        self.peer.say(pushed(1, "a", "1"), pushed(2, "b", "2"))
        self.assertEqual(self.shown, ["1", "2"])
        self.assertEqual(self.peer.heard(), [{"msgid": 12, "seq": 2}])

    def test_an_asynchronous_callback_is_waited_for(self) -> None:
        works: dict[str, Deferred[None]] = {}

        async def show(message: AnyMessage) -> None:
            works[message.msg] = Deferred()
            await works[message.msg]

        self.client(on_message=show)
        self.peer.welcome()
        self.peer.say(pushed(1, "a", "1"), pushed(2, "b", "2"))
        self.assertEqual(list(works), ["1", "2"])
        works["2"].callback(None)
        self.assertEqual(self.peer.heard(), [])
        works["1"].callback(None)
        self.assertEqual(self.peer.heard(), [{"msgid": 12, "seq": 2}])

    def test_a_callback_that_raises_is_logged_and_holds_up_nothing(self) -> None:
        def show(message: AnyMessage) -> None:
            raise ZeroDivisionError

        async def show_later(message: AnyMessage) -> None:
            raise ZeroDivisionError

        for callback in (show, show_later):
            self.peer = Peer()
            self.client(on_message=callback)
            self.peer.welcome()
            self.peer.say(pushed(1, "a"))
            self.assertEqual(self.peer.heard(), [{"msgid": 12, "seq": 1}])
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_the_iterator_acknowledges_when_it_goes_on(self) -> None:
        client = self.client(on_message=None)
        self.peer.welcome()
        self.peer.say(pushed(1, "a", "1"), pushed(2, "b", "2"))
        stop: Deferred[None] = Deferred()

        async def loop() -> None:
            async for message in client.messages():
                self.shown.append(message.msg)
                if message.msg == "2":
                    await stop

        done = Deferred.fromCoroutine(loop())
        self.assertEqual(self.shown, ["1", "2"])
        self.assertEqual(self.peer.heard(), [{"msgid": 12, "seq": 1}])
        stop.callback(None)
        self.assertEqual(self.peer.heard(), [{"msgid": 12, "seq": 2}])
        self.assertNoResult(done)
        client.stopService()
        self.successResultOf(done)

    def test_the_iterator_raises_what_stopped_the_client(self) -> None:
        client = self.client(on_message=None)
        self.peer.welcome()
        following = Deferred.fromCoroutine(client.messages().__anext__())
        self.peer.say({"msgid": 11, "errno": 103, "ack": 0, "errmsg": "taken over"})
        self.failureResultOf(following, TakenOver)
        self.failureResultOf(Deferred.fromCoroutine(client.messages().__anext__()), TakenOver)

    def test_without_anybody_to_show_it_to_nothing_is_acknowledged(self) -> None:
        self.client(on_message=None)
        self.peer.welcome()
        self.peer.say(pushed(1, "a"))
        self.assertEqual(self.peer.heard(), [])


class RequestTests(ClientCase):
    def test_without_a_connection_there_is_no_answer(self) -> None:
        self.failureResultOf(self.client().friends(), NotOnline)

    def test_pages_are_put_together(self) -> None:
        client = self.client()
        self.peer.welcome()
        friends = client.friends()
        (first,) = self.peer.heard()
        self.assertEqual((first["msgid"], first["after"], first["limit"]), (22, 0, 500))
        page = {"msgid": 11, "errno": 0, "ack": 22}
        ann, eve = ({"id": i, "name": n, "state": "offline"} for i, n in ((8, "ann"), (9, "eve")))
        self.peer.say({**page, "cid": first["cid"], "friends": [ann], "more": True})
        (second,) = self.peer.heard()
        self.assertEqual(second["after"], 8)
        self.peer.say({**page, "cid": second["cid"], "friends": [eve], "more": False})
        self.assertEqual([it.name for it in self.successResultOf(friends)], ["ann", "eve"])

    def test_nobody_of_that_name_is_none(self) -> None:
        client = self.client()
        self.peer.welcome()
        found = client.find_user("nobody")
        (line,) = self.peer.heard()
        self.assertEqual((line["msgid"], line["name"]), (27, "nobody"))
        self.peer.say({"msgid": 11, "errno": 104, "ack": 27, "cid": line["cid"], "errmsg": "no"})
        self.assertIsNone(self.successResultOf(found))
        found = client.user(9)
        (line,) = self.peer.heard()
        self.peer.say({"msgid": 11, "errno": 107, "ack": 27, "cid": line["cid"], "errmsg": "no"})
        self.failureResultOf(found, Refused)

    def test_presence_is_watched_on_every_connection(self) -> None:
        client = self.client()
        client.watch_presence()
        (watch,) = self.peer.welcome()
        self.assertEqual((watch["msgid"], watch["watch"]), (28, True))
        self.peer.hang_up()
        self.peer.reactor.advance(1)
        self.assertEqual([line["msgid"] for line in self.peer.welcome()], [28])
        self.peer.say({"msgid": 28, "id": 8, "name": "ann", "state": "online"})
        self.assertEqual(self.hints, [PresenceChanged(8, "ann", "online")])

    def test_hints_fail_in_silence(self) -> None:
        client = self.client()
        client.typing(8)
        client.read("cid", groupid=3)
        self.peer.welcome()
        client.typing(groupid=3, typing=False)
        client.read("cid", 8)
        typing, read = self.peer.heard()
        self.assertEqual((typing["groupid"], typing["typing"]), (3, False))
        self.assertNotIn("toid", typing)
        self.assertEqual((read["toid"], read["upto"]), (8, "cid"))

    def test_a_new_password_is_used_from_then_on(self) -> None:
        client = self.client()
        self.peer.welcome()
        changed = client.change_password("secret", "better")
        (line,) = self.peer.heard()
        self.peer.say({"msgid": 11, "errno": 0, "ack": 34, "cid": line["cid"], "token": "t2"})
        self.assertEqual(self.successResultOf(changed), "t2")
        self.peer.hang_up()
        self.peer.reactor.advance(1)
        self.assertEqual(self.peer.accept()[0]["token"], "t2")
        self.peer.say({"msgid": 2, "errno": 1, "errmsg": "no"})
        self.assertEqual(self.peer.heard()[0]["password"], "better")

    def test_logging_out_stops_it(self) -> None:
        client = self.client()
        self.peer.welcome()
        done = client.logout()
        (line,) = self.peer.heard()
        self.assertEqual(line["msgid"], 10)
        self.assertNoResult(done)
        self.peer.say({"msgid": 11, "errno": 0, "ack": 10, "cid": line["cid"]})
        self.successResultOf(done)
        self.assertTrue(self.peer.closed)


class LedgerTests(ClientCase):
    def test_unsent_messages_and_what_was_seen_outlive_the_client(self) -> None:
        path = self.mktemp()
        client = self.client(ledger=path)
        self.peer.welcome()
        client.send(8, "1").addErrback(lambda _: None)
        client.send_group(3, "2").addErrback(lambda _: None)
        lines = self.peer.heard()
        self.peer.say(pushed(1, "a", "seen"))
        self.stop(client)

        self.client(ledger=path)
        again = self.peer.welcome()
        self.assertEqual(again, lines)
        self.peer.say(pushed(1, "a", "seen"))
        self.assertEqual(self.shown, ["seen"])
        self.assertEqual(self.peer.heard(), [{"msgid": 12, "seq": 1}])
        for line in again:
            self.peer.say(
                {
                    "msgid": 11,
                    "errno": 0,
                    "ack": line["msgid"],
                    "cid": line["cid"],
                    "state": "stored",
                }
            )
        self.assertEqual([cid for cid, _ in self.answers], [line["cid"] for line in lines])

    def test_it_is_on_the_file_before_the_server_hears_of_it(self) -> None:
        path = self.mktemp()
        client = self.client(ledger=path)
        self.peer.welcome()
        facts: list[tuple[list[Unsent], list[tuple[int, str]]]] = []
        ledger = client._ledger
        assert ledger is not None
        write = self.peer.transport.write

        def watched(data: bytes) -> None:
            facts.append((ledger.unsent(), ledger.seen()))
            write(data)

        self.peer.transport.write = watched  # type: ignore[method-assign]
        client.send(8, "1", cid="c").addErrback(lambda _: None)
        self.peer.heard()
        self.peer.say(pushed(1, "a"))
        self.peer.heard()
        (unsent, _), (_, seen) = facts
        self.assertEqual([one.cid for one in unsent], ["c"])
        self.assertEqual(seen, [(8, "a")])

    def test_a_remembered_token_stands_for_the_password(self) -> None:
        path = self.mktemp()
        client = self.client(ledger=path, remember=True)
        self.peer.welcome()
        self.stop(client)
        self.client(ledger=path)
        self.assertEqual(self.peer.accept()[0]["token"], "t")

    def test_a_token_is_kept_only_when_asked_for(self) -> None:
        path = self.mktemp()
        client = self.client(ledger=path)
        self.peer.welcome()
        self.stop(client)
        ledger = Ledger(path, 7)
        self.addCleanup(ledger.close)
        self.assertIsNone(ledger.token())

    def test_two_clients_do_not_share_it(self) -> None:
        path = self.mktemp()
        self.client(ledger=path)
        with self.assertRaises(LedgerInUse):
            Client(self.peer.endpoint, 7, ledger=path, clock=self.peer.reactor)

    def test_a_ledger_that_cannot_be_written_refuses_what_is_to_be_sent(self) -> None:
        client = self.client(ledger=self.mktemp())
        assert client._ledger is not None
        client._ledger.close()
        failure = self.failureResultOf(client.send(8, "hi"))
        self.assertIn("closed", str(failure.value))
        self.assertEqual(client.unacknowledged, [])
