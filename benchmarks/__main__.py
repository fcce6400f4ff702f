"""The command line: ``python -m benchmarks [--rows relay,offline] [--quick] [--json FILE]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .processes import Failed, raise_file_limit
from .report import as_json, machine, table
from .rows import FAMILIES
from .run import Run


def _families(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in FAMILIES:
            raise argparse.ArgumentTypeError(f"no rows {name!r}; there are {', '.join(FAMILIES)}")
    return names


def main(arguments: list[str] | None = None) -> int:
    """Run the rows that were asked for; 1 when a bar was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--rows", type=_families, default=list(FAMILIES), metavar="NAMES",
        help=f"families of rows, separated by commas: {', '.join(FAMILIES)}; default: all",
    )  # fmt: skip
    parser.add_argument("--turns", type=int, default=3, help="measurements of each side (3)")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one of them (2)")
    parser.add_argument(
        "--quick", action="store_true",
        help="one short turn of small sizes: does everything run?  Its figures mean nothing",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    asked = parser.parse_args(arguments)
    raise_file_limit()
    run = Run(1, 0.3, 0.05) if asked.quick else Run(asked.turns, asked.seconds)
    status = 0
    for name in asked.rows:
        run.say(f"rows {name!r}")
        try:
            FAMILIES[name](run)
        except (Failed, OSError) as cause:
            run.say(f"rows {name!r} ended early: {type(cause).__name__}: {cause}")
            status = 1
    print(", ".join(f"{name} {value}" for name, value in machine().items()))
    print(table(run.figures))
    if asked.json is not None:
        asked.json.write_text(as_json(run.figures, run.turns, run.seconds))
    if asked.quick:
        return status
    return status or int(any(figure.reached is False for figure in run.figures))


if __name__ == "__main__":
    sys.exit(main())
