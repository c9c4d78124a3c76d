"""Objects that are read whole, of which some rows are wanted.

That is what is not in pieces: one batch, a plain file, another program's table, what is signed.
The value is rebuilt, and rows of it are taken, so they are what they are in the value.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pyarrow as pa

from runstore import codecs
from runstore.containers import Verify
from runstore.context import PicklePolicy
from runstore.errors import InvalidRequestError
from runstore.keys import AnyPlace, Place, extension_at
from runstore.objects import PartGoneError, seal_in
from runstore.seals import SealedPart
from runstore.store._decoding import rebuilt, rebuilt_file
from runstore.store._filters import Filter, selected_rows
from runstore.store._objects import Objects
from runstore.store._tables import stored_name

__all__ = ["Whole", "rows_in", "slices"]

_PANDAS = ("pandas", "geopandas")


class Whole:
    """An object, read whole.

    Args:
        objects: Where it is.
        place: What it is.
        policy: The pickle policy.
        verify: As for `Verbs.get`.
        sealed: What the seal says of it, if it is a part.

    Attributes:
        seal: The parts that it is made of, if it is.
    """

    def __init__(
        self,
        objects: Objects,
        place: AnyPlace,
        policy: PicklePolicy,
        verify: Verify,
        sealed: SealedPart | None = None,
    ) -> None:
        self._objects, self._verify = objects, verify
        self._place, self._policy = place, policy
        self.ref, self._extension = str(place), extension_at(place)
        self._opened, self.data, self.entry = objects.open_whole(place, policy, verify, sealed)
        self.seal = None if self._opened is None else seal_in(self._opened, place)

    def value(self, columns: list[Any] | None, wanted: Filter | None, as_type: type | None) -> Any:
        """Return the value, or these rows and columns of it, as it was put or as another type.

        Raises:
            InvalidRequestError: It has no such columns, or no rows to be filtered.
        """
        opened, policy = self._opened, self._policy
        if opened is None:
            return self._of_file(columns, wanted, as_type)
        if self.seal is not None:
            assert isinstance(self._place, Place)
            how = self._verify, columns, as_type, policy, wanted
            return self._objects.whole_value(self._place, self.seal, *how)
        if wanted is None:
            return rebuilt(opened, self._place, policy, policy == "signed", columns, as_type)
        return rows_in(self._place, policy, columns, wanted, as_type, opened)

    def check_gone(self, gone: PartGoneError) -> None:
        """Return if the object was sealed anew, so that it can be read again; else raise."""
        assert isinstance(self._place, Place)
        assert self._opened is not None
        gone.check(self._objects, self._place, self._opened.header)

    def _of_file(
        self, columns: list[Any] | None, wanted: Filter | None, as_type: type | None
    ) -> Any:
        read = partial(rebuilt_file, self.data, self._place, self._extension, self._policy)
        if wanted is None:
            return read(columns, as_type)
        value = read(None, None)
        table = _as_table(value, self.ref)
        bound = wanted.bound(table.schema, partial(_label, table, self.ref), self.ref)
        value = _selected(value, bound.mask(table.select(bound.columns or [0])), self.ref)
        if columns is not None:
            value = codecs.selected(value, columns, self.ref)
        return value if as_type is None else codecs.converted(value, as_type, self.ref)


def rows_in(
    place: AnyPlace,
    policy: PicklePolicy,
    columns: list[Any] | None,
    wanted: Filter,
    as_type: type | None,
    opened: Any,
) -> Any:
    """Return rows and columns of an opened object: of it, only what they need is read.

    Raises:
        InvalidRequestError: It has no such columns, or no rows to be filtered.
    """
    ref = str(place)
    value = rebuilt(opened, place, policy, policy == "signed", columns, as_type)
    header = opened.header
    spec = {"kind": "table"} if header is None else header.spec
    codec = partial(codecs.codec_named, "arrow" if header is None else header.codec)
    name_of = partial(_stored, codec, opened.schema, spec, ref)
    bound = wanted.bound(opened.schema, name_of, ref)
    table = opened.project(bound.columns or list(range(min(1, len(opened.schema))))).table()
    return _selected(value, bound.mask(table), ref)


def _selected(value: Any, mask: Any, ref: str) -> Any:
    rows = selected_rows(value, mask) if rows_of(value) == len(mask) else None
    if rows is None:
        raise InvalidRequestError(f"{ref} is no table whose rows can be filtered", ref)
    return rows


def _stored(codec: Any, schema: pa.Schema, spec: Any, ref: str, label: Any) -> str:
    return stored_name(codec, schema, spec, label, ref)


def _label(table: pa.Table, ref: str, label: Any) -> str:
    if label not in table.column_names:
        raise InvalidRequestError(f"{ref} has no column {label!r}", ref)
    return str(label)


def _as_table(value: Any, ref: str) -> pa.Table:
    if type(value).__module__.partition(".")[0] in _PANDAS and hasattr(value, "columns"):
        try:
            table = pa.Table.from_pandas(value, preserve_index=False)
        except (pa.ArrowException, ValueError, TypeError) as exc:
            raise InvalidRequestError(f"{ref} cannot be filtered: {exc}", ref) from exc
        return table
    raise InvalidRequestError(f"{ref} is no table: get it without filters=", ref)


def rows_of(value: Any) -> int | None:
    """Return how many rows a table, frame or array has; None for anything else."""
    if isinstance(value, (pa.Table, pa.RecordBatch)):
        return int(value.num_rows)
    shape = getattr(value, "shape", None)
    return int(shape[0]) if isinstance(shape, tuple) and shape else None


def slices(value: Any, rows: int, ref: str) -> Iterator[Any]:
    """Return a table or frame some rows at a time, on the same memory.

    Raises:
        InvalidRequestError: It is none.
    """
    count = rows_of(value)
    at = getattr(value, "iloc", None)
    if count is None or not (at is not None or hasattr(value, "slice")):
        raise InvalidRequestError(f"{ref} is no table: get() it", ref)
    starts = range(0, count, rows)
    if at is not None:
        return (at[start : start + rows] for start in starts)
    # Arrow believes the length that is given if there are no columns.
    return (value.slice(start, min(rows, count - start)) for start in starts)
