"""Temporary files and folders of this process, outside of any store."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from runstore.errors import StorageError, StorageFullError

__all__ = ["is_full", "new_folder", "scratch_error", "translated_scratch"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def is_full(exc: OSError) -> bool:
    """Return whether *exc* says that a disk, or a user's share of it, is full."""
    return exc.errno in _FULL


def new_folder(prefix: str, within: str | None = None) -> str:
    """Make a folder and return its path.

    Args:
        prefix: How its name begins.
        within: The folder that it is made in; by default that of temporary files.

    Raises:
        StorageError: It cannot be made.
    """
    with translated_scratch("make a temporary folder", within):
        return tempfile.mkdtemp(prefix=prefix, dir=within)


@contextmanager
def translated_scratch(doing: str, within: str | None = None) -> Iterator[None]:
    """Turn errors of the operating system about temporary files into those of runstore.

    Args:
        doing: What was attempted, as in "cannot *make a temporary folder*".
        within: The folder of the files; by default that of temporary files.
    """
    try:
        yield
    except OSError as exc:
        raise scratch_error(doing, exc, within) from exc


def scratch_error(doing: str, exc: OSError, within: str | None = None) -> StorageError:
    """Return the error for *exc*, raised about a temporary file; see `translated_scratch`."""
    kind = StorageFullError if is_full(exc) else StorageError
    folder = within or _folder()
    way = "make room there" if kind is StorageFullError else "check that it can be written"
    other = "" if within else ", or set TMPDIR to another folder"
    return kind(f"cannot {doing} in {folder}: {exc.strerror or exc}. Please {way}{other}", folder)


def _folder() -> str:
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:  # none of those that Python tries can be written
        return os.environ.get("TMPDIR", "/tmp")  # noqa: S108 - only named
