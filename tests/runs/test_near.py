"""A run name that is unknown: the error names the run, and what may be meant."""

import pickle

import pytest

from runstore import ObjectStore, object_store, recorded_run, replay, run_context, run_workflow
from runstore.errors import ObjectNotFoundError
from runstore.places import Wrapper


@pytest.fixture
def store(tmp_path):
    """Three runs with a record and one without."""
    store = ObjectStore(tmp_path / "store")
    for name in ("train-1", "train-2", "fit"):
        with recorded_run("dev", name, store=store):
            pass
    with run_context("dev", "free", store=store):
        object_store.put("x", 1)
    return store


def flow():
    """A workflow of one stage."""
    return {"metadata": {"name": "w"}, "spec": {"stages": [{"name": "s", "target": print}]}}


CALLS = {
    "read_run": lambda store, run: store.read_run(run, namespace="dev"),
    "cancel_run": lambda store, run: store.cancel_run(run, namespace="dev"),
    "delete_run": lambda store, run: store.delete_run(run, namespace="dev"),
    "pin": lambda store, run: store.pin(run, namespace="dev"),
    "tag": lambda store, run: store.tag(run, ["x"], namespace="dev"),
    "note": lambda store, run: store.note(run, "x", namespace="dev"),
    "get": lambda store, run: store.at(namespace="dev", run=run).get("x"),
    "replay": lambda store, run: replay(run, "s", store=store, namespace="dev"),
    "resume": lambda store, run: run_workflow(flow(), store=store, namespace="dev", resume=run),
}


def test_every_call_names_the_run_and_the_near_ones(store):
    """A typed error, wherever a run is named that is not there."""
    for call, function in CALLS.items():
        with pytest.raises(ObjectNotFoundError) as caught:
            function(store, "trian-1")
        told = str(caught.value)
        assert "'trian-1'" in told, call
        assert "did you mean 'train-1' or 'train-2'?" in told, call


@pytest.mark.parametrize(
    ("name", "namespace", "end"),
    [
        ("train", "dev", "did you mean 'train-1' or 'train-2'?"),
        ("zzz", "dev", "; runs there: 'fit', 'train-1', 'train-2'"),
        ("free", "dev", "; it has objects and no record, as a run of run_context: recorded_run "
         "writes one"),
        ("x", "dve", "; there is no namespace 'dve': did you mean 'dev'?"),
        ("x", "other", "; there is no namespace 'other': there is 'dev'"),
    ],
)  # fmt: skip
def test_what_may_be_meant(store, name, namespace, end):
    """The beginning of names, similar ones, some that are there, or another namespace."""
    with pytest.raises(ObjectNotFoundError) as caught:
        store.read_run(name, namespace=namespace)
    assert str(pickle.loads(pickle.dumps(caught.value))).endswith(end)


def test_a_miss_that_is_handled_looks_nothing_up(store):
    """Only the message costs a look; and of a record that is there nothing is said."""
    asked = []

    class Seen(Wrapper):
        def list(self, prefix):
            asked.append(prefix)
            return super().list(prefix)

        def folders(self, prefix):
            asked.append(prefix)
            return super().folders(prefix)

    store._objects.backend = Seen(store.backend)
    with pytest.raises(ObjectNotFoundError) as caught:
        store.read_run("trian-1", namespace="dev")
    assert [] == asked
    assert "train-1" in str(caught.value)
    assert asked
    with pytest.raises(ObjectNotFoundError) as caught:
        store.at(namespace="dev", run="train-1").get("x")
    assert str(caught.value).endswith("nothing is stored there at all")
