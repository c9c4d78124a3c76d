"""Temporary files outside of stores, on disks that are really full."""

import errno
import os
import shutil
import subprocess
import sys
import tempfile

import pytest

from runstore import ObjectStore, run_workflow
from runstore.errors import InvalidRequestError, StorageError, StorageFullError
from runstore.scratch import new_folder, scratch_error


@pytest.fixture
def full_disk(tmp_path):
    """Mount a disk of 1 MiB that is full, and give its path."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("only root can mount a disk")
    done = subprocess.run([mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", path], check=False)
    if done.returncode:
        pytest.skip("this machine does not let a disk be mounted")
    (path / "store").mkdir()
    (path / "filler").write_bytes(bytes(1 << 20))
    yield path
    subprocess.run([shutil.which("umount"), path], check=True)


def _flow():
    return {
        "kind": "workflow",
        "metadata": {"name": "w"},
        "spec": {"stages": [{"name": "s", "target": os.getpid}]},
    }


@pytest.mark.parametrize("mode", ["threads", "processes"])
def test_a_run_on_a_full_disk_says_so(full_disk, mode):
    """It is a typed error that names the record, and no temporary file is left."""
    with pytest.raises(StorageFullError, match=r"_runs/w-.*free some space"):
        run_workflow(_flow(), store=str(full_disk / "store"), executor_options={"mode": mode})
    left = [name for _, _, names in os.walk(full_disk / "store") for name in names]
    assert [] == [name for name in left if "tmp" in name]


def test_stdin_that_does_not_fit_into_the_temporary_folder(full_disk, tmp_path):
    """The command says where the room is missing, and ends as for every full disk."""
    (full_disk / "filler").write_bytes(b"")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "runstore", "put", "dev/r/t", "-", "--as", "csv"),
            *("--store", str(tmp_path / "store")),
        ],
        input=b"a,b\n" + b"1,2\n" * 500_000,
        env={**os.environ, "TMPDIR": str(full_disk)},
        capture_output=True,
        check=False,
    )
    assert b"cannot collect what comes from stdin in" in done.stderr
    assert b"No space left on device" in done.stderr
    assert 5 == done.returncode
    assert ["filler", "store"] == sorted(os.listdir(full_disk))


def test_a_file_that_does_not_fit_into_the_temporary_folder(full_disk, tmp_path, monkeypatch):
    """What is written to an object is collected there; the error is that of a full disk."""
    (full_disk / "filler").write_bytes(b"")
    monkeypatch.setattr(tempfile, "tempdir", str(full_disk))
    view = ObjectStore(tmp_path / "store").at(namespace="dev", run="r")

    def written():
        with view.open("x.bin", "wb") as file:
            for _ in range(64):
                file.write(bytes(1 << 20))

    with pytest.raises(StorageFullError, match="set TMPDIR to another folder"):
        written()
    assert not view.exists("x.bin")


def test_no_temporary_folder_can_be_made(tmp_path, monkeypatch):
    """The error is typed, and names the folder and the way out."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(StorageError, match=r"none: No such file.*or set TMPDIR"):
        new_folder("x-")
    error = scratch_error("write", OSError(errno.EDQUOT, "Disk quota exceeded"), "/tmp")
    assert isinstance(error, StorageFullError)
    assert "cannot write in /tmp: Disk quota exceeded. Please make room there" == str(error)


def test_a_journal_of_verify_on_a_full_disk(full_disk, tmp_path):
    """The error is typed, also though closing the file fails again; a device is no journal."""
    store = ObjectStore(tmp_path / "store")
    store.at(namespace="dev", run="r").put("x", [1, 2])
    with pytest.raises(StorageError, match="No space left on device"):
        list(store.verify(journal=full_disk / "journal"))
    with pytest.raises(InvalidRequestError, match="no journal of verify"):
        list(store.verify(journal="/dev/null"))
