"""The tree of a local store, as keys: walking it, and what is wrong with its root."""

import builtins
import itertools
import os
import stat
import warnings
from collections.abc import Container, Iterator
from contextlib import suppress
from datetime import UTC, datetime

from runstore.arguments import printable
from runstore.errors import (
    AccessDeniedError,
    ObjectNotFoundError,
    RunStoreError,
    StorageError,
    UnreadableWarning,
)
from runstore.keys import PARTS
from runstore.places._base import Denied, Entry
from runstore.places._errors import kind_of, translated
from runstore.places._local_write import version_of

__all__ = ["LocalTree", "entry_of"]

_SOME = 8  # folders


class LocalTree:
    """The folder of a local store: what is listed in it.

    Args:
        path: The folder, absolute.
    """

    def __init__(self, path: str) -> None:
        self._root = path.rstrip("/") or "/"
        self.url = f"file://{self._root}"

    def list(self, prefix: str) -> Iterator[Entry]:
        """See `runstore.places.Backend.list`."""
        folder, slash, begin = prefix.rpartition("/")
        with self._translated(prefix, "list"):
            yield from self._walk(folder + slash, begin=begin)

    def list_with_parts(self, prefix: str) -> Iterator[Entry]:
        """See `runstore.places._base.list_with_parts`."""
        with self._translated(prefix, "list"):
            yield from self._walk(prefix, parts=True)

    def list_allowed(self, prefix: str, denied: Denied, *, parts: bool = False) -> Iterator[Entry]:
        """See `runstore.places._base.list_allowed`."""
        folder, slash, begin = prefix.rpartition("/")
        with self._translated(prefix, "list"):
            yield from self._walk(folder + slash, parts, begin, denied)

    def folders(self, prefix: str) -> builtins.list[str]:
        """See `runstore.places.Backend.folders`."""
        return self.folders_but(prefix, ())

    def folders_but(self, prefix: str, known: Container[str]) -> builtins.list[str]:
        """See `runstore.places._names.folders_but`."""
        with self._translated(prefix, "list"):
            return [
                name
                for name, is_folder in self._scan(prefix)
                if is_folder and name not in known and self._holds_anything(f"{prefix}{name}")
            ]

    def names_in(self, folder: str) -> Iterator[str]:
        """See `runstore.places._names.names_in`; a link or special file is not told apart."""
        with self._translated(folder, "list"):
            yield from (
                f"{folder}{name}" for name, is_folder in self._scan(folder) if not is_folder
            )

    def changed_at(self, entry: Entry) -> datetime:
        """See `runstore.places._changed.changed_at`; the writer sets the time of its file.

        That of its change is set by the kernel, or by the file server.
        """
        try:
            changed = os.stat(self._path(entry.key)).st_ctime
        except OSError:
            return entry.modified
        return datetime.fromtimestamp(changed, UTC)

    def _holds_anything(self, prefix: str) -> bool:
        """Return whether there is a file at any depth; the first one that is found is enough."""
        below = builtins.list[str]()
        try:
            with os.scandir(self._path(prefix)) as found:
                for entry in found:
                    hidden = entry.name.startswith(".") and entry.name != PARTS
                    if hidden or not entry.name.isascii():
                        continue  # no key begins so, or has such a character
                    if self._is_folder(prefix, entry):
                        below.append(f"{prefix}{entry.name}/")
                        if len(below) == _SOME:  # of thousands the first ones tell
                            if any(map(self._holds_anything, below)):
                                return True
                            below.clear()
                    elif _is_file(entry):
                        return True
        except (FileNotFoundError, NotADirectoryError):
            return False  # removed while we look
        except PermissionError:
            return True  # for all we know; whoever looks into it is told
        return any(map(self._holds_anything, below))

    def prune(self, prefix: str) -> None:
        """See `runstore.places._base.prune`."""
        top = self._path(prefix.rstrip("/"))
        for folder, _, _ in os.walk(top, topdown=False):
            with suppress(OSError):
                os.rmdir(folder)
        while (top := os.path.dirname(top)) != self._root and top.startswith(self._root):
            try:
                os.rmdir(top)
            except OSError:
                return  # it is in use

    def glimpse(self, prefix: str, most: int) -> builtins.list[str]:
        """See `runstore.places._base.glimpse`."""
        keys, below = builtins.list[str](), [prefix]
        for _ in range(most):
            if not below or len(keys) >= most:
                break
            folder = below.pop()
            try:
                with os.scandir(self._path(folder)) as found:
                    for entry in itertools.islice(found, most):
                        if entry.name.startswith(".") or not entry.name.isascii():
                            continue
                        if self._is_folder(folder, entry):
                            below.append(f"{folder}{entry.name}/")
                        else:
                            keys.append(f"{folder}{entry.name}")
            except OSError:
                continue
        return keys[:most]

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    def _ref(self, key: str) -> str:
        return f"{self.url}/{key}"

    def _translated(
        self, key: str, doing: str, *, missing: type[RunStoreError] = ObjectNotFoundError
    ) -> translated:
        return _Translated(self._root, self._ref(key), doing, missing)

    def _scan(
        self, prefix: str, parts: bool = False, begin: str = ""
    ) -> builtins.list[tuple[str, bool]]:
        """Return the names directly under *prefix*, folders with a slash, in the order of keys.

        Of names that do not begin with *begin* nothing else is looked at.
        """
        try:
            with os.scandir(self._path(prefix)) as found:
                names = [
                    (f"{e.name}/", True) if self._is_folder(prefix, e) else (e.name, False)
                    for e in found
                    if e.name.startswith(begin)
                    and (not e.name.startswith(".") or (parts and e.name == PARTS))
                    and _is_text(e)
                ]
        except (FileNotFoundError, NotADirectoryError) as exc:
            if (fault := _fault_of_root(self._root)) is not None:
                raise StorageError(f"cannot list {self._ref(prefix)}: {fault}", self.url) from exc
            self._warn_of_no_folder(prefix)
            return []  # nothing put there yet, or removed while we walk
        return sorted(names)

    def _warn_of_no_folder(self, prefix: str) -> None:
        """Warn of what stands where a folder on the way to *prefix* should be, if anything does."""
        path = self._root
        for part in prefix.rstrip("/").split("/"):
            path = f"{path}/{part}"
            try:
                mode = os.lstat(path).st_mode
            except FileNotFoundError:
                return
            if stat.S_ISLNK(mode):
                with suppress(FileNotFoundError):  # it may lead to nothing
                    mode = os.stat(path).st_mode
            if not stat.S_ISDIR(mode):
                _warn(f"{path} is {kind_of(mode)}, not a folder: nothing is listed there")
                return

    def _is_folder(self, prefix: str, entry: "os.DirEntry[str]") -> bool:
        """Return whether *entry* is a folder to look into; links to one above it are not."""
        try:
            if not entry.is_dir():
                return False
            if not entry.is_symlink():
                return True
            inside, above = entry.stat(), prefix
            while not os.path.samestat(inside, os.stat(self._path(above))):
                if not above:
                    return True
                above = above[: above.rstrip("/").rfind("/") + 1]
        except OSError:
            return False  # _walk() looks closer
        return False

    def _walk(
        self, prefix: str, parts: bool = False, begin: str = "", denied: Denied | None = None
    ) -> Iterator[Entry]:
        """Yield what is below *prefix*; a folder that may not be looked into is *denied*."""
        try:
            for name, is_folder in self._scan(prefix, parts, begin):
                if is_folder:
                    yield from self._walk(prefix + name, parts, "", denied)
                elif (entry := self._entry(prefix, name)) is not None:
                    yield entry
        except PermissionError as exc:
            if denied is None:
                raise
            try:
                with self._translated(prefix, "list"):
                    raise exc
            except AccessDeniedError as error:
                denied(prefix, error)

    def _entry(self, prefix: str, name: str) -> Entry | None:
        """Return what a name stands for, None with a warning if that is no file."""
        path = self._path(prefix + name)
        try:
            found = os.stat(path)
        except FileNotFoundError:
            return None  # deleted while we walk
        except OSError as exc:
            if not os.path.islink(path):
                raise
            _warn_left_out(path, f"a symbolic link that cannot be followed ({exc.strerror})")
            return None
        if stat.S_ISREG(found.st_mode):
            return entry_of(prefix + name, found)
        if not stat.S_ISDIR(found.st_mode):
            _warn_left_out(path, kind_of(found.st_mode))
        elif os.path.islink(path):
            _warn_left_out(path, "a symbolic link to a folder that it lies in")
        return None


class _Translated(translated):
    """Says also when the trouble is the root of the store."""

    __slots__ = ("_root",)

    def __init__(self, root: str, ref: str, doing: str, missing: type[RunStoreError]) -> None:
        super().__init__(ref, doing, missing=missing)
        self._root = root

    def _ours(self, exc: OSError) -> RunStoreError:
        if isinstance(exc, (FileNotFoundError, NotADirectoryError, FileExistsError)):
            fault = _fault_of_root(self._root)
            if fault is not None:
                return StorageError(f"cannot {self._doing} {self._ref}: {fault}", self._ref)
        return super()._ours(exc)


def _fault_of_root(root: str) -> str | None:
    """Return what is wrong with the root of a store, if it is there and no folder."""
    path = root
    while path != "/":
        try:
            mode = os.lstat(path).st_mode  # one look: another process may be making the folder
        except (FileNotFoundError, NotADirectoryError):
            path = os.path.dirname(path)
            continue
        what = kind_of(mode)
        if stat.S_ISLNK(mode):
            what = "a symbolic link to nothing"
            mode = stat.S_IFDIR if os.path.isdir(path) else mode
        if stat.S_ISDIR(mode):
            return None
        return f"{path} is {what}, not a folder. Check the address of the store"
    return None


def _is_file(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_file()
    except OSError:  # a symbolic link that cannot be followed
        return False


def _is_text(entry: "os.DirEntry[str]") -> bool:
    """Return whether a file's name is text; warn if not, as no key can have such a name."""
    if entry.name.isascii():
        return True
    try:
        entry.name.encode()
    except UnicodeEncodeError:
        path = os.fsencode(entry.path).decode(errors="backslashreplace")
        _warn(f"{path} has a name that is not UTF-8: it is left out")
        return False
    return True


def _warn_left_out(path: str, what: str) -> None:
    _warn(f"{path} is {what}, not an object: it is left out")


def _warn(message: str) -> None:
    message = printable(f"{message}. Move it out of the store")
    warnings.warn(UnreadableWarning(message), stacklevel=3)


def entry_of(key: str, found: os.stat_result) -> Entry:
    modified = datetime.fromtimestamp(found.st_mtime, UTC)
    return Entry(key, found.st_size, modified, version_of(found))
