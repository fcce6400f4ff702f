"""What ``/metrics`` shows, read off plain numbers when somebody asks: nothing is paid before."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from twisted.internet.interfaces import ISSLTransport

from . import __version__
from .counts import Counts
from .delivery import Delivery
from .errors import Code
from .interfaces import Store
from .limits import Limits
from .link import Link
from .nodes import Node
from .original import OriginalProtocol
from .passwords import Passwords
from .recorder import Recorder
from .routes import Way
from .session import Session
from .shelf import StoreShelf
from .storage.store import SqlStore
from .tcp import ChatProtocol
from .websocket import ChatSocket
from .wire import refused

LAG_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds, the upper bounds."""

_KINDS: Mapping[type[Link], str] = {
    ChatProtocol: "tcp",
    OriginalProtocol: "original",
    ChatSocket: "websocket",
}


class Observed(Protocol):
    """A server, as far as it is counted."""

    sessions: set[Session]
    delivery: Delivery
    shelf: StoreShelf
    recorder: Recorder
    passwords: Passwords
    limits: Limits
    counts: Counts
    store: Store
    node: Node | None

    def monotonic(self) -> float:
        """Seconds that never go back."""


class Lag:
    """How late the event loop is: a call that should come every ``every`` seconds comes later.

    Times are monotonic seconds, passed in.
    """

    def __init__(self, every: float) -> None:
        self.buckets = [0] * (len(LAG_BUCKETS) + 1)
        self.total = 0.0
        self._every = every
        self._last: float | None = None

    def tick(self, now: float) -> None:
        """The call came."""
        last, self._last = self._last, now
        if last is None:
            return
        late = max(0.0, now - last - self._every)
        self.total += late
        place = next((n for n, top in enumerate(LAG_BUCKETS) if late <= top), len(LAG_BUCKETS))
        self.buckets[place] += 1


class Metrics(Collector):
    """Everything that is shown, for one server."""

    def __init__(self, server: Observed, lag: Lag) -> None:
        self._server = server
        self._lag = lag
        self._refused = refused.copy()
        """Before this server began."""

    def collect(self) -> Iterator[Metric]:
        """All of it, now."""
        yield from self._process()
        yield from self._connections()
        yield from self._messages()
        yield from self._store()
        if self._server.node is not None:
            yield from self._nodes(self._server.node)

    def _process(self) -> Iterator[Metric]:
        version = GaugeMetricFamily("chat_info", "What runs; always 1.", None, ["version"])
        version.add_metric([__version__], 1)
        yield version
        resident = resident_bytes()
        if resident is not None:
            text = "Memory of the process that is in RAM."
            yield GaugeMetricFamily("chat_resident_memory_bytes", text, resident)
        lag = HistogramMetricFamily(
            "chat_loop_lag_seconds", "How late the event loop was, looked at twice a second."
        )
        tops = [*map(str, LAG_BUCKETS), "+Inf"]
        counted, buckets = 0, []
        for top, count in zip(tops, self._lag.buckets, strict=True):
            counted += count
            buckets.append((top, float(counted)))
        lag.add_metric([], buckets, self._lag.total)
        yield lag
        hashing = self._server.passwords.pending
        yield GaugeMetricFamily(
            "chat_hashing_pending", "Passwords being hashed, or waiting for it.", hashing
        )

    def _connections(self) -> Iterator[Metric]:
        server = self._server
        connections = GaugeMetricFamily(
            "chat_connections", "Open connections of clients.", None, ["transport", "tls"]
        )
        kinds = Counter(map(_kind, server.sessions))
        kinds.update(dict.fromkeys(((kind, "no") for kind in _KINDS.values()), 0))
        for (kind, tls), count in sorted(kinds.items()):
            connections.add_metric([kind, tls], count)
        yield connections
        yield CounterMetricFamily(
            "chat_turned_away", "Connections closed because there were too many.",
            server.limits.doors.turned_away,
        )  # fmt: skip
        yield GaugeMetricFamily("chat_users_online", "Users logged in.", len(server.delivery.here))
        logins = CounterMetricFamily("chat_logins", "Logins, by outcome.", None, ["outcome"])
        logins.add_metric(["ok"], server.counts.logins)
        logins.add_metric(["refused"], server.counts.logins_refused)
        yield logins

    def _messages(self) -> Iterator[Metric]:
        server = self._server
        counts, figures = server.counts, server.shelf.figures
        messages = CounterMetricFamily(
            "chat_messages",
            "Messages to one recipient each: pushed to a client, delivered (acknowledged by a level"
            " 2 client), stored. One message may go several ways.",
            None,
            ["way"],
        )
        messages.add_metric(["pushed"], counts.pushes)
        messages.add_metric(["delivered"], counts.delivered)
        messages.add_metric(["stored"], figures.kept)
        yield messages
        refusals = CounterMetricFamily(
            "chat_refusals", "Requests refused, by errno (docs/protocol.md).", None, ["errno"]
        )
        for code in Code:
            if code is not Code.DONE:
                refusals.add_metric([str(int(code))], refused[code] - self._refused[code])
        yield refusals
        here = server.delivery.figures()
        for name, what, text in (
            ("chat_in_flight_messages", "in_flight", "Messages in memory, not answered for yet."),
            ("chat_mailboxes", "mailboxes", "Mailboxes open in memory."),
            ("chat_waiting_messages", "stored", "Messages in the store for these mailboxes."),
        ):
            yield GaugeMetricFamily(name, text, here[what])
        recorder = server.recorder
        history = CounterMetricFamily(
            "chat_history_lines", "Lines of the history, written or left out.", None, ["outcome"]
        )
        history.add_metric(["recorded"], recorder.recorded)
        history.add_metric(["missed"], recorder.missed)
        yield history

    def _store(self) -> Iterator[Metric]:
        figures = self._server.shelf.figures
        for name, text, value in (
            ("chat_store_batches", "Transactions that stored messages.", figures.batches),
            ("chat_store_batch_seconds", "Seconds that they took.", figures.seconds),
            ("chat_store_failed_messages", "Messages that could not be stored.", figures.failed),
            ("chat_store_fetched_messages", "Messages read for who came back.", figures.fetched),
            ("chat_store_deleted_messages", "Messages deleted once received.", figures.forgotten),
        ):
            yield CounterMetricFamily(name, text, value)
        last = figures.last_batch
        yield GaugeMetricFamily("chat_store_last_batch_messages", "Messages in the last one.", last)
        away = float(self._server.shelf.away)
        yield GaugeMetricFamily("chat_store_away", "1: the store did not answer lately.", away)
        store = self._server.store
        if not isinstance(store, SqlStore):
            return
        count, seconds, repeats, failures = (
            CounterMetricFamily(f"chat_interaction{name}", text, None, ["name"])
            for name, text in (
                ("s", "Interactions with the database."),
                ("_seconds", "Seconds that they took, with the wait for a connection."),
                ("_repeats", "Further attempts that they took."),
                ("_failures", "Those that failed as the database could not be reached."),
            )
        )
        for name, one in sorted(store.database.figures.items()):
            count.add_metric([name], one.count)
            seconds.add_metric([name], one.seconds)
            repeats.add_metric([name], one.repeats)
            failures.add_metric([name], one.failures)
        yield from (count, seconds, repeats, failures)

    def _nodes(self, node: Node) -> Iterator[Metric]:
        bus, lease = node.bus, node.lease
        boxes = self._server.delivery.mailboxes.values()
        routes = [box.route for box in boxes if box.route is not None]
        remaining = max(0.0, lease.end - self._server.monotonic()) if lease.number else 0.0
        for name, text, value in (
            ("chat_bus_up", "1: the bus to the other nodes can be used.", float(bus.up)),
            ("chat_lease_remaining_seconds", "0: the node has none, nobody logs in.", remaining),
            ("chat_nodes_known", "Other nodes, as of the last renewal.", len(lease.others)),
            ("chat_claims", "Users who are on this node by a claim.", len(lease.epochs)),
            ("chat_node_unanswered_entries", "Sent to other nodes, and not answered yet.",
             sum(route.unanswered for route in routes)),
        ):  # fmt: skip
            yield GaugeMetricFamily(name, text, value)
        ways = Counter(route.way for route in routes)
        shown = GaugeMetricFamily(
            "chat_routes", "Users with a mailbox here, by what is known of where they are.", None,
            ["way"],
        )  # fmt: skip
        for way in Way:
            shown.add_metric([way.value], ways[way])
        yield shown
        messages = CounterMetricFamily(
            "chat_node_messages", "Messages to one recipient each, from node to node.", None,
            ["direction"],
        )  # fmt: skip
        messages.add_metric(["sent"], node.carrier.posted)
        messages.add_metric(["received"], node.carrier.received)
        yield messages
        for name, text, value in (
            ("chat_node_lookups", "Questions where a user is.", node.carrier.looks),
            ("chat_node_returned_entries", "Came back: the user was not there.", node.carrier.gone),
            ("chat_node_given_up_messages",
             "Went into the store, as nothing was known of them in time.", node.carrier.given_up),
            ("chat_bus_dropped_messages", "Not sent: too much waited.", bus.dropped),
            ("chat_bus_ignored_messages", "Came after newer ones of the same node.", bus.ignored),
            ("chat_leases_lost", "Every client of the node was put out then.", lease.lost),
        ):  # fmt: skip
            yield CounterMetricFamily(name, text, value)


def _kind(session: Session) -> tuple[str, str]:
    link = session.transport
    kind = _KINDS.get(type(link), "other")  # type: ignore[arg-type]
    secure = ISSLTransport.providedBy(getattr(link, "transport", None))
    return kind, "yes" if secure else "no"


def resident_bytes() -> int | None:
    """Memory of this process that is in RAM; None where the kernel does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
