"""Arguments of the verbs are checked before anything is touched, and said in one sentence."""

import multiprocessing
import pickle
import threading

import numpy as np
import pandas as pd
import pytest
from tests.store.test_damage import file_of

from runstore import ObjectStore
from runstore.context import new_run
from runstore.errors import (
    BulkError,
    CorruptObjectError,
    InvalidNameError,
    InvalidRequestError,
    UnsupportedValueError,
)

FRAME = pd.DataFrame({"a": [1]})


class RebuiltUntilBroken:
    """Pickles, and raises when it is unpickled once its class has changed."""

    broken = False
    error = RuntimeError("no state")

    def __getstate__(self):
        return {"a": 1}

    def __setstate__(self, state):
        if type(self).broken:
            raise type(self).error


class RaisesWhenAsked:
    def __getattr__(self, name):
        raise RuntimeError(name)


class CannotBeReduced:
    def __reduce__(self):
        raise OSError("no handle")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda v: v.put(FRAME, "x"), "put: name must be a str, not DataFrame; did you swap name"),
        (lambda v: v.put(1, 2), "put: name must be a str, not int"),
        (lambda v: v.put("x", 1, if_absent="no"), "put: if_absent must be True or False, not 'no'"),
        (lambda v: v.put("x", 1, if_match=1), "put: if_match must be a str or None, not int"),
        (
            lambda v: v.put("x", 1, compression="gzip"),
            "put: compression must be 'auto', 'lz4', 'zstd' or None, not 'gzip'",
        ),
        (lambda v: v.put("x", 1, compression=FRAME), "or None, not DataFrame"),
        (lambda v: v.put("x", 1, pickle="Deny"), r"not 'Deny'; did you mean 'deny'\?"),
        (lambda v: v.put("x", 1, scope=FRAME), "put: scope must be 'run' or 'namespace', not"),
        (lambda v: v.get(["a"]), "get: name must be a str, not list"),
        (lambda v: v.get("x", run=3), r"get: run must be the name of a run, -1 for .*, not 3"),
        (lambda v: v.get("x", run=""), "run is empty"),
        (lambda v: v.get("x", scope="namespace", namespace=""), "namespace is empty"),
        (
            lambda v: v.get("x", as_type="list"),
            "get: as_type must be a class or None, not 'list'; pass the class itself",
        ),
        (lambda v: v.get("x", as_type=list[int]), "write as_type=list"),
        (
            lambda v: v.get("x", as_type="polars"),
            "for a table of it write as_type=polars.DataFrame",
        ),
        (lambda v: v.get("x", as_type=42), "not 42"),
        (lambda v: v.get("x", as_type=RaisesWhenAsked()), "not RaisesWhenAsked"),
        (lambda v: v.get("x", columns="ab"), r"columns=\['ab'\]"),
        (lambda v: v.get("x", columns={"a"}), "a list of column labels or None, not set"),
        (lambda v: v.get("x", columns=[["a"]]), r"columns\[0\] must be a column label, not list"),
        (lambda v: v.get("x", verify="yes"), "get: verify must be 'auto', True or False, not 'yes"),
        (lambda v: v.get("x", verify=1), "get: verify must be"),
        (lambda v: v.get_with_info("x", columns="a"), "get_with_info: columns must be a list of"),
        (lambda v: v.get_with_info("x", verify=0), "get_with_info: verify must be"),
        (lambda v: v.exists(None), "exists: name must be a str, not NoneType"),
        (lambda v: v.stat(b"x"), "stat: name must be a str, not bytes"),
        (lambda v: v.list(None), "list: prefix must be a str, not NoneType"),
        (lambda v: v.list("a", details=1), "list: details must be True or False, not 1"),
        (lambda v: v.delete("x", missing_ok="yes"), "delete: missing_ok must be"),
        (lambda v: v.copy("x", to_name=1), "copy: to_name must be a str, not int"),
        (lambda v: v.copy("x", to_scope="all"), "copy: to_scope must be"),
        (lambda v: v.copy("x", to_run=""), "run is empty"),
        (lambda v: v.copy("x", to_scope="namespace", to_run="r2"), "has no meaning"),
        (lambda v: v.get_many("ab"), "get_many: names must be an iterable of str, not 'ab'; put"),
        (lambda v: v.get_many(None), "get_many: names must be an iterable of str, not None"),
        (lambda v: v.get_many(["a", 1]), r"get_many: names\[1\] must be a str, not int"),
        (lambda v: v.get_many([["a"]]), r"names\[0\] must be a str, not list"),
        (lambda v: v.get_many(["a"], scope="all"), "get_many: scope must be"),
        (lambda v: v.get_many(["a"], run="a/b"), "run 'a/b'"),
        (lambda v: v.put_many([("a", 1)]), "put_many: values must be a mapping with str as keys"),
        (lambda v: v.put_many({1: 2}), "not dict; it has the key 1"),
        (lambda v: v.delete_many("ab"), "delete_many: names must be an iterable of str"),
    ],
)
def test_a_wrong_argument_is_said_in_one_sentence(view, call, said):
    """The call, the argument, what it must be and what it was; nothing is touched."""
    view.put("x", FRAME)
    before = view.list()
    with pytest.raises((InvalidRequestError, InvalidNameError), match=said):
        call(view)
    assert before == view.list()


def test_columns_may_be_any_sequence_of_labels(view):
    """What `frame.columns` gives, and a tuple, are as good as a list."""
    view.put("x", pd.DataFrame({"a": [1], "b": [2]}))
    for columns in (["b"], ("b",), pd.Index(["b"]), np.array(["b"])):
        assert ["b"] == list(view.get("x", columns=columns).columns)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (CannotBeReduced(), r"CannotBeReduced cannot be pickled \(OSError: no handle"),
        (multiprocessing.Lock(), r"Lock: it is of use in this process only"),
        (threading.Lock(), r"lock: it is of use in this process only"),
        ((n for n in "ab"), r"generator: it gives its items once"),
    ],
    ids=["own", "multiprocessing", "threading", "generator"],
)
def test_what_cannot_be_pickled_is_an_unsupported_value(view, value, said):
    """The error names the object and the reason; the old value stays."""
    view.put("x", "old")
    with pytest.raises(UnsupportedValueError, match=f"cannot store dev/r1/x: a .*{said}"):
        view.put("x", value)
    assert "old" == view.get("x")


def test_what_a_value_raises_while_it_is_rebuilt_is_no_damage(view, monkeypatch):
    """Whatever a ``__setstate__`` raises names the object and the way to its bytes."""
    view.put("x", RebuiltUntilBroken())
    monkeypatch.setattr(RebuiltUntilBroken, "broken", True)
    with pytest.raises(UnsupportedValueError, match=r"dev/r1/x: .* RuntimeError: no state while"):
        view.get("x")
    assert view.get("x", as_type=bytes)


@pytest.mark.parametrize("name", ["x", "x.pkl"])
@pytest.mark.parametrize("large", [False, True], ids=["small", "mapped"])
@pytest.mark.parametrize("error", [EOFError, pickle.UnpicklingError, IndexError])
def test_what_a_class_raises_is_no_damage_if_pickle_raises_it_for_damage(
    view, monkeypatch, name, large, error
):
    """The bytes fit their digest, so it is the class that is named, not the file."""
    monkeypatch.setattr(RebuiltUntilBroken, "error", error("own"))
    view.put(name, [RebuiltUntilBroken(), np.arange(200_000 if large else 2)])
    monkeypatch.setattr(RebuiltUntilBroken, "broken", True)
    with pytest.raises(UnsupportedValueError, match=f"dev/r1/{name}: .* {error.__name__}: own"):
        view.get(name)


class Scaled:
    """Changes its array while it is rebuilt."""

    broken = False

    def __init__(self):
        self.array = np.arange(200_000)

    def __setstate__(self, state):
        state["array"] *= 2
        if type(self).broken:
            raise ValueError("too large")


def test_a_class_that_changes_its_arrays_and_then_fails_is_no_damage(view, monkeypatch):
    """The memory of a mapped object fits no digest any more, and the file does."""
    view.put("x", Scaled())
    monkeypatch.setattr(Scaled, "broken", True)
    with pytest.raises(UnsupportedValueError, match="ValueError: too large"):
        view.get("x")


def test_damage_that_pickle_takes_for_something_else_is_damage(tmp_path):
    """In a mapped object it is looked for when the unpickler fails, whatever it says."""
    view = ObjectStore(tmp_path / "store").at(namespace="dev", run="r1")
    value = Scaled()
    value.text = "é" * 50
    view.put("x", value)
    path = file_of(view, "x")
    stored = path.read_bytes()
    damaged = stored.replace("é".encode() * 50, b"\xff" * 100)
    assert stored != damaged
    path.write_bytes(damaged)
    with pytest.raises(CorruptObjectError, match="damaged"):
        view.get("x")


def test_a_state_that_its_class_takes_no_more_is_no_damage(view, monkeypatch):
    """The interpreter itself refuses it, as it refuses a damaged pickle."""
    view.put("x", RebuiltUntilBroken())
    monkeypatch.delattr(RebuiltUntilBroken, "__setstate__")
    assert {"a": 1} == vars(view.get("x"))
    monkeypatch.undo()
    monkeypatch.setattr(RebuiltUntilBroken, "__getstate__", lambda self: 5)
    view.put("x", RebuiltUntilBroken())
    monkeypatch.delattr(RebuiltUntilBroken, "__setstate__")
    with pytest.raises(UnsupportedValueError, match="state is not a dictionary"):
        view.get("x")


def test_every_item_of_many_has_an_outcome(view, monkeypatch):
    """An item that raises what it likes costs no other item's result."""
    with pytest.raises(BulkError) as put:
        view.put_many({"a": 1, "lock": multiprocessing.Lock(), "own": CannotBeReduced(), "b": 2})
    assert ["a", "b"] == list(put.value.results)
    assert {"lock": UnsupportedValueError, "own": UnsupportedValueError} == {
        name: type(error) for name, error in put.value.errors.items()
    }
    view.put("c", RebuiltUntilBroken())
    monkeypatch.setattr(RebuiltUntilBroken, "broken", True)
    with pytest.raises(BulkError, match="1 of 3") as got:
        view.get_many(["a", "c", "b"])
    assert {"a": 1, "b": 2} == got.value.results
    assert UnsupportedValueError is type(got.value.errors["c"])


def test_an_iterable_of_names_raises_its_own_error(view):
    """What the caller's own iterator raises reaches the caller as it is."""

    def names():
        yield "a"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        view.get_many(names())


class Raises:
    """Raises what it is told to when it is pickled."""

    def __init__(self, error):
        self.error = error

    def __reduce__(self):
        raise self.error


class OwnExit(BaseException):
    """Is no Exception."""


@pytest.mark.parametrize("error", [SystemExit(1), GeneratorExit(), OwnExit()])
def test_an_item_that_would_end_the_program_costs_no_other_its_result(view, monkeypatch, error):
    """It is the error of that item alone, of put and of get."""
    with pytest.raises(BulkError) as put:
        view.put_many({"a": 1, "own": Raises(error), "b": 2})
    assert {"a", "b"} == set(put.value.results)
    view.put("own", RebuiltUntilBroken())
    monkeypatch.setattr(RebuiltUntilBroken, "broken", True)
    monkeypatch.setattr(RebuiltUntilBroken, "error", error)
    with pytest.raises(BulkError) as got:
        view.get_many(["a", "own", "b"])
    assert {"a": 1, "b": 2} == got.value.results
    for many, done in [(put, "stored"), (got, "read")]:
        assert UnsupportedValueError is type(many.value.errors["own"])
        said = f"'own' could not be {done}: its own code raised {type(error).__name__}"
        assert said in str(many.value)
        assert error is many.value.errors["own"].__cause__


def test_an_interrupt_of_an_item_ends_the_call(view):
    """Whoever raises it, KeyboardInterrupt is no item's error."""
    with pytest.raises(KeyboardInterrupt):
        view.put_many({"a": 1, "own": Raises(KeyboardInterrupt())})


def test_an_error_of_many_without_a_text_is_said_by_its_type(view):
    """Running out of memory says nothing about itself."""
    with pytest.raises(BulkError, match=r"\(own: MemoryError\)"):
        view.put_many({"own": Raises(MemoryError())})


def test_a_record_in_the_place_of_its_name_is_told(store):
    """Who has a run at hand is told to give its name."""
    run = new_run("w", namespace="ns", name="a")
    view = store.at(namespace="ns", run="b")
    for ask in (
        lambda: store.at(namespace="ns", run=run),
        lambda: view.get("x", run=run),
        lambda: store.read_run(run, namespace="ns"),
        lambda: store.pin(run),
    ):
        with pytest.raises((InvalidNameError, InvalidRequestError), match="WorkflowRun; pass run"):
            ask()
