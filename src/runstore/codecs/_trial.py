"""What is stored can be read: each kind of value is read once, before the first is stored.

By kind, not by value: a kind that has been read in this process costs a look-up. Pickles are
tried by class, all else by codec and Arrow types.
"""

from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
import pyarrow as pa

from runstore.buffers import Buffer, flat
from runstore.codecs._base import Codec, Encoded, type_name
from runstore.codecs._pickle import Pickling
from runstore.errors import CorruptObjectError, RunStoreError, UnsupportedValueError
from runstore.faults import is_own_fault
from runstore.lifetime import Bounded
from runstore.referred import referred_batches
from runstore.schemas import BySchema

__all__ = ["check_decodes", "check_loads"]

_read: Bounded[Hashable, bool] = Bounded(4096)  # kinds that can be read

_COPIED = 64 << 20  # bytes aside a pickle that are copied for the trial
_SMALL = 1 << 20  # bytes of a value that is tried whole
_OF_MANY = frozenset(("$arrow", "$categories", "$graph", "$own_dict", "$version"))  # are no kind
_ROWS = 64  # of a larger one

# Packages whose classes are taken to be read as they are written.
_KNOWN = {
    *("builtins", "datetime", "decimal", "uuid", "collections", "fractions", "zoneinfo"),
    *("numpy", "pandas", "pyarrow", "polars", "pathlib", "re", "types", "functools"),
}


def check_loads(value: Any, stream: bytes, buffers: Iterable[Any], kinds: set[type]) -> str | None:
    """Load a pickle if it has a class that none had before; say what goes wrong, or None.

    Args:
        value: What was pickled.
        stream, buffers: What pickle made of it.
        kinds: The types of its parts.
    """
    new = [kind for kind in kinds if not _is_known(kind)]
    if not new:
        return None
    from runstore.codecs._unpickler import loads

    views = [flat(buffer.raw()).toreadonly() for buffer in buffers]
    if sum(view.nbytes for view in views) <= _COPIED:
        views = [memoryview(bytearray(view)) for view in views]  # its classes may write to them
    try:
        back = loads(stream, views)
    except MemoryError:
        raise
    except Exception as exc:  # whatever a user's class raises
        if is_own_fault(exc):
            raise
        return _told(exc)
    if type_name(type(back)) != type_name(type(value)):
        return f"it comes back as a {type_name(type(back))}"
    for kind in new:
        _read.put(kind, True)
    return None


def _is_known(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in _KNOWN or _read.get(kind) is not None


def _told(exc: Exception) -> str:
    try:
        return f"{type(exc).__name__}: {exc}"
    except Exception:  # noqa: BLE001 - the class is the user's, and so is its __str__
        return type(exc).__name__


def check_decodes(codec: Codec, value: Any, encoded: Encoded) -> None:
    """Decode a value if none of its kind was before: one codec, one type, these Arrow types.

    Of a large value a few rows are tried.

    Raises:
        UnsupportedValueError: It cannot be read, or is read as something else.
    """
    if encoded.data is not None:
        return  # one that differs in numbers alone was read
    if encoded.tags or codec.name == "xarray":
        new = [(codec.name, kind) for kind in encoded.tags or (type(value),)]
        again = _OF_MANY if encoded.nbytes <= _SMALL else frozenset()
        new = [kind for kind in new if _read.get(kind) is None or kind[1] in again]
        if not new or encoded.nbytes > _COPIED:
            return
        _check(codec, value, encoded)
        for kind in new:
            _read.put(kind, True)
        return
    key = _key(codec, value, encoded)
    if key is None or _read.get(key) is not None:
        if encoded.alike is not None:
            encoded.alike.tried = True
        return
    _check(codec, value, encoded)
    _read.put(key, True)


def _check(codec: Codec, value: Any, encoded: Encoded) -> None:
    pickling = Pickling("allow", "the value")
    if encoded.nbytes > _SMALL:
        value, encoded = _some(codec, value, encoded, pickling)
    try:
        back = codec.decode(_Written(encoded), encoded.spec, pickling)
    except MemoryError:
        raise
    except UnsupportedValueError as exc:
        raise UnsupportedValueError(f"{_not_read(value)}: {exc.message}") from exc
    except Exception as exc:  # whatever a library stumbles over
        if is_own_fault(exc):
            raise
        raise UnsupportedValueError(f"{_not_read(value)} ({_told(exc)})") from exc
    if type_name(type(back)) != type_name(type(value)):
        raise UnsupportedValueError(
            f"{_not_read(value)}: it comes back as a {type_name(type(back))}"
        )


def _not_read(value: Any) -> str:
    dtype = getattr(value, "dtype", None)
    of = f" of {dtype}" if isinstance(dtype, np.dtype) else ""
    return f"cannot store a {type_name(type(value))}{of}: it could not be read again"


def _key(codec: Codec, value: Any, encoded: Encoded) -> Hashable | None:
    """Return the kind; None if values of the kind always come back as they were written."""
    if encoded.cell is not None or codec.name in _PLAIN:
        return None
    dtype = value.dtype if codec.name in ("numpy", "torch") else None
    return codec.name, type(value), dtype, _kinds.of(encoded.schema)


def _kinds_of(schema: pa.Schema) -> frozenset[Any]:
    return frozenset(kind.id if kind.id in _SIMPLE else str(kind) for kind in schema.types)


_kinds: BySchema[frozenset[Any]] = BySchema(_kinds_of)


_PLAIN = ("bytes", "json", "nested", "packed", "pickle", "str")  # or by their tags
_SIMPLE = {
    kind.id
    for kind in (
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.bool_()),
        *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(), pa.date32()),
        *(pa.float16(), pa.float32(), pa.float64(), pa.large_string(), pa.large_binary()),
    )
}


def _some(codec: Codec, value: Any, encoded: Encoded, pickling: Pickling) -> tuple[Any, Encoded]:
    """Return the first rows of a large value, encoded; all of it if it has none."""
    shape = getattr(value, "shape", None)
    try:
        if codec.name in ("numpy", "torch"):
            part = value[tuple(slice(0, 2) for _ in value.shape)]
        elif codec.name in ("pandas", "pandas.parquet", "geopandas", "geoarrow"):
            part = value.iloc[:_ROWS] if hasattr(value, "iloc") else value[:_ROWS]
        elif codec.name in ("arrow", "polars", "polars.parquet") and (
            shape is not None or len(value)
        ):
            part = value[:_ROWS] if not hasattr(value, "slice") else value.slice(0, _ROWS)
        else:
            return value, encoded
        again = codec.encode(part, pickling)
    except (TypeError, RunStoreError):
        return value, encoded
    return (value, encoded) if again is None else (part, again)


class _Written:
    """An encoded value as if it had been stored and opened; see `runstore.codecs.Opened`."""

    ref = "the value"
    keeps_nulls = True
    cell = None
    kind = None

    def __init__(self, encoded: Encoded) -> None:
        sink = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(allow_64bit=True)
        with pa.ipc.new_file(sink, encoded.schema, options=options) as writer:
            for batch in referred_batches(encoded.batches):
                writer.write_batch(batch)
        file = sink.getvalue()
        self.data: Buffer = memoryview(file)
        self._file = pa.ipc.open_file(pa.BufferReader(file))
        self.schema: pa.Schema = self._file.schema

    @property
    def num_batches(self) -> int:
        return int(self._file.num_record_batches)

    def batch(self, index: int) -> pa.RecordBatch:
        return self._file.get_batch(index)

    def table(self) -> pa.Table:
        return self._file.read_all()

    def array(self, buffer: Any, dtype: Any, count: int) -> "np.ndarray[Any, Any]":
        dtype = np.dtype(dtype)
        if count == 0:
            return np.empty(0, dtype)
        if buffer is None or buffer.size < count * dtype.itemsize:
            raise CorruptObjectError("the value is damaged: a column is too short", self.ref)
        return np.frombuffer(memoryview(buffer), dtype, count).copy()

    def check_all(self) -> None:
        """All of it is here."""
