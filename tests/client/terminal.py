"""A real terminal for the console: tmux, which keeps the screen as a person would see it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.task import deferLater

from .live import ROOT

PATIENCE = 300.0
"""Seconds that the screen may take to show something."""
GLANCE = 0.03
"""Seconds between two looks at the screen."""
COLUMNS, ROWS = 90, 24


class Terminal:
    """One terminal with a ``chat`` in it.  Its files are in ``home``.

    :param arguments: of ``chat``.
    :param environ: more of the environment, a password say.
    """

    def __init__(
        self, home: Path, *arguments: str, environ: Mapping[str, str] | None = None
    ) -> None:
        self._folder = tempfile.mkdtemp(prefix="chat-test-")
        self._tmux = ("tmux", "-S", f"{self._folder}/socket", "-f", "/dev/null")
        self.status = home / "exit status"
        self.status.unlink(missing_ok=True)
        command = shlex.join([sys.executable, "-m", "chat.client.console", *arguments])
        # What is typed before the program reads must not be seen either, so the shell is silent.
        shell = f"stty -echo; exec 3>&1; {command}; echo $? > {shlex.quote(str(self.status))}; cat"
        variables = {
            "PYTHONPATH": str(ROOT),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_STATE_HOME": str(home / "state"),
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            **(environ or {}),
        }
        subprocess.run(
            [*self._tmux, "new-session", "-d", "-x", str(COLUMNS), "-y", str(ROWS), shell],
            env={**os.environ, **variables},
            cwd=home,
            check=True,
        )

    def type(self, text: str) -> None:
        """Type, without Enter."""
        subprocess.run([*self._tmux, "send-keys", "-l", "--", text], check=True)

    def press(self, *keys: str) -> None:
        """Press keys, as tmux calls them."""
        subprocess.run([*self._tmux, "send-keys", *keys], check=True)

    def enter(self, text: str) -> None:
        """Type a line."""
        self.type(text)
        self.press("Enter")

    def screen(self) -> str:
        """What is seen, and what has scrolled away."""
        command = [*self._tmux, "capture-pane", "-p", "-J", "-S", "-500"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    async def until(self, pattern: str) -> str:
        """Wait until the screen shows this; the whole screen then.

        :raises AssertionError: it does not.
        """
        for _ in range(round(PATIENCE / GLANCE)):
            screen = self.screen()
            if re.search(pattern, screen, re.MULTILINE):
                return screen
            await deferLater(reactor, GLANCE)
        raise AssertionError(f"{pattern!r} does not come up:\n{self.screen()}")

    async def ended(self) -> int:
        """Wait until ``chat`` has ended; its exit status."""
        for _ in range(round(PATIENCE / GLANCE)):
            if self.status.exists() and (text := self.status.read_text().strip()):
                return int(text)
            await deferLater(reactor, GLANCE)
        raise AssertionError(f"it does not end:\n{self.screen()}")

    def pid(self) -> int:
        """The id of the process of ``chat``."""
        command = [*self._tmux, "display-message", "-p", "#{pane_pid}"]
        shell = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        children = Path(f"/proc/{shell}/task/{shell}/children").read_text().split()
        return int(children[0])

    def close(self) -> None:
        """End it, with what runs in it."""
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True)
        shutil.rmtree(self._folder)
