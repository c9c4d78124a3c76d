"""Fixtures of the engines: one Dask cluster and one Ray cluster for all tests.

What uses one is in the group of its engine, so that of several processes of a test
run a single one starts it.
"""

from collections.abc import Iterator

import pytest

GROUPS = {"dask_cluster": "dask", "ray_cluster": "ray"}


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what asks for a cluster into the group of its engine."""
    for item in items:
        for name in getattr(item, "fixturenames", ()):
            if name in GROUPS:
                item.add_marker(pytest.mark.xdist_group(GROUPS[name]))


@pytest.fixture(scope="session")
def dask_cluster() -> Iterator[str]:
    """Give the address of a Dask scheduler with two workers of one thread each."""
    from runstore.executors._dask_workers import DaskWorkers

    workers = DaskWorkers(2, 1, {"GPU": 1, "parking": 2}, dashboard=True)
    import distributed

    address = workers.start()
    try:
        with distributed.Client(address, set_as_default=False) as client:
            workers.wait(client)
        yield address
    finally:
        workers.stop(kill=True)


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """Connect this process to a Ray cluster of two CPUs."""
    from runstore.executors import open_executor

    options = {"workers": 2, "resources": {"parking": 2}}
    with open_executor("ray", options) as executor:
        executor.start({})
        yield
