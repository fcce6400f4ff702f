"""Names of users and groups: as they are kept, and as they are compared."""

from __future__ import annotations

import unicodedata

from .errors import ChatError, Code

NAME_LENGTH = 50
"""Code points of a name's NFKC form, at most."""

TYPED_LENGTH = 200
"""Code points of a name as typed, at most."""


def name_key(name: str) -> str:
    """A name's NFKC form, by which names are compared."""
    return unicodedata.normalize("NFKC", name.strip()).strip()


def checked_name(name: str) -> tuple[str, str]:
    """A name as it is kept (trimmed) and as it is compared (NFKC).

    :raises ChatError: 1, it is not allowed.
    """
    typed = name.strip()
    key = name_key(name)
    if not 1 <= len(key) <= NAME_LENGTH or len(typed) > TYPED_LENGTH:
        raise ChatError(Code.REFUSED, f"a name has 1 to {NAME_LENGTH} characters")
    if any(unicodedata.category(c) in ("Cc", "Zl", "Zp") for c in typed + key):
        raise ChatError(Code.REFUSED, "a name has no control characters")
    return typed, key
