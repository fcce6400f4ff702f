"""What is shipped: the wheel is whole, and a server runs from it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import chat
from tests.test_plugin import PATIENCE, PluginTestCase

ROOT = Path(chat.__file__).parent.parent


def build(folder: Path) -> Path:
    """Build the wheel into this folder."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
        check=True,
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


class WheelTests(SynchronousTestCase):
    def test_everything_is_in_it_and_nothing_else(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        with zipfile.ZipFile(build(folder)) as wheel:
            names = set(wheel.namelist())
        shipped = {name for name in names if ".dist-info/" not in name}
        expected = {
            str(path.relative_to(ROOT))
            for path in (ROOT / "chat").rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        expected |= {
            f"chat/{path.relative_to(ROOT)}" for path in (ROOT / "db").rglob("*") if path.is_file()
        }
        expected.add("twisted/plugins/chat_plugin.py")
        self.assertEqual(shipped, expected)
        self.assertIn("chat/db/sqlite/001_original.sql", shipped)


class RunTests(PluginTestCase):
    def test_a_server_runs_from_it(self) -> None:
        unpacked = self.folder / "unpacked"
        with zipfile.ZipFile(build(self.folder)) as wheel:
            wheel.extractall(unpacked)
        asked = subprocess.run(
            [sys.executable, "-c", "import chat; print(chat.__file__)"],
            cwd=self.folder,
            env=self.environ(PYTHONPATH=str(unpacked)),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        self.assertEqual(Path(asked.stdout.strip()), unpacked / "chat" / "__init__.py")
        nobody = "--listen=tcp:0:interface=127.0.0.1"
        with self.served(nobody, PYTHONPATH=str(unpacked), PYTHONSAFEPATH="1"):
            answers = self.converse(self.port(), {"msgid": 3, "name": "ann", "password": "secret"})
        self.assertEqual(answers[0]["errno"], 0)
