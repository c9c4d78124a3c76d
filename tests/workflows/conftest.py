"""What the tests of workflows share: small flows, projects on disk, and a way to run them."""

import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from runstore.context import WorkflowRun
from runstore.workflows import run_workflow

Run = Callable[..., WorkflowRun]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Where the runs of a test keep things."""
    return tmp_path / "store"


@pytest.fixture
def threads(store: Path) -> Run:
    """run_workflow in two threads, on the store of the test."""
    return partial(run_workflow, store=store, executor_options={"mode": "threads", "workers": 2})


# Each process imports the package, which takes most of the time of such a test. In the default
# suite tests/executors and tests/engines/test_everywhere.py have what differs in processes.
@pytest.fixture(params=["threads", pytest.param("processes", marks=pytest.mark.extended)])
def run(request: pytest.FixtureRequest, store: Path) -> Run:
    """run_workflow in two threads and in two processes, on the store of the test."""
    return partial(
        run_workflow, store=store, executor_options={"mode": request.param, "workers": 2}
    )


@pytest.fixture
def flow() -> Callable[..., dict[str, Any]]:
    """Make a workflow of stages, each ``name=target`` or ``name=(target, {fields})``."""

    def make(**stages: Any) -> dict[str, Any]:
        written = []
        for name, stage in stages.items():
            target, fields = stage if isinstance(stage, tuple) else (stage, {})
            written.append({"name": name, "target": target, **fields})
        return {"kind": "workflow", "metadata": {"name": "flow"}, "spec": {"stages": written}}

    return make


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """Write files, dedented, into a folder of their own and return the folder."""

    def write(folder: str = "project", /, **files: str) -> Path:
        root = tmp_path / folder
        root.mkdir(exist_ok=True)
        for name, text in files.items():
            stem, _, kind = name.rpartition("_")
            (root / f"{stem}.{kind}").write_text(textwrap.dedent(text))
        return root

    return write


FLOW = """\
metadata: {name: flow}
spec:
  stages:
    - {name: s, target: stages.stage}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Any:
    """Write a folder with a workflow and its modules, and return the workflow's path."""

    def write(name: str, /, **files: str) -> Path:
        for file, text in {"flow.yaml": FLOW, **files}.items():
            path = tmp_path / name / (file if "." in file else f"{file}.py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        return tmp_path / name / "flow.yaml"

    return write
