"""Which process executes a run, and whether it is still there."""

import os
import socket
from pathlib import Path

from runstore.context import RunProcess, WorkflowRun
from runstore.signs import process_space

__all__ = ["seen_from_here", "this_process"]

_NO_PID = 1 << 31  # the number of a process is a C int


def this_process() -> RunProcess:
    """Describe this process, for the record of a run that it executes."""
    pid = os.getpid()
    return RunProcess(
        host=socket.gethostname(), space=process_space(), pid=pid, started=_started(pid)
    )


def seen_from_here(run: WorkflowRun) -> WorkflowRun:
    """Return *run*, as ``lost`` if it says ``running`` and its process on this host is gone.

    Nothing is known of processes of another host, of another container, or before the last
    boot: then the state is as recorded.
    """
    runner = run.runner
    if run.state != "running" or runner is None or runner.space is None:
        return run
    if (runner.host, runner.space) != (socket.gethostname(), process_space()) or _lives(runner):
        return run
    return run.model_copy(update={"state": "lost"})


def _lives(runner: RunProcess) -> bool:
    if not 0 < runner.pid < _NO_PID:
        return False  # a record may say anything
    try:
        os.kill(runner.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it exists, and is another user's
    started = _started(runner.pid)
    return started is None or started == runner.started  # a process number is used again


def _started(pid: int) -> int | None:
    """Return when a process started, in ticks since the boot; 0 if it has ended, unreaped."""
    try:
        # The name of the process is in brackets, and may be any bytes.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return 0 if fields[0] in b"ZX" else int(fields[19])
