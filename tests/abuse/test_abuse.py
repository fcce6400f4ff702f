"""The short form: a siege of half a minute."""

from __future__ import annotations

import asyncio
from functools import partial

from tests.test_plugin import PluginTestCase

from .attackers import Plan
from .siege import Fort, besiege, raise_files
from .verdict import complaints, net

SHORT = partial(
    Plan, seconds=2.0, slow=1000, flood=0, outlast=False, accounts=1000, addresses=100, tries=1,
    megabytes=50,
)  # fmt: skip
SLACK = 0.1
"""Seconds: also on a machine that is five times slower."""
PATIENT = "--login-seconds=600"
"""On a busy machine nobody has had enough of attackers before they are through."""


class AbuseTests(PluginTestCase):
    def test_honest_people_do_not_notice(self) -> None:
        raise_files()
        fort = Fort(self.folder, self.environ(), PATIENT)
        self.addCleanup(fort.end)
        siege = asyncio.run(besiege(fort, 5.0, SHORT, print))
        self.assertGreater(siege.acknowledged, 100)
        self.assertEqual(complaints(siege, (net, 0.99), slack=SLACK), [])
        self.assertNotIn("Traceback", self.output())
