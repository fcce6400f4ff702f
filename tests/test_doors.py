"""Who may connect, and by what somebody is counted."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chat.doors import Doors, Place, origin_of
from chat.errors import ChatError, Code

HERE, THERE = "192.0.2.1", "192.0.2.2"


class OriginTests(SynchronousTestCase):
    def test_what_counts_as_one(self) -> None:
        for host, origin in (
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
            ("fe80::1%eth0", "fe80::/64"),
            ("::1", "::/64"),
            ("a-name", "a-name"),
            (None, ""),
            ("", ""),
        ):
            self.assertEqual(origin_of(host), origin)


class DoorsTests(SynchronousTestCase):
    def enter(self, doors: Doors, origin: str = HERE) -> Place:
        """Somebody from there."""
        place = doors.enter()
        place.locate(origin)
        return place

    def assert_full(self, doors: Doors, origin: str = HERE) -> None:
        """Nobody may come in from there."""
        before = doors.turned_away
        place = None
        with self.assertRaises(ChatError) as caught:
            place = doors.enter()
            place.locate(origin)
        if place is not None:
            place.leave()
        error = caught.exception
        self.assertEqual((error.code, error.fatal), (Code.TOO_FAST, True))
        self.assertGreater(error.retry_after or 0, 0)
        self.assertEqual(doors.turned_away, before + 1)

    def test_so_many_in_all(self) -> None:
        doors = Doors(100, 3)
        places = [self.enter(doors, f"192.0.2.{number}") for number in range(3)]
        self.assert_full(doors, THERE)
        places[0].known()
        self.assert_full(doors, THERE)
        places[0].leave()
        self.enter(doors, THERE)

    def test_so_many_strangers_from_one_address(self) -> None:
        doors = Doors(2, 100)
        places = [self.enter(doors) for _ in range(2)]
        self.assert_full(doors)
        self.enter(doors, THERE)
        places[0].known()
        self.enter(doors)
        self.assert_full(doors)
        self.assertEqual(doors.inside, 4)

    def test_who_logs_out_is_a_stranger_again_and_stays(self) -> None:
        doors = Doors(1, 100)
        first = self.enter(doors)
        first.known()
        second = self.enter(doors)
        first.stranger_again()
        self.assertEqual(doors.strangers(HERE), 2)
        second.leave()
        self.assert_full(doors)
        first.leave()
        self.enter(doors)

    def test_all_is_as_before_when_they_have_gone(self) -> None:
        doors = Doors(10, 100)
        places = [self.enter(doors) for _ in range(6)]
        places[1].known()
        places[2].known()
        places[2].stranger_again()
        places[3].known()
        places[3].known()
        places[4].stranger_again()
        for place in places:
            place.leave()
            place.leave()
            place.stranger_again()
        self.assertEqual((doors.inside, doors.strangers(HERE)), (0, 0))

    def test_no_address_no_bound(self) -> None:
        doors = Doors(1, 100)
        for _ in range(5):
            self.enter(doors, "")
        self.assertEqual(doors.inside, 5)
