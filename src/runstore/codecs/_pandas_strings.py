"""Text columns and text labels of pandas: which of its string dtypes they are of."""

import json
from inspect import signature
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from runstore.codecs._base import Opened
from runstore.errors import UnsupportedValueError

__all__ = ["decode_strings", "described", "encode_strings", "string_dtype", "written_by"]

# pandas 2.2 has three string dtypes, which differ in their storage alone. Since 2.3 there are four:
# a storage, python or pyarrow, and a missing value, NA or NaN.
_TELLS_MISSING = "na_value" in signature(pd.StringDtype.__init__).parameters
_OLD_NAME = {("python", "NA"): "python", ("pyarrow", "NA"): "pyarrow"} | {
    ("pyarrow", "nan"): "pyarrow_numpy"
}


def described(dtype: pd.StringDtype) -> tuple[str, str]:
    """Return storage and missing value of a string dtype, as any pandas can be asked for them."""
    storage: str = dtype.storage
    missing = "NA" if dtype.na_value is pd.NA else "nan"
    return ("pyarrow" if storage == "pyarrow_numpy" else storage), missing


def string_dtype(storage: str, missing: str, ref: str, written: str = "") -> pd.StringDtype:
    """Return the string dtype of that description.

    Args:
        storage: ``python`` or ``pyarrow``.
        missing: ``NA`` or ``nan``.
        ref: The object it is needed for.
        written: The pandas that wrote the object, if that is known.

    Raises:
        UnsupportedValueError: The pandas that is installed has no such dtype.
    """
    if storage == "pyarrow_numpy":  # as pandas 2.2 calls it
        storage = "pyarrow"
    kind: Any = pd.StringDtype
    if _TELLS_MISSING:
        dtype: pd.StringDtype = kind(storage, pd.NA if missing == "NA" else np.nan)
        return dtype
    name = _OLD_NAME.get((storage, missing))
    if name is None:
        raise UnsupportedValueError(
            f"{ref} holds text of the dtype string[{storage}] with NaN for what is missing, "
            f"written by pandas {written or '2.3 or newer'}; pandas {pd.__version__}, which is "
            "installed here, has no such dtype: upgrade pandas, or read it with "
            "as_type=pyarrow.Table",
            ref,
        )
    return kind(name)  # type: ignore[no-any-return]


def encode_strings(values: Any) -> tuple[pa.Array, dict[str, Any]] | None:
    """Return a text array as an Arrow array and a spec; None for what Arrow would change."""
    dtype = values.dtype
    if type(values) is not dtype.construct_array_type():
        return None  # pandas lets an array say that it is stored as it is not
    if dtype.storage == "python" and any(type(cell) is np.str_ for cell in values):
        return None
    try:
        column = pa.array(values, pa.large_string(), from_pandas=True)
    except (pa.ArrowException, UnicodeEncodeError):  # lone surrogates are not text to Arrow
        return None
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    storage, missing = described(dtype)
    return column, {"k": "str", "storage": storage, "na": missing}


def decode_strings(opened: Opened, column: pa.ChunkedArray, spec: dict[str, Any]) -> Any:
    """Rebuild a text array.

    Raises:
        UnsupportedValueError: The pandas that is installed has no such dtype.
    """
    written = "" if _TELLS_MISSING else written_by(opened)  # there is such a dtype, or who wrote it
    dtype: Any = string_dtype(spec["storage"], spec["na"], opened.ref, written)
    return dtype.__from_arrow__(column)


def written_by(opened: Opened) -> str:
    """Return the version of the pandas that wrote an object, or nothing if it does not say."""
    described = (opened.schema.metadata or {}).get(b"pandas", b"{}")
    return str(json.loads(described).get("pandas_version", ""))
