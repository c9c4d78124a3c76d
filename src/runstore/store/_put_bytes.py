"""Storing a file that another program has written, byte for byte.

It is looked at first: a file that `get` could not read under its name is refused, and the old
object is as it was.
"""

from collections.abc import Iterator

from runstore import containers
from runstore.buffers import Buffer, flat, map_private
from runstore.containers import footer_start
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
from runstore.keys import ARROW, Place, extension_of, key_of
from runstore.objects import (
    FileReading,
    ObjectInfo,
    Progress,
    check_signature,
    check_whole_name,
    container_in,
    describe_file,
    guard_of,
    is_plain,
    open_object,
    signing_keys,
)
from runstore.plugins import has_format
from runstore.store._decoding import rebuilt_file
from runstore.store._objects import Objects

__all__ = ["put_bytes"]


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
        read = FileReading(data, str(place), progress)
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
    containers.check_file(extension, data, ref)
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
