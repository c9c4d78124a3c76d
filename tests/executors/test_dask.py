"""Dask keeps the contract of executors, on a cluster that outlives the runs."""

import subprocess
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest

from runstore.executors import Executor, open_executor
from runstore.executors._dask_outcomes import error_of
from runstore.executors._dask_workers import DaskWorkers
from runstore.testing.executors import ExecutorTests


class TestDask(ExecutorTests):
    in_process = False
    tells_exit_codes = False

    @pytest.fixture
    def executor(self, dask_cluster: str) -> Iterator[Executor]:
        """Two workers of one thread."""
        with open_executor("dask", {"address": dask_cluster}) as executor:
            yield executor


@pytest.mark.slow  # it starts workers of its own
@pytest.mark.xdist_group("dask")
def test_an_interrupt_while_workers_start_ends_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C does not reach workers of one's own, so the executor ends them and their folder."""
    begun: list[tuple[subprocess.Popen[bytes] | None, str]] = []

    def interrupted(self: DaskWorkers, client: Any) -> None:
        begun.append((self._process, self._folder))
        raise KeyboardInterrupt

    monkeypatch.setattr(DaskWorkers, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt), open_executor("dask", {"workers": 1}) as executor:
        executor.start({})
    ((process, folder),) = begun
    assert process is not None
    assert process.returncode is not None
    assert not Path(folder).exists()


class _RunAgain:
    """A task of Dask whose worker died after it had ended: it is lost, runs again, and ends."""

    key = "k"

    def __init__(self, *statuses: str) -> None:
        self._statuses = list(statuses)

    @property
    def status(self) -> str:
        return self._statuses[0]

    def exception(self) -> None:
        """Wait for the next outcome; Dask's own returns None for all but a failed task."""
        self._statuses.pop(0)


def test_a_task_that_ended_and_ran_again_has_ended_well() -> None:
    """What is lost with its worker and made again is no failure, also if that happens twice."""
    assert error_of(_RunAgain("lost", "finished")) is None
    assert error_of(_RunAgain("pending", "lost", "finished")) is None
    assert isinstance(error_of(_RunAgain("lost", "cancelled")), CancelledError)
