"""Several nodes: what goes wrong between them, and what each may do then."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred

from chat.bus.local import LocalBus
from chat.cluster import Message
from chat.envelopes import ALL_NODES, Deleted, Seen, node_subject, pack, unpack, user_subject
from chat.leases import LEASE_SECONDS, RENEW_SECONDS
from chat.model import Kept
from chat.nodes import CHECK_SECONDS
from chat.routes import IDLE_SECONDS

from .across import AcrossNodes
from .cables import Client
from .support import login, received, say, told


class NodesCase(AcrossNodes):
    """Ann is on the first node, Bob on the second, both at level 2."""

    async def people(self) -> tuple[Client, Client]:
        """Who talks."""
        return await self.enter("ann", 2), await self.enter("bob", 2)

    async def login_at(self, node: int, user_id: int, level: int = 2, **fields: Any) -> Client:
        """Log in on this node."""
        client = await self.connect(node=node)
        await self.log_in(client, user_id, level, **fields)
        return client

    def listen(self, subject: str) -> list[Message]:
        """What comes to a subject from now on."""
        bus: LocalBus = self.hub.end()
        bus.open()
        heard: list[Message] = []
        bus.subscribe(subject, heard.append)
        self.go(0.05)
        return heard

    def publish(self, subject: str, data: bytes) -> None:
        """Say something that no node says."""
        bus: LocalBus = self.hub.end()
        bus.open()
        bus.publish(subject, data)
        self.go(0.05)


class RoutesTests(NodesCase):
    """How messages go."""

    async def test_no_query_while_both_are_online(self) -> None:
        ann, bob = await self.people()
        await self.assert_chatting(ann, bob)
        self.faults.calls.clear()
        for number in range(20):
            ann.send(say(bob.id, "hi", cid=f"c{number}"))
            bob.send(received((await bob.get())["seq"]))
            self.assertEqual((await ann.get())["state"], "delivered")
        asked = self.faults.calls.keys() - {"renew", "reap", "record", "expire", "set_states"}
        self.assertEqual(asked, set())

    async def test_what_one_turn_brings_is_one_message(self) -> None:
        ann, bob = await self.people()
        await self.assert_chatting(ann, bob)
        heard = self.listen(node_subject(2, "in"))
        lines = (json.dumps(say(bob.id, "hi", cid=f"c{number}")) + "\n" for number in range(50))
        ann.send_raw("".join(lines).encode())
        await bob.get_all(50)
        self.assertEqual(len(heard), 1)
        entries = unpack(heard[0].data).entries
        self.assertEqual(sum(len(entry.lines) for entry in entries), 50)

    async def test_a_group_is_one_message_to_each_node(self) -> None:
        self.add_node("node2")
        people = [await self.enter(f"user{number}", 2) for number in range(9)]
        group = (await people[0].ask({"msgid": 7, "groupname": "tea", "groupdesc": ""}))["groupid"]
        for one in people[1:]:
            await one.ask({"msgid": 8, "groupid": group})
        self.go(0.1)
        await self._say_in_group(people, group, "first")
        heard = self.listen("chat.node.>")
        await self._say_in_group(people, group, "second")
        batches = [it for it in heard if it.subject.endswith(".in")]
        self.assertEqual(len(batches), 2)
        for batch in batches:
            (entry,) = unpack(batch.data).entries
            self.assertEqual((len(entry.lines), len(entry.to)), (1, 3))

    async def test_a_group_gets_what_has_a_cid_and_what_has_none(self) -> None:
        ann, bob = await self.enter("ann", 1), await self.enter("bob", 2)
        group = (await bob.ask({"msgid": 7, "groupname": "tea", "groupdesc": ""}))["groupid"]
        ann.send({"msgid": 8, "groupid": group})
        self.assertEqual((await bob.get())["msgid"], 33)
        texts = ["no", "named", "one", "more"]
        lines: list[dict[str, Any]] = [{"msgid": 9, "groupid": group, "msg": it} for it in texts]
        lines[1]["cid"] = "own"
        ann.send_raw(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        pushed = [await bob.get() for _ in texts]
        self.assertEqual([one["msg"] for one in pushed], texts)
        cids = [one["cid"] for one in pushed]
        self.assertEqual((cids[1], len(set(cids))), ("own", 4))

    async def _say_in_group(self, people: list[Client], group: int, text: str) -> None:
        people[0].send({"msgid": 9, "groupid": group, "msg": text, "cid": text})
        for one in people[1:]:
            while (pushed := await one.get())["msgid"] != 9:
                pass
            one.send(received(pushed["seq"]))
        while (answer := await people[0].get())["msgid"] != 11:
            pass
        self.assertEqual((answer["state"], answer["members"]), ("delivered", 8))

    async def test_who_is_online_elsewhere_costs_nothing(self) -> None:
        ann, bob = await self.people()
        for server, user_id in zip(self.servers, (bob.id, ann.id), strict=True):
            self.assertNotIn(user_id, server.delivery.mailboxes)
            self.assertNotIn(user_id, server.delivery.senders)
        await self.assert_chatting(ann, bob)
        self.assertIn(bob.id, self.servers[0].delivery.mailboxes)
        self.go(IDLE_SECONDS + 1)
        self.assertNotIn(bob.id, self.servers[0].delivery.mailboxes)

    async def test_a_fact_that_does_not_come(self) -> None:
        """The other node does not answer: the sender is told when the store has it."""
        ann, bob = await self.people()
        await self.assert_chatting(ann, bob)
        self.buses[1].cut(noticed=False)
        ann.send(say(bob.id, "1", cid="a"), say(bob.id, "2", cid="b"))
        self.assertEqual(await ann.get(), told("a", "stored"))
        self.assertEqual(await ann.get(), told("b", "stored"))
        self.buses[1].heal()
        ann.send(say(bob.id, "3", cid="c"))
        self.assertEqual([(await bob.get())["msg"] for _ in range(3)], ["1", "2", "3"])

    async def test_a_word_that_is_lost(self) -> None:
        """Stored while nobody could be told: it is found without a login."""
        ann, bob = await self.people()
        self.buses[0].cut()
        ann.send(say(bob.id, "hi", cid="a"))
        self.assertEqual(await ann.get(), told("a", "stored"))
        self.assertEqual(list(bob.lines), [])
        self.go(CHECK_SECONDS)
        self.assertEqual((await bob.get())["msg"], "hi")

    async def test_after_the_bus_was_away_it_goes_straight_again(self) -> None:
        ann, bob = await self.people()
        self.buses[0].cut()
        ann.send(say(bob.id, "1", cid="a"))
        self.assertEqual(await ann.get(), told("a", "stored"))
        self.buses[0].heal()
        ann.send(say(bob.id, "2", cid="b"))
        for seq in (1, 2):
            self.assertEqual((await bob.get())["seq"], seq)
        bob.send(received(2))
        await ann.get()
        self.go(1)
        self.faults.calls.clear()
        ann.send(say(bob.id, "3", cid="c"))
        self.assertEqual((await bob.get())["msg"], "3")
        bob.send(received(3))
        self.assertEqual(await ann.get(), told("c", "delivered"))
        self.assertEqual(self.faults.calls["keep"], 0)

    async def test_who_comes_from_another_node_is_not_overtaken(self) -> None:
        """Ann writes on one node, where it is stored, and goes on from another."""
        ann, bob = await self.people()
        self.buses[0].cut()
        ann.send(say(bob.id, "1", cid="a"))
        self.assertEqual(await ann.get(), told("a", "stored"))
        ann.send({"msgid": 10})
        await ann.get()
        self.go(0.3)
        self.buses[0].heal()
        # On Bob's own node, which nobody has told of what is stored.
        ann = await self.login_at(1, ann.id)
        ann.send(say(bob.id, "2", cid="b"))
        self.assertEqual([(await bob.get())["msg"] for _ in range(2)], ["1", "2"])

    async def test_nor_are_messages_to_a_group(self) -> None:
        """Whether the member is on the node to which their sender has moved, or on a third one."""
        self.add_node("node2")
        for number, (level, node) in enumerate(((2, 2), (1, 1), (2, 1))):
            ann = await self.login_at(0, await self.register(f"ann{number}"))
            bob = await self.login_at(1, await self.register(f"bob{number}"), level)
            made = await ann.ask({"msgid": 7, "groupname": f"tea{number}", "groupdesc": ""})
            tea = {"msgid": 9, "groupid": made["groupid"]}
            bob.send({"msgid": 8, "groupid": made["groupid"]})
            self.go(0.3)
            ann.lines.clear()
            bob.lines.clear()
            self.buses[0].cut()
            answer = await ann.ask({**tea, "msg": "1", "cid": "a"})
            self.assertEqual(answer["state"], "stored")
            await ann.ask({"msgid": 10})
            self.go(0.3)
            self.buses[0].heal()
            ann = await self.login_at(node, ann.id)
            ann.send({**tea, "msg": "2", "cid": "b"})
            self.assertEqual([(await bob.get())["msg"] for _ in range(2)], ["1", "2"])

    async def test_to_who_could_not_log_in_here(self) -> None:
        """The store was away for a moment, and the user is on another node now."""
        ann = await self.login_at(0, await self.register("ann"))
        bob_id = await self.register("bob")
        self.faults.away("census")
        bob = await self.connect(node=0)
        self.assertEqual((await bob.ask(login(bob_id, 2)))["errno"], 108)
        self.faults.recover()
        bob = await self.login_at(1, bob_id)
        await self.assert_chatting(ann, bob)
        self.assertEqual(self.faults.calls["keep"], 0)

    async def test_who_comes_back_gets_what_waits_in_its_order(self) -> None:
        """Also where some of it is stored, and some is on its way into the store."""
        ann = await self.login_at(1, await self.register("ann"))
        bob = await self.login_at(1, await self.register("bob"))
        ann.send(say(bob.id, "1", cid="a"))
        await self.assert_stored(ann, "a")
        ann.send(say(bob.id, "2", cid="b"))
        await bob.get_all(2)
        self.faults.delay("keep")
        bob = await self.login_at(1, bob.id, takeover=True)
        self.faults.recover()
        self.assertEqual([(await bob.get())["msg"] for _ in range(2)], ["1", "2"])

    async def test_who_is_blocked_does_not_notice(self) -> None:
        ann, bob = await self.people()
        await bob.ask({"msgid": 18, "userid": ann.id})
        ann.send(say(bob.id, "hi", cid="a"))
        await self.assert_stored(ann, "a")
        await bob.nothing()
        self.go(1)
        history = await bob.ask({"msgid": 31, "toid": ann.id})
        self.assertEqual(history["messages"], [])

    async def test_what_is_too_long_for_the_bus(self) -> None:
        """It goes through the store."""
        self.bounds = {"max_line": 1 << 19}
        self.begin()
        ann, bob = await self.people()
        await self.assert_chatting(ann, bob)
        ann.send(say(bob.id, "1" * 300_000, cid="a"), say(bob.id, "2", cid="b"))
        await self.assert_stored(ann, "a")
        self.assertEqual(len((await bob.get())["msg"]), 300_000)
        bob.send(received(2))
        self.assertEqual((await bob.get())["msg"], "2")

    async def test_a_full_mailbox_is_counted_anew(self) -> None:
        """It was emptied on another node."""
        self.bounds = {"mailbox_messages": 3}
        self.begin()
        ann = await self.enter("ann", 2)
        bob_id = await self.register("bob")
        for number in range(3):
            ann.send(say(bob_id, "hi", cid=f"c{number}"))
            await self.assert_stored(ann, f"c{number}")
        self.assertEqual((await ann.ask(say(bob_id, "hi", cid="no")))["errno"], 109)
        bob = await self.login_at(1, bob_id)
        await bob.get_all(3)
        bob.send(received(3))
        await bob.ask({"msgid": 10})
        self.go(0.5)
        ann.send(say(bob_id, "hi", cid="yes"))
        await self.assert_stored(ann, "yes")


class PagesTests(NodesCase):
    """Nodes do not commit in one order."""

    bounds: Mapping[str, Any] = {"page_rows": 2, "window_messages": 4}

    async def keep(self, recipient: int, sender: int, *stamps: int) -> None:
        """Some node has stored these messages, in one transaction."""
        rows = []
        for stamp in stamps:
            line = {"msgid": 5, "toid": recipient, "msg": f"{stamp}", "id": sender, "name": "x"}
            body = json.dumps(line, separators=(",", ":")).encode()
            rows.append(Kept(recipient, stamp, sender, f"{stamp}", False, 5, bytes(8), body))
        await self.store.offline.keep(rows)

    async def test_what_was_committed_behind_the_page_before_goes_first(self) -> None:
        ann, eve, bob = [await self.register(name) for name in ("ann", "eve", "bob")]
        await self.keep(bob, eve, 10, 20, 30, 40, 50, 60)
        client = await self.login_at(0, bob)
        await client.get_all(2)
        # The next page begins behind 20, or 40: in the middle of these.
        await self.keep(bob, ann, 15, 16, 35, 55, 70, 80)
        seen = [10, 20]
        while len(seen) < 12:
            client.send(received(len(seen)))
            self.go(0.1)
            while client.lines:
                seen.append(int((await client.get())["msg"]))
        for sender in ([15, 16, 35, 55, 70, 80], [10, 20, 30, 40, 50, 60]):
            self.assertEqual([stamp for stamp in seen if stamp in sender], sender)


class LoginsTests(NodesCase):
    """One login a user."""

    async def test_at_the_same_instant(self) -> None:
        user_id = await self.register("ann")
        clients = [await self.connect(node=node) for node in (0, 1)]
        for client in clients:
            client.send(login(user_id, 2))
        said: list[dict[str, Any]] = []
        while len(said) < 2:
            self.go(0.05)
            for client in clients:
                said += [it for it in self._heard(client) if it["msgid"] == 2]
        self.assertEqual(sorted(answer["errno"] for answer in said), [0, 2])

    def _heard(self, client: Client) -> list[dict[str, Any]]:
        """What has come; pings are answered."""
        heard: list[dict[str, Any]] = [json.loads(line) for line in client.lines]
        client.lines.clear()
        for one in heard:
            if one["msgid"] == 13:
                client.send({"msgid": 14})
        return heard

    async def test_one_that_answers_stays(self) -> None:
        ann, _ = await self.people()
        newer = await self.connect(node=1)
        newer.send(login(ann.id, 2))
        self.assertEqual(await ann.get(), {"msgid": 13})
        ann.send({"msgid": 14})
        self.assert_in_use(await newer.get())

    async def test_a_killed_nodes_users_log_in_at_once(self) -> None:
        ann, bob = await self.people()
        self.buses[1].cut(noticed=False)
        before = self.time.seconds()
        newer = await self.login_at(0, bob.id)
        self.assertLess(self.time.seconds() - before, 1)
        await self.assert_chatting(ann, newer)

    async def test_the_older_one_ends_when_its_node_can_be_heard_again(self) -> None:
        ann, bob = await self.people()
        self.buses[1].cut(noticed=False)
        await self.login_at(0, bob.id)
        self.assertFalse(bob.closed)
        self.go(RENEW_SECONDS + 1)
        self.assertEqual((await bob.end())[-1]["errmsg"], "taken over by another login")
        self.assertNotIn(bob.id, self.servers[1].delivery.online)
        await ann.nothing()

    async def test_the_older_one_ends_when_it_is_told(self) -> None:
        ann, bob = await self.people()
        self.buses[1].cut(noticed=False)
        newer = await self.login_at(0, bob.id)
        self.buses[1].heal()
        epoch = self.servers[0].node.lease.epochs[bob.id]  # type: ignore[union-attr]
        seen = Seen(node=1, user=bob.id, name="bob", epoch=epoch, online=True)
        self.publish(ALL_NODES, pack(seen))
        self.assertEqual((await bob.end())[-1]["ack"], 0)
        await self.assert_chatting(ann, newer)

    async def test_an_account_that_is_deleted_elsewhere_meanwhile(self) -> None:
        ann, bob = await self.people()
        gone = Deleted(node=9, user=bob.id, name="bob", watchers=[])
        self.publish(ALL_NODES, pack(gone))
        (refused,) = await bob.end()
        self.assert_refused(refused, 103, 0)
        self.assertNotIn(bob.id, self.servers[1].delivery.online)
        await ann.nothing()

    async def test_nobody_is_taken_over_by_who_cannot_be_heard(self) -> None:
        _, bob = await self.people()
        self.buses[0].cut()
        newer = await self.connect(node=0)
        newer.send(login(bob.id, 2, takeover=True))
        answer = await newer.get()
        self.assertEqual(answer["errno"], 108)
        await bob.nothing()


class LeaseTests(NodesCase):
    """Whoever has no lease does nothing more."""

    async def test_it_ends(self) -> None:
        """Renewed in vain for as long as it lasts."""
        ann, bob = await self.people()
        self.faults.away("members")
        self.go(LEASE_SECONDS - 1)
        self.assertFalse(ann.closed)
        self.go(2)
        self.assertTrue(ann.closed)
        self.assertTrue(bob.closed)
        again = await self.connect(node=0)
        self.assertEqual((await again.ask(login(ann.id, 2)))["errno"], 108)
        self.faults.recover()
        self.go(2)
        ann, bob = await self.login_at(0, ann.id), await self.login_at(1, bob.id)
        await self.assert_chatting(ann, bob)

    async def test_what_is_read_first_after_it_has_ended_is_not_worked_off(self) -> None:
        """As when the process was stopped: the clock has gone on, and no timer has run."""
        ann, bob = await self.people()
        lease = self.servers[0].lease
        assert lease is not None
        lease.end = self.time.seconds()
        ann.send(say(bob.id, "too late", cid="a"))
        self.assertEqual(await ann.end(), [])
        self.go(CHECK_SECONDS)
        self.assertEqual(list(bob.lines), [])

    async def test_nor_what_comes_over_the_bus(self) -> None:
        ann, bob = await self.people()
        await self.assert_chatting(ann, bob)
        lease = self.servers[1].lease
        assert lease is not None
        lease.end = self.time.seconds()
        ann.send(say(bob.id, "too late", cid="a"))
        self.assertEqual(await ann.get(), told("a", "stored"))
        self.assertEqual(await bob.end(), [])

    async def test_nor_what_the_store_answers(self) -> None:
        ann = await self.enter("ann", 2)
        bob_id = await self.register("bob")
        ann.send(say(bob_id, "hi", cid="a"))
        await self.assert_stored(ann, "a")
        self.faults.delay("page")
        bob = await self.login_at(1, bob_id)
        lease = self.servers[1].lease
        assert lease is not None
        lease.end = self.time.seconds()
        self.faults.recover()
        self.assertEqual(await bob.end(), [])
        bob = await self.login_at(0, bob_id)
        self.assertEqual((await bob.get())["msg"], "hi")

    async def test_the_same_name_twice(self) -> None:
        """The newer one stays."""
        ann, _ = await self.people()
        server = self.add_node("node0")
        self.go(RENEW_SECONDS + 1)
        self.assertTrue(ann.closed)
        assert server.lease is not None
        self.assertNotEqual(server.lease.number, 0)


class PresenceTests(NodesCase):
    """Who is seen online."""

    async def _friends(self) -> tuple[Client, Client]:
        ann, bob = await self.people()
        await ann.ask({"msgid": 6, "friendid": bob.id, "cid": "f"})
        await ann.ask({"msgid": 28, "watch": True})
        return ann, bob

    async def _state(self, ann: Client) -> str:
        answer = await ann.ask({"msgid": 22})
        state: str = answer["friends"][0]["state"]
        return state

    async def test_lists_and_logins(self) -> None:
        ann, bob = await self._friends()
        self.assertEqual(await self._state(ann), "online")
        await ann.ask({"msgid": 10})
        await self.log_in(ann, ann.id, 2)
        self.assertEqual(ann.ack["friends"][0]["state"], "online")
        await bob.ask({"msgid": 10})
        self.go(0.5)
        self.assertEqual(await self._state(ann), "offline")

    async def test_who_changes_nodes_has_not_gone(self) -> None:
        ann, bob = await self._friends()
        await self.login_at(0, bob.id, takeover=True)
        self.go(3)
        self.assertEqual({it["state"] for it in await self._pushes(ann)} - {"online"}, set())

    async def _pushes(self, client: Client) -> list[dict[str, Any]]:
        client.send({"msgid": 13, "cid": "end"})
        found = []
        while (one := await client.get())["msgid"] != 14:
            found.append(one)
        return found

    async def test_whose_node_is_gone_is_not_stuck(self) -> None:
        ann, _ = await self._friends()
        self.buses[1].cut(noticed=False)
        for loop in self.servers[1]._clocks:
            loop.stop()
        self.go(LEASE_SECONDS + RENEW_SECONDS + 2)
        self.assertEqual([it["state"] for it in await self._pushes(ann)], ["offline"])
        self.assertEqual(await self._state(ann), "offline")


class StrangersTests(NodesCase):
    """What a node of another version, or nobody, says."""

    async def test_what_is_not_known_is_dropped(self) -> None:
        ann, bob = await self.people()
        for subject in (ALL_NODES, node_subject(1, "in"), node_subject(1, "ask"),
                        node_subject(1, "out.9"), user_subject(ann.id)):  # fmt: skip
            for data in (b"", b"\xc1", b"\x93\xa5Later\x01\x01", pack(_seen()) + b"more"):
                self.publish(subject, data)
        await self.assert_chatting(ann, bob)


def _seen() -> Seen:
    return Seen(node=77, user=1, name="ann", epoch=0, online=False)


class StoppingTests(NodesCase):
    """One of the nodes ends."""

    async def test_its_users_go_on_elsewhere(self) -> None:
        ann, bob = await self.people()
        ann.send(say(bob.id, "1", cid="a"))
        await bob.get()
        stopped = Deferred.fromCoroutine(self.servers[1].stop())
        self.go(3)
        self.successResultOf(stopped)
        self.assertEqual(await ann.get(), told("a", "stored"))
        bob = await self.login_at(0, bob.id)
        self.assertEqual((await bob.get())["msg"], "1")
        bob.send(received(1))
        await self.assert_chatting(ann, bob)
        del self.servers[1]
