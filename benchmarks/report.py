"""What was measured, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from os import sched_getaffinity
from pathlib import Path
from statistics import median, quantiles
from tempfile import gettempdir
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One row of the table.

    :param values: the server's figure of each turn.
    :param beside: the other's, turn by turn; empty when there is nothing to compare with.
    :param beside_name: what stands beside, ``ngircd`` for example.
    :param least: the bar, for the ratio when something stands beside, else for the median.
    :param most: the same from above.
    :param note: what else is to be known: how busy the processes were, what was lost.
    """

    row: str
    unit: str
    values: Sequence[float]
    beside: Sequence[float] = ()
    beside_name: str = ""
    least: float | None = None
    most: float | None = None
    note: str = ""

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def ratio(self) -> float | None:
        """The median of the turns' ratios: what was measured in one moment is compared."""
        if not self.beside:
            return None
        return median(one / other for one, other in zip(self.values, self.beside, strict=True))

    @property
    def reached(self) -> bool | None:
        """Whether the bar is reached; None: there is none."""
        if self.least is None and self.most is None:
            return None
        judged = self.median if self.ratio is None else self.ratio
        return not (
            (self.least is not None and judged < self.least)
            or (self.most is not None and judged > self.most)
        )

    def cells(self) -> tuple[str, ...]:
        """The row as it stands in the table."""
        bar = "" if self.least is None else f"≥ {brief(self.least)}"
        if self.most is not None:
            bar = f"≤ {brief(self.most)}"
        judged = {True: "yes", False: "NO", None: ""}[self.reached]
        beside = f"{self.beside_name} {brief(median(self.beside))}" if self.beside else ""
        ratio = "" if self.ratio is None else brief(self.ratio)
        return (
            self.row, f"{brief(self.median)} {self.unit}", beside, ratio, bar, judged, self.note
        )  # fmt: skip

    def as_json(self) -> dict[str, Any]:
        return {
            "row": self.row,
            "unit": self.unit,
            "values": list(self.values),
            "median": self.median,
            "beside": {"name": self.beside_name, "values": list(self.beside)}
            if self.beside
            else None,
            "ratio": self.ratio,
            "least": self.least,
            "most": self.most,
            "reached": self.reached,
            "note": self.note,
        }


def brief(number: float) -> str:
    """Three digits that mean something: 97,123, 0.87, 12.3."""
    if abs(number) >= 100:
        return f"{number:,.0f}"
    if number == int(number):
        return f"{number:.0f}"
    return f"{number:.3g}"


def p99(values: Sequence[float]) -> float:
    """What one value in a hundred is beyond."""
    return quantiles(values, n=100, method="inclusive")[98]


HEAD = ("row", "server", "beside", "ratio", "bar", "reached", "note")


def table(figures: Iterable[Figure]) -> str:
    """All rows, as a Markdown table that reads well in a terminal too."""
    rows = [HEAD, *(figure.cells() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = [
        "| " + " | ".join(map(str.ljust, row, widths)) + " |"
        for row in rows
    ]  # fmt: skip
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _file_system(path: str) -> str:
    """What holds a folder: on tmpfs commits would cost nothing."""
    found = ("", "unknown")
    with open("/proc/mounts") as mounts:
        for line in mounts:
            point, kind = line.split()[1:3]
            # Of the mount points above the folder the last and longest one holds it.
            if Path(path).is_relative_to(point) and len(point) >= len(found[0]):
                found = (point, kind)
    return found[1]


def machine() -> dict[str, str]:
    """Where it was measured."""
    with open("/proc/cpuinfo") as cpuinfo:
        models = [line.partition(":")[2].strip() for line in cpuinfo if "model name" in line]
    return {
        "processor": models[0] if models else platform.machine(),
        "cores": str(len(sched_getaffinity(0))),
        "kernel": platform.release(),
        "data on": _file_system(gettempdir()),
        "python": platform.python_version(),
        "twisted": version("twisted"),
        "msgspec": version("msgspec"),
        "time": time.strftime("%Y-%m-%d %H:%M:%S %z"),
    }


def as_json(figures: Iterable[Figure], turns: int, seconds: float) -> str:
    """All there is, every turn's figure included."""
    whole = {
        "machine": machine(),
        "turns": turns,
        "seconds": seconds,
        "rows": [figure.as_json() for figure in figures],
    }
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"
