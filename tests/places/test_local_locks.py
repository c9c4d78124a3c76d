"""Locks on local disk: what a child, a dead process or a mount without locks makes of them."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from contextlib import suppress
from pathlib import Path

import pytest

from runstore.buffers import flat
from runstore.errors import (
    BackendUnavailableError,
    ObjectExistsError,
    PreconditionFailedError,
    StorageError,
    UnreadableWarning,
)
from runstore.places import _local_lock
from runstore.places._local import LocalBackend
from runstore.places._local_lock import KeyLock

KEY = "n/a.arrow"


@pytest.fixture
def backend(tmp_path):
    return LocalBackend(str(tmp_path / "root"))


def content(backend, key=KEY):
    return bytes(flat(backend.get(key)[0]))


@pytest.fixture
def children():
    """Return a function that forks a child, which runs a function and then waits to be ended."""
    pids = []

    def fork(do):
        ready, told = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of fork beside threads
            pid = os.fork()
        if pid == 0:
            try:
                do()
                os.write(told, b"y")
                signal.pause()
            finally:
                os._exit(1)
        os.close(told)
        pids.append(pid)
        return ready

    yield fork
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_forked_child_takes_no_lock_along(backend, children):
    """A child that was forked while its parent held the lock does not keep it from others."""
    lock = KeyLock(backend.url.removeprefix("file://"), KEY)
    assert lock.take(alone=True) is None
    assert b"y" == os.read(children(lambda: None), 1)
    lock.release()
    version = backend.put(KEY, [b"1"]).version
    backend.put(KEY, [b"2"], if_match=version)


_DIES_WITH_THE_LOCK = """
import os, signal, sys
from runstore.places._local_lock import KeyLock
lock = KeyLock(sys.argv[1], sys.argv[2])
assert lock.take(alone=True) is None
child = os.fork()
if child == 0:
    print(os.getpid(), flush=True)  # what the parent had locked is closed by now
    os.close(1)
    signal.pause()
    os._exit(0)
signal.pause()
"""


def test_a_child_of_a_killed_writer_holds_no_lock(backend):
    """A process is killed while it has a lock; its child lives on, and others write."""
    root = backend.url.removeprefix("file://")
    version = backend.put(KEY, [b"1"]).version
    parent = subprocess.Popen(
        [sys.executable, "-c", _DIES_WITH_THE_LOCK, root, KEY], stdout=subprocess.PIPE
    )
    child = int(parent.stdout.readline())
    try:
        parent.kill()
        parent.wait()
        parent.stdout.close()
        backend.put(KEY, [b"2"], if_match=version)
        assert b"2" == content(backend)
    finally:
        os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("unwound", [True, False])
def test_a_child_that_is_forked_within_a_put_leaves_it_alone(backend, unwound):
    """A child that goes on with its parent's put writes nothing and removes nothing."""
    parent, ended = os.getpid(), []

    def forking():
        yield b"one "
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of fork beside threads
            child = os.fork()
        if child:
            ended.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        elif unwound:
            raise ZeroDivisionError
        yield b"two"

    expected = ZeroDivisionError if unwound else StorageError
    try:
        backend.put(KEY, forking())
    except BaseException as exc:
        if os.getpid() != parent:
            os._exit(0 if type(exc) is expected else 1)
        raise
    finally:
        if os.getpid() != parent:
            os._exit(2)
    assert [0] == ended
    assert b"one two" == content(backend)


@pytest.mark.extended
def test_forked_children_and_their_parent_all_get_to_write(backend, children):
    """40 children, forked while plain and conditional puts are under way, put once and stay."""
    done = threading.Event()
    counts = {"plain": 0, "conditional": 0}

    def plain():
        while not done.is_set():
            backend.put("n/plain.arrow", [b"p"])
            counts["plain"] += 1

    def conditional():
        version = backend.put("n/c.arrow", [b"0"]).version
        while not done.is_set():
            version = backend.put("n/c.arrow", [b"c"], if_match=version).version
            counts["conditional"] += 1

    threads = [threading.Thread(target=one) for one in (plain, conditional, plain)]
    for thread in threads:
        thread.start()
    try:
        started = []
        for i in range(40):
            time.sleep(0.001 * (i % 5))
            started.append(children(lambda i=i: backend.put(f"n/{i}.arrow", [b"%d" % i])))
        assert [b"y"] * 40 == [os.read(one, 1) for one in started]
        before = dict(counts)
        deadline = time.monotonic() + 60
        while any(counts[kind] < before[kind] + 5 for kind in counts):
            assert time.monotonic() < deadline, "the children keep their parent from writing"
            time.sleep(0.01)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert [b"%d" % i for i in range(40)] == [content(backend, f"n/{i}.arrow") for i in range(40)]


def test_a_plain_put_waits_for_a_conditional_one(backend):
    """What is put between the look at the version and the rename comes after it."""
    version = backend.put(KEY, [b"0"]).version
    lock = KeyLock(backend.url.removeprefix("file://"), KEY)
    assert lock.take(alone=True) is None
    others = [
        threading.Thread(target=backend.put, args=(KEY, [b"plain"])),
        threading.Thread(target=backend.delete, args=(KEY,)),
    ]
    for other in others:
        other.start()
    time.sleep(0.05)
    assert [True, True] == [other.is_alive() for other in others]
    assert version == backend.head(KEY).version
    lock.release()
    for other in others:
        other.join()


def test_a_lock_that_is_never_given_back_is_an_error(backend, monkeypatch):
    """A process that was stopped with the lock costs an error that names the lock, not a hang."""
    monkeypatch.setattr(_local_lock, "_PATIENCE", 0.05)
    lock = KeyLock(backend.url.removeprefix("file://"), KEY)
    assert lock.take(alone=True) is None
    with pytest.raises(BackendUnavailableError, match=r"\.runstore-locks/\w has been locked"):
        backend.put(KEY, [b"1"])
    lock.release()
    backend.put(KEY, [b"1"])


@pytest.fixture(params=["ENOLCK", "EOPNOTSUPP", "EBADF", "ENOSYS", "EINVAL"])
def without_locks(request, monkeypatch):
    """Let flock() answer as on a mount without locks."""

    def refused(_fd, _how):
        raise OSError(getattr(errno, request.param), "no locks here")

    monkeypatch.setattr(fcntl, "flock", refused)


@pytest.mark.usefixtures("without_locks")
class TestWithoutLocks:
    """A mount without locks does what it can, and refuses the rest."""

    def test_a_conditional_put_is_refused(self, backend):
        """It would race: the error says so and names the ways out, and nothing is touched."""
        version = backend.put(KEY, [b"1"]).version
        with pytest.raises(StorageError, match=r"mounted without file locks.*if_absent"):
            backend.put(KEY, [b"2"], if_match=version)
        assert b"1" == content(backend)
        assert [] == os.listdir(backend.url.removeprefix("file://") + "/.runstore-tmp")

    def test_everything_else_works(self, backend):
        """put, if_absent, get and delete need no lock."""
        backend.put(KEY, [b"1"], if_absent=True)
        with pytest.raises(ObjectExistsError):
            backend.put(KEY, [b"2"], if_absent=True)
        backend.put(KEY, [b"2"])
        assert b"2" == content(backend)
        backend.delete(KEY)
        assert [] == list(backend.list(""))

    def test_sweep_removes_nothing_and_says_why(self, backend):
        """Nobody can tell a living writer's file from a dead one's, so both stay."""
        backend.put(KEY, [b"1"])
        orphan = Path(backend.url.removeprefix("file://"), ".runstore-tmp", "orphan")
        orphan.write_bytes(b"x")
        with pytest.warns(UnreadableWarning, match=r"1 temporary files .* without file locks"):
            assert 0 == backend.sweep(0)
        assert orphan.exists()


def test_a_sweep_between_making_and_locking_a_temporary_file_is_noticed(backend, monkeypatch):
    """The writer makes another one, and its object is whole."""
    flock, swept = fcntl.flock, []

    def sweeping(fd, how):
        if not swept:
            swept.append(None)
            swept[0] = LocalBackend(backend.url.removeprefix("file://")).sweep(0)
        return flock(fd, how)

    monkeypatch.setattr(fcntl, "flock", sweeping)
    backend.put(KEY, [b"1"])
    assert [1] == swept
    assert b"1" == content(backend)


def test_a_sweeper_beside_writers_costs_no_put(backend):
    """Puts go on while another thread sweeps again and again, of any age."""
    done, swept = threading.Event(), []

    def sweeping():
        while not done.is_set():
            swept.append(backend.sweep(0))

    sweeper = threading.Thread(target=sweeping)
    sweeper.start()
    try:
        for i in range(50):
            backend.put(KEY, [b"%d" % i])
            assert b"%d" % i == content(backend)
    finally:
        done.set()
        sweeper.join()
    assert swept


def test_a_conditional_put_sees_a_file_it_cannot_open(backend, monkeypatch):
    """An object that must not be read can be replaced under its version."""
    version = backend.put(KEY, [b"1"]).version
    opened = os.open

    def denied(path, flags, *mode):
        if str(path).endswith(KEY):
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, flags, *mode)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", denied)
        backend.put(KEY, [b"2"], if_match=version)
        with pytest.raises(PreconditionFailedError):
            backend.put(KEY, [b"3"], if_match=version)
    assert b"2" == content(backend)


@pytest.mark.parametrize("refused", [False, True])
def test_the_lock_file_of_another_user(backend, monkeypatch, refused):
    """It is locked for reading; where that cannot be, the error names the file."""
    version = backend.put(KEY, [b"1"]).version
    opened, flock = os.open, fcntl.flock

    def read_only(path, flags, *mode):
        if ".runstore-locks/" in str(path) and flags & os.O_RDWR:
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, flags, *mode)

    def only_what_is_written(fd, how):
        if refused and not fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_RDWR:
            raise OSError(errno.EBADF, "Bad file descriptor")
        flock(fd, how)

    monkeypatch.setattr(os, "open", read_only)
    monkeypatch.setattr(fcntl, "flock", only_what_is_written)
    if refused:
        with pytest.raises(StorageError, match=r"\.runstore-locks/\w, which is another user's"):
            backend.put(KEY, [b"2"], if_match=version)
    else:
        version = backend.put(KEY, [b"2"], if_match=version).version
    backend.put(KEY, [b"3"])
    assert b"3" == content(backend)
