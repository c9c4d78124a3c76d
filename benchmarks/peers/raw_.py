"""The physical limit of a file: system calls and nothing else, atomic as runstore is.

Written to a temporary name and renamed, like for like; read into memory of the
reader's own. Neither waits for the disk, and neither does any other peer.
"""

import os
from typing import Any

import numpy as np

label = "raw write()/read()"
guarantees = "bytes only; atomic (temporary file and rename), no digest, a private writable copy"
lacks = "everything but the bytes and atomic replace"


def open_at(root: str) -> Any:
    return root


def put(handle: Any, key: str, value: Any) -> None:
    path = f"{handle}/{key}"
    fd = os.open(f"{path}.tmp", os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666)
    view = memoryview(value)
    while view.nbytes:
        view = view[os.write(fd, view) :]
    os.close(fd)
    os.replace(f"{path}.tmp", path)  # noqa: PTH105 - no Path in the way of the limit


def get(handle: Any, key: str) -> Any:
    fd = os.open(f"{handle}/{key}", os.O_RDONLY | os.O_CLOEXEC)
    data = np.empty(os.fstat(fd).st_size, np.uint8)  # not zeroed: nothing is touched twice
    view = memoryview(data)
    while view.nbytes and (count := os.readv(fd, [view])):
        view = view[count:]
    os.close(fd)
    return data


def delete(handle: Any, key: str) -> None:
    os.unlink(f"{handle}/{key}")  # noqa: PTH108


def names(handle: Any) -> Any:
    found = []
    for folder, _, files in os.walk(handle):
        found += [f"{folder}/{name}" for name in files]
    return found
