"""The families of rows; a new one is a module here and a line in :data:`FAMILIES`."""

from __future__ import annotations

from collections.abc import Callable

from ..run import Run
from . import (
    acknowledged,
    ceiling,
    drain,
    groups,
    history,
    idle,
    nodes,
    offline,
    reconnect,
    relay,
    storm,
    tokens,
    websocket,
    workers,
)

FAMILIES: dict[str, Callable[[Run], None]] = {
    "ceiling": ceiling.measure,
    "relay": relay.measure,
    "acknowledged": acknowledged.measure,
    "websocket": websocket.measure,
    "offline": offline.measure,
    "drain": drain.measure,
    "idle": idle.measure,
    "storm": storm.measure,
    "tokens": tokens.measure,
    "groups": groups.measure,
    "history": history.measure,
    "nodes": nodes.measure,
    "workers": workers.measure,
    "reconnect": reconnect.measure,
}
"""In the order in which they run; each reports its figures to the run it is given."""
