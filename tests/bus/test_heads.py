"""Nothing that was sent on an older connection comes after what was sent on a newer one."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chat.bus import heads
from chat.bus.heads import SIZE, Heads, Own


class HeadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.heads = Heads()

    def test_every_connection_has_its_own(self) -> None:
        own, other = Own(), Own()
        made = [own.next(), own.next(), other.next()]
        self.assertEqual(len(set(made)), 3)
        self.assertEqual({len(head) for head in made}, {SIZE})

    def test_not_after_a_newer_one(self) -> None:
        own, other = Own(), Own()
        made = [own.next() for _ in range(300)]
        alien = other.next()
        self.assertTrue(self.heads.fits(made[0]))
        self.assertTrue(self.heads.fits(alien))
        for at in (0, 1, 1, 255, 256, 299):
            self.assertTrue(self.heads.fits(made[at]), at)
            if at:
                self.assertFalse(self.heads.fits(made[at - 1]), at)
                self.assertFalse(self.heads.fits(made[0]), at)
        self.assertTrue(self.heads.fits(alien))

    def test_what_is_none(self) -> None:
        good = Own().next()
        for head in (b"", b"x", good[:-1], b"\x02" + good[1:]):
            self.assertFalse(self.heads.fits(head), head)
        self.assertTrue(self.heads.fits(good))

    def test_how_many_are_remembered(self) -> None:
        self.patch(heads, "SENDERS", 3)
        made = []
        for own in [Own() for _ in range(4)]:
            made.append((own.next(), own.next()))
            self.assertTrue(self.heads.fits(made[-1][1]))
        for older, _ in made[1:]:
            self.assertFalse(self.heads.fits(older))
        self.assertTrue(self.heads.fits(made[0][0]), "this one was forgotten")
        self.assertTrue(self.heads.fits(made[0][1]))
