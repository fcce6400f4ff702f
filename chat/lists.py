"""Lists that have to fit into one line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Raw

from .wire import encode


def fitting(entries: Iterable[Any], size: int, least: int = 1) -> tuple[list[Raw], bool]:
    """As many entries as fit into so many bytes, encoded; and whether some did not.

    :param size: bytes, with a comma for each entry.
    :param least: how many are taken in any case.
    """
    fit: list[Raw] = []
    for entry in entries:
        text = encode(entry)
        size -= len(text) + 1
        if size < 0 and len(fit) >= least:
            return fit, True
        fit.append(Raw(text))
    return fit, False
