"""Small texts, bytes and JSON go their own way, and nobody can tell it from the other one."""

import copy
import json
import math
import pickle
import threading

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstore import ObjectStore, containers, object_store, run_context
from runstore.buffers import flat
from runstore.containers import Header
from runstore.errors import (
    CorruptObjectError,
    InvalidNameError,
    InvalidRequestError,
    StoreClosedError,
    UnsafePickleError,
)
from runstore.objects import _objects as stored
from runstore.store import _objects, _small, _verbs

VALUES = [
    *(b"", b"abc", bytearray(b"abc"), "", "text", "schön 🙂", "x" * 70_000, b"x" * 70_000),
    *(None, True, 7, -(10**40), 1.5, [], {}, [1, "a", None], {"a": {"b": [1.25]}}),
    *("\ud800", 10**5000, [1] * 300, list(range(2000)), [(1, 2)], {1: 2}, [[]] * 3),
]


@pytest.fixture
def view():
    return ObjectStore("memory://small").at(namespace="dev", run="r1")


@pytest.fixture
def only_small(monkeypatch):
    """Let every other way of `put` and `get` fail."""

    def other(*args, **kwargs):
        raise AssertionError("went the usual way")

    def use():
        monkeypatch.setattr(_objects, "container_file", other)
        monkeypatch.setattr(stored, "open_object", other)

    return use


def document(view, name):
    data, _ = view.store.backend.get(f"dev/r1/{name}.arrow")
    return json.loads(pa.ipc.open_file(pa.py_buffer(data)).metadata[b"runstore.object"])


@pytest.mark.parametrize("at", range(len(VALUES)))
def test_both_ways_store_the_same(view, at):
    """The header, the value and its type are the same, whichever way it went."""
    value = VALUES[at]
    one, other = view.put("x", value), view.put("x", value, compression=None)
    facts = ("python_type", "codec", "pickled", "signed", "nbytes", "digest", "size", "versions")
    view.put("x", value)
    first = document(view, "x")
    view.put("x", value, compression=None)
    second = document(view, "x")
    for changing in ("created_at", "write_id"):
        del first[changing], second[changing]
    assert second == first
    for fact in facts:
        if fact != "size" or not one.pickled:
            assert getattr(other, fact) == getattr(one, fact), fact
    got = [view.get("x"), view.get("x"), view.get("x", verify=True)]
    assert [value] * 3 == got
    assert {type(value)} == set(map(type, got))


@pytest.mark.parametrize("value", [b"abc", bytearray(b"abc"), "text", {"a": [1, None]}, None])
def test_the_second_of_a_kind_goes_the_short_way(view, value, only_small):
    """So it is also for another name, and for another size."""
    view.put("first", value)
    view.get("first")
    only_small()
    view.put("second/name", value)
    assert value == view.get("second/name")


@given(
    name=st.text(min_size=1, max_size=40),
    value=st.one_of(st.binary(max_size=50), st.text(max_size=50), st.integers(), st.none()),
    workflow=st.text(max_size=9),
)
def test_headers_are_those_of_every_object(name, value, workflow):
    """Byte for byte what `Header.to_json` makes of the header that stands there."""
    if not name.isprintable() or "/" in name or "." in name:
        return
    with run_context("dev", run="r", workflow=workflow or "w", store="memory://headers"):
        try:
            object_store.put(name, value)
        except InvalidNameError:
            return
        backend = ObjectStore("memory://headers").backend
        (entry,) = backend.list("")
        data = flat(backend.get(entry.key)[0])
        text = pa.ipc.open_file(pa.py_buffer(data)).metadata[b"runstore.object"]
        assert text == Header.from_json(text, b"1", "x").to_json()
        assert object_store.get(name) == value
        assert object_store.get(name) == value
        object_store.delete(name)


def test_a_description_is_made_when_it_is_looked_at(view):
    """It can be compared, copied, pickled and shown before anybody has looked at a part of it."""
    infos = [view.put("x", "text") for _ in range(2)]
    kept = pickle.loads(pickle.dumps(view.put("y", "text")))
    assert "y" == kept.name
    assert copy.copy(infos[0]) == infos[0]
    assert infos[0] != infos[1]
    assert "builtins.str" in repr(view.put("x", "text"))
    assert "text" == view.put("x", "text").schema.names[0]
    assert 4 == view.put("x", "text").nbytes
    info = view.put("x", "text")
    assert info == view.stat("x")
    with pytest.raises(AttributeError, match="nothing"):
        info.nothing  # noqa: B018
    with pytest.raises(AttributeError):
        info.name = "y"
    assert "text" == view.get("x")
    view.put("x", "other", if_match=info.version)


def test_a_description_can_be_looked_at_by_many_threads(view):
    """All of them see all of it."""
    for _ in range(20):
        info, seen = view.put("x", b"abc"), []
        threads = [
            threading.Thread(target=lambda i=info, s=seen: s.append((i.name, i.digest, i.run)))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 1 == len(set(seen))
        assert 4 == len(seen)


def test_swapped_and_damaged_ones_are_told(view):
    """Objects that changed places, and any flipped byte, are found at the second look, too."""
    view.put("a", b"one")
    view.put("b", b"two")
    assert b"onetwo" == view.get("a") + view.get("b")
    backend = view.store.backend
    file = bytes(backend.get("dev/r1/a.arrow")[0])
    backend.put("dev/r1/b.arrow", [file])
    with pytest.raises(CorruptObjectError, match="stored as dev/r1/a"):
        view.get("b")
    backend.put("dev/r2/a.arrow", [file])
    with pytest.raises(CorruptObjectError, match="stored as dev/r1/a"):
        view.get("a", run="r2")
    for at in range(0, len(file), 7):
        changed = bytearray(file)
        changed[at] ^= 4
        backend.put("dev/r1/a.arrow", [bytes(changed)])
        with pytest.raises(CorruptObjectError):
            view.get("a")


def test_what_does_not_fit_its_codec_is_told(view):
    """A forged file with digests that fit gets the error that it gets in the usual way."""
    view.put("a", "text")
    view.get("a")
    from runstore.codecs import small_kinds
    from runstore.codecs._cells import encoded_cell

    _ = small_kinds
    encoded = encoded_cell("text", b"\xff\xfe")
    stat = view.stat("a")
    header = Header(
        namespace="dev",
        run="r1",
        name="a",
        type="builtins.str",
        codec="str",
        codec_version=1,
        created_at=stat.created_at,
        write_id="0",
        nbytes=2,
        versions=stat.versions,
    )
    file = containers.arrow_file(
        encoded.schema, encoded.batches, header, nbytes=2, cell=encoded.cell
    )
    view.store.backend.put("dev/r1/a.arrow", [b"".join(file)])
    for _ in range(2):
        with pytest.raises(Exception, match="dev/r1/a") as caught:
            view.get("a")
        assert caught.type.__module__ == "runstore.errors"


def test_scopes_and_wrong_arguments(view):
    """The namespace scope, and every error, are those of the usual way."""
    view.put("x", 1, scope="namespace")
    assert 1 == view.get("x", scope="namespace")
    assert view.put("x", 1, scope="namespace").run is None
    with pytest.raises(InvalidNameError):
        view.put("a//b", 1)
    with pytest.raises(InvalidRequestError, match="scope"):
        view.put("x", 1, scope="else")
    without = view.store.at(namespace="dev")
    with pytest.raises(InvalidRequestError, match="no run"):
        without.put("x", 1)
    without.put("y", 2, scope="namespace")
    assert view.get("y", scope="namespace") == 2
    assert "_RUN" in vars(_verbs)


def test_extensions_and_signatures_go_the_usual_way(monkeypatch, tmp_path):
    """A name with a dot may have an extension; a store that signs, signs all."""
    monkeypatch.setenv("RUNSTORE_SIGNING_KEY", "k" * 32)
    view = ObjectStore(tmp_path, pickle="signed").at(namespace="dev", run="r")
    assert view.put("x", "text").signed
    assert "text" == view.get("x") == view.get("x")
    view.put("x.json", [1])
    assert "[1]" == (tmp_path / "dev/r/x.json").read_text().strip()
    plain = ObjectStore(tmp_path).at(namespace="dev", run="r")
    plain.put("unsigned", "text")
    for _ in range(2):
        with pytest.raises(UnsafePickleError, match="not signed"):
            view.get("unsigned")


def test_a_closed_store_is_closed(tmp_path):
    """What was looked up for a run is looked up anew when its store is closed."""
    store = ObjectStore(tmp_path)
    with run_context("dev", store=store):
        object_store.put("x", 1)
        ObjectStore.from_address(store.address).close()
        assert 1 == object_store.get("x")
        object_store.put("x", 2)
    view = store.at(namespace="dev", run="r")
    view.put("x", 1)
    store.close()
    with pytest.raises(StoreClosedError):
        view.put("x", 2)
    assert len(_small._files) <= 256


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
        ),
        max_leaves=8,
    )
)
def test_any_json_comes_back(value):
    """Types, order and values; NaN, too."""
    view = ObjectStore("memory://json").at(namespace="dev", run="r1")
    view.put("x", value)
    got = view.get("x")
    assert json.dumps(value) == json.dumps(got)
    assert type(value) is type(got)
    assert value == got or math.nan in [value] or "NaN" in json.dumps(value)


def test_who_changes_an_info_changes_no_other(tmp_path):
    """Infos of one kind share what describes them, and each gives out its own dicts."""
    view = ObjectStore(tmp_path).at(namespace="n", run="r")
    for value in ("hello", {"a": 1}, list(range(1000))):
        info = view.put("x", value)
        info.versions["evil"] = info.metadata["evil"] = "9"
        for other in (view.put("y", value), view.stat("x"), view.stat("y")):
            assert "evil" not in {**other.versions, **other.metadata}
