"""Values written to files and read from them, in the format of the file's extension."""

import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from runstore.cli._tables import as_table, is_array, is_tabular, titles
from runstore.codecs import is_json, type_name
from runstore.errors import (
    InvalidRequestError,
    ObjectExistsError,
    StorageError,
    UnsupportedValueError,
)
from runstore.texts import short_type

__all__ = ["check_format", "check_free", "extensions_for", "new_file", "read_value", "write_value"]

_TABLES = ("parquet", "csv", "arrow", "json")
_FORMATS = (*_TABLES, "npy", "txt", "bin")
_READ = (pa.ArrowException, OSError, ValueError, RecursionError)


def extensions_for(value: Any) -> tuple[str, ...]:
    """Return the extensions of files that can hold *value*; the first is what stdout gets."""
    if is_tabular(value):
        return ("csv", "parquet", "arrow", "json")
    if is_array(value):
        return ("npy",)
    if isinstance(value, str):
        return ("txt", "json")
    if isinstance(value, (bytes, bytearray)):
        return ("bin",)
    return ("json",) if is_json(value) else ()


def write_value(value: Any, extension: str, sink: IO[bytes], ref: str) -> None:
    """Write *value* to *sink* in the format of *extension*.

    Text and bytes can be written under any extension that is no other format's.

    Raises:
        UnsupportedValueError: The format cannot hold it; says which ones can.
    """
    possible = extensions_for(value)
    plain = isinstance(value, (str, bytes, bytearray)) and extension not in (*_TABLES, "npy")
    if extension not in possible and not plain:
        what = f"{ref} is a {short_type(type_name(type(value)))}"
        ways = " or ".join(f".{name}" for name in possible)
        out = f"it can be written as {ways}" if ways else "read it in Python with get()"
        if extension == "pkl":
            out += ", or put it under a name that ends in .pkl, which is a pickle file as it is"
        raise UnsupportedValueError(f"{what}, which a .{extension} file cannot hold: {out}", ref)
    if plain:
        sink.write(value.encode(errors="surrogatepass") if isinstance(value, str) else value)
    elif is_tabular(value):
        _write_table(as_table(value, ref), extension, sink, ref)
    elif extension == "npy":
        _write_array(value, sink, ref)
    else:
        _write_json(value, sink, ref)


def check_format(name: str) -> None:
    """Raise InvalidRequestError unless *name* is a format that ``--as`` takes."""
    if name not in _FORMATS:
        raise InvalidRequestError(
            f"--as {name!r} is no format: it is one of {', '.join(_FORMATS)}", name
        )


def read_value(path: Path, as_format: str | None = None) -> Any:
    """Read a file in the format of its extension, or in another one; if unknown, as bytes.

    Tables come as pandas frames where pandas is installed, else as Arrow tables.

    Raises:
        InvalidRequestError: It cannot be read as that.
    """
    extension = as_format or path.suffix.removeprefix(".").lower()
    reader = _READERS.get(extension, Path.read_bytes)
    try:
        return reader(path)
    except _READ as exc:
        kind = f" as {extension}" if extension in _READERS else ""
        raise InvalidRequestError(f"cannot read {str(path)!r}{kind}: {exc}", str(path)) from exc


@contextmanager
def new_file(path: Path, *, replace: bool) -> Iterator[IO[bytes]]:
    """Open a temporary file that becomes *path* when the block ends without error.

    Raises:
        ObjectExistsError: *path* exists, and must not be replaced.
        InvalidRequestError: *path* exists and is not a file.
        StorageError: It cannot be written.
    """
    check_free(path, replace=replace)
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.tmp")
    try:
        try:
            with temporary.open("xb") as sink:
                yield sink
            _refuse(path, replace)  # again: the block may have taken minutes
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as exc:
        raise StorageError(f"cannot write {str(path)!r}: {exc.strerror or exc}", str(path)) from exc


def check_free(path: Path, *, replace: bool) -> None:
    """Check that a file can be written at *path*.

    Raises:
        ObjectExistsError: It exists, and must not be replaced.
        InvalidRequestError: It exists and is not a file.
    """
    if os.path.exists(path) and not os.path.isfile(path):  # noqa: PTH110, PTH113 - raises nothing
        raise InvalidRequestError(
            f"{str(path)!r} is not a file; `-o -` writes to stdout", str(path)
        )
    _refuse(path, replace)


def _refuse(path: Path, replace: bool) -> None:
    if not replace and os.path.exists(path):  # noqa: PTH110 - raises nothing
        raise ObjectExistsError(f"{str(path)!r} exists: replace it with --force", str(path))


def _write_table(table: pa.Table, extension: str, sink: IO[bytes], ref: str) -> None:
    try:
        _TABLE_WRITERS[extension](table, sink)
    except _UNWRITABLE as exc:  # a list in a CSV
        others = " or ".join(f".{name}" for name in _TABLES if _holds(name, table))
        out = f"write it as {others}" if others else "read it in Python with get()"
        raise UnsupportedValueError(
            f"{ref} cannot be written as .{extension} ({exc}): {out}", ref
        ) from exc


def _holds(extension: str, table: pa.Table) -> bool:
    """Return whether a format can hold a table, which depends on its values, too: by a try."""
    try:
        with Path(os.devnull).open("wb") as nowhere:
            _TABLE_WRITERS[extension](table, nowhere)
    except _UNWRITABLE:
        return False
    return True


def _write_parquet(table: pa.Table, sink: IO[bytes]) -> None:
    import pyarrow.parquet as pq

    pq.write_table(table, sink)


def _write_arrow(table: pa.Table, sink: IO[bytes]) -> None:
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def _write_csv(table: pa.Table, sink: IO[bytes]) -> None:
    import pyarrow.csv as csv

    for field in table.schema:
        if pa.types.is_duration(field.type):  # Arrow would write a bare number of some unit
            raise TypeError(f"CSV has no form for the time spans of column {field.name!r}")
    csv.write_csv(table.rename_columns(titles(table)), sink)


def _write_records(table: pa.Table, sink: IO[bytes]) -> None:
    names = titles(table)
    if len(set(names)) != len(names):
        raise ValueError("two columns have the same name")
    for field in table.schema:
        if pa.types.is_duration(field.type):
            raise TypeError(f"JSON has no form for the time spans of column {field.name!r}")
    separator = b"[\n"
    for batch in table.to_batches(max_chunksize=10_000):
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            record = {name: _no_nan(item) for name, item in zip(names, row, strict=True)}
            sink.write(separator + _dumped(record))
            separator = b",\n"
    sink.write(b"\n]\n" if separator == b",\n" else b"[]\n")


_UNWRITABLE = (pa.ArrowException, ValueError, TypeError, OverflowError)
_TABLE_WRITERS: dict[str, Callable[[pa.Table, IO[bytes]], None]] = {
    "parquet": _write_parquet,
    "csv": _write_csv,
    "arrow": _write_arrow,
    "json": _write_records,
}


def _no_nan(item: Any) -> Any:
    return None if isinstance(item, float) and item != item else item


def _write_json(value: Any, sink: IO[bytes], ref: str) -> None:
    try:
        sink.write(_dumped(value, indent=2) + b"\n")
    except ValueError as exc:
        raise UnsupportedValueError(
            f"{ref} cannot be written as .json: JSON has no form for its NaN or infinity",
            ref,
        ) from exc


def _dumped(value: Any, indent: int | None = None) -> bytes:
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False, default=_as_text)
    return text.encode(errors="surrogatepass")


def _as_text(item: Any) -> str:
    """Return the usual text of values that JSON has no form for, as times."""
    if hasattr(item, "isoformat"):
        return str(item.isoformat())
    if type(item).__name__ in ("Decimal", "UUID"):
        return str(item)
    raise TypeError(f"JSON has no form for a {type(item).__name__}")


def _write_array(value: Any, sink: IO[bytes], ref: str) -> None:
    import numpy as np

    try:
        np.save(sink, value, allow_pickle=False)
    except ValueError as exc:
        raise UnsupportedValueError(
            f"{ref} holds Python objects, which a .npy file cannot hold: read it with get()", ref
        ) from exc


def _read_parquet(path: Path) -> Any:
    import pyarrow.parquet as pq

    return _as_frame(pq.read_table(path))


def _read_csv(path: Path) -> Any:
    if find_spec("pandas") is not None:
        import pandas as pd

        return pd.read_csv(path)
    import pyarrow.csv as csv

    return csv.read_csv(path)


def _read_arrow(path: Path) -> Any:
    import pyarrow.feather as feather

    return _as_frame(feather.read_table(path))


def _as_frame(table: pa.Table) -> Any:
    return table.to_pandas() if find_spec("pandas") is not None else table


def _read_json(path: Path) -> Any:
    return json.loads(path.read_bytes())


def _read_array(path: Path) -> Any:
    import numpy as np

    return np.load(path, allow_pickle=False)


def _read_text(path: Path) -> str:
    return path.read_bytes().decode()  # read_text would change line ends


_READERS: dict[str, Callable[[Path], Any]] = {
    "arrow": _read_arrow,
    "csv": _read_csv,
    "feather": _read_arrow,
    "json": _read_json,
    "npy": _read_array,
    "parquet": _read_parquet,
    "txt": _read_text,
}
