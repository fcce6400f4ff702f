"""The status listener of a real server: what it tells, and to whom."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from contextlib import closing
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from twisted.internet import reactor
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase, TestCase

from chat import status
from chat.config import Settings
from chat.metrics import LAG_BUCKETS, Lag
from chat.secret import read_secret, secret_file
from chat.service import Server
from chat.status import Status
from chat.storage import open_store
from tests.cables import Time
from tests.mariadb import MariaDB
from tests.operating import OperatedTestCase, fetch
from tests.support import PasswordsInMemory, login, received, say
from tests.test_plugin import PATIENCE, eventually
from tests.test_process import SECRET, Talker

GRAFANA = Path(__file__).parent.parent / "docs" / "grafana"
OF_NODES = re.compile(r"\bchat_(bus|leases?|nodes?|routes|claims)(_|\b)")
"""Metrics that one server alone does not show."""
MARIADB_AWAY = "mysql://chat:secret@127.0.0.1:1/chat"


def samples(text: str) -> dict[str, float]:
    """Every sample, as ``name{label=value}``."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


class LagTests(SynchronousTestCase):
    def test_each_call_is_counted_by_how_late_it_was(self) -> None:
        lag = Lag(0.5)
        for now in (10.0, 10.5, 11.015, 11.6, 20.0):
            lag.tick(now)
        late = dict(zip([*LAG_BUCKETS, None], lag.buckets, strict=True))
        self.assertEqual(sum(lag.buckets), 4)
        self.assertEqual((late[0.001], late[0.02], late[0.1], late[None]), (1, 1, 1, 1))
        self.assertAlmostEqual(lag.total, 0.015 + 0.085 + 7.9)

    def test_a_clock_that_is_early_is_not_late(self) -> None:
        lag = Lag(0.5)
        lag.tick(1.0)
        lag.tick(1.4)
        self.assertEqual(lag.total, 0.0)


class SecretTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def test_it_is_made_once_for_its_owner(self) -> None:
        secret = read_secret(self.path, make=True)
        self.assertEqual(read_secret(self.path, make=True), secret)
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        self.assertGreaterEqual(len(secret), 40)

    def test_one_that_others_can_read_is_none(self) -> None:
        read_secret(self.path, make=True)
        self.path.chmod(0o640)
        self.assertIn("others", str(self.assertRaises(OSError, read_secret, self.path)))

    def test_an_empty_one_is_none(self) -> None:
        self.path.touch(0o600)
        self.path.chmod(0o600)
        self.assertIn("no secret", str(self.assertRaises(OSError, read_secret, self.path)))

    def test_where_it_is(self) -> None:
        self.assertEqual(secret_file("auto", "sqlite:/srv/chat.sqlite"),
                         Path("/srv/chat.sqlite.secret"))  # fmt: skip
        self.assertEqual(secret_file("/etc/chat", "memory:"), Path("/etc/chat"))
        self.assertIsNone(secret_file("none", "sqlite:/srv/chat.sqlite"))
        self.assertIsNone(secret_file("auto", MARIADB_AWAY))


class StatusTests(OperatedTestCase):
    def people(self, port: int, *names: str) -> list[int]:
        """New accounts."""
        with closing(Talker(port)) as client:
            asked = [{"msgid": 3, "name": name, "password": SECRET} for name in names]
            return [int(client.ask(it)["id"]) for it in asked]

    def test_metrics_after_some_traffic(self) -> None:
        with self.operated():
            port, status = self.port(), self.status_port()
            ann, bob, carl = self.people(port, "ann", "bob", "carl")
            before = samples(fetch(status, "/metrics").text)
            with closing(Talker(port)) as one, closing(Talker(port)) as other:
                self.assertEqual(one.ask({**login(ann, 2), "password": "wrong"})["errno"], 1)
                self.assertEqual(one.ask(login(ann, 2))["errno"], 0)
                self.assertEqual(other.ask(login(bob, 2))["errno"], 0)
                one.send(*(say(bob, "hi", cid=f"b{number}") for number in range(5)))
                pushed = [other.get() for _ in range(5)]
                other.send(received(pushed[-1]["seq"]))
                self.assertEqual({one.get()["state"] for _ in pushed}, {"delivered"})
                one.send(say(carl, "are you there?", cid="c"))
                self.assertEqual(one.get()["state"], "stored")
                one.send(say(10**6, "nobody", cid="n"))
                self.assertEqual(one.get()["errno"], 104)
                one.send({"msgid": 999})
                self.assertEqual(one.get()["errno"], 101)
                after = samples(fetch(status, "/metrics").text)
        changed = {name: after[name] - before.get(name, 0) for name in after}
        for name, expected in {
            "chat_connections{tls=no,transport=tcp}": 2,
            "chat_users_online": 2,
            "chat_logins_total{outcome=ok}": 2,
            "chat_logins_total{outcome=refused}": 1,
            "chat_messages_total{way=pushed}": 5,
            "chat_messages_total{way=delivered}": 5,
            "chat_messages_total{way=stored}": 1,
            "chat_waiting_messages": 1,
            "chat_store_batches_total": 1,
            "chat_refusals_total{errno=1}": 1,
            "chat_refusals_total{errno=101}": 1,
            "chat_refusals_total{errno=104}": 1,
        }.items():
            self.assertEqual(changed[name], expected, name)
        self.assertGreater(after["chat_resident_memory_bytes"], 10e6)
        self.assertGreater(after["chat_interactions_total{name=register}"], 0)
        self.assertEqual(after["chat_in_flight_messages"], 0)

    def test_the_loops_lag_is_measured(self) -> None:
        with self.operated():
            status = self.status_port()
            eventually(
                lambda: samples(fetch(status, "/metrics").text)["chat_loop_lag_seconds_count"] >= 2
            )

    def test_every_query_of_the_dashboard_and_the_alerts_is_answered(self) -> None:
        """Those about other nodes where there are some (tests/test_nodes_process.py)."""
        dashboard = json.loads((GRAFANA / "dashboard.json").read_text())
        queries = [it["expr"] for panel in dashboard["panels"] for it in panel["targets"]]
        rules = (GRAFANA / "alerts.yml").read_text()
        queries += re.findall(r"^ +expr: (.*)$", rules, re.MULTILINE)
        self.assertEqual(rules.count("alert:"), len(re.findall(r"expr:", rules)))
        queries = [it for it in queries if not OF_NODES.search(it)]
        wanted = {name for query in queries for name in re.findall(r"\bchat_\w+", query)}
        self.assertGreater(len(wanted), 15)
        with self.operated():
            self.people(self.port(), "ann")
            shown = samples(fetch(self.status_port(), "/metrics").text)
        names = {name.partition("{")[0] for name in shown}
        self.assertEqual(wanted - names, set())
        labelled = {it for query in queries for it in re.findall(r'(chat_\w+)\{(\w+)="', query)}
        for name, label in labelled:
            self.assertTrue(any(it.startswith(f"{name}{{") and f"{label}=" in it for it in shown))

    def test_health(self) -> None:
        with self.operated():
            status = self.status_port()
            self.assertEqual(fetch(status, "/healthz"), (200, "alive\n"))
            self.assertEqual(fetch(status, "/readyz"), (200, "ready\n"))
            self.assertEqual(fetch(status, "/").status, 404)
            self.assertEqual(fetch(status, "/metrics", "POST").status, 405)

    def test_not_ready_while_it_stops(self) -> None:
        with self.operated() as process:
            port, status = self.port(), self.status_port()
            # A client that does not close keeps the server for a moment.
            with closing(socket.create_connection(("127.0.0.1", port), PATIENCE)) as client:
                client.sendall(b'{"msgid":13}\n')
                self.assertEqual(client.recv(100), b'{"msgid":14}\n')
                process.send_signal(signal.SIGTERM)
                eventually(lambda: "stopping" in self.output())
                self.assertEqual(fetch(status, "/readyz"), (503, "stopping\n"))
                self.assertEqual(fetch(status, "/healthz").status, 200)
            self.assertEqual(process.wait(PATIENCE), -signal.SIGTERM)

    def test_nobody_asks_without_the_secret(self) -> None:
        with self.operated():
            status = self.status_port()
            for secret in ("", "x", self.secret()[:-1]):
                for path, method in (("online", "GET"), ("notice", "POST"), ("disconnect", "POST")):
                    reply = fetch(status, f"/admin/{path}", method, secret, user=1, msg="hi")
                    self.assertEqual(reply.status, 403)
            secret = self.secret()
            self.assertEqual(fetch(status, "/admin/online", secret=secret).json, {"online": []})
            self.assertEqual(fetch(status, "/admin/notice", secret=secret, msg="hi").status, 405)
            self.assertEqual(fetch(status, "/admin/nothing", secret=secret).status, 404)
            bad = fetch(status, "/admin/disconnect", "POST", secret, user="ann")
            self.assertEqual((bad.status, bad.text), (400, "user is a number\n"))
            gone = {"user": 1, "name": "ann"}
            for left in ("", "tea", "{}", '[{"group_id":"1","heir":null}]'):
                bad = fetch(status, "/admin/gone", "POST", secret, **gone, left=left)
                self.assertEqual((bad.status, bad.text), (400, "left is a list of groups\n"))
            mode = (self.folder / "chat.sqlite.secret").stat().st_mode & 0o777
            self.assertEqual(mode, 0o600)
            self.assertNotIn(secret, self.output())

    def test_without_a_secret_nobody_asks_at_all(self) -> None:
        with self.operated("--status-secret=none"):
            reply = fetch(self.status_port(), "/admin/online", secret="None")
            self.assertEqual(reply.status, 403)
        self.assertFalse((self.folder / "chat.sqlite.secret").exists())

    def test_a_secret_that_others_can_read_is_not_used(self) -> None:
        path = self.folder / "secret"
        path.write_text("x" * 40)
        os.chmod(path, 0o644)
        with self.operated("--status-secret=secret"):
            status = self.status_port()
            self.assertEqual(fetch(status, "/admin/online", secret="x" * 40).status, 403)
            self.assertIn("others may read it", self.output())

    def test_the_operator_disconnects_and_tells(self) -> None:
        with self.operated():
            port, status, secret = self.port(), self.status_port(), self.secret()
            ann, bob = self.people(port, "ann", "bob")
            with closing(Talker(port)) as one, closing(Talker(port)) as other:
                one.ask(login(ann, 2))
                other.ask(login(bob))
                online = fetch(status, "/admin/online", secret=secret).json
                assert isinstance(online, dict)
                seen = [(it["id"], it["name"], it["level"]) for it in online["online"]]
                self.assertEqual(seen, [(ann, "ann", 2), (bob, "bob", 1)])
                told = fetch(status, "/admin/notice", "POST", secret, msg="at noon\u2026")
                self.assertEqual(told.json, {"told": 1})
                notice = one.get()
                self.assertEqual((notice["msgid"], notice["msg"]), (38, "at noon\u2026"))
                gone = fetch(status, "/admin/disconnect", "POST", secret, user=bob)
                self.assertEqual(gone.json, {"disconnected": 1})
                self.assertEqual(
                    other.rest(),
                    [{"msgid": 11, "errno": 103, "errmsg": "disconnected by the operator",
                      "ack": 0}],
                )  # fmt: skip

    def test_one_that_was_asked_for_must_be_there(self) -> None:
        with closing(socket.socket()) as holder:
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            place = f"tcp:{holder.getsockname()[1]}:interface=127.0.0.1"
            ended = self.run_to_its_end(
                "-n", "chat", "--listen=tcp:0:interface=127.0.0.1", f"--status={place}"
            )
        self.assertEqual(ended.status, 1)
        self.assertIn(f"cannot listen on {place}", ended.stderr)


class MissingTests(TestCase):
    async def test_a_second_server_goes_without_the_default(self) -> None:
        holder = self.enterContext(closing(socket.create_server(("127.0.0.1", 0))))
        busy = f"tcp:{holder.getsockname()[1]}:interface=127.0.0.1"
        self.patch(status, "DEFAULT_STATUS", busy)
        settings, time = Settings(status=busy), Time()
        server = Server(settings, open_store("memory:", time), time, PasswordsInMemory())
        listener = Status(settings, server, reactor)
        with capturedLogs() as events:
            listener.bind()
            listener.open()
        log = "\n".join(formatEvent(event) for event in events)
        self.assertIn(f"no status listener: cannot listen on {busy}", log)
        await listener.close()


class StoreAwayTests(OperatedTestCase):
    def test_not_ready_without_the_store(self) -> None:
        database = MariaDB()
        database.start()
        self.addCleanup(database.end)
        with self.operated(f"--database={database.fresh()}"):
            status = self.status_port()
            self.assertEqual(fetch(status, "/readyz").status, 200)
            database.stop()
            self.assertEqual(fetch(status, "/readyz"), (503, "the store does not answer\n"))
            database.wake()
            eventually(lambda: fetch(status, "/readyz").status == 200)
