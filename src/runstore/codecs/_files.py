"""Formats chosen by a name's extension that are a file of their own, without our header.

What they cannot hold exactly is refused before anything is written.
"""

import io
import json
import math
from tokenize import TokenError
from typing import Any, Protocol

from runstore.buffers import Buffer, flat
from runstore.codecs._pickle import Pickling
from runstore.codecs._python import is_json
from runstore.codecs._reasons import why_no_array, why_no_json
from runstore.errors import (
    CorruptObjectError,
    MissingExtraError,
    UnsupportedFormatError,
    UnsupportedValueError,
)
from runstore.file_types import raw_type
from runstore.keys import ARROW, FORMATS
from runstore.lifetime import load_module
from runstore.plugins import has_format

__all__ = ["FileCodec", "file_codec", "stored_as_file"]


class FileCodec(Protocol):
    """A value as the bytes of a file that any tool of its kind reads."""

    def encode(self, value: Any, ref: str, pickling: Pickling) -> list[Buffer]:
        """Return the file's bytes.

        Raises:
            UnsupportedValueError: The format cannot hold *value* exactly.
            UnsafePickleError: It is pickle and the policy forbids it.
        """
        ...

    def decode(self, data: Buffer, ref: str, pickling: Pickling) -> Any:
        """Rebuild the value, on the memory of *data* where the format allows.

        Raises:
            CorruptObjectError: It is not such a file.
            UnsafePickleError: It is pickle and the policy forbids it.
        """
        ...


class _Json:
    """Strict JSON: no NaN, no infinities, no keys but text."""

    def encode(self, value: Any, ref: str, pickling: Pickling) -> list[Buffer]:
        if not is_json(value) or not _is_finite(value):
            raise UnsupportedValueError(
                f"cannot store {ref}: JSON does not hold this {type(value).__name__} exactly: "
                f"{why_no_json(value, strict=True)}. It takes None, bool, int, finite float, str, "
                "and lists and dicts (with str keys) of "
                f"these, at most 64 deep. {_WAY_OUT.format('json')}",
                ref,
            )
        return [json.dumps(value, ensure_ascii=True, allow_nan=False).encode()]

    def decode(self, data: Buffer, ref: str, pickling: Pickling) -> Any:
        try:
            return json.loads(bytes(flat(data)))
        except (ValueError, RecursionError) as exc:
            raise CorruptObjectError(f"{ref} is not JSON: {exc}", ref) from exc


class _Npy:
    """NumPy's own file; read in place, so it is mapped and can be written to."""

    def encode(self, value: Any, ref: str, pickling: Pickling) -> list[Buffer]:
        import numpy as np

        from runstore.codecs._numpy import NumpyCodec
        from runstore.codecs._numpy_dtypes import has_gaps, has_twin_within, without_gaps

        exact = type(value) is np.ndarray and value.dtype.isbuiltin != 2 and value.dtype.kind != "T"
        exact = exact and not has_twin_within(value.dtype)
        if not exact or NumpyCodec().encode(value, pickling) is None:
            raise UnsupportedValueError(
                f"cannot store {ref}: .npy holds plain NumPy arrays without Python objects, not "
                f"{why_no_array(value)}. {_WAY_OUT.format('npy')}",
                ref,
            )
        head = io.BytesIO()
        np.lib.format.write_array_header_2_0(head, np.lib.format.header_data_from_array_1_0(value))
        if head.tell() > _LONGEST_HEADER:
            raise UnsupportedValueError(
                f"cannot store {ref}: its dtype takes a longer header than NumPy reads from a "
                f".npy. {_WAY_OUT.format('npy')}",
                ref,
            )
        ordered = value.T if np.isfortran(value) else np.ascontiguousarray(value)
        if has_gaps(ordered.dtype):
            ordered = without_gaps(ordered)
        return [head.getvalue(), ordered.reshape(-1).view("u1").data if value.size else b""]

    def decode(self, data: Buffer, ref: str, pickling: Pickling) -> Any:
        import numpy as np

        from runstore.codecs._numpy import check_items, is_judged

        head = io.BytesIO(bytes(flat(data)[:_HEAD]))
        try:
            version = np.lib.format.read_magic(head)
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, fortran, dtype = read(head)
            if dtype.hasobject:
                raise UnsupportedFormatError(
                    f"{ref} holds Python objects, which .npy keeps as pickle: not loaded", ref
                )
            count = math.prod(shape)
            if head.tell() + count * dtype.itemsize != flat(data).nbytes:
                raise ValueError("there is more or less in it than one array")
            if count and not dtype.itemsize:  # NumPy would make them wider: of any size
                raise UnsupportedFormatError(f"{ref} has items of no bytes: not loaded", ref)
            array = np.frombuffer(flat(data), dtype, count, head.tell()) if count else None
        except (ValueError, SyntaxError, TokenError, RecursionError) as exc:
            raise CorruptObjectError(f"{ref} is not a whole .npy file: {exc}", ref) from exc
        if array is None:
            return np.empty(shape, dtype)
        if is_judged(dtype):
            check_items(array, ref)
        return array.reshape(shape, order="F" if fortran else "C")


_HEAD = 1 << 20  # far more than the header of any array has
_LONGEST_HEADER = 9500  # NumPy reads 10,000 bytes, and a digest is yet to come


class _Pkl:
    """A pickle, under the store's policy."""

    def encode(self, value: Any, ref: str, pickling: Pickling) -> list[Buffer]:
        return [pickling.dumps(value)]

    def decode(self, data: Buffer, ref: str, pickling: Pickling) -> Any:
        return pickling.loads(data)


_WAY_OUT = "Store it under a name without .{}, which keeps it exactly"

_FILES: dict[str, FileCodec] = {"json": _Json(), "npy": _Npy(), "pkl": _Pkl()}

# Extension to module, class, and the pip line for what it needs.
_ASLEEP = {
    "csv": ("runstore.codecs._csv", "CsvFile", "runstore[pandas]"),
    "safetensors": ("runstore.codecs._safetensors", "SafetensorsFile", "runstore"),
    "skops": ("runstore.codecs._skops", "SkopsFile", "runstore[sklearn]"),
}


def file_codec(extension: str, ref: str) -> FileCodec:
    """Return the codec of files with this extension.

    Raises:
        UnsupportedFormatError: There is none here.
        MissingExtraError: The library it is for is not installed.
    """
    codec = _FILES.get(extension)
    if codec is None and extension in _ASLEEP:
        module, attribute, extra = _ASLEEP[extension]
        try:
            codec = getattr(load_module(module), attribute)()
        except ModuleNotFoundError as exc:
            raise MissingExtraError(
                f"{ref}: a .{extension} file needs {exc.name!r}: pip install '{extra}'", ref
            ) from exc
    elif codec is None:
        from runstore.codecs._plugins import plugin_file
        from runstore.codecs._raw_files import raw_codec

        codec = raw_codec(extension) or plugin_file(extension)
    if codec is None:
        raise UnsupportedFormatError(
            f"{ref} is a file of the format .{extension}, which nothing here reads: install the "
            f"package that brings the format (its entry point is {extension!r} in "
            "runstore.formats). The file as it is: get(name, as_type=bytes)",
            ref,
        )
    _FILES[extension] = codec
    return codec


def stored_as_file(extension: str, value: Any) -> bool:
    """Return whether a value is stored under this extension as a plain file of its kind.

    If not, it is an Arrow or Parquet file. Nothing is imported to find out.
    """
    if extension in (ARROW, "parquet"):
        return False
    from runstore.codecs._raw_files import takes_as_file

    if raw_type(extension) is not None:
        return takes_as_file(value)
    return extension in FORMATS or has_format(extension)


def _is_finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list):
        return all(map(_is_finite, value))
    return all(map(_is_finite, value.values())) if isinstance(value, dict) else True
