"""Parts that become one value: whether frames and arrays join without a change, and the join.

A part's *layout* says what of it must be the same in all parts: its type, labels, dtypes with
categories, and the kind of its index. It is JSON and stands in the header of the part, so parts are
compared without their data.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from runstore.codecs._base import type_name
from runstore.errors import UnsupportedValueError
from runstore.faults import is_own_fault

__all__ = ["difference", "joined", "layout_of"]

Layout = dict[str, Any]


def layout_of(value: Any) -> Layout | None:
    """Return the layout of a frame, table, series or array; None if such values do not join."""
    kind = _KINDS.get(type_name(type(value)))
    if kind is None:
        return None
    found = kind.layout(value)
    return None if found is None else {"type": kind.type} | found


def difference(one: Layout, other: Layout) -> str | None:
    """Return how two layouts differ, for people; None if their values join exactly."""
    if one == other:
        return None
    if one["type"] != other["type"]:
        return f"it is a {other['type']}, and not a {one['type']}"
    for what in ("columns", "index"):
        mine, theirs = one.get(what), other.get(what)
        if mine == theirs or mine is None or theirs is None:
            continue
        if [label for label, _ in mine] != [label for label, _ in theirs]:
            return _labels(what, [label for label, _ in mine], [label for label, _ in theirs])
        for (label, dtype), (_, differs) in zip(mine, theirs, strict=True):
            if dtype != differs:
                where = f"column {label}" if what == "columns" else f"index {label}"
                return f"{where} is {_short(differs)}, and not {_short(dtype)}"
    for what in one.keys() | other.keys():
        if one.get(what) != other.get(what):
            return f"{what} is {_short(str(other.get(what)))}, and not {_short(str(one.get(what)))}"
    return None


def _labels(what: str, mine: list[str], theirs: list[str]) -> str:
    more = [label for label in theirs if label not in mine]
    less = [label for label in mine if label not in theirs]
    if more or less:
        kind = "columns" if what == "columns" else "levels of the index"
        found = [f"more {kind}: {', '.join(more[:5])}"] if more else []
        found += [f"no {', '.join(less[:5])}"] if less else []
        return f"it has {' and '.join(found)}"
    return f"its {what} has the labels in another order"


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:80]}…"


def joined(values: Sequence[Any], ref: str) -> Any:
    """Return values of one layout as one, in this order.

    Raises:
        UnsupportedValueError: They do not join exactly.
    """
    if len(values) == 1 and type_name(type(values[0])) != "pyarrow.lib.RecordBatch":
        return values[0]
    first = layout_of(values[0])
    if first is None:
        raise UnsupportedValueError(
            f"{ref} cannot be read as one {type_name(type(values[0]))}: values of this type do not "
            "join. Read its parts with get(…, part=…)",
            ref,
        )
    for value in values[1:]:
        other = layout_of(value)
        differs = (
            f"one of them is a {type_name(type(value))}"
            if other is None
            else difference(first, other)
        )
        if differs is not None:
            raise UnsupportedValueError(
                f"{ref} cannot be read as one value: of a part, {differs}. Read its parts with "
                "get(…, part=…)",
                ref,
            )
    try:
        whole = _KINDS[type_name(type(values[0]))].join(values)
    except MemoryError:
        raise
    except Exception as exc:  # what a library cannot join, it says in its own way
        if is_own_fault(exc):
            raise
        raise UnsupportedValueError(
            f"{ref} cannot be read as one value: the library of its parts cannot join them "
            f"({exc}). Read its parts with get(…, part=…)",
            ref,
        ) from exc
    changed = difference(first, layout_of(whole) or {"type": type_name(type(whole))})
    if changed is not None:
        raise UnsupportedValueError(
            f"{ref} cannot be read as one value: the library that joins its parts changes it: "
            f"{changed}. Read its parts with get(…, part=…)",
            ref,
        )
    return whole


# Each kind of value -------------------------------------------------------------------------------


class _Kind(NamedTuple):
    type: str
    layout: Callable[[Any], Layout | None]
    join: Callable[[Sequence[Any]], Any]


def _digest(texts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode(errors="surrogatepass")).hexdigest()[:32]


def _pandas_dtype(dtype: Any) -> str:
    name = type(dtype).__name__
    if name == "CategoricalDtype":
        if dtype.categories is None:
            return "category"
        labels = [f"{type(label).__name__} {label!r}" for label in dtype.categories]
        ordered = "ordered " if dtype.ordered else ""
        inner = _pandas_dtype(dtype.categories.dtype)
        return f"{ordered}category of {len(labels)} {inner} (digest {_digest(labels)})"
    return repr(dtype).strip("<>") if name == "StringDtype" else str(dtype)


def _pandas_index(index: Any) -> list[list[str]]:
    if type(index).__name__ == "MultiIndex":
        levels = [(index.names[i], index.levels[i].dtype) for i in range(index.nlevels)]
        return [[repr(name), _pandas_dtype(dtype)] for name, dtype in levels]
    # A RangeIndex is one of int64 to whoever joins it.
    kind = type(index).__name__.replace("RangeIndex", "Index")
    return [[repr(index.name), f"{kind} of {_pandas_dtype(index.dtype)}"]]


def _pandas_frame(frame: Any) -> Layout:
    labels = frame.columns
    found: Layout = {
        "columns": [
            [f"{label!r}", _pandas_dtype(dtype)]
            for label, dtype in zip(labels, frame.dtypes, strict=True)
        ],
        "labels": f"{type(labels).__name__} of {labels.dtype} {list(labels.names)!r}",
        "index": _pandas_index(frame.index),
    }
    return found | _pandas_rest(frame)


def _pandas_series(series: Any) -> Layout:
    found: Layout = {
        "columns": [[repr(series.name), _pandas_dtype(series.dtype)]],
        "index": _pandas_index(series.index),
    }
    return found | _pandas_rest(series)


def _pandas_rest(value: Any) -> Layout:
    rest: Layout = {}
    if value.attrs:
        rest["attrs"] = _digest([repr(value.attrs)])
    if not value.flags.allows_duplicate_labels:
        rest["flags"] = "no duplicate labels"
    return rest


def _join_pandas(values: Sequence[Any]) -> Any:
    import pandas as pd

    return pd.concat(values)


def _polars_frame(frame: Any) -> Layout:
    return {"columns": [[repr(name), repr(dtype)] for name, dtype in frame.schema.items()]}


def _polars_series(series: Any) -> Layout:
    return {"columns": [[repr(series.name), repr(series.dtype)]]}


def _join_polars(values: Sequence[Any]) -> Any:
    import polars as pl

    return pl.concat(values, how="vertical", rechunk=False)


def _arrow_table(table: Any) -> Layout:
    schema = table.schema
    return {
        "columns": [[repr(field.name), str(field.type)] for field in schema],
        "schema": hashlib.sha256(schema.serialize().to_pybytes()).hexdigest()[:32],
    }


def _join_arrow(values: Sequence[Any]) -> Any:
    import pyarrow as pa

    tables = [
        pa.Table.from_batches([value]) if isinstance(value, pa.RecordBatch) else value
        for value in values
    ]
    if not tables[0].num_columns:  # concat_tables forgets their rows
        batches = [batch for table in tables for batch in table.to_batches()]
        return pa.Table.from_batches(batches, tables[0].schema)
    return pa.concat_tables(tables)


def _numpy_array(array: Any) -> Layout | None:
    if array.ndim == 0 or array.dtype.hasobject:
        return None
    return {"dtype": repr(array.dtype), "shape of an item": list(array.shape[1:])}


def _join_numpy(values: Sequence[Any]) -> Any:
    import numpy as np

    return np.concatenate(values)


_TABLE = _Kind("pyarrow.lib.Table", _arrow_table, _join_arrow)
_FRAME = _Kind("pandas.DataFrame", _pandas_frame, _join_pandas)
_SERIES = _Kind("pandas.Series", _pandas_series, _join_pandas)

_KINDS = {
    "numpy.ndarray": _Kind("numpy.ndarray", _numpy_array, _join_numpy),
    "pandas.DataFrame": _FRAME,
    "pandas.Series": _SERIES,
    "pandas.core.frame.DataFrame": _FRAME,  # pandas 2
    "pandas.core.series.Series": _SERIES,
    "polars.dataframe.frame.DataFrame": _Kind(
        "polars.dataframe.frame.DataFrame", _polars_frame, _join_polars
    ),
    "polars.series.series.Series": _Kind(
        "polars.series.series.Series", _polars_series, _join_polars
    ),
    "pyarrow.lib.RecordBatch": _TABLE,
    "pyarrow.lib.Table": _TABLE,
}
