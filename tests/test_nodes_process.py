"""Two nodes as processes, with a real NATS and a real MariaDB: what an operator sees and does."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from tests.mariadb import shared
from tests.nats import Nats
from tests.operating import OperatedTestCase, fetch
from tests.support import login, received, say
from tests.test_plugin import PATIENCE, eventually
from tests.test_process import SECRET, Talker
from tests.test_status import GRAFANA, samples


@dataclass
class Place:
    """A node that runs."""

    process: subprocess.Popen[bytes]
    port: int
    status: int

    def metrics(self) -> dict[str, float]:
        """What it shows now."""
        return samples(fetch(self.status, "/metrics").text)

    def knows_another(self) -> bool:
        """Whether it has learnt of the other node."""
        return self.metrics()["chat_nodes_known"] == 1


class NodesTests(OperatedTestCase):
    reactor = ("--reactor=asyncio",)

    def setUp(self) -> None:
        super().setUp()
        self.base = self.folder
        self.nats = Nats()
        self.addCleanup(self.nats.end)
        self.url = shared().fresh()
        self.secret_path = self.base / "secret"

    @contextmanager
    def node(self, name: str) -> Iterator[Place]:
        """One more."""
        self.folder = self.base / name
        self.folder.mkdir()
        with self.operated(
            f"--bus={self.nats.url}", f"--node={name}", f"--status-secret={self.secret_path}",
            # Whoever reads what comes in its turn is asked for nothing meanwhile.
            "--ping-seconds=3600", CHAT_DATABASE=self.url,
        ) as process:  # fmt: skip
            yield Place(process, self.port(), self.status_port())

    def admin(self, place: Place, *arguments: str, typed: str = "") -> Any:
        """What chat-admin does, beside this node."""
        done = subprocess.run(
            [sys.executable, "-m", "chat.admin.main", "--json", *arguments],
            cwd=self.base, input=typed, capture_output=True, text=True, timeout=PATIENCE,
            check=True,
            env=self.environ(
                CHAT_DATABASE=self.url,
                CHAT_STATUS=f"tcp:{place.status}:interface=127.0.0.1",
                CHAT_STATUS_SECRET=str(self.secret_path),
                PYTHONPATH=str(Path(__file__).parent.parent),
            ),
        )  # fmt: skip
        return json.loads(done.stdout)

    def enter(self, place: Place, user_id: int) -> Talker:
        """Log in there."""
        talker = Talker(place.port)
        self.addCleanup(talker.close)
        self.assertEqual(talker.ask(login(user_id, 2))["errno"], 0)
        return talker

    def test_what_an_operator_sees_and_does(self) -> None:
        with self.node("one") as one, self.node("two") as two:
            for place in (one, two):
                eventually(place.knows_another)
                self.assertEqual(fetch(place.status, "/readyz"), (200, "ready\n"))
            ids = [
                self.admin(one, "users", "add", name, typed=SECRET)["id"] for name in ("ann", "bob")
            ]
            ann, bob = (
                self.enter(place, user_id) for place, user_id in zip((one, two), ids, strict=True)
            )
            self.deliver(ann, bob, ids[1])
            self.figures(one, two)
            listed = self.admin(two, "nodes", "list")
            self.assertEqual([(it["name"], it["users"]) for it in listed], [("one", 1), ("two", 1)])
            online = self.admin(one, "online", "list")
            self.assertEqual([(it["id"], it["node"]) for it in online],
                             [(ids[0], "one"), (ids[1], "two")])  # fmt: skip
            # A busy machine may not answer within the second that is waited.
            eventually(lambda: self.admin(one, "notice", "at noon") == {"told": 2})
            for talker in (ann, bob):
                self.assertEqual(talker.get()["msg"], "at noon")
            self.admin(one, "users", "disable", "bob")
            self.assertEqual(bob.rest()[-1]["errmsg"], "disconnected by the operator")
            with closing(Talker(two.port)) as again:
                self.assertEqual(again.ask(login(ids[1], 2))["errno"], 1)
            self.admin(two, "disconnect", "ann")
            self.assertEqual(ann.rest()[-1]["errmsg"], "disconnected by the operator")
            self.admin(two, "users", "delete", "ann", "--yes")
            self.assertEqual(self.admin(one, "online", "list"), [])

    def deliver(self, sender: Talker, recipient: Talker, user_id: int) -> None:
        """A message goes straight, without the store; the first ones may not, on a busy machine."""
        for number in count(1):
            sender.send(say(user_id, "hi", cid=f"c{number}"))
            recipient.send(received(recipient.get()["seq"]))
            if sender.get()["state"] == "delivered":
                break

    def figures(self, one: Place, two: Place) -> None:
        """What the message has left; and every query of the dashboard and the alerts."""
        sent, came = one.metrics(), two.metrics()
        for name, shown in {
            "chat_node_messages_total{direction=sent}": sent,
            "chat_node_messages_total{direction=received}": came,
            "chat_node_lookups_total": sent,
        }.items():
            self.assertGreaterEqual(shown[name], 1, name)
        for name, value in {
            "chat_claims": 1,
            "chat_bus_up": 1,
            "chat_node_unanswered_entries": 0,
            "chat_leases_lost_total": 0,
            "chat_bus_dropped_messages_total": 0,
        }.items():
            self.assertEqual(sent[name], value, name)
        self.assertTrue(0 < sent["chat_lease_remaining_seconds"] <= 15)
        names = {name.partition("{")[0] for name in sent}
        text = (GRAFANA / "dashboard.json").read_text() + (GRAFANA / "alerts.yml").read_text()
        self.assertEqual(set(re.findall(r"\bchat_\w+", text)) - names, set())

    def test_not_ready_without_the_bus(self) -> None:
        with self.node("one") as one:
            self.assertEqual(fetch(one.status, "/readyz"), (200, "ready\n"))
            self.nats.kill()
            eventually(lambda: fetch(one.status, "/readyz") == (503, "the bus is down\n"))
            self.assertEqual(fetch(one.status, "/healthz").status, 200)
            self.assertEqual(one.metrics()["chat_bus_up"], 0)
            self.nats.start()
            eventually(lambda: fetch(one.status, "/readyz").status == 200)

    def test_it_stops(self) -> None:
        with self.node("one") as one, self.node("two") as two:
            ann = self.admin(one, "users", "add", "ann", typed=SECRET)["id"]
            talker = self.enter(two, ann)
            two.process.send_signal(signal.SIGTERM)
            (notice,) = talker.rest()
            self.assertEqual(notice["msgid"], 38)
            self.assertTrue(0.1 <= notice["reconnect"] <= 2, notice)
            self.enter(one, ann)
            self.assertEqual(two.process.wait(PATIENCE), -signal.SIGTERM)
            self.assertNotIn("Traceback", self.output())
            self.assertEqual([it["name"] for it in self.admin(one, "nodes", "list")], ["one"])

    def test_it_stops_without_the_bus(self) -> None:
        with self.node("one") as one:
            ann = self.admin(one, "users", "add", "ann", typed=SECRET)["id"]
            talker = self.enter(one, ann)
            self.nats.stop()
            one.process.send_signal(signal.SIGTERM)
            self.assertEqual(talker.rest()[-1]["msgid"], 38)
            self.assertEqual(one.process.wait(PATIENCE), -signal.SIGTERM)
            self.assertEqual(self.output().count("Traceback"), 0, self.output())
            self.nats.wake()
