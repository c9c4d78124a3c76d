"""Whether an exception is a fault of runstore's own code; and that such a one is told as it is."""

import pandas as pd
import pytest

from runstore import ObjectStore, codecs
from runstore.codecs import _trial
from runstore.errors import UnsupportedFormatError, UnsupportedValueError
from runstore.faults import is_own_fault
from runstore.lifetime import Bounded

FAULTS = {
    "an assertion": "assert not value",
    "a missing name": "value + nowhere",
    "an attribute of None": "None.value",
}
OTHERS = {
    "a wrong value": "int('x')",
    "a key that is not there": "{}['x']",
    "an attribute of a value": "value.nowhere",
    "an end": "raise SystemExit",
}


def raised(code: str, module: str) -> BaseException:
    """Return what a line of *module* raises."""
    names = {"__name__": module, "value": 1}
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - of any class
        exec(compile(code, f"<{module}>", "exec"), names)
    return caught.value


def raising(code: str, module: str):
    """Return a function of *module* that runs a line, with the argument as *value*."""
    names = {"__name__": module}
    exec(compile(f"def call(value, *_, **__):\n    {code}", f"<{module}>", "exec"), names)
    return names["call"]


@pytest.mark.parametrize("code", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_ours_where_our_line_raised_it(code):
    """The same line in a library, or in the user's code, is not our fault."""
    assert is_own_fault(raised(code, "runstore.codecs._new"))
    assert not is_own_fault(raised(code, "runstore_plugin"))
    assert not is_own_fault(raised(code, "pandas.core"))


@pytest.mark.parametrize("code", OTHERS.values(), ids=OTHERS)
def test_what_any_code_may_raise_is_no_fault(code):
    """Values that do not fit are what checks and libraries are for."""
    assert not is_own_fault(raised(code, "runstore.codecs._new"))


def test_an_exception_that_nobody_raised_is_no_fault():
    """Without a traceback nothing says whose it is."""
    assert not is_own_fault(AssertionError())


@pytest.mark.parametrize("code", FAULTS.values(), ids=FAULTS)
def test_a_fault_in_decoding_is_not_called_an_object_that_cannot_be_read(code, monkeypatch):
    """The same error in a library is, as the object may be of other versions of it."""
    monkeypatch.setattr(_trial, "_read", Bounded(16))  # no kind was tried by other tests
    view = ObjectStore("memory://faults").at(namespace="dev", run="r1")
    view.put("a", pd.DataFrame({"x": [1.5]}))
    codec = type(codecs.codec_named("pandas"))
    monkeypatch.setattr(codec, "decode", raising(code, "runstore.codecs._pandas"))
    with pytest.raises((AssertionError, NameError, AttributeError)):
        view.get("a")
    with pytest.raises((AssertionError, NameError, AttributeError)):
        view.put("b", pd.Series(["of a kind that was not tried"], dtype="string"))
    monkeypatch.setattr(codec, "decode", raising(code, "pandas.core"))
    with pytest.raises(UnsupportedFormatError, match="cannot be rebuilt"):
        view.get("a")
    with pytest.raises(UnsupportedValueError, match="read"):
        view.put("b", pd.Series(["of a kind that was not tried"], dtype="string"))
    assert not view.exists("b")
