"""Section E, local disk: locks, temporaries, copies, and values that change during a put."""

import errno
import fcntl
import os
import select
import signal
import sys
import threading
import time
import traceback
import warnings
from pathlib import Path

import numpy as np
import pytest
from tests.cases._case import case

from runstore import ObjectStore
from runstore.errors import PreconditionFailedError, StorageError, UnreadableWarning
from runstore.places._local import LocalBackend
from runstore.store import StoreView

_LONGEST = 2.0  # seconds that a put may take beside others, on a machine with nothing else to do


@case("E1", "of 40 children forked beside plain and conditional writers, nobody waits 2 s")
def children_are_forked(folder: Path) -> None:
    warnings.simplefilter("ignore", DeprecationWarning)  # of fork beside threads
    view = ObjectStore(folder / "s").at(namespace="n", run="r")
    done, waits = threading.Event(), [0.0]

    def put(name: str, match: str | None = None) -> str | None:
        begun = time.monotonic()
        version = view.put(name, 1, if_match=match).version
        waits.append(time.monotonic() - begun)
        return version

    def write(name: str, conditional: bool) -> None:
        version = put(name)
        while not done.is_set():
            version = put(name, version if conditional else None)

    writers = [
        threading.Thread(target=write, args=(f"{name}{conditional}", conditional))
        for name in "ab"
        for conditional in (True, False)
    ]
    for writer in writers:
        writer.start()
    children: list[int] = []
    heard, told = os.pipe()
    try:
        for i in range(40):
            time.sleep(0.003 * (i % 7))
            child = os.fork()
            if child == 0:
                _put_once(view, f"child{i}", told)
            children.append(child)
        for _ in children:
            assert select.select([heard], [], [], 60)[0], "a child does not get to write"
            waits.append(float(os.read(heard, 9)))
        so_far, until = len(waits), time.monotonic() + 60
        while len(waits) < so_far + 20:
            assert time.monotonic() < until, "the children keep their parent from writing"
            time.sleep(0.01)
    finally:
        done.set()
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        for writer in writers:
            writer.join()
    print(f"longest of {len(waits)} puts: {max(waits):.3f} s")
    assert max(waits) < _LONGEST * max(1, os.getloadavg()[0] / (os.cpu_count() or 1))
    assert len(view.list("child")) == 40


def _put_once(view: StoreView, name: str, told: int) -> None:
    """In a forked child: put, tell how long it took, and live on with what was inherited."""
    try:
        begun = time.monotonic()
        view.put(name, 1)
        os.write(told, b"%08.4f\n" % (time.monotonic() - begun))
        signal.pause()
    finally:
        traceback.print_exc()
        os._exit(1)


@case("E1", "a mount without locks refuses if_match, and sweep does not raise there")
def no_locks(folder: Path) -> None:
    store = ObjectStore(folder / "s")
    view = store.at(namespace="n", run="r")
    for number in (errno.ENOLCK, errno.EOPNOTSUPP, errno.EBADF):

        def refused(_fd: int, _how: int, number: int = number) -> None:
            raise OSError(number, os.strerror(number))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fcntl, "flock", refused)
            info = view.put("a", 1)
            with pytest.raises(StorageError, match="without file locks"):
                view.put("a", 2, if_match=info.version)
            (folder / "s/.runstore-tmp/orphan").write_bytes(b"")
            with pytest.warns(UnreadableWarning, match="without file locks"):
                assert store.sweep(0) == 0
    assert view.get("a") == 1
    assert store.sweep(0) == 1


@case("E2", "sweep(0) takes no file of a living writer, also between making and locking it")
def sweeping_beside_writers(folder: Path) -> None:
    backend = LocalBackend(str(folder / "s"))
    flock, swept = fcntl.flock, []

    def sweeping(fd: int, how: int) -> None:
        if len(swept) < 20 and (how & fcntl.LOCK_EX):
            swept.append(None)
            backend.sweep(0)
        flock(fd, how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fcntl, "flock", sweeping)
        for i in range(30):
            backend.put("a", [b"%d" % i])
            assert bytes(backend.get("a")[0]) == b"%d" % i
    assert len(swept) == 20


@case("E2", "Ctrl-C at any moment of a put leaves no temporary file, descriptor or lock")
def interrupted(folder: Path) -> None:
    backend = LocalBackend(str(folder / "s"))
    version = backend.put("a", [b"old"]).version
    descriptors = os.listdir("/proc/self/fd")

    def trace(frame: object, event: str, _arg: object) -> object:
        nonlocal left
        if "importlib" in frame.f_code.co_filename:  # type: ignore[attr-defined]
            return None  # Python would keep its lock of imports
        frame.f_trace_opcodes = True  # type: ignore[attr-defined]
        left -= event == "opcode"
        if left == 0:
            raise KeyboardInterrupt
        return trace

    step, left = 0, 0
    sys._getframe().f_trace_opcodes = True  # Python 3.12 asks only when tracing begins
    while left <= 0:
        step += 3  # the tests try each
        left = step
        sys.settrace(trace)  # type: ignore[arg-type]
        try:
            backend.put("a", [b"new"], if_match=version)
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)
        assert os.listdir(folder / "s/.runstore-tmp") == []
        assert os.listdir("/proc/self/fd") == descriptors
        version = backend.put("a", [b"old"], if_match=backend.head("a").version).version
    assert step > 100


@case("E3", "a copy whose target is deleted, or replaced, at once describes what it wrote itself")
def copies_race(folder: Path) -> None:
    view = ObjectStore(folder / "s").at(namespace="n", run="r")
    done = threading.Event()
    expected = view.put("a", np.arange(10)).digest

    def disturb() -> None:
        while not done.is_set():
            view.delete("b", missing_ok=True)
            view.put("b", "other")

    disturber = threading.Thread(target=disturb)
    disturber.start()
    try:
        assert {view.copy("a", to_name="b").digest for _ in range(500)} == {expected}
    finally:
        done.set()
        disturber.join()


@case("E3", "counting by get_with_info and if_match loses no step")
def value_and_version(folder: Path) -> None:
    view = ObjectStore(folder / "s").at(namespace="n", run="r")
    view.put("n", 0)

    def count() -> None:
        for _ in range(50):
            while True:
                value, info = view.get_with_info("n")
                try:
                    view.put("n", value + 1, if_match=info.version)
                    break
                except PreconditionFailedError:
                    continue

    counters = [threading.Thread(target=count) for _ in range(4)]
    for counter in counters:
        counter.start()
    for counter in counters:
        counter.join()
    assert view.get("n") == 200


@case("E5", "more than 2 GiB are read at once from local disk", seconds=300)
def more_than_2_gib(folder: Path) -> None:
    backend = LocalBackend(str(folder))
    size = (2 << 30) + 5000
    with (folder / "a").open("wb") as file:
        file.truncate(size)  # takes no room
        file.seek(size - 3)
        file.write(b"end")
    version = backend.head("a").version
    assert version is not None
    got = memoryview(backend.read("a", 10, size - 10, version))
    assert (got.nbytes, bytes(got[-3:])) == (size - 10, b"end")


@case("E5", "an array that another thread writes to during put is stored with a digest that fits")
def changed_while_it_is_put(folder: Path) -> None:
    view = ObjectStore(folder / "s").at(namespace="n", run="r")
    array = np.zeros(4 << 20)
    done = threading.Event()

    def change() -> None:
        while not done.is_set():
            np.add(array, 1, out=array)

    changer = threading.Thread(target=change)
    changer.start()
    try:
        for _ in range(10):
            view.put("x", array)
            view.get("x", verify=True)
    finally:
        done.set()
        changer.join()
