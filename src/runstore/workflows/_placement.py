"""Checks, before anything runs, whether the workers can reach the store."""

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from runstore.context import StoreAddress
from runstore.errors import ExecutorUnavailableError, InvalidRequestError
from runstore.executors import Executor
from runstore.store import ObjectStore

__all__ = ["check_placement", "check_shared"]


def check_shared(address: StoreAddress, engine: Executor) -> None:
    """Raise if stages in other processes cannot reach the store.

    Raises:
        InvalidRequestError: It is in memory, or was made with credentials that stay in this
            process.
    """
    if engine.in_process:
        return
    other = "use the mode 'threads'" if engine.name == "local" else "use executor='local'"
    if not ObjectStore.from_address(address).backend.guarantees.shared:
        other = other if engine.name == "local" else f"{other} in threads"
        raise InvalidRequestError(
            f"the store {address.url} is in the memory of this process, where stages that run in "
            f"other processes cannot reach it: pass store= a path or a bucket, or {other}",
            address.url,
        )
    if address.kept is not None:
        raise InvalidRequestError(
            f"the store {address.url} was made with key= and secret= (or token=, a password, or "
            "fs=), which stay in this process, and stages run in others: give the credentials in "
            "the environment of the workers (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), as "
            f"profile= or the path of a key file, or {other}",
            address.url,
        )


def check_placement(address: StoreAddress, engine: Executor) -> None:
    """Raise if the store is on a disk that some worker does not share.

    On another host, the same path may be on another disk, where objects would be written and
    never found again; or on a mounted disk that all share. So a temporary file is made in the
    store's folder, and each worker reads it.

    Raises:
        InvalidRequestError: Workers have another disk at the store's path.
        ExecutorUnavailableError: The workers cannot import runstore.
    """
    if not address.url.startswith("file:"):
        return
    path = Path(address.url.removeprefix("file://"))  # as it is: it may have a '#' or '?'
    folders = (path, *path.parents)
    folder = next(one for one in folders if os.path.isdir(one))  # noqa: PTH112 - never raises
    token = secrets.token_hex(16)
    path_of_token = _token_file(folder, token)
    if path_of_token is None:
        return  # denied, full, …: the first write of the run will say so
    try:
        found = engine.everywhere(_reads, path_of_token)
    except ModuleNotFoundError as exc:
        raise ExecutorUnavailableError(
            f"the workers of {engine.location} cannot import {exc.name!r}: install the same "
            "runstore there as here"
        ) from exc
    finally:
        _remove(path_of_token)
    strangers = [place for place, text in found.items() if text != token]
    if strangers:
        raise InvalidRequestError(
            f"the store {address.url} is on a disk of this machine that "
            f"{_some(strangers)} of {engine.name} does not share, so that stages would not find "
            "each other's objects: pass store= a bucket, or a path on a disk mounted on every host",
            address.url,
        )


def _token_file(folder: Path, token: str) -> str | None:
    """Return the path of a new file that has *token*; None if it cannot be written."""
    try:
        fd, path = tempfile.mkstemp(prefix=".runstore-tmp-", dir=folder)
    except OSError:
        return None
    try:
        with os.fdopen(fd, "wb", buffering=0) as file:  # nothing is left to be written by a close
            written = file.write(token.encode())
    except OSError:
        written = 0
    if written == len(token):
        return path
    _remove(path)
    return None


def _remove(path: str) -> None:
    with suppress(OSError):  # a clean-up may have removed it, or the disk is gone
        Path(path).unlink()


def _reads(path: str) -> str | None:
    try:
        return Path(path).read_text()
    except OSError:
        return None


def _some(places: list[str]) -> str:
    return places[0] + (f" (and {len(places) - 1} more)" if len(places) > 1 else "")
