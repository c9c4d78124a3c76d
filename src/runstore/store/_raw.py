"""The stored bytes of objects, as files: what other programs read and write.

What is read is what is stored, byte for byte. What is written is looked at first: a file that
`get` could not read under its name is refused, and the old object is as it was.
"""

import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

from runstore.buffers import Buffer, flat, map_private
from runstore.containers import check_file, footer_start
from runstore.context import PicklePolicy
from runstore.errors import (
    CorruptObjectError,
    InvalidNameError,
    MissingExtraError,
    RunStoreError,
    SettingsError,
    StorageError,
    UnsafePickleError,
    UnsupportedValueError,
)
from runstore.keys import ARROW, AnyPlace, Place, extension_of, key_of
from runstore.places import Backend, Entry
from runstore.plugins import has_format
from runstore.store._decoding import guard_of, open_object, rebuilt_file
from runstore.store._encoding import check_whole_name
from runstore.store._info import ObjectInfo, describe_file
from runstore.store._kinds import container_in, is_plain
from runstore.store._objects import Objects
from runstore.store._signing import check_signature, signing_keys

__all__ = ["Pinned", "Progress", "file_pieces", "pinned", "put_bytes"]

Progress = Callable[[int, int], object]
"""What is called now and then with how many bytes are done, and how many there are."""

_AT_ONCE = 1 << 20  # bytes of the first request; an object that is no larger is one request


class Pinned(NamedTuple):
    """One version of an object, to be read in pieces.

    Attributes:
        backend: Where it is.
        entry: What the place says of this version.
        start: From which byte on `end` has it.
        end: The last bytes of it, or all: what need not be asked for.
    """

    backend: Backend
    entry: Entry
    start: int
    end: memoryview

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from *start* to before *end*, all of this version.

        Raises:
            PreconditionFailedError: It was replaced meanwhile, and the rest is not here.
            ObjectNotFoundError: It was deleted meanwhile, likewise.
            StorageError: The place failed.
        """
        end = min(end, self.entry.size)
        if start >= end:
            return b""
        if start >= self.start:
            return bytes(self.end[start - self.start : end - self.start])
        assert self.entry.version is not None
        read = self.backend.read(self.entry.key, start, end - start, self.entry.version)
        return read if isinstance(read, bytes) else bytes(flat(read))


def pinned(backend: Backend, place: AnyPlace) -> Pinned:
    """Open the stored bytes of an object; what is read from now on is of one version.

    In memory and on a disk all of it is mapped, so a replacement or deletion is not noticed.
    Far away the last mebibyte is read, where readers of Arrow and Parquet begin; all of it
    where no version tells two writes apart.

    Raises:
        ObjectNotFoundError: Nothing is stored there.
        StorageError: The place failed.
    """
    key, facts = key_of(place), backend.guarantees
    if facts.ranges and not facts.mapped and facts.versions in ("write", "content"):
        tail, entry = backend.tail(key, _AT_ONCE)
        view = flat(tail)
        return Pinned(backend, entry, entry.size - view.nbytes, view)
    data, entry = backend.get(key)
    return Pinned(backend, entry, 0, flat(data))


def put_bytes(
    objects: Objects,
    place: Place,
    data: Buffer | int,
    policy: PicklePolicy,
    *,
    if_absent: bool = False,
    progress: Progress | None = None,
) -> ObjectInfo:
    """Store a file as it is, under a name that it can be read under. All or nothing.

    Args:
        objects: Where; writable ones.
        place: Under which name.
        data: The file, as bytes or by its descriptor, of which nothing is kept in memory.
        policy: The store's pickle policy.
        if_absent: Fail instead of replacing.
        progress: Called with the bytes that were read so far, and those that there are.

    Returns:
        What was stored.

    Raises:
        UnsupportedValueError: `get` could not read it there; the message says why.
        UnsafePickleError: The policy forbids it.
        MissingExtraError: A package is needed to look at it.
        ObjectExistsError: *if_absent* and the name is taken.
        StorageError: The place failed; the old object is intact.
    """
    key = key_of(place)
    if isinstance(data, int):
        read = _Reading(data, str(place), progress)
        view = flat(map_private(data, read.size))
        buffers: Iterator[Buffer] = read.pieces()
    else:
        view = flat(data)
        buffers = _told(view, progress)
    footer = _check(place, view, policy)
    del view  # what is mapped counts as memory
    entry = objects.backend.put(key, buffers, if_absent=if_absent)
    return (
        describe_file(place, entry) if footer is None else objects.described(place, entry, footer)
    )


_PIECE = 4 << 20  # bytes that are read at a time


def file_pieces(fd: int, ref: str) -> Iterator[bytes]:
    """Yield the bytes of an open file; raise UnsupportedValueError at its end if it was changed."""
    return _Reading(fd, ref, None).pieces()


class _Reading:
    """A file that is read from its beginning to its end, and must not change meanwhile."""

    def __init__(self, fd: int, ref: str, progress: Progress | None) -> None:
        self._fd, self._ref, self._progress = fd, ref, progress
        self._was = os.fstat(fd)
        self.size = self._was.st_size

    def pieces(self) -> Iterator[bytes]:
        """Yield all of it, piece by piece."""
        done = 0
        while done < self.size and (piece := os.pread(self._fd, _PIECE, done)):
            yield piece
            done += len(piece)
            if self._progress is not None:
                self._progress(done, self.size)
        now = os.fstat(self._fd)
        if (done, now.st_size, now.st_mtime_ns) != (self.size, self.size, self._was.st_mtime_ns):
            raise UnsupportedValueError(
                f"cannot store {self._ref}: the file was changed while it was read. Let nobody "
                "write to it meanwhile, or store a copy",
                self._ref,
            )


def _told(view: memoryview, progress: Progress | None) -> Iterator[Buffer]:
    yield view
    if progress is not None:
        progress(view.nbytes, view.nbytes)


def _check(place: Place, data: memoryview, policy: PicklePolicy) -> bytes | None:
    """Raise unless `get` reads the file, as far as that can be known without unpickling it.

    Returns:
        The footer of a file that can have our header.
    """
    extension = extension_of(place.name)
    container = container_in(extension, data, str(place))
    try:
        if container is not None:
            _check_container(place, data, container, policy)
            return bytes(data[footer_start(data[-10:], data.nbytes, str(place)) :])
        _check_plain(place, data, extension, policy)
        return None
    except (UnsafePickleError, MissingExtraError, SettingsError, StorageError, InvalidNameError):
        raise
    except RunStoreError as exc:
        raise UnsupportedValueError(
            f"cannot store {place}: get() could not read this file there: "
            f"{exc.message.rstrip('.')}. {_way_out(extension)}",
            str(place),
        ) from exc


_LOOKED_INTO = 64 << 20  # bytes that are decoded to look at them; more would take much memory


def _check_container(place: Place, data: Buffer, container: str, policy: PicklePolicy) -> None:
    ref, signed = str(place), policy == "signed"
    if not flat(data).nbytes:
        raise CorruptObjectError("it is empty")
    if signed:
        check_signature(data, ref, signing_keys(ref, "store"), "store")
    opened = open_object(data, ref, container, guard_of(policy, signed))
    header = opened.header
    if header is None:  # of another program: a table
        if container != "parquet" or flat(data).nbytes <= _LOOKED_INTO:
            opened.check_readable()
        return
    if header.place != place:
        raise CorruptObjectError(f"it is the object {header.place}, and bound to that name")
    if header.pickle and policy == "deny":
        raise _pickled(ref)
    opened.check_all()


def _check_plain(place: Place, data: Buffer, extension: str, policy: PicklePolicy) -> None:
    ref = str(place)
    check_whole_name(place)
    if not (is_plain(extension) or has_format(extension)):
        return  # a file is a file: `get` gives text or bytes, or says what it needs
    check_file(extension, data, ref)
    if extension in ("csv", "json") and flat(data).nbytes > _LOOKED_INTO:
        return
    if extension != "pkl":
        rebuilt_file(data, place, extension, policy, None, None)
        return
    if policy in ("deny", "signed"):
        raise _pickled(ref)
    if bytes(flat(data)[-1:]) != b".":  # the last instruction of every pickle; none is carried out
        raise CorruptObjectError("it is not a whole pickle")


def _pickled(ref: str) -> UnsafePickleError:
    return UnsafePickleError(
        f"cannot store {ref}: it is a pickle, and the store's policy forbids to load it. Write a "
        "table, array, text or JSON, or open the store with pickle='allow'",
        ref,
    )


def _way_out(extension: str) -> str:
    if extension == ARROW:
        return (
            "A name without an extension holds an Arrow file: write one, or a name that ends in "
            "what the file is (.parquet, .json, .html, .png), or put() the value. Copy an object "
            "of runstore with cp or copy()"
        )
    return f"Write a whole .{extension} file, or put() the value"
