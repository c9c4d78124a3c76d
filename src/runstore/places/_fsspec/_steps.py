"""Reading a file, and putting one in the place of another, by fsspec's own interface."""

import hashlib
import os
from typing import Any

from runstore.places._fsspec._calls import Calls

__all__ = ["cat", "link_locally", "mv", "mv_after_delete", "replacing"]


def cat(calls: Calls, path: str, start: int, end: int | None, size: int) -> bytes:
    """Read a file or a range of it."""
    span: dict[str, Any] = {} if end is None else {"start": start, "end": end}
    if end is not None and type(calls.fs).__module__ == "fsspec.implementations.arrow":
        with calls.fs.open(path, "rb") as file:  # its cat_file fails for some ranges
            file.seek(start)
            return bytes(file.read(end - start))
    found: bytes = calls("cat_file", path, size=size, **span)
    return found


def mv(calls: Calls, temporary: str, target: str) -> None:
    """Rename by the filesystem's own ``mv``."""
    calls("mv", temporary, target)


def mv_after_delete(calls: Calls, temporary: str, target: str) -> None:
    """Rename where that deletes what is there, and then moves.

    A reader that finds nothing meanwhile looks for the name that the file has then.
    """
    # Made first: where it is missing, HDFS says no more than that it cannot rename.
    calls("makedirs", target.rpartition("/")[0], exist_ok=True)
    folder, _, name = temporary.rpartition("/")
    under_way = f"{folder}/{replacing(target)}{name}"
    calls("mv", temporary, under_way)
    calls("mv", under_way, target)


def replacing(target: str) -> str:
    """Return how the hidden file begins that is about to take the place of *target*."""
    return f"replacing-{hashlib.sha256(target.encode()).hexdigest()[:32]}-"


def link_locally(calls: Calls, temporary: str, target: str) -> None:
    """Link a local file to a second name, where nothing has that name."""
    os.link(temporary, target)
    calls.remove(temporary)
