"""What the tests of engines share: each engine on its warm cluster."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from runstore import ObjectStore, WorkflowRun, run_workflow

Run = Callable[..., WorkflowRun]


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    """An empty store on disk."""
    return ObjectStore(tmp_path / "store")


@pytest.fixture(
    params=[
        pytest.param("dask", marks=pytest.mark.xdist_group("dask")),
        pytest.param("ray", marks=pytest.mark.xdist_group("ray")),
    ]
)
def engine(request: pytest.FixtureRequest, store: ObjectStore) -> Run:
    """run_workflow on each engine's cluster of two workers, on the store of the test."""
    options = {}
    if request.param == "dask":
        options["address"] = request.getfixturevalue("dask_cluster")
    else:
        request.getfixturevalue("ray_cluster")
    return partial(run_workflow, store=store, executor=request.param, executor_options=options)
