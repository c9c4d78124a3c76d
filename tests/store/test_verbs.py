import pickle
import warnings
from importlib import metadata
from statistics import NormalDist

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from tests.test_names import BAD_NAMES, GOOD_NAMES

from runstore import ObjectStore, object_store, run_context
from runstore.codecs import PickleWarning
from runstore.errors import (
    BulkError,
    CorruptObjectError,
    InvalidNameError,
    InvalidRequestError,
    ObjectExistsError,
    ObjectNotFoundError,
    PreconditionFailedError,
    SettingsError,
    UnsafePickleError,
    UnsupportedValueError,
)
from runstore.lifetime import Bounded


class Unpicklable:
    def __reduce__(self):
        raise TypeError("not me")


def test_put_then_get_gives_the_value_back(view):
    """The common case: a name, a value, and back."""
    frame = pd.DataFrame({"a": [1.5, np.nan], "b": ["x", None]})
    info = view.put("train/features", frame, metadata={"source": "test"})
    pd.testing.assert_frame_equal(frame, view.get("train/features"))
    assert ("train/features", "run", "dev", "r1", 2, 2) == (
        info.name,
        info.scope,
        info.namespace,
        info.run,
        info.rows,
        info.columns,
    )
    assert ("arrow", "pandas", f"{pd.DataFrame.__module__}.DataFrame", False) == (
        info.format,
        info.codec,
        info.python_type,
        info.pickled,
    )
    assert {"source": "test"} == info.metadata


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_every_good_name_comes_back(view, name):
    """Each allowed name is found by get and shown by list exactly as it was put."""
    value = {"n": 1} if not name.endswith(".parquet") else pd.DataFrame({"n": [1]})
    view.put("other", 0)
    view.put(name, value)
    assert str(value) == str(view.get(name))
    assert sorted([name, "other"]) == [info.name for info in view.list()]
    assert name == view.stat(name).name
    view.delete(name)
    assert ["other"] == [info.name for info in view.list()]


@pytest.mark.parametrize("verb", ["put", "get", "exists", "stat", "delete"])
def test_every_bad_name_is_refused_before_anything_is_touched(store, tmp_path, verb):
    """Each name that breaks the rules raises InvalidNameError, alike on every backend."""
    view = store.at(namespace="dev", run="r1")
    for name in BAD_NAMES:
        with pytest.raises(InvalidNameError):
            getattr(view, verb)(*((name, 1) if verb == "put" else (name,)))
    assert [] == list(tmp_path.iterdir())


def test_stat_says_what_put_said(view):
    """What put() returned is what stat() and a detailed list() read later."""
    put = view.put("a", np.arange(10.0), metadata={"x": [1]})
    assert put == view.stat("a")
    assert [put] == view.list(details=True)
    assert ["value"] == view.stat("a").schema.names


def test_a_plain_list_knows_what_the_place_knows(view):
    """Without details, name, size, time and version are there, the rest is None."""
    put = view.put("a", 1)
    (listed,) = view.list()
    assert (put.name, put.size, put.version) == (listed.name, listed.size, listed.version)
    assert listed.python_type is None


def test_scopes_are_apart(view):
    """A run's object and the namespace's of the same name are two."""
    view.put("model", 1)
    view.put("model", 2, scope="namespace")
    assert (1, 2) == (view.get("model"), view.get("model", scope="namespace"))
    view.delete("model")
    assert [False, True] == [view.exists("model"), view.exists("model", scope="namespace")]
    assert [("model", None)] == [(i.name, i.run) for i in view.list(scope="namespace")]


def test_other_runs_and_namespaces_are_read_by_name(store):
    """run= and namespace= read what another run or namespace stored, and write nothing there."""
    store.at(namespace="dev", run="r1").put("x", 1)
    store.at(namespace="prod", run="r9").put("x", 9)
    store.at(namespace="prod").put("shared", 99, scope="namespace")
    with run_context(namespace="dev", run="r2", store=store):
        assert 1 == store.get("x", run="r1")
        assert 9 == store.get("x", run="r9", namespace="prod")
        assert 99 == store.get("shared", scope="namespace", namespace="prod")
        assert store.exists("x", run="r1")
        assert "r1" == store.stat("x", run="r1").run
        assert ["x"] == [i.name for i in store.list(run="r9", namespace="prod")]
        assert {"x": 1} == store.get_many(["x"], run="r1")
        with pytest.raises(ObjectNotFoundError):
            store.get("x")


def test_the_facade_uses_the_current_run(store):
    """object_store stores under the run, namespace, workflow and stage of the context."""
    with run_context(namespace="dev", run="r1", workflow="train", store=store) as ctx:
        object_store.put("x", 1)
        assert "dev/r1" in repr(object_store)
    info = store.at(namespace="dev", run="r1").stat("x")
    assert ("train", None) == (info.workflow, info.stage)
    with run_context(store=store):
        from runstore import use_run_context

        with use_run_context(ctx.at_stage("fit")):
            assert "fit" == object_store.put("y", 1).stage


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"scope": "global"}, "'run' or 'namespace'"),
        ({"scope": "namespace", "run": "r1"}, "has no meaning"),
        ({"namespace": "prod"}, "give run="),
    ],
)
def test_arguments_that_contradict_each_other_are_told(view, arguments, said):
    """A scope that does not exist, or a run where there is none, raises InvalidRequestError."""
    with pytest.raises(InvalidRequestError, match=said):
        view.get("x", **arguments)


def test_a_view_without_a_run_has_only_the_namespace(store):
    """Without a run, the run scope raises and says how to get one."""
    view = store.at(namespace="dev")
    view.put("a", 1, scope="namespace")
    for call in (lambda: view.put("a", 1), lambda: view.get("a"), view.list):
        with pytest.raises(InvalidRequestError, match=r"\.at\("):
            call()


def test_a_verb_of_other_programs_is_understood(view):
    """The AttributeError names the verb that does it here, on a store, a view and the module."""
    for owner in (view, view.store, object_store):
        for called, meant in (("load", "get"), ("save", "put"), ("remove", "delete")):
            with pytest.raises(AttributeError, match=f"'{called}': did you mean '{meant}'"):
                getattr(owner, called)
        with pytest.raises(AttributeError, match=r"has no attribute 'nonsense'$"):
            owner.nonsense  # noqa: B018
        assert not hasattr(owner, "__nothing__")


def test_what_is_missing_is_told_with_what_is_there(view):
    """The error names run and namespace, and the name that was perhaps meant."""
    with pytest.raises(ObjectNotFoundError, match="nothing is stored there at all"):
        view.get("features")
    view.put("features", 1)
    with pytest.raises(ObjectNotFoundError, match=r"did you mean 'features'\?"):
        view.get("featurs")
    with pytest.raises(ObjectNotFoundError, match="stored there: 'features'"):
        view.stat("zzz")
    elsewhere = view.store.at(namespace=f"{view.namespace}x", run="r")
    with pytest.raises(ObjectNotFoundError, match=r"there is no namespace .*did you mean"):
        elsewhere.get("features")
    view.put("model", 1, scope="namespace")
    with pytest.raises(ObjectNotFoundError, match="one with scope='namespace'") as caught:
        view.get("model")
    assert "dev/r1/model" == caught.value.ref
    assert "run 'r1' of namespace 'dev'" in str(caught.value)


def test_a_default_is_for_what_is_missing_only(view, monkeypatch):
    """default= answers for a missing object; any other failure still raises."""
    assert view.get("x", default=None) is None
    view.put("x", 1)
    monkeypatch.setattr(view.store.backend, "get", lambda key: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        view.get("x", default=None)


def test_deleting_nothing_raises_unless_it_may_be_missing(view):
    """delete() of nothing is ObjectNotFoundError, or nothing with missing_ok."""
    with pytest.raises(ObjectNotFoundError):
        view.delete("x")
    view.delete("x", missing_ok=True)


def test_if_absent_and_if_match(view):
    """if_absent creates once; if_match replaces only the version it names."""
    first = view.put("x", 1, if_absent=True)
    with pytest.raises(ObjectExistsError):
        view.put("x", 2, if_absent=True)
    second = view.put("x", 2, if_match=first.version)
    with pytest.raises(PreconditionFailedError):
        view.put("x", 3, if_match=first.version)
    assert (2, second.version) == (view.get("x"), view.stat("x").version)
    with pytest.raises(InvalidRequestError):
        view.put("x", 4, if_absent=True, if_match=second.version)


def test_a_value_that_cannot_be_stored_leaves_the_old_one(view):
    """What cannot be pickled is refused, naming object and type; the old value stays."""
    view.put("x", "old")
    with pytest.raises(UnsupportedValueError, match=r"dev/r1/x.*Unpicklable"):
        view.put("x", Unpicklable())
    assert "old" == view.get("x")


@pytest.mark.parametrize("metadata", [{"a": object()}, {1: "a"}, [1], "text", {"a": (1, 2)}])
def test_metadata_is_json(view, metadata):
    """Metadata that is not a JSON dict is refused before anything is written."""
    with pytest.raises(InvalidRequestError, match="metadata"):
        view.put("x", 1, metadata=metadata)
    assert [] == view.list()


def test_lists_are_sorted_by_name_and_filtered_by_prefix(view):
    """list() is sorted by name, and a prefix is plain text."""
    names = ["b", "a", "a/x", "a/y/z", "ab", "a b", "é", "x" * 300, "v1.2/a", "v1.2/b.json"]
    for name in names:
        view.put(name, 1)
    assert sorted(names) == [i.name for i in view.list()]
    assert ["a", "a b", "a/x", "a/y/z", "ab"] == [i.name for i in view.list("a")]
    assert ["a/x", "a/y/z"] == [i.name for i in view.list("a/")]
    assert ["a/y/z"] == [i.name for i in view.list("a/y/")]
    assert ["v1.2/a", "v1.2/b.json"] == [i.name for i in view.list("v1.2/")]
    assert ["x" * 300] == [i.name for i in view.list("xx")]
    assert [] == view.list("nothing/")


def test_many_at_once(view):
    """put_many, get_many and delete_many do each item, in order."""
    values = {f"n{i}": i for i in range(50)}
    assert list(values) == list(view.put_many(values))
    assert values == view.get_many(values)
    assert {"n1": 1, "zz": None} == view.get_many(["n1", "zz"], default=None)
    view.delete_many(values)
    assert [] == view.list()
    assert {} == view.put_many({})


def test_many_that_are_missing_cost_no_listing(view, monkeypatch):
    """What is there is looked up for the message about one name, and never for each of many."""
    backend, listed = view.store.backend, []
    real = backend.list
    monkeypatch.setattr(backend, "list", lambda prefix: listed.append(prefix) or real(prefix))
    names = [f"missing/{number}" for number in range(50)]
    for verb in (view.get_many, view.delete_many):
        with pytest.raises(BulkError) as caught:
            verb(names)
        assert names == list(caught.value.errors)
        assert {ObjectNotFoundError} == set(map(type, caught.value.errors.values()))
    assert [] == listed


def test_a_library_may_be_installed_under_another_name(view, monkeypatch):
    """A version that no package tells, as that of polars-lts-cpu, is what the module says."""
    real = metadata.version

    def version(name):
        if name in ("polars", "pyarrow"):
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr("runstore.store._encoding._version_cache", Bounded(10))
    info = view.put("x", pl.DataFrame({"a": [1]}))
    assert (pl.__version__, pa.__version__) == (info.versions["polars"], info.versions["pyarrow"])


def test_many_report_each_failure_and_do_the_rest(view):
    """BulkError has every failed item's own error and every other item's result."""
    with pytest.raises(BulkError) as caught:
        view.put_many({"a": 1, "b/": 2, "c": Unpicklable(), "d": 4})
    assert {"b/": InvalidNameError, "c": UnsupportedValueError} == {
        name: type(error) for name, error in caught.value.errors.items()
    }
    assert ["a", "d"] == list(caught.value.results)
    with pytest.raises(BulkError, match="1 of 3 objects could not be read") as caught:
        view.get_many(["a", "zz", "d"])
    assert {"a": 1, "d": 4} == caught.value.results
    with pytest.raises(BulkError):
        view.delete_many(["a", "zz"])
    assert ["d"] == [i.name for i in view.list()]


def test_copies(view):
    """copy() stores an object again under another name, scope or run, metadata and all."""
    put = view.put("model", np.arange(100_000.0), metadata={"rmse": 1.5})
    promoted = view.copy("model", to_scope="namespace")
    assert ("model", "namespace", {"rmse": 1.5}, put.created_at, put.digest) == (
        promoted.name,
        promoted.scope,
        promoted.metadata,
        promoted.created_at,
        promoted.digest,
    )
    view.copy("model", to_run="r2")
    view.copy("model", to_name="much/longer/" + "x" * 300)
    other = view.store.at(namespace="dev", run="r2")
    for get in (
        lambda: view.get("model", scope="namespace", verify=True),
        lambda: other.get("model", verify=True),
        lambda: view.get("much/longer/" + "x" * 300, verify=True),
    ):
        np.testing.assert_array_equal(np.arange(100_000.0), get())
    with pytest.raises(ObjectExistsError):
        view.copy("model", to_run="r2", if_absent=True)
    with pytest.raises(InvalidRequestError, match="same"):
        view.copy("model")
    with pytest.raises(InvalidRequestError, match="different formats"):
        view.copy("model", to_name="model.npy")
    with pytest.raises(ObjectNotFoundError):
        view.copy("zz", to_name="y")


def test_a_copy_of_parquet_and_json_and_foreign_files(view):
    """Objects of every format can be copied."""
    view.put("a.parquet", pd.DataFrame({"x": [1]}), metadata={"m": 1})
    view.put("a.json", [1])
    view.copy("a.parquet", to_name="b.parquet")
    view.copy("a.json", to_name="b.json")
    pd.testing.assert_frame_equal(pd.DataFrame({"x": [1]}), view.get("b.parquet", verify=True))
    assert ([1], {"m": 1}) == (view.get("b.json"), view.stat("b.parquet").metadata)


def test_what_is_read_can_be_written_to(view):
    """Frames and arrays that were read are the reader's own."""
    frame = pd.DataFrame(np.random.default_rng(0).random((50_000, 8)))
    view.put("frame", frame)
    view.put("array", frame.to_numpy().copy())
    got, array = view.get("frame"), view.get("array")
    got.iloc[0, 0] = -1
    got.fillna(0, inplace=True)
    array += 1
    pd.testing.assert_frame_equal(frame, view.get("frame"))
    np.testing.assert_array_equal(frame.to_numpy(), view.get("array"))


def test_a_result_survives_its_object(view):
    """A frame that was read stays as it is when the object is replaced and deleted."""
    frame = pd.DataFrame({"a": np.arange(200_000)})
    view.put("a", frame)
    got = view.get("a")
    view.put("a", frame + 1)
    view.delete("a")
    pd.testing.assert_frame_equal(frame, got)


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_compression_changes_size_and_nothing_else(view, compression):
    """A compressed object is smaller, equal, and can be written to."""
    frame = pd.DataFrame({"a": np.zeros(100_000), "b": ["x", None] * 50_000})
    plain = view.put("plain", frame)
    small = view.put("small", frame, compression=compression)
    assert small.size < plain.size / 4
    got = view.get("small")
    pd.testing.assert_frame_equal(frame, got)
    got.iloc[0, 0] = 1


def test_the_pickle_policy_deny(store):
    """A store that denies pickle neither writes nor loads any, but all else."""
    strict = ObjectStore(store.url, pickle="deny").at(namespace="dev", run="r1")
    view = store.at(namespace="dev", run="r1")
    strict.put("table", pd.DataFrame({"a": [1]}))
    for name, value in (
        ("x", NormalDist(1)),
        ("x.pkl", 1),
        ("f", pd.DataFrame({"a": [NormalDist(1), "x"]})),
    ):
        with pytest.raises(UnsafePickleError, match="deny"):
            strict.put(name, value)
        assert not strict.exists(name)
        view.put(name, value)
        with pytest.raises(UnsafePickleError, match=name):
            strict.get(name)
    assert strict.stat("x").pickled


def test_the_pickle_policy_warn(store):
    """A store that warns says so at put and at get."""
    view = ObjectStore(store.url, pickle="warn").at(namespace="dev", run="r1")
    with pytest.warns(PickleWarning, match="dev/r1/x"):
        view.put("x", NormalDist(1))
    with pytest.warns(PickleWarning, match="execute code"):
        assert NormalDist(1) == view.get("x")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        view.put("y", [1, 2])


def test_swapped_and_moved_objects_are_found_out(tmp_path):
    """An object that stands under another's key raises, naming both."""
    view = ObjectStore(tmp_path).at(namespace="dev", run="r1")
    view.put("a", 1)
    view.put("b", 2)
    folder = tmp_path / "dev" / "r1"
    (folder / "a.arrow").replace(folder / "b.arrow")
    with pytest.raises(CorruptObjectError, match=r"dev/r1/b .*stored as dev/r1/a"):
        view.get("b")
    with pytest.raises(CorruptObjectError):
        view.stat("b")


def test_another_programs_files_are_read_as_tables(tmp_path):
    """An Arrow or Parquet file that somebody else put there is a pyarrow Table."""
    import pyarrow as pa
    import pyarrow.feather
    import pyarrow.parquet

    view = ObjectStore(tmp_path).at(namespace="dev", run="r1")
    view.put("x", 1)
    table = pa.table({"a": [1, 2], "b": ["x", None]})
    pa.feather.write_feather(
        table, tmp_path / "dev" / "r1" / "foreign.arrow", compression="uncompressed"
    )
    pa.parquet.write_table(table, tmp_path / "dev" / "r1" / "foreign.parquet")
    (tmp_path / "dev" / "r1" / "notes.txt").write_text("x")
    assert table.equals(view.get("foreign"))
    assert table.equals(view.get("foreign.parquet"))
    listed = [info.name for info in view.list(details=True)]
    assert ["foreign", "foreign.parquet", "notes.txt", "x"] == listed
    assert "x" == view.get("notes.txt")
    assert view.stat("foreign").codec is None
    with pytest.raises(CorruptObjectError, match="no digest"):
        view.get("foreign", verify=True)


def test_a_store_pickles_as_its_address(store):
    """A store sent elsewhere is the store of the same address."""
    store.at(namespace="dev", run="r").put("x", 1)
    back = pickle.loads(pickle.dumps(store))
    assert (store.address, 1) == (back.address, back.at(namespace="dev", run="r").get("x"))
    assert store.url in repr(back)


@pytest.mark.parametrize(
    "option", [{"engine": "s3fs"}, {"cache": "/dev/shm/x"}, {"key": "hunter2"}]
)
def test_options_of_other_places_are_refused(option, tmp_path):
    """An option that has no meaning for this place raises, without a value that may be secret."""
    with pytest.raises(SettingsError) as caught:
        ObjectStore(tmp_path, **option)
    assert "hunter2" not in str(caught.value)


def test_infos_read_well(view):
    """An ObjectInfo shows itself in one line, and as HTML without letting markup through."""
    info = view.put("<b>x</b>", pd.DataFrame({"a": [1]}), metadata={"k": "<script>"})
    assert "1 rows × 1 columns" in repr(info)
    html = info._repr_html_()
    assert "&lt;b&gt;x&lt;/b&gt;" in html
    assert "<script>" not in html
    assert info == pickle.loads(pickle.dumps(info))
