"""polars frames and series, through Arrow without copying."""

from collections.abc import Iterator
from typing import Any

import polars as pl
import pyarrow as pa

from runstore.codecs._arrow import positions
from runstore.codecs._base import Encoded, Opened
from runstore.codecs._pickle import Pickling
from runstore.errors import UnsupportedValueError
from runstore.referred import nbytes_of, referred_batches

__all__ = ["PolarsCodec", "check_loadable", "frame_of", "reduced_polars"]

_ALIKE = (  # to every polars
    *(pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64),
    *(pl.Float32, pl.Float64, pl.Boolean, pl.String, pl.Binary, pl.Null),
    *(pl.Date, pl.Time, pl.Datetime, pl.Duration),
)
_EXACT = (
    *(*_ALIKE, pl.Decimal, pl.Categorical, pl.Enum),
    *((pl.Float16,) if hasattr(pl, "Float16") else ()),  # polars 1.36 has it first
)
_HALF: Any = getattr(pl, "Float16", pl.Decimal)
_LABELS = (pl.Categorical, pl.Enum)  # what polars itself writes beside the Arrow type
# An older polars takes these for others: labels for text or categories, half floats for floats.
_TOLD = (*_LABELS, *((pl.Float16,) if hasattr(pl, "Float16") else ()))


class PolarsCodec:
    """``polars.DataFrame`` and ``Series`` of the dtypes that Arrow keeps exactly.

    Wider integers are left to pickle, which is polars' own serialisation.
    """

    name = "polars"
    version = 2  # since then categories and decimals

    def encode(self, value: Any, pickling: Pickling) -> Encoded | None:
        """See `runstore.codecs.Codec.encode`."""
        series = isinstance(value, pl.Series)
        frame = value.to_frame("value") if series else value
        check_loadable(value, frame)
        if not all(map(_is_exact, frame.dtypes)) or (frame.height and not frame.width):
            return None
        spec: dict[str, Any] = {"series": value.name} if series else {}
        told = {name: str(dtype) for name, dtype in frame.schema.items() if _holds(dtype, _TOLD)}
        labels = any(_holds(dtype, _LABELS) for dtype in frame.dtypes)
        if labels:
            frame = frame.rechunk()  # an Arrow file has one dictionary for all chunks
        if told:
            spec |= {"dtypes": told, "polars": pl.__version__}
        table = frame.to_arrow(compat_level=pl.CompatLevel.newest())
        new = any(_holds(dtype, (*_TOLD, pl.Decimal, _HALF)) for dtype in frame.dtypes)
        if new and frame_of(table.slice(0, 0)).schema != frame.schema:
            return None  # an older polars has decimals without a precision
        batches = table.to_batches()
        return Encoded(
            table.schema,
            batches,
            spec,
            rows=frame.height,
            columns=None if series else frame.width,
            nbytes=nbytes_of(batches),
            cut=not labels,
            version=2 if new or not frame.width else 1,
        )

    def decode(self, opened: Opened, spec: dict[str, Any], pickling: Pickling) -> Any:
        """See `runstore.codecs.Codec.decode`."""
        frame = frame_of(opened.table())
        for name, told in spec.get("dtypes", {}).items():
            if name in frame.columns and str(frame.schema[name]) != told:
                raise UnsupportedValueError(
                    f"{opened.ref} has column {name!r} of {told}, written by polars "
                    f"{spec.get('polars', 'of another version')}, which polars {pl.__version__} "
                    f"reads as {frame.schema[name]}: use the polars that wrote it, or "
                    "as_type=pyarrow.Table",
                    opened.ref,
                )
        return frame.to_series(0).alias(spec["series"]) if "series" in spec else frame

    def project(
        self, schema: pa.Schema, spec: dict[str, Any], columns: list[Any]
    ) -> tuple[list[int], dict[str, Any]]:
        """See `runstore.codecs.Projecting`."""
        if "series" in spec:
            raise TypeError("Series")
        return positions(schema.names, columns), spec


def frame_of(table: pa.Table) -> pl.DataFrame:
    """Return an Arrow table as a frame on the same memory.

    Raises:
        ValueError: polars cannot take it, or would take it for something else.
    """
    for field in table.schema:
        named = b"ARROW:extension:name" in (field.metadata or {})
        if named or isinstance(field.type, pa.BaseExtensionType):
            raise ValueError(f"column {field.name!r} is of an extension type")
        if _is_spread(field.type):
            raise ValueError(
                f"column {field.name!r} is {field.type}, of which polars would copy a value for "
                "each row: cast it"
            )
    try:
        try:
            frame = pl.from_arrow(table, rechunk=False)
        except pl.exceptions.PanicException:
            if all(column.num_chunks < 2 for column in table.columns):
                raise
            # Before 1.32, labels in lists could not be of one dictionary in each chunk.
            frame = pl.from_arrow(table.combine_chunks(), rechunk=False)
    except pl.exceptions.PanicException as exc:  # which is no Exception
        raise ValueError(str(exc)) from exc
    assert isinstance(frame, pl.DataFrame)
    if not table.num_columns and frame.height != table.num_rows:  # polars before 1.38
        frame = pl.DataFrame(pl.from_arrow(pa.table({"": pa.nulls(table.num_rows)})))
        frame.drop_in_place(frame.columns[0])
    elif frame.columns != table.column_names:
        frame.columns = table.column_names  # polars itself gives empty names another
    return frame


def _is_spread(kind: pa.DataType) -> bool:
    """Return whether a row of a few bits may become a copy of a value of any size."""
    types = pa.types
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind):
        of = kind.value_type
        text = types.is_large_string(of) or types.is_string(of) or types.is_string_view(of)
        shared = text and types.is_dictionary(kind)
        return not (shared or types.is_null(of) or types.is_primitive(of) or types.is_decimal(of))
    if types.is_nested(kind):
        return any(_is_spread(kind.field(at).type) for at in range(kind.num_fields))
    return False


def reduced_polars(value: Any) -> Any:
    """Return what pickle makes of a frame or series, without text that only its parent shows."""
    series = isinstance(value, pl.Series)
    frame = value.to_frame("value") if series else value
    told = {name: dtype for name, dtype in frame.schema.items() if not _is_taken_alike(dtype)}
    text = [name for name, dtype in frame.schema.items() if _has_text(dtype)]
    exact = [name for name in text if "\0" not in name and _is_plain(frame.schema[name])]
    if exact and frame.height:
        table = frame.select(exact).to_arrow(compat_level=pl.CompatLevel.newest())
        own = frame_of(pa.Table.from_batches(referred_batches(table.to_batches()), table.schema))
        frame = frame.with_columns(own.get_columns())
        value = frame.to_series().alias(value.name) if series else frame
    elif not told:
        return None
    if not told:
        return value.__reduce_ex__(5)
    if series:
        return pl.Series.cast, (_Itself(value), told["value"])
    return pl.DataFrame.cast, (_Itself(value), told)


class _Itself:
    """A frame or series as polars itself pickles it; what is loaded is that, not this."""

    def __init__(self, value: Any) -> None:
        self._value = value

    @property  # type: ignore[misc]  # pickle asks that it is the class that it makes
    def __class__(self) -> Any:
        return type(self._value)

    def __reduce__(self) -> Any:
        return self._value.__reduce_ex__(5)


def _is_taken_alike(dtype: Any) -> bool:
    """Return whether all supported versions of polars take what it writes of *dtype* for it.

    Older ones take Enums for Categoricals and half floats for floats, and say nothing. So the
    pickle names such dtypes: what was lost is cast back, and what they do not know is an error.
    """
    if isinstance(dtype, pl.Struct):
        return all(_is_taken_alike(field.dtype) for field in dtype.fields)
    inner = getattr(dtype, "inner", None)
    if inner is not None:
        return _is_taken_alike(inner)
    kind = dtype if isinstance(dtype, type) else type(dtype)
    return issubclass(kind, (*_ALIKE, pl.Categorical, pl.Decimal, pl.Object))


def _has_text(dtype: Any) -> bool:
    if isinstance(dtype, pl.Struct):
        return any(_has_text(field.dtype) for field in dtype.fields)
    inner = getattr(dtype, "inner", None)
    return isinstance(dtype, (pl.String, pl.Binary)) if inner is None else _has_text(inner)


def check_loadable(value: Any, frame: Any) -> None:
    """Raise UnsupportedValueError for columns that polars cannot write and read again."""
    what = f"cannot store a polars {type(value).__name__}"
    refused = [
        f"column {name!r} of {dtype}"
        for name, dtype in frame.schema.items()
        if not _is_loadable(dtype)
    ]
    if refused:
        raise UnsupportedValueError(
            f"{what} with {', '.join(refused)}: polars has no way to write it and read it again. "
            "Drop or convert that column"
        )
    for path in _names("", frame.schema.items()):
        if "\0" in path:
            raise UnsupportedValueError(
                f"{what} with a column named {path!r}: Arrow's names have no NUL in them. Rename "
                "the column"
            )


def _is_plain(dtype: Any) -> bool:
    """Return whether every polars has it back from Arrow alone."""
    return _is_exact(dtype) and not _holds(dtype, (*_TOLD, pl.Decimal, _HALF))


def _holds(dtype: Any, kinds: tuple[Any, ...]) -> bool:
    """Return whether a dtype is one of these, or has one in it."""
    if isinstance(dtype, pl.Struct):
        return any(_holds(field.dtype, kinds) for field in dtype.fields)
    inner = getattr(dtype, "inner", None)
    if inner is not None:
        return _holds(inner, kinds)
    return issubclass(dtype if isinstance(dtype, type) else type(dtype), kinds)


def _names(path: str, fields: Any) -> Iterator[str]:
    """Return the names of columns and of the fields in them."""
    for name, dtype in fields:
        yield path + name
        while (inner := getattr(dtype, "inner", None)) is not None:
            dtype = inner
        if isinstance(dtype, pl.Struct):
            yield from _names(f"{path}{name}.", ((f.name, f.dtype) for f in dtype.fields))


def _is_loadable(dtype: Any) -> bool:
    if isinstance(dtype, pl.Object) or (isinstance(dtype, pl.Array) and dtype.size == 0):
        return False
    if isinstance(dtype, pl.Struct):
        return all(_is_loadable(field.dtype) for field in dtype.fields)
    inner = getattr(dtype, "inner", None)
    return inner is None or _is_loadable(inner)


def _is_exact(dtype: Any) -> bool:
    if isinstance(dtype, (pl.List, pl.Array)):
        return _is_exact(dtype.inner)
    if isinstance(dtype, pl.Struct):
        return all(_is_exact(field.dtype) for field in dtype.fields)
    kind = dtype if isinstance(dtype, type) else type(dtype)  # polars 1.20 gives classes of some
    return issubclass(kind, _EXACT)
