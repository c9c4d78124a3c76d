"""Small values of pandas as tags: points and spans of time, offsets, dtypes, intervals.

See `runstore.codecs._tags`, which has these as its own. pandas is imported by whoever reads such a
value.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from runstore.codecs._classes import Finder
from runstore.codecs._exactly import exactly
from runstore.codecs._python import is_json, short_text
from runstore.codecs._zones import zone_of, zone_tree
from runstore.errors import CorruptObjectError

__all__ = ["BUILDERS", "CONTAINERS", "READERS", "SCALARS"]

Tag = tuple[str, Any]


def _timestamp(value: Any) -> Tag | None:
    zone = zone_tree(value.tzinfo)
    if zone is ...:
        return None
    content = [value._value, value.unit, zone, value.fold]
    return ("$timestamp", content) if _is_told(value, _timestamp_of(content)) else None


def _timestamp_of(content: Any, ref: str = "the object") -> Any:
    import pandas as pd

    ticks, unit, zone, fold = content
    point = pd.Timestamp(np.datetime64(ticks, unit))
    if zone is None:
        return point.replace(fold=1) if fold else point
    return point.tz_localize("UTC").tz_convert(zone_of(zone, ref))


def _timedelta(value: Any) -> Tag | None:
    content = [value._value, value.unit]
    return ("$span", content) if _is_told(value, _timedelta_of(content)) else None


def _timedelta_of(content: Any) -> Any:
    import pandas as pd

    return pd.Timedelta(np.timedelta64(content[0], content[1]))


def _period(value: Any) -> Tag | None:
    content = [value.ordinal, value.freqstr]
    try:
        back = _period_of(content)
    except ValueError:
        return None
    return ("$period", content) if back.freq == value.freq and back == value else None


def _period_of(content: Any) -> Any:
    import pandas as pd

    return pd.Period(ordinal=content[0], freq=short_text(content[1]))


def _is_told(one: Any, other: Any) -> bool:
    """Return whether two points or spans of time cannot be told from each other."""
    of_zone = [type(getattr(value, "tzinfo", None)) for value in (one, other)]
    return (
        one._value == other._value
        and one.unit == other.unit
        and of_zone[0] is of_zone[1]
        and str(getattr(one, "tzinfo", None)) == str(getattr(other, "tzinfo", None))
        and getattr(one, "fold", 0) == getattr(other, "fold", 0)
    )


def _interval_of(parts: Any, ref: str, find: Finder) -> Any:
    import pandas as pd

    left, right, closed = parts
    for end in (left, right):
        if not isinstance(end, np.number):
            exactly(end, ref, int, float, pd.Timestamp, pd.Timedelta)
    return pd.Interval(left, right, exactly(closed, ref, str))


def _offset(value: Any) -> Tag | None:
    name, plain = type(value).__name__, dict(value.kwds)
    try:
        told = plain if name == "DateOffset" else value.freqstr
        content: list[Any] = [name, value.n, bool(value.normalize), told]
        if not is_json(content):
            return None
        back = _offset_of(content)
    except (ValueError, TypeError, NotImplementedError):
        return None
    same = type(back) is type(value) and back == value and _kinds(back) == _kinds(value)
    return ("$offset", content) if same else None


def _kinds(offset: Any) -> dict[str, type]:
    """Return the types of what it is made of: a Timedelta and a timedelta are equal."""
    return {name: type(item) for name, item in dict(offset.kwds).items()}


def _offset_of(content: Any) -> Any:
    import pandas as pd

    name, n, normalize, told = content
    if name == "DateOffset":
        make: Any = pd.DateOffset
        return make(n, normalize, **{str(key): item for key, item in told.items()})
    made = pd.tseries.frequencies.to_offset(short_text(told))
    return type(made)(n, True, **made.kwds) if normalize else made


def _pandas_dtype(value: Any) -> Tag | None:
    name = type(value).__name__
    told: Any = None
    if name == "DatetimeTZDtype":
        told = [value.unit, zone_tree(value.tz)]
    elif name == "StringDtype":
        missing = getattr(value, "na_value", None)
        told = [value.storage, "nan" if missing is np.nan else "NA"]
    elif name == "PeriodDtype":
        told = str(value).removeprefix("period[").removesuffix("]")
    elif name == "IntervalDtype":
        told = [None if value.subtype is None else str(value.subtype), value.closed]
    if told is not None and not is_json(told):
        return None
    try:
        back = _pandas_dtype_of([name, told], "the value")
    except (ValueError, TypeError):
        return None
    same = type(back) is type(value) and back == value and repr(back) == repr(value)
    return ("$pandas_dtype", [name, told]) if same else None


_DTYPES = {
    *("Int8Dtype", "Int16Dtype", "Int32Dtype", "Int64Dtype", "Float32Dtype", "Float64Dtype"),
    *("UInt8Dtype", "UInt16Dtype", "UInt32Dtype", "UInt64Dtype", "BooleanDtype"),
}


def _pandas_dtype_of(content: Any, ref: str) -> Any:
    import pandas as pd

    name, told = content
    if name in _DTYPES:
        return getattr(pd, name)()
    if name == "DatetimeTZDtype":
        return pd.DatetimeTZDtype(told[0], zone_of(told[1], ref))
    if name == "StringDtype":
        storage, missing = told
        if missing == "nan":
            make: Any = pd.StringDtype
            return make(storage, na_value=np.nan)
        return pd.StringDtype(storage)
    if name == "PeriodDtype":
        return pd.PeriodDtype(short_text(told))
    if name == "IntervalDtype":
        subtype, closed = told
        return pd.IntervalDtype(subtype if subtype is None else short_text(subtype), closed)
    raise CorruptObjectError(f"{ref} is damaged: {name} is no dtype of pandas", ref)


def _categories(value: Any) -> Tag:
    return "$categories", [value.categories, value.ordered]


def _categories_of(parts: Any, ref: str, find: Finder) -> Any:
    import pandas as pd

    categories, ordered = parts
    if not isinstance(categories, pd.Index):
        exactly(categories, ref, None)
    return pd.CategoricalDtype(categories, exactly(ordered, ref, bool, None))


_PANDAS_DTYPES = (*_DTYPES, "DatetimeTZDtype", "StringDtype", "PeriodDtype", "IntervalDtype")
_OFFSETS = (
    *("BDay", "BMonthBegin", "BMonthEnd", "BQuarterBegin", "BQuarterEnd", "BYearBegin"),
    *("BYearEnd", "BusinessDay", "BusinessMonthBegin", "BusinessMonthEnd", "DateOffset", "Day"),
    *("Easter", "Hour", "Micro", "Milli", "Minute", "MonthBegin", "MonthEnd", "Nano"),
    *("QuarterBegin", "QuarterEnd", "Second", "SemiMonthBegin", "SemiMonthEnd", "Week"),
    *("YearBegin", "YearEnd", "BusinessHour", "WeekOfMonth", "LastWeekOfMonth"),
)

SCALARS: dict[str, Callable[[Any], Tag | None]] = {
    **dict.fromkeys(("pandas.Timestamp", "pandas._libs.tslibs.timestamps.Timestamp"), _timestamp),
    **dict.fromkeys(("pandas.Timedelta", "pandas._libs.tslibs.timedeltas.Timedelta"), _timedelta),
    **dict.fromkeys(("pandas.Period", "pandas._libs.tslibs.period.Period"), _period),
    **{f"pandas._libs.tslibs.offsets.{name}": _offset for name in _OFFSETS},
    **{f"pandas.offsets.{name}": _offset for name in _OFFSETS},
    "pandas.DateOffset": _offset,
    **{f"pandas.{name}": _pandas_dtype for name in _PANDAS_DTYPES},
    **{
        f"pandas.core.{module}.{name}": _pandas_dtype
        for module in (
            "dtypes.dtypes",
            "arrays.integer",
            "arrays.floating",
            "arrays.boolean",
            "arrays.string_",
        )
        for name in _PANDAS_DTYPES
    },
}

READERS: dict[str, Callable[[Any, str, Finder], Any]] = {
    "$offset": lambda c, ref, find: _offset_of(c),
    "$pandas_dtype": lambda c, ref, find: _pandas_dtype_of(c, ref),
    "$period": lambda c, ref, find: _period_of(c),
    "$span": lambda c, ref, find: _timedelta_of(c),
    "$timestamp": lambda c, ref, find: _timestamp_of(c, ref),
}

CONTAINERS: dict[str, Callable[[Any], Tag | None]] = {
    **dict.fromkeys(
        ("pandas.CategoricalDtype", "pandas.core.dtypes.dtypes.CategoricalDtype"), _categories
    ),
    **dict.fromkeys(
        ("pandas.Interval", "pandas._libs.interval.Interval"),
        lambda value: ("$interval", [value.left, value.right, value.closed]),
    ),
}

BUILDERS: dict[str, Callable[[Any, str, Finder], Any]] = {
    "$categories": _categories_of,
    "$interval": _interval_of,
}
