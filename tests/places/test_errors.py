import errno

import pytest

from runstore.errors import (
    AccessDeniedError,
    BackendUnavailableError,
    ObjectNotFoundError,
    RunStoreError,
    StorageError,
    StorageFullError,
)
from runstore.places._errors import translated


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (FileNotFoundError(errno.ENOENT, "no such file"), ObjectNotFoundError),
        (PermissionError(errno.EACCES, "denied"), AccessDeniedError),
        (PermissionError("denied"), AccessDeniedError),
        (OSError(errno.EROFS, "read-only"), AccessDeniedError),
        (OSError(errno.ENOSPC, "full"), StorageFullError),
        (OSError(errno.EDQUOT, "quota"), StorageFullError),
        (TimeoutError("slow"), BackendUnavailableError),
        (ConnectionResetError(errno.ECONNRESET, "reset"), BackendUnavailableError),
        (ConnectionRefusedError("refused"), BackendUnavailableError),
        (OSError(errno.ESTALE, "stale NFS handle"), BackendUnavailableError),
        (OSError(errno.EIO, "I/O error"), BackendUnavailableError),
        (OSError(errno.ENOTCONN, "FUSE is gone"), BackendUnavailableError),
        (OSError(errno.EHOSTDOWN, "host is down"), BackendUnavailableError),
        (IsADirectoryError(errno.EISDIR, "is a directory"), StorageError),
        (OSError("who knows"), StorageError),
    ],
)
def test_every_failure_has_its_class(raised, expected):
    """What the system raises becomes one of ours, naming the object, cause kept."""
    with pytest.raises(RunStoreError) as caught, translated("file:///x/a.arrow", "read"):
        raise raised
    assert expected is type(caught.value)
    assert "file:///x/a.arrow" in str(caught.value)
    assert raised is caught.value.__cause__


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "The old object is intact; free some space"),
        (errno.EROFS, "Mount it for writing, or choose another place for the store"),
        (errno.EACCES, "which user this process runs as"),
        (errno.ELOOP, "Move them away"),
        (errno.ENXIO, "is a socket or a device"),
        (errno.EXDEV, "Make it a store of its own"),
        (errno.EMFILE, "raise `ulimit -n`"),
    ],
)
def test_the_way_out_is_named(number, said):
    """The message has the system's own words, and what to do."""
    with pytest.raises(StorageError, match=said) as caught, translated("file:///x", "write"):
        raise OSError(number, "the system's own words")
    assert "the system's own words" in str(caught.value)


def test_a_missing_folder_while_writing_is_no_miss():
    """While writing, a missing file is a failure of the place."""
    with pytest.raises(StorageError), translated("file:///x", "write", missing=StorageError):
        raise FileNotFoundError(errno.ENOENT, "no such file")


@pytest.mark.parametrize("raised", [ValueError("x"), KeyboardInterrupt(), ZeroDivisionError()])
def test_what_is_not_the_places_fault_passes(raised):
    """Errors that are not the place's are not touched."""
    with pytest.raises(type(raised)) as caught, translated("file:///x", "read"):
        raise raised
    assert raised is caught.value
