"""``.safetensors``: a dict of arrays or tensors in the file that model hubs exchange.

Eight bytes of header length, a JSON header padded with spaces, and the data. Nothing
in it is code, and the arrays are views on the file: mapped, and writable.
"""

import json
import math
import struct
from collections import OrderedDict
from typing import Any

import numpy as np

from runstore import codecs
from runstore.buffers import Buffer, flat
from runstore.codecs._base import type_name
from runstore.codecs._numpy import check_items, check_possible, is_judged
from runstore.codecs._numpy_dtypes import has_twin
from runstore.codecs._pickle import Pickling
from runstore.codecs._python import is_json
from runstore.codecs._reasons import shown, why_no_json
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
_ORDERED = "runstore.ordered"  # in the metadata: it was an OrderedDict, with this beside its items
_LONGEST_HEADER = 100_000_000  # the limit of the format


class SafetensorsFile:
    """A ``dict`` or state dict of text to NumPy arrays, or to torch tensors.

    The header says which of the two by the key ``format`` that other writers use,
    too: ``np`` or ``pt``. The order of the dict is kept. That it is an ``OrderedDict``,
    and the versions of modules that torch keeps in one, stand beside.
    """

    def encode(self, value: Any, ref: str, pickling: Pickling) -> list[Buffer]:
        """See `runstore.codecs.FileCodec.encode`."""
        ordered = _ordered(value, ref)
        torch = any(type_name(type(item)) == "torch.Tensor" for item in value.values())
        tensors: dict[str, tuple[str, list[int], Buffer]] = {}
        for key, item in value.items():
            if key == _META:
                raise _inexact(ref, f"and {_META!r} is not free as a name")
            taken = _torch_parts(item) if torch else _numpy_parts(item)
            if isinstance(taken, str):
                raise _inexact(ref, f"and {key!r} is {taken}")
            tensors[key] = taken
        if torch:
            _check_apart(tensors, ref)
        header: dict[str, Any] = {_META: {"format": "pt" if torch else "np"} | ordered}
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
            built = {
                key: _build(view, start, entry, torch, f"{ref} ({key})")
                for key, entry in header.items()
            }
            return _as_ordered(built, made_by) if _ORDERED in made_by else built
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise _damaged(ref, exc) from exc


def _ordered(value: Any, ref: str) -> dict[str, str]:
    """Return what the header says of a dict besides its items: nothing of a plain one."""
    if type(value) not in (dict, OrderedDict):
        raise _inexact(ref, f"and this is a {type_name(type(value)).removeprefix('builtins.')}")
    for key in value:
        if type(key) is not str:
            raise _inexact(ref, f"and the key {shown(key)} is no text")
    if type(value) is dict:
        return {}
    state = vars(value).copy()
    versions = state.pop("_metadata", None)  # torch's own, by module
    if state:
        raise _inexact(ref, f"and this OrderedDict has the attribute {next(iter(state))!r}")
    if versions is None:
        return {_ORDERED: "{}"}
    kind = type(versions)
    plain = dict(versions) if kind in (dict, OrderedDict) else None
    if plain is None or not is_json(plain):
        reason = "no dict" if plain is None else why_no_json(plain, strict=False)
        raise _inexact(ref, f"and its attribute '_metadata' is no JSON ({reason})")
    return {_ORDERED: json.dumps({"metadata": plain, "ordered": kind is OrderedDict})}


def _as_ordered(built: dict[str, Any], made_by: dict[str, str]) -> Any:
    told, value = json.loads(made_by[_ORDERED]), OrderedDict(built)
    if "metadata" in told:
        kind = OrderedDict if told["ordered"] else dict
        value._metadata = kind(told["metadata"])  # type: ignore[attr-defined]
    return value


def _check_apart(tensors: dict[str, tuple[str, list[int], Buffer]], ref: str) -> None:
    """Raise UnsupportedValueError if two tensors have memory in common: they would lose that."""
    end, last = 0, ""
    spans = [
        (view.ctypes.data, view.nbytes, key)
        for key, (_, _, data) in tensors.items()
        if (view := np.frombuffer(flat(data), "u1")).nbytes
    ]
    for start, size, key in sorted(spans):
        if start < end:
            raise _inexact(
                ref, f"and {last!r} and {key!r} share memory: clone() one, or leave it out"
            )
        end, last = start + size, key


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


def _numpy_parts(item: Any) -> tuple[str, list[int], Buffer] | str:
    """Return dtype, shape and data of an array; what it is if they would not say all of it."""
    if type(item) is not np.ndarray:
        return f"a {type_name(type(item)).removeprefix('builtins.')}"
    if item.flags.fnc:
        return "in Fortran order"
    name = _NAMES.get(item.dtype)
    if name is None or not item.dtype.isnative or has_twin(item.dtype):
        return f"of {item.dtype.str!r}, a dtype that the format has not"
    if item.dtype.metadata:
        return f"of a dtype with metadata ({item.dtype.metadata})"
    check_possible(item)
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


def _torch_parts(item: Any) -> tuple[str, list[int], Buffer] | str:
    from runstore.codecs._torch import bytes_of, described

    kind = type_name(type(item)).removeprefix("builtins.")
    if kind != "torch.Tensor":
        return f"a {kind}"
    spec = described(item)
    if spec is None:
        return f"a tensor of {item.layout} on {item.device}, or with state beside its items"
    if spec["grad"]:
        return "a tensor that has a gradient: detach() it"
    if spec["dtype"] not in _FROM_TORCH:
        return f"of {spec['dtype']}, a dtype that the format has not"
    if not item.is_contiguous():
        return "strided: call contiguous()"
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
        f"or to torch tensors, {why}. Store it under a name without .safetensors",
        ref,
    )


def _damaged(ref: str, why: Any) -> CorruptObjectError:
    return CorruptObjectError(f"{ref} is not a whole .safetensors file: {why}", ref)
