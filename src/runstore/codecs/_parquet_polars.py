"""``.parquet``: polars frames and series as polars' own writer lays them out, and back exactly."""

import io
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from runstore.codecs._base import Encoded, Opened
from runstore.codecs._pickle import Pickling
from runstore.codecs._polars import PolarsCodec, check_loadable, frame_of
from runstore.errors import UnsupportedValueError
from runstore.referred import nbytes_of

__all__ = ["ParquetPolarsCodec"]

_ROWS = 64  # that are tried


class ParquetPolarsCodec(PolarsCodec):
    """``polars.DataFrame`` and ``Series`` in a Parquet file that polars reads as its own.

    Enums, categories and decimals stand in the schema as polars itself puts them there.
    """

    name = "polars.parquet"
    version = 1

    def encode(self, value: Any, pickling: Pickling) -> Encoded:
        """See `runstore.codecs.Codec.encode`.

        Raises:
            UnsupportedValueError: Parquet would change a column, which is named.
        """
        series = isinstance(value, pl.Series)
        frame = value.to_frame(value.name or "value") if series else value
        if not frame.width:
            raise UnsupportedValueError("Parquet would change a frame without a column")
        check_loadable(value, frame)
        for column in frame:
            _check(column)
        if any(map(_has_labels, frame.dtypes)):
            frame = frame.rechunk()  # one dictionary for all chunks
        # pyarrow writes labels, and a part of a struct, only with offsets instead of views.
        offsets = any(_has_labels(dtype) or dtype.is_nested() for dtype in frame.dtypes)
        level = pl.CompatLevel.oldest() if offsets else pl.CompatLevel.newest()
        table = frame.to_arrow(compat_level=level)
        batches = table.to_batches()
        return Encoded(
            table.schema,
            batches,
            ({"series": value.name} if series else {})
            | {"labels": _labels(frame), "polars": pl.__version__},
            rows=frame.height,
            columns=frame.width,
            nbytes=nbytes_of(batches),
        )

    def decode(self, opened: Opened, spec: dict[str, Any], pickling: Pickling) -> Any:
        """See `runstore.codecs.Codec.decode`."""
        frame = frame_of(opened.table())
        read = _labels(frame)
        for name, kind in spec["labels"].items():
            if name in frame.columns and read.get(name) != kind:
                raise UnsupportedValueError(
                    f"cannot load {opened.ref}: column {name!r} is of {kind}, written by polars "
                    f"{spec['polars']}, and polars "
                    f"{pl.__version__} reads it as {frame.schema[name]}: use the polars that wrote "
                    "it, or as_type=pyarrow.Table",
                    opened.ref,
                )
        return frame.to_series(0).alias(spec["series"]) if "series" in spec else frame


def _labels(frame: Any) -> dict[str, str]:
    """Return the columns with labels in them, and what they are without the labels."""
    schema = frame.schema.items()
    return {name: _shape(dtype) for name, dtype in schema if _has_labels(dtype)}


def _shape(dtype: Any) -> str:
    if isinstance(dtype, pl.Struct):
        return f"Struct({', '.join(_shape(field.dtype) for field in dtype.fields)})"
    kind: str = (dtype if isinstance(dtype, type) else type(dtype)).__name__
    inner = getattr(dtype, "inner", None)
    return kind if inner is None else f"{kind}({_shape(inner)})"


def _has_labels(dtype: Any) -> bool:
    """Return whether there are labels in it."""
    if isinstance(dtype, pl.Struct):
        return any(_has_labels(field.dtype) for field in dtype.fields)
    inner = getattr(dtype, "inner", None)
    if inner is not None:
        return _has_labels(inner)
    return isinstance(dtype, (pl.Categorical, pl.Enum)) or dtype in (pl.Categorical, pl.Enum)


def _check(column: Any) -> None:
    """Raise unless the first rows of a column come back from a Parquet file as they are."""
    some = column.head(_ROWS).to_frame()
    told = f"column {column.name!r} of {column.dtype}"
    try:
        table = some.to_arrow(compat_level=pl.CompatLevel.oldest())
        file = io.BytesIO()
        pq.write_table(table, file, use_compliant_nested_type=False)
        back = frame_of(pq.read_table(pa.BufferReader(file.getvalue())))
    except pl.exceptions.PanicException as exc:  # which is no Exception
        raise UnsupportedValueError(f"Parquet cannot hold {told} ({exc})") from exc
    except (pa.ArrowException, pl.exceptions.PolarsError, OSError, ValueError, TypeError) as exc:
        raise UnsupportedValueError(f"Parquet cannot hold {told} ({exc})") from exc
    if back.schema != some.schema or not back.equals(some):
        raise UnsupportedValueError(
            f"Parquet would change {told}, which would come back as {back.dtypes[0]}"
        )
