"""A stage that is run again reads the earlier runs that it read then, and never a later one."""

from pathlib import Path
from typing import Any

import pytest

from runstore import ObjectStore, replay, run_workflow
from runstore.errors import ObjectNotFoundError, PreconditionFailedError
from runstore.keys import record_key

STEPS = """\
from runstore import object_store

def c(n):
    d = object_store.get("prev", run=-1, default=None)
    e = object_store.get("prev", workflow="w3", default=None)
    object_store.put("prev", n)
    return [n, d, e]
"""
FLOW = "metadata: {name: w3}\nspec: {stages: [{name: c, target: steps.c}]}\n"


@pytest.fixture
def place(tmp_path: Path) -> ObjectStore:
    """Give a store with three runs of one workflow, each of which reads the one before it."""
    (tmp_path / "steps.py").write_text(STEPS)
    (tmp_path / "flow.yaml").write_text(FLOW)
    store = ObjectStore(tmp_path / "store")
    results = [_run(tmp_path, store, number).result for number in (1, 2, 3)]
    assert [[1, None, None], [2, 1, 1], [3, 2, 2]] == results
    return store


def _run(folder: Path, store: ObjectStore, number: int) -> Any:
    return run_workflow(folder / "flow.yaml", {"n": number}, run=f"r{number}", store=store)


def _replayed(place: ObjectStore, run: str, folder: Path) -> Any:
    return replay(run, "c", store=place, scratch=folder / f"scratch-{run}")


@pytest.mark.parametrize("number", [1, 2, 3])
def test_it_reads_the_run_that_it_read_then(
    place: ObjectStore, tmp_path: Path, number: int
) -> None:
    """Later runs, and its own results, are not what it reads; the first run finds none."""
    found = _replayed(place, f"r{number}", tmp_path)
    assert found.same, str(found)


def test_it_reads_what_its_record_names(place: ObjectStore, tmp_path: Path) -> None:
    """A run that began before it and finished meanwhile is passed over, as it was then."""
    second = place.read_run("r2", namespace="default")
    first = place.read_run("r1", namespace="default")
    between = first.model_copy(
        update={"name": "late", "uid": "late", "started_at": second.started_at}
    )
    place.write_run(between)
    place.at(namespace="default", run="late").put("prev", "late")
    assert _replayed(place, "r2", tmp_path).same


def test_a_run_that_had_not_finished_then_is_passed_over(
    place: ObjectStore, tmp_path: Path
) -> None:
    """Of a stage that found no earlier run, one that has finished since changes nothing."""
    first = place.read_run("r1", namespace="default")
    ended = place.read_run("r3", namespace="default").finished_at
    place.write_run(first.model_copy(update={"name": "long", "uid": "x", "finished_at": ended}))
    place.at(namespace="default", run="long").put("prev", "long")
    assert _replayed(place, "r1", tmp_path).same


def test_a_run_that_is_gone_is_said(place: ObjectStore, tmp_path: Path) -> None:
    """It is not replaced by another run, nor by the default."""
    place.delete_run("r1", namespace="default")
    with pytest.raises(ObjectNotFoundError, match="in run 'r1'"):
        _replayed(place, "r2", tmp_path)


def test_a_record_that_is_gone_is_said(place: ObjectStore, tmp_path: Path) -> None:
    """Where another run would be read instead, it is not known which one was meant."""
    place.backend.delete(record_key("default", "r2"))
    found = _replayed(place, "r3", tmp_path)
    assert ("failed", False) == (found.state, found.same)
    assert PreconditionFailedError.__name__ in str(found.error)
    assert "read run default/r2 then, of which the record is gone" in str(found.error)
