"""Hashing: what it says, what it costs, and that it never takes more than its share."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from argon2 import extract_parameters
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import TestCase

from chat.errors import ChatError, Code
from chat.passwords import MEMORY_KIB, NICENESS, PASSES, Passwords


class HashTests(TestCase):
    """With parameters that cost nothing."""

    def make(self, *, threads: int = 2, queue: int = 100) -> Passwords:
        passwords = Passwords(
            reactor.callFromThread,  # type: ignore[attr-defined]
            threads=threads,
            queue=queue,
            memory_kib=8,
            passes=1,
        )
        self.addCleanup(passwords.stop)
        return passwords

    async def test_verifies_what_it_hashed(self) -> None:
        passwords = self.make()
        kept = await passwords.hash("correct horse")
        self.assertTrue(await passwords.verify(kept, "correct horse"))
        self.assertFalse(await passwords.verify(kept, "correct horse "))
        self.assertFalse(await passwords.verify(kept, ""))

    async def test_same_password_has_another_hash_each_time(self) -> None:
        passwords = self.make()
        self.assertNotEqual(await passwords.hash("secret"), await passwords.hash("secret"))

    async def test_hash_says_nothing_of_the_password(self) -> None:
        self.assertNotIn("secret", await self.make().hash("secret"))

    async def test_any_text_is_a_password(self) -> None:
        passwords = self.make()
        for password in ("пароль 🔑", "nul\0inside", "x" * 1024, "lone \ud800"):
            kept = await passwords.hash(password)
            self.assertTrue(await passwords.verify(kept, password))
            self.assertFalse(await passwords.verify(kept, password + "!"))

    async def test_nobodys_id_and_no_hash_are_refused_like_a_wrong_password(self) -> None:
        passwords = self.make()
        self.assertFalse(await passwords.verify(None, "secret"))
        self.assertFalse(await passwords.verify("!", "!"))
        self.assertFalse(await passwords.verify("secret", "secret"))

    async def test_outdated(self) -> None:
        old = self.make()
        new = Passwords(
            reactor.callFromThread,  # type: ignore[attr-defined]
            threads=1,
            queue=1,
            memory_kib=16,
            passes=1,
        )
        self.addCleanup(new.stop)
        kept = await old.hash("secret")
        self.assertFalse(old.is_outdated(kept))
        self.assertTrue(new.is_outdated(kept))
        self.assertTrue(await new.verify(kept, "secret"))

    async def test_results_come_in_the_reactors_thread(self) -> None:
        seen: list[int] = []
        verified = self.make().verify(None, "secret")
        verified.addCallback(lambda _: seen.append(threading.get_ident()))
        await verified
        self.assertEqual(seen, [threading.get_ident()])


class CostTests(TestCase):
    """What an attacker has to pay for a guess, and that an id that is nobody's cost the same."""

    async def test_parameters(self) -> None:
        passwords = Passwords(
            reactor.callFromThread,  # type: ignore[attr-defined]
            threads=1,
            queue=1,
        )
        self.addCleanup(passwords.stop)
        kept = await passwords.hash("secret")
        self.assertTrue(kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$"))
        self.assertEqual((MEMORY_KIB, PASSES), (19456, 2))
        nobodys = passwords._nobodys
        self.assertEqual(extract_parameters(nobodys), extract_parameters(kept))
        self.assertFalse(await passwords.verify(None, "secret"))


class Hand:
    """Stands for ``reactor.callFromThread``: a test decides when results arrive."""

    def __init__(self) -> None:
        self.calls: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []
        self._grown = threading.Condition()

    def __call__(self, function: Callable[..., Any], *args: Any) -> None:
        with self._grown:
            self.calls.append((function, args))
            self._grown.notify_all()

    def deliver(self, number: int) -> None:
        """Wait for as many results and hand them over."""
        with self._grown:
            self._grown.wait_for(lambda: len(self.calls) >= number, 120)
            calls, self.calls = self.calls[:number], self.calls[number:]
        for function, args in calls:
            function(*args)


class QueueTests(TestCase):
    """The bound, with every thread held until the test lets go."""

    def setUp(self) -> None:
        self.hand = Hand()
        self.passwords = Passwords(self.hand, threads=1, queue=2, memory_kib=8, passes=1)
        self.go = threading.Event()
        self.begun = threading.Event()
        self.addCleanup(self.end)

    def end(self) -> None:
        self.go.set()
        stopped = self.passwords.stop()
        self.hand.deliver(self.passwords.pending)
        self.successResultOf(stopped)

    def occupy(self) -> Deferred[bool]:
        """Have the one thread wait for ``go``."""

        def work() -> bool:
            self.begun.set()
            return self.go.wait(120)

        held = self.passwords._submit(work)
        self.assertTrue(self.begun.wait(120))
        return held

    def test_over_the_bound_is_refused(self) -> None:
        held = self.occupy()
        first, second = self.passwords.hash("one"), self.passwords.verify(None, "two")
        for call in (lambda: self.passwords.hash("three"), lambda: self.passwords.verify(None, "")):
            error = self.assertRaises(ChatError, call)
            self.assertEqual(error.code, Code.TOO_FAST)
            assert error.retry_after is not None
            self.assertGreater(error.retry_after, 0)
        self.assertEqual(self.passwords.pending, 3)
        self.go.set()
        self.hand.deliver(3)
        self.assertTrue(self.successResultOf(held))
        self.assertTrue(self.successResultOf(first))
        self.assertFalse(self.successResultOf(second))
        self.assertEqual(self.passwords.pending, 0)
        again = self.passwords.verify(None, "three")
        self.hand.deliver(1)
        self.assertFalse(self.successResultOf(again))

    def test_cancelled_gives_its_place_away(self) -> None:
        self.occupy()
        gone = self.passwords.hash("one")
        stays = self.passwords.hash("two")
        self.assertRaises(ChatError, self.passwords.hash, "three")
        gone.cancel()
        self.failureResultOf(gone, CancelledError)
        self.hand.deliver(1)
        comes = self.passwords.hash("three")
        self.assertEqual(self.passwords.pending, 3)
        self.go.set()
        self.hand.deliver(3)
        self.assertTrue(self.successResultOf(stays))
        self.assertTrue(self.successResultOf(comes))

    def test_cancelled_while_computed(self) -> None:
        held = self.occupy()
        held.cancel()
        self.failureResultOf(held, CancelledError)
        self.assertEqual(self.passwords.pending, 1)
        self.go.set()
        self.hand.deliver(1)
        self.assertEqual(self.passwords.pending, 0)

    def test_failure_is_told(self) -> None:
        failed = self.passwords._submit(lambda: 1 // 0)
        self.hand.deliver(1)
        self.failureResultOf(failed, ZeroDivisionError)
        self.assertEqual(self.passwords.pending, 0)

    def test_stop_waits_for_what_is_computed_and_refuses_what_waits(self) -> None:
        held = self.occupy()
        waiting = self.passwords.hash("one")
        stopped = self.passwords.stop()
        self.hand.deliver(1)
        self.assertEqual(self.failureResultOf(waiting, ChatError).value.code, Code.BUSY)
        self.assertNoResult(stopped)
        self.go.set()
        self.hand.deliver(1)
        self.assertTrue(self.successResultOf(held))
        self.successResultOf(stopped)
        error = self.assertRaises(ChatError, self.passwords.hash, "late")
        self.assertEqual(error.code, Code.BUSY)
        self.assertIs(self.passwords.stop(), stopped)

    def test_stop_when_idle(self) -> None:
        self.successResultOf(self.passwords.stop())

    def test_threads_give_way(self) -> None:
        if sys.platform != "linux":  # elsewhere a thread has no priority of its own
            return
        nice = self.passwords._submit(
            lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        )
        self.hand.deliver(1)
        mine = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        self.assertEqual(self.successResultOf(nice), min(19, mine + NICENESS))
