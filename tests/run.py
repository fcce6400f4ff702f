"""All checks, as ``make test`` runs them: ``python -m tests.run [NAME…]``.

Lint, types and the tests.  A top-level test module is one job, and so is a package of them; jobs
run two at a time, except those that need the machine for themselves (:data:`ALONE`), which come
afterwards, one by one.  What a job says is shown when it fails, and kept in ``_trial_temp_run``.
With names, only those jobs run: ``python -m tests.run test_wire faults``.

The last line is ``N passed, N failed``; lint and types count as one check each, and a test that was
skipped as one that failed.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOGS = ROOT / "_trial_temp_run"
ALONE = ("abuse", "browser", "cluster", "faults")
REACTORS = {"bus": "asyncio"}
"""What does not run on the reactor that Twisted takes by itself."""
LANES = 2
PATIENCE = 1800.0
"""Seconds for one job; trial ends a test that hangs after 600, unless it blocks."""
GRACE = 30.0
"""Seconds for a job to clean up after itself when it is ended."""
HEARTBEAT = 15.0
"""Seconds after which a run that has nothing to tell says what it is waiting for."""

_TRIAL = re.compile(r"^(?:PASSED|FAILED)(?: \((.*)\))?$", re.MULTILINE)
_FAILED = ("failures", "errors", "unexpectedSuccesses", "skips")

START = time.monotonic()


def say(text: str) -> None:
    """One line, with the seconds since the start."""
    print(f"[{time.monotonic() - START:6.1f} s] {text}", flush=True)


@dataclass
class Job:
    """A command with checks in it, and what came of them."""

    name: str
    command: Sequence[str]
    trial: bool = True
    passed: int = 0
    failed: int = 0
    begun: float = 0.0
    output: str = ""
    process: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Run it to its end; never raises for what the command does."""
        self.begun = time.monotonic()
        log = LOGS / f"{self.name}.log"
        with log.open("wb") as file:
            self.process = process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                status = process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                status = self.end()
                file.write(f"\nended after {PATIENCE:.0f} s\n".encode())
        self.output = log.read_text(errors="replace")
        self._count(status)
        seconds = time.monotonic() - self.begun
        self.begun = 0.0
        say(f"{self.name:28} {self.passed} passed, {self.failed} failed in {seconds:.1f} s")

    def end(self) -> int:
        """End it and what it started: kindly, so that tests clean up, and then for good."""
        if self.process is None:
            return 0
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(GRACE)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.wait()

    def complaint(self) -> str:
        """What it said that has to do with failures."""
        return self.output[max(0, self.output.find("\n=====")) :].strip()

    def _count(self, status: int) -> None:
        if not self.trial:
            self.passed, self.failed = (0, 1) if status else (1, 0)
            return
        summaries = _TRIAL.findall(self.output)
        for name, number in re.findall(r"(\w+)=(\d+)", summaries[-1] if summaries else ""):
            if name in ("successes", "expectedFailures"):
                self.passed += int(number)
            elif name in _FAILED:
                self.failed += int(number)
        if not self.failed and (status or not self.passed):
            self.failed = 1  # it ended before its tests did, or there were none


def trial(name: str) -> Job:
    """The job for a test module or a package of them."""
    module = f"tests.{name}"
    folder = str(LOGS / name)
    reactor = ["--reactor", REACTORS[name]] if name in REACTORS else []
    command = [sys.executable, "-m", "twisted.trial", "--temp-directory", folder, *reactor, module]
    return Job(name, command)


def found() -> Iterator[str]:
    """Every test module and every package of test modules in this folder.

    Packages and large modules come first, so that a long job is seldom the last one.
    """
    here = Path(__file__).parent
    for path in sorted(here.iterdir()):
        if path.is_dir() and any(path.glob("**/test_*.py")):
            yield path.name
    modules = here.glob("test_*.py")
    for path in sorted(modules, key=lambda path: (-path.stat().st_size, path.name)):
        yield path.stem


def jobs() -> tuple[list[Job], list[Job]]:
    """What may run beside something else, and what may not."""
    lint = Job("lint", [sys.executable, "-m", "ruff", "check", "."], trial=False)
    types = Job("types", [sys.executable, "-m", "mypy"], trial=False)
    names = list(found())
    together = [types, lint, *(trial(name) for name in names if name not in ALONE)]
    return together, [trial(name) for name in names if name in ALONE]


def section(title: str, todo: Sequence[Job], lanes: int) -> None:
    """Run some jobs, saying now and then which are under way."""
    if not todo:
        return
    print(f"\n== {title}", flush=True)
    pool = ThreadPoolExecutor(lanes)
    pending = [pool.submit(job.run) for job in todo]
    told = time.monotonic()
    try:
        while not all(future.done() for future in pending):
            time.sleep(0.1)
            now = time.monotonic()
            if now - told >= HEARTBEAT:
                told = now
                running = [f"{job.name} ({now - job.begun:.0f} s)" for job in todo if job.begun]
                say(f"running: {', '.join(running)}")
        for future in pending:
            future.result()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for job in todo:
            if job.begun:
                job.end()
        raise
    finally:
        pool.shutdown()
    for job in todo:
        if job.failed:
            print(f"\n-- {job.name}\n{job.complaint()}", flush=True)


def main(only: Sequence[str]) -> int:
    """Run everything, or the jobs named; the process's exit status."""
    LOGS.mkdir(exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: nothing is left running
    together, alone = jobs()
    if only:
        unknown = set(only) - {job.name for job in together + alone}
        if unknown:
            print(f"no such tests: {', '.join(sorted(unknown))}", file=sys.stderr)
            return 2
        together = [job for job in together if job.name in only]
        alone = [job for job in alone if job.name in only]
    section("lint, types and tests, two at a time", together, LANES)
    section("tests that need the machine for themselves", alone, 1)
    every = together + alone
    passed = sum(job.passed for job in every)
    failed = sum(job.failed for job in every)
    bad = [job.name for job in every if job.failed]
    print()
    say(f"failed: {', '.join(bad)}" if bad else "all is well")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not any(job.passed for job in every if job.trial) else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("interrupted")
