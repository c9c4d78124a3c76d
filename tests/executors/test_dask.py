"""Dask keeps the contract of executors, on a cluster that outlives the runs."""

from collections.abc import Iterator

import pytest

from runstore.executors import Executor, open_executor
from runstore.testing.executors import ExecutorTests


class TestDask(ExecutorTests):
    in_process = False
    tells_exit_codes = False

    @pytest.fixture
    def executor(self, dask_cluster: str) -> Iterator[Executor]:
        """Two workers of one thread."""
        with open_executor("dask", {"address": dask_cluster}) as executor:
            yield executor
