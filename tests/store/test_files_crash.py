"""kill -9, Ctrl-C and a full disk amid put_dir and open("wb"): the old value, and no leftovers."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from runstore import ObjectStore
from runstore.errors import StorageError

FILES, SIZE = 12, 1 << 20

_WRITER = """
import sys
from runstore import ObjectStore
how, root, folders = sys.argv[1], sys.argv[2], sys.argv[3:]
view = ObjectStore(root).at(namespace="dev", run="r")
print("ready", flush=True)
i = 0
while True:
    i += 1
    if how == "put_dir":
        view.put_dir("x", folders[i % 2])
    else:
        with view.open("x.bin", "wb") as file:
            for _ in range(12):
                file.write(bytes([65 + i % 2]) * (1 << 20))
"""


@pytest.fixture
def folders(tmp_path):
    """Give two folders whose files have different contents."""
    for letter in "AB":
        (tmp_path / letter).mkdir()
        for i in range(FILES):
            (tmp_path / letter / f"{i}").write_bytes(letter.encode() * SIZE)
    return [tmp_path / "A", tmp_path / "B"]


def whole(view, how, out):
    """Say which of the two values is there; it is a whole one."""
    if how == "put_dir":
        files = list(view.get_dir("x", out).iterdir())
        assert FILES == len(files)
        values = {file.read_bytes() for file in files}
        shutil.rmtree(out)
        assert 1 == len(values)
        value, size = values.pop(), SIZE
    else:
        value, size = view.get("x.bin"), FILES * SIZE
    assert size == len(value)
    assert value == value[:1] * size
    return value[:1]


def leftovers(root):
    """Give every file of the store that is neither a seal nor an object nor a lock."""
    files = (path for path in root.rglob("*") if path.is_file())
    return [path for path in files if path.name not in ("x.arrow", "x.bin")
            and ".runstore-locks" not in path.parts]  # fmt: skip


def kills(tmp_path, folders, how, sign, times):
    """Kill a writer some times; after each a whole value is there, and a sweep leaves nothing."""
    root, dice = tmp_path / "store", random.Random(20261128)
    store = ObjectStore(root)
    view = store.at(namespace="dev", run="r")
    view.put_dir("x", folders[0])
    view.put("x.bin", b"A" * FILES * SIZE)
    swept = 0
    for _ in range(times):
        with subprocess.Popen(
            [sys.executable, "-c", _WRITER, how, str(root), *map(str, folders)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        ) as writer:  # fmt: skip
            assert b"ready\n" == writer.stdout.readline()
            time.sleep(dice.random() / 4)
            writer.send_signal(sign)
        assert writer.returncode in (-sign, 1, 130)
        whole(view, how, tmp_path / "out")
        assert ["x", "x.bin"] == [info.name for info in view.list()]
        swept += store.sweep(older_than=0)
        whole(view, how, tmp_path / "out")
        assert FILES == len(leftovers(root))
    assert swept > 0 or how == "open"


@pytest.mark.extended
@pytest.mark.parametrize("how", ["put_dir", "open"])
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_a_writer_that_is_killed(tmp_path, folders, how, sign):
    """After each kill a whole value is there, and a sweep finds all that was left."""
    kills(tmp_path, folders, how, sign, 2)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["put_dir", "open"])
def test_a_writer_that_is_killed_often(tmp_path, folders, how):
    """The same, thirty times."""
    kills(tmp_path, folders, how, signal.SIGKILL, 30)


def test_the_leftovers_of_a_run_without_objects(tmp_path, folders):
    """Where a killed writer was the first one of its run, a sweep finds its files, too."""
    store = ObjectStore(tmp_path / "store")
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER.replace('"x"', '"y" * i'), "put_dir",
         str(tmp_path / "store"), *map(str, folders)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as writer:  # fmt: skip
        assert b"ready\n" == writer.stdout.readline()
        while not list(tmp_path.rglob("*.file")):
            assert writer.poll() is None
        writer.kill()
    view = store.at(namespace="dev", run="r")
    for info in view.list():
        view.delete(info.name)
    left = leftovers(tmp_path / "store")
    assert left
    assert len(left) == store.sweep(older_than=0)
    assert [] == leftovers(tmp_path / "store")


@pytest.fixture
def small_disk(tmp_path):
    """Mount a disk of 4 MiB and give its path."""
    path, mount = tmp_path / "disk", shutil.which("mount")
    path.mkdir()
    if mount is None or os.geteuid() != 0:
        pytest.skip("only root can mount a disk")
    done = subprocess.run([mount, "-t", "tmpfs", "-o", "size=4m", "tmpfs", path], check=False)
    if done.returncode:
        pytest.skip("this machine does not let a disk be mounted")
    yield path
    subprocess.run(["umount", path], check=True)


def test_a_disk_that_is_full(small_disk, folders, tmp_path, monkeypatch):
    """The old folder and file are as they were, no file is left, and there is room again."""
    store = ObjectStore(small_disk / "store")
    view = store.at(namespace="dev", run="r")
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "a").write_bytes(b"old")
    view.put_dir("x", tmp_path / "small")
    view.put("x.bin", b"old")
    free = shutil.disk_usage(small_disk).free

    def write():
        with view.open("x.bin", "wb") as file:
            for _ in range(20):
                file.write(bytes(SIZE))

    with pytest.raises(StorageError):
        view.put_dir("x", folders[0])
    with pytest.raises(StorageError):
        write()
    monkeypatch.setenv("TMPDIR", str(small_disk))
    monkeypatch.setattr("tempfile.tempdir", None)
    with pytest.raises(StorageError, match=r"The old object is intact.*TMPDIR"):
        write()
    assert b"old" == view.get("x.bin")
    assert {"a": b"old"} == {
        path.name: path.read_bytes() for path in view.get_dir("x", tmp_path / "out").iterdir()
    }
    store.sweep(older_than=0)
    assert shutil.disk_usage(small_disk).free >= free - (64 << 10)
