"""Small objects on local disk: no lock, and yet nothing is lost, torn or left behind."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from runstore.buffers import WHOLE_UP_TO, flat
from runstore.context import Lease
from runstore.errors import PreconditionFailedError, StaleRunError
from runstore.objects import LeasedBackend
from runstore.places._local import LocalBackend
from runstore.places._local_gate import close_gate, gate_of, open_gate
from runstore.places._local_lock import KeyLock
from runstore.places._local_small import put_small

KEY = "n/a.arrow"


@pytest.fixture
def root(tmp_path):
    """Give a store in which something small was put, so that there is a gate."""
    LocalBackend(str(tmp_path / "root")).put(KEY, [b"old"])
    return str(tmp_path / "root")


def content(root, key=KEY):
    return bytes(flat(LocalBackend(root).get(key)[0]))


def temporary(root):
    """Give what lies in the hidden folders of writes."""
    return [*Path(root, ".runstore-tmp").iterdir(), *Path(root, ".runstore-new").glob("*/*")]


def test_a_small_object_comes_through_its_gate(root):
    """Once something was put, what is small needs no lock, and its version is told."""
    found = put_small(root, KEY, b"new")
    assert found is not None
    assert b"new" == content(root)
    assert found.st_ino == Path(root, KEY).stat().st_ino
    assert [] == temporary(root)


def test_the_first_of_a_store_or_folder_comes_the_other_way(tmp_path):
    """Where there is no gate, or no folder, nothing is written here, and put() does it."""
    root = str(tmp_path / "root")
    assert put_small(root, KEY, b"1") is None
    backend = LocalBackend(root)
    backend.put(KEY, [b"1"])
    assert put_small(root, "other/a.arrow", b"1") is None
    backend.put("other/a.arrow", [b"2"])
    assert b"12" == content(root) + content(root, "other/a.arrow")
    assert [] == temporary(root)


@pytest.mark.parametrize("step", ["write", "utime", "fstat", "close", "replace"])
def test_a_sweep_at_any_step_costs_nothing(root, step, monkeypatch):
    """Whoever removes the temporary file at once only makes the writer write once more."""
    real, swept = getattr(os, step), []

    def sweeping(*args, **kwargs):
        if not swept:
            swept.append(None)
            swept[0] = LocalBackend(root).sweep(0)
        return real(*args, **kwargs)

    monkeypatch.setattr(os, step, sweeping)
    LocalBackend(root).put(KEY, [b"new"])
    monkeypatch.undo()
    assert [1] == swept
    assert b"new" == content(root)
    assert [] == temporary(root)


@pytest.mark.parametrize("step", ["write", "utime", "fstat", "close", "replace"])
def test_nothing_comes_through_a_gate_that_was_closed_at_any_step(root, step, monkeypatch):
    """Once a gate is closed, a write under way does not publish; it is not lost, either."""
    real, closed = getattr(os, step), []

    def closing(*args, **kwargs):
        if not closed:
            closed.append(close_gate(gate_of(root, KEY)))
        return real(*args, **kwargs)

    monkeypatch.setattr(os, step, closing)
    assert put_small(root, KEY, b"new") is None
    monkeypatch.undo()
    assert [True] == closed
    assert b"old" == content(root)
    assert not close_gate(gate_of(root, KEY))
    LocalBackend(root).put(KEY, [b"new"])
    assert b"new" == content(root)
    assert put_small(root, KEY, b"newer") is not None


_LOST_UPDATES = """
import sys, time
from runstore.errors import PreconditionFailedError
from runstore.places._local import LocalBackend
backend, until = LocalBackend(sys.argv[1]), time.monotonic() + float(sys.argv[2])
swapped = 0
while time.monotonic() < until or swapped < 10:  # a busy machine takes longer
    data, entry = backend.get("n/a.arrow")
    try:
        backend.put("n/a.arrow", [bytes(data[:9])], if_match=entry.version)
        swapped += 1
    except PreconditionFailedError:
        pass
print(swapped)
"""


def test_a_conditional_put_never_takes_back_a_small_one(root):
    """Processes copy what they have read over it, under its version; nothing older comes back."""
    backend = LocalBackend(root)
    backend.put(KEY, [b"%09d" % 0])
    command = [sys.executable, "-c", _LOST_UPDATES, root, "1"]
    others = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    number = 0
    while number < 10 or any(other.poll() is None for other in others):
        number += 1
        backend.put(KEY, [b"%09d" % number])
        assert number == int(content(root))
    assert [0, 0] == [other.wait() for other in others]
    assert all(int(other.communicate()[0]) >= 10 for other in others)
    assert [] == temporary(root)


def test_versions_differ_by_write(root):
    """Two writes of one size within one tick of the kernel's clock have two versions."""
    backend = LocalBackend(root)
    versions = [backend.put(KEY, [b"same"]).version for _ in range(200)]
    assert 200 == len(set(versions))
    with pytest.raises(PreconditionFailedError):
        backend.put(KEY, [b"x"], if_match=versions[-3])


def test_what_dead_writers_left_is_swept(root):
    """A file in a gate, and a gate that a dead process was closing, go with the next sweep."""
    gate = Path(gate_of(root, KEY))
    (gate / "dead").write_bytes(b"half")
    aside = gate.parent / ".closing"
    aside.mkdir()
    (aside / "dead").write_bytes(b"half")
    backend = LocalBackend(root)
    assert 0 == backend.sweep(3600)
    assert 2 == backend.sweep(0)
    assert [] == temporary(root)
    assert not aside.exists()
    assert gate.is_dir()
    assert [KEY] == [entry.key for entry in backend.list("")]


_KILLED = """
import os, sys
from runstore.places._local import LocalBackend
backend, i = LocalBackend(sys.argv[1]), 0
print("ready", flush=True)
while True:
    i += 1
    backend.put("n/a.arrow", [b"%d " % i * 1000])
"""


def test_kills_leave_the_old_or_the_new_one(root):
    """kill -9 at any moment: the object is whole, and what is left is swept."""
    for delay in range(8):
        command = [sys.executable, "-c", _KILLED, root]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert b"ready\n" == writer.stdout.readline()
            while content(root) == b"old":
                pass
            for _ in range(delay * 7):
                content(root)
            writer.send_signal(signal.SIGKILL)
        read = content(root)
        assert read == (read.split()[0] + b" ") * 1000
    LocalBackend(root).sweep(0)
    assert [] == temporary(root)


def test_threads_and_sizes(root):
    """Many threads put at once, of sizes around the limit; each object is whole."""
    backend = LocalBackend(root)
    sizes = [0, 1, 1024, WHOLE_UP_TO, WHOLE_UP_TO + 1]

    def writing(number):
        for size in sizes:
            backend.put(f"n/{number}-{size}.arrow", [bytes([number]) * size])

    threads = [threading.Thread(target=writing, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(8):
        for size in sizes:
            assert bytes([number]) * size == content(root, f"n/{number}-{size}.arrow")
    assert [] == temporary(root)


def test_a_child_keeps_the_gate_of_its_parent_closed(root):
    """A child that is forked while its parent is alone with a key does not open the gate."""
    lock = KeyLock(root, KEY)
    assert lock.take(alone=True) is None
    pid = os.fork()
    if pid == 0:
        lock.release()
        os._exit(0)
    os.waitpid(pid, 0)
    assert put_small(root, KEY, b"new") is None
    lock.release()
    assert put_small(root, KEY, b"new") is not None


def test_who_may_write_to_the_store_may_use_its_gates(tmp_path):
    """A gate lets in the users whom the folder of the store lets in."""
    root = tmp_path / "root"
    root.mkdir()
    root.chmod(0o2770)
    LocalBackend(str(root)).put(KEY, [b"x"])
    gate = Path(gate_of(str(root), KEY))
    assert [0o2770, 0o2770] == [folder.stat().st_mode & 0o7777 for folder in (gate, gate.parent)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_gate_of_another_user_is_not_needed(root):
    """Who must not use the gate writes in the other way."""
    for folder in (root, f"{root}/n", f"{root}/.runstore-tmp", f"{root}/.runstore-locks"):
        Path(folder).chmod(0o777)
    for lock in Path(root, ".runstore-locks").iterdir():
        lock.chmod(0o666)
    gate = Path(gate_of(root, KEY))
    gate.chmod(0o700)
    for folder in list(Path(root).parents)[:-1]:
        folder.chmod(folder.stat().st_mode | 0o055)
    backend = LocalBackend(root)
    pid = os.fork()
    if pid == 0:
        os.setuid(65534)
        backend.put(KEY, [b"nobody's"])
        os._exit(0)
    assert (pid, 0) == os.waitpid(pid, 0)
    assert b"nobody's" == content(root)


def test_a_gate_can_be_opened_again_and_again(root):
    """Opening an open gate changes nothing, and closing a closed one says so."""
    gate = gate_of(root, KEY)
    open_gate(gate)
    assert close_gate(gate)
    assert not close_gate(gate)
    open_gate(gate)
    assert put_small(root, KEY, b"new") is not None


def test_a_leased_put_needs_no_lock_either(root, monkeypatch):
    """Puts of stages have a lease, and take the way of other small puts."""
    locked = []
    monkeypatch.setattr("runstore.places._local.KeyLock", lambda *of: locked.append(of))
    backend = LeasedBackend(LocalBackend(root), Lease("1", "a run"))
    backend.put(KEY, [b"leased"])
    assert ([], b"leased") == (locked, content(root))
    backend._lease.revoke("it is over")
    with pytest.raises(StaleRunError):
        backend.put(KEY, [b"late"])
    assert b"leased" == content(root)


def test_a_sweep_may_take_a_gate_that_is_being_closed(root, monkeypatch):
    """Whoever closes it has it closed then."""
    gate = gate_of(str(root), KEY)
    listed = os.listdir

    def swept(path):
        if "/." in path.rpartition("/.runstore-new")[2]:
            Path(path).rmdir()
        return listed(path)

    monkeypatch.setattr(os, "listdir", swept)
    assert close_gate(gate)
    assert not Path(gate).exists()
