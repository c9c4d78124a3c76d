"""Run the same stages in each orchestrator, in an environment of its own; one line for each.

``python -m tests.integrations`` runs all, ``python -m tests.integrations prefect kedro`` some.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from tests.matrix._environments import ROOT, environment, this_python

from runstore import ObjectStore

Told = dict[str, Any]
_RUNS = Path(__file__).parent / "runs"
_PATIENCE = 600  # seconds for the runs of one orchestrator, on a busy machine


class Orchestrator(NamedTuple):
    """What is installed, how its runs are started, and what they have to tell.

    Attributes:
        package: For pip.
        check: Looks at what the stages have told.
        states: How the records say that the runs have ended; by default that they have finished.
        command: What follows the script.
        variables: The environment.
    """

    package: str
    check: Callable[[list[Told]], None]
    command: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    states: frozenset[str] = frozenset({"finished"})


def _recorded(url: str, told: list[Told], states: frozenset[str]) -> None:
    """Each run has a record, which says how it has ended, and who has made the model of what."""
    store = ObjectStore(url)
    wanted = {(one["namespace"], one["run"]) for one in told if one["what"] != "outside"}
    runs = {(run.namespace, run.name): run for run in store.runs()}
    assert wanted <= runs.keys(), wanted - runs.keys()
    found = {run.state for place, run in runs.items() if place in wanted}
    assert found <= states, (found, states)
    for one in told:
        if one["what"] == "train":
            view = store.at(namespace=one["namespace"], run=one["run"])
            made = view.lineage("model", direction="back")
            assert any(each.name == "features" for each in made.objects.values()), made.tree()
            assert () == made.gaps, made.gaps
    newest = store.at(namespace=told[0]["namespace"])
    if states == {"finished"}:
        assert 6 == newest.get("model", workflow=told[0]["workflow"])


def _whole(told: list[Told], runs: int) -> None:
    """In so many runs of the workflow ``training`` each stage was in one and the same run."""
    of_run: dict[str, list[str]] = {}
    for one in _in(told, "training"):
        of_run.setdefault(one["run"], []).append(one["what"])
    assert runs == len(of_run), of_run
    assert all({"build", "train"} <= set(stages) for stages in of_run.values()), of_run


def _retried(told: list[Told]) -> None:
    """The stage that fails once has had two attempts in each run."""
    for run in {one["run"] for one in _in(told, "training")}:
        flaky = [one for one in told if one["what"] == "flaky" and one["run"] == run]
        attempts = [one["attempt"] for one in flaky]
        assert attempts == [1, 2], (run, attempts)


def _in(told: Iterable[Told], workflow: str) -> list[Told]:
    return [one for one in told if one.get("workflow") == workflow]


def _prefect(told: list[Told]) -> None:
    _whole(told, 3)
    _retried(told)
    assert {"{'n': '0'}", "{'n': '1'}", "{'n': '2'}"} == {
        str(one["input"]) for one in _in(told, "training")
    }
    for name in ("in-processes", "asynchronous"):
        assert {"build", "train"} == {one["what"] for one in _in(told, name)}
        assert 1 == len({one["run"] for one in _in(told, name)})
    assert {None} == {one["stage"] for one in _in(told, "asynchronous")}


def _dagster(told: list[Told]) -> None:
    _whole(told, 2)
    _retried(told)
    assert {1, 2} == {one["map_index"] for one in told if one["what"] == "each"}
    assert {"build", "train"} == {one["what"] for one in _in(told, "in_processes")}
    assert ["features"] == [one["stage"] for one in _in(told, "assets")]


def _metaflow(told: list[Told]) -> None:
    _whole(told, 1)
    _retried(told)
    assert [0, 1] == sorted(one["map_index"] for one in told if one["what"] == "each")
    assert {"{'n': '1'}"} == {str(one["input"]) for one in _in(told, "training")}


def _kedro(told: list[Told]) -> None:
    _whole(told, 4)
    assert {"build", "train"} == {one["stage"] for one in _in(told, "training")}


def _flyte(told: list[Told]) -> None:
    of_run: dict[str, set[str]] = {}
    for one in _in(told, "flyte"):
        of_run.setdefault(one["run"], set()).add(one["what"])
    assert [{"build", "train"}] * 2 == list(of_run.values())


def _airflow(told: list[Told]) -> None:
    _whole(told, 2)
    assert [0, 0, 1, 1] == sorted(one["map_index"] for one in told if one["what"] == "each")
    assert {"{'n': '1'}"} == {str(one["input"]) for one in _in(told, "training")}


def _zenml(told: list[Told]) -> None:
    _whole(told, 2)


_OPEN = frozenset({"running"})  # no hook says how the runs have ended

# The lightest ones first.
_ALL = {
    "metaflow": Orchestrator(
        "metaflow", _metaflow, ("--no-pylint", "run"), (("USERNAME", "runstore"),)
    ),
    "kedro": Orchestrator("kedro", _kedro),
    "flyte": Orchestrator("flyte", _flyte, states=_OPEN),
    "dagster": Orchestrator("dagster", _dagster),
    "prefect": Orchestrator(
        "prefect",
        _prefect,
        variables=(
            ("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "240"),
            ("PREFECT_LOGGING_LEVEL", "ERROR"),
        ),
    ),
    "airflow": Orchestrator("apache-airflow", _airflow),
    "zenml": Orchestrator("zenml[local]", _zenml),
}


def _environment(name: str, orchestrator: Orchestrator) -> Path:
    """Return the interpreter of an orchestrator's environment, made where it is missing."""
    ours = ["--editable", ".[pandas,polars]"]
    return environment(f"orchestrator-{name}", this_python(), [*ours, orchestrator.package])


def _tried(name: str, orchestrator: Orchestrator) -> str:
    """Run one, and return a line about it.

    Raises:
        AssertionError: The stages were not in the runs that they had to be in.
        CalledProcessError: The orchestrator failed.
    """
    inside = _environment(name, orchestrator)
    with tempfile.TemporaryDirectory(prefix=f"rs-{name}-") as folder:
        told_in = Path(folder, "told")
        variables = {
            **os.environ,
            "STAGES_TELL": str(told_in),
            "RUNSTORE_URL": f"{folder}/store",
            "PYTHONPATH": str(_RUNS),
            "HOME": folder,
            **dict(orchestrator.variables),
        }
        done = subprocess.run(
            [inside, _RUNS / f"{name}_runs.py", *orchestrator.command],
            cwd=folder,
            env=variables,
            timeout=_PATIENCE,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode:
            print(done.stdout[-5000:])
            raise AssertionError(f"the runs ended with the exit code {done.returncode}")
        told = [json.loads(line) for line in told_in.read_text().splitlines()]
        assert {name} == {one["source"] for one in told if one["what"] != "outside"}
        assert any(one["what"] == "outside" for one in told), "outside of a run there was one"
        orchestrator.check(told)
        _recorded(f"{folder}/store", told, orchestrator.states)
    package = orchestrator.package.partition("[")[0]
    version = subprocess.run(
        [inside, "-c", f"from importlib.metadata import version as v; print(v({package!r}))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    costs = sorted(one["microseconds"] for one in told if "microseconds" in one)
    cost = costs[len(costs) // 2]
    return f"{version}: {len(told)} calls of stages, a look-up costs {cost:.1f} µs of CPU"


def main(wanted: list[str]) -> int:
    """Run those that are wanted, all by default; return how many failed."""
    os.chdir(ROOT)
    failed = 0
    for name, orchestrator in _ALL.items():
        if wanted and name not in wanted:
            continue
        begun = time.monotonic()
        try:
            said = _tried(name, orchestrator)
        except (AssertionError, subprocess.SubprocessError) as exc:
            failed += 1
            said = f"FAILED: {exc}"
        print(f"{name} {said} ({time.monotonic() - begun:.0f} s)", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
