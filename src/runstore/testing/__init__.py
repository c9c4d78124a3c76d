"""Conformance suites: what a place, a codec or an executor must be able to do, as tests.

Subclass one, give it the fixtures it asks for, and pytest runs the contract:

    from runstore.testing import PlaceTests

    class TestMine(PlaceTests):
        @pytest.fixture
        def backend(self): return MyBackend()

        def raw_read(self, backend, key): ...

Needs ``pip install 'runstore[testing]'``.
"""

from importlib.util import find_spec

from runstore.deprecation import renamed
from runstore.errors import MissingExtraError

for _needed in ("pytest", "hypothesis"):
    if find_spec(_needed) is None:
        raise MissingExtraError(
            f"runstore.testing needs {_needed}: pip install 'runstore[testing]'"
        )

import pytest

for _suite in (
    *("_place_listings", "_place_races", "_same", "_same_pandas", "_unclaimed"),
    *("codecs", "executors", "machine", "places"),
):
    pytest.register_assert_rewrite(f"runstore.testing.{_suite}")  # failures show their values

from runstore.testing._same import assert_same
from runstore.testing._unclaimed import UnclaimedWarning
from runstore.testing.codecs import CodecTests
from runstore.testing.executors import ExecutorTests
from runstore.testing.machine import StoreMachine
from runstore.testing.places import PlaceTests

__all__ = [
    "CodecTests",
    "ExecutorTests",
    "PlaceTests",
    "StoreMachine",
    "UnclaimedWarning",
    "assert_same",
]

__getattr__ = renamed(__name__, {"BackendTests": "PlaceTests"}, since="0.2.0", until="0.4.0")
