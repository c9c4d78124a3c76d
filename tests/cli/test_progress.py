import io
import sys

import pytest

from runstore.cli._progress import progress
from runstore.workflow import RunEvent


class Terminal(io.StringIO):
    def isatty(self):
        return True


def events():
    where = "run default/r1"
    place = f"{where}: runs on dask at tcp://h:1, dashboard http://h:2/status"
    stage = f"{where} stage b"
    yield RunEvent("run", "r1", None, "running", 0, 1, None, where)
    yield RunEvent("executor", "r1", None, "running", 0, 1, None, place)
    yield RunEvent("stage", "r1", "b", "running", 0, 2, None, f"{stage}: running")
    yield RunEvent("item", "r1", "b", "running", 2, 2, None, f"{stage}: 2 of 2 items done", 1)
    yield RunEvent("stage", "r1", "b", "finished", 2, 2, 1.5, f"{stage}: finished after 1.50 s")


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
    assert "runs on dask at tcp://h:1, dashboard http://h:2/status" in shown
    if stream is Terminal:
        assert "2/2" in shown
        assert "1 failed" in shown
    else:
        assert "b: 2 of 2 items done" in shown
