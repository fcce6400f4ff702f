"""The short form: a siege of half a minute."""

from __future__ import annotations

import asyncio
from functools import partial

from tests.test_plugin import PluginTestCase

from .attackers import Plan
from .siege import Fort, besiege, raise_files
from .verdict import complaints

SHORT = partial(
    Plan, seconds=2.0, slow=1000, accounts=1000, addresses=100, tries=1, megabytes=50,
)  # fmt: skip
PART = 0.5
"""Medians are compared: with some hundred messages on a machine that others use too, the slowest
hundredth is the machine's.  The long form compares that one."""


class AbuseTests(PluginTestCase):
    def test_honest_people_do_not_notice(self) -> None:
        raise_files()
        fort = Fort(self.folder, self.environ())
        self.addCleanup(fort.end)
        siege = asyncio.run(besiege(fort, 5.0, SHORT, print))
        self.assertGreater(siege.acknowledged, 100)
        self.assertEqual(complaints(siege, PART), [])
        self.assertNotIn("Traceback", self.output())
