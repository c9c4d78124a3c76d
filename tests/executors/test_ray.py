"""Ray keeps the contract of executors, on a cluster that outlives the runs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

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
    """Stands for the module `ray`, whose start is interrupted when half of it is there."""

    def __init__(self) -> None:
        self.folder = ""
        self.ended = False

    def init(self, *, _temp_dir: str, **options: Any) -> None:
        self.folder = _temp_dir
        raise KeyboardInterrupt

    def shutdown(self) -> None:
        self.ended = True


def test_an_interrupt_while_ray_starts_ends_it() -> None:
    """What of a cluster of one's own has been started is ended, and its folder is removed."""
    ray = _Interrupted()
    with pytest.raises(KeyboardInterrupt):
        _ray_connection._started(ray, None, {})
    assert ray.ended
    assert ray.folder
    assert not Path(ray.folder).exists()
