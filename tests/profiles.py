"""How hard Hypothesis tries."""

import os

from hypothesis import HealthCheck, settings

__all__ = ["use_own_profile"]

# A busy machine draws slowly, and no test is about how fast it is.
_COMMON = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}


def use_own_profile() -> None:
    """Register the profiles of this suite and load one of them.

    To be called again after a module has loaded a profile of its own, as pandas.conftest does.
    """
    settings.register_profile("default", max_examples=60, **_COMMON)
    settings.register_profile("ci", max_examples=60, derandomize=True, **_COMMON)
    settings.register_profile("nightly", max_examples=2000, **_COMMON)
    settings.load_profile(
        os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "default")
    )
