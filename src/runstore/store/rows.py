"""Looking at a stored table: some rows of some columns, as they are stored, in bounded memory.

Nothing is decoded by a codec, so nothing is unpickled, and a gigabyte of one column costs no more
than the rows that are shown. The digests of the data need all of it and are not checked; the
footer's is.
"""

from collections.abc import Sequence
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import pyarrow as pa

from runstore.buffers import Buffer, flat
from runstore.containers import ArrowRows, Column, Header, LeftOut, footer_start
from runstore.errors import InvalidRequestError
from runstore.keys import ARROW, AnyPlace, Place, extension_at, key_of
from runstore.objects import (
    check_place,
    container_of,
    ends_as_container,
    guard_of,
    is_plain,
    part_place,
    parts_of,
    read_ranges,
    read_seal,
)
from runstore.places import Entry
from runstore.seals import SEALED

if TYPE_CHECKING:
    from runstore.store import ObjectStore
    from runstore.store._objects import Objects

__all__ = ["LeftOut", "LookedAt", "StoredColumn", "open_rows", "read_start", "sealed_in"]

_WHOLE = 16 << 20  # bytes of an object that is read whole, where no part of it can be read


class _File(Protocol):
    """Rows of one file; see `ArrowRows`."""

    schema: pa.Schema
    header: Header | None

    @property
    def rows(self) -> int: ...

    def window(self, start: int, count: int, columns: Sequence[int], most: int) -> list[Column]: ...


class StoredColumn(NamedTuple):
    """A column as it is stored.

    Attributes:
        name: Its name; of an index of pandas, the name that Arrow gives it.
        type: Its Arrow type, as text.
        pickled: Whether its cells are pickles, which are not loaded.
    """

    name: str
    type: str
    pickled: bool = False


class LookedAt:
    """A stored table or array, of which some rows are looked at.

    Attributes:
        columns: What is stored, in order.
        rows: How many rows each column has.
    """

    def __init__(self, first: _File, rows: int, files: "Sequence[tuple[int, Any]]") -> None:
        self._files = files  # how many rows, and what opens it
        self._first = first
        self.rows = rows
        pickled = _pickled_in(first.header)
        self.columns = [
            StoredColumn(field.name, str(field.type), i in pickled)
            for i, field in enumerate(first.schema)
        ]
        self.schema = first.schema

    def window(self, start: int, count: int, columns: Sequence[int], most: int) -> list[Column]:
        """Return so many rows of some columns from *start* on, as they are stored.

        Args:
            start: The first row, from 0.
            count: How many; there may be fewer.
            columns: Which columns, by number.
            most: How many bytes may be read of one column.

        Returns:
            The cells of each column, or a `LeftOut` that says why they are not here.

        Raises:
            CorruptObjectError: What was read is damaged.
            ObjectNotFoundError, PreconditionFailedError: It was deleted or replaced meanwhile.
            StorageError: The place failed.
        """
        found: list[list[Column]] = []
        for end, (rows, opened) in zip(
            accumulate(rows for rows, _ in self._files), self._files, strict=True
        ):
            first, last = max(start, end - rows), min(start + count, end)
            if first < last:
                at = first - (end - rows)
                found.append(opened().window(at, last - first, columns, most))
        if len(found) == 1:
            return found[0]
        return [
            _joined([part[i] for part in found], self._first.schema.field(column).type)
            for i, column in enumerate(columns)
        ]


def open_rows(store: "ObjectStore", place: Place) -> LookedAt | None:
    """Open a stored table to look at some of its rows, whatever the pickle policy of the store.

    Returns:
        None if what is stored there has no columns: a plain file, a document, a pickle.

    Raises:
        ObjectNotFoundError: Nothing is stored there.
        CorruptObjectError, UnsupportedFormatError: Its footer is damaged, or newer.
        UnsafePickleError: It has an extension type that might execute code.
        StorageError: The place failed.
    """
    objects = store._objects
    file = _opened(objects, place)
    if file is None:
        return None
    if file.header is not None and file.header.codec == SEALED:
        seal, _ = read_seal(objects, place)
        if seal.kind != "parts":
            return None
        parts = parts_of(place, seal)
        opened = [partial(_part, objects, part_place(place, seal, part)) for part in parts]
        if not parts or parts[0].rows is None:
            return None
        files = [(part.rows or 0, one) for part, one in zip(parts, opened, strict=True)]
        return LookedAt(opened[0](), sum(rows for rows, _ in files), files)
    if file.header is not None and file.header.rows is None:
        return None
    return LookedAt(file, file.rows, [(file.rows, lambda: file)])


def sealed_in(store: "ObjectStore", place: Place) -> list[tuple[str, int]]:
    """Return the key and the size of each file or part that an object is made of, in order.

    Raises:
        ObjectNotFoundError: Nothing is stored there.
        InvalidRequestError: What is stored there is not made of parts.
        CorruptObjectError: It is damaged.
    """
    seal, _ = read_seal(store._objects, place)
    return [(str(part.part), part.size) for part in seal.parts]


def read_start(store: "ObjectStore", place: Place, most: int) -> tuple[Buffer, Entry]:
    """Return the first *most* bytes of a file as it is stored, and what the place says of it.

    Raises:
        ObjectNotFoundError: Nothing is stored there.
        InvalidRequestError: It is a large one, and its place can only read it whole.
        StorageError: The place failed.
    """
    backend, key = store.backend, key_of(place)
    if not backend.guarantees.mapped:
        entry = backend.head(key)
        facts = backend.guarantees
        if entry.size > most and facts.ranges and entry.version is not None:
            return backend.read(key, 0, most, entry.version), entry
        if entry.size > max(most, _WHOLE):
            raise _too_large(place)
    data, entry = backend.get(key)
    return flat(data)[:most], entry


def _part(objects: "Objects", place: AnyPlace) -> _File:
    found = _opened(objects, place)
    if found is None:
        raise InvalidRequestError(f"{place} is no table", str(place))
    return found


def _opened(objects: "Objects", place: AnyPlace) -> _File | None:
    extension = extension_at(place)
    if is_plain(extension):
        return None
    key, ref, backend = key_of(place), str(place), objects.backend
    facts = backend.guarantees
    if not facts.mapped:
        tail, start, entry = objects.read_tail(key, ref)
        if start is None:
            return None
        footer = bytes(tail[start:])
        if facts.ranges and entry.version is not None:
            read: Any = partial(_far, objects, key, entry.version)
            return _file(read, entry.size, footer, place)
        if entry.size > _WHOLE:
            raise _too_large(place)
    data, entry = backend.get(key)
    view = flat(data)
    if ends_as_container(extension, view, view.nbytes, ref) is None:
        return None
    footer = bytes(view[footer_start(view[-10:], view.nbytes, ref) :])
    return _file(lambda ranges: [view[a:b] for a, b in ranges], view.nbytes, footer, place)


def _file(read: Any, size: int, footer: bytes, place: AnyPlace) -> _File:
    guard, ref = guard_of("deny"), str(place)
    found: _File
    if container_of(extension_at(place)) == ARROW:
        found = ArrowRows(read, size, footer, ref, guard)
    else:
        from runstore.containers import ParquetRows

        found = ParquetRows(read, size, footer, ref, guard)
    if found.header is not None:
        check_place(found.header, place)
    return found


def _far(
    objects: "Objects", key: str, version: str, ranges: Sequence[tuple[int, int]]
) -> list[Buffer]:
    filled = [one for one in ranges if one[1] > one[0]]
    if not filled:
        return [b"" for _ in ranges]
    data = iter(read_ranges(objects.backend, key, filled, version))
    return [next(data) if end > start else b"" for start, end in ranges]


def _pickled_in(header: Header | None) -> set[int]:
    """Return which stored columns are pickles."""
    if header is None or not header.pickle:
        return set()
    told = header.spec.get("columns")
    if header.codec == "pickle" or not isinstance(told, list):
        return {0}
    found, at = set(), 0
    for how, count in told:
        if how.get("k") == "pickle" or how.get("of") in ("tree", "packed"):
            found |= set(range(at, at + count))
        at += count
    return found


def _joined(parts: list[Column], kind: pa.DataType) -> Column:
    for part in parts:
        if isinstance(part, LeftOut):
            return part
    chunks = [chunk for part in parts for chunk in part.chunks]
    return pa.chunked_array(chunks, chunks[0].type if chunks else kind)


def _too_large(place: AnyPlace) -> InvalidRequestError:
    return InvalidRequestError(
        f"{place} is too large to be looked at: its place can only read it whole", str(place)
    )
