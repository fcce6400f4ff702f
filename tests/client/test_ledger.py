"""The ledger: what it keeps, how much of it, and that a kill at any moment takes nothing."""

from __future__ import annotations

import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import TestCase

from chat.client.errors import LedgerError, LedgerInUse
from chat.client.ledger import Ledger
from chat.client.sending import Unsent

WRITER = """
import sys
from chat.client.ledger import Ledger
from chat.client.sending import Unsent

ledger = Ledger(sys.argv[1], 7, seen=50)
for number in range(1_000_000):
    ledger.keep(Unsent(f"c{number}", 5, 8, "x" * 300, "now"))
    ledger.saw((8, f"s{number}"))
    if number >= 3:
        ledger.forget(f"c{number - 3}")
    print(number, flush=True)
"""


def unsent(cid: str) -> Unsent:
    return Unsent(cid, 5, 8, "héllo\0\n'", "now")


class LedgerTests(TestCase):
    def open(self, path: str, user_id: int = 7, seen: int = 20_000) -> Ledger:
        ledger = Ledger(path, user_id, seen=seen)
        self.addCleanup(ledger.close)
        return ledger

    def test_it_keeps_what_is_unsent_in_order(self) -> None:
        path = self.mktemp()
        ledger = self.open(path)
        for cid in ("b", "a", "c"):
            ledger.keep(unsent(cid))
        ledger.forget("a")
        ledger.close()
        again = self.open(path)
        self.assertEqual(again.unsent(), [unsent("b"), unsent("c")])
        again.keep(unsent("a"))
        self.assertEqual([one.cid for one in again.unsent()], ["b", "c", "a"])

    def test_the_same_cid_twice_is_an_error(self) -> None:
        ledger = self.open(self.mktemp())
        ledger.keep(unsent("a"))
        with self.assertRaises(LedgerError):
            ledger.keep(unsent("a"))

    def test_it_keeps_the_newest_of_what_was_seen(self) -> None:
        path = self.mktemp()
        ledger = self.open(path, seen=20)
        for number in range(100):
            ledger.saw((2**63 - 1, str(number)))
        ledger.close()
        with sqlite3.connect(path) as db:
            (rows,) = db.execute("SELECT count(*) FROM seen").fetchone()
        db.close()
        self.assertLessEqual(rows, 22)
        again = self.open(path, seen=20)
        self.assertEqual(again.seen(), [(2**63 - 1, str(number)) for number in range(80, 100)])

    def test_it_keeps_a_token(self) -> None:
        path = self.mktemp()
        ledger = self.open(path)
        self.assertIsNone(ledger.token())
        ledger.keep_token("one")
        ledger.keep_token("two")
        ledger.close()
        again = self.open(path)
        self.assertEqual(again.token(), "two")
        again.keep_token(None)
        self.assertIsNone(again.token())

    def test_only_its_owner_may_read_it(self) -> None:
        path = Path(self.mktemp())
        self.open(str(path)).saw((8, "a"))
        files = list(path.parent.iterdir())
        self.assertIn(path, files)
        for file in files:
            self.assertEqual(stat.S_IMODE(file.stat().st_mode), 0o600, file)

    def test_one_client_at_a_time(self) -> None:
        path = self.mktemp()
        self.open(path)
        with self.assertRaises(LedgerInUse):
            self.open(path)

    def test_one_client_at_a_time_over_processes(self) -> None:
        path = self.mktemp()
        writer = subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        with self.assertRaises(LedgerInUse):
            self.open(path)
        writer.kill()
        writer.communicate()
        self.open(path)

    def test_it_belongs_to_one_user(self) -> None:
        path = self.mktemp()
        self.open(path).close()
        with self.assertRaisesRegex(LedgerError, "belongs to user 7"):
            self.open(path, 8)

    def test_what_is_no_ledger_is_left_alone(self) -> None:
        text = Path(self.mktemp())
        text.write_text("shopping list\n" * 100)
        with self.assertRaisesRegex(LedgerError, "not a database"):
            self.open(str(text))
        self.assertEqual(text.read_text(), "shopping list\n" * 100)
        other = self.mktemp()
        with sqlite3.connect(other) as db:
            db.execute("CREATE TABLE shopping (what)")
        db.close()
        with self.assertRaisesRegex(LedgerError, "another program's"):
            self.open(other)
        with self.assertRaisesRegex(LedgerError, "No such file"):
            self.open(f"{self.mktemp()}/none/ledger")

    def test_another_version_is_left_alone(self) -> None:
        path = self.mktemp()
        self.open(path).close()
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA user_version = 99")
        db.close()
        with self.assertRaisesRegex(LedgerError, "another version"):
            self.open(path)

    def test_a_kill_at_any_moment_takes_nothing(self) -> None:
        path = self.mktemp()
        base = 0
        for lines in (1, 7, 60, 200):
            Path(path).unlink(missing_ok=True)
            for beside in ("-wal", "-shm"):
                Path(path + beside).unlink(missing_ok=True)
            writer = subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE)
            assert writer.stdout is not None
            for _ in range(lines):
                base = int(writer.stdout.readline())
            writer.send_signal(signal.SIGKILL)
            rest, _ = writer.communicate()
            said = int((rest.splitlines() or [b"%d" % base])[-1])
            ledger = self.open(path, seen=50)
            cids = [int(one.cid[1:]) for one in ledger.unsent()]
            self.assertEqual(cids, list(range(cids[0], cids[-1] + 1)))
            self.assertLessEqual(cids[0], max(0, said - 1))
            self.assertIn(cids[-1], (said, said + 1))
            seen = [int(cid[1:]) for _, cid in ledger.seen()]
            self.assertIn(seen[-1], (said, said + 1))
            self.assertEqual(seen, list(range(max(0, seen[-1] - 49), seen[-1] + 1)))
            ledger.close()
