"""The flights example runs as it stands, and what its README says of it is true."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from tests.lineage.openlineage_ import fits
from tests.lineage.test_lineage import strictly_mermaid
from tests.places.s3_ import environment

from runstore import ObjectStore, WorkflowRun, run_workflow
from runstore.workflows import load_workflow

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "flights"
README = (EXAMPLE / "README.md").read_text(encoding="utf-8")

CLI = "import sys; from runstore.cli import main; sys.exit(main())"

# One worker runs the whole file, so that the workflow runs once and not once per worker.
pytestmark = pytest.mark.xdist_group("flights")


def run_flights(store: ObjectStore, mode: str) -> WorkflowRun:
    """Run the example as its files say, on two workers."""
    return run_workflow(
        EXAMPLE / "workflow.yaml",
        config=[EXAMPLE / "config.yaml"],
        store=store,
        executor_options={"mode": mode, "workers": 2},
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> ObjectStore:
    """An empty store on local disk, in which nothing can be pickled."""
    return ObjectStore(str(tmp_path_factory.mktemp("flights")), pickle="deny")


@pytest.fixture(scope="module")
def run(store) -> WorkflowRun:
    """The record of one run of the whole workflow, on threads."""
    return run_flights(store, "threads")


@pytest.fixture(scope="module")
def view(store, run):
    """The store as that run sees it."""
    return store.at(namespace="default", run=run.name)


def test_every_stage_finishes(run):
    """The run finishes, and so does each stage, at the first attempt."""
    stages = {stage.name: (stage.state, stage.attempts) for stage in run.stages}
    once = dict.fromkeys(stages, ("finished", 1))
    assert "finished" == run.state
    assert {**once, "by_origin": ("finished", 3)} == stages


def test_the_raw_tables_are_complete(view):
    """Every row of the published tables is there."""
    rows = {info.name: info.rows for info in view.list("raw/", details=True)}
    assert {
        "raw/airports": 1458,
        "raw/flights": 336_776,
        "raw/planes": 3322,
        "raw/weather": 26_115,
    } == rows


def test_cleaning_keeps_every_flight(view):
    """Joining neither drops nor invents a flight, and what is missing is what is unknown."""
    flights = view.get("flights")
    found = {
        "flights": len(flights),
        "cancelled": int(flights["cancelled"].sum()),
        "without arrival delay": int(flights["arr_delay"].isna().sum()),
        "without weather": int(flights["visib"].isna().sum()),
        "without plane": int(flights["seats"].isna().sum()),
    }
    assert {
        "flights": 336_776,
        "cancelled": 8255,
        "without arrival delay": 8255 + 1175,
        "without weather": 1556,
        "without plane": 52_606,
    } == found


def test_types_come_back_as_they_were_put(view):
    """Zoned timestamps, categoricals and nullable integers survive from one stage to the next."""
    flights = view.get("flights")
    expected = {
        "origin": "category",
        "tailnum": "category",
        "distance": "int16",
        "cancelled": "bool",
        "arr_delay": "Int16",
        "temp": "float64",
        "seats": "Int16",
    }
    assert expected == flights.dtypes.astype(str)[list(expected)].to_dict()
    assert "America/New_York" == str(flights["scheduled"].dt.tz)


def test_times_are_those_of_the_airport(view):
    """The first flight of the year was to leave at a quarter past five in the morning."""
    first = view.get("flights")["scheduled"].min()
    assert pd.Timestamp("2013-01-01 05:15", tz="America/New_York") == first


def test_the_mapped_stage_makes_one_object_per_origin(view):
    """Each airport has its own table, and together they hold every flight."""
    tables = {info.name: view.get(info.name) for info in view.list("delays/")}
    counts = {name: int(table["flights"].sum()) for name, table in tables.items()}
    assert {"delays/EWR": 120_835, "delays/JFK": 111_279, "delays/LGA": 104_662} == counts


def test_the_model_is_compared_with_what_needs_no_model(view):
    """On flights it has not seen, the model errs less than the best guess, as stated."""
    evaluation = view.get("evaluation")
    errors = {"model": evaluation["model"], **evaluation["baselines"]}
    assert (273_355, 53_991) == (evaluation["trained_on"], evaluation["tested_on"])
    assert {
        "model": {"mae": 12.051, "rmse": 16.362},
        "as it left, less the usual gain": {"mae": 12.359, "rmse": 16.926},
        "as late as it left": {"mae": 13.054, "rmse": 17.006},
        "median of the past": {"mae": 23.347, "rmse": 42.067},
        "mean of the past": {"mae": 24.692, "rmse": 40.124},
    } == {name: pytest.approx(pair, abs=0.002) for name, pair in errors.items()}
    for scores in evaluation["baselines"].values():
        assert evaluation["model"]["mae"] < scores["mae"]
        assert evaluation["model"]["rmse"] < scores["rmse"]


def test_the_holdout_is_later_than_what_was_learnt(view):
    """No predicted flight was flown before the holdout starts."""
    predictions = view.get("predictions")
    assert len(predictions) == 53_991
    assert pd.Timestamp("2013-11-01", tz="America/New_York") <= predictions["scheduled"].min()


def test_the_model_is_found_in_the_namespace_with_its_scores(store, view):
    """The model belongs to no run, and its scores can be read without loading it."""
    (info,) = store.at(namespace="default").list(scope="namespace", details=True)
    scores = view.get("evaluation")["model"]
    assert "delay-model" == info.name
    assert {"holdout_start": "2013-11-01", **scores} == info.metadata


def test_the_result_of_the_run_is_the_report(run, view):
    """What the last stage returns is the result, and is stored as well."""
    assert view.get("report") == run.result
    assert 336_776 == run.result["flights"]
    assert ["EWR", "JFK", "LGA"] == view.get("report/by-origin")["origin"].tolist()


def test_nothing_is_pickled(view):
    """Tables, dicts and the model are all Arrow: loading them executes no code."""
    infos = view.list(details=True) + view.list(scope="namespace", details=True)
    assert [] == [info.name for info in infos if info.pickled]


@pytest.mark.extended
def test_processes_report_what_threads_report(store, run):
    """The report does not depend on where the stages run."""
    assert run.result == run_flights(store, "processes").result


def run_on_a_cluster(executor, store, **more):
    """Run the example from the command line, on a cluster of its own; give what it told."""
    command = f"run {EXAMPLE}/workflow.yaml -c {EXAMPLE}/config.yaml --store {store} --run r1"
    command += f" --executor {executor} --executor-option workers=2"
    return subprocess.run(
        [sys.executable, "-c", CLI, *shlex.split(command)],
        env={**os.environ, **more},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    ).stderr


@pytest.mark.extended
# tests/engines runs stages of every kind on both; of the flights, one engine is enough by default.
@pytest.mark.parametrize("executor", [pytest.param("dask", marks=pytest.mark.slow), "ray"])
def test_clusters_report_what_threads_report(executor, run, tmp_path):
    """On a Dask or Ray of its own, from the command line, the report is the same to the byte."""
    told = run_on_a_cluster(executor, tmp_path / "store")
    assert re.search(rf"^runs on {executor} at \S*127\.0\.0\.1:\d+$", told, re.MULTILINE)
    kept = ObjectStore(tmp_path / "store")
    assert run.result == kept.read_run("r1", namespace="default").result
    assert run.result == kept.at(namespace="default", run="r1").get("report")


@pytest.mark.slow  # `make test-places`
@pytest.mark.parametrize("executor", ["dask", "ray"])
def test_clusters_report_the_same_from_a_bucket(executor, run, seaweed_server, monkeypatch):
    """Stages on Dask and Ray that share a bucket of SeaweedFS give the same report."""
    url = f"s3://{seaweed_server.new_bucket()}/{executor}"
    secrets = environment(seaweed_server)  # where workers look, too: an address has none
    run_on_a_cluster(executor, url, **secrets)
    for key, value in secrets.items():
        monkeypatch.setenv(key, value)
    kept = ObjectStore(url)
    assert run.result == kept.read_run("r1", namespace="default").result
    assert run.result == kept.at(namespace="default", run="r1").get("report")


def test_the_readme_lists_what_is_stored(store, view):
    """The README's table names every object of a run and of the namespace, and no other."""
    listed = set()
    for names, scope in re.findall(r"^\| (`.+?) \| (run|namespace) \|", README, re.MULTILINE):
        listed |= {(scope, name) for name in re.findall(r"`(.+?)`", names)}
    stored = {("run", info.name) for info in view.list()}
    stored |= {("namespace", info.name) for info in view.list(scope="namespace")}
    assert stored == listed


def test_the_readme_states_the_errors_of_the_evaluation(view):
    """The README's table of errors is the evaluation, to the last digit but one."""
    rows = re.findall(r"^\| [^|]+ \| (\d+\.\d{3}) \| (\d+\.\d{3}) \|$", README, re.MULTILINE)
    evaluation = view.get("evaluation")
    scores = [evaluation["model"], *evaluation["baselines"].values()]
    found = sorted((pair["mae"], pair["rmse"]) for pair in scores)
    stated = sorted((float(mae), float(rmse)) for mae, rmse in rows)
    assert found == [pytest.approx(pair, abs=0.002) for pair in stated]


@pytest.mark.extended
def test_the_readme_code_runs(tmp_path, monkeypatch):
    """The README's Python runs from the top of a checkout, one block after the other."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RUNSTORE_URL", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))  # restores sys.path, which a block appends to
    names: dict = {}
    blocks = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert 3 == len(blocks)
    assert 327_346 == len(names["late"])
    pd.testing.assert_frame_equal(names["by_origin"], names["same"])


@pytest.mark.extended
def test_the_readme_commands_run(tmp_path):
    """The README's commands succeed from the top of a checkout, one after the other.

    All but `make demo`, which would make a virtual environment.
    """
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    environment = {key: text for key, text in os.environ.items() if key != "RUNSTORE_URL"}
    commands = re.findall(r"^\$ runstore (.+)$", README, re.MULTILINE)
    for command in commands:
        subprocess.run(
            [sys.executable, "-c", CLI, *shlex.split(command)],
            cwd=tmp_path,
            env=environment,
            stdin=subprocess.DEVNULL,
            check=True,
        )
    assert 5 == len(commands)


def test_the_workflow_file_names_functions_that_exist():
    """Every target of workflow.yaml is a public function of stages.py, and all are used."""
    workflow = load_workflow(EXAMPLE / "workflow.yaml")
    targets = {stage.target for stage in workflow.spec.stages}
    source = (EXAMPLE / "stages.py").read_text(encoding="utf-8")
    functions = re.findall(r"^def ([a-z]\w*)\(", source, re.MULTILINE)
    assert {f"stages.{name}" for name in functions} == targets


def test_the_lineage_of_the_report_names_every_input_and_stage(run, view):
    """Back from the report to the published tables, also of stages that only pass a result."""
    found = view.lineage("report", direction="back")
    origins = {f"delays/{origin}" for origin in run.config["origins"]}
    raw = {f"raw/{name}" for name in ("airports", "flights", "planes", "weather")}
    made = {"flights", "features", "evaluation", "predictions", "report"}
    assert raw | made | origins == {one.name for one in found.objects.values()}
    assert {stage.name for stage in run.stages} == {one.stage for one in found.stages.values()}
    assert all(edge.exact for edge in found.edges)
    assert () == found.gaps
    assert raw | made | origins <= {
        label.split("\n")[0] for label in strictly_mermaid(found).values()
    }


def test_the_events_of_the_report_are_valid(run, view):
    """Each stage has begun and has ended, as OpenLineage's own classes have it."""
    event_v2 = pytest.importorskip("openlineage.client.event_v2")
    events = view.lineage("report").openlineage()
    assert 2 * len(run.stages) == len(events)
    for event in events:
        fits(event, event_v2.RunEvent, "event")
