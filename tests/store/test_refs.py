"""References name one version of an object, in a text that travels, and never another one."""

import json
import pickle
import uuid

import pandas as pd
import pyarrow as pa
import pytest
from tests.places.s3_ import ENGINES, STORES, open_store

from runstore import ObjectStore
from runstore.errors import (
    InvalidNameError,
    InvalidRequestError,
    ObjectNotFoundError,
    PreconditionFailedError,
)
from runstore.objects import earlier_digest
from runstore.store import ObjectRef

FRAME = pd.DataFrame({"a": range(100_000), "b": 1.5})
VALUES = {
    "text": "text",
    "a/frame": FRAME,
    "x.parquet": FRAME,
    "x.json": {"a": 1},
    "report.html": "<h1>",
    "x.bin": bytes(2 << 20),
    "model.v2": (1, 2),
    "odd @ é %#?.v1": [1],
    "long " * 80: [2],
}


@pytest.fixture(params=STORES)
def store(request, tmp_path):
    """Give an empty store at each place."""
    if request.param in ENGINES:
        return open_store(request.getfixturevalue("moto_server"), request.param)
    if request.param == "memory":
        return ObjectStore(f"memory://{uuid.uuid4()}")
    return ObjectStore(tmp_path / "store")


def same(expected, actual):
    """Say whether two values are equal, frames too."""
    if isinstance(expected, pd.DataFrame):
        return expected.equals(actual)
    return type(expected) is type(actual) and expected == actual


@pytest.mark.extended
def test_a_reference_reads_its_version_and_no_other(store):
    """It is good as long as an equal value is there; of another value it says that it is gone."""
    view, other = store.at(namespace="n", run="r:1"), store.at(namespace="m", run="s")
    for name, value in VALUES.items():
        view.put(name, value)
        ref = view.ref(name)
        assert ("n", "r:1", name) == (ref.namespace, ref.run, ref.name)
        assert f"runstore://n/r:1/{name}@{ref.digest}" == ref
        text = json.loads(json.dumps({"ref": ref}))["ref"]
        assert str is type(text)
        for one in (ref, text, pickle.loads(pickle.dumps(ref))):
            assert same(value, other.get(one))
        value_again, info = view.get_with_info(ref)
        assert same(value, value_again)
        assert (name, view.stat(name).version) == (info.name, info.version)
        view.put(name, value)
        assert same(value, view.get(ref))
        changed = value + "!" if isinstance(value, str) else value
        if isinstance(value, pd.DataFrame):
            changed = value.rename_axis("index") if name == "a/frame" else value.assign(b=2.5)
        elif isinstance(value, bytes):
            changed = bytes([1]) + value[1:]
        elif isinstance(value, (list, tuple)):
            changed = type(value)((*value, 3))
        elif isinstance(value, dict):
            changed = {"a": 2}
        view.put(name, changed)
        for act in (lambda ref=ref: view.get(ref), lambda ref=ref: view.get_with_info(ref)):
            with pytest.raises(PreconditionFailedError, match="was replaced since"):
                act()
        view.put(name, value)
        assert same(value, view.get(ref))
        view.delete(name)
        with pytest.raises(ObjectNotFoundError):
            view.get(ref)
        assert 7 == view.get(ref, default=7)


def test_references_of_columns_and_parts(store):
    """Columns, a type and one part are read of the version that is meant; of an old one nothing."""
    view = store.at(namespace="n", run="r")
    view.put("frame", FRAME)
    ref = view.ref("frame")
    assert ["b"] == list(view.get(ref, columns=["b"]).columns)
    assert pa.Table is type(view.get(ref, as_type=pa.Table))
    for key in (1, 2):
        view.put("parts", pd.DataFrame({"a": [key]}), part=key)
    view.seal("parts")
    sealed = view.ref("parts")
    assert [1, 2] == view.get(sealed)["a"].to_list()
    assert [2] == view.get(sealed, part=2)["a"].to_list()
    view.put("parts", pd.DataFrame({"a": [3]}), part=3)
    view.seal("parts")
    view.put("frame", FRAME[:5])
    for act in (
        lambda: view.get(sealed),
        lambda: view.get(sealed, part=2),
        lambda: view.get(ref, columns=["b"]),
    ):
        with pytest.raises(PreconditionFailedError):
            act()


def test_what_runs_share(store):
    """What the runs of a namespace share has a reference, too."""
    view = store.at(namespace="n")
    view.put("model", 1, scope="namespace")
    ref = view.ref("model", scope="namespace")
    assert (None, "runstore://n/_shared/model@") == (ref.run, ref[:-32])
    assert 1 == store.at(namespace="other", run="r").get(ref)


@pytest.mark.parametrize(
    "text",
    ["", "x", "runstore://", "runstore://n/r/x", "runstore://n/r/x@123",
     "runstore://n/r/@" + "0" * 32, "runstore://n/_x/x@" + "0" * 32,
     "runstore://n/r/../x@" + "0" * 32, 1, None],
)  # fmt: skip
def test_what_is_no_reference(text, tmp_path):
    """A text of another form, or one that names no object, is refused."""
    with pytest.raises(InvalidNameError):
        ObjectRef(text)
    if isinstance(text, str) and text.startswith("runstore://"):
        with pytest.raises(InvalidNameError):
            ObjectStore(tmp_path).at(namespace="n", run="r").get(text)


def test_a_reference_has_its_place(tmp_path):
    """Another place beside a reference is refused, and so is a reference to nothing."""
    view = ObjectStore(tmp_path).at(namespace="n", run="r")
    view.put("x", 1)
    ref = view.ref("x")
    assert f"ObjectRef({str(ref)!r})" == repr(ref)
    for how in ({"run": "s"}, {"namespace": "m"}, {"scope": "namespace"}):
        with pytest.raises(InvalidRequestError, match="names its namespace and run"):
            view.get(ref, **how)
    with pytest.raises(ObjectNotFoundError, match="none"):
        view.ref("none")


def test_a_reference_to_a_parquet_file_is_of_its_columns_too(tmp_path):
    """A file with another name of a column, and the same data, is another version."""
    view = ObjectStore(tmp_path / "store").at(namespace="n", run="r")
    table = pa.table({"a": [1, 2]})
    view.put("x.parquet", table)
    ref = view.ref("x.parquet")
    view.put("x.parquet", table)
    assert table.equals(view.get(ref))
    view.put("x.parquet", table.rename_columns(["b"]))
    with pytest.raises(PreconditionFailedError):
        view.get(ref)


def test_references_of_earlier_versions_to_parquet_files_are_read(tmp_path):
    """Their digest left the columns out; it still names the data that it named."""
    view = ObjectStore(tmp_path / "store").at(namespace="n", run="r")
    view.put("x.parquet", pa.table({"a": [1, 2]}))
    header = view._target().objects.header("n/r/x.parquet")
    digest = earlier_digest(header, view.stat("x.parquet").digest)
    assert [1, 2] == view.get(f"runstore://n/r/x.parquet@{digest}")["a"].to_pylist()
