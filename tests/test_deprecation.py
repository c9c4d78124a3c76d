"""What will end warns at the line that uses it, and says what to use instead."""

import subprocess
import sys
import types

import pytest

from runstore.deprecation import RunStoreDeprecationWarning, deprecated, renamed, warn_deprecated


def test_a_function_warns_at_each_call_and_works_on():
    """The warning is one of Python's for deprecations, and names the caller's own file."""

    @deprecated(since="0.2.0", until="0.4.0", instead="use new()")
    def old(a, *, b):
        """Say so."""
        return a, b

    said = r"old\(\) is deprecated since runstore 0.2.0 and ends with 0.4.0: use new\(\)"
    with pytest.warns(RunStoreDeprecationWarning, match=said) as caught:
        assert (1, 2) == old(1, b=2)
    assert (__file__, "Say so.") == (caught[0].filename, old.__doc__)
    assert issubclass(RunStoreDeprecationWarning, DeprecationWarning)


def test_a_former_name_leads_to_the_new_one(monkeypatch):
    """A name that a module had warns and is the new one; a name that it never had is none."""
    module = types.ModuleType("some_module")
    module.New = object()
    module.__getattr__ = renamed("some_module", {"Old": "New"}, since="0.2.0", until="0.3.0")
    monkeypatch.setitem(sys.modules, "some_module", module)
    with pytest.warns(RunStoreDeprecationWarning, match="use some_module.New") as caught:
        assert module.New is module.Old
    assert __file__ == caught[0].filename
    with pytest.raises(AttributeError, match="no attribute 'Other'"):
        module.Other  # noqa: B018


def test_an_argument_can_warn():
    """A function that is called with something old names its own caller."""

    def verb(old=None):
        if old is not None:
            warn_deprecated("old=", since="0.2.0", until="0.3.0", instead="omit it")

    with pytest.warns(RunStoreDeprecationWarning, match="old= is deprecated") as caught:
        verb(old=1)
    assert __file__ == caught[0].filename


def test_the_former_name_of_the_suite_of_places_warns():
    """`BackendTests` is `PlaceTests`."""
    code = (
        "from runstore.testing import BackendTests, PlaceTests; assert BackendTests is PlaceTests"
    )
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", code], capture_output=True, text=True, check=True
    )
    assert "use runstore.testing.PlaceTests" in done.stderr
