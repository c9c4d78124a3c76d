"""What the record of a run says: what its stages were given, read, wrote and returned."""

import json
import threading
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from runstore import ObjectStore, get_run_context, object_store, replay
from runstore.context import MOST_USES, Workflow
from runstore.errors import StageError
from runstore.places import Wrapper
from runstore.places._local import LocalBackend
from runstore.runs import read_run
from runstore.workflows import run_workflow
from runstore.workflows._code import commit_of

FRAME = pd.DataFrame({"x": np.arange(5)})


def build() -> int:
    object_store.put("features", FRAME)
    object_store.put("notes.json", {"a": 1})
    object_store.put("gone", 1)
    object_store.delete("gone")
    return 3


def item(number: int) -> dict[str, int]:
    object_store.get("features")
    object_store.put("p", np.arange(number), part=number)
    return {"n": number}


def train(_: Any) -> np.ndarray:
    object_store.get("features", columns=["x"])
    object_store.get("notes.json")
    object_store.seal("p")
    object_store.copy("features", to_scope="namespace", to_name="best")
    return np.arange(3)


def names(uses: Any) -> list[str]:
    return [use.name for use in uses if use.part is None]


def test_a_record_says_what_stages_read_and_wrote(run: Any, flow: Any, store: Path) -> None:
    """Objects by reference, each of them readable; results as JSON, or why not."""
    mapped = {"type": "parameterized", "depends_on": "build", "options": {"map_on": "xs"}}
    definition = flow(
        build=build, items=(lambda n, _: item(n), mapped), train=(train, {"depends_on": "items"})
    )
    given = {"xs": [1, 2], "day": date(2026, 1, 1), "odd": {"set": {1}, "n": 1}}
    run(definition, run="r1", input=given, config={"k": 1})
    objects = ObjectStore(str(store))
    record = objects.read_run("r1", namespace="default")
    first, items, last = record.stages
    assert (3, [{"n": 1}, {"n": 2}]) == (first.result, items.result)
    assert ("numpy.ndarray", False) == (last.result["type"], last.result["kept"])
    assert ([], ["features", "notes.json"]) == (names(first.reads), names(first.writes))
    assert ["features"] == names(items.reads)
    assert {("1", 0), ("2", 1)} == {(use.part, use.item) for use in items.writes}
    assert ["features", "notes.json"] == names(last.reads)
    assert ["p", "best"] == names(last.writes)
    assert (5, "pandas.DataFrame") == (first.writes[0].rows, first.writes[0].type)
    assert last.writes[1].run is None
    for use in (*first.writes, last.writes[1]):
        assert objects.at(namespace="default", run="r1").get(use.ref) is not None
    assert first.source != items.source
    assert {"k": 1} == record.config
    assert record.input is not None
    assert ([1, 2], "2026-01-01") == (record.input["xs"], record.input["day"]["text"])
    assert (1, False) == (record.input["odd"]["n"], record.input["odd"]["set"]["kept"])
    assert record.definition is not None
    assert "flow" == Workflow.model_validate(record.definition).metadata.name
    assert {"python", "runstore", "numpy"} <= set(record.versions)


def test_a_file_that_is_read_is_the_one_that_was_written(
    threads: Any, flow: Any, store: Path, tmp_path: Path
) -> None:
    """Its data is not read for that: both records have the place's own version."""
    (tmp_path / "x.bin").write_bytes(b"x" * 100)

    def give() -> None:
        object_store.put_file("x.bin", tmp_path / "x.bin")

    def take(_: Any) -> None:
        assert b"x" * 100 == object_store.get_file("x.bin").read_bytes()
        object_store.put("end", 1)

    threads(flow(give=give, take=(take, {"depends_on": "give"})), run="r1")
    view = ObjectStore(str(store)).at(namespace="default", run="r1")
    first, last = ObjectStore(str(store)).read_run("r1", namespace="default").stages
    (written,), (read,) = first.writes, last.reads
    assert view.ref("x.bin") == written.ref
    assert None is not written.version == read.version
    found = view.lineage("end")
    assert {str(view.ref("x.bin")), str(view.ref("end"))} == {
        f"runstore://{one}" for one in found.objects
    }
    assert [True] * len(found.edges) == [edge.exact for edge in found.edges]


def signs() -> None:
    for name in ("x@1", "x@2", "x"):
        object_store.put(name, 1)
    object_store.put("p", 1, part=1)
    object_store.put("p", 1, part=2)
    for name in ("x@1", "x@2", "x"):
        object_store.get(name)


def test_names_may_have_any_sign(threads: Any, flow: Any, store: Path) -> None:
    """Objects whose names or runs have the sign before a digest are each recorded."""
    threads(flow(signs=signs), run="me@host")
    stage = ObjectStore(str(store)).read_run("me@host", namespace="default").stages[0]
    assert ["x@1", "x@2", "x"] == names(stage.writes) == names(stage.reads)
    assert {"1", "2"} == {use.part for use in stage.writes if use.part is not None}
    assert {"me@host"} == {use.run for use in stage.writes}


def test_a_record_has_no_secrets(threads: Any, flow: Any, store: Path) -> None:
    """Of config and input; the stage has them, the files of the run do not."""
    seen: list[Any] = []
    config = {"password": "hunter2", "nested": [{"api_key": "hunter2"}], "n": 1}
    definition = flow(one=lambda: seen.append(get_run_context().config["password"]))
    threads(definition, run="r1", config=config, input={"url": "https://me:hunter2@host/"})
    assert ["hunter2"] == seen
    files = [path for path in Path(store).rglob("*") if path.is_file()]
    assert files
    assert [] == [path for path in files if b"hunter2" in path.read_bytes()]
    assert 1 == ObjectStore(str(store)).read_run("r1", namespace="default").config["n"]


def test_a_failed_attempt_is_recorded_too(run: Any, flow: Any, store: Path) -> None:
    """What a stage read before it failed, and the items that had ended well by then."""

    def fails(number: int) -> int:
        object_store.get("features")
        return 10 // number

    mapped = {"type": "parameterized", "depends_on": "build", "options": {"map_on": "xs"}}
    with pytest.raises(StageError):
        run(
            flow(build=build, items=(lambda n, _: fails(n), mapped)),
            run="r1",
            input={"xs": [5, 0]},
        )
    _, items = ObjectStore(str(store)).read_run("r1", namespace="default").stages
    assert ["features"] == names(items.reads)
    assert {0: 2} == items.item_results


def _put(store: Path, name: str, value: Any) -> None:
    ObjectStore(str(store)).at(namespace="default").put(name, value, scope="namespace")


def test_reads_of_a_failed_attempt_are_told_apart(
    run: Any, flow: Any, store: Path, tmp_path: Path
) -> None:
    """The record says which attempt they are of; resume and replay go by the one that counts."""
    shared = ObjectStore(str(store)).at(namespace="default")
    shared.put("rates", 1, scope="namespace")
    shared.put("both", 1, scope="namespace")
    once = tmp_path / "once"

    def flaky() -> int:
        object_store.get("both", scope="namespace")
        found = object_store.get("rates", scope="namespace")
        if not once.exists():
            once.touch()
            other = threading.Thread(target=_put, args=(store, "rates", 2))  # another program
            other.start()
            other.join()
            object_store.put("half", 1)
            raise OSError("busy")
        object_store.put("rate", found)
        return int(found)

    definition = flow(flaky=(flaky, {"retries": 1, "retry_delay": 0}))
    assert 2 == run(definition, run="r1").result
    record = ObjectStore(str(store)).read_run("r1", namespace="default").stages[0]
    assert 2 == record.attempts
    assert [("both", None), ("rates", 1), ("rates", None)] == [
        (use.name, use.attempt) for use in record.reads
    ]
    assert [("half", 1), ("rate", None)] == [(use.name, use.attempt) for use in record.writes]
    assert 2 == replay("r1", "flaky", store=store, function=flaky, scratch=tmp_path / "s").result


def test_a_record_is_bounded(threads: Any, flow: Any, store: Path) -> None:
    """A stage that writes many objects names some, and says how many more there were."""

    def many() -> None:
        for number in range(MOST_USES + 50):
            object_store.put(f"o{number}", number)

    threads(flow(many=many), run="r1")
    (stage,) = ObjectStore(str(store)).read_run("r1", namespace="default").stages
    assert (MOST_USES, 50) == (len(stage.writes), stage.writes_left_out)


def test_a_record_is_written_at_the_end_of_a_stage(threads: Any, flow: Any, store: Path) -> None:
    """While the run goes on others see which stages have ended, and what they did."""

    def look() -> list[str]:
        record = read_run(LocalBackend(str(store)), "r1", "default")
        return [record.state, *(stage.state for stage in record.stages)]

    record = threads(flow(build=build, look=(look, {"depends_on": "build"})), run="r1")
    assert ["running", "finished", "pending"] == record.result


class Counting(Wrapper):
    """A place that counts what is written."""

    def __init__(self, backend: Any) -> None:
        super().__init__(backend)
        self.records = 0

    def put(self, key: str, buffers: Any, **how: Any) -> Any:
        self.records += "/_runs/" in key
        return self._backend.put(key, buffers, **how)


def test_no_record_is_written_per_put(flow: Any, store: Path) -> None:
    """One at the start, one per stage, one at the end, however much the stages put."""
    objects = ObjectStore(store)
    place = Counting(objects._objects.backend)
    objects._objects.backend = place

    def many() -> None:
        for number in range(100):
            object_store.put(f"o{number}", number)

    from runstore.store._opened import remember

    remember(objects.address, objects)
    run_workflow(flow(a=many, b=(lambda: many(), {"depends_on": "a"})), store=objects)
    assert 2 < place.records <= 4


def test_old_records_are_read(store: Path) -> None:
    """A record as version 0.1 wrote it: what it does not say is empty."""
    folder = store / "default" / "_runs"
    folder.mkdir(parents=True)
    document = {
        "uid": "u", "name": "old", "namespace": "default", "workflow": "w", "source": "manual",
        "started_at": "2026-01-01T00:00:00Z", "finished_at": "2026-01-01T00:00:01Z",
        "state": "finished", "result": 1, "error": None, "runner": None,
        "stages": [{"name": "s", "state": "finished", "started_at": None, "finished_at": None,
                    "attempts": 1, "items": None, "failed_items": {}, "error": None}],
    }  # fmt: skip
    (folder / "old.json").write_text(json.dumps(document))
    record = ObjectStore(store).read_run("old", namespace="default")
    assert (1, None, ()) == (record.result, record.config, record.stages[0].reads)


def test_the_commit_is_read_from_the_files_of_git(tmp_path: Path) -> None:
    """A branch, a packed branch, a detached head; and none where there is no repository."""
    git, commit = tmp_path / ".git", "a" * 40
    assert commit_of(tmp_path) is None
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    assert commit_of(tmp_path) is None
    (git / "packed-refs").write_text(f"# pack-refs\n{commit} refs/heads/main\n")
    assert commit == commit_of(tmp_path)
    (git / "refs" / "heads" / "main").write_text("b" * 40 + "\n")
    (tmp_path / "below").mkdir()
    assert "b" * 40 == commit_of(tmp_path / "below")
    (git / "HEAD").write_text("c" * 40)
    assert "c" * 40 == commit_of(tmp_path)
