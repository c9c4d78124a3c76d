"""Whether an exception is a fault of runstore's own code; and that such a one is told as it is."""

import ast
from pathlib import Path

import pandas as pd
import pytest

import runstore
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


_SHOWN = "it is the text of a user's object for a message, which has to come"
_OF_DASK = "a result was lost just now, with its worker, and Dask raises anything then"
_LEFT = "it gives up what a write that failed has left; the failure itself goes on"
_ONE_CALL = "one call of a user's class, and no line of ours within"

# Where an exception of any kind is dropped, and why.
_DROPPED = {
    "codecs/_parts.py unpicklable": "pickling has failed before, and this says in what part",
    "codecs/_pickle.py _told": _SHOWN,
    "codecs/_refused.py graph_of": _ONE_CALL,
    "codecs/_trial.py _told": _SHOWN,
    "executors/_dask.py _reported": _OF_DASK,
    "executors/_dask_outcomes.py _ended": _OF_DASK,
    "executors/_failures.py pack": "a failure has to be told, if only by a stand-in",
    "executors/_failures.py unpack": "a failure has to be told, if only by a stand-in",
    "executors/_logs.py _message": _SHOWN,
    "executors/_logs.py see": "it is told as logging tells it: a line must not end a stage",
    "executors/_logs.py sending": "the engine has gone away, which its own calls tell",
    "executors/_ray_logs.py _take": "the engine has gone away, which its own calls tell",
    "executors/_remote.py pickled_small": "the next line pickles it again, and asks",
    "places/_fsspec/_probe.py probe": _LEFT,
    "places/_fsspec/_writing.py _discard": _LEFT,
    "places/_fsspec/_writing.py _renamed": _LEFT,
    "steps/_reports.py __call__": "it is logged, with its traceback",
    "store/_orchestrated.py tell": "it is logged, with its traceback",
    "workflows/_events.py _tell": "it is logged, with its traceback",
}
# Where one is raised as another without asking, and why.
_TRANSLATED = {
    "arguments.py path_text": _ONE_CALL,
    "store/_bulk.py begun": "errors are passed on before: this is SystemExit and its like",
}


def _catches_all(kinds: list[ast.expr]) -> bool:
    """Return whether these classes of exceptions have that of all."""
    each = [one for kind in kinds for one in getattr(kind, "elts", [kind])]
    return any(
        isinstance(one, ast.Name) and one.id in ("Exception", "BaseException") for one in each
    )


def _what_becomes(handler: ast.ExceptHandler) -> str | None:
    """Return what a handler does with an exception; None if it asks, or passes it on."""
    raised = [one for one in ast.walk(handler) if isinstance(one, ast.Raise)]
    asks = any(word in ast.unparse(handler) for word in ("is_own_fault", "says_no"))
    if asks or any(one.exc is None for one in raised):
        return None
    if raised:
        return "translated"
    return None if handler.name else "dropped"


def _handled(tree: ast.AST, function: str = "") -> list[tuple[str, str]]:
    """Return the functions that catch all exceptions, each with what becomes of them."""
    found = []
    for node in ast.iter_child_nodes(tree):
        inner = node.name if isinstance(node, ast.FunctionDef) else function
        if isinstance(node, ast.ExceptHandler) and node.type and _catches_all([node.type]):
            what = _what_becomes(node)
            found += [(inner, what)] if what else []
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
            found += [(inner, "dropped")] if _catches_all(node.args) else []
        found += _handled(node, inner)
    return found


def test_what_is_dropped_or_told_as_another_error_was_asked_for():
    """Handlers of all exceptions ask whether it is our fault, pass it on, or have a reason here."""
    source = Path(runstore.__file__).parent
    found = {"dropped": set(), "translated": set()}
    for path in source.rglob("*.py"):
        for function, what in _handled(ast.parse(path.read_text())):
            found[what].add(f"{path.relative_to(source).as_posix()} {function}")
    assert {"dropped": set(_DROPPED), "translated": set(_TRANSLATED)} == found
