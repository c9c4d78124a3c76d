"""`iter_batches`: the rows of a stored table, some at a time."""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import pyarrow as pa

from runstore.codecs import type_name
from runstore.containers import Verify
from runstore.keys import AnyPlace, Place
from runstore.objects import part_place, parts_of
from runstore.seals import SealedPart
from runstore.store._filters import Filter
from runstore.store._objects import Objects
from runstore.store._tables import Piecewise, Rows, open_piecewise
from runstore.store._wholes import Whole, slices

__all__ = ["batches"]

_ROWS = 1 << 17  # of a batch, where the object has no pieces


def batches(
    objects: Objects,
    place: AnyPlace,
    verify: Verify,
    columns: list[Any] | None,
    wanted: Filter | None,
    batch_rows: int | None,
    as_type: type | None,
    sealed: SealedPart | None = None,
) -> Iterator[Any]:
    """Open a table, and return its batches; see `StreamVerbs.iter_batches`."""
    policy = objects.policy
    table = open_piecewise(objects, place, policy, verify, sealed)
    if table is not None:
        kept, spec = table.columns(columns)
        bound = table.filter(wanted)
        rows = table.rows(kept, bound, table.candidates(bound))
        if batch_rows is not None:
            rows = _of_size(rows, batch_rows, table.part_of_schema(kept))
        kind = as_type
        if kind is None and table.header.type == "pyarrow.lib.Table":
            kind = pa.RecordBatch
        return _decoded(table, rows, spec, kind)
    whole = Whole(objects, place, policy, verify, sealed)
    if whole.seal is not None:
        assert isinstance(place, Place)
        seal, parts = whole.seal, parts_of(place, whole.seal)
        how = verify, columns, wanted, batch_rows, as_type
        first = batches(objects, part_place(place, seal, parts[0]), *how, parts[0])
        rest = (batches(objects, part_place(place, seal, one), *how, one) for one in parts[1:])
        return chain(first, chain.from_iterable(rest))
    value = whole.value(columns, wanted, as_type)
    if as_type is None and type_name(type(value)) == "pyarrow.lib.Table":
        return _of_table(value, batch_rows or _ROWS)
    return slices(value, batch_rows or _ROWS, whole.ref)


def _decoded(
    table: Piecewise, rows: Iterator[Rows], spec: dict[str, Any], as_type: type | None
) -> Iterator[Any]:
    for some in rows:
        if some.count:
            yield table.decoded(some, spec, as_type)
        del some


def _of_size(rows: Iterable[Rows], size: int, schema: pa.Schema) -> Iterator[Rows]:
    """Yield rows *size* at a time."""
    held: list[Rows] = []
    count = 0
    for some in rows:
        held.append(some)
        count += some.count
        del some
        if count < size:
            continue
        joined, at = Rows.joined(held, schema), 0
        while count - at >= size:
            yield joined.slice(at, size)
            at += size
        held = [joined.slice(at, count - at)] if at < count else []
        count -= at
        del joined
    if held:
        yield Rows.joined(held, schema)


def _of_table(table: pa.Table, rows: int) -> Iterator[pa.RecordBatch]:
    """Yield a table as record batches of *rows* rows, the last one maybe of fewer."""
    for start in range(0, table.num_rows, rows):
        some = table.slice(start, min(rows, table.num_rows - start))
        yield from some.combine_chunks().to_batches()
