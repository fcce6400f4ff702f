"""What the load generator reaches against a server that does nothing: the limit of all others."""

from __future__ import annotations

import sys
from contextlib import ExitStack, closing
from functools import partial

from ..flows import Relayed, burst
from ..load import Lines, Loop, Plug
from ..processes import Server, connect_to, folder, free_port
from ..report import Figure
from ..run import Run, busy
from ..talk import chat_line
from .relay import PAIRS, TEXT, WINDOWS


def measure(run: Run) -> None:
    """The generator against :mod:`benchmarks.sink`."""
    pairs = run.sized(PAIRS, 2)
    with ExitStack() as stack:
        port = free_port()
        command = [sys.executable, "-m", "benchmarks.sink", str(port)]
        server = Server("sink", command, port, stack.enter_context(folder()))
        stack.callback(server.stop)
        loop = stack.enter_context(closing(Loop()))
        flows = []
        for _ in range(pairs):
            plug = stack.enter_context(closing(Plug(connect_to(server.port))))
            lines = Lines([chat_line(10001, 10002, TEXT, cid="1")], max(WINDOWS))
            flows.append(Relayed(loop, plug, plug, lines))
        for window in WINDOWS:
            what = f"ceiling of the generator, {window} in flight"
            done = run.alternate(
                what, {"sink": partial(burst, loop, flows, window, run.seconds, [server.pid])}
            )
            rates = [one.rate for one in done["sink"]]
            run.report(Figure(what, "messages/s", rates, note=busy(done)))
