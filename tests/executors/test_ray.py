"""Ray keeps the contract of executors, on a cluster that outlives the runs."""

from collections.abc import Iterator

import pytest

from runstore.executors import Executor, open_executor
from runstore.testing.executors import ExecutorTests


class TestRay(ExecutorTests):
    in_process = False
    tells_exit_codes = False

    @pytest.fixture
    def executor(self, ray_cluster: None) -> Iterator[Executor]:
        """Two CPUs."""
        with open_executor("ray") as executor:
            yield executor
