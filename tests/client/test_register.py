"""Making an account."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError as Refusal
from twisted.trial.unittest import TestCase

from chat.client import BadAnswer, Disconnected, Refused, register
from chat.errors import Code

from .peer import Peer


class RegisterTests(TestCase):
    def setUp(self) -> None:
        self.peer = Peer()

    def register(self, invite: str | None = None) -> Deferred[int]:
        return register(
            self.peer.endpoint, "bob", "secret", invite=invite, timeout=30, clock=self.peer.reactor
        )

    def finish(self) -> None:
        self.assertEqual(self.peer.reactor.getDelayedCalls(), [])
        self.assertTrue(self.peer.closed)

    def test_it_gives_the_id(self) -> None:
        registered = self.register()
        self.assertEqual(self.peer.accept(), [{"msgid": 3, "name": "bob", "password": "secret"}])
        self.peer.say({"msgid": 4, "errno": 0, "id": 2**63 - 1})
        self.assertEqual(self.successResultOf(registered), 2**63 - 1)
        self.finish()

    def test_an_invitation_goes_with_it(self) -> None:
        self.register("code").addErrback(lambda _: None)
        self.assertEqual(self.peer.accept()[0]["invite"], "code")
        self.peer.hang_up()

    def test_a_refusal_is_typed(self) -> None:
        registered = self.register()
        self.peer.accept()
        self.peer.say({"msgid": 4, "errno": 1, "errmsg": "the name is taken"})
        refused = self.failureResultOf(registered, Refused).value
        assert isinstance(refused, Refused)
        self.assertEqual((refused.code, refused.text), (Code.REFUSED, "the name is taken"))
        self.finish()

    def test_no_server_no_chat_server_no_answer(self) -> None:
        registered = self.register()
        self.peer.refuse()
        self.failureResultOf(registered, Refusal)

        registered = self.register()
        self.peer.accept()
        self.peer.transport.protocol.dataReceived(b"220 mail.example ESMTP\r\n")
        self.failureResultOf(registered, BadAnswer)
        self.finish()

        registered = self.register()
        self.peer.accept()
        self.peer.hang_up()
        self.failureResultOf(registered, Disconnected)
        self.finish()

        registered = self.register()
        self.peer.accept()
        self.peer.reactor.advance(30)
        self.failureResultOf(registered, Disconnected)
        self.finish()
