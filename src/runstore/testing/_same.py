"""Whether two values are the same: types, bits, names, and each missing value's own kind."""

import math
import struct
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, is_dataclass
from enum import Enum
from importlib import import_module
from typing import Any

__all__ = ["all_same", "assert_same", "same_numpy_dtype"]


def assert_same(expected: Any, actual: Any) -> None:
    """Assert that *actual* cannot be told from *expected*, however closely one looks.

    Stricter than ``==`` and than pandas' own assertions: NaN, None, NaT and NA are
    four things, ``0.0`` is not ``-0.0``, floats are compared by their bits, zones and
    storages by their types. For pandas, NumPy, pyarrow, polars,
    xarray, torch and plain Python.

    Raises:
        AssertionError: They differ; the message leads to the part that does.
    """
    assert type(expected) is type(actual), f"{type(expected)} became {type(actual)}"
    _comparer_for(expected)(expected, actual)


def _comparer_for(value: Any) -> Callable[[Any, Any], None]:
    for module, name, comparer in _COMPARERS:
        library = sys.modules.get(module)
        if library is not None and isinstance(value, getattr(library, name, ())):
            return comparer
    return _same_python


def all_same(expected: Any, actual: Any) -> None:
    """Assert that two sequences have the same items."""
    assert len(expected) == len(actual)
    for one, other in zip(expected, actual, strict=True):
        assert_same(one, other)


# Python ------------------------------------------------------------------------------------------


def _same_python(expected: Any, actual: Any) -> None:
    kind = type(expected)
    if kind is float:
        if not (math.isnan(expected) and math.isnan(actual)):
            assert struct.pack("<d", expected) == struct.pack("<d", actual)
    elif kind is complex:
        assert_same(expected.real, actual.real)
        assert_same(expected.imag, actual.imag)
    elif kind in (list, tuple):
        all_same(expected, actual)
    elif kind in (dict, OrderedDict):
        assert_same(getattr(expected, "__dict__", None), getattr(actual, "__dict__", None))
        all_same(list(expected), list(actual))
        all_same(list(expected.values()), list(actual.values()))
    elif kind in (set, frozenset):
        _same_set(expected, actual)
    elif kind is slice:
        all_same(_ends(expected), _ends(actual))
    elif isinstance(expected, tuple) and hasattr(expected, "_fields"):
        assert expected._fields == actual._fields
        all_same(expected, actual)
    elif issubclass(kind, Enum):
        assert expected is actual
    elif is_dataclass(expected) and not isinstance(expected, type):
        for field in fields(expected):
            assert_same(getattr(expected, field.name), getattr(actual, field.name))
    elif hasattr(kind, "model_fields"):
        for name in ("__dict__", "__pydantic_extra__", "__pydantic_private__"):
            assert_same(getattr(expected, name), getattr(actual, name))
        assert expected.model_fields_set == actual.model_fields_set
    elif kind in (Counter, defaultdict):
        assert getattr(expected, "default_factory", 0) is getattr(actual, "default_factory", 0)
        all_same(list(expected), list(actual))
        all_same(list(expected.values()), list(actual.values()))
    elif kind is deque:
        assert expected.maxlen == actual.maxlen
        all_same(list(expected), list(actual))
    elif expected is not actual:
        assert expected == actual or (expected != expected and actual != actual)
        assert getattr(expected, "unit", None) == getattr(actual, "unit", None)
        assert str(expected) == str(actual)  # digits of a Decimal, a zone's name
        assert getattr(expected, "fold", None) == getattr(actual, "fold", None)
        assert type(getattr(expected, "tzinfo", None)) is type(getattr(actual, "tzinfo", None))


def _same_set(expected: Any, actual: Any) -> None:
    """Compare items in any order: that of text differs from process to process."""
    assert len(expected) == len(actual)
    left = list(actual)
    for item in expected:
        for at, other in enumerate(left):
            with suppress(AssertionError):
                assert_same(item, other)
                del left[at]
                break
        else:
            raise AssertionError(f"{item!r} is not among {left[:10]}")


def _ends(value: slice) -> list[Any]:
    return [value.start, value.stop, value.step]


# NumPy -------------------------------------------------------------------------------------------


def _same_array(expected: Any, actual: Any) -> None:
    same_numpy_dtype(expected.dtype, actual.dtype)
    assert expected.shape == actual.shape
    assert expected.flags.fnc == actual.flags.fnc, "the memory order differs"
    if expected.dtype.hasobject:
        all_same(expected.ravel().tolist(), actual.ravel().tolist())
    elif expected.dtype.kind == "T":
        assert expected.tolist() == actual.tolist()
    else:
        assert _bits(expected) == _bits(actual)
    if hasattr(expected, "fill_value"):
        assert expected.mask.tobytes() == actual.mask.tobytes()
        assert_same(expected.fill_value, actual.fill_value)


def same_numpy_dtype(expected: Any, actual: Any) -> None:
    """Assert that two dtypes are the same, with their metadata and layout."""
    assert expected == actual, f"{expected!r} became {actual!r}"
    assert expected.type is actual.type
    assert expected.isalignedstruct == actual.isalignedstruct
    assert dict(expected.metadata or {}) == dict(actual.metadata or {})
    for name in expected.names or ():
        same_numpy_dtype(expected.fields[name][0], actual.fields[name][0])


def _same_scalar(expected: Any, actual: Any) -> None:
    same_numpy_dtype(expected.dtype, actual.dtype)
    assert _bits(expected) == _bits(actual)


def _bits(array: Any) -> Any:
    """Return the bytes that carry something: padding does not."""
    if array.dtype.names:
        return [_bits(array[name]) for name in array.dtype.names]
    data = array.tobytes()
    if array.dtype.char in "gG":  # 80 bits of 128, where the machine has them
        return [data[at : at + 10] for at in range(0, len(data), 16)]
    return data


# Arrow and polars --------------------------------------------------------------------------------


def _same_tables(expected: Any, actual: Any) -> None:
    assert expected.schema.equals(actual.schema, check_metadata=True), (
        f"{expected.schema} became {actual.schema}"
    )
    assert expected.num_rows == actual.num_rows
    for one, other in zip(expected.columns, actual.columns, strict=True):
        assert_same(one, other)


def _same_column(expected: Any, actual: Any) -> None:
    assert expected.type.equals(actual.type, check_metadata=True)
    actual.validate(full=True)
    all_same(expected.to_pylist(), actual.to_pylist())
    if "dictionary" in str(expected.type):
        assert expected.equals(actual), "the dictionaries differ"


def _same_schema(expected: Any, actual: Any) -> None:
    assert expected.equals(actual, check_metadata=True)


def _same_polars(expected: Any, actual: Any) -> None:
    assert dict(expected.schema) == dict(actual.schema)
    assert list(expected.columns) == list(actual.columns)
    assert expected.shape == actual.shape
    for one, other in zip(expected, actual, strict=True):
        assert_same(one, other)


def _same_polars_series(expected: Any, actual: Any) -> None:
    assert expected.name == actual.name
    assert expected.dtype == actual.dtype
    all_same(expected.to_list(), actual.to_list())


# SciPy ----------------------------------------------------------------------------------------


def _same_sparse(expected: Any, actual: Any) -> None:
    known = {"_has_sorted_indices", "_has_canonical_format"}  # found again
    one, other = vars(expected), vars(actual)
    assert one.keys() - known == other.keys() - known
    for name in one.keys() - known:
        assert_same(one[name], other[name])


# torch -------------------------------------------------------------------------------------------


def _strides(tensor: Any) -> list[int]:
    """Return the strides that matter: those of dimensions with several items."""
    return [step for step, size in zip(tensor.stride(), tensor.shape, strict=True) if size > 1]


def _same_tensor(expected: Any, actual: Any) -> None:
    assert (expected.dtype, expected.shape) == (actual.dtype, actual.shape)
    assert expected.requires_grad == actual.requires_grad
    order = sorted(range(expected.ndim), key=lambda i: -expected.stride()[i])
    if expected.permute(order).is_contiguous():  # a view with gaps comes back without them
        assert _strides(expected) == _strides(actual)
    assert repr(expected.tolist()) == repr(actual.tolist())


# xarray ------------------------------------------------------------------------------------------


def _same_dataset(expected: Any, actual: Any) -> None:
    all_same(list(expected.data_vars), list(actual.data_vars))
    for name in expected.data_vars:
        _same_variable(expected[name].variable, actual[name].variable)
    assert_same(expected.attrs, actual.attrs)
    assert_same(expected.encoding, actual.encoding)
    _same_coordinates(expected, actual)


def _same_data_array(expected: Any, actual: Any) -> None:
    assert_same(expected.name, actual.name)
    _same_variable(expected.variable, actual.variable)
    _same_coordinates(expected, actual)


def _same_tree(expected: Any, actual: Any) -> None:
    assert_same(expected.name, actual.name)
    _same_dataset(*(node.to_dataset(inherit=False) for node in (expected, actual)))
    assert_same(expected.encoding, actual.encoding)
    assert_same(dict(expected.children), dict(actual.children))


def _same_coordinates(expected: Any, actual: Any) -> None:
    all_same(list(expected.coords), list(actual.coords))
    for name in expected.coords:
        _same_variable(expected.coords[name].variable, actual.coords[name].variable)
    all_same(list(expected.xindexes), list(actual.xindexes))
    for name in expected.indexes:
        assert type(expected.xindexes[name]) is type(actual.xindexes[name])
        assert_same(expected.indexes[name], actual.indexes[name])


def _same_variable(expected: Any, actual: Any) -> None:
    assert type(expected) is type(actual)
    assert expected.dims == actual.dims
    one, other = (getattr(kept._data, "array", kept._data) for kept in (expected, actual))
    assert type(expected._data) is type(actual._data)
    assert expected.dtype == actual.dtype
    assert_same(one, other)
    assert_same(expected.attrs, actual.attrs)
    assert_same(expected.encoding, actual.encoding)


def _same_constant(expected: Any, actual: Any) -> None:
    assert expected is actual


def _of_pandas(name: str) -> Callable[[Any, Any], None]:
    """Return what compares two values of pandas; it compares their parts with what is here."""

    def compare(expected: Any, actual: Any) -> None:
        getattr(import_module("runstore.testing._same_pandas"), name)(expected, actual)

    return compare


_COMPARERS: tuple[tuple[str, str, Callable[[Any, Any], None]], ...] = (
    ("pandas", "DataFrame", _of_pandas("same_frame")),
    ("pandas", "Series", _of_pandas("same_series")),
    ("pandas", "Index", _of_pandas("same_index")),
    ("pandas.api.extensions", "ExtensionArray", _of_pandas("same_values")),
    ("scipy.sparse", "sparray", _same_sparse),
    ("scipy.sparse", "spmatrix", _same_sparse),
    ("numpy.ma.core", "MaskedConstant", _same_constant),
    ("numpy", "ndarray", _same_array),
    ("numpy", "generic", _same_scalar),
    ("pyarrow", "Table", _same_tables),
    ("pyarrow", "RecordBatch", _same_tables),
    ("pyarrow", "Array", _same_column),
    ("pyarrow", "ChunkedArray", _same_column),
    ("pyarrow", "Schema", _same_schema),
    ("polars", "DataFrame", _same_polars),
    ("polars", "Series", _same_polars_series),
    ("torch", "Tensor", _same_tensor),
    ("xarray", "Dataset", _same_dataset),
    ("xarray", "DataArray", _same_data_array),
    ("xarray", "DataTree", _same_tree),
)
