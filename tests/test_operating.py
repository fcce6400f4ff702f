"""The operator's manual says what is there: options, metrics, commands, alerts."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.core import Metric
from twisted.internet import reactor
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from chat.admin.main import COMMANDS
from chat.bus.local import Hub
from chat.config import Settings
from chat.logs import FIELDS
from chat.metrics import Lag, Metrics
from chat.options import manual
from chat.service import Server
from chat.storage import open_store

ROOT = Path(__file__).parent.parent


class ManualTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.text = (ROOT / "docs" / "operating.md").read_text()

    def test_every_option_is_there_as_help_prints_it(self) -> None:
        self.assertEqual(self.text[self.text.index("\nBasics:\n") :], f"{manual().rstrip()}\n```\n")

    def test_every_metric_is_there_and_no_other(self) -> None:
        url = f"sqlite:{Path(self.mktemp()).absolute()}"
        bus = Hub(Clock().callLater).end()
        server = Server(Settings(database=url), open_store(url, reactor), reactor, bus=bus)
        self.addCleanup(server.passwords.stop)
        self.addCleanup(server.store.close)
        shown: list[Metric] = list(Metrics(server, Lag(1.0)).collect())
        suffix = {"counter": "_total"}
        names = {f"{metric.name}{suffix.get(metric.type, '')}" for metric in shown}
        self.assertGreater(len(names), 20)
        table = self.text[self.text.index("| metric |") :].partition("\n\n")[0]
        rows = "\n".join(line.split("|")[1] for line in table.splitlines())
        self.assertEqual(set(re.findall(r"`(chat_\w+)`", rows)), names)

    def test_every_command_is_there(self) -> None:
        listed = {
            f"{line.split()[1]} {part.split()[0]}" if place else " ".join(part.split()[1:3])
            for line in re.findall(r"^chat-admin .*$", self.text, re.MULTILINE)
            for place, part in enumerate(line.split(" | "))
        }
        for command in COMMANDS:
            self.assertTrue(any(f"{it} ".startswith(f"{command} ") for it in listed), command)

    def test_every_field_of_the_log_is_there(self) -> None:
        for field in FIELDS:
            self.assertIn(f"`{field}`", self.text)

    def test_what_to_do_about_every_alert(self) -> None:
        alerts = re.findall(r"alert: (\w+)", (ROOT / "docs" / "grafana" / "alerts.yml").read_text())
        self.assertGreater(len(alerts), 5)
        for alert in alerts:
            self.assertIn(f"`{alert}`", self.text.partition("## When")[2])
