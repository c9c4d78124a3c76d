"""Running one stage of an earlier run again, without touching that run."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.places.s3_ import ENGINES, environment, open_store

from runstore import ObjectStore, get_run_context, replay, run_workflow
from runstore.errors import (
    InvalidRequestError,
    MissingInputError,
    ObjectNotFoundError,
    PreconditionFailedError,
)
from runstore.places import Wrapper

MAPPED = {"type": "parameterized"}


class Counted(Wrapper):
    """Counts what is written to a place."""

    def __init__(self, backend: Any) -> None:
        super().__init__(backend)
        self.writes: list[str] = []

    def put(self, key: str, *args: Any, **how: Any) -> Any:
        self.writes.append(f"put {key}")
        return super().put(key, *args, **how)

    def copy(self, source: str, target: str, **how: Any) -> Any:
        self.writes.append(f"copy {target}")
        return super().copy(source, target, **how)

    def delete(self, key: str) -> None:
        self.writes.append(f"delete {key}")
        super().delete(key)

    def delete_many(self, keys: Any, **how: Any) -> Any:
        self.writes.append("delete many")
        return super().delete_many(keys, **how)

    def probe(self) -> Any:
        self.writes.append("probe")
        return super().probe()


FILES = {
    "steps.py": """\
import pandas as pd
from runstore import get_run_context, object_store

def load():
    object_store.put("table", pd.DataFrame({"x": [1, 2, 3]}))
    return [0, 1, 2]

def item(number):
    frame = object_store.get("table")
    object_store.put(f"part/{number}", frame * number)
    if number == get_run_context().input.get("bad"):
        raise ValueError(f"bad {number}")
    return number * get_run_context().config["factor"]

def total(numbers):
    object_store.put("late", 1)
    object_store.put("total", sum(numbers))
    return sum(numbers)
""",
    "flow.yaml": """\
metadata: {name: flow}
spec:
  stages:
    - {name: load, target: steps.load}
    - {name: item, target: steps.item, type: parameterized, options: {max_at_once: 1}}
    - {name: total, target: steps.total, depends_on: item}
""",
}


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """Write the code of a workflow into a folder."""
    folder = tmp_path / "code"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def origin(store: Path) -> Iterator[Counted]:
    """The store of the runs, whose writes are counted."""
    kept = ObjectStore.from_address(ObjectStore(str(store)).address)
    inner = kept._objects.backend
    counted = kept._objects.backend = Counted(inner)
    yield counted
    kept._objects.backend = inner


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _run(code: Path, store: Path, **more: Any) -> Any:
    how = {"config": {"factor": 10}, "input": {}, **more}
    return run_workflow(code / "flow.yaml", store=store, raise_on_failure=False, **how)


def test_the_same_comes_out(code: Path, store: Path, origin: Counted, tmp_path: Path) -> None:
    """Each stage is run on what it read; nothing is written to the store of the run."""
    _run(code, store, run="r1")
    before = _files(store)
    origin.writes.clear()
    for stage in ("load", "item", "total"):
        found = replay("r1", stage, store=store, scratch=tmp_path / stage)
        assert found.same, str(found)
        assert "finished" == found.state
        assert "nothing differs" in str(found)
    assert 30 == found.result
    assert ["late", "total"] == [one.name for one in found.written]
    assert [] == origin.writes
    assert before == _files(store)


def test_a_failed_item(
    code: Path, store: Path, origin: Counted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The item that failed is run with code from another folder, which mends it."""
    assert "failed" == _run(code, store, run="r1", input={"bad": 1}).state
    origin.writes.clear()
    again = replay("r1", "item", store=store, scratch=tmp_path / "s1")
    assert (1, "failed", "ValueError: bad 1", True) == (
        *(again.item, again.state, again.error, again.same),
    )
    assert "raise ValueError" in str(again.traceback)
    mended = tmp_path / "mended"
    mended.mkdir()
    text = FILES["steps.py"].replace("frame * number", "frame + 1").replace("raise ", "str and ")
    (mended / "steps.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    found = replay("r1", "item", code=mended, store=store, scratch=tmp_path / "s2")
    assert ("finished", 10, False) == (found.state, found.result, found.same)
    assert "ValueError: bad 1" == found.error_before
    other = replay("r1", "item", item=0, code=mended, store=store, scratch=tmp_path / "s3")
    assert ("finished", 0, 0) == (other.state, other.result, other.before)
    (part,) = other.written
    assert ("part/0", False) == (part.name, part.same)
    assert "object  part/0: differs" in str(other)
    difference = other.diff("part/0")
    assert difference is not None
    assert not difference.equal
    view = other.store.at(namespace="default", run="r1")
    pd.testing.assert_frame_equal(pd.DataFrame({"x": [2, 3, 4]}), view.get("part/0"))
    assert [] == origin.writes


def test_an_item_that_was_left_out_is_the_one_that_failed(
    code: Path, store: Path, tmp_path: Path
) -> None:
    """Also where the stage went on without it."""
    text = FILES["flow.yaml"].replace("max_at_once: 1", "on_item_error: skip")
    (code / "flow.yaml").write_text(text)
    assert "finished" == _run(code, store, run="r1", input={"bad": 2}).state
    again = replay("r1", "item", store=store, scratch=tmp_path / "s1")
    assert (2, "failed") == (again.item, again.state)


SEEING = {
    "steps.py": """\
from runstore import object_store

def first():
    object_store.put("first", 1)

def middle():
    names = [info.name for info in object_store.list()]
    object_store.put("middle", names)
    assert object_store.exists("first")
    object_store.delete("first")
    assert not object_store.exists("first")
    assert "first" not in [info.name for info in object_store.list()]
    object_store.put("first", 1)
    return names

def last():
    object_store.put("last", 3)
""",
    "flow.yaml": """\
metadata: {name: flow}
spec:
  stages:
    - {name: first, target: steps.first}
    - {name: middle, target: steps.middle, depends_on: first}
    - {name: last, target: steps.last, depends_on: middle}
""",
}


def test_it_sees_what_it_saw(code: Path, store: Path, tmp_path: Path) -> None:
    """Objects of stages after it are hidden, also its own of before; what it deletes is gone."""
    for name, text in SEEING.items():
        (code / name).write_text(text)
    _run(code, store, run="r1")
    before = _files(store)
    found = replay("r1", "middle", store=store, scratch=tmp_path / "s")
    assert (["first"], None) == (found.result, found.error)
    assert before == _files(store)


def test_what_cannot_be_replayed(code: Path, store: Path, tmp_path: Path) -> None:
    """What is not there, or was replaced since, is said before the stage's code runs."""
    _run(code, store, run="r1")
    scratch = {"store": store, "scratch": tmp_path / "s"}
    with pytest.raises(ObjectNotFoundError, match="its stages are 'load', 'item', 'total'"):
        replay("r1", "none", **scratch)
    with pytest.raises(ObjectNotFoundError, match="has no item 7: it has items 0 to 2"):
        replay("r1", "item", item=7, **scratch)
    with pytest.raises(InvalidRequestError, match="is not mapped"):
        replay("r1", "load", item=0, **scratch)
    with pytest.raises(InvalidRequestError, match="is no folder"):
        replay("r1", "load", code="nowhere", **scratch)
    ObjectStore(str(store)).at(namespace="default", run="r1").put("table", "another")
    with pytest.raises(PreconditionFailedError, match="was replaced since stage 'item' read it"):
        replay("r1", "item", **scratch)


@pytest.mark.extended
def test_a_server_counts_no_write(
    code: Path, seaweed_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed stage of a run on a bucket is run from elsewhere; the server sees reads only."""
    bucket = seaweed_server.new_bucket()
    store = open_store(seaweed_server, ENGINES[0], bucket)
    assert "failed" == _run(code, store, run="r1", input={"bad": 1}).state
    monkeypatch.chdir(tmp_path)
    time.sleep(0.5)  # what the server counts late
    before = seaweed_server.requests(bucket)
    found = replay("r1", "item", store=store, scratch=tmp_path / "s")
    assert ("failed", True) == (found.state, found.same), str(found)
    assert found.diff("part/1") is not None
    _check_only_read(seaweed_server, bucket, before)
    _mend(code)
    resumed = _run(code, store, run="r2", resume="r1", input={"bad": 1})
    assert ("finished", 30) == (resumed.state, resumed.result)


def _check_only_read(server: Any, bucket: str, before: Any) -> None:
    time.sleep(0.5)  # what the server counts late
    during = server.requests(bucket) - before
    assert during
    assert {"GET", "LIST", "HEAD"} >= {method for method, _ in during}


@pytest.mark.extended
def test_one_command_replays_a_stage_of_a_bucket(
    code: Path, seaweed_server: Any, tmp_path: Path
) -> None:
    """In another process and from another directory; by the server's count nothing is written."""
    bucket = seaweed_server.new_bucket()
    store = open_store(seaweed_server, ENGINES[1], bucket)
    assert "failed" == _run(code, store, run="r1", input={"bad": 1}).state
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    program = "import sys; from runstore.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "replay", "r1", "item", "--store", store.url]
    time.sleep(0.5)
    before = seaweed_server.requests(bucket)
    ended = subprocess.run(
        [*command, "--json"],
        cwd=elsewhere,
        env={**os.environ, **environment(seaweed_server), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    told = json.loads(ended.stdout)
    assert ("item", 1, "failed", True) == tuple(
        told[name] for name in ("stage", "item", "state", "same")
    ), told
    assert "ValueError: bad 1" in told["error"]
    _check_only_read(seaweed_server, bucket, before)
    assert [] == list(elsewhere.iterdir())


def _mend(code: Path) -> None:
    (code / "steps.py").write_text(FILES["steps.py"].replace("raise ", "str and "))


def test_a_stage_that_did_not_run(code: Path, store: Path, tmp_path: Path) -> None:
    """There is nothing to compare it with, and that is said instead of "the same"."""
    text = "from runstore import object_store\n\ndef first():\n    raise ValueError('no')\n"
    (code / "steps.py").write_text(text + "\ndef second():\n    pass\n")
    (code / "flow.yaml").write_text(
        "metadata: {name: flow}\nspec:\n  stages:\n    - {name: first, target: steps.first}\n"
        "    - {name: second, target: steps.second, depends_on: first}\n"
    )
    found_run = _run(code, store, run="r1")
    definition = dict(found_run.definition)
    # As of a stage that was to run beside the one that failed.
    definition["spec"]["stages"][1]["depends_on"] = []
    record = found_run.model_copy(update={"definition": definition})
    found = replay(record, "second", store=store, scratch=tmp_path / "s")
    assert ("finished", False, "skipped") == (found.state, found.same, found.state_before)
    assert "it did not run before" in str(found)
    assert "the same" not in str(found)


def _reads(kind: str) -> Any:
    values = getattr(get_run_context(), kind)
    try:
        return [values["password"], values["n"]]
    except MissingInputError:
        return None


def _asks_input() -> Any:
    return _reads("input")


def _asks_config() -> Any:
    return _reads("config")


@pytest.mark.parametrize("kind", ["input", "config"])
@pytest.mark.parametrize("read_then", [True, False])
def test_a_secret_is_asked_for_and_given_again(
    flow: Any, store: Path, tmp_path: Path, kind: str, read_then: bool
) -> None:
    """Whether the stage has read it then or reads it only now; the other keys stay."""
    stage = {"input": _asks_input, "config": _asks_config}[kind]
    given: dict[str, Any] = {kind: {"password": "hunter2", "n": 3}}
    run_workflow(flow(a=stage if read_then else _nothing), run="r", store=store, **given)
    option = {"input": "--input password=…", "config": "--config FILE with 'password'"}[kind]
    with pytest.raises(InvalidRequestError) as caught:
        replay("r", "a", function=stage, store=store, scratch=tmp_path / "s1")
    assert (
        f"the record of run 'default/r' does not keep the secret {kind} 'password'. Give it again: "
        f"{option} (in Python: replay(…, {kind}={{'password': …}}))"
    ) == str(caught.value)
    again: dict[str, Any] = {kind: {"password": "hunter2"}}
    found = replay("r", "a", function=stage, store=store, scratch=tmp_path / "s2", **again)
    assert ["hunter2", 3] == found.result
    if read_then:
        assert found.same


def _nothing() -> None:
    pass


def test_items_that_a_record_does_not_keep_are_asked_for(store: Path, tmp_path: Path) -> None:
    """What stands in for the list is not taken for it."""
    stage = {"name": "a", "target": str, "type": "parameterized", "options": {"map_on": "tokens"}}
    flow = {"metadata": {"name": "w"}, "spec": {"stages": [stage]}}
    run_workflow(flow, run="r", store=store, input={"tokens": ["x", "y"]})
    with pytest.raises(InvalidRequestError, match="the secret input 'tokens'"):
        replay("r", "a", function=str, store=store, scratch=tmp_path / "s1")
    more: dict[str, Any] = {"input": {"tokens": ["x", "y"]}, "item": 1}
    assert (
        "y" == replay("r", "a", function=str, store=store, scratch=tmp_path / "s2", **more).result
    )
