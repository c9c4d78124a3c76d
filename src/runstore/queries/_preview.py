"""How an object is shown to a person: what kind of thing it is, and how it begins.

Nothing is unpickled: of what was pickled only its description is shown.
"""

import csv
import io
import json
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from runstore.buffers import flat
from runstore.file_types import TEXT_FILES
from runstore.queries._cells import Cell, cells_of, shown_value
from runstore.queries._texts import size
from runstore.store.rows import LeftOut, LookedAt, open_rows, read_start, sealed_in

if TYPE_CHECKING:
    from runstore.store import ObjectInfo, ObjectStore

__all__ = ["IMAGES", "Look", "Rows", "Shape", "kind_of", "look_at", "rows_of"]

Kind = Literal["table", "text", "image", "html", "pickled", "bytes", "folder"]

IMAGES = {
    "avif": "image/avif",
    "bmp": "image/bmp",
    "gif": "image/gif",
    "ico": "image/x-icon",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "png": "image/png",
    "svg": "image/svg+xml",
    "webp": "image/webp",
}
"""Extensions of pictures that browsers show, with their media types."""

_HTML = ("html", "htm")
_PICKLES = ("pkl", "skops")
_TEXT = 64 << 10  # bytes of a text that are shown
_VALUE = 1 << 20  # bytes of a document that is read whole
_OF_COLUMN = 1 << 20  # bytes that are read of one column for some rows
_HEX = 256
_PARTS = 500  # that are listed


@dataclass(frozen=True)
class Rows:
    """Some rows of a table.

    Attributes:
        start: The number of the first one.
        total: How many rows the table has; None if that is not known.
        columns: Name and type of each column that is shown.
        cells: The rows, each a list of cells.
        left_out: Why cells of a column are missing, by its name.
        first_column: The number of the first column that is shown.
        all_columns: How many columns the table has.
    """

    start: int
    total: int | None
    columns: list[tuple[str, str]]
    cells: list[list[Cell]]
    left_out: dict[str, str] = field(default_factory=dict)
    first_column: int = 0
    all_columns: int = 0


@dataclass(frozen=True)
class Shape:
    """The part of a table that is asked for: rows from *start* on, and columns from *column* on."""

    start: int = 0
    rows: int = 25
    column: int = 0
    columns: int = 30


@dataclass(frozen=True)
class Look:
    """How an object is shown.

    Attributes:
        kind: What it is.
        text: How it begins, if it is text.
        cut: Whether it goes on after that.
        rows: Some rows, of a table.
        note: What there is to say about what is shown.
    """

    kind: Kind
    text: str = ""
    cut: bool = False
    rows: Rows | None = None
    note: str = ""


def look_at(store: "ObjectStore", info: "ObjectInfo", shape: Shape | None = None) -> Look:
    """Return how an object is shown; at most some megabytes of it are read.

    Raises:
        ObjectNotFoundError, PreconditionFailedError: It was deleted or replaced meanwhile.
        CorruptObjectError, UnsupportedFormatError, UnsafePickleError: It cannot be shown.
        StorageError: The place failed.
    """
    extension = info.format
    if info.codec is None and extension in IMAGES:
        return Look("image")
    if info.codec is None and extension in _HTML:
        return Look("html")
    if extension in _PICKLES or (info.pickled and info.codec == "pickle"):
        return Look("pickled", note="It is pickled. To load a pickle can run code, so it is not.")
    if info.codec is None and extension not in ("arrow", "parquet"):
        return _file(store, info, shape or Shape())
    table = open_rows(store, info.place)
    if table is not None:
        return Look("table", rows=rows_of(table, shape or Shape()), note=_note(info))
    if info.parts is not None:
        return _parts(store, info)
    if info.pickled:
        return Look("pickled", note="It has pickled parts. To load them can run code.")
    return _value(store, info)


def rows_of(table: LookedAt, shape: Shape) -> Rows:
    """Return some rows of a table as texts.

    Raises:
        As for `LookedAt.window`.
    """
    first = min(shape.column, max(len(table.columns) - 1, 0))
    wanted = range(first, min(first + shape.columns, len(table.columns)))
    readable = [i for i in wanted if not table.columns[i].pickled]
    count = max(0, min(shape.rows, table.rows - shape.start))
    read = dict(
        zip(readable, table.window(shape.start, count, readable, _OF_COLUMN), strict=True)
        if count
        else ()
    )
    columns, cells, left_out = [], [], {}
    for i in wanted:
        told = table.columns[i]
        title = "index" if told.name == "__index_level_0__" else told.name
        columns.append((title, "pickled" if told.pickled else kind_of(table.schema.field(i).type)))
        column = read.get(i, LeftOut("pickled: not loaded"))
        if isinstance(column, LeftOut) and (told.pickled or count):
            left_out[title] = column.reason
        cells.append(cells_of(column, count))
    rows = [list(row) for row in zip(*cells, strict=True)]
    return Rows(shape.start, table.rows, columns, rows, left_out, first, len(table.columns))


def kind_of(kind: pa.DataType) -> str:
    """Return the type of a column as a short text."""
    if pa.types.is_dictionary(kind):
        return f"labels of {kind.value_type}"
    return str(kind)


def _note(info: "ObjectInfo") -> str:
    if info.codec == "numpy" and info.python_type == "numpy.ndarray":
        return "The items of an array, in the order in which they lie in memory."
    return ""


def _parts(store: "ObjectStore", info: "ObjectInfo") -> Look:
    """List the files of a folder, or the parts of an object that is no table."""
    parts = sealed_in(store, info.place)
    lines = [f"{size(length):>10}  {key}" for key, length in parts[:_PARTS]]
    return Look("folder", text="\n".join(lines), cut=len(parts) > _PARTS)


def _value(store: "ObjectStore", info: "ObjectInfo") -> Look:
    """Show a document: small text, JSON or bytes inside of an Arrow file."""
    if max(info.size, info.nbytes or 0) > _VALUE:
        return Look("bytes", note="It is too large to be shown.")
    view = store.at(namespace=info.namespace, run=info.run)
    value = view.get(info.name, scope=info.scope, pickle="deny")
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, (bytes, bytearray)):
        return Look("bytes", text=_hex(bytes(value[:_HEX])), cut=len(value) > _HEX)
    try:
        return _text(json.dumps(value, indent=2, ensure_ascii=False))
    except (TypeError, ValueError, RecursionError):
        return _text(_described(value))


def _described(value: Any) -> str:
    """Return a value as text; what is no plain data only by its type."""
    if isinstance(value, dict):
        return "\n".join(f"{key!r}: {_brief(item)}" for key, item in list(value.items())[:200])
    if isinstance(value, (list, tuple, set, frozenset)):
        return "\n".join(_brief(item) for item in list(value)[:200])
    return _brief(value)


def _brief(value: Any) -> str:
    if isinstance(value, (str, bytes, int, float, type(None))):
        return shown_value(value).text
    shape = getattr(value, "shape", None)
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    return f"<{kind}>" if shape is None else f"<{kind} {shape}>"


def _file(store: "ObjectStore", info: "ObjectInfo", shape: Shape) -> Look:
    """Show how a plain file begins."""
    data, entry = read_start(store, info.place, _TEXT)
    raw, cut = bytes(flat(data)), entry.size > _TEXT
    if info.format == "npy":
        return Look("bytes", text=_npy(raw), cut=cut)
    if info.format == "safetensors":
        return Look("bytes", text=_safetensors(raw), cut=cut)
    try:
        text = raw.decode() if not cut else raw.decode(errors="ignore")
    except UnicodeDecodeError:
        return Look("bytes", text=_hex(raw[:_HEX]), cut=entry.size > _HEX)
    if info.format in ("csv", "tsv"):
        return _csv(text, "\t" if info.format == "tsv" else ",", cut, shape)
    if info.format in TEXT_FILES or info.format == "json" or text.isprintable() or "\n" in text:
        if info.format == "json" and not cut:
            text = _indented(text)
        return _text(text, cut=cut)
    return Look("bytes", text=_hex(raw[:_HEX]), cut=entry.size > _HEX)


def _text(text: str, *, cut: bool = False) -> Look:
    return Look("text", text=text[:_TEXT], cut=cut or len(text) > _TEXT)


def _indented(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


def _csv(text: str, separator: str, cut: bool, shape: Shape) -> Look:
    try:
        lines = list(islice(csv.reader(io.StringIO(text), delimiter=separator), shape.rows + 2))
    except csv.Error:
        return _text(text, cut=cut)
    if not lines or not lines[0]:
        return _text(text, cut=cut)
    head, body = lines[0][: shape.columns], lines[1 : shape.rows + 1]
    cells = [[shown_value(cell) for cell in (*row, *[""] * len(head))][: len(head)] for row in body]
    total = None if cut or len(lines) > shape.rows + 1 else len(body)
    columns = [(name, "text") for name in head]
    rows = Rows(0, total, columns, cells, all_columns=len(head))
    return Look("table", rows=rows, cut=total is None, note="The beginning of a text file.")


def _npy(raw: bytes) -> str:
    from numpy.lib import format as npy

    file = io.BytesIO(raw)
    try:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read(file)
    except ValueError as exc:
        return f"It is no .npy file: {exc}"
    return f"dtype  {dtype}\nshape  {shape}\norder  {'F' if fortran else 'C'}"


def _safetensors(raw: bytes) -> str:
    length = int.from_bytes(raw[:8], "little")
    try:
        told = json.loads(raw[8 : 8 + length])
        lines = [
            f"{name}  {one['dtype']}  {one['shape']}"
            for name, one in told.items()
            if name != "__metadata__"
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        return "Its header is too large to be shown, or damaged."
    return "\n".join(lines)


def _hex(data: bytes) -> str:
    lines = []
    for at in range(0, len(data), 16):
        row = data[at : at + 16]
        text = "".join(chr(one) if 32 <= one < 127 else "." for one in row)
        lines.append(f"{at:06x}  {row.hex(' '):<47}  {text}")
    return "\n".join(lines)
