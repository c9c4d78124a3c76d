"""The same stages by `run_workflow`, where an orchestrator is installed, which is not imported."""

import importlib
import importlib.util
import sys

from runstore import run_workflow
from runstore.context import resolvers

STAGES = [
    {"name": "build", "target": "stages:build"},
    {"name": "train", "target": "stages:train", "depends_on": ["build"]},
]

if __name__ == "__main__":
    for name in ("prefect", "dagster", "airflow", "metaflow", "zenml", "flyte", "flytekit"):
        importlib.import_module(f"{resolvers.__name__}.{name}")
    importlib.import_module(f"{resolvers.__name__}.kedro")
    definition = {"metadata": {"name": "ours"}, "spec": {"stages": STAGES}}
    run = run_workflow(definition, run="ours", executor="local")
    assert "finished" == run.state, run
    [package] = sys.argv[1:]
    assert importlib.util.find_spec(package) is not None, package
    loaded = [name for name in sys.modules if name.partition(".")[0] == package]
    assert [] == loaded, loaded
