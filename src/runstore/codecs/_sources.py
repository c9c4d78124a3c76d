"""Values that give a table piece by piece: queries, readers and datasets, and iterators of tables.

They are recognised by the names of their types, so that no library is imported for it.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from runstore.codecs._base import is_a, type_name
from runstore.codecs._refused import is_handle
from runstore.errors import UnsupportedValueError

__all__ = ["pieces_of"]

_ROWS = 128 * 1024  # of a piece, where the source asks how many

_READER = "pyarrow.lib.RecordBatchReader"
_SCANNER = "pyarrow._dataset.Scanner"
_DATASET = "pyarrow._dataset.Dataset"
_LAZY = "polars.lazyframe.frame.LazyFrame"
_RELATIONS = tuple(
    f"{module}.DuckDBPyRelation" for module in ("duckdb._relation", "duckdb.duckdb", "_duckdb")
)
_WHOLE = frozenset((str, bytes, int, float, bool, list, tuple, dict, set, type(None)))
_ONCE = ("pandas.io.parsers.readers.TextFileReader", "polars.lazyframe.engine._CollectBatches")


def pieces_of(value: Any) -> Iterator[Any] | None:
    """Return the pieces of a table, to be taken one after the other; None for any other value.

    What an iterator raises comes out of the pieces as it is.

    Raises:
        UnsupportedValueError: It is an iterator that gives no tables; one item is gone then.
    """
    kind = type(value)
    if kind in _WHOLE:
        return None
    from runstore.codecs._joined import is_table

    if is_table(value):
        return None
    if is_a(kind, _LAZY):
        return _of_query(value)
    reader: Any = None
    if is_a(kind, *_RELATIONS):
        reader = _reader_of_relation(value)
    elif is_a(kind, _READER):
        reader = value
    elif is_a(kind, _SCANNER):
        reader = value.to_reader()
    elif is_a(kind, _DATASET):
        reader = _scanned(value).to_reader()
    if reader is not None:
        return chain((reader.schema.empty_table(),), reader)  # it may have no rows
    if _gives_items(kind):
        return _of_tables(value)
    return None


def _gives_items(kind: type) -> bool:
    """Return whether a type is one of Python's own iterators, or of a library's over tables.

    An iterator of a user's class may be a value to keep.
    """
    if type_name(kind) in _ONCE:
        return True
    return (is_handle(kind) or "").startswith("it gives its items once")


def _of_tables(value: Any) -> Iterator[Any] | None:
    from runstore.codecs._joined import is_table

    coming = iter(value)
    try:
        first = next(coming)
    except StopIteration:
        raise UnsupportedValueError(
            f"cannot store a {type_name(type(value))} that gives no table: nobody knows its "
            "columns. Use writer(name, schema=...)"
        ) from None
    if not is_table(first):
        raise UnsupportedValueError(
            f"cannot store a {type_name(type(value))}: it gives its items once, and they are no "
            f"tables ({type_name(type(first))}): store list(value)"
        )
    return chain((first,), coming)


def _of_query(query: Any) -> Iterator[Any]:
    """Run a query of polars by its engine for streams, some rows at a time."""
    collect = getattr(query, "collect_batches", None)
    if collect is None:
        import polars as pl

        raise UnsupportedValueError(
            f"cannot store a LazyFrame with polars {pl.__version__}, which gives its result only "
            "whole: call .collect() first, or use polars 1.34 or later"
        )
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # polars says that it is new
        coming = iter(collect(chunk_size=_ROWS, maintain_order=True, engine="streaming"))
    first = next(coming, None)
    if first is None:  # no rows, and polars gives no frame then
        return iter((query.collect_schema().to_frame(),))
    return chain((first,), coming)


def _reader_of_relation(relation: Any) -> Any:
    for name in ("to_arrow_reader", "fetch_arrow_reader", "fetch_record_batch"):
        if (read := getattr(relation, name, None)) is not None:
            return read(_ROWS)
    raise UnsupportedValueError("cannot store a relation of this duckdb: call .arrow() first")


def _scanned(dataset: Any) -> Any:
    """Scan a dataset with little read ahead; else pyarrow holds gigabytes."""
    how: dict[str, Any] = {}
    if type_name(type(getattr(dataset, "format", None))).endswith("ParquetFileFormat"):
        import pyarrow.dataset as ds

        how["fragment_scan_options"] = ds.ParquetFragmentScanOptions(
            use_buffered_stream=True, pre_buffer=False
        )
    return dataset.scanner(batch_size=_ROWS, batch_readahead=1, fragment_readahead=1, **how)
