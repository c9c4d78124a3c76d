"""Whether two values of pandas are the same: labels, dtypes, cells, attributes."""

from collections.abc import Callable
from typing import Any, cast

from runstore.testing._same import all_same, assert_same, same_numpy_dtype

__all__ = ["same_frame", "same_index", "same_series", "same_values"]


# pandas cannot compare some frames with themselves: unsortable labels, arrays as cells; and an
# older one not Arrow's extension types.
_INCOMPARABLE = (TypeError, ValueError, NotImplementedError)


def same_frame(expected: Any, actual: Any) -> None:
    """Assert that two frames are the same."""
    assert_same(expected.columns, actual.columns)
    assert_same(expected.index, actual.index)
    for i in range(expected.shape[1]):
        same_values(expected.iloc[:, i].array, actual.iloc[:, i].array)
    _same_attributes(expected, actual)
    import numpy as np
    from pandas.testing import assert_frame_equal

    try:
        with np.errstate(invalid="ignore"):  # it compares NaNs that signal
            assert_frame_equal(
                expected,
                actual,
                check_exact=True,
                check_freq=True,
                check_flags=True,
                check_index_type=cast("bool", "exact"),  # missing in the stubs
                check_column_type=cast("bool", "exact"),
                check_names=True,
                check_categorical=True,
            )
    except _INCOMPARABLE:
        _expect_incomparable(assert_frame_equal, expected)


def same_series(expected: Any, actual: Any) -> None:
    """Assert that two series are the same."""
    assert_same(expected.index, actual.index)
    assert_same(expected.name, actual.name)
    same_values(expected.array, actual.array)
    _same_attributes(expected, actual)


def _expect_incomparable(compare: Callable[[Any, Any], None], value: Any) -> None:
    try:
        compare(value, value.copy())
    except _INCOMPARABLE:
        return
    raise AssertionError("pandas compares the value with its copy, but not with what came back")


def _same_attributes(expected: Any, actual: Any) -> None:
    assert_same(expected.attrs, actual.attrs)
    assert expected.flags == actual.flags
    for name in expected._metadata:  # what a subclass carries along
        if name != "_name":
            assert_same(getattr(expected, name, None), getattr(actual, name, None))


def same_index(expected: Any, actual: Any) -> None:
    """Assert that two indexes are the same."""
    all_same(list(expected.names), list(actual.names))
    if hasattr(expected, "levels"):
        all_same(list(expected.levels), list(actual.levels))
        assert expected.sortorder == actual.sortorder
        for one, other in zip(expected.codes, actual.codes, strict=True):
            assert one.dtype == other.dtype
            assert one.tolist() == other.tolist()
        return
    same_values(expected.array, actual.array)
    assert getattr(expected, "freq", None) == getattr(actual, "freq", None)
    if hasattr(expected, "step"):
        assert (expected.start, expected.stop, expected.step) == (
            actual.start,
            actual.stop,
            actual.step,
        )


def same_values(expected: Any, actual: Any) -> None:
    """Compare the arrays behind two columns."""
    import numpy as np
    import pandas as pd

    assert type(expected) is type(actual), f"{type(expected)} became {type(actual)}"
    if isinstance(expected, pd.arrays.NumpyExtensionArray):  # what .array makes of an ndarray
        expected, actual = expected.to_numpy(), actual.to_numpy()
    _same_dtype(expected.dtype, actual.dtype)
    assert len(expected) == len(actual)
    if isinstance(expected.dtype, np.dtype):
        one, other = np.asarray(expected), np.asarray(actual)
        if one.dtype == object:
            all_same(list(one), list(other))
        else:
            assert one.tobytes() == other.tobytes()
    elif isinstance(expected, pd.Categorical):
        assert expected.codes.dtype == actual.codes.dtype
        assert expected.codes.tolist() == actual.codes.tolist()
    elif isinstance(expected.dtype, pd.DatetimeTZDtype):
        assert expected.asi8.tolist() == actual.asi8.tolist()
    else:
        all_same(list(expected), list(actual))


def _same_dtype(expected: Any, actual: Any) -> None:
    import numpy as np
    import pandas as pd

    assert type(expected) is type(actual)
    assert expected == actual, f"{expected!r} became {actual!r}"
    if isinstance(expected, np.dtype):
        same_numpy_dtype(expected, actual)
    elif isinstance(expected, pd.StringDtype):
        assert expected.storage == actual.storage
        assert expected.na_value is actual.na_value or expected.na_value is not pd.NA
    elif isinstance(expected, pd.DatetimeTZDtype):
        assert type(expected.tz) is type(actual.tz)
        assert str(expected.tz) == str(actual.tz)
    elif isinstance(expected, pd.CategoricalDtype):
        assert expected.ordered is actual.ordered
        assert_same(expected.categories, actual.categories)
