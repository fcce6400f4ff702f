"""The secret that the server and ``chat-admin`` share, in a file for its owner alone."""

from __future__ import annotations

import errno
import os
import secrets
from contextlib import suppress
from pathlib import Path

SECRET_BYTES = 32


def secret_file(setting: str, database: str) -> Path | None:
    """Where it is, by ``--status-secret`` and ``--database``; None: there is none."""
    if setting not in ("auto", "none"):
        return Path(setting).absolute()
    kind, _, path = database.partition(":")
    if setting == "auto" and kind == "sqlite" and path:
        return Path(f"{path}.secret").absolute()
    return None


def read_secret(path: Path, *, make: bool = False) -> str:
    """The secret in this file; ``make``: a new one where there is none.

    :raises OSError: it cannot be read, or others may read it.
    """
    if make:
        with suppress(FileExistsError):
            file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(file, "w") as out:
                out.write(secrets.token_urlsafe(SECRET_BYTES) + "\n")
    if path.stat().st_mode & 0o077:
        raise PermissionError(errno.EPERM, "others may read it too; chmod 600", str(path))
    secret = path.read_text().strip()
    if len(secret) < SECRET_BYTES:
        raise OSError(errno.EINVAL, "it holds no secret; delete it, and it is made anew", str(path))
    return secret
