"""What lives longer than a call ends with its last user, and a child starts without it."""

import gc
import os
import signal
import sys
import threading
import time
import warnings

import pytest

from runstore.lifetime import (
    Bounded,
    ForkSafeLock,
    Shared,
    WeakValues,
    forget_at_fork,
    load_module,
    unique_id,
)


class _Value:
    pass


def in_child(check):
    """Fork; say whether *check* was true in the child, and the child ended at all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of fork beside threads
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = 0 if check() else 2
        finally:
            os._exit(status)
    end = time.monotonic() + 60
    while (ended := os.waitpid(pid, os.WNOHANG)) == (0, 0) and time.monotonic() < end:
        time.sleep(0.01)
    if ended == (0, 0):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return ended == (pid, 0)


@pytest.mark.extended
def test_users_of_a_key_share_one_value_until_the_last_lets_go():
    """Equal keys give the same object; it ends with its last reference, and is made anew then."""
    shared, made = Shared(), []

    def make():
        made.append(1)
        return _Value()

    one, two = shared.get(("k", 1), make), shared.get(("k", 1), make)
    assert one is two
    assert one is not shared.get(("k", 2), make)
    del one
    assert two is shared.get(("k", 1), make)
    del two
    gc.collect()
    assert 0 == len(shared)
    shared.get(("k", 1), make)
    assert 3 == len(made)


def test_a_dropped_value_is_shared_no_more():
    """Those who hold it go on; the next to ask gets another."""
    shared = Shared()
    one = shared.get("k", _Value)
    shared.drop(one)
    assert one is not shared.get("k", _Value)
    assert shared.find("k") is None


def test_threads_that_ask_at_once_get_one_value():
    """Though each of them makes one, all hold the same."""
    shared, barrier, got = Shared(), threading.Barrier(8), []

    def make():
        barrier.wait(60)  # all of them are in here
        return _Value()

    threads = [threading.Thread(target=lambda: got.append(shared.get("k", make))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 == len({id(value) for value in got})


@pytest.mark.extended
def test_a_child_has_none_of_its_parents_values_and_frees_none():
    """In a forked child a Shared is empty; what it held is kept alive, unseen."""
    shared, freed = Shared(), []

    class Telling:
        def __del__(self):
            freed.append(os.getpid())

    value = shared.get("k", Telling)
    parent = os.getpid()

    def check():
        nonlocal value
        value = None
        gc.collect()
        return len(shared) == 0 and os.getpid() not in freed

    assert in_child(check)
    assert value is shared.get("k", Telling)
    assert parent == os.getpid()


def test_no_python_code_runs_when_a_value_ends():
    """A Ctrl-C that arrived in a callback of a weak reference would be lost."""
    shared, owners, leases = Shared(), [ForkSafeLock() for _ in range(3)], WeakValues()
    values = [shared.get(key, _Value) for key in range(3)]
    for key, value in enumerate(values):
        leases.put(key, value)
    run = []
    sys.setprofile(lambda frame, event, arg: run.append(frame) if event == "call" else None)
    try:
        del values, value, owners
    finally:
        sys.setprofile(None)
    assert [] == run
    assert (0, 0) == (len(shared), len(leases))


def test_keys_of_values_that_have_ended_do_not_pile_up():
    """The dict behind weak values is bounded by twice the number of those that live."""
    weak, kept = WeakValues(), [_Value() for _ in range(100)]
    for number in range(10_000):
        value = kept[number] if number < 100 else _Value()
        weak.put(number, value)
    assert len(weak._refs) <= 201
    assert kept == weak.living()[:100]


def test_a_bounded_cache_keeps_the_newest():
    """The oldest value goes when there are too many; a value that is put again is new."""
    cache = Bounded(2)
    for key in "aba":
        cache.put(key, key.upper())
    cache.put("c", "C")
    assert (None, "A", "C") == (cache.get("b"), cache.get("a"), cache.get("c"))
    cache.drop(lambda key, value: key == "a")
    assert 1 == len(cache)


@pytest.mark.parametrize("kind", [threading.Lock, threading.RLock])
def test_a_child_finds_a_held_lock_free(kind):
    """Whoever held it, also the thread that forked."""
    lock = ForkSafeLock(kind)
    taken, done = threading.Event(), threading.Event()

    def hold():
        with lock.held:
            taken.set()
            done.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    taken.wait(60)
    assert in_child(lambda: lock.held.acquire(timeout=30))
    done.set()
    holder.join()
    with lock.held:
        assert in_child(lambda: lock.held.acquire(timeout=30))


def test_owners_are_told_of_a_fork_as_long_as_they_live():
    """forget() is called in the child alone, prepare() in the parent before it."""
    told = []

    class Owner:
        def prepare(self):
            told.append("prepare")

        def forget(self):
            told.append("forget")

    owner = Owner()
    forget_at_fork(owner)
    assert in_child(lambda: told == ["prepare", "forget"])
    assert ["prepare"] == told
    del owner
    assert in_child(lambda: told == ["prepare"])


class _OfModule:
    def __init__(self):
        self.told = []
        forget_at_fork(self)

    def forget(self):
        self.told.append("child")


_of_module = _OfModule()


def test_what_a_module_holds_is_told_of_every_fork():
    """An owner that is held by a module is told as long as the process lives, in each child."""
    gc.collect()
    assert in_child(lambda: ["child"] == _of_module.told)
    assert in_child(lambda: in_child(lambda: ["child", "child"] == _of_module.told))
    assert [] == _of_module.told


_SLOW_MODULE = """
import sys, time
started = sys.modules["tests.test_lifetime"]._started
started.set()
time.sleep(0.3)
"""
_started = threading.Event()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # beside threads
def test_no_fork_comes_into_the_import_of_a_module_of_ours(tmp_path, monkeypatch):
    """A child that is forked while another thread loads a module can load it, too."""
    (tmp_path / "slowly_loaded.py").write_text(_SLOW_MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    loader = threading.Thread(target=load_module, args=("slowly_loaded",))
    loader.start()
    try:
        assert _started.wait(60)
        assert in_child(lambda: load_module("slowly_loaded"))
    finally:
        loader.join()


def test_ids_are_given_once():
    """Threads get different ids, all of hexadecimal digits."""
    got = []
    threads = [
        threading.Thread(target=lambda: got.extend([unique_id() for _ in range(2000)]))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 8000 == len(set(got))
    assert {24} == set(map(len, got))
    assert set("".join(got)) <= set("0123456789abcdef")


def test_a_forked_child_repeats_no_id():
    """Parent and child go on with different ids, and so do two children."""
    unique_id()
    reading, writing = os.pipe()

    def tell():
        os.write(writing, f"{unique_id()}\n".encode())
        return True

    assert in_child(tell)
    assert in_child(tell)
    os.close(writing)
    with os.fdopen(reading) as told:
        ids = [*told.read().split(), unique_id()]
    assert 3 == len({one[:16] for one in ids})
