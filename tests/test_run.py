"""The run of all checks: nothing that went wrong is counted as passed."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stdout
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests import run


class CountTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        self.patch(run, "LOGS", folder)
        self.said: list[str] = []
        self.patch(run, "say", self.said.append)

    def counted(self, program: str, *, trial: bool = True) -> tuple[int, int]:
        job = run.Job("job", [sys.executable, "-c", program], trial=trial)
        job.run()
        self.assertIn(f"{job.passed} passed, {job.failed} failed", self.said.pop())
        return job.passed, job.failed

    def ended(self, line: str, status: int) -> tuple[int, int]:
        return self.counted(f"print('Ran some tests\\n\\n{line}'); raise SystemExit({status})")

    def test_what_trial_says_last(self) -> None:
        self.assertEqual(self.ended("PASSED (successes=15)", 0), (15, 0))
        self.assertEqual(self.ended("FAILED (failures=2, errors=1, successes=14)", 1), (14, 3))
        self.assertEqual(self.ended("FAILED (unexpectedSuccesses=1, successes=1)", 1), (1, 1))

    def test_skipped_is_failed(self) -> None:
        self.assertEqual(self.ended("PASSED (skips=2, successes=3)", 0), (3, 2))

    def test_no_tests_is_a_failure(self) -> None:
        self.assertEqual(self.ended("PASSED", 0), (0, 1))
        self.assertEqual(self.counted(""), (0, 1))

    def test_ended_before_its_tests_did(self) -> None:
        self.assertEqual(self.ended("PASSED (successes=3)", 1), (3, 1))
        self.assertEqual(self.counted("import os; os.kill(os.getpid(), 9)"), (0, 1))

    def test_what_takes_too_long_is_ended(self) -> None:
        self.patch(run, "PATIENCE", 0.2)
        self.assertEqual(self.counted("import time; time.sleep(600)"), (0, 1))
        self.patch(run, "GRACE", 0.2)
        deaf = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(600)"
        self.assertEqual(self.counted(deaf), (0, 1))

    def test_who_interrupts_the_run_ends_its_jobs(self) -> None:
        jobs = [
            run.Job(name, [sys.executable, "-c", "import time; time.sleep(600)"])
            for name in ("first", "second")
        ]

        def interrupt(text: str) -> None:
            if jobs[0].process is not None:
                raise KeyboardInterrupt

        self.patch(run, "HEARTBEAT", 0.0)
        self.patch(run, "say", interrupt)
        with redirect_stdout(io.StringIO()):
            self.assertRaises(KeyboardInterrupt, run.section, "title", jobs, 1)
        first, second = (job.process for job in jobs)
        assert first is not None
        self.assertNotEqual(first.poll(), None)
        self.assertEqual(second, None)

    def test_only_what_failed_is_shown(self) -> None:
        job = run.Job("job", [], output="tests.x\n  test ... [OK]\n\n=====\n[ERROR]\nwhy\n")
        self.assertEqual(job.complaint(), "=====\n[ERROR]\nwhy")
        self.assertEqual(run.Job("job", [], output="wrong\n").complaint(), "wrong")

    def test_lint_and_types_are_a_check_each(self) -> None:
        self.assertEqual(self.counted("", trial=False), (1, 0))
        self.assertEqual(self.counted("raise SystemExit(1)", trial=False), (0, 1))


class FoundTests(SynchronousTestCase):
    def test_every_module_is_in_one_job(self) -> None:
        here = Path(run.__file__).parent
        names = list(run.found())
        self.assertEqual(len(names), len(set(names)))
        for path in here.glob("**/test_*.py"):
            self.assertIn(path.relative_to(here).parts[0].removesuffix(".py"), names)

    def test_who_needs_another_reactor_has_it(self) -> None:
        self.assertIn("bus", run.found())
        command = run.trial("bus").command
        self.assertEqual(command[-3:], ["--reactor", "asyncio", "tests.bus"])
        self.assertNotIn("--reactor", run.trial("test_config").command)

    def test_real_trial(self) -> None:
        job = run.trial("test_config")
        folder = Path(self.mktemp())
        folder.mkdir()
        self.patch(run, "LOGS", folder)
        self.patch(run, "say", lambda _: None)
        job.command = [*job.command[:4], str(folder.absolute() / "trial"), *job.command[5:]]
        job.run()
        self.assertGreater(job.passed, 0)
        self.assertEqual(job.failed, 0)
