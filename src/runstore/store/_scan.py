"""`scan`: a stored table as a dataset of pyarrow.

Readers of datasets ask for columns and filters, and take batches. Here they come from the same
checked reading as `iter_batches`, some at a time: pyarrow's own reading of files would read ahead
by gigabytes, and would trust the file.
"""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pyarrow.fs import FileSystemHandler, PyFileSystem

from runstore import codecs
from runstore.codecs import SomeRows
from runstore.containers import Verify
from runstore.errors import InvalidRequestError, PreconditionFailedError, UnsupportedValueError
from runstore.keys import AnyPlace, Place
from runstore.objects import part_place, parts_of
from runstore.seals import Sealed, SealedPart
from runstore.store._filters import BoundFilter, selected_rows
from runstore.store._objects import Objects
from runstore.store._tables import Piecewise, Rows, open_piecewise
from runstore.store._wholes import Whole

__all__ = ["Scan", "open_scan"]

_ROWS = 1 << 17  # of a batch


class _OfPieces:
    """The rows of an object in pieces."""

    def __init__(self, table: Piecewise) -> None:
        self._table = table
        self.schema, self.ref = table.schema, table.ref
        self.version, self.counts = table.entry.version, table.pieces.rows

    def candidates(self, bound: BoundFilter | None) -> list[int]:
        return self._table.candidates(bound)

    def rows(self, kept: list[int], bound: BoundFilter | None, pieces: list[int]) -> Iterator[Rows]:
        return self._table.rows(kept, bound, pieces)


class _OfWhole:
    """The rows of an object that is read whole, as one piece."""

    def __init__(self, table: pa.Table, ref: str, version: str | None) -> None:
        self._table = table
        self.schema, self.ref, self.version = table.schema, ref, version
        self.counts = [table.num_rows]

    def candidates(self, bound: BoundFilter | None) -> list[int]:
        return [0]

    def rows(self, kept: list[int], bound: BoundFilter | None, pieces: list[int]) -> Iterator[Rows]:
        for start in range(0, self._table.num_rows, _ROWS) if pieces else ():
            some = self._table.slice(start, _ROWS)
            table = some.select(kept)
            if bound is not None:
                table = selected_rows(table, bound.mask(some.select(bound.columns)))
            yield Rows(start, table, table.num_rows)


class _OfParts:
    """The rows of an object of parts; each part is one piece, and opened when it is read."""

    def __init__(self, objects: Objects, place: Place, seal: Sealed, verify: Verify) -> None:
        self._objects, self._place, self._seal, self._verify = objects, place, seal, verify
        self._parts = parts_of(place, seal)
        first = self._opened(0)
        self.schema, self.ref, self.version = first.schema, str(place), _version_of(seal)
        self.counts = [part.rows or 0 for part in self._parts]

    def _opened(self, index: int) -> "_OfPieces | _OfWhole":
        part = self._parts[index]
        found = _source(
            self._objects, part_place(self._place, self._seal, part), self._verify, part
        )
        assert not isinstance(found, _OfParts)
        return found

    def candidates(self, bound: BoundFilter | None) -> list[int]:
        return list(range(len(self._parts)))

    def rows(self, kept: list[int], bound: BoundFilter | None, pieces: list[int]) -> Iterator[Rows]:
        for piece in pieces:
            source = self._opened(piece)
            yield from source.rows(kept, bound, source.candidates(bound))


_Source = _OfPieces | _OfWhole | _OfParts


class Scan(ds.FileSystemDataset):  # type: ignore[misc]
    """A stored table, as a dataset; what `runstore.ObjectStore.scan` returns.

    It is read through its methods: ``scanner``, ``to_batches``, ``to_table``, ``head`` and so on.

    Args:
        source: Gives the rows.
        origin: What it is pickled as: backend, policy, place and how it is verified.
        pieces: Those that belong to it; None for all.
    """

    def __init__(
        self, source: _Source, origin: tuple[Any, ...], pieces: list[int] | None = None
    ) -> None:
        self._source, self._origin = source, origin
        self._pieces = list(range(len(source.counts))) if pieces is None else pieces
        form, nowhere = ds.IpcFileFormat(), PyFileSystem(_Nowhere())
        fragment = form.make_fragment(source.ref, nowhere)
        super().__init__([fragment], source.schema, form, nowhere)

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (*self._origin, self._source.version, self._pieces)

    def __repr__(self) -> str:
        return f"<Scan of {self._source.ref}: {self.count_rows():,} rows>"

    def filter(self, expression: Any) -> Any:
        """Refuse: a dataset that pyarrow makes of this one would not read through it.

        Raises:
            InvalidRequestError: Always; the message says how to filter.
        """
        raise InvalidRequestError(
            f"scan: {self._source.ref} is filtered where it is read: give filter= to scanner(), "
            "to_table() or to_batches()",
            self._source.ref,
        )

    def scanner(
        self,
        columns: Any = None,
        filter: Any = None,  # noqa: A002 - pyarrow's name
        batch_size: int = _ROWS,
        **how: Any,
    ) -> Any:
        """Return a scanner; see `pyarrow.dataset.Dataset.scanner`. How it reads is fixed."""
        schema, names = self._source.schema, columns
        bound = None if filter is None else _bound(filter, schema, self._source.ref)
        if isinstance(columns, dict):
            names = None  # of expressions
        kept = _positions(names, schema, self._source.ref)
        part = pa.schema([schema.field(i) for i in kept], schema.metadata)
        reader = pa.RecordBatchReader.from_batches(part, self._batches(kept, bound, batch_size))
        return ds.Scanner.from_batches(
            reader, columns=columns, batch_size=batch_size, batch_readahead=1, fragment_readahead=1
        )

    def to_batches(
        self,
        columns: Any = None,
        filter: Any = None,  # noqa: A002 - likewise
        **how: Any,
    ) -> Iterator[Any]:
        """Return the rows as record batches; see `pyarrow.dataset.Dataset.to_batches`."""
        if columns is None or not isinstance(columns, dict):
            schema = self._source.schema
            bound = None if filter is None else _bound(filter, schema, self._source.ref)
            kept = _positions(columns, schema, self._source.ref)
            if kept:
                return self._batches(kept, bound, how.get("batch_size", _ROWS))
        return iter(self.scanner(columns=columns, filter=filter, **how).to_batches())

    def get_fragments(self, filter: Any = None) -> Iterator["Scan"]:  # noqa: A002 - likewise
        """Return a dataset for each piece that may have rows that *filter* selects."""
        schema, ref = self._source.schema, self._source.ref
        bound = None if filter is None else _bound(filter, schema, ref)
        found = set(self._source.candidates(bound))
        return (
            Scan(self._source, self._origin, [piece]) for piece in self._pieces if piece in found
        )

    def count_rows(self, filter: Any = None, **how: Any) -> int:  # noqa: A002 - likewise
        """Return the number of rows that *filter* selects; of all, without reading any."""
        if filter is None:
            return sum(self._source.counts[piece] for piece in self._pieces)
        bound = _bound(filter, self._source.schema, self._source.ref)
        return sum(rows.count for rows in self._rows([], bound))

    def _rows(self, kept: list[int], bound: BoundFilter | None) -> Iterator[Rows]:
        mine = set(self._pieces)
        pieces = [piece for piece in self._source.candidates(bound) if piece in mine]
        return self._source.rows(kept, bound, pieces)

    def _batches(
        self, kept: list[int], bound: BoundFilter | None, size: int
    ) -> Iterator[pa.RecordBatch]:
        """Yield stored columns of the rows that a filter selects."""
        if not kept:  # a batch without columns has no rows
            kept = [0]
        for rows in self._rows(kept, bound):
            yield from rows.table.to_batches(max_chunksize=size)
            del rows


class _Nowhere(FileSystemHandler):  # type: ignore[misc]
    """The filesystem of a dataset that is read by its methods: for code that goes past them."""

    def _refuse(self, *arguments: Any) -> Any:
        raise NotImplementedError(
            "a dataset of runstore is read through its own methods: use its scanner(), "
            "to_batches() or to_table(), also to join it with others"
        )

    copy_file = create_dir = delete_dir = delete_dir_contents = delete_file = move = _refuse
    delete_root_dir_contents = get_file_info = get_file_info_selector = _refuse
    open_append_stream = open_input_file = open_input_stream = open_output_stream = _refuse

    def get_type_name(self) -> str:
        return "runstore"

    def normalize_path(self, path: str) -> str:
        return path


def open_scan(objects: Objects, place: Place, verify: Verify) -> Scan:
    """Open a table as a dataset; see `StreamVerbs.scan`."""
    origin = (objects.backend, objects.policy, place, verify)
    return Scan(_source(objects, place, verify), origin)


def _version_of(seal: Sealed) -> str:
    """Return what tells this seal from the next one: the writes that it names."""
    return " ".join(part.write_id for part in seal.parts)


def _source(
    objects: Objects, place: AnyPlace, verify: Verify, sealed: SealedPart | None = None
) -> _Source:
    policy = objects.policy
    table = open_piecewise(objects, place, policy, verify, sealed)
    if table is None:
        whole = Whole(objects, place, policy, verify, sealed)
        if whole.seal is not None:
            assert isinstance(place, Place)
            return _OfParts(objects, place, whole.seal, verify)
        value = whole.value(None, None, pa.Table)
        return _OfWhole(value, whole.ref, whole.entry.version)
    header, empty = table.header, pa.Table.from_batches([], table.schema)
    some = SomeRows(empty, header, table.ref, False)
    stored = codecs.stored_as(header.codec, header.codec_version, some, header.spec, pa.Table)
    if stored is None:
        raise UnsupportedValueError(
            f"{table.ref} cannot be scanned: a {header.type} is no table of Arrow. Use "
            "iter_batches(), or get()",
            table.ref,
        )
    return _OfPieces(table)


def _reopened(
    backend: Any, policy: Any, place: Place, verify: Verify, version: str | None, pieces: list[int]
) -> Scan:
    scan = open_scan(Objects(backend, policy), place, verify)
    if scan._source.version != version:
        raise PreconditionFailedError(
            f"{place} was replaced after the dataset was made: scan() it again", str(place)
        )
    return Scan(scan._source, scan._origin, pieces)


def _bound(wanted: Any, schema: pa.Schema, ref: str) -> BoundFilter:
    if not isinstance(wanted, pc.Expression):
        raise InvalidRequestError(f"{ref}: a filter of a dataset is an expression of pyarrow", ref)
    return BoundFilter(wanted, schema, ref)


def _positions(names: Any, schema: pa.Schema, ref: str) -> list[int]:
    if names is None:
        return list(range(len(schema)))
    try:
        return codecs.columns_kept(
            codecs.codec_named("arrow"), schema, {"kind": "table"}, list(names), ref
        )[0]
    except TypeError as exc:
        raise InvalidRequestError(f"{ref}: columns are a list of names", ref) from exc
