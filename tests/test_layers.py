"""Who may import whom: the house's order, row by row.

A new module needs a place in a row of :data:`ROOMS`; a row that wants to import from a room above
it, or a library that it has no business with, is a design question and no matter of this table.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import chat

HOUSE = Path(chat.__file__).parent
NO_REACTOR = ("twisted.internet.defer", "twisted.python.failure")


@dataclass(frozen=True)
class Room:
    """Modules or packages of one kind, and what they may know."""

    name: str
    modules: tuple[str, ...]
    outside: tuple[str, ...]
    """Libraries beside Python's own, each with all that is in it."""
    rooms: tuple[str, ...]
    """The rooms below; a room may always import its own modules."""


ROOMS = (
    Room(
        "vocabulary",
        ("errors", "model", "messages", "wire", "interfaces", "cluster", "config"),
        ("msgspec",),
        (),
    ),
    Room(
        "bounds",
        ("tokens", "throttle", "guesses", "doors", "limits", "standing", "counts"),
        (),
        ("vocabulary",),
    ),
    Room("hashing", ("passwords",), ("argon2", *NO_REACTOR), ("vocabulary",)),
    Room(
        "rules",
        (
            "accounts",
            "arrivals",
            "carriage",
            "claims",
            "circulars",
            "contacts",
            "copies",
            "credentials",
            "decrees",
            "delivery",
            "envelopes",
            "groups",
            "history",
            "leases",
            "lists",
            "mailbox",
            "memberships",
            "names",
            "nodes",
            "orders",
            "numberings",
            "oversight",
            "owners",
            "pages",
            "presence",
            "receipts",
            "recorder",
            "relay",
            "rooms",
            "roster",
            "rounds",
            "routes",
            "runs",
            "senders",
            "shelf",
            "signals",
            "states",
            "welcome",
            "window",
        ),
        ("msgspec",),
        ("vocabulary", "bounds"),
    ),
    Room("storage", ("storage",), ("msgspec", "MySQLdb", "twisted"), ("vocabulary",)),
    Room("bus", ("bus",), ("msgspec", "nats", "twisted"), ("vocabulary",)),
    Room("commands", ("commands",), ("msgspec",), ("vocabulary", "rules")),
    Room(
        "conversations",
        ("session", "requests", "liveness", "outbox", "intake"),
        ("msgspec", "twisted", "zope.interface"),
        ("vocabulary", "bounds", "rules", "commands"),
    ),
    Room(
        "transports",
        ("tcp", "original", "websocket", "link", "frames", "page", "ports", "tls", "listeners"),
        ("twisted", "zope.interface", "OpenSSL"),
        ("vocabulary", "bounds", "rules", "commands", "conversations"),
    ),
    Room("secret", ("secret",), (), ()),
    Room("progress", ("progress",), (), ()),
    Room(
        "status",
        ("status", "metrics"),
        ("msgspec", "twisted", "prometheus_client"),
        (
            "vocabulary",
            "bounds",
            "hashing",
            "rules",
            "storage",
            "conversations",
            "transports",
            "secret",
            "package",
        ),
    ),
    Room("logs", ("logs",), ("msgspec", "twisted", "zope.interface"), ()),
    Room(
        "service",
        ("service", "stopping"),
        ("twisted",),
        (
            "vocabulary",
            "bounds",
            "hashing",
            "rules",
            "storage",
            "bus",
            "commands",
            "conversations",
            "transports",
            "status",
            "package",
        ),
    ),
    Room("options", ("options",), ("msgspec",), ("vocabulary",)),
    Room(
        "tap",
        ("tap",),
        ("twisted",),
        ("vocabulary", "options", "storage", "bus", "service", "logs", "package"),
    ),
    Room(
        "client",
        ("client",),
        ("msgspec", "prompt_toolkit", "twisted", "zope.interface"),
        ("vocabulary", "package"),
    ),
    Room(
        "moving",
        ("moving",),
        ("argon2", "msgspec", "MySQLdb"),
        ("vocabulary", "hashing", "rules", "storage", "progress"),
    ),
    Room(
        "admin",
        ("admin",),
        ("argon2", "msgspec"),
        ("vocabulary", "bounds", "hashing", "rules", "storage", "secret", "progress"),
    ),
    Room("package", ("",), (), ()),
)


def modules() -> dict[str, Path]:
    """Every module of the house by its name, without ``chat.``; a package by its own."""
    found = {}
    for path in HOUSE.rglob("*.py"):
        parts = path.relative_to(HOUSE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name: str, path: Path, tree: ast.AST | None = None) -> Iterator[str]:
    """The full names of what a module imports, ``chat.x`` for our own, wherever it does it."""
    package = ["chat", *name.split(".")] if name else ["chat"]
    if path.name != "__init__.py":
        package.pop()
    for node in ast.walk(tree or ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{source}.{alias.name}" for alias in node.names)


def for_types_only(name: str, path: Path) -> set[str]:
    """What a module imports under ``if TYPE_CHECKING:``, as :func:`imports` names it."""
    blocks = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    return {it for block in blocks for it in imports(name, path, block)}


def ours(imported: str, known: dict[str, Path]) -> str | None:
    """Which of our modules that is; None: none of them."""
    if imported.partition(".")[0] != "chat":
        return None
    name = imported.removeprefix("chat").removeprefix(".")
    return name if name in known else name.rpartition(".")[0]


def room_of(name: str) -> Room | None:
    """Where a module lives."""
    top = name.partition(".")[0]
    return next((room for room in ROOMS if top in room.modules), None)


def within(imported: str, libraries: tuple[str, ...]) -> bool:
    """Whether it is one of these libraries, or in one."""
    return any(f"{imported}.".startswith(f"{library}.") for library in libraries)


class LayerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.modules = modules()

    def test_every_module_has_a_room(self) -> None:
        self.assertIn("errors", self.modules)
        homeless = [name for name in self.modules if room_of(name) is None]
        self.assertEqual(homeless, [], "give them a place in ROOMS")

    def test_imports_stay_within_the_row(self) -> None:
        wrong = []
        for name, path in self.modules.items():
            room = room_of(name)
            if room is None:
                continue
            for imported in imports(name, path):
                own = ours(imported, self.modules)
                if own is not None:
                    source = room_of(own)
                    allowed = source is room or (source is not None and source.name in room.rooms)
                else:
                    allowed = imported.partition(".")[0] in sys.stdlib_module_names or within(
                        imported, room.outside
                    )
                if not allowed:
                    wrong.append(f"chat.{name} ({room.name}) imports {imported}")
        self.assertEqual(wrong, [])

    def test_no_module_imports_itself_by_a_detour(self) -> None:
        graph = {}
        for name, path in self.modules.items():
            really = set(imports(name, path)) - for_types_only(name, path)
            known = {own for it in really if (own := ours(it, self.modules)) is not None}
            graph[name] = known - {name, name.partition(".")[0]}
        try:
            tuple(TopologicalSorter(graph).static_order())
        except CycleError as error:
            self.fail(f"a circle: {' <- '.join(error.args[1])}")

    def test_no_module_takes_the_reactor_when_it_is_imported(self) -> None:
        for name, path in self.modules.items():
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ImportFrom) and node.module == "twisted.internet":
                    taken = {alias.name for alias in node.names}
                    self.assertNotIn("reactor", taken, f"chat.{name}")

    def test_nobody_reaches_in_from_above(self) -> None:
        names = [room.name for room in ROOMS]
        self.assertEqual(len(names), len(set(names)))
        graph = {room.name: set(room.rooms) for room in ROOMS}
        self.assertLessEqual(set().union(*graph.values()), set(names))
        tuple(TopologicalSorter(graph).static_order())  # raises CycleError

    def test_the_plugin_imports_nothing_of_ours(self) -> None:
        plugin = HOUSE.parent / "twisted" / "plugins" / "chat_plugin.py"
        self.assertEqual(
            list(imports("plugin", plugin)), ["twisted.application.service.ServiceMaker"]
        )
