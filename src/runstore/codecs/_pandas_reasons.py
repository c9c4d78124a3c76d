"""Why a frame is pickled, whole or in part, for messages."""

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from runstore.codecs._base import type_name
from runstore.codecs._pandas_columns import encode_exactly
from runstore.codecs._pandas_index import encode_index, encode_labels
from runstore.codecs._python import is_json
from runstore.codecs._reasons import shown, why_no_json

__all__ = ["why_inexact"]

_MOST = 3  # columns that are named


def why_inexact(frame: Any) -> str:
    """Return what of a pandas.DataFrame has no exact Arrow column, by name."""
    if not is_json(frame.attrs):
        reason = why_no_json(frame.attrs, strict=False).replace("value", "attrs", 1)
        return f"a pandas.DataFrame whose attrs are no JSON ({reason})"
    if encode_index(frame.index) is None:
        return f"a pandas.DataFrame whose index is {_told(frame.index)}"
    if encode_labels(frame.columns) is None:
        return f"a pandas.DataFrame whose column labels are {_told(frame.columns)}"
    named = [
        f"column {shown(label)} of {_kind(column._values)}"
        for label, column in frame.items()
        if encode_exactly(column._values) is None
    ]
    if named:
        more = f" and {len(named) - _MOST} more" if len(named) > _MOST else ""
        return f"a pandas.DataFrame with {', '.join(named[:_MOST])}{more}"
    return "a pandas.DataFrame without a column"


def _told(index: Any) -> str:
    kind = type_name(type(index)).rpartition(".")[2]
    if isinstance(index, pd.MultiIndex):
        inexact = [
            f"level {name!r} of {level.dtype}"
            for name, level in zip(index.names, index.levels, strict=True)
            if encode_index(level) is None
        ]
        return f"a {kind}" + (f" with {', '.join(inexact)}" if inexact else "")
    if index.dtype == object:
        return f"{_kind(index._values)} in an object {kind}"
    name = "" if index.name is None else f" named {index.name!r}"
    return f"a {kind} of {index.dtype}{name}"


def _kind(values: Any) -> str:
    """Return the dtype of a column, and what is in it if that is objects."""
    zone = getattr(values.dtype, "tz", None)
    if zone is not None:
        return f"{values.dtype} with a time zone of {type(zone).__module__.partition('.')[0]}"
    if values.dtype != np.dtype(object):
        return str(values.dtype)
    kinds = Counter(type_name(type(cell)).removeprefix("builtins.") for cell in values)
    return f"Python objects ({', '.join(name for name, _ in kinds.most_common(_MOST))})"
