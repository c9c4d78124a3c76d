"""Ctrl-C at any moment of a verb on local disk: nothing is left behind, nothing is half."""

import _imp
import fcntl
import gc
import os
import sys
import tempfile
from pathlib import Path

import pytest
from tests.places.descriptors import open_files

from runstore.buffers import MAP_FROM, flat
from runstore.errors import RunStoreError
from runstore.places import _descriptor
from runstore.places._local import LocalBackend

OLD, NEW = b"old" * 10, b"new" * 10


@pytest.fixture
def folder(tmp_path):
    """Give a folder in memory if there is one: a busy disk takes long, hundreds of times."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="rs-test-", dir=memory) as path:
        yield Path(path)


@pytest.fixture(params=[False, True], ids=["plain", "durable"])
def backend(request, folder):
    backend = LocalBackend(str(folder / "root"), durable=request.param)
    backend.put("n/a.arrow", [OLD])
    backend.put("n/large.arrow", [bytes(MAP_FROM)])
    return backend


def alone(act):
    """Run *act* in a generator, which has a place of its own for the exception being handled.

    An interrupt between the end of an ``except`` block and the instruction that forgets its
    exception leaves it there. Python takes no signal at that instruction; the steps here do.
    """
    yield act()


def interrupt(step, act):
    """Run *act* and raise KeyboardInterrupt before its step number *step*; say whether it did."""
    left = step

    def trace(frame, event, _arg):
        nonlocal left
        if "importlib" in frame.f_code.co_filename:
            return None  # Python would keep its lock of imports, and every later import wait for it
        frame.f_trace_opcodes = True
        if event == "opcode":
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys._getframe().f_trace_opcodes = True  # Python 3.12 asks only when tracing begins
    gc.disable()  # Dask has a callback of its own in it, which would be interrupted
    try:
        sys.settrace(trace)
        next(alone(act))
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(before)
        gc.enable()
    assert sys.exception() is None  # else every later traceback tells of it
    assert not _imp.lock_held()
    return left <= 0


def left_behind(backend):
    """Return what should not be there: temporaries, descriptors, locks."""
    root = backend.url.removeprefix("file://")
    found = os.listdir(f"{root}/.runstore-tmp")
    found += [path.name for path in Path(root, ".runstore-new").glob("*/*")]
    found += open_files(f"{root}/")
    found += list(_descriptor._not_inherited.open)
    for path in Path(root, ".runstore-locks").iterdir():
        with path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                found.append(f"lock {path.name}")
    return found


def everywhere(backend, act, see, may_be_left=()):
    """Interrupt *act* before each of its steps, and return how many there were."""
    step = 1
    kept = []  # a mapping has a descriptor, and callbacks that are not to be interrupted
    while interrupt(step, lambda: kept.append(act())):
        kept.clear()
        left = [what for what in left_behind(backend) if what not in may_be_left]
        assert (step, []) == (step, left)
        see()
        step += 1
    return step


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="reads Linux's /proc")
class TestInterrupts:
    """Each of some hundred steps of each verb is interrupted once."""

    @pytest.mark.extended
    @pytest.mark.parametrize("how", ["plain", "if_absent", "if_match"])
    def test_put(self, backend, how):
        """The object is the old one or the new one; no temporary, descriptor or lock is left."""
        key = "n/b.arrow" if how == "if_absent" else "n/a.arrow"
        seen = set()

        def act():
            match = backend.head(key).version if how == "if_match" else None
            backend.put(key, [NEW], if_absent=how == "if_absent", if_match=match)

        def see():
            try:
                seen.add(bytes(flat(backend.get(key)[0])))
            except RunStoreError as exc:
                seen.add(type(exc).__name__)
            if how == "if_absent":
                backend.delete_many([key], missing_ok=True)
            elif NEW in seen:
                backend.put(key, [OLD])

        assert everywhere(backend, act, see) > 60
        assert {"ObjectNotFoundError" if how == "if_absent" else OLD, NEW} == seen

    def test_delete(self, backend):
        """The object is there or not, and no lock is left."""
        assert everywhere(
            backend, lambda: backend.delete("n/a.arrow"), lambda: backend.put("n/a.arrow", [OLD])
        )

    @pytest.mark.parametrize("key", ["n/a.arrow", "n/large.arrow"])
    def test_get(self, backend, key):
        """No descriptor is left, of a mapped object neither."""
        assert everywhere(backend, lambda: backend.get(key), lambda: None) > 20

    @pytest.mark.extended
    def test_sweep(self, backend, folder):
        """The orphan is there or not, and no descriptor or lock is left."""
        orphan = folder / "root" / ".runstore-tmp" / "orphan"

        def see():
            orphan.write_bytes(b"x")

        see()
        assert everywhere(backend, lambda: backend.sweep(0), see, [orphan.name]) > 100
