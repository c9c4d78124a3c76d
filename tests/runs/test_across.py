"""Reading across runs: the newest finished run of a workflow, earlier ones, and pages of runs."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runstore import ObjectStore, object_store, recorded_run, run_context
from runstore.context import new_run, new_run_name
from runstore.errors import InvalidRequestError, NoRunContextError, ObjectNotFoundError
from runstore.places import Wrapper
from runstore.runs import latest_named, move_latest
from runstore.workflows import run_workflow

START = datetime(2026, 1, 1, tzinfo=UTC)


def finished(store, minutes, workflow="train", name=None, namespace="n", state="finished"):
    """Write the record of a run, and let it be the newest of its workflow."""
    at = START + timedelta(minutes=minutes)
    run = new_run(workflow, namespace=namespace, name=name or new_run_name(workflow, at))
    run = run.model_copy(update={"started_at": at, "state": state})
    store.write_run(run)
    if state == "finished":
        move_latest(store.backend, run)
    return run


@pytest.fixture
def store(tmp_path):
    """A store on disk."""
    return ObjectStore(tmp_path / "store")


def test_the_latest_only_moves_forward(store):
    """A run that started earlier and ended later does not replace one that started later."""
    first, second = finished(store, 1), finished(store, 2)
    assert second.name == latest_named(store.backend, "n", "train")
    assert not move_latest(store.backend, first)
    assert second.name == latest_named(store.backend, "n", "train")
    assert latest_named(store.backend, "n", "other") is None
    assert latest_named(store.backend, "m", "train") is None


def test_workflows_of_any_name_have_a_latest(store):
    """Names with slashes, dots and 300 letters do not meet."""
    names = ["a/b", ".", "..", "a.b", "é" * 200, "é" * 201, "train"]
    runs = {name: finished(store, n, name, name=f"r{n}") for n, name in enumerate(names)}
    for name, run in runs.items():
        assert run.name == latest_named(store.backend, "n", name)


def test_a_damaged_pointer_is_found_out(store, tmp_path):
    """The records are the truth: what is no pointer is passed over, and written anew."""
    run = finished(store, 1)
    (path,) = (tmp_path / "store" / "n" / "_latest").iterdir()
    for data in (b"", b"{", b"[1]", json.dumps({"run": "x", "started_at": "soon"}).encode()):
        path.write_bytes(data)
        assert run.name == latest_named(store.backend, "n", "train")
    later = finished(store, 2)
    assert later.name == json.loads(path.read_bytes())["run"]


class Counting(Wrapper):
    """A place that counts what is read; it is far away: each look is a request."""

    def __init__(self, backend):
        super().__init__(backend)
        self.asked = []

    @property
    def guarantees(self):
        return replace(self._backend.guarantees, mapped=False)

    def get(self, key, **how):
        self.asked.append(key)
        return self._backend.get(key, **how)

    def list(self, prefix):
        self.asked.append(prefix)
        return self._backend.list(prefix)


def test_get_from_the_latest_is_one_request_more(store):
    """`workflow=` reads the pointer, then the object; every verb that reads takes it."""
    for minutes in (1, 2):
        run = finished(store, minutes)
        store.at(namespace="n", run=run.name).put("model", minutes)
    failed = finished(store, 3, state="failed")
    store.at(namespace="n", run=failed.name).put("model", 3)
    view = store.at(namespace="n")
    store._objects.backend = place = Counting(store.backend)
    assert 2 == view.get("model", workflow="train")
    assert 2 == len(place.asked)
    assert view.exists("model", workflow="train")
    assert view.stat("model", workflow="train").run == view.get_with_info("model", run=-1)[1].run
    assert [2, 1] == [view.get("model", run=-count) for count in (1, 2)]
    with pytest.raises(ObjectNotFoundError, match=r"no finished run in namespace 'n'.* for run=-3"):
        view.get("model", run=-3)


def test_a_run_that_began_later_is_not_before_this_one(store):
    """`run=-1` looks back from the start of the run that asks, whatever has ended since."""
    for minutes in (1, 2, 3):
        run = finished(store, minutes)
        store.at(namespace="n", run=run.name).put("model", minutes)
    names = [run.name for run in store.runs("n")][::-1]
    assert 1 == store.at(namespace="n", run=names[1]).get("model", run=-1)
    assert 2 == store.at(namespace="n", run=names[2]).get("model", run=-1)
    with pytest.raises(ObjectNotFoundError, match="no finished run"):
        store.at(namespace="n", run=names[0]).get("model", run=-1)
    with recorded_run(workflow="train", namespace="n", run="mine", store=store):
        later = finished(store, 10_000_000)
        store.at(namespace="n", run=later.name).put("model", "later")
        assert 3 == object_store.get("model", run=-1)


def test_a_mistyped_workflow_is_told_with_those_that_have_runs(store):
    """One that has runs, and none that has finished, is none that is mistyped."""
    finished(store, 1)
    view = store.at(namespace="n")
    for workflow, told in (("tran", "did you mean 'train'?"), ("x", "with runs there: 'train'")):
        with pytest.raises(ObjectNotFoundError, match="no finished run of workflow") as caught:
            view.get("model", workflow=workflow)
        assert told in str(caught.value)
    failed = finished(store, 2, state="failed").model_copy(update={"workflow": "tran"})
    store.write_run(failed)
    with pytest.raises(ObjectNotFoundError) as caught:
        view.get("model", workflow="tran")
    assert str(caught.value).endswith("; none of its runs has finished")


def test_without_an_earlier_run_there_is_the_default(store):
    """The first run of a workflow asks for the model of the one before."""
    view = store.at(namespace="n", run="r")
    assert 0 == view.get("model", workflow="train", default=0) == view.get("m", run=-1, default=0)
    assert not view.exists("model", workflow="train")
    with pytest.raises(ObjectNotFoundError, match="no finished run of workflow 'train'"):
        view.get("model", workflow="train")
    with pytest.raises(InvalidRequestError, match="give one of them"):
        view.get("model", run="r", workflow="w")
    for wrong in ({"run": 1}, {"run": True}, {"run": 1.5}):
        with pytest.raises(InvalidRequestError, match="run must be the name of a run"):
            view.get("model", **wrong)
    with pytest.raises(InvalidRequestError, match="scope='namespace'"):
        view.get("model", scope="namespace", workflow="w")


def test_a_deleted_latest_gives_way_to_the_one_before(store):
    """Who asks for the latest gets the newest that is still there."""
    runs = [finished(store, minutes) for minutes in (1, 2, 3)]
    for run in runs:
        store.at(namespace="n", run=run.name).put("model", run.name)
    for left in (2, 1):
        store.delete_run(runs[left].name, namespace="n")
        assert runs[left - 1].name == store.at(namespace="n").get("model", workflow="train")
    store.delete_run(runs[0].name, namespace="n")
    assert store.at(namespace="n").get("model", workflow="train", default=None) is None


def test_the_latest_is_one_that_is_there(store):
    """Where a look costs nothing it is seen that a run is gone, or has not finished after all."""
    runs = [finished(store, minutes) for minutes in (1, 2)]
    store.backend.delete(f"n/_runs/{runs[1].name}.json")  # by hand, or a crash
    assert runs[0].name == latest_named(store.backend, "n", "train")
    store.write_run(runs[1].model_copy(update={"state": "failed"}))
    assert runs[0].name == latest_named(store.backend, "n", "train")
    store.write_run(runs[1])
    assert runs[1].name == latest_named(store.backend, "n", "train")
    store.backend.delete_many([f"n/_runs/{run.name}.json" for run in runs])
    assert latest_named(store.backend, "n", "train") is None


def test_a_run_is_no_longer_the_latest_before_anything_of_it_goes(store):
    """At no moment of a deletion, also one that stops, is a reader led to a run that is gone."""
    runs = [finished(store, minutes) for minutes in (1, 2)]
    for run in runs:
        store.at(namespace="n", run=run.name).put("model", run.name)
    seen = []

    class Looking(Counting):
        def delete_many(self, keys, **how):
            seen.append(latest_named(self, "n", "train"))
            return super().delete_many(keys, **how)

        def delete(self, key):
            seen.append(latest_named(self, "n", "train"))
            return super().delete(key)

    store._objects.backend = Looking(store.backend)
    store.delete_run(runs[1].name, namespace="n")
    assert {runs[0].name} == set(seen)


def test_runs_come_in_pages(store):
    """Each run once, newest first, also if runs start and end between two pages."""
    runs = [finished(store, n, "ab"[n % 2], name=None if n % 3 else f"own{n}") for n in range(20)]
    names = [run.name for run in runs[::-1]]
    page = store.runs("n", limit=7)
    seen = [run.name for run in page]
    while page.next is not None:
        finished(store, 100 + len(seen), name=f"new{len(seen)}")
        page = store.runs("n", limit=7, page=page.next)
        seen += [run.name for run in page]
    assert names == seen


def test_runs_are_selected(store):
    """By workflow, state, time, tag and namespace, one or several at once."""
    for n in range(6):
        finished(store, n, "ab"[n % 2], f"r{n}", state="failed" if n == 4 else "finished")
    finished(store, 9, "a", "m1", namespace="m")
    store.tag("r1", ["good"], namespace="n")
    pages: list[tuple[dict[str, Any], list[str]]] = [
        ({"workflow": "a"}, ["m1", "r4", "r2", "r0"]),
        ({"namespace": "n", "workflow": "a", "state": "finished"}, ["r2", "r0"]),
        ({"namespace": "n", "since": START + timedelta(minutes=4)}, ["r5", "r4"]),
        ({"namespace": "n", "tag": "good"}, ["r1"]),
        ({"tag": "none"}, []),
        ({"since": "1h"}, []),
        ({"limit": 2}, ["m1", "r5"]),
    ]
    for wanted, names in pages:
        assert names == [run.name for run in store.runs(**wanted)], wanted
    for wrong in ({"limit": 0}, {"limit": True}, {"page": "x"}, {"state": "odd"}, {"since": "x"}):
        with pytest.raises(InvalidRequestError):
            store.runs(**wrong)


def test_a_page_reads_few_records(store):
    """The first page of many runs is one listing and the records of the page; so is the next."""
    for n in range(60):
        finished(store, n)
    store._objects.backend = place = Counting(store.backend)
    page = store.runs("n", limit=5)
    assert len(place.asked) <= 8
    place.asked.clear()
    store.runs("n", limit=5, page=page.next)
    assert len(place.asked) <= 9


def test_a_stage_reaches_its_own_store(tmp_path, monkeypatch):
    """Whatever RUNSTORE_URL says, `store`, `at` and `runs` are on the store of the run."""
    monkeypatch.setenv("RUNSTORE_URL", str(tmp_path / "other"))
    monkeypatch.setenv("RUNSTORE_NAMESPACE", "mine")

    def stage():
        object_store.put("x", 1)
        seen = object_store.at(run="r1").get("x")
        return [seen, [run.name for run in object_store.runs()], str(object_store.store.url)]

    stages = [{"name": "s", "target": stage}]
    flow = {"metadata": {"name": "w"}, "spec": {"stages": stages}}
    run = run_workflow(flow, store=tmp_path / "store", run="r1")
    assert ("mine", [1, ["r1"], f"file://{tmp_path}/store"]) == (run.namespace, run.result)
    for use in (lambda: object_store.store, object_store.runs, object_store.at):
        with pytest.raises(NoRunContextError):
            use()
    with run_context(namespace="mine", store=tmp_path / "store"):
        assert 1 == object_store.get("x", workflow="w")
