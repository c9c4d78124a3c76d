"""WebDAV: moving on the server, and the moment in which it has deleted and not yet moved."""

import time

from runstore.places._fsspec._calls import Calls
from runstore.places._fsspec._failures import status_of
from runstore.places._fsspec._steps import cat, replacing

__all__ = ["cat_on_webdav", "move_on_webdav"]

_ATTEMPTS = 5
_PAUSE = 0.05  # seconds


def cat_on_webdav(calls: Calls, path: str, start: int, end: int | None, size: int) -> bytes:
    """Read a file or a range of it; what webdav4 says of a missing one is no FileNotFoundError.

    A server that deletes a file in the middle of the reading answers with an error of its own.
    """
    for left in range(_ATTEMPTS, -1, -1):
        try:
            return cat(calls, path, start, end, size)
        except Exception as exc:
            status = status_of(exc) or 0
            if status == 404:
                raise FileNotFoundError(path) from exc
            if status < 500 or not left:
                raise
            time.sleep(_PAUSE)
    raise AssertionError(path)


def move_on_webdav(calls: Calls, temporary: str, target: str) -> None:
    """Move on the server. fsspec's ``mv`` would copy and delete."""
    from webdav4.client import HTTPError, ResourceAlreadyExists, ResourceConflict, ResourceNotFound

    client = calls.fs.client
    try:
        client.move(temporary, target, overwrite=False)
    except (ResourceConflict, ResourceNotFound) as exc:  # the folder is missing
        raise FileNotFoundError(target) from exc
    except ResourceAlreadyExists:
        pass
    else:
        return
    # A server deletes what is there and then moves. A reader that finds nothing meanwhile
    # looks for this name.
    folder, _, name = temporary.rpartition("/")
    under_way = f"{folder}/{replacing(target)}{name}"
    client.move(temporary, under_way)
    for left in range(_ATTEMPTS, -1, -1):
        try:
            client.move(under_way, target, overwrite=True)
        except HTTPError as exc:  # another writer came in between
            if not left or exc.status_code < 500 or not client.exists(under_way):
                raise
        else:
            return
