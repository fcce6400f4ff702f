"""The bus between servers: within one process, or over NATS.

Nothing of NATS, nor of the reactor that it needs, is imported where ``--bus`` does not ask for it.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from ..cluster import Bus
from ..errors import BadStart
from .places import parse

REACTOR = "asyncio"


def open_bus(url: str, reactor: Any, name: str = "chat") -> Bus | None:
    """The bus at this URL, not open yet; None for ``local``: one process needs none.

    :param name: what the servers of the bus call this one.
    :raises BadStart: as :func:`check` does.
    """
    place = parse(url)
    if place is None:
        return None
    _check_installed()
    _check_reactor(reactor)
    from .nats import NatsBus

    return NatsBus(place, name, reactor)


def check(url: str, database: str) -> None:
    """What can be told of a bus before the reactor runs.

    :param database: the URL of the database that goes with it.
    :raises BadStart: it cannot work; one line that says why and what to do.
    """
    if parse(url) is None:
        return
    if not database.startswith("mysql:"):
        raise BadStart("--bus: servers that are joined need one --database mysql://... for all")
    _check_installed()
    from twisted.internet import reactor

    _check_reactor(reactor)


def _check_installed() -> None:
    if find_spec("nats") is None:
        raise BadStart("--bus: NATS needs nats-py: pip install 'twistd-chat[nats]'")


def _check_reactor(reactor: Any) -> None:
    # By its name, as importing the module is what is to be avoided where it is not used.
    kinds = {f"{kind.__module__}.{kind.__name__}" for kind in type(reactor).__mro__}
    if "twisted.internet.asyncioreactor.AsyncioSelectorReactor" not in kinds:
        raise BadStart(f"--bus: NATS needs twistd --reactor={REACTOR}")
