"""Tokens, another password, and the end of an account, as conversations."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from chat.errors import INVALID_LOGIN
from chat.tokens import LIFETIME_SECONDS, digest_of

from .cables import Client
from .support import PASSWORD, TIME, Conversation, InMemory, OverTcp, login, say, told

WRONG = {"msgid": 2, "errno": 1, "errmsg": INVALID_LOGIN}
OTHER = "another horse"


def by_token(user_id: int, token: Any, **fields: Any) -> dict[str, Any]:
    """A LOGIN_MSG without a password."""
    return {"msgid": 1, "id": user_id, "proto": 2, "token": token, **fields}


class Tokens(Conversation):
    async def gone(self, client: Client) -> None:
        """The client goes, and the server has seen it."""
        client.send({"msgid": 10, "cid": "bye"})
        while (await client.get()).get("cid") != "bye":
            pass
        client.cable.close()

    async def tokens(self, client: Client) -> list[dict[str, Any]]:
        """What TOKENS says."""
        answer = await client.ask({"msgid": 35, "cid": "t"})
        tokens: list[dict[str, Any]] = answer.pop("tokens")
        self.assertEqual(answer, {"msgid": 11, "errno": 0, "ack": 35, "cid": "t"})
        return tokens

    async def test_a_login_gives_one_and_it_logs_in(self) -> None:
        ann = await self.enter("ann", 2)
        token = ann.ack["token"]
        self.assertTrue(re.fullmatch(r"[A-Za-z0-9_-]{43}", token), token)
        await self.gone(ann)
        for _ in range(3):
            client = await self.connect()
            ack = await client.ask(by_token(ann.id, token))
            self.assertEqual((ack["msgid"], ack["errno"], ack["name"]), (2, 0, "ann"))
            self.assertEqual((ack["proto"], ack["token"]), (2, token))
            self.assertEqual(len(await self.tokens(client)), 1)
            await self.gone(client)

    async def test_each_login_by_password_gives_another(self) -> None:
        ann = await self.enter("ann", 2)
        await self.gone(ann)
        again = await self.login(ann.id, 2)
        self.assertNotEqual(again.ack["token"], ann.ack["token"])
        self.assertEqual(len(await self.tokens(again)), 2)

    async def test_level_1_knows_none(self) -> None:
        ann = await self.enter("ann", 2)
        token = ann.ack["token"]
        await self.gone(ann)
        client = await self.connect()
        answer = await client.ask({"msgid": 1, "id": ann.id, "token": token})
        self.assertEqual((answer["msgid"], answer["errno"]), (2, 100))
        await self.log_in(client, ann.id, token="nonsense")
        self.assertNotIn("token", client.ack)
        for msgid in (34, 35, 36, 37):
            self.assertIn((await client.ask({"msgid": msgid}))["errno"], (100, 101))

    async def test_what_is_no_token_of_the_users(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        token = ann.ack["token"]
        await self.gone(ann)
        client = await self.connect()
        for wrong in ("", token[:-1], token + "x", bob.ack["token"], token.swapcase(), "x" * 5000):
            self.assertEqual(await client.ask(by_token(ann.id, wrong)), WRONG)
        self.assertEqual(await client.ask(by_token(2**40, token)), WRONG)
        for wrong in (None, 1, True, ["x"], {}):
            answer = await client.ask(by_token(ann.id, wrong))
            self.assertEqual((answer["msgid"], answer["errno"]), (2, 100), wrong)
        self.assertEqual((await client.ask(by_token(ann.id, token)))["errno"], 0)

    async def test_a_token_that_does_not_fit_leaves_it_to_the_password(self) -> None:
        ann = await self.enter("ann", 2)
        token = ann.ack["token"]
        await self.gone(ann)
        client = await self.connect()
        answer = await client.ask(by_token(ann.id, "nonsense", password="wrong"))
        self.assertEqual(answer, WRONG)
        answer = await client.ask(by_token(ann.id, "nonsense", password=PASSWORD))
        self.assertEqual(answer["errno"], 0)
        self.assertNotIn(answer["token"], ("nonsense", token))

    async def test_listed(self) -> None:
        ann = await self.enter("ann", 2)
        await self.gone(ann)
        client = await self.connect()
        await client.ask(by_token(ann.id, ann.ack["token"]))
        (first,) = await self.tokens(client)
        self.assertEqual(set(first), {"id", "created", "used", "expires", "address", "current"})
        for field in ("created", "used", "expires"):
            self.assertRegex(first[field], TIME)
        self.assertEqual((first["address"], first["current"]), ("127.0.0.1", True))
        await self.gone(client)
        again = await self.login(ann.id, 2)
        newest, oldest = await self.tokens(again)
        self.assertEqual((newest["current"], oldest["current"]), (True, False))
        self.assertEqual(oldest["id"], first["id"])

    async def test_revoked(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        (token,) = await self.tokens(ann)
        self.assert_refused(await bob.ask({"msgid": 36, "token": token["id"]}), 103, 36)
        self.assertEqual(len(await self.tokens(ann)), 1)
        done = {"msgid": 11, "errno": 0, "ack": 36}
        self.assertEqual(await ann.ask({"msgid": 36, "token": token["id"]}), done)
        self.assert_refused(await ann.ask({"msgid": 36, "token": token["id"]}), 103, 36)
        self.assertEqual(await self.tokens(ann), [])
        # Who is here by it stays.
        await self.assert_chatting(ann, bob)
        await self.gone(ann)
        client = await self.connect()
        self.assertEqual(await client.ask(by_token(ann.id, ann.ack["token"])), WRONG)

    async def test_twenty_are_kept(self) -> None:
        ann = last = await self.enter("ann", 2)
        for _ in range(20):
            await self.gone(ann)
            last, ann = ann, await self.login(ann.id, 2)
        self.assertEqual(len(await self.tokens(ann)), 20)
        await self.gone(ann)
        client = await self.connect()
        answer = await client.ask(by_token(ann.id, last.ack["token"]))
        self.assertEqual(answer["errno"], 0)

    async def test_a_login_that_is_refused_leaves_none(self) -> None:
        ann = await self.enter("ann", 1)
        client = await self.connect()
        for _ in range(3):
            self.assert_in_use(await client.ask({**login(ann.id), "proto": 2}))
        ann.cable.close()
        await ann.end()
        self.assertEqual(len(await self.tokens(await self.login(ann.id, 2))), 1)

    async def test_another_password(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        for wrong in ("", "wrong", OTHER):
            ask = {"msgid": 34, "password": wrong, "newpassword": OTHER}
            self.assert_refused(await ann.ask(ask), 1, 34)
        for bad in ("", "x" * 1025):
            ask = {"msgid": 34, "password": PASSWORD, "newpassword": bad}
            self.assert_refused(await ann.ask(ask), 100, 34)
        self.assertEqual(len(await self.tokens(ann)), 1)
        answer = await ann.ask({"msgid": 34, "password": PASSWORD, "newpassword": OTHER})
        token = answer.get("token")
        self.assertEqual(answer, {"msgid": 11, "errno": 0, "ack": 34, "token": token})
        (only,) = await self.tokens(ann)
        self.assertTrue(only["current"])
        await self.assert_chatting(ann, bob)
        await self.gone(ann)
        client = await self.connect()
        self.assertEqual(await client.ask(by_token(ann.id, ann.ack["token"])), WRONG)
        self.assertEqual(await client.ask({"msgid": 1, "id": ann.id, "password": PASSWORD}), WRONG)
        self.assertEqual((await client.ask(by_token(ann.id, token)))["errno"], 0)
        await self.gone(client)
        client = await self.connect()
        ack = await client.ask({"msgid": 1, "id": ann.id, "password": OTHER})
        self.assertEqual(ack["errno"], 0)
        self.assertEqual(len(await self.tokens(bob)), 1)


class Deleting(Conversation):
    async def test_what_is_deleted_is_named(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        await ann.ask({"msgid": 6, "friendid": bob.id})
        group = (await ann.ask({"msgid": 7, "groupname": "tea"}))["groupid"]
        await ann.ask({"msgid": 18, "userid": bob.id, "block": True})
        self.assert_refused(await ann.ask({"msgid": 37, "password": "wrong"}), 1, 37)
        answer = await ann.ask({"msgid": 37, "password": PASSWORD, "cid": "end"})
        deleted = {
            "groups": 1, "friends": 1, "requests": 0, "blocks": 1, "messages": 0, "tokens": 1,
        }  # fmt: skip
        self.assertEqual(
            answer, {"msgid": 11, "errno": 0, "ack": 37, "cid": "end", "deleted": deleted}
        )
        # The connection is logged out, and somebody else may use it.
        self.assert_refused(await ann.ask({"msgid": 35}), 102, 35)
        self.assertEqual(await ann.ask(login(ann.id, 2)), WRONG)
        self.assertEqual(await ann.ask(by_token(ann.id, ann.ack["token"])), WRONG)
        self.assert_refused(await bob.ask({"msgid": 8, "groupid": group}), 105, 8)
        await self.log_in(ann, await self.register("ann"))

    async def test_messages_have_no_recipient_any_more(self) -> None:
        for level in (1, 2):
            ann, bob = await self.enter(f"ann {level}", 2), await self.enter(f"bob {level}", level)
            ann_id = ann.id
            await self.assert_chatting(ann, bob)
            bob.send(say(ann.id, "not acknowledged", cid="a"))
            self.assertEqual((await ann.get())["cid"], "a")
            await ann.ask({"msgid": 37, "password": PASSWORD})
            said = [await bob.get()] if level == 2 else []
            for answer in said:
                # Or it was stored before, which the account's end has taken along.
                if answer["errno"]:
                    self.assert_refused(answer, 104, 5, "a")
                else:
                    self.assertEqual(answer, told("a", "stored"))
            bob.send(say(ann_id, "hello?", cid="b"))
            answer = await bob.get()
            while answer.get("cid") != "b":
                answer = await bob.get()
            self.assert_refused(answer, 104, 5, "b")

    async def test_friends_see_it_and_groups_go_on(self) -> None:
        ann, bob, carl = [await self.enter(name, 2) for name in ("ann", "bob", "carl")]
        await bob.ask({"msgid": 6, "friendid": ann.id})
        await bob.ask({"msgid": 28})
        group = (await ann.ask({"msgid": 7, "groupname": "tea"}))["groupid"]
        for client in (bob, carl):
            await client.ask({"msgid": 8, "groupid": group})
        await self.quiet(ann, bob, carl)
        ann.send({"msgid": 37, "password": PASSWORD})
        while (await ann.get()).get("ack") != 37:
            pass
        gone = {"msgid": 28, "id": ann.id, "name": "ann", "state": "offline"}
        self.assertEqual(await bob.get(), gone)
        left = {"msgid": 33, "groupid": group, "id": ann.id, "name": "ann", "event": "left"}
        heir = {"msgid": 33, "groupid": group, "id": bob.id, "name": "bob", "event": "creator"}
        for client in (bob, carl):
            self.assertEqual(await client.get_all(2), [left, heir])
        self.assertEqual((await bob.ask({"msgid": 22}))["friends"], [])
        bob.send({"msgid": 9, "groupid": group, "msg": "and now?", "cid": "g"})
        pushed = await carl.get()
        self.assertEqual((pushed["msg"], pushed["id"]), ("and now?", bob.id))
        carl.send({"msgid": 12, "seq": pushed["seq"]})
        answer = await bob.get()
        self.assertEqual((answer["state"], answer["members"]), ("delivered", 1))
        members = (await bob.ask({"msgid": 26, "groupid": group}))["members"]
        self.assertEqual([(it["id"], it["role"]) for it in members],
                         [(bob.id, "creator"), (carl.id, "normal")])  # fmt: skip

    async def test_every_group_is_told_that_has_somebody_here(self) -> None:
        ann, bob, carl = [await self.enter(name, 2) for name in ("ann", "bob", "carl")]
        tea = (await bob.ask({"msgid": 7, "groupname": "tea"}))["groupid"]
        rye = (await carl.ask({"msgid": 7, "groupname": "rye"}))["groupid"]
        alone = (await ann.ask({"msgid": 7, "groupname": "alone"}))["groupid"]
        for group in (tea, rye):
            await ann.ask({"msgid": 8, "groupid": group})
        # Nobody has spoken in one of them since the server began.
        self.server.rooms.forget(rye)
        await self.quiet(ann, bob, carl)
        answer = await ann.ask({"msgid": 37, "password": PASSWORD})
        self.assertEqual(answer["deleted"]["groups"], 3)
        left = {"msgid": 33, "id": ann.id, "name": "ann", "event": "left"}
        self.assertEqual(await bob.get(), {**left, "groupid": tea})
        self.assertEqual(await carl.get(), {**left, "groupid": rye})
        self.assert_refused(await bob.ask({"msgid": 8, "groupid": alone}), 105, 8)
        await self.assert_chatting(bob, carl)

    async def quiet(self, *clients: Client) -> None:
        """Whatever is under way has come, and is of no interest."""
        for _ in range(3):
            for client in clients:
                client.send({"msgid": 13, "cid": "quiet"})
                while (await client.get()).get("cid") != "quiet":
                    pass


class MemoryTokensTests(Tokens, InMemory):
    async def test_no_hashing_and_one_look_into_the_store(self) -> None:
        ann = await self.enter("ann", 2)
        token = ann.ack["token"]
        await self.gone(ann)
        hashed = self.passwords.computed
        self.faults.calls.clear()
        client = await self.connect()
        ack = await client.ask(by_token(ann.id, token))
        self.assertEqual(ack["errno"], 0)
        self.assertEqual(self.passwords.computed, hashed)
        # The account with its token, and the roster; a mailbox that is open needs no count.
        self.assertEqual(self.faults.calls, {"account": 1, "read": 1})

    async def test_an_end_after_14_days_without_use(self) -> None:
        ann = await self.enter("ann", 2)
        now = time.time()
        for secret, expires in (("old", now - 1), ("young", now + 60)):
            await self.store.tokens.issue(
                ann.id, digest_of(secret), now - 10 * 86_400, expires, "192.0.2.1"
            )
        await self.gone(ann)
        client = await self.connect()
        self.assertEqual(await client.ask(by_token(ann.id, "old")), WRONG)
        self.assertEqual((await client.ask(by_token(ann.id, "young")))["errno"], 0)
        self.go(0.01)
        tokens = await self.store.tokens.list(ann.id)
        (renewed,) = [it for it in tokens if it.address == "192.0.2.1" and it.expires > now]
        self.assertGreater(renewed.expires, now + LIFETIME_SECONDS - 60)
        self.assertGreater(renewed.used, now - 60)

    async def test_renewed_once_a_day_at_most(self) -> None:
        ann = await self.enter("ann", 2)
        await self.gone(ann)
        (before,) = await self.store.tokens.list(ann.id)
        self.assertAlmostEqual(before.expires - before.created, LIFETIME_SECONDS, delta=1)
        self.faults.calls.clear()
        for _ in range(3):
            client = await self.connect()
            await client.ask(by_token(ann.id, ann.ack["token"]))
            await self.gone(client)
        self.go(0.01)
        self.assertEqual(await self.store.tokens.list(ann.id), [before])
        self.assertEqual(self.faults.calls["renew"], 0)

    async def test_a_renewal_that_fails_is_no_matter(self) -> None:
        ann = await self.enter("ann", 2)
        now = time.time()
        await self.store.tokens.issue(
            ann.id, digest_of("x"), now - 2 * 86_400, now + 60, "192.0.2.1"
        )
        await self.gone(ann)
        self.faults.away("renew")
        client = await self.connect()
        self.assertEqual((await client.ask(by_token(ann.id, "x")))["errno"], 0)
        await client.nothing()

    async def test_a_password_that_is_changed_while_somebody_logs_in_with_the_old_one(self) -> None:
        ann = await self.enter("ann", 2)
        thief = await self.connect()
        self.faults.hang("rosters")
        # The password has been looked at, and fits.
        thief.send({**login(ann.id, 2), "takeover": True})
        self.time.settle()
        answer = await ann.ask({"msgid": 34, "password": PASSWORD, "newpassword": OTHER})
        self.assertEqual(answer["errno"], 0)
        self.faults.recover()
        self.assertEqual(await thief.get(), WRONG)
        tokens = await self.store.tokens.list(ann.id)
        self.assertEqual(len(tokens), 1)

    async def test_a_store_that_is_away(self) -> None:
        ann = await self.enter("ann", 2)
        await self.gone(ann)
        self.faults.away("tokens")
        client = await self.connect()
        for ask in (by_token(ann.id, ann.ack["token"]), login(ann.id, 2)):
            answer = await client.ask(ask)
            self.assertEqual((answer["msgid"], answer["errno"]), (2, 108))
            self.assertGreater(answer["retry_after"], 0)
        self.faults.recover()
        self.assertEqual((await client.ask(by_token(ann.id, ann.ack["token"])))["errno"], 0)

    async def test_a_storm_of_tokens_blocks_nobody(self) -> None:
        people = [await self.enter(f"p{number}", 2) for number in range(50)]
        for one in people:
            await self.gone(one)
        clients = [await self.connect() for _ in people]
        for client, one in zip(clients, people, strict=True):
            client.send(by_token(one.id, one.ack["token"]))
        self.time.settle()
        self.assertEqual({(await client.get())["errno"] for client in clients}, {0})


class GuessedTokensTests(InMemory):
    bounds: Mapping[str, Any] = {"failed_logins": 5}

    async def test_bounded_as_passwords_are(self) -> None:
        ann = await self.register("ann")
        client = await self.connect()
        errnos = [(await client.ask(by_token(ann, f"x{n}")))["errno"] for n in range(7)]
        self.assertEqual(errnos, [1] * 5 + [107] * 2)
        # Its owner's password is another matter.
        await self.log_in(client, ann, 2)

    async def test_the_own_password_too(self) -> None:
        ann = await self.enter("ann", 2)
        for ask in (
            {"msgid": 34, "password": "wrong", "newpassword": "x"},
            {"msgid": 37, "password": "wrong"},
        ):
            self.go(31)
            ann.lines.clear()
            errnos = [(await ann.ask(ask))["errno"] for _ in range(6)]
            self.assertEqual(errnos, [1] * 5 + [107])


class MemoryDeletingTests(Deleting, InMemory):
    async def test_the_store_is_away(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        self.faults.away("delete")
        self.assert_refused(await ann.ask({"msgid": 37, "password": PASSWORD}), 108, 37)
        await self.assert_chatting(ann, bob)
        self.faults.recover()
        self.assertEqual((await ann.ask({"msgid": 37, "password": PASSWORD}))["errno"], 0)
        self.assertNotIn(ann.id, self.server.delivery.mailboxes)
        self.assertNotIn(ann.id, self.server.delivery.senders)
        self.assertNotIn(ann.id, self.server.delivery.online)

    async def test_the_store_is_away_when_the_groups_are_to_be_told(self) -> None:
        ann, bob = await self.enter("ann", 2), await self.enter("bob", 2)
        tea = (await bob.ask({"msgid": 7, "groupname": "tea"}))["groupid"]
        await ann.ask({"msgid": 8, "groupid": tea})
        self.server.rooms.forget(tea)
        self.faults.away("member_ids")
        self.assertEqual((await ann.ask({"msgid": 37, "password": PASSWORD}))["errno"], 0)
        self.faults.recover()
        bob.send({"msgid": 9, "groupid": tea, "msg": "alone?", "cid": "1"})
        while (answer := await bob.get()).get("cid") != "1":
            pass
        self.assertEqual((answer["errno"], answer["members"]), (0, 0))


class TcpTokensTests(Tokens, OverTcp):
    pass


class TcpDeletingTests(Deleting, OverTcp):
    pass
