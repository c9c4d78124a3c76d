"""Fixtures of the engines: one Dask cluster and one Ray cluster for all tests.

What uses one is in the group of its engine, so that of several processes of a test
run a single one starts it. What needs Ray is `extended`: its programs take ten seconds of two
processors to start, and give up by clocks of their own on a busy machine. The default suite has
what clusters share on Dask.
"""

from collections.abc import Iterator
from typing import Any

import pytest

GROUPS = {"dask_client": "dask", "ray_cluster": "ray"}
_LIBRARIES = {"dask": "distributed", "ray": "ray"}


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what asks for a cluster into the group of its engine, and what needs Ray aside."""
    for item in items:
        for name in getattr(item, "fixturenames", ()):
            if name in GROUPS:
                item.add_marker(pytest.mark.xdist_group(GROUPS[name]))
        if any(marker.args[0] == "ray" for marker in item.iter_markers("xdist_group")):
            item.add_marker(pytest.mark.extended)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what is in the group of an engine that is not installed, before it starts a program."""
    for marker in item.iter_markers("xdist_group"):
        if marker.args[0] in _LIBRARIES:
            pytest.importorskip(_LIBRARIES[marker.args[0]])


@pytest.fixture(scope="session")
def dask_client() -> Iterator[Any]:
    """Give a client of a Dask scheduler with two workers of one thread each."""
    import distributed

    from runstore.executors._dask_workers import DaskWorkers

    workers = DaskWorkers(2, 1, {"GPU": 1, "parking": 2}, dashboard=True)
    try:
        with distributed.Client(workers.start(), set_as_default=False) as client:
            yield client
    finally:
        workers.stop(kill=True)


@pytest.fixture
def dask_cluster(dask_client: Any) -> str:
    """Give the scheduler's address when both workers are there, also after they were killed."""
    dask_client.wait_for_workers(2, timeout=300)
    address: str = dask_client.scheduler.address
    return address


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """Connect this process to a Ray cluster of two CPUs."""
    from runstore.executors import open_executor

    options = {"workers": 2, "resources": {"parking": 2}}
    with open_executor("ray", options) as executor:
        executor.start({})
        yield
