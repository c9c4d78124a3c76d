"""The verbs for raw files: objects as files, byte for byte."""

import io
import os
from abc import ABC, abstractmethod
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack, overload

from runstore.arguments import check_callable, check_choice, check_flag
from runstore.errors import (
    InvalidRequestError,
    ObjectExistsError,
    ObjectNotFoundError,
    StorageError,
)
from runstore.keys import Place, Scope, key_of
from runstore.objects import (
    FileWriter,
    ObjectInfo,
    Progress,
    TextFileWriter,
    check_encoding,
    check_one_file,
    check_path,
    check_target,
    copied_file,
    missing,
    note_read,
    opened_file,
    opened_stored,
    opened_to_read,
    pieces,
    pinned,
    temporary_folder,
    written_file,
)
from runstore.places import Backend
from runstore.steps import both, reporting
from runstore.store._put_bytes import put_bytes
from runstore.store._target import Target, place_of

__all__ = ["FileMode", "FileVerbs", "Opening", "local_path"]

FileMode = Literal["rb", "wb", "xb", "r", "w", "x"]

_MODES = ("rb", "wb", "xb", "r", "w", "x")


class Opening(TypedDict, total=False):
    """What `FileVerbs.open` takes besides; see there."""

    encoding: str
    newline: str | None
    scope: Scope
    run: str | None
    namespace: str | None


class FileVerbs(ABC):
    """The verbs for raw files, on whatever `_target` gives."""

    @abstractmethod
    def _target(self) -> Target:
        """Return what the verbs work on, at each call."""

    def put_file(
        self,
        name: str,
        path: str | os.PathLike[str],
        *,
        scope: Scope = "run",
        if_absent: bool = False,
        progress: Progress | None = None,
    ) -> ObjectInfo:
        """Store a local file as it is, byte for byte. All or nothing, as `put`.

        It is read piece by piece, so a large one takes no memory. A name with a known
        extension takes such a file, a name without one an Arrow file, any other name any
        file: what `get` could not read is refused, as far as that is seen without loading it.

        Args:
            name: As for `put`.
            path: A file; a link to one is followed.
            scope, if_absent: As for `put`.
            progress: Called now and then with the bytes that were read, and the size.

        Returns:
            What was stored.

        Raises:
            InvalidRequestError: There is no such file, or it is a folder or a device.
            UnsupportedValueError: `get` could not read it under *name*, or it was changed
                meanwhile.
            UnsafePickleError: It is a pickle, and the store's policy forbids to load it.
            ObjectExistsError: *if_absent* and the name is taken.
            StorageError: The place failed; the old object is intact.
        """
        check_flag("put_file", "if_absent", if_absent)
        check_callable("put_file", "progress", progress, optional=True)
        text = check_path("put_file", path)
        target = self._target()
        place = place_of("put_file", target, name, scope, None, None)
        key_of(place)
        with opened_file(text) as fd, reporting(f"storing {place}", None, "bytes") as report:
            objects = target.writable()
            return put_bytes(
                objects,
                place,
                fd,
                objects.policy,
                if_absent=if_absent,
                progress=both(progress, report),
            )

    def get_file(
        self,
        name: str,
        path: str | os.PathLike[str] | None = None,
        *,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
        progress: Progress | None = None,
    ) -> Path:
        """Return a local file with the stored bytes of an object.

        Args:
            name: As it was put.
            path: Where to write it; the file appears as a whole, and replaces what is there.
                None gives a file to read without a copy where the store is on a local disk:
                the stored one itself, which you must not change. Elsewhere it is a temporary
                file that is removed when the process ends.
            scope, run, namespace: As for `get`.
            progress: Called now and then with the bytes that were written, and the size.

        Returns:
            The path of the file.

        Raises:
            ObjectNotFoundError: Nothing is stored there.
            InvalidRequestError: *path* is a folder; or the object is made of parts, or is a
                folder, and so is no single file.
            PreconditionFailedError: It was replaced while it was read; *path* is as it was.
            StorageError: The place, or the local disk, failed; *path* is as it was.
        """
        check_callable("get_file", "progress", progress, optional=True)
        text = None if path is None else check_path("get_file", path)
        target = self._target()
        place = place_of("get_file", target, name, scope, run, namespace)
        backend = target.objects.backend
        stored = local_path(backend, key_of(place))
        try:
            if stored is not None and text is None:
                note_read(backend, backend.head(key_of(place)))
                with opened_stored(stored) as file:
                    _check_opened("get_file", place, file)
                return stored
            if stored is not None and text is not None:
                note_read(backend, backend.head(key_of(place)))
                check = partial(_check_opened, "get_file", place)
                with reporting(f"reading {place}", None, "bytes") as report:
                    told = both(progress, report)
                    copied_file(check_target(text), stored, told, check=check)
                return Path(text)
            to = None if text is None else check_target(text)
            version = pinned(backend, place)
            check_one_file("get_file", place, version.read, version.entry.size)
            note_read(backend, version.entry)
            to = to or temporary_folder() / key_of(place).rpartition("/")[2]
            size = version.entry.size
            with reporting(f"reading {place}", size, "bytes") as report:
                written_file(to, pieces(version), size, both(progress, report))
            return to if text is None else Path(text)
        except ObjectNotFoundError as exc:
            raise missing(target.objects, place) from exc

    @overload
    def open(
        self, name: str, mode: Literal["rb"] = "rb", **how: Unpack[Opening]
    ) -> io.BufferedReader: ...

    @overload
    def open(self, name: str, mode: Literal["wb", "xb"], **how: Unpack[Opening]) -> FileWriter: ...

    @overload
    def open(self, name: str, mode: Literal["r"], **how: Unpack[Opening]) -> io.TextIOWrapper: ...

    @overload
    def open(
        self, name: str, mode: Literal["w", "x"], **how: Unpack[Opening]
    ) -> TextFileWriter: ...

    def open(
        self,
        name: str,
        mode: FileMode = "rb",
        *,
        encoding: str = "utf-8",
        newline: str | None = None,
        scope: Scope = "run",
        run: str | None = None,
        namespace: str | None = None,
    ) -> Any:
        """Open the stored bytes of an object as a file.

        A file that is read is one version of the object, and can be sought in: far away only the
        ranges that are read are fetched; on a local disk it is the stored file.

        A file that is written is published when it is closed, all or nothing: if an exception
        leaves its ``with`` block, or it is never closed, nothing is stored. It is collected in
        the system's temporary folder if it is larger than 8 MiB.

        Args:
            name: As for `put`; `put_file` says what may be written under it.
            mode: ``rb``, ``r``: read bytes or text; ``wb``, ``w``: write; ``xb``, ``x``: write,
                and fail if it is there.
            encoding: Of text.
            newline: Of text, as for the built-in ``open``.
            scope, run, namespace: As for `get`; only the current run is written to.

        Returns:
            The file. One that was written says what was stored: ``file.info``.

        Raises:
            ObjectNotFoundError: It is to be read, and is not there.
            ObjectExistsError: *mode* is ``x`` or ``xb`` and it is there; also when it is closed.
            InvalidRequestError: Another mode, or *run* or *namespace* of an object to be written;
                or the object is to be read and is made of parts, or is a folder.
            UnsupportedValueError: When it is closed: `get` could not read it under *name*.
            StorageError: The place failed; when it is closed, the old object is intact.
        """
        check_choice("open", "mode", mode, _MODES)
        check_encoding("open", encoding)
        check_choice("open", "newline", newline, (None, "", "\n", "\r", "\r\n"))
        target = self._target()
        if mode[0] != "r" and (run is not None or namespace is not None):
            raise InvalidRequestError(
                f"open: {name!r}: only the current run is written to; omit run= and namespace=, "
                "or make a view with .at()",
                name if isinstance(name, str) else None,
            )
        place = place_of("open", target, name, scope, run, namespace)
        key_of(place)
        if mode[0] == "r":
            try:
                read = _opened(target.objects.backend, place)
            except ObjectNotFoundError as exc:
                raise missing(target.objects, place) from exc
            if mode == "rb":
                return read
            return io.TextIOWrapper(read, encoding=encoding, newline=newline)
        if mode[0] == "x" and target.objects.exists(place):
            raise ObjectExistsError(f"open {place} with {mode!r}: it is there already", str(place))
        target.writable()
        policy = target.objects.policy
        exclusive = mode[0] == "x"

        def publish(data: Any) -> ObjectInfo:
            return put_bytes(target.writable(), place, data, policy, if_absent=exclusive)

        file = FileWriter(str(place), publish, "xb" if exclusive else "wb")
        if mode.endswith("b"):
            return file
        return TextFileWriter(file, encoding=encoding, newline=newline)


def _opened(backend: Backend, place: Place) -> io.BufferedReader:
    stored = local_path(backend, key_of(place))
    if stored is None:
        version = pinned(backend, place)
        check_one_file("open", place, version.read, version.entry.size)
        note_read(backend, version.entry)
        return opened_to_read(version, str(place))
    note_read(backend, backend.head(key_of(place)))  # raises if it is no regular file
    opened: io.BufferedReader = opened_stored(stored)
    try:
        _check_opened("open", place, opened)
    except BaseException:
        opened.close()
        raise
    return opened


def _check_opened(call: str, place: Place, file: Any) -> None:
    """Raise InvalidRequestError if an open file is the seal of an object of parts."""
    fd = file.fileno()
    read = partial(_range_of, fd, str(place))
    check_one_file(call, place, read, os.fstat(fd).st_size)


def _range_of(fd: int, ref: str, start: int, end: int) -> bytes:
    try:
        return os.pread(fd, end - start, start)
    except OSError as exc:
        raise StorageError(f"cannot read {ref}: {exc.strerror or exc}", ref) from exc


def local_path(backend: Backend, key: str) -> Path | None:
    """Return the file that *key* is in a store on a local disk; None for any other store."""
    scheme, _, root = backend.url.partition("://")
    return Path(root) / key if scheme == "file" else None
