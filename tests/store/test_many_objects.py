"""What many objects cost, in counts: looks at files, listings, calls. Times are for benchmarks."""

import os
import pickle
import threading
import uuid
from collections import Counter

import pytest

from runstore import ObjectStore
from runstore.errors import BulkError, ObjectNotFoundError
from runstore.store import _bulk

MANY = 1200


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of many objects on disk; they are empty files, since nobody reads them."""
    root = tmp_path_factory.mktemp("many")
    (root / "n" / "r" / "deep").mkdir(parents=True)
    for n in range(MANY):
        (root / "n" / "r" / f"x{n:05}.arrow").touch()
    for n in range(100):
        (root / "n" / "r" / "deep" / f"y{n:05}.arrow").touch()
    for n in range(50):
        (root / f"n{n}" / "r").mkdir(parents=True)
        (root / f"n{n}" / "r" / "x.arrow").touch()
    return root


@pytest.fixture
def looks(folder, monkeypatch):
    """How often files of the store are looked at and its folders are read."""
    counted = Counter()
    for name in ("stat", "scandir"):
        function = getattr(os, name)

        def counting(path, *args, name=name, function=function, **kwargs):
            counted[name] += str(path).startswith(str(folder))
            return function(path, *args, **kwargs)

        monkeypatch.setattr(os, name, counting)
    return counted


def test_a_miss_lists_nothing(folder, looks):
    """A miss that the program handles reads no folder, however many objects there are."""
    view = ObjectStore(folder).at(namespace="n", run="r")
    for verb in (view.get, view.stat, view.delete, view.get_with_info):
        with pytest.raises(ObjectNotFoundError):
            verb("missing")
    assert view.get("missing", default=None) is None
    assert not view.exists("missing")
    with pytest.raises(BulkError):
        view.get_many(["missing", "missed"])
    with pytest.raises(BulkError):
        view.delete_many(["missing", "missed"])
    assert 0 == looks["scandir"]


def test_a_shown_miss_looks_at_some(folder, looks, monkeypatch):
    """Its message has a hint of what is there; for that, at most a thousand names are read."""
    seen = []
    monkeypatch.setattr("difflib.get_close_matches", lambda name, there, n: seen.extend(there))
    view = ObjectStore(folder).at(namespace="n", run="r")
    with pytest.raises(ObjectNotFoundError) as caught:
        view.get("missing")
    assert 0 == looks["scandir"]
    message = str(caught.value)
    assert "stored there: " in message
    assert looks["scandir"] <= 5
    assert 0 < len(seen) <= 1000
    assert looks["stat"] <= 10  # whether it is there by now, in the other scope, and the root
    assert message == str(caught.value)
    assert len(seen) <= 1000


def test_a_miss_that_crosses_has_its_hint(tmp_path):
    """An error that goes to another process looks before it goes: its store is not there."""
    view = ObjectStore(tmp_path).at(namespace="n", run="r")
    view.put("features", 1)
    with pytest.raises(ObjectNotFoundError) as caught:
        view.get("featurs")
    caught.value.add_note("a note")
    again = pickle.loads(pickle.dumps(caught.value))
    assert "did you mean 'features'?" in str(again)
    assert (caught.value.ref, ["a note"]) == (again.ref, again.__notes__)


def test_a_listing_by_prefix_looks_at_what_it_gives(folder, looks):
    """list() of a prefix reads one folder, and asks for nothing of files that do not match."""
    view = ObjectStore(folder).at(namespace="n", run="r")
    looks.clear()
    assert 10 == len(view.list("x0001"))
    assert {"scandir": 1, "stat": 10} == looks
    looks.clear()
    assert 10 == len(list(view.iter("x0001")))
    assert {"scandir": 1, "stat": 10} == looks
    looks.clear()
    assert 10 == len(view.list("deep/y0001"))
    assert {"scandir": 1, "stat": 10} == looks
    looks.clear()
    assert [] == view.list("z")
    assert 1 == looks.total()


def test_namespaces_are_found_by_their_first_file(folder, looks):
    """namespaces() and the runs of one need no look at their objects."""
    store = ObjectStore(folder)
    assert 51 == len(store.namespaces())
    assert looks["scandir"] <= 1 + 2 * 51
    assert 0 == looks["stat"]
    assert ["r"] == store.runs_with_objects("n")
    assert 0 == looks["stat"]


def _threads_started(monkeypatch):
    started, start = [], threading.Thread.start
    monkeypatch.setattr(
        threading.Thread, "start", lambda self: (started.append(self.name), start(self))[1]
    )
    return started


@pytest.mark.parametrize("place", ["memory", "disk"])
def test_quick_items_need_no_threads(place, tmp_path, monkeypatch):
    """put_many and get_many of small objects near by make the calls of a loop, and no more."""
    monkeypatch.setattr(_bulk, "_WORTH_THREADS", 1000)
    store = ObjectStore(f"memory://{uuid.uuid4()}" if place == "memory" else tmp_path)
    view = store.at(namespace="n", run="r")
    values = {f"x{n}": b"x" * 100 for n in range(50)}

    def calls(work):
        counted = Counter()

        def count(frame, event, arg):
            # Other tests may have left threads that start others.
            if threading.current_thread().name.startswith("runstore-"):
                counted[event] += 1

        threading.setprofile(count)
        try:
            thread = threading.Thread(target=work, name="runstore-test")
            thread.start()
            thread.join()
        finally:
            threading.setprofile(None)
        return counted["call"] + counted["c_call"]

    view.put_many(values)  # what is loaded once is loaded
    view.get_many(values)
    loop = calls(lambda: [view.put(name, value) for name, value in values.items()])
    assert calls(lambda: view.put_many(values)) <= 1.1 * loop
    loop = calls(lambda: [view.get(name) for name in values])
    assert calls(lambda: view.get_many(values)) <= 1.1 * loop
    started = _threads_started(monkeypatch)
    assert values == view.get_many(values)
    assert ["runstore-get-0"] == started  # so that Ctrl-C is heard here


def test_slow_items_are_done_at_once(tmp_path, monkeypatch):
    """After an item that takes long the next ones are done in threads, in the order given."""
    monkeypatch.setattr(_bulk, "_WORTH_THREADS", -1)
    started = _threads_started(monkeypatch)
    view = ObjectStore(tmp_path).at(namespace="n", run="r")
    values = {f"x{n}": n for n in range(200)} | {"bad/": 1} | {f"y{n}": n for n in range(9)}
    with pytest.raises(BulkError) as caught:
        view.put_many(values)
    assert [name for name in values if name != "bad/"] == list(caught.value.results)
    assert ["bad/"] == list(caught.value.errors)
    assert any(name.startswith("runstore-put") for name in started)
    del values["bad/"]
    assert list(values.items()) == list(view.get_many(values).items())
