"""Dask workers that are started for a run and end with it.

They are started as programs, not by `multiprocessing` as those of `LocalCluster`
are. So they never import the caller's ``__main__``, a script needs no guard to use
them, and nothing is forked from a process that has an event loop and threads.
"""

import contextlib
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runstore.errors import ExecutorUnavailableError
from runstore.executors._dask_tasks import OWN
from runstore.scratch import new_folder

__all__ = ["DaskWorkers"]

_START = 60.0  # seconds for all workers to report
_EXIT = 5.0  # seconds for the workers to end by themselves


class DaskWorkers:
    """A scheduler in this process, and worker processes, restarted by nannies if they die.

    The workers lead a process group of their own, so Ctrl-C reaches the caller alone.

    Args:
        count: How many processes.
        threads: Of each.
        resources: Of each, by the names that Dask is told.
        dashboard: Whether the scheduler shows one.
    """

    def __init__(
        self, count: int, threads: int, resources: Mapping[str, float], *, dashboard: bool
    ) -> None:
        self.dashboard = dashboard
        self._count = count
        self._threads = threads
        self._resources = {"CPU": float(threads), **resources}
        self._cluster: Any = None
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = ""

    def start(self) -> str:
        """Start the scheduler and the workers; return its address before the workers are there."""
        import dask
        import distributed

        self._cluster = distributed.LocalCluster(
            n_workers=0,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # it has health pages anyway
            scheduler_kwargs={"dashboard": self.dashboard},
            silence_logs=logging.ERROR,
        )
        address: str = self._cluster.scheduler_address
        self._folder = new_folder("runstore-dask-")
        # Failures are reported by the run, with the stage. Dask's messages about starting and
        # stopping do not help a user who did not ask for a cluster.
        quiet = {"logging": {"distributed": "error", "distributed.worker": "critical"}}
        # Stages may have processes of their own; they die with the group.
        free = {"distributed": {"worker": {"daemon": False}}}
        config = dask.config.merge(quiet, dask.config.global_config, free)
        path = [entry or str(Path.cwd()) for entry in sys.path]
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [
                *(sys.executable, "-m", "distributed.cli.dask_worker", address),
                *("--nworkers", str(self._count), "--nthreads", str(self._threads)),
                *("--host", "127.0.0.1", "--no-dashboard", "--death-timeout", "60"),
                *("--local-directory", self._folder, "--resources", _as_option(self._resources)),
            ],
            env={
                **os.environ,
                OWN: "1",
                "PYTHONPATH": os.pathsep.join(dict.fromkeys(path)),
                "DASK_INTERNAL_INHERIT_CONFIG": dask.config.serialize(config),
            },
            stdin=subprocess.DEVNULL,
            process_group=0,
        )
        return address

    def wait(self, client: Any) -> None:
        """Wait for the workers.

        Raises:
            ExecutorUnavailableError: They did not report in time.
        """
        try:
            client.wait_for_workers(self._count, timeout=_START)
        except TimeoutError as exc:
            raise ExecutorUnavailableError(
                f"{self._count} Dask workers were started on this machine and did not report "
                f"within {_START:g} s; standard error tells more"
            ) from exc

    def stop(self, *, kill: bool) -> None:
        """End scheduler and workers; can be called again."""
        process, self._process = self._process, None
        if process is not None:
            if not kill:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_EXIT)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)  # also workers that outlive their nanny
            process.wait()
        cluster, self._cluster = self._cluster, None
        if cluster is not None:
            cluster.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _as_option(resources: Mapping[str, float]) -> str:
    return " ".join(f"{key}={value!r}" for key, value in resources.items())
