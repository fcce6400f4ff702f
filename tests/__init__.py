"""The tests.  Each has all the time that a busy machine needs; only what hangs is ended."""

from hypothesis import HealthCheck, settings
from twisted.trial import util

util.DEFAULT_TIMEOUT_DURATION = 600.0

settings.register_profile(
    "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("patient")
