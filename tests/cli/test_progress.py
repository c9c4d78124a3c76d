import io
import sys

import pytest

from runstore.cli._progress import progress
from runstore.context import new_run
from runstore.workflows._events import Reporter


class Terminal(io.StringIO):
    def isatty(self):
        return True


def events():
    """Return what happens in a run whose name looks like a part of a message."""
    found = []
    reporter = Reporter(new_run("w", namespace="dev", name="x stage b: y"), found.append)
    reporter.run("running", 0, 1)
    reporter.executor("dask at tcp://h:1, dashboard http://h:2/status", 1)
    reporter.stage("b", "running", 0, 2)
    reporter.retry("b", 0, 2, 2, "OSError: no: route")
    reporter.item("b", 2, 2, 1)
    reporter.stage("b", "finished", 2, 2, 1.5)
    return found


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_progress_tells_where_it_runs_and_what_failed(stream, monkeypatch):
    """Live or in lines: where the stages run, the items done, and how many failed are shown."""
    monkeypatch.setattr(sys, "stderr", stream())
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    with progress() as told:
        for event in events():
            told(event)
    shown = sys.stderr.getvalue()
    if stream is Terminal:
        assert "runs on dask at tcp://h:1, dashboard http://h:2/status" in shown
        assert "2/2" in shown
        assert "1 failed; retried, attempt 2, after OSError: no: route" in shown
    else:
        assert [
            "run x stage b: y: 1 stage",
            "runs on dask at tcp://h:1, dashboard http://h:2/status",
            "b: running",
            "b: retried, attempt 2, after OSError: no: route",
            "b: 2 of 2 items done, 1 failed",
            "b: finished after 1.50 s",
        ] == shown.splitlines()
