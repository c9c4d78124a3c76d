"""obstore: the Rust client that runstore uses, too, on bytes alone."""

from typing import Any
from urllib.parse import urlsplit

import obstore
from obstore.store import S3Store

label = "obstore"
guarantees = "bytes only; an object is replaced whole, read into new memory that is not writable"
lacks = "everything but the bytes and atomic replace; a read is not checked"


def open_at(root: str) -> Any:
    parts = urlsplit(root)
    options = {"allow_http": True, "timeout": "300s"}
    return S3Store(parts.netloc, prefix=parts.path.strip("/"), client_options=options)


def put(handle: Any, key: str, value: Any) -> None:
    obstore.put(handle, key, memoryview(value))


def get(handle: Any, key: str) -> Any:
    return obstore.get(handle, key).bytes()


def delete(handle: Any, key: str) -> None:
    obstore.delete(handle, key)


def names(handle: Any) -> Any:
    return [entry["path"] for chunk in obstore.list(handle, chunk_size=1000) for entry in chunk]
