"""One of several ``twistd chat`` processes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.faults.proxy import LOCALHOST
from tests.faults.world import TWISTD, ChatServer, Data

from .balancer import Behind
from .ports import free_port


class Node(ChatServer):
    """A chat server that clients reach at :attr:`port`, and through a balancer.

    :param base: where its folder is made, with the node's name.
    :param bus: the port of NATS, or of what stands before it; None: it is alone.
    """

    def __init__(
        self,
        base: Path,
        data: Data,
        name: str,
        bus: int | None = None,
        options: Sequence[str] = (),
    ) -> None:
        folder = base / name
        folder.mkdir()
        super().__init__(folder, data, options)
        self.name = name
        self.bus = bus
        self.port = free_port()
        self.behind = Behind(free_port(), free_port(), free_port())

    def _command(self) -> list[str]:
        chat, page, status = (f"tcp:{port}:interface={LOCALHOST}" for port in self.behind)
        in_a_cluster = [] if self.bus is None else ["--reactor=asyncio"]
        bus = [] if self.bus is None else [f"--bus=nats://{LOCALHOST}:{self.bus}"]
        return [
            str(TWISTD), *in_a_cluster, "--nodaemon", "--pidfile=", "chat",
            f"--listen=tcp:{self.port}:interface={LOCALHOST}",
            f"--listen=haproxy:{chat}", f"--web=haproxy:{page}", f"--status={status}",
            *bus, *([] if self.bus is None else [f"--node={self.name}"]),
            *self.options,
        ]  # fmt: skip
