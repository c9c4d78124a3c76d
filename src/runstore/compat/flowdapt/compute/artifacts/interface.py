"""An artifact: its files and its metadata.

An artifact is a folder of objects in the namespace: ``artifacts/<name>/.artifact.json`` has its
metadata and says that it is there, and each file is an object ``artifacts/<name>/<file>.file``
that holds bytes. So each file is written all or nothing, with a digest.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from runstore.compat.flowdapt.compute._places import ArtifactNotFoundError
from runstore.compat.flowdapt.compute.artifacts._file import ArtifactFile, no_file
from runstore.errors import (
    InvalidNameError,
    ObjectExistsError,
    ObjectNotFoundError,
    PreconditionFailedError,
)
from runstore.store import StoreView

__all__ = ["Artifact", "ArtifactFile", "is_name"]

_FOLDER, _METADATA, _FILE = "artifacts/", "/.artifact.json", ".file"
_NAME = re.compile(r"[A-Za-z0-9_\-]+")
_TRIES = 20  # to change metadata that others change at the same time


class Artifact:
    """A named group of files with metadata, which is used as a mapping.

    Args:
        name: Letters, digits, ``_`` and ``-``.
        view: Its namespace.

    Raises:
        ArtifactNotFoundError: There is none of that name.
        ValueError: *name* cannot be one.
    """

    def __init__(self, name: str, view: StoreView) -> None:
        self._name = _checked(name)
        self._view = view
        self._pending: dict[str, bytes | None] | None = None  # in a transaction
        self._metadata: dict[str, Any] = {}
        self._read_metadata()

    @classmethod
    def made(
        cls, name: str, view: StoreView, metadata: Mapping[str, Any] | None = None
    ) -> "Artifact":
        """Make a new one with this metadata; see `new_artifact`."""
        try:
            view.put(
                _FOLDER + _checked(name) + _METADATA,
                dict(metadata or {}),
                scope="namespace",
                if_absent=True,
            )
        except ObjectExistsError:
            raise FileExistsError(
                f"artifact {name!r} is there already in namespace {view.namespace!r}"
            ) from None
        return cls(name, view)

    @staticmethod
    def object_of(name: str, filename: str) -> str:
        """Return the name of the object that is a file of an artifact."""
        if not isinstance(filename, str) or not filename:
            raise InvalidNameError(f"{filename!r} is no name of a file in the artifact {name!r}")
        return f"{_FOLDER}{_checked(name)}/{filename}{_FILE}"

    @classmethod
    def all_in(cls, view: StoreView) -> "list[Artifact]":
        """Return all of a namespace; see `list_artifacts`."""
        return [
            cls(info.name[len(_FOLDER) : -len(_METADATA)], view)
            for info in view.list(_FOLDER, scope="namespace")
            if info.name.endswith(_METADATA)
        ]

    @classmethod
    def is_in(cls, name: str, view: StoreView) -> bool:
        """Return whether a namespace has one of that name."""
        return view.exists(_FOLDER + _checked(name) + _METADATA, scope="namespace")

    @property
    def name(self) -> str:
        """Its name."""
        return self._name

    @property
    def namespace(self) -> str:
        """The namespace that it is in."""
        return self._view.namespace

    @property
    def path(self) -> str:
        """Where it is, for people."""
        return f"{self._view.namespace}/{_FOLDER}{self._name}"

    @property
    def uri(self) -> str:
        """Where it is, with its store."""
        return f"{self._view.store.url}/{self.path}"

    @property
    def exists(self) -> bool:
        """Whether it is still there."""
        return Artifact.is_in(self._name, self._view)

    @property
    def is_empty(self) -> bool:
        """Whether it has no files."""
        return not self._names()

    @property
    def metadata(self) -> dict[str, Any]:
        """Its metadata as it was last read; JSON values."""
        return self._metadata

    def __repr__(self) -> str:
        return f"Artifact<{self.uri}>"

    def __bool__(self) -> bool:
        return not self.is_empty

    def __contains__(self, filename: str) -> bool:
        return self.has_file(filename)

    def __iter__(self) -> Iterator[ArtifactFile]:
        return iter(self.list_files())

    def __getitem__(self, key: str) -> Any:
        return self.get_meta(key)

    def __setitem__(self, key: str, value: Any) -> None:
        self.set_meta(key, value)

    def __delitem__(self, key: str) -> None:
        self.del_meta(key)

    def get_meta(self, key: str, default: Any = None) -> Any:
        """Return a value of the metadata as it is now, or *default*."""
        self._read_metadata()
        return self._metadata.get(key, default)

    def set_meta(self, key: str, value: Any) -> None:
        """Set a value of the metadata; others that are set at the same time are kept."""
        self._change_metadata({key: value}, ())

    def del_meta(self, key: str) -> None:
        """Remove a value of the metadata.

        Raises:
            KeyError: There is none.
        """
        if key not in self._read_metadata()[0]:
            raise KeyError(key)
        self._change_metadata({}, (key,))

    def list_files(self, include_meta: bool = False) -> list[ArtifactFile]:
        """Return its files, sorted by name; the metadata is none of them."""
        self._ensure_exists()
        return [self._known(filename) for filename in self._names()]

    def has_file(self, filename: str) -> bool:
        """Return whether it has a file of that name."""
        if self._pending is not None and filename in self._pending:
            return self._pending[filename] is not None
        return self._view.exists(self._name_of(filename), scope="namespace")

    def get_file(self, filename: str, create: bool = False) -> ArtifactFile:
        """Return a file, with *create* a new and empty one if there is none.

        Raises:
            ArtifactNotFoundError: There is none.
        """
        if create and not self.has_file(filename):
            return self.new_file(filename)
        return ArtifactFile(filename, self)

    def new_file(
        self, filename: str, content: str | bytes | None = None, *, exist_ok: bool = True
    ) -> ArtifactFile:
        """Make a file; one that is there stays as it is.

        Args:
            filename: Its name.
            content: What is in it; nothing by default.
            exist_ok: Whether to return the file that is there.

        Raises:
            FileExistsError: There is one, without *exist_ok*.
            ArtifactNotFoundError: The artifact was deleted.
        """
        self._ensure_exists()
        if self.has_file(filename):
            if not exist_ok:
                raise FileExistsError(f"{self!r} has a file {filename!r} already")
            return self._known(filename)
        data = content.encode() if isinstance(content, str) else content or b""
        self._put_file(filename, data)
        return self._known(filename)

    def delete_file(self, filename: str) -> None:
        """Remove a file.

        Raises:
            ArtifactNotFoundError: There is none.
        """
        if self._pending is not None:
            if not self.has_file(filename):
                raise no_file(filename, self)
            self._pending[filename] = None
            return
        try:
            self._view.delete(self._name_of(filename), scope="namespace")
        except ObjectNotFoundError:
            raise no_file(filename, self) from None

    def clear(self) -> None:
        """Remove all files and all metadata; the artifact stays."""
        self._ensure_exists()
        for filename in self._names():
            self.delete_file(filename)
        self._view.put(_FOLDER + self._name + _METADATA, {}, scope="namespace")
        self._metadata = {}

    def delete(self) -> None:
        """Remove it: first it is no more found, then its files go.

        Raises:
            ArtifactNotFoundError: It was deleted already.
        """
        self._ensure_exists()
        names = [self._name_of(filename) for filename in self._names()]
        self._view.delete(_FOLDER + self._name + _METADATA, scope="namespace", missing_ok=True)
        self._view.delete_many(names, scope="namespace", missing_ok=True)

    @contextmanager
    def transaction(self) -> Iterator["Artifact"]:
        """In the block, keep what is written in memory; store it when the block ends well.

        Each file is stored all or nothing, not all of them together.
        """
        self._ensure_exists()
        pending: dict[str, bytes | None] = {}
        self._pending = pending
        try:
            yield self
        finally:
            self._pending = None
        for filename, data in pending.items():
            if data is not None:
                self._put_file(filename, data)
            elif self.has_file(filename):
                self.delete_file(filename)

    def _known(self, filename: str) -> ArtifactFile:
        """Return a file that is there, without another look."""
        return ArtifactFile.known(filename, self)

    def _name_of(self, filename: str) -> str:
        return Artifact.object_of(self._name, filename)

    def _names(self) -> list[str]:
        folder = f"{_FOLDER}{self._name}/"
        names = {
            info.name[len(folder) : -len(_FILE)]
            for info in self._view.list(folder, scope="namespace")
            if info.name.endswith(_FILE)
        }
        for filename, data in (self._pending or {}).items():
            names = names - {filename} if data is None else names | {filename}
        return sorted(names)

    def _put_file(self, filename: str, data: bytes) -> None:
        if self._pending is not None:
            self._pending[filename] = bytes(data)
        else:
            self._view.put(self._name_of(filename), bytes(data), scope="namespace")

    def _ensure_exists(self) -> None:
        if not self.exists:
            raise _no_artifact(self._name, self._view)

    def _read_metadata(self) -> tuple[dict[str, Any], str | None]:
        try:
            found, info = self._view.get_with_info(
                _FOLDER + self._name + _METADATA, scope="namespace"
            )
        except ObjectNotFoundError:
            raise _no_artifact(self._name, self._view) from None
        self._metadata = dict(found)
        return dict(found), info.version

    def _change_metadata(self, new: dict[str, Any], gone: tuple[str, ...]) -> None:
        conditional = self._view.store.guarantees.compare_and_swap
        for left in reversed(range(_TRIES)):
            found, version = self._read_metadata()
            changed = {key: one for key, one in found.items() if key not in gone} | new
            try:
                self._view.put(
                    _FOLDER + self._name + _METADATA,
                    changed,
                    scope="namespace",
                    if_match=version if conditional else None,
                )
            except PreconditionFailedError:
                if not left:
                    raise
                continue
            self._metadata = changed
            return


def is_name(name: str) -> bool:
    """Return whether an artifact can have that name."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def _checked(name: str) -> str:
    if not is_name(name):
        raise InvalidNameError(
            f"{name!r} is no name of an artifact: it has letters, digits, '_' and '-'", str(name)
        )
    return name


def _no_artifact(name: str, view: StoreView) -> ArtifactNotFoundError:
    ref = f"{view.namespace}/{_FOLDER}{name}"
    return ArtifactNotFoundError(f"no artifact {name!r} in namespace {view.namespace!r}", ref)
