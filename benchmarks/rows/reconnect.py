"""A node is killed, and all its clients come again at once, through the balancer."""

from __future__ import annotations

import heapq
import json
import select
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from statistics import median

from ..cluster import Cluster, Uses, cluster
from ..processes import LOCALHOST, Failed, Server
from ..report import Figure, brief
from ..run import Run
from ..tables import PASSWORD, seed_users
from ..talk import LOGINS_AT_ONCE, as_line, login_line

CLIENTS = 5000
CONNECTIONS = 9000
"""That the balancer lets be at the same time; each is two files of its."""
AGAIN_SECONDS = 0.1
"""After which somebody who was cut off without an answer to the login connects again."""
PATIENCE = 60.0


class _Client:
    """Somebody who is logged in, or wants to be."""

    def __init__(self, user: int) -> None:
        self.login = login_line(user, PASSWORD, 2)
        """What is sent to log in; with a token as soon as there is one."""
        self.user = user
        self.sock = socket.socket()
        self.asked = False
        self.inside = False
        self.heard = b""


class Crowd:
    """Clients who log in through a port, and come again when they are cut off."""

    def __init__(self, port: int, users: range) -> None:
        self.answers: Counter[int] = Counter()
        """To logins, by ``errno``; -1: cut off without one."""
        self._address = (LOCALHOST, port)
        self._clients = [_Client(user) for user in users]
        self._epoll = select.epoll()
        self._by_fd: dict[int, _Client] = {}
        self._later: list[tuple[float, int]] = []
        """Who does what was refused once more, and when: places in the list of clients."""

    def let_in(self) -> None:
        """Log everybody in with the password, some at a time."""
        for start in range(0, len(self._clients), LOGINS_AT_ONCE):
            some = self._clients[start : start + LOGINS_AT_ONCE]
            for client in some:
                self._connect(client)
            self.logins(len(some))

    def logins(self, number: int) -> list[float]:
        """Let so many log in; when each of them had the answer, in seconds from now.

        :raises Failed: they do not get in.
        """
        started = time.perf_counter()
        came: list[float] = []
        done = self.answers[0]
        while len(came) < number:
            for fd, events in self._epoll.poll(0.01):
                self._go_on(self._by_fd[fd], events)
            spent = time.perf_counter() - started
            while self._later and self._later[0][0] <= time.perf_counter():
                client = self._clients[heapq.heappop(self._later)[1]]
                if client.asked:
                    self._say(client)
                else:
                    self._connect(client)
            came += [spent] * (self.answers[0] - done - len(came))
            if spent > PATIENCE:
                raise Failed(f"{len(came)} of {number} logged in: {dict(self.answers)}")
        return came

    def _connect(self, client: _Client) -> None:
        client.sock.close()
        client.asked = client.inside = False
        client.heard = b""
        client.sock = socket.socket()
        client.sock.setblocking(False)
        client.sock.connect_ex(self._address)
        fd = client.sock.fileno()
        self._by_fd[fd] = client
        self._epoll.register(fd, select.EPOLLOUT)

    def _say(self, client: _Client) -> None:
        client.sock.send(client.login)

    def _go_on(self, client: _Client, events: int) -> None:
        if events == select.EPOLLOUT and not client.asked:
            client.asked = True
            self._epoll.modify(client.sock.fileno(), select.EPOLLIN)
            self._say(client)
            return
        try:
            data = client.sock.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            self._cut_off(client)
            return
        client.heard += data
        if client.inside or not client.heard.endswith(b"\n"):
            return
        answer = json.loads(client.heard)
        client.heard = b""
        self.answers[answer["errno"]] += 1
        if answer["errno"] == 0:
            client.inside = True
            fields = {"msgid": 1, "id": client.user, "proto": 2, "token": answer["token"]}
            client.login = as_line(fields)
        else:
            self._once_more(client, answer.get("retry_after", AGAIN_SECONDS))

    def _cut_off(self, client: _Client) -> None:
        del self._by_fd[client.sock.fileno()]
        if client.inside:
            self._connect(client)
            return
        self.answers[-1] += 1
        client.asked = False
        client.sock.close()
        self._once_more(client, AGAIN_SECONDS)

    def _once_more(self, client: _Client, seconds: float) -> None:
        place = client.user - self._clients[0].user
        heapq.heappush(self._later, (time.perf_counter() + seconds, place))

    def close(self) -> None:
        """Everybody leaves."""
        for client in self._clients:
            client.sock.close()
        self._epoll.close()


@contextmanager
def _node(joined: Cluster, name: str, chat: int, status: int) -> Iterator[Server]:
    where = [f"tcp:{port}:interface={LOCALHOST}" for port in (chat, status)]
    options = ["--listen", f"haproxy:{where[0]}", "--status", where[1]]
    with joined.node(name, *options) as server:
        yield server


def measure(run: Run) -> None:
    """Two nodes behind HAProxy as docs/haproxy.cfg has it; all clients are on one, which dies."""
    # Imported here: it needs haproxy, which the other rows do not.
    from tests.cluster.balancer import Balancer, Behind
    from tests.cluster.ports import free_port

    clients = run.sized(CLIENTS)
    behind = [Behind(free_port(), free_port(), free_port()) for _ in range(2)]
    lasts, halves, used = [], [], []
    with cluster(0) as joined, ExitStack() as stack:
        balancer = Balancer(behind, CONNECTIONS)
        stack.callback(balancer.end)

        def until_up(*states: str) -> None:
            """Wait until the balancer thinks so of the nodes."""
            deadline = time.monotonic() + PATIENCE
            while list(balancer.states().values()) != list(states):
                if time.monotonic() > deadline:
                    raise Failed(f"the balancer says {balancer.states()}")
                time.sleep(0.05)

        def start(place: int) -> Server:
            ports = behind[place]
            return stack.enter_context(_node(joined, f"node-{place}", ports.chat, ports.status))

        alive = 0
        server = start(alive)
        first = seed_users(joined.database, clients)
        balancer.start()
        until_up("UP", "DOWN")
        crowd = stack.enter_context(closing(Crowd(balancer.port, range(first, first + clients))))
        crowd.let_in()
        for turn in range(run.turns):
            other = start(1 - alive)
            until_up("UP", "UP")
            uses = Uses([other.pid, joined.bus_pid, joined.database.pid])
            server.kill()
            came = crowd.logins(clients)
            used.append(uses.look(clients)[0])
            alive, server = 1 - alive, other
            lasts.append(came[-1])
            halves.append(median(came))
            run.say(
                f"reconnecting, turn {turn + 1} of {run.turns}: half of them after"
                f" {brief(halves[-1])} s, the last after {brief(lasts[-1])} s; answers to logins"
                f" by errno so far {dict(crowd.answers)}"
            )
    what = f"{clients:,} clients of a killed node, through the balancer, with tokens: the last one"
    node, bus, data = (brief(median(each)) for each in zip(*used, strict=True))
    run.report(
        Figure(what, "s", lasts, most=10.0,
               note=f"half of them after {brief(median(halves))} s; nobody waits before that;"
               f" the node {node} µs each, NATS {bus}, MariaDB {data}")
    )  # fmt: skip
