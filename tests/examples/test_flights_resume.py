"""The runner of the flights example is killed in each stage, and the run is gone on with."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runstore import ObjectStore, run_workflow
from runstore.cli import main

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "flights"
STAGES = ("load", "clean", "features", "train", "origins", "by_origin", "report")

KILLED = """
import os, signal, sys, time
from runstore import run_workflow

stage, example, store = sys.argv[1:]

def die(event):
    if event.kind == "item" and event.done == 1:
        time.sleep(1.1)  # so that the record is written for this item
    if (event.kind, event.stage, event.state) == ("stage", stage, "running"):
        if stage != "by_origin":
            os.kill(os.getpid(), signal.SIGKILL)
    if event.kind == "item" and event.stage == stage and event.done == 2:
        os.kill(os.getpid(), signal.SIGKILL)

run_workflow(
    example + "/workflow.yaml",
    config=[example + "/config.yaml"],
    store=store,
    run="killed",
    on_event=die,
    executor_options={"workers": 1},
)
"""

pytestmark = [pytest.mark.xdist_group("flights"), pytest.mark.slow]


def _report(store: ObjectStore, run: str) -> Any:
    view = store.at(namespace="default", run=run)
    return {info.name: view.ref(info.name).digest for info in view.list()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """The result and the digests of all objects of a run that nothing has disturbed."""
    store = ObjectStore(str(tmp_path_factory.mktemp("whole")))
    config = [EXAMPLE / "config.yaml"]
    record = run_workflow(EXAMPLE / "workflow.yaml", config=config, store=store, run="whole")
    return record.result, _report(store, "whole")


@pytest.mark.parametrize("stage", STAGES)
def test_killed_in_a_stage(
    stage: str, whole: tuple[Any, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same report and objects come out, and what was finished is not run again."""
    where = str(tmp_path)
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, stage, str(EXAMPLE), where], check=False, timeout=300
    )
    assert -9 == ended.returncode
    store = ObjectStore(where)
    killed = store.read_run("killed", namespace="default")
    assert "lost" == killed.state
    finished = {one.name for one in killed.stages if one.state == "finished"}
    capsys.readouterr()
    assert 0 == main(["run", "--resume", "killed", "--run", "again", "--store", where, "--json"])
    told = json.loads(capsys.readouterr().out)
    again = store.read_run("again", namespace="default")
    assert whole == (again.result, _report(store, "again"))
    assert (again.resumed, told["resumed"]) == ("killed", "killed")
    calls = {one.name: one.attempts for one in again.stages}
    once = dict.fromkeys(STAGES, 1) | {"by_origin": 3}
    expected = {name: 0 if name in finished else once[name] for name in STAGES}
    if stage == "by_origin":
        expected["by_origin"] = 2  # one item was recorded before
        assert 1 == again.stages[STAGES.index("by_origin")].taken_items
    assert expected == calls
    before = STAGES.index(stage) if stage not in ("origins", "by_origin", "report") else 0
    assert set(STAGES[:before]) <= finished
