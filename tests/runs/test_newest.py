"""The newest runs, and all that runs leave: what is read and listed for it, and what stays."""

import threading
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from fsspec import filesystem
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from runstore import ObjectStore
from runstore.cli._app import app
from runstore.context import new_run, new_run_name
from runstore.errors import CorruptObjectError, UnreadableWarning
from runstore.places import Wrapper
from runstore.places._local import LocalBackend
from runstore.runs import list_runs, newest_first, newest_runs
from runstore.store._objects import Objects

START = datetime(2026, 1, 1, tzinfo=UTC)


class Counting(Wrapper):
    """A place that counts what is asked of it."""

    def __init__(self, backend):
        super().__init__(backend)
        self.asked = Counter()

    def get(self, key, **how):
        self.asked["get"] += 1
        return self._backend.get(key, **how)

    def list(self, prefix):
        self.asked["list"] += 1
        return self._backend.list(prefix)

    def folders(self, prefix):
        self.asked["folders"] += 1
        return self._backend.folders(prefix)


@pytest.fixture
def store(tmp_path):
    """Give a store whose place counts."""
    store = ObjectStore(tmp_path / "store")
    store._now = Objects(Counting(LocalBackend(str(tmp_path / "store"))), "allow")
    return store


def recorded(store, workflow, minutes, name=None):
    """Write the record of a run that started so long after the first one."""
    at = START + timedelta(minutes=minutes)
    run = new_run(workflow, namespace="n", name=name or new_run_name(workflow, at))
    store.write_run(run.model_copy(update={"started_at": at, "state": "finished"}))
    return run.name


@pytest.mark.parametrize("most", [1, 3])
def test_few_records_are_read(store, most):
    """Of many runs the last ones are read, whatever their workflows are called."""
    names = [recorded(store, f"w{n % 3}", n) for n in range(60)]
    store.backend.asked.clear()
    assert names[::-1][:most] == [run.name for run in newest_runs(store.backend, "n", most)]
    assert {"list": 1, "get": most} == store.backend.asked


def test_a_late_page_reads_what_the_index_does_not_know(store):
    """On a disk, too, the index is made by the first look at a late page; the next one uses it."""
    names = [recorded(store, "flow", minutes) for minutes in range(200)]
    for expected in (150 + 20 + 1, 1 + 20):  # the index and records, to the page that is asked for
        store.backend.asked.clear()
        found = list(islice(newest_first(store.backend, "n", at_once=10, skip=150), 20))
        assert names[30:50] == [run.name for run in reversed(found)]
        assert store.backend.asked["get"] <= expected


@settings(max_examples=20)
@given(
    runs=st.lists(
        st.tuples(
            st.integers(0, 2500),  # microseconds of the start
            st.one_of(st.none(), st.integers(-3, 3), st.just(0)),  # none: a name of its own
            st.integers(0, 9),
        ),
        min_size=3,
        max_size=16,
    ),
    size=st.integers(2, 9),
    at_once=st.integers(1, 9),
    url=st.sampled_from(["memory://newest-pages", "disk"]),
)
def test_pages_together_are_the_whole_list(tmp_path_factory, runs, size, at_once, url):
    """Each run once, by its start: also of one millisecond, and where names say another one."""
    store = ObjectStore(tmp_path_factory.mktemp("pages") if url == "disk" else url)
    namespace, starts = f"n{uuid.uuid4().hex}", {}
    for number, (micros, off, letter) in enumerate(runs):
        at = START + timedelta(seconds=1, microseconds=micros)
        named = at + timedelta(milliseconds=off or 0)
        name = f"own-{letter}-{number}"
        if off is not None:
            name = f"{new_run_name('flow', named)[:-8]}{letter}{number:07x}"
        run = new_run("flow", namespace=namespace, name=name)
        store.write_run(run.model_copy(update={"started_at": at, "state": "finished"}))
        # What is named after an earlier millisecond stands at the end of that.
        latest = named.replace(microsecond=named.microsecond // 1000 * 1000)
        latest += timedelta(milliseconds=1)
        starts[name] = at if off is None else min(at, latest)
    expected = sorted(starts, key=lambda name: (starts[name], name), reverse=True)
    with pytest.MonkeyPatch.context() as patched:
        for worth in (1000, 4):  # without an index, and with one from the second look on
            patched.setattr("runstore.runs._index.WORTH", worth)
            patched.setattr("runstore.runs._pages._MANY_SKIPPED", worth)
            for _ in range(2):
                paged = [
                    run.name
                    for skip in range(0, len(runs) + 1, size)
                    for run in islice(
                        newest_first(store.backend, namespace, skip=skip, at_once=at_once), size
                    )
                ]
                assert expected == paged
                every = newest_first(store.backend, namespace, at_once=at_once, whole=True)
                assert expected == [run.name for run in every]


def test_pages_have_each_run_once(store):
    """Also where some runs have names of their own, which do not tell when they began."""
    for minutes in range(20):
        recorded(store, "flow", minutes, name=f"own-{minutes:02}" if minutes % 3 else None)
    every = [run.name for run in newest_first(store.backend, "n")]
    paged = [
        run.name
        for skip in range(0, 20, 4)
        for run in islice(newest_first(store.backend, "n", skip=skip), 4)
    ]
    assert (20, every) == (len(set(every)), paged)


def test_names_of_ones_own_have_no_time(store):
    """Runs with names of their own are told by when their record was written, and read."""
    timed = [recorded(store, "w", n) for n in range(40)]
    recorded(store, "w", 20.5, name="mine")
    last = recorded(store, "w", 100, name="newest-of-all")
    store.backend.asked.clear()
    assert [last, timed[-1]] == [run.name for run in newest_runs(store.backend, "n", 2)]
    assert store.backend.asked["get"] <= 4
    everything = [run.name for run in list_runs(store.backend, "n")]
    assert everything == [run.name for run in newest_runs(store.backend, "n", 99)]


def test_an_unreadable_record_is_told_and_passed_over(store, tmp_path):
    """A damaged newest record costs a warning, and the next one is found."""
    names = [recorded(store, "w", n) for n in range(3)]
    (tmp_path / "store" / "n" / "_runs" / f"{names[-1]}.json").write_text("{")
    with pytest.warns(UnreadableWarning, match="left out of the runs"):
        assert [names[1]] == [run.name for run in newest_runs(store.backend, "n", 1)]
    with pytest.raises(CorruptObjectError):
        store.read_run(names[-1], namespace="n")


def test_the_shell_reads_few_records(store, tmp_path, monkeypatch):
    """`_latest` and `--limit` read the newest records; the others could be damaged."""
    names = [recorded(store, "w", n) for n in range(9)]
    store.at(namespace="n", run=names[-1]).put("x", 1)
    for name in names[:-3]:
        (tmp_path / "store" / "n" / "_runs" / f"{name}.json").write_text("{")
    url = str(tmp_path / "store")
    for arguments in (["runs", "-n", "n", "--limit", "3"], ["runs", "--limit", "3"]):
        shown = CliRunner().invoke(app, [*arguments, "--store", url, "--json"])
        assert 0 == shown.exit_code, shown.output
        assert names[:-3] == [name for name in names if name not in shown.output]
        assert "left out" not in shown.output
    shown = CliRunner().invoke(app, ["ls", "n/_latest", "--store", url, "--json"])
    assert names[-1] in shown.output
    assert "left out" not in shown.output


@pytest.mark.parametrize("path", ["", "n"])
def test_all_runs_are_one_listing(store, path, monkeypatch):
    """What lies below the store or a namespace is listed at once, however many runs there are."""
    for n in range(30):
        store.at(namespace="n", run=f"r{n}").put("x", n)
        recorded(store, "w", n, name=f"r{n}")
    store.at(namespace="n", run=None).put("s" * 300, 1, scope="namespace")
    fs = filesystem("runstore", store=str(store.url))
    monkeypatch.setattr(type(fs), "_store", store)
    for look in (fs.find, fs.du, fs.isdir, fs.ls):
        store.backend.asked.clear()
        found = look(path)
        assert store.backend.asked.total() <= 1, (look, store.backend.asked)
        if look == fs.find:
            assert 31 == len(found)
            assert f"n/_shared/{'s' * 300}" in found


def test_a_deleted_run_leaves_no_folder(tmp_path):
    """Neither the folders of its objects nor those of the last record stay behind."""
    store = ObjectStore(tmp_path)
    for run in ("a", "b"):
        store.at(namespace="n", run=run).put("deep/er/x", 1)
        store.write_run(
            new_run("w", namespace="n", name=run).model_copy(update={"state": "failed"})
        )
    store.delete_run("a", namespace="n")
    assert ["_runs", "b"] == sorted(path.name for path in (tmp_path / "n").iterdir())
    (tmp_path / "n" / "b" / ".foreign").touch()
    store.delete_run("b", namespace="n")
    visible = [path for path in tmp_path.rglob("*") if ".runstore" not in str(path)]
    assert [tmp_path / "n", tmp_path / "n" / "b", tmp_path / "n" / "b" / ".foreign"] == visible


def test_a_put_makes_its_folder_again(tmp_path):
    """Runs are deleted while others begin in the same namespace: no put fails, none is lost."""
    store, runs = ObjectStore(tmp_path), 60
    barrier = threading.Barrier(2, timeout=60)

    def begin():
        for n in range(runs):
            barrier.wait()
            store.at(namespace="n", run=f"new{n}").put("deep/x", b"x" * (n % 2 * 200_000 + 1))

    def end():
        for n in range(runs):
            barrier.wait()
            if n:
                store.delete_run(f"new{n - 1}", namespace="n")

    with ThreadPoolExecutor(2) as pool:
        for side in [pool.submit(begin), pool.submit(end)]:
            side.result()
    assert [f"new{runs - 1}"] == store.runs_with_objects("n")
