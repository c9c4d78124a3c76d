"""Ray keeps the contract of executors, on a cluster that outlives the runs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runstore.errors import ExecutorUnavailableError
from runstore.executors import Executor, _ray_connection, open_executor
from runstore.testing.executors import ExecutorTests


class TestRay(ExecutorTests):
    in_process = False
    tells_exit_codes = False

    @pytest.fixture
    def executor(self, ray_cluster: None) -> Iterator[Executor]:
        """Two CPUs."""
        with open_executor("ray") as executor:
            yield executor


class _Interrupted:
    """Stands for the module `ray`, whose start fails when half of it is there."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.folder = ""
        self.ended = False

    def init(self, *, _temp_dir: str, **options: Any) -> None:
        self.folder = _temp_dir
        raise self.error

    def shutdown(self) -> None:
        self.ended = True


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt),
        (Exception("The current node timed out during startup"), ExecutorUnavailableError),
    ],
)
def test_a_ray_that_does_not_start_leaves_nothing(
    error: BaseException, raised: type[BaseException]
) -> None:
    """What was started of the cluster is ended, and its folder is removed; errors are ours."""
    ray = _Interrupted(error)
    with pytest.raises(raised):
        _ray_connection._started(ray, None, {})
    assert ray.ended
    assert ray.folder
    assert not Path(ray.folder).exists()
