"""The benchmarks run: small traffic for real, the counting, and what judges the figures."""

from __future__ import annotations

import contextlib
import io
import json
import socket
from pathlib import Path

from twisted.trial.unittest import TestCase

from benchmarks.__main__ import main
from benchmarks.cluster import cluster
from benchmarks.databases import sqlite
from benchmarks.flows import Answered, Burst, FanOut, Flow, Recipient, Relayed, burst
from benchmarks.load import Lines, Loop, Lost, Plug
from benchmarks.processes import LOCALHOST, free_port
from benchmarks.report import Figure, table
from benchmarks.rows.acknowledged import acknowledging, acknowledging_pairs, cid_lines
from benchmarks.rows.nodes import library_lines
from benchmarks.rows.reconnect import Crowd
from benchmarks.rows.relay import Traffic, chat_pairs
from benchmarks.rows.tokens import Returning, seed_tokens
from benchmarks.rows.websocket import web_pairs
from benchmarks.run import chat
from benchmarks.tables import seed_users


def some(traffic: Traffic) -> Burst:
    """What comes of a short time, or of a longer one where nothing comes of it."""
    result = traffic(4, 0.05)
    return result if result.done else traffic(4, 10.0)


class SmallTraffic(TestCase):
    """A few messages through a real server, whose own process answers."""

    def test_chat(self) -> None:
        """Pairs talk at both levels, with the sender's own name and with another."""
        with sqlite() as database, chat(database) as server, contextlib.ExitStack() as stack:
            first = seed_users(database, 12)
            for traffic in (
                chat_pairs(server, 2, first),
                chat_pairs(server, 2, first + 4, "somebody"),
                acknowledging_pairs(server, [(first + 8, first + 9), (first + 10, first + 9)]),
            ):
                result = some(stack.enter_context(traffic))
                self.assertGreaterEqual(result.all_done, result.done)
                self.assertGreater(result.done, 0)

    def test_web(self) -> None:
        """Pairs talk over WebSocket."""
        port = free_port()
        where = f"tcp:{port}:interface={LOCALHOST}"
        with (
            sqlite() as database,
            chat(database, "--web", where) as server,
            web_pairs(server, port, 2, seed_users(database, 4)) as traffic,
        ):
            result = some(traffic)
            self.assertGreaterEqual(result.all_done, result.done)
            self.assertGreater(result.done, 0)

    def test_returning(self) -> None:
        """Logins by token are counted, and nobody is kept out."""
        with sqlite() as database, chat(database) as server:
            first = seed_users(database, 20)
            users = range(first, first + 20)
            seed_tokens(database, users)
            result = Returning(server, users).come(0.2, 3)
            self.assertGreater(result.done, 0)

    def test_nodes(self) -> None:
        """Pairs talk across two nodes, in both forms; and who logs in like somebody who was cut
        off is let in."""
        with cluster(2) as joined, contextlib.ExitStack() as stack:
            first = seed_users(joined.database, 12)
            one, other = (node.port for node in joined.nodes)
            for make in (cid_lines, library_lines):
                ports = {first: one, first + 1: other, first + 2: other, first + 3: one}
                pairs = [(first, first + 1), (first + 2, first + 3)]
                talking = acknowledging(ports, joined.pids, pairs, make)
                result = some(stack.enter_context(talking))
                self.assertGreater(result.all_done, 0)
                first += 4
            crowd = stack.enter_context(contextlib.closing(Crowd(other, range(first, first + 4))))
            crowd.let_in()
            self.assertEqual({0: 4}, crowd.answers)

    def test_command_line(self) -> None:
        """Rows are chosen by name, and the figures come as a table and as JSON."""
        file = Path(self.mktemp())
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
            self.assertEqual(0, main(["--quick", "--rows", "ceiling", "--json", str(file)]))
        rows = json.loads(file.read_text())["rows"]
        self.assertEqual(2, len(rows))
        for row in rows:
            self.assertIn(row["row"], printed.getvalue())
            self.assertEqual([row["median"]], row["values"])

    def test_unknown_rows(self) -> None:
        """A name that is no family's is told with those that are."""
        told = io.StringIO()
        with contextlib.redirect_stderr(told):
            self.assertRaises(SystemExit, main, ["--rows", "relay,tea"])
        self.assertIn("no rows 'tea'; there are ceiling, relay", told.getvalue())


class Counting(TestCase):
    """The load generator counts right and notices what is lost; the test is the server."""

    def setUp(self) -> None:
        self.loop = Loop()
        self.addCleanup(self.loop.close)

    def plug(self) -> tuple[Plug, socket.socket]:
        """A plug, and the socket at its other end."""
        with socket.create_server((LOCALHOST, 0)) as listener:
            ours = socket.create_connection(listener.getsockname())
            theirs, _ = listener.accept()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        theirs.settimeout(100)
        return Plug(ours), theirs

    def go(self, flow: Flow, done: int) -> None:
        """Let the flow go on until so many messages are done."""
        self.loop.run_until(lambda: flow.done == done)

    def test_lines_come_again(self) -> None:
        """After the last line comes the first, in one piece with it."""
        lines = Lines([b"a\n", b"b\n", b"c\n"], 2)
        self.assertEqual(
            [b"a\nb\n", b"c\na\n", b"b\n"], [bytes(lines.take(number)) for number in (2, 2, 1)]
        )

    def test_lines_of_one_length(self) -> None:
        """Lines that could not be cut by counting are refused."""
        self.assertRaises(ValueError, Lines, [b"a\n", b"bb\n"], 1)

    def test_relayed(self) -> None:
        """As many as arrive are sent again, however they are cut; none after the stop."""
        sender, server_in = self.plug()
        receiver, server_out = self.plug()
        flow = Relayed(self.loop, sender, receiver, Lines([b"x\n"], 3))
        flow.start(3)
        self.assertEqual(b"x\nx\nx\n", server_in.recv(100))
        server_out.sendall(b"x\nx\nx")
        self.go(flow, 2)
        self.assertEqual(b"x\nx\n", server_in.recv(100))
        flow.stop()
        server_out.sendall(b"\nx\nx\n")
        self.go(flow, 5)
        self.assertEqual(5, flow.sent)

    def test_unexpected_answer(self) -> None:
        """A refusal told to a level 1 sender ends the measurement."""
        sender, server_in = self.plug()
        Relayed(self.loop, sender, self.plug()[0], Lines([b"x\n"], 1))
        server_in.sendall(b'{"msgid":11,"errno":104}\n')
        self.assertIn("errno", str(self.assertRaises(Lost, self.loop.once, 10)))

    def test_closed(self) -> None:
        """A connection that the server closes ends the measurement."""
        receiver, server_out = self.plug()
        Relayed(self.loop, receiver, receiver, Lines([b"x\n"], 1))
        server_out.close()
        self.assertRaises(Lost, self.loop.once, 10)

    def test_one_too_many(self) -> None:
        """More deliveries than messages are no success."""
        sender, _ = self.plug()
        receiver, server_out = self.plug()
        flow = Relayed(self.loop, sender, receiver, Lines([b"x\n"], 1))
        server_out.sendall(b"x\nx\n")
        self.assertRaises(Lost, burst, self.loop, [flow], 1, 0.0)

    def test_answered(self) -> None:
        """Answers are counted by their state; up to ``most`` messages are sent."""
        sender, server = self.plug()
        lines = Lines([b"1\n", b"2\n", b"3\n"], 3)
        flow = Answered(self.loop, sender, lines, most=3)
        flow.start(2)
        server.sendall(b'{"state":"delivered"}\n{"state":"sto')
        self.go(flow, 1)
        server.sendall(b'red"}\n{"state":"delivered"}\n')
        self.go(flow, 3)
        self.assertEqual((3, 2, 1), (flow.sent, flow.delivered, flow.stored))
        self.assertEqual(b"1\n2\n3\n", server.recv(100))

    def test_refused(self) -> None:
        """Any other answer ends the measurement."""
        sender, server = self.plug()
        Answered(self.loop, sender, Lines([b"1\n"], 1))
        server.sendall(b'{"state":"delivered"}\n{"errno":108}\n')
        self.assertRaises(Lost, self.loop.once, 10)

    def test_recipient(self) -> None:
        """The last whole line's seq is acknowledged, once a read, from behind the login on."""
        plug, server = self.plug()
        recipient = Recipient(self.loop, plug, b'{"seq":1}\n{"se')
        self.assertEqual(b'{"msgid":12,"seq":1}\n', server.recv(100))
        server.sendall(b'q":2}\n{"seq":3}\n')
        self.loop.run_until(lambda: recipient.has(3))
        self.assertEqual(b'{"msgid":12,"seq":3}\n', server.recv(100))

    def test_gap(self) -> None:
        """A seq left out ends the measurement."""
        plug, server = self.plug()
        Recipient(self.loop, plug)
        server.sendall(b'{"seq":1}\n{"seq":3}\n')
        self.assertRaises(Lost, self.loop.once, 10)

    def test_fan_out(self) -> None:
        """A message is done when all the others have it; the speakers go on in turn."""
        ends = [self.plug() for _ in range(3)]
        plugs = [plug for plug, _ in ends]
        one, other, third = (sock for _, sock in ends)
        speakers = [(plugs[0], Lines([b"a\n"], 2)), (plugs[1], Lines([b"b\n"], 2))]
        flow = FanOut(self.loop, plugs, speakers)
        flow.start(1)
        self.assertEqual((b"a\n", b"b\n"), (one.recv(10), other.recv(10)))
        other.sendall(b"a\n")
        third.sendall(b"a\n")
        self.go(flow, 2)
        self.assertEqual(b"a\n", one.recv(10))
        one.sendall(b"b\n")
        third.sendall(b"b\n")
        self.go(flow, 4)
        self.assertEqual(b"b\n", other.recv(10))
        self.assertEqual(8, flow.sent)


class Judging(TestCase):
    """What a row says of its bar."""

    def test_ratio_of_the_turns(self) -> None:
        """Each turn is compared with its own other side, and the middle one counts."""
        figure = Figure("row", "a", [10, 40, 90], [10, 50, 60], "other", least=1.0)
        self.assertEqual((40, 1.0, True), (figure.median, figure.ratio, figure.reached))

    def test_bars(self) -> None:
        """From below, from above, on the median when nothing stands beside, or none at all."""
        self.assertIs(False, Figure("row", "a", [10, 20, 30], least=21).reached)
        self.assertIs(True, Figure("row", "a", [10, 20, 30], least=20).reached)
        self.assertIs(False, Figure("row", "a", [10], [1], "commit", most=9).reached)
        self.assertIs(True, Figure("row", "a", [0.0], most=0).reached)
        self.assertIsNone(Figure("row", "a", [10]).reached)

    def test_table(self) -> None:
        """A missed bar is seen at once, and all lines are of one width."""
        text = table(
            [
                Figure("relay", "a", [97_123.4], [50_000], "ngircd", least=2.5, note="busy"),
                Figure("memory", "KiB", [9.876], most=12),
            ]
        )
        lines = text.splitlines()
        self.assertEqual(1, len(set(map(len, lines))))
        self.assertRegex(lines[2], r"relay +\| 97,123 a \| ngircd 50,000 \| 1.94 +\| ≥ 2.5 \| NO")
        self.assertRegex(lines[3], r"memory +\| 9.88 KiB +\| +\| +\| ≤ 12 +\| yes")
