import errno
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runstore.buffers import flat
from runstore.errors import SettingsError, StorageError, StorageFullError
from runstore.places import Wrapper, changed_at, open_backend
from runstore.places._local import LocalBackend
from runstore.testing import PlaceTests


@pytest.fixture
def backend(tmp_path):
    return LocalBackend(str(tmp_path / "root"))


def keys(backend):
    return [entry.key for entry in backend.list("")]


class TestLocal(PlaceTests):
    """The local backend keeps the contract."""

    @pytest.fixture
    def backend(self, tmp_path):
        return LocalBackend(str(tmp_path / "root"))

    def raw_read(self, backend, key):
        return Path(backend.url.removeprefix("file://"), key).read_bytes()


@pytest.mark.extended  # the same calls, and one for each to wait for the disk
class TestDurable(TestLocal):
    """Waiting for the disk changes none of the contract."""

    @pytest.fixture
    def backend(self, tmp_path):
        return LocalBackend(str(tmp_path / "root"), durable=True)


def test_nothing_is_created_before_the_first_put(backend, tmp_path):
    """Opening, listing and looking for things leave no trace."""
    assert [] == keys(backend)
    assert [] == backend.folders("")
    assert 0 == backend.sweep(0)
    assert [] == os.listdir(tmp_path)


def test_hidden_and_temporary_files_are_never_listed(backend, tmp_path):
    """Files whose names begin with a dot are not ours, at any depth."""
    backend.put("ns/run/a.arrow", [b"x"])
    for path in (".DS_Store", "ns/.cache", "ns/run/.a.arrow.swp", ".runstore-tmp/abc"):
        (tmp_path / "root" / path).write_bytes(b"x")
    assert ["ns/run/a.arrow"] == keys(backend)


def test_a_writer_that_lives_is_not_swept(backend, tmp_path):
    """sweep() leaves the temporary file of a write under way alone, however old."""
    swept = []

    def slowly():
        yield b"a"
        for path in (tmp_path / "root" / ".runstore-tmp").iterdir():
            os.utime(path, (0, 0))
        swept.append(backend.sweep(0))
        yield b"b"

    backend.put("a.arrow", slowly())
    assert [0] == swept
    assert b"ab" == bytes(flat(backend.get("a.arrow")[0]))


def test_what_a_dead_writer_left_is_swept(backend, tmp_path):
    """sweep() removes temporary files nobody writes to, once they are old enough."""
    backend.put("a.arrow", [b"x"])
    orphan = tmp_path / "root" / ".runstore-tmp" / "orphan"
    orphan.write_bytes(b"half")
    assert 0 == backend.sweep(3600)
    assert 1 == backend.sweep(0)
    assert [] == list(orphan.parent.iterdir())
    assert ["a.arrow"] == keys(backend)


def test_a_put_survives_the_removal_of_its_folder(backend, tmp_path):
    """A folder removed by somebody else is made again."""
    backend.put("ns/a.arrow", [b"1"])
    shutil.rmtree(tmp_path / "root")
    backend.put("ns/a.arrow", [b"2"])
    assert b"2" == bytes(flat(backend.get("ns/a.arrow")[0]))


def test_a_short_write_goes_on(backend, monkeypatch):
    """The kernel may take fewer bytes than offered; none is lost."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, bytes(data[:7])))
    backend.put("a.arrow", [b"0123456789" * 5])
    monkeypatch.undo()
    assert b"0123456789" * 5 == bytes(flat(backend.get("a.arrow")[0]))


_DENIED = """
import os, sys
os.setuid(65534)
from runstore.places import open_backend
from runstore.errors import AccessDeniedError
backend = open_backend("file://" + sys.argv[1])
for verb in (lambda: backend.put("b.arrow", [b"x"]), lambda: backend.get("a.arrow")):
    try:
        verb()
    except AccessDeniedError as exc:
        assert "ermission" in str(exc), exc
    else:
        raise SystemExit("was not denied")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody to be denied")
def test_being_denied_is_not_a_miss(tmp_path_factory):
    """Without permission, get and put raise AccessDeniedError in a real process."""
    import runstore

    root = tmp_path_factory.mktemp("denied")
    LocalBackend(str(root)).put("a.arrow", [b"x"])
    (root / "a.arrow").chmod(0o600)
    (root / ".runstore-tmp").chmod(0o700)
    for folder in (root, *list(root.parents)[:-1]):
        folder.chmod(folder.stat().st_mode | 0o055)
    source = str(Path(runstore.__file__).parents[1])
    # "nobody" may not be able to read the source tree; what it needs is loaded from a copy.
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT_FIRST + _DENIED, str(root)],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)


_IMPORT_FIRST = """
import runstore.places._local, runstore.context, runstore.errors, numpy, encodings.idna
"""


def test_a_full_disk_leaves_the_old_object(backend, monkeypatch):
    """When the disk is full, StorageFullError is raised, the old object stays, no rest remains."""
    backend.put("a.arrow", [b"old"])
    write = os.write

    def full(fd, data):
        if len(data) > 1000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StorageFullError, match="free some space"):
        backend.put("a.arrow", [b"new", bytes(2000)])
    monkeypatch.undo()
    assert b"old" == bytes(flat(backend.get("a.arrow")[0]))
    assert [] == os.listdir(backend.url.removeprefix("file://") + "/.runstore-tmp")


@pytest.fixture
def small_disk(tmp_path):
    """Mount a disk of 256 KiB and give its path."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("only root can mount a disk")
    done = subprocess.run([mount, "-t", "tmpfs", "-o", "size=256k", "tmpfs", path], check=False)
    if done.returncode:
        pytest.skip("this machine does not let a disk be mounted")
    yield path
    subprocess.run(["umount", path], check=True)


def test_a_disk_that_is_really_full_leaves_the_old_object(small_disk):
    """So it is on a real one, also with if_match and if_absent; there is room again afterwards."""
    backend = LocalBackend(str(small_disk / "root"))
    version = backend.put("a.arrow", [b"old" * 10_000]).version
    for key, how in (("a.arrow", {}), ("a.arrow", {"if_match": version}), ("b", {"if_absent": 1})):
        with pytest.raises(StorageFullError, match="free some space"):
            backend.put(key, [bytes(1000)] * 1000, **how)
        assert [] == os.listdir(small_disk / "root/.runstore-tmp")
        assert ["a.arrow"] == keys(backend)
    assert b"old" * 10_000 == bytes(flat(backend.get("a.arrow")[0]))
    backend.put("a.arrow", [b"new" * 10_000], if_match=version)


def test_an_interrupted_put_leaves_nothing(backend):
    """Ctrl-C in the middle of a put leaves the old object and no temporary file."""

    def interrupted():
        yield b"new"
        raise KeyboardInterrupt

    backend.put("a.arrow", [b"old"])
    with pytest.raises(KeyboardInterrupt):
        backend.put("a.arrow", interrupted())
    assert b"old" == bytes(flat(backend.get("a.arrow")[0]))
    assert [] == os.listdir(backend.url.removeprefix("file://") + "/.runstore-tmp")


def test_a_file_in_the_way_of_a_folder_is_told(backend, tmp_path):
    """A foreign file where a folder should be gives one clear error."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "ns").write_bytes(b"")
    with pytest.raises(StorageError, match="a file stands where a folder should be"):
        backend.put("ns/a.arrow", [b"x"])


def test_many_mapped_results_do_not_use_up_file_descriptors(backend):
    """However many large objects are read and kept, few descriptors are open."""
    for i in range(600):
        backend.put(f"{i}.arrow", [bytes([i % 256]) * 130_000])
    before = len(os.listdir("/proc/self/fd"))  # those of other tests, too
    read = [backend.get(f"{i}.arrow")[0] for i in range(600)]
    assert len(os.listdir("/proc/self/fd")) < before + 50
    assert [i % 256 for i in range(600)] == [memoryview(data)[-1] for data in read]


def test_the_order_of_a_durable_write(tmp_path):
    """durable waits for the file before its rename and for the folder after it."""
    calls = []
    backend = LocalBackend(str(tmp_path / "root"), durable=True)
    backend.put("ns/a.arrow", [b"x"])
    fsync, replace = os.fsync, os.replace
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda fd: (calls.append("fsync"), fsync(fd))[1])
        patch.setattr(os, "replace", lambda a, b: (calls.append("rename"), replace(a, b))[1])
        backend.put("ns/a.arrow", [b"y"])
    assert ["fsync", "rename", "fsync"] == calls


def test_a_durable_write_waits_for_the_folders_it_made(tmp_path, monkeypatch):
    """After a power cut no folder on the way to the object is missing."""
    synced, fsync = [], os.fsync

    def syncing(fd):
        synced.append(Path(f"/proc/self/fd/{fd}").readlink())
        fsync(fd)

    monkeypatch.setattr(os, "fsync", syncing)
    backend = LocalBackend(str(tmp_path / "new/root"), durable=True)
    backend.put("n/r/a.arrow", [b"x"])
    root = tmp_path / "new/root"
    assert [root / "n/r", root / "n", root, root.parent, tmp_path] == synced[1:]
    synced.clear()
    backend.put("n/r/b.arrow", [b"x"])
    assert [root / "n/r"] == synced[1:]


@pytest.mark.parametrize(
    ("url", "options", "said"),
    [
        ("nope://bucket", {}, "is not a place"),
        ("file:///tmp/x", {"key": "secret-key"}, "takes no storage options, but got key"),
        ("memory://x", {"a": 1}, "takes no storage options"),
    ],
)
def test_places_that_are_not_understood_are_told(url, options, said):
    """A URL or option that is not known gives SettingsError, without the option's value."""
    with pytest.raises(SettingsError, match=said) as caught:
        open_backend(url, options=options)
    assert "secret" not in str(caught.value)


def test_when_a_file_was_written_is_told_by_the_clock_of_the_disk(tmp_path):
    """A writer whose clock is wrong sets a wrong time, and changed_at() does not believe it."""
    backend = LocalBackend(str(tmp_path / "store"))
    backend.put("a.arrow", [b"x"])
    os.utime(tmp_path / "store" / "a.arrow", (10**9, 10**9))
    for one in (backend, Wrapper(backend)):
        entry = one.head("a.arrow")
        assert 10**9 == entry.modified.timestamp()
        assert abs(changed_at(one, entry).timestamp() - time.time()) < 3600
    backend.delete("a.arrow")
    assert entry.modified == changed_at(backend, entry)  # deleted meanwhile
    memory = open_backend("memory://changed-at")
    put = memory.put("a.arrow", [b"x"])
    assert put.modified == changed_at(memory, put)
    memory.close()
