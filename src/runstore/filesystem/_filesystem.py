"""The filesystem that fsspec opens for ``runstore://``."""

import builtins
import errno
import os
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Any

from fsspec.callbacks import DEFAULT_CALLBACK, Callback
from fsspec.utils import isfilelike

from runstore.arguments import check_choice, check_instance, check_text, texts, unfit
from runstore.buffers import Buffer, flat
from runstore.errors import InvalidRequestError, PreconditionFailedError
from runstore.filesystem._errors import as_file_errors, not_found
from runstore.filesystem._folders import Folders
from runstore.filesystem._listing import file_info, has_folder, stat
from runstore.filesystem._local import check_local, write_pieces, write_whole
from runstore.filesystem._paths import located, place_at
from runstore.filesystem._reading import ObjectReader
from runstore.filesystem._writing import ObjectWriter
from runstore.keys import Place, key_of
from runstore.store import Pinned, StoreView, check_one_file, pinned, put_bytes

__all__ = ["RunstoreFileSystem"]

_MODES = ("overwrite", "create")
_TORN_AT_MOST = 5  # replacements in the middle of one call that it begins again after


class RunstoreFileSystem(Folders):
    """The objects of a store as files: ``runstore://<namespace>/<run>/<name>``.

    What the runs of a namespace share is at ``runstore://<namespace>/_shared/<name>``. The
    bytes of a file are those that are stored, so an object without an extension is an Arrow
    file. A file is one version while it is read. It is written all or nothing: it appears when
    it is closed, and only if `get` can read it under its name. Folders are there as long as
    something is in them.

    Args:
        store: Where the objects are: a URL, a path, or the address of a store. By default the
            store of the current run; outside a run ``RUNSTORE_URL``, else ``.runstore``. It is
            looked up here, once.
        url: The same, for callers that cannot pass *store*.
        engine, pickle, durable, timeout, allow_torn: As for `runstore.ObjectStore`.
        default: What fsspec passes if a URL is opened: the store to take if none is named.
        options: The store's storage options. What is secret stays in this process.

    Raises:
        SettingsError: The store or an option is not understood.
    """

    # Reading --------------------------------------------------------------------------------

    def open(self, path: str, mode: str = "rb", *args: Any, **kwargs: Any) -> Any:
        """Open an object as a file; see `ObjectReader` and `ObjectWriter`.

        Args:
            path: Which.
            mode: ``r``, ``w`` or ``x``, as bytes or text. Objects are whole: there is no ``a``
                or ``+``.
            args, kwargs: As fsspec has them.

        Raises:
            FileNotFoundError: It is to be read and is not there.
            FileExistsError: *mode* is ``x`` and it is there.
            InvalidRequestError: Another mode.
            InvalidNameError: *path* cannot name an object.
            StorageError: The place failed.
        """
        place_at(self._strip_protocol(path))
        check_text("open", "mode", mode)
        if mode.replace("t", "").replace("b", "") not in ("r", "w", "x"):
            raise InvalidRequestError(
                f"open {path}: mode={mode!r} changes a part, and objects are written whole: read "
                "it, change it, and write it with 'wb'",
                path,
            )
        return super().open(path, mode, *args, **kwargs)

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        place = place_at(path)
        if mode == "rb":
            version = self._pinned(path, place)
            info = file_info(place, version.entry)
            cache = {"cache_type": kwargs["cache_type"]} if "cache_type" in kwargs else {}
            return ObjectReader(self, path, info, version, block_size, cache_options, **cache)
        if mode == "xb" and stat(self._store, place) is not None:
            raise FileExistsError(f"{path} exists already")
        publish = partial(self._publish, path, place, self._view(place), mode == "xb")
        return ObjectWriter(self, path, publish, mode, autocommit)

    def _pinned(self, path: str, place: Place) -> Pinned:
        with as_file_errors(path):
            version = pinned(self._store.backend, place)
            check_one_file("runstore://", place, version.read, version.entry.size)
            return version

    def _whole(self, path: str, place: Place) -> memoryview:
        with as_file_errors(path):
            view = flat(self._store.backend.get(key_of(place))[0])
            check_one_file("runstore://", place, lambda *span: bytes(view[slice(*span)]), len(view))
            return view

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any
    ) -> bytes:
        """Return the bytes of an object, or a range of them: all of one version.

        Args:
            path: Which.
            start: The first byte; from the end if it is negative.
            end: The byte behind the last; likewise.
            kwargs: Ignored.

        Raises:
            FileNotFoundError: It is not there.
            PreconditionFailedError: It is replaced faster than it can be read.
            StorageError: The place failed.
        """
        path = self._strip_protocol(path)
        for name, value in (("start", start), ("end", end)):
            if value is not None:
                check_instance("cat_file", name, value, int, "an int or None")
        place = place_at(path)
        if start is None and end is None:
            return bytes(self._whole(path, place))
        for _ in range(_TORN_AT_MOST):
            version = self._pinned(path, place)
            span = slice(start, end).indices(version.entry.size)
            with as_file_errors(path), suppress(PreconditionFailedError):
                return version.read(*span[:2])
        with as_file_errors(path):
            return version.read(*span[:2])

    def get_file(
        self,
        rpath: str,
        lpath: Any,
        callback: Callback = DEFAULT_CALLBACK,
        outfile: Any = None,
        **kwargs: Any,
    ) -> None:
        """Copy an object to a local file, which appears as a whole; a folder becomes one.

        Raises:
            FileNotFoundError: It is not there.
            StorageError: The place failed.
            OSError: The local file cannot be written.
        """
        rpath = self._strip_protocol(rpath)
        if outfile is None and not isfilelike(lpath):
            check_local("get_file", lpath)
        file = outfile if outfile is not None else lpath if isfilelike(lpath) else None
        place = located(rpath).place
        if file is None and (place is None or self.isdir(rpath)):
            os.makedirs(lpath, exist_ok=True)  # noqa: PTH103 - fsspec's paths are text
            return
        view = self._whole(rpath, place_at(rpath))
        callback.set_size(view.nbytes)
        if file is not None:
            write_pieces(file, view, callback)
        else:
            write_whole(os.fspath(lpath), view, callback)

    # Writing --------------------------------------------------------------------------------

    def _view(self, place: Place) -> StoreView:
        return self._store.at(namespace=place.namespace, run=place.run)

    def _publish(
        self, path: str, place: Place, view: StoreView, if_absent: bool, data: Buffer | int
    ) -> None:
        with as_file_errors(path):
            objects = view._target().writable()
            put_bytes(objects, place, data, self.address.pickle, if_absent=if_absent)

    def pipe_file(self, path: str, value: Any, mode: str = "overwrite", **kwargs: Any) -> None:
        """Store *value*, the bytes of a file, all or nothing.

        Args:
            path: Where.
            value: Bytes.
            mode: ``overwrite``, or ``create`` to fail if it is there.
            kwargs: Ignored.

        Raises:
            FileExistsError: *mode* is ``create`` and it is there.
            UnsupportedValueError: `get` could not read it under this name.
            StorageError: The place failed; the old object is intact.
        """
        path = self._strip_protocol(path)
        place = place_at(path)
        check_choice("pipe_file", "mode", mode, _MODES)
        try:
            data = value if isinstance(value, bytes) else bytes(flat(value))  # nobody can change it
        except (TypeError, BufferError) as exc:  # bytes(3) would be three zeros
            raise unfit("pipe_file", "value", "bytes", value, by_type=True) from exc
        self._publish(path, place, self._view(place), mode == "create", data)

    def put_file(
        self,
        lpath: str,
        rpath: str,
        callback: Callback = DEFAULT_CALLBACK,
        mode: str = "overwrite",
        **kwargs: Any,
    ) -> None:
        """Store a local file as it is, all or nothing; arguments and errors as of `pipe_file`.

        A local folder needs none here.
        """
        check_choice("put_file", "mode", mode, _MODES)
        check_local("put_file", lpath)
        if os.path.isdir(lpath):  # noqa: PTH112 - fsspec's paths are text
            return
        with builtins.open(lpath, "rb") as file:  # noqa: PTH123
            size = os.fstat(file.fileno()).st_size
            callback.set_size(size)
            rpath = self._strip_protocol(rpath)
            place = place_at(rpath)
            self._publish(rpath, place, self._view(place), mode == "create", file.fileno())
        callback.relative_update(size)

    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        """Copy an object within the store, all or nothing; of a folder nothing has to be made.

        Raises:
            FileNotFoundError: It is not there.
            InvalidRequestError: The extensions stand for different formats, or it is the same.
            StorageError: The place failed; an old target is intact.
        """
        path1, path2 = self._strip_protocol(path1), self._strip_protocol(path2)
        where = located(path1)
        if where.place is None:
            if not has_folder(self._store, where):
                raise not_found(path1)
            return
        target = place_at(path2)
        try:
            with as_file_errors(path1):
                self._view(target)._target().writable().copy(where.place, target)
        except FileNotFoundError:
            if not has_folder(self._store, where):
                raise

    def rm_file(self, path: str) -> None:
        """Remove an object.

        Raises:
            FileNotFoundError: It is not there.
            StorageError: The place failed.
        """
        path = self._strip_protocol(path)
        place = place_at(path)
        with as_file_errors(path):
            self._view(place)._target().writable().delete(place)

    _rm = rm_file

    def rm(
        self,
        path: str | Iterable[str],
        recursive: bool = False,
        maxdepth: int | None = None,
    ) -> None:
        """Remove objects; with *recursive* all that lie below a folder, too.

        Raises:
            FileNotFoundError: Nothing is there.
            IsADirectoryError: It is a folder, without *recursive*.
            StorageError: The place failed; the objects that were not reached are still there.
        """
        if maxdepth is not None:
            check_instance("rm", "maxdepth", maxdepth, int, "an int or None")
            if maxdepth < 1:
                raise unfit("rm", "maxdepth", "at least 1, or None", maxdepth)
        if not isinstance(path, (str, os.PathLike)):
            path = texts("rm", "path", path)
        for one in self.expand_path(path, recursive=recursive, maxdepth=maxdepth):
            if self.isfile(one):
                self.rm_file(one)
            elif not recursive:
                if not self.isdir(one):
                    raise not_found(one)
                raise IsADirectoryError(f"{one} is a folder: remove it with recursive=True")

    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        """Do nothing: a folder is there as soon as something is in it."""

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Do nothing; see `mkdir`."""

    def rmdir(self, path: str) -> None:
        """Do nothing: a folder without objects is gone already.

        Raises:
            OSError: There are objects in it.
        """
        if has_folder(self._store, located(self._strip_protocol(path))):
            raise OSError(errno.ENOTEMPTY, "there are objects in it", path)
