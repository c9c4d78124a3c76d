"""Raw files: byte for byte in and out, all or nothing, by ranges, in little memory."""

import gzip
import io
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from tests.places.s3_ import ENGINES, STORES, open_store

from runstore import ObjectStore
from runstore.errors import (
    InvalidRequestError,
    ObjectExistsError,
    ObjectNotFoundError,
    PreconditionFailedError,
    StorageError,
    UnsafePickleError,
    UnsupportedValueError,
)
from runstore.places import Wrapper

LARGE = os.urandom(20 << 20)


@pytest.fixture(params=STORES)
def view(request, tmp_path):
    """Give an empty view at each place."""
    if request.param in ENGINES:
        store = open_store(request.getfixturevalue("moto_server"), request.param)
    elif request.param == "memory":
        store = ObjectStore(f"memory://{uuid.uuid4()}")
    else:
        store = ObjectStore(tmp_path / "store")
    return store.at(namespace="n", run="r")


@pytest.fixture
def disk(tmp_path):
    """Give an empty view on disk."""
    return ObjectStore(tmp_path / "store").at(namespace="n", run="r")


@pytest.mark.parametrize("name", ["report.html", "a/model.v2", "x.bin"])
def test_a_file_goes_in_and_out(view, tmp_path, name):
    """A file of any size comes back byte for byte, under any name with an extension."""
    source, target = tmp_path / "source", tmp_path / "folder" / "target"
    told = []

    def note(done, size):
        told.append((done, size))

    for data in (b"", b"<h1>\r\n", LARGE):
        source.write_bytes(data)
        told.clear()
        info = view.put_file(name, source, progress=note)
        assert (name, len(data)) == (info.name, info.size)
        assert info.version == view.stat(name).version
        assert not data or (len(data), len(data)) == told[-1]
        told.clear()
        done = view.get_file(name, target, progress=note)
        assert (target, data) == (done, target.read_bytes())
        assert not data or (len(data), len(data)) == told[-1]
        assert data == view.get_file(name).read_bytes()
    assert ["target"] == os.listdir(tmp_path / "folder")
    with pytest.raises(ObjectExistsError):
        view.put_file(name, source, if_absent=True)


def test_without_a_copy_on_disk(disk, tmp_path):
    """On a local disk the file to read is the stored one."""
    disk.put("report.html", "text")
    assert tmp_path / "store" / "n" / "r" / "report.html" == disk.get_file("report.html")
    with pytest.raises(ObjectNotFoundError, match="none"):
        disk.get_file("none.html")


def test_temporary_files_end_with_the_process(tmp_path):
    """Elsewhere it is a temporary file with the same extension, which ends with the process."""
    code = """
import os
from runstore import ObjectStore
view = ObjectStore("memory://x").at(namespace="n", run="r")
view.put("plot.png", b"data")
path = view.get_file("plot.png")
assert (".png", b"data") == (path.suffix, path.read_bytes())
if os.fork() == 0:
    raise SystemExit
os.wait()
assert path.exists()
print(path)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    path = Path(done.stdout.strip())
    assert "plot.png" == path.name
    assert not path.parent.exists()


def test_arrow_and_known_formats_are_looked_at(disk, tmp_path):
    """What `get` could not read under its name is refused; an object of ours is itself again."""
    text, arrow = tmp_path / "text", tmp_path / "arrow"
    text.write_text("no table")
    table = pa.table({"a": [1]})
    with pa.ipc.new_file(arrow, table.schema) as writer:
        writer.write_table(table)
    for name in ("x", "x.parquet", "x.json", "x.npy", "x.arrow"):
        with pytest.raises(UnsupportedValueError, match=r"get\(\) could not read this file there"):
            disk.put_file(name, text)
    with pytest.raises(UnsafePickleError):
        ObjectStore(tmp_path, pickle="deny").at(namespace="n", run="r").put_file("x.pkl", text)
    assert [] == disk.list()
    assert "arrow" == disk.put_file("x", arrow).format
    disk.put_file("x.feather", arrow)
    assert table.equals(disk.get("x"))
    assert table.equals(disk.get("x.feather"))
    frame = pd.DataFrame({"a": [1, 2]})
    disk.put("frame", frame)
    kept = disk.get_file("frame", tmp_path / "kept")
    disk.put("frame", 1)
    info = disk.put_file("frame", kept)
    assert ("pandas", 2) == (info.codec, info.rows)
    pd.testing.assert_frame_equal(frame, disk.get("frame"))
    with pytest.raises(UnsupportedValueError, match="bound to that name"):
        disk.put_file("other", kept)


def test_what_is_no_file(disk, tmp_path):
    """A missing file, a folder, a pipe and a goal that is a folder are errors that say so."""
    os.mkfifo(tmp_path / "pipe")
    for path, said in [("none", "No such file"), (".", "put_dir"), ("pipe", "no regular file")]:
        with pytest.raises(InvalidRequestError, match=said):
            disk.put_file("x.bin", tmp_path / path)
    disk.put("x.bin", b"x")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(InvalidRequestError, match="is there and is no file"):
            disk.get_file("x.bin", path)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="What was there is as it was"):
        disk.get_file("x.bin", tmp_path / "file" / "below")
    with pytest.raises(InvalidRequestError, match="path as text"):
        disk.get_file("x.bin", "a\0b")
    assert b"" == (tmp_path / "file").read_bytes()


def test_a_file_that_changes_meanwhile_is_refused(disk, tmp_path):
    """If the source is written to while it is read, nothing is stored."""
    path = tmp_path / "x"
    path.write_bytes(LARGE)

    def grow(done, size):
        with path.open("ab") as file:
            file.write(b"more")

    with pytest.raises(UnsupportedValueError, match="changed while it was read"):
        disk.put_file("x.bin", path, progress=grow)
    assert [] == disk.list()


def test_an_error_of_the_callback_comes_out(disk, tmp_path):
    """What the callback raises ends the call, and nothing is written."""
    (tmp_path / "x").write_bytes(b"new")
    disk.put("x.bin", b"old")

    def stop(done, size):
        raise OSError("stop")

    with pytest.raises(OSError, match=r"^stop$"):
        disk.put_file("x.bin", tmp_path / "x", progress=stop)
    with pytest.raises(OSError, match=r"^stop$"):
        disk.get_file("x.bin", tmp_path / "x", progress=stop)
    assert (b"old", b"new") == (disk.get("x.bin"), (tmp_path / "x").read_bytes())
    assert {"store", "x"} == set(os.listdir(tmp_path))


@pytest.mark.extended
def test_files_are_read_like_files(view):
    """A file can be read whole, by pieces, lines and ranges, from any place in it."""
    view.put("x.bin", LARGE)
    with view.open("x.bin") as file:
        assert (True, True, False) == (file.readable(), file.seekable(), file.writable())
        assert LARGE[:10] == file.read(10)
        assert len(LARGE) - 5 == file.seek(-5, os.SEEK_END)
        assert (LARGE[-5:], b"") == (file.read(), file.read())
        file.seek(1000)
        assert LARGE[1000 : 3 << 20] == file.read((3 << 20) - 1000)
        file.seek(0)
        assert file.read() == LARGE
    with pytest.raises(ValueError, match="closed"):
        file.read(1)
    view.put("notes.txt", "one\r\ntwo é\n")
    with view.open("notes.txt", "r") as file:
        assert ["one\n", "two é\n"] == list(file)
    with view.open("notes.txt", "r", newline="") as file:
        assert "one\r\ntwo é\n" == file.read()
    with pytest.raises(ObjectNotFoundError, match="none"):
        view.open("none.txt")


def test_only_what_is_read_is_fetched(moto_server):
    """Of a large object far away only the ranges that are read are moved."""

    class Counting(Wrapper):
        moved = 0

        def read(self, key, start, length, version):
            self.moved += length
            return self._backend.read(key, start, length, version)

    store = open_store(moto_server, "obstore")
    view = store.at(namespace="n", run="r")
    view.put("x.bin", LARGE)
    objects = store._now
    objects.backend = counting = Counting(objects.backend)
    with view.open("x.bin") as file:
        for at in (5 << 20, 10 << 20, len(LARGE) - 100):
            file.seek(at)
            assert LARGE[at : at + 100] == file.read(100)
    assert 0 < counting.moved <= 2 << 20


def test_a_reader_keeps_its_version(disk, moto_server):
    """Who has a file open reads one version; far away a replacement is an error, never a mix."""
    disk.put("x.bin", LARGE)
    with disk.open("x.bin") as file:
        disk.put("x.bin", b"new")
        assert file.read() == LARGE
    far = open_store(moto_server, "obstore").at(namespace="n", run="r")
    far.put("x.bin", LARGE)
    with far.open("x.bin") as file:
        file.read(10)
        far.put("x.bin", bytes(len(LARGE)))
        with pytest.raises(PreconditionFailedError):
            file.read()


@pytest.mark.extended
def test_a_file_is_published_when_it_is_closed(view):
    """Nothing is visible before the block ends; then all of it is, and the file says what it is."""
    view.put("x.bin", b"old")
    with view.open("x.bin", "wb") as file:
        for start in range(0, len(LARGE), 1 << 20):
            file.write(LARGE[start : start + (1 << 20)])
        assert b"old" == view.get("x.bin")
        assert file.info is None
    assert LARGE == view.get("x.bin")
    assert (len(LARGE), view.stat("x.bin").version) == (file.info.size, file.info.version)
    with view.open("notes.md", "w") as file:
        file.write("é\n")
    assert ("é\n", 3) == (view.get("notes.md"), file.info.size)
    for mode in ("x", "xb"):
        with pytest.raises(ObjectExistsError):
            view.open("notes.md", mode)
    with view.open("new.md", "x") as file:
        view.put("new.md", "of another")
        with pytest.raises(ObjectExistsError):
            file.close()
    assert "of another" == view.get("new.md")


def test_a_block_that_fails_stores_nothing(disk, tmp_path):
    """An exception drops what was written, also behind a text file or a program's own wrapper."""
    disk.put("x.txt", "old")
    disk.put("x.bin", b"old")

    def fail(file, data):
        with file:
            file.write(data)
            raise RuntimeError

    def fail_zipped(file):
        with file, gzip.open(file, "wb") as zipped:
            zipped.write(b"half")
            raise RuntimeError

    for name, mode, data in (("x.txt", "w", "half"), ("x.bin", "wb", b"half")):
        file = disk.open(name, mode)
        with pytest.raises(RuntimeError):
            fail(file, data)
        assert file.info is None
    with pytest.raises(RuntimeError):
        fail(io.TextIOWrapper(disk.open("x.bin", "wb")), "half")
    with pytest.raises(RuntimeError):
        fail_zipped(disk.open("x.bin", "wb"))
    file = disk.open("x.bin", "wb")
    file.write(b"half")
    file.discard()
    file.close()
    with pytest.warns(ResourceWarning, match="never closed: nothing was stored"):
        disk.open("x.bin", "wb").write(b"half")
    assert ("old", b"old") == (disk.get("x.txt"), disk.get("x.bin"))
    assert [] == os.listdir(tmp_path / "store" / ".runstore-tmp")


def test_what_is_written_is_looked_at_when_it_is_closed(disk):
    """A file that `get` could not read is refused at the end of the block."""
    disk.put("x.json", {"a": 1})
    with pytest.raises(UnsupportedValueError), disk.open("x.json", "w") as file:
        file.write('{"a": ')
    assert {"a": 1} == disk.get("x.json")
    with disk.open("x.json", "w") as file:
        json.dump({"a": 2}, file)
    assert {"a": 2} == disk.get("x.json")
    with disk.open("t.parquet", "wb") as file:
        pd.DataFrame({"a": [1]}).to_parquet(file)
    assert 1 == disk.get("t.parquet").num_rows


def test_only_the_current_run_is_written_to(disk):
    """Other runs are opened to be read."""
    disk.put("x.txt", "text")
    other = disk.store.at(namespace="n", run="other")
    with other.open("x.txt", "r", run="r") as file:
        assert "text" == file.read()
    with pytest.raises(InvalidRequestError, match="only the current run"):
        other.open("x.txt", "w", run="r")
    with pytest.raises(InvalidRequestError, match="'a'"):
        other.open("x.txt", "a")
    with pytest.raises(InvalidRequestError, match="encoding"):
        other.open("x.txt", "r", encoding="hex")


_PEAK = """
import sys
from pathlib import Path
from runstore import ObjectStore

def peak():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) >> 10

view = ObjectStore(sys.argv[1]).at(namespace="n", run="r")
view.put("x.bin", b"")
with view.open("x.bin", "wb") as file:
    file.write(b"x")
before, piece = peak(), bytes(1 << 20)
with view.open("x.bin", "wb") as file:
    for _ in range(300):
        file.write(piece)
path = view.get_file("x.bin", "out")
view.put_file("y.bin", path)
assert 300 << 20 == view.stat("y.bin").size
with view.open("y.bin") as file:
    while file.read(1 << 20):
        pass
print(peak() - before)
"""


@pytest.mark.extended
def test_large_files_take_little_memory(tmp_path):
    """300 MiB are written, copied out, stored and read with a few MiB more of memory."""
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, "store"],
        cwd=tmp_path, env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(done.stdout) < 48


def test_a_path_that_is_too_long_is_said_to_be(disk, tmp_path):
    """An error of runstore that names the way out, and nothing was written."""
    disk.put("x.txt", "x")
    with pytest.raises(InvalidRequestError, match="File name too long; give another path"):
        disk.get_file("x.txt", tmp_path / ("x" * 500))
