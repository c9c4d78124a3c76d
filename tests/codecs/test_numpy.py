"""NumPy arrays of every dtype, order and shape."""

import warnings
from typing import Any

import numpy as np
import pytest

from runstore import ObjectStore
from runstore.errors import CorruptObjectError
from runstore.testing import CodecTests, assert_same

_NUMBERS = [
    "?",
    "b",
    "B",
    "h",
    "H",
    "i",
    "I",
    "l",
    "L",
    "q",
    "Q",
    "e",
    "f",
    "d",
    "g",
    "F",
    "D",
    "G",
]
_BIG = [">i2", ">u8", ">f4", ">f8", ">c16", ">U3", ">M8[ns]", ">m8[h]"]
_TIMES = [f"{kind}8[{unit}]" for kind in "Mm" for unit in ("Y", "D", "s", "ns", "as", "25s")]
_BYTES = ["S1", "S7", "U1", "U7", "V3", "M8", "m8"]
_STRUCTURED = {
    "record": [("a", "i4"), ("b", "f8")],
    "nested": [("a", [("x", "i2"), ("y", ">f4")]), ("b", "S3")],
    "with shapes": [("a", "f4", (2, 3)), ("b", "u1", 4)],
    "with titles": [(("a long title", "a"), "i4")],
    "with padding": {"names": ["a", "b"], "formats": ["i1", "f8"], "offsets": [4, 16]},
    "longer than its fields": {"names": ["a"], "formats": ["i1"], "itemsize": 64},
}


def _variable_text() -> dict[str, Any]:
    """Give an array of NumPy 2's text, where there is such."""
    kind: Any = getattr(np.dtypes, "StringDType", None)
    return {} if kind is None else {"variable text": np.array(["a", "long" * 9], kind())}


class TestNumpy(CodecTests):
    codec = "numpy"
    zero_copy = True

    @classmethod
    def values(cls) -> dict[str, Any]:
        plain = {dtype: _array(dtype) for dtype in [*_NUMBERS, *_BIG, *_TIMES, *_BYTES]}
        structured = {name: _array(dtype) for name, dtype in _STRUCTURED.items()}
        cube = np.arange(24.0).reshape(2, 3, 4)
        return {
            **_variable_text(),
            "usual": np.arange(5),
            **plain,
            **structured,
            "F order": np.asfortranarray(cube),
            "neither order": cube.transpose(1, 2, 0),
            "strided": cube[:, ::2, ::-1],
            "one column": cube[0, :, 1],
            "broadcast": np.broadcast_to(np.arange(3), (4, 3)),
            "0-d": np.array(7),
            "0-d structured": _array([("a", "i4"), ("b", "f8")])[0:1].reshape(()),
            "empty": np.empty(0),
            "empty in one direction": np.empty((3, 0, 2), "i2"),
            "empty F": np.empty((0, 3), "f4", order="F"),
            "empty text": np.empty((0,), "U5"),
            "read-only": _read_only(np.arange(3)),
            "NaNs of all kinds": np.array(
                [0x7FF8000000000001, 0xFFF8 << 48, 0x7FF4 << 48], "u8"
            ).view("f8"),
            "negative zero": np.array([-0.0, 0.0]),
            "lone surrogate": np.array(["\ud800"]),
            "trailing zeros": np.array([b"a\0", b"\0"]),
            "unaligned": np.frombuffer(b"x" + bytes(16), "f8", 2, 1),
        }

    @classmethod
    def inexact(cls) -> dict[str, Any]:
        overlapping = np.dtype({"names": ["a", "b"], "formats": ["i4", "i2"], "offsets": [0, 0]})
        inner = np.dtype([("x", "i1"), ("y", "f8")], align=True)
        return {
            "objects": np.array([1, "a"], object),
            "objects inside": np.array([(1, None)], [("a", "i4"), ("b", object)]),
            "metadata": np.zeros(2, np.dtype("f8", metadata={"unit": "m"})),
            "metadata inside": np.zeros(2, [("a", np.dtype("f8", metadata={"unit": "m"}))]),
            "aligned": np.zeros(2, inner),
            "overlapping": np.zeros(2, overlapping),
            "aligned inside": np.zeros(2, [("a", inner)]),
            "text of length 0": np.zeros(3, [("a", "S0")])["a"],
            "record dtype": np.zeros(2, np.dtype((np.record, [("a", "i4")]))),
        }

    @classmethod
    def large(cls) -> Any:
        return np.arange(1 << 20, dtype="f8")

    def change(self, value: Any) -> bool:
        return _change(value)


@pytest.mark.parametrize("name", TestNumpy.inexact())
def test_what_is_declined_is_pickled(name: str) -> None:
    """What the codec declines comes back by pickle all the same."""
    store = ObjectStore("memory://codecs").at(namespace="tests", run="numpy")
    value = TestNumpy.inexact()[name]
    store.put("x", value)
    assert_same(value, store.get("x"))


@pytest.mark.parametrize(
    "value",
    [
        np.float32(1.5),
        np.datetime64("2024-01-01", "D"),
        np.str_("a"),
        np.ma.array([1, 2], mask=[True, False], fill_value=9),
        np.rec.array([(1, "a")], dtype=[("a", "i4"), ("b", "U1")]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_kin_of_arrays_keep_their_type(value: Any) -> None:
    """Scalars, masked arrays and subclasses are not turned into plain arrays."""
    store = ObjectStore("memory://codecs").at(namespace="tests", run="numpy")
    store.put("x", value)
    assert_same(value, store.get("x"))


def test_shape_and_data_must_fit() -> None:
    """A spec that asks for more items than there are is damage, not a wild read."""
    suite = TestNumpy()
    encoded = suite.encode(np.arange(5))
    assert encoded is not None
    encoded.spec["shape"] = [6]
    with pytest.raises(CorruptObjectError):
        suite.read(suite.file(encoded))


def _array(dtype: Any) -> np.ndarray[Any, Any]:
    """Give three different items of any dtype."""
    dtype = np.dtype(dtype)
    if dtype.kind in "SU":
        return np.array(["a", "bc", ""], dtype)
    if dtype.kind in "Mm":
        if dtype.str[-1] == "]":
            return np.array([1, -5, "NaT"], dtype)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # NumPy 2.5: durations of no unit
            return np.array(["NaT"], dtype)
    if dtype.kind == "V":
        return np.frombuffer(bytes(range(1, 3 * dtype.itemsize + 1)), dtype).copy()
    return np.array([0, 1, 100]).astype(dtype)


def _read_only(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    array.flags.writeable = False
    return array


def _change(value: np.ndarray[Any, Any]) -> bool:
    if not value.nbytes:
        return False
    if value.dtype.kind == "T":
        value[...] = "changed"
        return True
    flat = value.reshape(-1, order="A").view("u1")
    flat ^= 0xFF
    return True
