"""``.safetensors``: a dict of arrays or tensors in the file that model hubs exchange.

Eight bytes of header length, a JSON header padded with spaces, and the data. Nothing
in it is code, and the arrays are views on the file: mapped, and writable.
"""

import json
import math
import struct
from typing import Any

import numpy as np

from runstore import codecs
from runstore.buffers import Buffer, flat
from runstore.codecs._base import type_name
from runstore.codecs._numpy import check_items, is_judged
from runstore.codecs._numpy_dtypes import has_twin
from runstore.codecs._pickle import Pickling
from runstore.errors import (
    CorruptObjectError,
    UnsupportedFormatError,
    UnsupportedValueError,
)

__all__ = ["SafetensorsFile"]

_DTYPES = {
    "BOOL": "?",
    "C64": "<c8",
    "F16": "<f2",
    "F32": "<f4",
    "F64": "<f8",
    "I8": "i1",
    "I16": "<i2",
    "I32": "<i4",
    "I64": "<i8",
    "U8": "u1",
    "U16": "<u2",
    "U32": "<u4",
    "U64": "<u8",
}
_NAMES = {np.dtype(text): name for name, text in _DTYPES.items()}
_META = "__metadata__"
_LONGEST_HEADER = 100_000_000  # the limit of the format


class SafetensorsFile:
    """A ``dict`` of text to NumPy arrays, or to torch tensors.

    The header says which of the two by the key ``format`` that other writers use,
    too: ``np`` or ``pt``. The order of the dict is kept.
    """

    def encode(self, value: Any, ref: str, pickling: Pickling) -> list[Buffer]:
        """See `runstore.codecs.FileCodec.encode`."""
        if type(value) is not dict or not all(type(key) is str for key in value):
            raise _inexact(ref, f"not a {type_name(type(value))} like this one")
        torch = any(type_name(type(item)) == "torch.Tensor" for item in value.values())
        tensors: dict[str, tuple[str, list[int], Buffer]] = {}
        for key, item in value.items():
            if key == _META:
                raise _inexact(ref, f"and {_META!r} is not free as a name")
            if not (taken := _torch_parts(item) if torch else _numpy_parts(item)):
                what = getattr(item, "dtype", type_name(type(item)))
                raise _inexact(ref, f"and {key!r} ({what}) is none, or strided, or has a gradient")
            tensors[key] = taken
        header: dict[str, Any] = {_META: {"format": "pt" if torch else "np"}}
        # Widest first, so that each is aligned; the header keeps the dict's order.
        header.update(dict.fromkeys(tensors))
        parts, at = [], 0
        for key in sorted(tensors, key=lambda key: -_width(tensors[key])):
            name, shape, data = tensors[key]
            end = at + flat(data).nbytes
            header[key] = {"dtype": name, "shape": shape, "data_offsets": [at, end]}
            parts.append(data)
            at = end
        try:
            text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise _inexact(ref, "and one of the names is no text") from None
        text += b" " * (-(8 + len(text)) % 64)
        return [struct.pack("<Q", len(text)) + text, *parts]

    def decode(self, data: Buffer, ref: str, pickling: Pickling) -> Any:
        """See `runstore.codecs.FileCodec.decode`."""
        view = flat(data)
        header, start = _header(view, ref)
        made_by = header.pop(_META, None) or {}
        torch = isinstance(made_by, dict) and made_by.get("format") == "pt"
        if torch:
            codecs.codec_named("torch")  # or say what to install
        try:
            spans = sorted(entry["data_offsets"] for entry in header.values())
            ends = [0, *(end for _, end in spans)]
            if [begin for begin, _ in spans] != ends[:-1] or start + ends[-1] != view.nbytes:
                raise _damaged(ref, "its parts do not fill the file")
            return {
                key: _build(view, start, entry, torch, f"{ref} ({key})")
                for key, entry in header.items()
            }
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise _damaged(ref, exc) from exc


def _header(view: memoryview, ref: str) -> tuple[dict[str, Any], int]:
    length = int.from_bytes(view[:8], "little")
    if view.nbytes < 8 or length > min(view.nbytes - 8, _LONGEST_HEADER):
        raise _damaged(ref, "it is too short for its header")
    try:
        header = json.loads(bytes(view[8 : 8 + length]))
    except (ValueError, RecursionError) as exc:
        raise _damaged(ref, exc) from exc
    if not isinstance(header, dict):
        raise _damaged(ref, "its header is no object")
    return header, 8 + length


def _build(view: memoryview, start: int, entry: dict[str, Any], torch: bool, ref: str) -> Any:
    begin, end = entry["data_offsets"]
    shape = [int(size) for size in entry["shape"]]
    data = np.frombuffer(view, "u1", end - begin, start + begin) if end > begin else _nothing()
    if torch:
        from runstore.codecs._torch import tensor_of

        return tensor_of(data, _torch_name(entry["dtype"], ref), shape)
    if entry["dtype"] not in _DTYPES:
        raise UnsupportedFormatError(
            f"{ref} is of the dtype {entry['dtype']}, which NumPy has not. Read it with torch",
            ref,
        )
    dtype = np.dtype(_DTYPES[entry["dtype"]])
    if math.prod(shape) * dtype.itemsize != end - begin or min(shape, default=0) < 0:
        raise _damaged(ref, "shape and data differ")
    array = data.view(dtype).reshape(shape)
    if is_judged(dtype):
        check_items(array, ref)
    return array


def _nothing() -> Any:
    return np.empty(0, "u1")


def _numpy_parts(item: Any) -> tuple[str, list[int], Buffer] | None:
    """Return dtype, shape and data of an array; None if they would not say all of it."""
    if type(item) is not np.ndarray or item.flags.fnc or has_twin(item.dtype):
        return None
    name = _NAMES.get(item.dtype)
    if name is None or not item.dtype.isnative or item.dtype.metadata:
        return None
    data = np.ascontiguousarray(item).reshape(-1).view("u1").data if item.size else b""
    return name, list(item.shape), data


# Torch's names for what the format calls otherwise.
_TORCH = {
    "BOOL": "bool",
    "BF16": "bfloat16",
    "F16": "float16",
    "F32": "float32",
    "F64": "float64",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "C64": "complex64",
    "U8": "uint8",
    "U16": "uint16",
    "U32": "uint32",
    "U64": "uint64",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
}
_FROM_TORCH = {torch: name for name, torch in _TORCH.items()}


def _torch_parts(item: Any) -> tuple[str, list[int], Buffer] | None:
    from runstore.codecs._torch import bytes_of, described

    spec = described(item)
    if spec is None or spec["grad"] or spec["dtype"] not in _FROM_TORCH:
        return None
    if not item.is_contiguous():
        return None
    return _FROM_TORCH[spec["dtype"]], spec["shape"], bytes_of(item).data


def _torch_name(name: str, ref: str) -> str:
    if name not in _TORCH:
        raise UnsupportedFormatError(f"{ref} is of the dtype {name}, which is not known here", ref)
    return _TORCH[name]


def _width(tensor: tuple[str, list[int], Buffer]) -> int:
    _, shape, data = tensor
    count = math.prod(shape)
    return flat(data).nbytes // count if count else 0


def _inexact(ref: str, why: str) -> UnsupportedValueError:
    return UnsupportedValueError(
        f"cannot store {ref}: .safetensors holds a dict of text to plain NumPy arrays in C order, "
        f"or to torch tensors, {why}. Leave the extension away to store it exactly",
        ref,
    )


def _damaged(ref: str, why: Any) -> CorruptObjectError:
    return CorruptObjectError(f"{ref} is not a whole .safetensors file: {why}", ref)
