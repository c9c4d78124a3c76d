"""Stored tables that are read in part: some rows, some columns, or one piece after the other."""

import mmap
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from runstore import codecs, containers
from runstore.buffers import Buffer, flat
from runstore.codecs import SomeRows
from runstore.containers import ArrowPieces, Header, ParquetPieces, Verify
from runstore.context import PicklePolicy
from runstore.errors import (
    CorruptObjectError,
    InvalidRequestError,
    RunStoreError,
    UnsupportedFormatError,
)
from runstore.keys import AnyPlace, extension_at, key_of
from runstore.objects import check_place, check_sealed_part, container_in, guard_of, is_plain
from runstore.places import Entry
from runstore.seals import SealedPart
from runstore.store._columns import reads_columns
from runstore.store._decoding import rebuilt
from runstore.store._filters import BoundFilter, Filter, selected_rows
from runstore.store._objects import Objects
from runstore.workers import Workers, awaited

__all__ = ["Piecewise", "Rows", "open_piecewise"]

_AHEAD = 2  # pieces that are fetched while one is worked on
_AHEAD_PARTS = 4  # where only parts of them are

Mask = np.ndarray[Any, Any]


class Rows:
    """Some rows of a stored table.

    Attributes:
        start: The number of the first one.
        table: The stored columns that were asked for.
        count: How many rows there are.
        chosen: The numbers of the rows, if they do not follow one another.
    """

    def __init__(self, start: int, table: pa.Table, count: int, chosen: Mask | None = None) -> None:
        self.start, self.table, self.count, self.chosen = start, table, count, chosen

    def slice(self, at: int, count: int) -> "Rows":
        """Return some of these rows, on the same memory."""
        count = min(count, self.count - at)
        chosen = None if self.chosen is None else self.chosen[at : at + count]
        return Rows(self.start + at, self.table.slice(at, count), count, chosen)

    @classmethod
    def joined(cls, parts: "Sequence[Rows]", schema: pa.Schema) -> "Rows":
        """Return rows that follow one another as one, on the same memory."""
        if len(parts) == 1:
            return parts[0]
        tables = [part.table for part in parts]
        if tables and tables[0].num_columns:
            table = pa.concat_tables(tables)
        else:  # concat_tables forgets the rows of tables without columns
            table = pa.Table.from_batches([b for one in tables for b in one.to_batches()], schema)
        chosen = [part.chosen for part in parts if part.chosen is not None]
        none = np.empty(0, np.int64)
        return cls(
            parts[0].start if parts else 0,
            table,
            sum(part.count for part in parts),
            np.concatenate([none, *chosen]) if chosen or not parts else None,
        )


class Piecewise:
    """A stored table, opened to be read piece by piece, all of one version.

    Args:
        opened: The file.
        place: Where it was found.
        policy: The pickle policy.
        entry: What the place says of this version.
        footer: Its last bytes.
        far: Whether reading takes requests.
        failed: What a read raised that Arrow has reported as its own error.
        verify: Whether pieces are read whole, and checked, also where some columns are wanted.
    """

    def __init__(
        self,
        opened: ArrowPieces | ParquetPieces,
        place: AnyPlace,
        policy: PicklePolicy,
        entry: Entry,
        footer: bytes,
        far: bool,
        failed: list[RunStoreError],
        verify: Verify,
    ) -> None:
        check_place(opened.header, place)
        self._opened, self._place, self._policy = opened, place, policy
        self.entry, self.footer = entry, footer
        self._far, self._failed, self._verify = far, failed, verify is True
        self.header: Header = opened.header
        self.ref = opened.ref
        self.schema: pa.Schema = opened.schema
        self.pieces = opened.pieces

    def columns(self, labels: list[Any] | None) -> tuple[list[int], dict[str, Any]]:
        """Return which stored columns are needed for these, and the spec to decode them with.

        Raises:
            InvalidRequestError: There is no such column, or it has none.
        """
        if labels is None:
            return list(range(len(self.schema))), self.header.spec
        return codecs.columns_kept(self._codec(), self.schema, self.header.spec, labels, self.ref)

    def part_of_schema(self, kept: list[int]) -> pa.Schema:
        """Return the schema of these stored columns."""
        return pa.schema([self.schema.field(i) for i in kept], self.schema.metadata)

    def filter(self, wanted: Filter | None) -> BoundFilter | None:
        """Return a filter for this table."""
        if wanted is None:
            return None
        return wanted.bound(self.schema, self._name_of, self.ref)

    def candidates(self, bound: BoundFilter | None) -> list[int]:
        """Return the pieces that may have rows that a filter selects."""
        count = len(self.pieces.rows)
        if bound is None:
            return list(range(count))
        try:
            ranges = self._opened.ranges(bound.columns)
            return bound.candidates(self.schema, ranges, count)
        except (pa.ArrowException, ValueError, TypeError, OverflowError) as exc:
            raise CorruptObjectError(
                f"{self.ref} is damaged: the ranges of its values are none: {exc}", self.ref
            ) from exc

    def rows(
        self, kept: list[int], bound: BoundFilter | None, pieces: Iterable[int]
    ) -> Iterator[Rows]:
        """Yield the rows of some pieces that a filter selects, with these stored columns."""
        looked_at = [] if bound is None else bound.columns
        needed = sorted({*kept, *looked_at}) or list(range(min(1, len(self.schema))))
        whole = len(needed) == len(self.schema)
        starts = np.cumsum([0, *self.pieces.rows]).tolist()
        fetch = partial(self._opened.fetch, columns=None if whole else needed, verify=self._verify)
        columns = None if whole else needed
        at = [needed.index(i) for i in kept]
        for piece, windows in self._fetched(fetch, pieces, self._far, whole):
            table = self._open(piece, windows, columns)
            start, count, chosen = starts[piece], table.num_rows, None
            del windows
            if bound is not None:
                mask = bound.mask(table.select([needed.index(i) for i in looked_at]))
                count = int(np.count_nonzero(mask))
                if not count:
                    continue
                table = table.select(at)
                if count < len(mask):
                    table = selected_rows(table, mask)
                chosen = np.flatnonzero(mask) + start
            elif at != list(range(table.num_columns)):
                table = table.select(at)
            yield Rows(start, table, count, chosen)

    def _open(self, piece: int, windows: Any, columns: list[int] | None) -> pa.Table:
        try:
            return self._opened.open(piece, windows, columns)
        except CorruptObjectError as exc:
            if self._failed:
                raise self._failed[0] from exc
            raise

    @staticmethod
    def _fetched(
        fetch: Callable[[int], Any], pieces: Iterable[int], far: bool, whole: bool
    ) -> Iterator[tuple[int, Any]]:
        """Fetch pieces, far away some ahead of the one that is worked on."""
        if not far:
            for piece in pieces:
                yield piece, fetch(piece)
            return
        ahead = _AHEAD if whole else _AHEAD_PARTS
        coming: deque[tuple[int, Future[Any]]] = deque()
        with Workers(ahead, "runstore-pieces") as workers:
            for piece in pieces:
                coming.append((piece, workers.submit(fetch, piece)))
                if len(coming) >= ahead:
                    first, future = coming.popleft()
                    windows = awaited(future)
                    del future
                    yield first, windows
                    del windows
            while coming:
                first, future = coming.popleft()
                windows = awaited(future)
                del future
                yield first, windows

    def decoded(self, rows: Rows, spec: dict[str, Any], as_type: type | None) -> Any:
        """Rebuild some rows, as the stored value is, or as another type."""
        table = rows.table.combine_chunks() if as_type is pa.RecordBatch else rows.table
        codec = self.header.codec, self.header.codec_version
        if as_type is None or not codecs.is_table_as_stored(*codec, as_type):  # these have no index
            table, spec = codecs.spec_of_rows(table, spec, rows.start, rows.count, rows.chosen)
        header = replace(self.header, spec=spec)
        keeps = self._opened.keeps_nulls and rows.chosen is None
        some = SomeRows(table, header, self.ref, keeps)
        return rebuilt(some, self._place, self._policy, False, None, as_type)

    def _codec(self) -> Any:
        codec, version = codecs.codec_named(self.header.codec), self.header.codec_version
        if version > codec.version:
            raise UnsupportedFormatError(
                f"{self.ref} was written by version {version} of the codec {codec.name!r}, this "
                f"runstore reads up to {codec.version}: upgrade runstore",
                self.ref,
            )
        return codec

    def _name_of(self, label: Any) -> str:
        return stored_name(self._codec, self.schema, self.header.spec, label, self.ref)


def stored_name(
    codec: Callable[[], Any], schema: pa.Schema, spec: dict[str, Any], label: Any, ref: str
) -> str:
    """Return the name under which a column of this label is stored.

    Raises:
        InvalidRequestError: There is none.
    """
    if isinstance(label, str) and label in schema.names:
        return label
    try:
        kept, _ = codecs.columns_kept(codec(), schema, spec, [label], ref)
    except InvalidRequestError:
        at = _place_in_index(spec, label, ref)
        if at is None:
            raise
        return str(schema.names[at])
    return str(schema.names[kept[0]])


def _place_in_index(spec: dict[str, Any], label: Any, ref: str) -> int | None:
    """Return which stored column, from the end, is the level of this name of a pandas index.

    Raises:
        InvalidRequestError: The index of this name is not stored, as it counts the rows.
    """
    index = spec.get("index", {})
    names = index["names"] if index.get("k") == "multi" else [index.get("name")]
    if label is None or label not in names:
        return None
    if index["k"] == "range":
        raise InvalidRequestError(
            f"{ref} cannot be filtered by its index {label!r}, which counts the rows and is not "
            "stored: take rows of the result by their number, or keep it as a column",
            ref,
        )
    return int(names.index(label)) - len(names)


def open_piecewise(
    objects: Objects,
    place: AnyPlace,
    policy: PicklePolicy,
    verify: Verify,
    sealed: SealedPart | None = None,
) -> Piecewise | None:
    """Open a stored table to be read piece by piece; a part is what its seal says.

    Returns:
        None if it has to be read whole: it is not in pieces, or the place, or the policy, has
        no other way.

    Raises:
        ObjectNotFoundError: Nothing is stored there.
        CorruptObjectError, UnsupportedFormatError, UnsafePickleError: As for `Verbs.get`.
    """
    backend, key, ref = objects.backend, key_of(place), str(place)
    mapped = backend.guarantees.mapped
    if is_plain(extension_at(place)) or policy == "signed":
        return None
    read: Callable[[int, int], Buffer]
    if mapped:
        data, entry = backend.get(key)
        view = flat(data)
        if container_in(extension_at(place), data, ref) is None:
            return None
        start = containers.footer_start(view[-10:], view.nbytes, ref)
        footer, read = bytes(view[start:]), _reading(data)
    elif reads_columns(backend):
        found, entry = objects.footer(key, ref)
        if found is None or entry.version is None:
            return None
        footer = found
        read = partial(_ranged, backend.read, key, entry.version)
    else:
        return None
    failed: list[RunStoreError] = []

    def noting(start: int, length: int) -> Buffer:
        try:
            return read(start, length)
        except RunStoreError as exc:
            failed.append(exc)
            raise

    opened = containers.open_pieces(noting, entry.size, footer, ref, guard_of(policy))
    if opened is None:
        return None
    if sealed is not None:
        check_sealed_part(footer, place, sealed, entry.size)
    return Piecewise(opened, place, policy, entry, footer, not mapped, failed, verify)


def _ranged(
    read: Callable[[str, int, int, str], Buffer], key: str, version: str, start: int, length: int
) -> Buffer:
    return read(key, start, length, version)


def _reading(data: Buffer) -> Callable[[int, int], Buffer]:
    """Return what copies ranges of a mapped file, and lets go of its pages.

    A table larger than memory is read without ever being in it.
    """
    view, page = flat(data), mmap.PAGESIZE
    lets_go = isinstance(data, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED")

    def read(start: int, length: int) -> Buffer:
        if start < 0 or length < 0 or start + length > view.nbytes:
            raise CorruptObjectError("it is shorter than its footer says")
        copy = np.empty(length, np.uint8)
        np.copyto(copy, np.frombuffer(view[start : start + length], np.uint8))
        if lets_go:
            first = start // page * page
            assert isinstance(data, mmap.mmap)
            data.madvise(mmap.MADV_DONTNEED, first, start + length - first)
        return copy.data

    return read
