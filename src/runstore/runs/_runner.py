"""Which process executes a run, and whether it is still there."""

import os
import socket
from datetime import UTC, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from runstore.context import RunProcess, WorkflowRun, now
from runstore.signs import process_space

if TYPE_CHECKING:
    from runstore.runs._alive import Liveness

__all__ = ["UNHEARD", "seen_from_here", "this_process"]

UNHEARD = timedelta(days=7)
"""After which a run of an orchestrator counts as lost, if nobody has said how it has ended."""

_NO_PID = 1 << 31  # the number of a process is a C int


def this_process() -> RunProcess:
    """Describe this process, for the record of a run that it executes."""
    pid = os.getpid()
    return RunProcess(
        host=socket.gethostname(), space=process_space(), pid=pid, started=_started(pid)
    )


def seen_from_here(run: WorkflowRun, liveness: "Liveness | None" = None) -> WorkflowRun:
    """Return *run*, as ``lost`` if it says ``running`` and its process is gone.

    On this host that is seen at once. Of a process of another host, of another container, or
    before the last boot, it is told by when the run was renewed last. A run of an orchestrator has
    no process that is known: it is lost when nothing was heard of it for `UNHEARD`.

    Args:
        run: The run, as its record says.
        liveness: Tells which runs are renewed; without it others' processes are not looked after.

    Raises:
        StorageError: The place failed.
    """
    runner = run.runner
    if run.state == "running" and runner is None and _is_elsewhere(run):
        return run.model_copy(update={"state": "lost"}) if _unheard(run) else run
    if run.state != "running" or runner is None:
        return run
    here = socket.gethostname(), process_space()
    if runner.space is not None and (runner.host, runner.space) == here:
        lost = not _lives(runner)
    else:
        lost = runner.renews is not None and liveness is not None and liveness.is_lost(run)
    return run.model_copy(update={"state": "lost"}) if lost else run


def _is_elsewhere(run: WorkflowRun) -> bool:
    """Return whether an orchestrator executes it, whose name is noted as source and executor."""
    return run.executor is not None and run.executor == run.source


def _unheard(run: WorkflowRun) -> bool:
    signs = [run.started_at, *(stage.started_at for stage in run.stages)]
    signs += [stage.finished_at for stage in run.stages]
    heard = [at if at.tzinfo else at.replace(tzinfo=UTC) for at in signs if at is not None]
    return bool(heard) and now() - max(heard) > UNHEARD


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
