"""A local file that a stored one is copied to."""

import os
import secrets
from contextlib import suppress
from typing import Any

from fsspec.callbacks import Callback

from runstore.arguments import path_text, unfit
from runstore.errors import InvalidRequestError

__all__ = ["check_local", "write_pieces", "write_whole"]

_PIECE = 4 << 20  # bytes at a time, so that a progress bar moves


def check_local(call: str, path: Any) -> None:
    """Raise InvalidRequestError unless *path* can be that of a local file."""
    text = path_text(f"{call}: lpath", path, InvalidRequestError)
    try:
        good = isinstance(text, str) and b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        good = False
    if not good:
        raise unfit(call, "lpath", "the path of a local file", path)


def write_pieces(file: Any, view: memoryview, callback: Callback) -> None:
    """Write *view* to an open file."""
    for start in range(0, view.nbytes, _PIECE):
        piece = view[start : start + _PIECE]
        file.write(piece)
        callback.relative_update(piece.nbytes)


def write_whole(path: str, view: memoryview, callback: Callback) -> None:
    """Write a local file beside its place, and rename it when it is whole.

    What is there and is no file, as a pipe or a device, is written to.
    """
    path = os.path.realpath(path)
    if os.path.exists(path) and not os.path.isfile(path):  # noqa: PTH110, PTH113
        with open(path, "wb") as file:  # noqa: PTH123
            write_pieces(file, view, callback)
        return
    folder, name = os.path.split(path)
    os.makedirs(folder, exist_ok=True)  # noqa: PTH103
    temporary = f"{folder}/.{secrets.token_hex(8)}.tmp"
    try:
        with open(temporary, "xb") as file:  # noqa: PTH123
            write_pieces(file, view, callback)
        os.replace(temporary, f"{folder}/{name}")  # noqa: PTH105
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108
        raise
