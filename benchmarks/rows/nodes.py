"""Two nodes beside one: people who talk across them, a group over both, users who are elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from statistics import median

from chat.client.sending import Unsent
from chat.messages import MsgId

from ..cluster import Cluster, Uses, cluster
from ..databases import Database, mariadb
from ..flows import Answered, Burst, Recipient
from ..load import Lines, Loop, Plug
from ..processes import Server
from ..report import Figure, brief, p99
from ..run import Run, busy, chat
from ..tables import PASSWORD, seed_group, seed_users
from ..talk import TIME, group_line, login, login_all, pairs_of
from .acknowledged import CIDS, WINDOWS, MakeLines, acknowledging, cid_lines, fresh_cids
from .groups import MEMBERS, TALKS, talk
from .idle import KIBIBYTE
from .relay import PAIRS, TEXT, Traffic

BARS = {64: 0.25, 1: None}
SINGLES = 500
"""Messages of one pair, one at a time, of which it is looked how long each takes."""
ELSEWHERE = 2000
OBJECT = 16.0
"""Bytes of one with nothing in it; a node that grows by less for each has kept nothing of them."""


def library_lines(sender: int, recipient: int, number: int, most: int) -> Lines:
    """As :func:`benchmarks.rows.acknowledged.cid_lines`, but as the client library writes them:
    without the sender's id and name."""
    return Lines(
        [
            Unsent(cid, MsgId.ONE_CHAT, recipient, TEXT, TIME).line()
            for cid in fresh_cids(number)
        ],
        most,
    )  # fmt: skip


FORMS: dict[str, MakeLines] = {"": cid_lines, ", as chat.client writes": library_lines}


def measure(run: Run) -> None:
    """Two nodes, beside a server that is alone and beside one of the two nodes."""
    pairs = run.sized(PAIRS, 2)
    members = run.sized(MEMBERS, 8)
    each = 4 * pairs
    seeded = len(FORMS) * each + 4 + 2 * members
    with cluster(2) as joined, mariadb() as database, chat(database) as alone:
        first = seed_users(joined.database, seeded)
        seed_users(database, seeded)
        for form, make in FORMS.items():
            _pairs(run, joined, alone, range(first, first + each), form, make)
            first += each
        _latency(run, joined, alone, range(first, first + 4))
        _group(run, joined, alone, database, range(first + 4, first + 4 + members))
    _elsewhere(run)


def _spread(users: range, nodes: Sequence[Server]) -> dict[int, int]:
    """The port of each user: of a pair one is here and one there, with as many senders as
    recipients on each node."""
    return {user: nodes[(place + place // 2) % 2].port for place, user in enumerate(users)}


def _pairs(
    run: Run, joined: Cluster, alone: Server, users: range, form: str, make: MakeLines
) -> None:
    half = len(users) // 2
    across, together = users[:half], users[half:]
    on_bus: list[float] = []

    def bus(traffic: Traffic, window: int) -> Burst:
        before = joined.bus_seconds()
        result = traffic(window, run.seconds)
        on_bus.append(1e6 * (joined.bus_seconds() - before) / result.all_done)
        return result

    with ExitStack() as stack:
        two, one, ordinary = (
            stack.enter_context(acknowledging(ports, pids, pairs_of(list(ports)), make))
            for ports, pids in (
                (_spread(across, joined.nodes), joined.pids),
                (dict.fromkeys(together, joined.nodes[0].port), joined.pids[:1]),
                (dict.fromkeys(across, alone.port), [alone.pid]),
            )
        )
        for window in WINDOWS:
            on_bus.clear()
            what = f"two nodes, {half // 2} pairs across, {window} in flight, level 2{form}"
            done = run.alternate(
                what,
                {
                    "two nodes": partial(bus, two, window),
                    "one server": partial(ordinary, window, run.seconds),
                    "one of the nodes": partial(one, window, run.seconds),
                },
            )
            rates = {name: [burst.rate for burst in some] for name, some in done.items()}
            note = f"{busy(done)}; NATS {brief(median(on_bus))} µs each"
            run.report(
                Figure(what, "messages/s", rates["two nodes"], rates["one server"], "one server",
                       least=BARS[window], note=note)
            )  # fmt: skip
            run.report(
                Figure(what, "messages/s", rates["two nodes"], rates["one of the nodes"],
                       "one of the nodes")
            )  # fmt: skip


Singles = Callable[[int], tuple[float, float]]
"""So many messages, one at a time: the milliseconds from sending to the answer, median and p99."""


@contextmanager
def _pair(one: Server, other: Server, users: Sequence[int]) -> Iterator[Singles]:
    with ExitStack() as stack, closing(Loop()) as loop:
        sender, recipient = (
            Plug(stack.enter_context(login(server.port, user, PASSWORD, 2)))
            for server, user in zip((one, other), users, strict=True)
        )
        flow = Answered(loop, sender, cid_lines(users[0], users[1], CIDS, 1))
        Recipient(loop, recipient)

        def take(number: int) -> tuple[float, float]:
            taken = []
            for _ in range(number):
                started = time.perf_counter()
                flow.start(1)
                flow.stop()
                while flow.done < flow.sent:
                    loop.once(0)
                taken.append(1000 * (time.perf_counter() - started))
            return median(taken), p99(taken)

        yield take


def _latency(run: Run, joined: Cluster, alone: Server, users: range) -> None:
    """How much longer a message takes to be acknowledged when it has to go to another node."""
    singles = run.sized(SINGLES, 20)
    here, there = joined.nodes
    what = "one pair on two nodes, one message at a time, level 2"
    with (
        _pair(here, there, users[:2]) as across,
        _pair(here, here, users[2:]) as together,
        _pair(alone, alone, users[:2]) as ordinary,
    ):
        sides = {"two nodes": across, "one of the nodes": together, "one server": ordinary}
        for side in sides.values():
            side(20)
        taken = run.alternate(what, {name: partial(side, singles) for name, side in sides.items()})
    for place, name in enumerate(("median", "p99")):
        two, one, plain = ([each[place] for each in taken[side]] for side in sides)
        added = median(more - less for more, less in zip(two, one, strict=True))
        run.report(
            Figure(f"{what}: acknowledged, {name}", "ms", two, plain, "one server",
                   note=f"the hop adds {brief(added)} ms to one of the nodes' {brief(median(one))}")
        )  # fmt: skip


def _group(
    run: Run, joined: Cluster, alone: Server, database: Database, users: range
) -> None:
    """Every other member is on the other node; both nodes have speakers."""
    here, there = joined.nodes
    with ExitStack() as stack:

        def members(where: Sequence[Server]) -> list[Plug]:
            found: dict[int, Plug] = {}
            for place, server in enumerate(where):
                some = users[place :: len(where)]
                for user, sock in zip(some, login_all(server.port, some, PASSWORD), strict=True):
                    found[user] = Plug(stack.enter_context(sock))
            return [found[user] for user in users]

        spread, together = members([here, there]), members([alone])
        group = seed_group(joined.database, users)
        assert seed_group(database, users) == group
        for speakers, window, _ in TALKS:
            lines = [group_line(user, group, TEXT) for user in users[:speakers]]
            what = f"group of {len(users)} over two nodes, {speakers} x {window} in flight, level 1"
            with (
                talk(joined.pids, spread, lines, window) as two,
                talk([alone.pid], together, lines, window) as one,
            ):
                done = run.alternate(
                    what,
                    {
                        "two nodes": partial(two, window, run.seconds),
                        "one server": partial(one, window, run.seconds),
                    },
                )
            rates = {name: [burst.rate for burst in some] for name, some in done.items()}
            run.report(
                Figure(what, "deliveries/s", rates["two nodes"], rates["one server"],
                       "one server", note=busy(done))
            )  # fmt: skip


def _elsewhere(run: Run) -> None:
    """What everybody uses when people log in on one of two nodes."""
    number = run.sized(ELSEWHERE)
    used, grown = [], []
    for turn in range(run.turns):
        with cluster(2) as joined, ExitStack() as stack:
            here, there = joined.nodes
            first = seed_users(joined.database, 2 * number)
            uses = Uses([here.pid, there.pid, joined.bus_pid, joined.database.pid])
            warm = range(first, first + number)
            for users in (warm, range(warm.stop, warm.stop + number)):
                uses.look(number)
                for sock in login_all(there.port, users, PASSWORD, 2):
                    stack.enter_context(sock)
            times, sizes = uses.look(number)
            used.append(times)
            grown.append(sizes)
            run.say(
                f"logins elsewhere, turn {turn + 1} of {run.turns}:"
                f" {', '.join(map(brief, times))} µs, {', '.join(map(brief, sizes))} bytes each"
            )
    what = f"{number:,} more users log in on one of two nodes"
    at_other, at_node, of_bus, of_database = map(list, zip(*used, strict=True))
    kept, node_kept, bus_kept, _ = map(list, zip(*grown, strict=True))
    run.report(Figure(f"{what}: memory of the other one", "bytes each", kept, most=OBJECT))
    run.report(
        Figure(f"{what}: its memory", "KiB each", [size / KIBIBYTE for size in node_kept],
               note=f"NATS {brief(median(bus_kept) / KIBIBYTE)} KiB each")
    )  # fmt: skip
    run.report(
        Figure(f"{what}: its processor time", "µs each", at_node,
               note=f"the other node {brief(median(at_other))} µs, NATS {brief(median(of_bus))},"
               f" MariaDB {brief(median(of_database))}")
    )  # fmt: skip
