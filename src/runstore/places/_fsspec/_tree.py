"""The tree below a path in a filesystem of fsspec, as keys: what is listed in it."""

import builtins
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from runstore.arguments import printable
from runstore.errors import BucketNotFoundError, StorageError, UnreadableWarning
from runstore.keys import PARTS
from runstore.places._base import Entry, is_hidden, is_hidden_but_parts
from runstore.places._fsspec._calls import Calls
from runstore.places._fsspec._dialects import Dialect, modified_at, version_in
from runstore.places._fsspec._failures import translating

__all__ = ["FsspecTree"]


class FsspecTree:
    """The files below a path: where they are, what is said of them, and their listings.

    Args:
        url: What to call the place.
        calls: The filesystem.
        root: The path in it, without a slash at its end.
        dialect: What is known of the filesystem.
    """

    def __init__(self, url: str, calls: Calls, root: str, dialect: Dialect) -> None:
        self.url = url.rstrip("/")
        self._calls = calls
        self._root = root.rstrip("/")
        self._dialect = dialect
        self._bucket_is_there = not dialect.bucket

    def list(self, prefix: str) -> Iterator[Entry]:
        """See `runstore.places.Backend.list`."""
        ref = self._ref(prefix)
        with translating(ref, "list"):
            self._calls.forget()
            folder, slash, begin = prefix.rpartition("/")
            if not self._dialect.flat:
                yield from self._walk(folder + slash, begin=begin)
                return
            keys = self._found(folder + slash)
            for key in sorted(keys):
                # A file of the prefix's own name is no object below it.
                if key.startswith(prefix) and not is_hidden(key, prefix):
                    yield self._described(key, keys[key])

    def list_with_parts(self, prefix: str) -> Iterator[Entry]:
        """See `runstore.places._base.list_with_parts`."""
        with translating(self._ref(prefix), "list"):
            self._calls.forget()
            if not self._dialect.flat:
                yield from self._walk(prefix, True)
                return
            for key, info in self._found(prefix).items():
                if key.startswith(prefix) and not is_hidden_but_parts(key, prefix):
                    yield self._described(key, info)

    def folders(self, prefix: str) -> builtins.list[str]:
        """See `runstore.places.Backend.folders`."""
        with translating(self._ref(prefix), "list"):
            self._calls.forget()
            names = [name for name, info in self._scan(prefix) if info["type"] == "directory"]
            if self._dialect.flat and self._dialect.bucket:
                return names
            return [name for name in names if next(self._walk(f"{prefix}{name}", True), None)]

    def _described(self, key: str, info: Mapping[str, Any]) -> Entry:
        size = info.get("size")
        if not isinstance(size, int):
            raise StorageError(f"{self._ref(key)} has no size that the place tells", self._ref(key))
        return Entry(key, size, modified_at(info), version_in(self._dialect, info))

    def _found(self, folder: str) -> dict[str, Mapping[str, Any]]:
        """Return everything below a folder, by key."""
        try:
            found = self._calls("find", self._path(folder), detail=True)
        except FileNotFoundError:
            found = {}
        if not found:
            self._check_bucket(self._ref(folder))
        return {self._key(info["name"]): info for info in found.values()}

    def _walk(self, prefix: str, parts: bool = False, begin: str = "") -> Iterator[Entry]:
        for name, info in self._scan(prefix, parts):
            if not name.startswith(begin):
                continue
            if info["type"] == "directory":
                yield from self._walk(prefix + name, parts)
            elif info["type"] in ("file", "link"):
                yield self._described(prefix + name, info)
            else:
                what = (
                    f"{self._ref(prefix + name)} is {info['type']}, not an object: it is left out"
                )
                warnings.warn(UnreadableWarning(printable(what)), stacklevel=3)

    def _scan(
        self, prefix: str, parts: bool = False
    ) -> builtins.list[tuple[str, Mapping[str, Any]]]:
        """Return what is directly under *prefix*, folders with a slash, in the order of keys."""
        found = builtins.list[tuple[str, Mapping[str, Any]]]()
        for info in self._ls(self._path(prefix)):
            name = self._name(info)
            if name and (not name.startswith(".") or (parts and name == PARTS)):
                found.append((f"{name}/" if info["type"] == "directory" else name, info))
        return sorted(found, key=lambda one: one[0])

    def _ls(self, path: str) -> builtins.list[Mapping[str, Any]]:
        """Return what is in a folder; nothing if it is not there."""
        path = path.rstrip("/")
        try:
            found: builtins.list[Mapping[str, Any]] = self._calls("ls", path, detail=True)
        except FileNotFoundError:
            self._check_bucket(self.url)
            return []
        except NotADirectoryError:
            return []
        return [info for info in found if self._stripped(info["name"]) != path]

    def _name(self, info: Mapping[str, Any]) -> str:
        return self._stripped(info["name"]).rpartition("/")[2]

    def _key(self, name: str) -> str:
        return self._stripped(name)[len(self._root) + 1 :] if self._root else self._stripped(name)

    def _stripped(self, name: str) -> str:
        """Return a name that the filesystem gave as this backend writes paths."""
        name = name.rstrip("/")
        if self._root.startswith("/") and not name.startswith("/"):
            return f"/{name}"
        return name if self._root.startswith("/") else name.lstrip("/")

    def _check_bucket(self, ref: str) -> None:
        """Raise BucketNotFoundError if what seems a miss is a bucket that is not there."""
        if self._bucket_is_there:
            return
        bucket = self._root.partition("/")[0]
        with translating(ref, "reach"):
            try:
                self._calls("info", bucket)
            except FileNotFoundError as exc:
                raise BucketNotFoundError(
                    f"the bucket {bucket!r} of {self.url} is not there: make it, or check the "
                    "address of the store",
                    ref,
                ) from exc
        self._bucket_is_there = True

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}".rstrip("/")

    def _ref(self, key: str) -> str:
        return f"{self.url}/{key}"
