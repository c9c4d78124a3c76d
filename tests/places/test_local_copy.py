"""Copies on a local disk: made by the kernel, of one version, all or nothing."""

import errno
import fcntl
import os
import subprocess
import sys

import numpy as np
import pytest

from runstore import ObjectStore
from runstore.errors import (
    CorruptObjectError,
    ObjectExistsError,
    ObjectNotFoundError,
    PreconditionFailedError,
    StorageError,
)
from runstore.places import Tail, open_backend
from runstore.places._kernel_copy import copy_start

LARGE = np.random.default_rng(1).random(2 << 20)  # 16 MiB

_COPY = """
import sys
from runstore import ObjectStore
view = ObjectStore(sys.argv[1]).at(namespace="dev", run="r1")
view.stat("a")
open("/dev/null").close()  # a sign in the trace
view.copy("a", to_name="b")
"""


@pytest.fixture
def backend(tmp_path):
    return open_backend(f"file://{tmp_path}/store")


def test_the_bytes_of_a_copy_do_not_pass_through_the_process(tmp_path):
    """All that a large copy reads and writes by itself is a footer, as the system calls say."""
    view = ObjectStore(tmp_path / "store").at(namespace="dev", run="r1")
    put = view.put("a", LARGE, metadata={"x": 1})
    trace = tmp_path / "trace"
    calls = "trace=read,pread64,preadv,write,pwrite64,writev,openat,mmap,copy_file_range,ioctl"
    strace = ["strace", "-f", "-o", trace, "-e", calls]
    try:
        subprocess.run([*strace, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("strace does not work here")
    command = [*strace, sys.executable, "-c", _COPY, tmp_path / "store"]
    subprocess.run(command, check=True, timeout=120)
    lines = trace.read_text().splitlines()
    sign = next(i for i, line in enumerate(lines) if "/dev/null" in line)
    made = [line.split(maxsplit=1)[1] for line in lines[sign + 1 :]]
    by_process = [line for line in made if line.startswith(("read", "pread", "write", "pwrite"))]
    assert sum(map(_result, by_process)) < 1 << 20
    by_kernel = [line for line in made if line.startswith(("copy_file_range", "ioctl"))]
    shared = any("FICLONE" in line and _result(line) == 0 for line in by_kernel)
    copied = sum(_result(line) for line in by_kernel if line.startswith("copy_file_range"))
    assert shared or copied > LARGE.nbytes
    value, info = view.get_with_info("b", verify=True)
    assert np.array_equal(LARGE, value)
    assert (put.digest, put.size, {"x": 1}) == (info.digest, info.size, info.metadata)


def _result(line: str) -> int:
    found = line.rpartition("= ")[2].split()[0]
    return max(0, int(found)) if found.lstrip("-").isdigit() else 0


def test_a_large_copy_is_an_object_as_any(tmp_path):
    """It is created or replaced like a put, names itself, and lives apart from its source."""
    view = ObjectStore(tmp_path / "store").at(namespace="dev", run="r1")
    view.put("a", LARGE)
    copied = view.copy("a", to_name="b")
    assert ("b", copied.version) == (view.stat("b").name, view.stat("b").version)
    with pytest.raises(ObjectExistsError):
        view.copy("a", to_name="b", if_absent=True)
    with pytest.raises(ObjectNotFoundError):
        view.copy("missing", to_name="c")
    view.put("a", LARGE[:1])
    assert np.array_equal(LARGE, view.get("b", verify=True))
    assert [] == list((tmp_path / "store/.runstore-tmp").iterdir())


def test_a_damaged_footer_is_not_copied(tmp_path):
    """What is read of the source, its footer, is checked."""
    view = ObjectStore(tmp_path / "store").at(namespace="dev", run="r1")
    view.put("a", LARGE)
    with (tmp_path / "store/dev/r1/a.arrow").open("r+b") as file:
        file.seek(-100, os.SEEK_END)
        byte = file.read(1)
        file.seek(-100, os.SEEK_END)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(CorruptObjectError):
        view.copy("a", to_name="b")
    assert not view.exists("b")


def test_a_copy_is_of_one_version(backend):
    """A source that was replaced or deleted meanwhile is refused, and the target stays."""
    first = backend.put("a.arrow", [b"0123456789"])
    tail = Tail(first.version, 7, [b"en", b"d"])
    assert 10 == backend.copy("a.arrow", "b.arrow", tail=tail).size
    assert b"0123456end" == bytes(backend.get("b.arrow")[0])
    with pytest.raises(StorageError, match="has no 11 bytes"):
        backend.copy("a.arrow", "b.arrow", tail=tail._replace(keep=11))
    backend.put("a.arrow", [b"9876543210"])
    with pytest.raises(PreconditionFailedError):
        backend.copy("a.arrow", "b.arrow", tail=tail)
    backend.delete("a.arrow")
    with pytest.raises(ObjectNotFoundError):
        backend.copy("a.arrow", "b.arrow", tail=tail)
    assert b"0123456end" == bytes(backend.get("b.arrow")[0])


@pytest.mark.parametrize("length", [0, 1, 3 << 20, (3 << 20) + 5])
@pytest.mark.parametrize(
    "lacking", [(), ("ioctl",), ("copy_file_range",), ("copy_file_range", "sendfile")]
)
def test_every_way_copies_the_start(tmp_path, monkeypatch, length, lacking):
    """Whatever a kernel or file system lacks, the first bytes come over, and the rest follows."""

    def refused(*_):
        raise OSError(errno.EOPNOTSUPP, "not here")

    for name in lacking:
        monkeypatch.setattr(fcntl if name == "ioctl" else os, name, refused)
    data = np.random.default_rng(length).bytes(length)
    (tmp_path / "from").write_bytes(data + b"not this")
    with (tmp_path / "from").open("rb") as source, (tmp_path / "to").open("wb") as target:
        copy_start(source.fileno(), target.fileno(), length)
        os.write(target.fileno(), b"end")
        with pytest.raises(EOFError):
            copy_start(source.fileno(), target.fileno(), length + 9)
    assert data + b"end" == (tmp_path / "to").read_bytes()[: length + 3]


def test_a_shared_copy_is_cut(tmp_path, monkeypatch):
    """Where blocks are shared, the whole file is cloned, cut, and written on at its new end."""

    def cloned(target, request, source):
        os.sendfile(target, source, 0, os.fstat(source).st_size)
        os.lseek(target, 0, os.SEEK_SET)

    monkeypatch.setattr(fcntl, "ioctl", cloned)
    (tmp_path / "from").write_bytes(b"0123456789")
    with (tmp_path / "from").open("rb") as source, (tmp_path / "to").open("wb") as target:
        copy_start(source.fileno(), target.fileno(), 4)
        os.write(target.fileno(), b"end")
    assert b"0123end" == (tmp_path / "to").read_bytes()


def test_a_full_disk_leaves_nothing(backend, monkeypatch, tmp_path):
    """An error of the disk in mid-copy is told, and no temporary file stays."""

    def full(*_):
        raise OSError(errno.ENOSPC, "no space")

    backend.put("a.arrow", [b"0123456789"])
    monkeypatch.setattr(os, "copy_file_range", full)
    with pytest.raises(StorageError, match="space"):
        backend.copy("a.arrow", "b.arrow")
    assert ["a.arrow"] == [entry.key for entry in backend.list("")]
    assert [] == list((tmp_path / "store/.runstore-tmp").iterdir())
