"""Section B, local disk: the cause is said, and what became of the object."""

import errno
import os
from pathlib import Path

import pytest
from tests.cases._case import case

from runstore import ObjectStore
from runstore.errors import (
    AccessDeniedError,
    BackendUnavailableError,
    IndeterminateWriteError,
    StorageFullError,
)


@case("B4", "a delete that is denied, or fails, is reported, and never called a miss")
def a_delete_fails(folder: Path) -> None:
    view = ObjectStore(folder / "s").at(namespace="n", run="r")
    view.put("a", 1)
    expected = {
        errno.EACCES: AccessDeniedError,
        errno.EIO: BackendUnavailableError,
        errno.ESTALE: BackendUnavailableError,
    }
    for call in ("stat", "unlink"):
        for number, kind in expected.items():
            with pytest.MonkeyPatch.context() as patch:
                _fail(patch, call, "a.arrow", number)
                for missing_ok in (True, False):
                    with pytest.raises(kind):
                        view.delete("a", missing_ok=missing_ok)
    assert view.get("a") == 1


@case("B4", "delete_run says that the run's record could not be removed")
def the_record_stays(folder: Path) -> None:
    store = ObjectStore(folder / "s")
    store.at(namespace="n", run="r").put("a", 1)
    with pytest.MonkeyPatch.context() as patch:
        _fail(patch, "stat", "/_runs/", errno.EACCES)
        with pytest.raises(AccessDeniedError):
            store.delete_run("r", namespace="n")


@case("B6", "a quota that is found exceeded when a file is closed leaves the old object")
def closing_fails(folder: Path) -> None:
    view = ObjectStore(folder / "s").at(namespace="n", run="r")
    view.put("a", 1)
    close, failed = os.close, []

    def exceeded(fd: int) -> None:
        close(fd)
        if not failed:
            failed.append(fd)
            raise OSError(errno.EDQUOT, "Disk quota exceeded")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "close", exceeded)
        with pytest.raises(StorageFullError, match="The old object is intact"):
            view.put("a", 2)
    assert view.get("a") == 1


@case("B6", "an object whose folder the disk does not confirm is said to be written")
def the_folder_is_not_confirmed(folder: Path) -> None:
    view = ObjectStore(folder / "s", durable=True).at(namespace="n", run="r")
    view.put("a", 1)
    fsync, calls = os.fsync, []

    def failing(fd: int) -> None:
        calls.append(fd)
        if len(calls) == 2:  # the file is confirmed, the folder is not
            raise OSError(errno.EIO, "Input/output error")
        fsync(fd)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        with pytest.raises(IndeterminateWriteError, match="is written, and every reader sees"):
            view.put("a", 2)
    assert view.get("a") == 2


def _fail(patch: pytest.MonkeyPatch, call: str, part: str, number: int) -> None:
    real = getattr(os, call)

    def failing(path: object, *args: object, **kwargs: object) -> object:
        if part in str(path):
            raise OSError(number, os.strerror(number))
        return real(path, *args, **kwargs)

    patch.setattr(os, call, failing)
