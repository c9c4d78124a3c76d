"""Long operations tell how far they are; who listens is the caller's choice."""

import io
import logging
import sys
import threading

import numpy as np
import pyarrow as pa
import pytest

import runstore
from runstore import errors, run_workflow
from runstore.context import new_run
from runstore.steps import Step, _notebook, _terminal, reporting
from runstore.steps._texts import far


@pytest.fixture
def heard():
    """Give a list and let it collect the steps of the test."""
    steps = []
    with runstore.progress(steps.append):
        yield steps


def kinds(steps):
    """Return each operation once, with the last count before its end."""
    last = {}
    for step in steps:
        last[step.id] = (step.what, step.done, step.total, step.unit)
    assert {step.id for step in steps if step.ended} == set(last)
    return list(last.values())


def test_a_large_put_tells_its_bytes(view, heard):
    """The bytes of a large object are counted as they are written; a small one is not told."""
    view.put("small", 1)
    assert [] == heard
    view.put("large", np.zeros(2_000_000))
    [(what, done, total, unit)] = kinds(heard)
    assert ("storing dev/r1/large", 16_000_000, "bytes") == (what, total, unit)
    assert done >= total
    assert len(heard) > 2


def test_many_objects_are_counted(view, heard):
    """`put_many`, `get_many` and `verify` count objects, also those that fail."""
    view.put_many({f"x{i}": i for i in range(20)})
    view.get_many([f"x{i}" for i in range(20)])
    with pytest.raises(errors.BulkError):
        view.get_many(["x1", "none"])
    list(view.store.verify())
    found = kinds(heard)
    assert ("storing 20 objects", 20, 20, "objects") == found[0]
    assert ("reading 20 objects", 20, 20, "objects") == found[1]
    assert ("reading 2 objects", 2, 2, "objects") == found[2]
    assert (20, None, "objects") == found[3][1:]


def test_copies_and_deletes_are_told(view, heard):
    """The bytes of a large copy, the parts of an object of parts, and the objects that go."""
    view.put("large", np.zeros(2_000_000))
    view.put_many({f"x{i}": i for i in range(5)})
    for part in range(3):
        view.put("parts", np.arange(5), part=part)
    view.seal("parts")
    heard.clear()
    view.copy("large", to_name="other")
    view.copy("parts", to_name="others")
    view.copy("x1", to_name="y")
    view.delete_many([f"x{i}" for i in range(5)])
    large, parts, gone = kinds(heard)
    assert "copying dev/r1/large" == large[0]
    assert large[1] >= 16_000_000
    assert large[2] >= 16_000_000
    assert ("copying dev/r1/parts", 3, 3, "items") == parts
    assert ("deleting 5 objects", 5, 5, "objects") == gone


def test_comparisons_and_clean_up_are_told(view, heard):
    """What is compared, looked at for a plan or an audit, swept, and read of many runs."""
    store = view.store
    other = store.at(namespace="dev", run="r2")
    for at, one in enumerate((view, other)):
        one.put("table", pa.table({"a": [at, 1, 2]}))
        one.put("array", np.arange(5) + at)
        store.write_run(new_run("w", namespace="dev", name=one.run))
    heard.clear()
    store.diff("dev/r1", "dev/r2")
    store.diff("dev/r1/table", "dev/r2/table")
    store.diff("dev/r1/array", "dev/r2/array")
    store.audit()
    store.plan_gc(keep_last=1)
    store.sweep()
    store.runs()
    found = kinds(heard)
    expected = [
        ("comparing dev/r1 and dev/r2", 2, None, "objects"),
        ("comparing dev/r1/table and dev/r2/table", 3, 3, "rows"),
        ("comparing dev/r1/array and dev/r2/array", 5, 5, "items"),
        (f"looking at {store.url}", 4, None, "objects"),
    ]
    assert expected == found[:4]
    rest = {what: (done, unit) for what, done, _, unit in found[4:]}
    assert (6, "objects") == rest[f"looking at what is stored in {store.url}"]
    assert (3, "items") == rest[f"looking for leftovers in {store.url}"]
    assert (2, "items") == rest[f"reading the records of runs in {store.url}"]


def test_files_and_folders_tell_their_bytes(view, tmp_path, heard):
    """So do raw files and folders, and a callback of the call is called as well."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.bin").write_bytes(bytes(100_000))
    own = []
    view.put_file("a.bin", tmp_path / "folder" / "a.bin", progress=lambda *told: own.append(told))
    view.get_file("a.bin", tmp_path / "copy.bin")
    view.put_dir("folder", tmp_path / "folder")
    view.get_dir("folder", tmp_path / "new")
    assert [(100_000, 100_000, "bytes")] * 4 == [one[1:] for one in kinds(heard)]
    assert (100_000, 100_000) == own[-1]


def test_a_table_in_pieces_tells_its_bytes(view, heard):
    """What is written piece by piece is counted, without a total."""
    import pyarrow as pa

    with view.writer("pieces") as writer:
        for _ in range(3):
            writer.write(pa.table({"a": range(1000)}))
    [(what, done, total, unit)] = kinds(heard)
    assert ("storing dev/r1/pieces", None, "bytes") == (what, total, unit)
    assert done >= 3 * 8000


def test_runs_tell_stages_and_items(store, heard):
    """A run counts its stages, and a mapped stage its items."""
    stages = [
        {"name": "numbers", "target": lambda: [1, 2, 3]},
        {
            "name": "square",
            "target": lambda x: x * x,
            "type": "parameterized",
            "depends_on": ["numbers"],
            "options": {"map_on": "numbers"},
        },
    ]
    definition = {"metadata": {"name": "w"}, "spec": {"stages": stages}}
    run = run_workflow(definition, store=store)
    found = {what: rest for what, *rest in kinds(heard)}
    assert [2, 2, "stages"] == found[f"run {run.name}"]
    assert [3, 3, "items"] == found["stage square"]


def test_other_threads_are_heard_and_other_code_is_not(view):
    """Who listens hears of what begins in the block, and of nothing afterwards."""
    steps = []
    with runstore.progress(steps.append), reporting("work", 4) as report:
        threads = [threading.Thread(target=report.add) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [("work", 4, 4, "objects")] == kinds(steps)
    count = len(steps)
    view.put_many({"a": 1})
    assert count == len(steps)


def test_a_callback_that_raises_ends_nothing(view, caplog):
    """It is logged once and not called again; the operation goes on."""
    calls = []

    def broken(step):
        calls.append(step)
        raise ZeroDivisionError

    with caplog.at_level(logging.WARNING, "runstore.progress"), runstore.progress(broken):
        view.put_many({f"x{i}": i for i in range(5)})
    assert (5, 1, 1) == (len(view.list()), len(calls), len(caplog.records))


def test_nothing_is_shown_in_logs(view, capfd):
    """Where stderr is no terminal and there is no notebook, the block is silent."""
    with runstore.progress() as entered, entered:  # it can be entered twice
        view.put_many({f"x{i}": i for i in range(5)})
    assert ("", "") == capfd.readouterr()


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_shows_what_takes_long(monkeypatch):
    """Lines with bar and count, after a second; names of users are written out."""
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    now = 0.0
    with _terminal.Lines("waiting", lambda: now) as lines:
        now = 1.0
        lines._live.refresh()
        lines(Step("1", "reading \x1b]0;x", 250, 1000, "bytes"))
        now = 2.0
        lines._live.refresh()
    shown = sys.stderr.getvalue()
    assert "waiting" in shown
    assert r"reading \x1b]0;x" in shown
    assert "250 B of 1.0 KB, 25 %" in shown
    assert "━━━━╌" in shown
    monkeypatch.setattr(sys, "stderr", Terminal())
    with _terminal.Lines("", lambda: now) as lines:  # nothing is left of what has ended
        lines(Step("2", "short", 1, None, "objects"))
        lines(Step("2", "short", 1, None, "objects", ended=True))
        now = 9.0
    assert "short" not in sys.stderr.getvalue()


def test_a_notebook_has_one_line_that_goes(monkeypatch):
    """It is made when something takes long, changes, and is emptied at the end."""
    shown = []

    class Line(_notebook.Line):
        def _show(self, html):
            self._handle = self
            shown.append(html)

    monkeypatch.setattr(_notebook, "_PATIENCE", 0)
    monkeypatch.setattr(_notebook, "_PAUSE", 0)
    with Line() as line:
        line(Step("1", "<b>", 1, 2, "objects"))
        line(Step("1", "<b>", 2, 2, "objects", ended=True))
    assert ["<p>&lt;b&gt;: 1 of 2 objects, 50 %</p>", "", ""] == shown


def test_words(view):
    """Counts are told with their unit, and a part of the whole where that is known."""
    assert "1.5 MB of 3.0 MB, 50 %" == far(Step("", "", 1_500_000, 3_000_000, "bytes"))
    assert "7 objects" == far(Step("", "", 7, None, "objects"))
    assert "" == far(Step("", "", 0, None, "objects"))


@pytest.mark.parametrize("callback", ["x", 3])
def test_wrong_callbacks_are_refused(callback):
    """What cannot be called is refused before anything is done."""
    with pytest.raises(errors.InvalidRequestError, match="progress: callback must be"):
        runstore.progress(callback)


@pytest.mark.parametrize("engine", ["obstore", "s3fs"])
def test_transfers_tell_their_bytes(moto_server, engine):
    """A large object is counted as it goes to S3, and as its ranges come back."""
    from tests.places.s3_ import open_store

    view = open_store(moto_server, engine).at(namespace="n", run="r")
    steps = []
    with runstore.progress(steps.append):
        view.put("large", np.zeros(3_000_000))
    [(what, done, total, unit)] = kinds(steps)
    assert ("storing n/r/large", 24_000_000, "bytes") == (what, total, unit)
    assert done >= total
    steps = []
    with runstore.progress(steps.append):
        view.get("large")
    [(what, done, total, unit)] = kinds(steps)
    assert (total, "bytes") == (done, unit)
    assert what.endswith("n/r/large.arrow")
    assert len(steps) >= 4
