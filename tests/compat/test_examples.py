"""Projects as Flowdapt documents them run unchanged but for imports, on each executor."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runstore import ObjectStore

# Which imports are changed: `flowdapt` has become `runstore.compat.flowdapt`, and nothing else.
_STAGES = """
from runstore.compat.flowdapt.compute import object_store
from runstore.compat.flowdapt.compute.artifacts import get_artifact, new_artifact
from runstore.compat.flowdapt.compute.resources.workflow.context import get_run_context


def cities(n_vals):
    names = [f"city-{number}" for number in range(n_vals)]
    object_store.put("cities", names, strategy="cluster_memory")
    return names


def measure(city):
    assert city in object_store.get("cities", strategy="cluster_memory")
    object_store.put(f"length-{city}", len(city), strategy="artifact")
    return len(city)


def shout(city):
    object_store.put(f"loud-{city}", city.upper(), strategy="fallback")
    return city.upper()


def report(lengths, loud):
    context = get_run_context()
    artifact = new_artifact("report")
    assert artifact.is_empty
    artifact["workflow"] = context.definition.metadata.name
    artifact.new_file("report.md", content="\\n".join(loud))
    read = get_artifact("report").get_file("report.md").read()
    draft = new_artifact("draft")
    draft.new_file("x", content="y")
    draft.delete()
    object_store.delete("loud-a")
    return {
        "lengths": lengths,
        "loud": loud,
        "report": read.decode(),
        "workflow": get_artifact("report")["workflow"],
        "config": dict(context.config),
        "namespace": context.namespace,
        "kept": object_store.get("length-city-0"),
    }
"""

_WORKFLOW = """
kind: workflow
metadata:
  name: survey
  annotations: {group: geography}
spec:
  stages:
    - name: cities
      target: stages.cities
    - name: measure
      type: parameterized
      target: stages.measure
      depends_on: cities
      resources: {cpus: 2, memory: 8GB, gpus: 1, custom_resource: 1}
    - name: shout
      type: parameterized
      target: stages.shout
      depends_on: cities
      options: {map_on: payload_cities}
    - name: report
      target: stages.report
      depends_on: [measure, shout]
"""

_CONFIGS = """
kind: config
metadata: {name: by-annotation}
spec: {selector: {type: annotation, value: {group: geography}}, data: {a: 1}}
---
kind: config
metadata: {name: by-name}
spec: {selector: {type: name, value: survey}, data: {b: 2}}
---
kind: config
metadata: {name: without-type}
spec: {selector: {value: survey}, data: {c: 3}}
---
kind: config
metadata: {name: with-kind}
spec: {selector: {kind: workflow, value: survey}, data: {d: 4}}
"""

_MAIN = """
import asyncio
import json
import sys

from runstore.compat.flowdapt.compute import object_store
from runstore.compat.flowdapt.compute.resources.workflow.execute import execute_workflow


def numbers(n_vals):
    object_store.put("numbers", n_vals)
    return list(range(n_vals))


flow = {
    "name": "short",
    "stages": [
        {"name": "numbers", "target": numbers},
        {
            "name": "double",
            "target": lambda number: number * 2,
            "type": "parameterized",
            "depends_on": "numbers",
        },
        {"name": "sum", "target": lambda doubled: sum(doubled), "depends_on": ["double"]},
    ],
}


async def main(executor, options):
    survey = await execute_workflow(
        "workflow.yaml",
        input={"n_vals": 3, "payload_cities": ["a", "b"]},
        namespace="dev",
        config=["configs.yaml"],
        return_result=True,
        executor=executor,
        **options,
    )
    short = await execute_workflow(
        flow, {"n_vals": 4}, return_result=True, executor=executor, **options
    )
    return survey, short


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))))
"""

_SURVEY = {
    "lengths": [6, 6, 6],
    "loud": ["A", "B"],
    "report": "A\nB",
    "workflow": "survey",
    "config": {"a": 1, "b": 2, "c": 3, "d": 4},
    "namespace": "dev",
    "kept": 6,
}
_OFFERED = {"gpus": 1, "memory": 8e9, "custom_resource": 1}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's folder."""
    for name, text in (
        ("stages.py", _STAGES),
        ("workflow.yaml", _WORKFLOW),
        ("configs.yaml", _CONFIGS),
        ("main.py", _MAIN),
    ):
        (tmp_path / name).write_text(text)
    return tmp_path


def _printed(project: Path, *command: str) -> Any:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=project,
        env={**os.environ, "RUNSTORE_URL": str(project / "store")},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert 0 == done.returncode, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.extended
@pytest.mark.parametrize(
    ("executor", "options"),
    [
        ("local", {"use_processes": False, "cpus": 2}),
        ("local", {"use_processes": True, "cpus": 2}),
        pytest.param(
            "dask",
            {"workers": 1, "threads": 2, "resources": _OFFERED},
            marks=pytest.mark.xdist_group("dask"),
        ),
        pytest.param(
            "ray", {"workers": 2, "resources": _OFFERED}, marks=pytest.mark.xdist_group("ray")
        ),
    ],
    ids=["threads", "processes", "dask", "ray"],
)
def test_a_project(project: Path, executor: str, options: dict[str, Any]) -> None:
    """YAML and dict, lambdas, configs, resources, objects and artifacts give the same results."""
    survey, short = _printed(project, "main.py", executor, json.dumps(options))
    assert _SURVEY == survey
    assert 12 == short
    store = ObjectStore(project / "store")
    assert [("dev", "survey", "finished"), ("default", "short", "finished")] == sorted(
        ((run.namespace, run.workflow, run.state) for run in store.runs()), reverse=True
    )
    view = store.at(namespace="dev")
    assert 6 == view.get("length-city-2", scope="namespace")
    assert not view.exists("loud-a", scope="namespace")


@pytest.mark.extended
def test_in_a_shell(project: Path) -> None:
    """`runstore run` takes the input as options, a list as JSON."""
    words = ("--n_vals", "3", "--payload_cities", '["a", "b"]', "--namespace", "dev")
    record = _printed(
        project, "-m", "runstore", "run", "workflow.yaml", "--config", "configs.yaml", "--json",
        *words,
    )  # fmt: skip
    assert _SURVEY == record["result"]
