"""One run of the benchmarks: its size, its servers, its turns."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import TypeVar

from .databases import Database
from .flows import Burst
from .irc import start_ngircd
from .processes import Server, folder
from .report import Figure, brief
from .talk import start_chat

_Measured = TypeVar("_Measured")


@dataclass
class Run:
    """What a family of rows is given.

    :param turns: how often each side is measured; they take turns.
    :param seconds: how long one measurement of steady traffic lasts.
    :param scale: 1 for the sizes that the rows are about; smaller for a quick look.
    """

    turns: int = 3
    seconds: float = 2.0
    scale: float = 1.0
    figures: list[Figure] = field(default_factory=list)

    def sized(self, number: int, least: int = 1) -> int:
        """A row's size (connections, messages), smaller in a quick run."""
        return max(least, int(number * self.scale))

    def say(self, text: str) -> None:
        """A line of progress."""
        print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)

    def report(self, figure: Figure) -> None:
        """A row is done."""
        self.figures.append(figure)
        beside = ", {2} ratio {3}".format(*figure.cells()) if figure.beside else ""
        verdict = {True: " (reached)", False: " (NOT reached)", None: ""}[figure.reached]
        self.say(f"  = {figure.row}: {brief(figure.median)} {figure.unit}{beside}{verdict}")

    def alternate(
        self, what: str, sides: Mapping[str, Callable[[], _Measured]]
    ) -> dict[str, list[_Measured]]:
        """Measure every side in each turn, each time beginning with another one."""
        measured: dict[str, list[_Measured]] = {name: [] for name in sides}
        names = list(sides)
        for turn in range(self.turns):
            start = turn % len(names)
            for name in names[start:] + names[:start]:
                result = sides[name]()
                measured[name].append(result)
                shown = f"{brief(result.rate)}/s" if isinstance(result, Burst) else str(result)
                self.say(f"{what}, turn {turn + 1} of {self.turns}, {name}: {shown}")
        return measured


def busy(bursts: Mapping[str, list[Burst]]) -> str:
    """How much of a core each server had (near 100 % it is the limit, and not the generator), and
    how much of that for each message, which depends little on what else the machine does."""
    return "; ".join(
        f"{name} {median(one.busy for one in some):.0%} busy,"
        f" {brief(median(1e6 * one.busy / one.rate for one in some))} µs each"
        for name, some in bursts.items()
    )


@contextmanager
def chat(database: Database, *options: str, reactor: str = "") -> Iterator[Server]:
    """Our server for as long as it is needed; see :func:`benchmarks.talk.start_chat`."""
    with folder() as place:
        server = start_chat(place, database.url, *options, reactor=reactor)
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def ngircd() -> Iterator[Server]:
    """A ngircd for as long as it is needed."""
    with folder() as place:
        server = start_ngircd(place)
        try:
            yield server
        finally:
            server.stop()
