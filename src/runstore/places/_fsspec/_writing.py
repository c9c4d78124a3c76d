"""Write one object: natively, by renaming a hidden file, or torn where the user allows it."""

import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from runstore.buffers import Buffer, flat
from runstore.errors import IndeterminateWriteError, RunStoreError, StorageError
from runstore.lifetime import ForkSafeLock
from runstore.places._errors import exists_already
from runstore.places._fsspec._calls import Calls
from runstore.places._fsspec._dialects import Dialect
from runstore.places._fsspec._failures import may_have_happened, status_of, translating

__all__ = ["TEMPORARY", "Writing"]

TEMPORARY = ".runstore-tmp"
"""The folder of hidden files, in the root of the store, so that a rename stays in one place."""

_SMALL = 8 << 20  # bytes; what is no larger is one request where the place has one for it
_PIECE = 16 << 20  # bytes that a filesystem sends at a time

_one_creates = ForkSafeLock()  # fsspec's memory looks, and then creates; all of it is in here


class Writing:
    """Writes objects.

    Args:
        calls: The filesystem.
        dialect: What is known of it.
        root: The path of the store.
    """

    def __init__(self, calls: Calls, dialect: Dialect, root: str) -> None:
        self._calls = calls
        self._dialect = dialect
        self._root = root

    def put(
        self, path: str, buffers: Iterable[Buffer], ref: str, *, if_absent: bool, by_rename: bool
    ) -> Mapping[str, Any] | None:
        """Write an object. What iterating *buffers* raises comes out as it is.

        Returns:
            The info of the very file that was written, where that is known.

        Raises:
            ObjectExistsError: *if_absent* and there is one.
            IndeterminateWriteError: Nobody can say whether it was written.
            StorageError: It was not.
        """
        coming, first, size = iter(buffers), list[memoryview](), 0
        for buffer in coming:
            first.append(flat(buffer))
            size += first[-1].nbytes
            if size > _SMALL and (by_rename or self._dialect.streams):
                break
        else:
            coming = iter(())
        rest = _views(first, coming)
        if by_rename:
            return self._renamed(path, rest, ref, if_absent)
        if size > _SMALL and self._dialect.streams:
            self._streamed(path, rest, ref, if_absent)
            return None
        self._piped(path, b"".join(first), ref, if_absent)
        return None

    def _piped(self, path: str, data: bytes, ref: str, if_absent: bool) -> None:
        mode: dict[str, Any] = {"mode": "create"} if if_absent else {}
        with translating(ref, "write", missing=StorageError), _Unsure(ref, if_absent):
            if if_absent and not self._dialect.shared:
                with _one_creates.held:
                    self._calls("pipe_file", path, data, **mode)
                return
            try:
                self._calls("pipe_file", path, data, size=len(data), **mode)
            except FileNotFoundError:
                if self._dialect.flat:
                    raise
                self._make_folder(path)
                self._calls("pipe_file", path, data, size=len(data), **mode)

    def _streamed(self, path: str, views: Iterator[memoryview], ref: str, if_absent: bool) -> None:
        """Write in pieces a file that is invisible until it is closed."""
        doing = translating(ref, "write", missing=StorageError)
        with doing:
            file = self._calls.fs.open(path, "xb" if if_absent else "wb", block_size=_PIECE)
        try:
            for view in views:
                with doing:
                    file.write(view)
            with doing, _Unsure(ref, if_absent):
                file.close()
        except BaseException:
            _discard(file)
            raise

    def _renamed(
        self, path: str, views: Iterator[memoryview], ref: str, if_absent: bool
    ) -> Mapping[str, Any]:
        """Write a hidden file, and put it in place when it is complete."""
        temporary = f"{self._root.rstrip('/')}/{TEMPORARY}/{secrets.token_hex(16)}"
        doing = translating(ref, "write", missing=StorageError)
        file: Any = None
        placed = False
        try:
            with doing:
                try:
                    file = self._calls.fs.open(temporary, "wb")
                except FileNotFoundError:
                    self._make_folder(temporary)
                    file = self._calls.fs.open(temporary, "wb")
            for view in views:
                with doing:
                    file.write(view)
            with doing:
                try:
                    file.close()
                except Exception as exc:  # some make the file only now
                    if not _has_no_folder(exc):
                        raise
                    self._make_folder(temporary)
                    file.close()
                self._calls.forget()
                info: Mapping[str, Any] = self._calls("info", temporary)
            with doing, _Unsure(ref, if_absent):
                place = self._dialect.link if if_absent else self._dialect.rename
                assert place is not None
                try:
                    place(self._calls, temporary, path)
                except FileNotFoundError:
                    self._make_folder(path)
                    place(self._calls, temporary, path)
            placed = True
        finally:
            if not placed:
                if file is not None:
                    _discard(file)
                with suppress(Exception):  # the sweeper gets it
                    self._calls.remove(temporary)
        return info

    def _make_folder(self, path: str) -> None:
        self._calls("makedirs", path.rpartition("/")[0], exist_ok=True)


def _has_no_folder(exc: Exception) -> bool:
    """Return whether a file could not be made for want of its folder, as WebDAV says by a 409."""
    return isinstance(exc, FileNotFoundError) or status_of(exc) == 409


class _Unsure:
    """Around the step that publishes: what may have happened is said so."""

    def __init__(self, ref: str, if_absent: bool) -> None:
        self._ref = ref
        self._if_absent = if_absent

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, exc: BaseException | None, traceback: object) -> None:
        if exc is None or isinstance(exc, RunStoreError) or not isinstance(exc, Exception):
            return
        if self._if_absent and isinstance(exc, FileExistsError):
            raise exists_already(self._ref) from exc
        if may_have_happened(exc):
            raise IndeterminateWriteError(
                f"{self._ref} may have been written or not: the connection failed before the "
                "place confirmed it. Look whether it is there, or write it again",
                self._ref,
            ) from exc


def _views(first: list[memoryview], coming: Iterator[Buffer]) -> Iterator[memoryview]:
    """Yield what came and what comes, without holding what was yielded."""
    while first:
        yield first.pop(0)
    for buffer in coming:
        yield flat(buffer)


def _discard(file: Any) -> None:
    """Forget what was written to *file*; fsspec's files would else complete it when they go."""
    with suppress(Exception):
        discard = getattr(file, "discard", None)
        if discard is not None:
            discard()
    with suppress(Exception):
        if hasattr(file, "autocommit"):
            file.closed = True
        else:
            file.close()
