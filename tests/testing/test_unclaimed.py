"""The report of promises that a place keeps and does not claim."""

import uuid
import warnings
from dataclasses import replace

import pytest

from runstore.places import Wrapper, open_backend
from runstore.testing import PlaceTests, UnclaimedWarning


class Modest(Wrapper):
    """Memory that claims little, and refuses nothing."""

    @property
    def guarantees(self):
        facts = self._backend.guarantees
        return replace(facts, versions="time", create=False, compare_and_swap=False, mapped=False)

    def probe(self):
        return self.guarantees


class Suite(PlaceTests):
    unclaimed = {"mapped": "to see that a reason is enough"}  # noqa: RUF012 - as of others

    @pytest.fixture
    def backend(self):
        return Modest(open_backend(f"memory://{uuid.uuid4()}"))

    def raw_read(self, backend, key):
        return bytes(backend.get(key)[0])

    def unrestrained(self, backend):
        return backend

    def another(self, backend):
        return backend


def test_what_holds_and_is_not_claimed_is_reported():
    """One warning for each, but for those that are left out with a reason."""
    backend = Modest(open_backend(f"memory://{uuid.uuid4()}"))
    with pytest.warns(UnclaimedWarning) as found:
        Suite().test_what_holds_is_claimed(backend)
    names = ["compare_and_swap", "create", "shared", "versions"]
    assert names == [str(one.message).split("'")[1] for one in found]


def test_what_is_claimed_is_not_reported():
    """A place that claims what it keeps is silent."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        suite = Suite()
        suite.another = lambda backend: None  # memory is not shared
        suite.test_what_holds_is_claimed(open_backend(f"memory://{uuid.uuid4()}"))
