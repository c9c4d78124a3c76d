"""pyarrow's feather functions: Arrow files, uncompressed and memory-mapped."""

import os
from typing import Any

from pyarrow import feather

label = "pyarrow feather"
guarantees = "not atomic, no digest, some dtypes and labels change, mapped, then copied to pandas"
lacks = "atomic replace, digest, exact dtypes, writable result, run scope"


def open_at(root: str) -> Any:
    return root


def put(handle: Any, key: str, value: Any) -> None:
    feather.write_feather(value, f"{handle}/{key}", compression="uncompressed")


def get(handle: Any, key: str) -> Any:
    return feather.read_feather(f"{handle}/{key}", memory_map=True)


def delete(handle: Any, key: str) -> None:
    os.unlink(f"{handle}/{key}")  # noqa: PTH108
