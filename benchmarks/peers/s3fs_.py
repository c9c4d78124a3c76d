"""s3fs: fsspec's S3, without the cache of listings that would lie after others' writes."""

from typing import Any

from s3fs import S3FileSystem

label = "s3fs"
guarantees = "bytes only; an object is replaced whole, a read may mix two versions"
lacks = "everything but the bytes; a read while another writes may be torn"


def open_at(root: str) -> Any:
    return S3FileSystem(use_listings_cache=False, skip_instance_cache=True), root


def put(handle: Any, key: str, value: Any) -> None:
    fs, root = handle
    fs.pipe_file(f"{root}/{key}", bytes(value))


def get(handle: Any, key: str) -> Any:
    fs, root = handle
    return fs.cat_file(f"{root}/{key}")


def delete(handle: Any, key: str) -> None:
    fs, root = handle
    fs.rm_file(f"{root}/{key}")


def put_many(handle: Any, values: dict[str, Any]) -> None:
    fs, root = handle
    fs.pipe({f"{root}/{key}": bytes(value) for key, value in values.items()})


def get_many(handle: Any, keys: list[str]) -> Any:
    fs, root = handle
    return fs.cat([f"{root}/{key}" for key in keys])


def names(handle: Any) -> Any:
    fs, root = handle
    return fs.find(root)
