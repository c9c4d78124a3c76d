"""Tables that come piece by piece, joined to one: each has to fit those before it."""

import json
from collections.abc import Iterable
from typing import Any

import pyarrow as pa
import pyarrow.types as kinds

from runstore.codecs._base import Codec, Encoded, type_name
from runstore.codecs._joining import layout_of
from runstore.codecs._pickle import Pickling
from runstore.errors import UnsupportedValueError

__all__ = ["Joined", "is_table"]

_ARROW = ("pyarrow.lib.Table", "pyarrow.lib.RecordBatch")
_PANDAS = ("pandas.DataFrame", "pandas.core.frame.DataFrame")
_POLARS = "polars.dataframe.frame.DataFrame"
_TABLES = frozenset((*_ARROW, *_PANDAS, _POLARS))
_MEANT = "a pyarrow Table or RecordBatch, or a pandas or polars DataFrame"


def is_table(value: Any) -> bool:
    """Return whether a value can be a piece of a table; none of a subclass is."""
    return type_name(type(value)) in _TABLES


class Joined:
    """The pieces of one table, as they come.

    Args:
        extension: ``arrow`` or ``parquet``: what it is stored as.
        pickling: Allows to pickle, so that a message can say what would have to be; a piece for
            which it is used is refused.
        schema: What columns the pieces have; None if the first one says.

    Attributes:
        rows: Of all pieces so far.
        nbytes: Size of their data, in bytes.
        layout: What other parts of an object have to have, too, if this is one.
    """

    def __init__(self, extension: str, pickling: Pickling, schema: pa.Schema | None = None) -> None:
        self._parquet = extension == "parquet"
        self._pickling = pickling
        self._wanted = schema
        self._kind: str | None = None  # the type of the pieces
        self._columns: dict[Any, str] = {}  # and their columns' types, as messages say them
        self._codec: Codec | None = None
        self._first: Encoded | None = None
        self._schema: Any = None
        self._spec: dict[str, Any] = {}
        self._version = 0
        self._labels: dict[int, pa.Array] = {}  # the dictionaries of the first piece
        self.layout: dict[str, Any] = {}
        self.rows = 0
        self.nbytes = 0

    def add(self, piece: Any) -> list[pa.RecordBatch]:
        """Return the rows of a piece, as they are to be written.

        Raises:
            UnsupportedValueError: It is no table, does not fit the pieces before it, or only a
                pickle could keep it. It counts as not given.
        """
        kind = type_name(type(piece))
        if kind not in _TABLES:
            raise UnsupportedValueError(f"a piece is a {kind}, not {_MEANT}")
        kind = _ARROW[0] if kind in _ARROW else kind
        if self._kind is None:
            self._check_wanted(piece)
        else:
            self._check_columns(piece, kind)
        if self._first is not None and not len(piece):
            return []
        piece = self._prepared(piece)
        codec, encoded = self._encoded(piece)
        spec = dict(encoded.spec)
        if kind in _PANDAS:
            spec["index"] = _index_of_all(spec["index"], self._spec.get("index"), self.rows)
        if self.rows:
            self._check_rest(encoded, spec)
            schema, labels = self._schema, self._labels
        else:  # the first piece with rows says what there is besides columns
            schema, labels = self._schema_of(kind, encoded, spec), {}
        batches = [self._conformed(batch, schema, labels) for batch in encoded.batches]
        if not self.rows:
            self._kind, self._codec, self._first = kind, codec, encoded
            self._columns, self._schema, self._labels = _columns_of(piece), schema, labels
            self._spec, self.layout = spec, layout_of(piece) or {}
        self._version = max(self._version, encoded.version or codec.version)
        self.rows += len(piece)
        self.nbytes += encoded.nbytes
        return batches if len(piece) else []

    def _schema_of(self, kind: str, encoded: Encoded, spec: dict[str, Any]) -> pa.Schema:
        if kind in _ARROW and self._wanted is not None:
            return self._wanted  # with its metadata, and what may be null
        if "index" in spec and spec["index"]["k"] == "range":
            return _without_range(encoded.schema)
        return encoded.schema

    @property
    def schema(self) -> pa.Schema | None:
        """What is written; None if no piece has come and none was given."""
        return self._wanted if self._first is None else self._schema

    @property
    def cut(self) -> bool:
        """Whether a batch may be written as several."""
        return self._first is not None and self._first.cut

    def described(self) -> dict[str, Any]:
        """Return what a header says of the table: type, codec, version, spec, rows, columns.

        Raises:
            UnsupportedValueError: There is no piece, and no schema was given.
        """
        if self._first is None:
            if self._wanted is None:
                raise UnsupportedValueError("nothing was written, so nobody knows its columns")
            self.add(self._wanted.empty_table())
        first, codec = self._first, self._codec
        assert first is not None
        assert codec is not None
        spec = dict(self._spec)
        if spec.get("kind") == "batch":
            spec["kind"] = "table"
        if "index" in spec and spec["index"]["k"] == "range":
            start, _, step = spec["index"]["range"]
            spec["index"] = spec["index"] | {"range": [start, start + step * self.rows, step]}
        return {
            "type": self._kind,
            "codec": codec.name,
            "codec_version": self._version,
            "spec": spec,
            "rows": self.rows,
            "columns": first.columns,
            "nbytes": self.nbytes,
        }

    def _encoded(self, piece: Any) -> tuple[Codec, Encoded]:
        from runstore.codecs import encode, encode_table

        codec, encoded = (encode_table if self._parquet else encode)(piece, self._pickling)
        if self._pickling.used:
            self._pickling.used = False
            raise UnsupportedValueError(
                f"only a pickle could keep {_pickled(piece, encoded)}, and a table that is written "
                "in pieces has none: convert it, or put the table whole"
            )
        if any("chunks" in kind for kind, _ in encoded.spec.get("columns", ())):
            raise UnsupportedValueError("a column has more than 2 GB of text: write smaller pieces")
        return codec, encoded

    def _prepared(self, piece: Any) -> Any:
        """Return a piece whose labels and index are described as those of the others are."""
        name = type_name(type(piece))
        if name == _ARROW[0]:
            from runstore.codecs._arrow import with_same_labels

            return with_same_labels(piece)
        index = self._spec.get("index")
        if name in _PANDAS and index is not None and index["k"] == "flat" and self.rows:
            return _with_plain_index(piece)
        return piece

    # Checks --------------------------------------------------------------------------------------

    def _check_wanted(self, piece: Any) -> None:
        if self._wanted is None:
            return
        wanted = {field.name: field.type for field in self._wanted}
        found = _arrow_types(piece, wanted)
        self._compare(found, wanted, "the schema that was given")

    def _check_columns(self, piece: Any, kind: str) -> None:
        if kind != self._kind:
            raise UnsupportedValueError(
                f"a piece is a {kind}, and the first one was a {self._kind}"
            )
        self._compare(_columns_of(piece), self._columns, "the first piece")

    def _compare(self, found: dict[Any, Any], wanted: dict[Any, Any], which: str) -> None:
        for label, kind in wanted.items():
            if label not in found:
                raise UnsupportedValueError(f"a piece has no column {label!r}, which {which} has")
            if found[label] != kind:
                raise UnsupportedValueError(
                    f"column {label!r} is {found[label]}, and in {which} {kind}: cast it"
                )
        for label in found:
            if label not in wanted:
                raise UnsupportedValueError(
                    f"a piece has a column {label!r}, which {which} has not"
                )
        if list(found) != list(wanted):
            raise UnsupportedValueError(f"the columns of a piece have another order than {which}")

    def _check_rest(self, encoded: Encoded, spec: dict[str, Any]) -> None:
        """Check what is not seen in the columns' types: labels, flags, kinds of missing values."""
        first = self._first
        assert first is not None
        for ours, theirs in zip(first.schema, encoded.schema, strict=False):
            if ours.type != theirs.type or ours.name != theirs.name:
                raise UnsupportedValueError(
                    f"column {theirs.name!r} holds {theirs.type}, and in the first piece "
                    f"{ours.type}: cast it"
                )
        if len(first.schema) != len(encoded.schema):
            raise UnsupportedValueError("the index of a piece is another than in the first piece")
        for key in spec.keys() | self._spec.keys():
            ours, theirs = self._spec.get(key), spec.get(key)
            if key == "columns" and ours != theirs:
                raise UnsupportedValueError(_other_kind(ours, theirs, first.schema.names))
            if key == "index" and _index_told(ours) != _index_told(theirs):
                raise UnsupportedValueError(
                    "the index of a piece is another than in the first piece: call "
                    "reset_index() on each"
                )
            if key not in ("columns", "index", "kind") and ours != theirs:
                raise UnsupportedValueError(
                    f"the {key} of a piece are {theirs!r}, and of the first piece {ours!r}"
                )

    def _conformed(
        self, batch: pa.RecordBatch, schema: pa.Schema, labels: dict[int, pa.Array]
    ) -> pa.RecordBatch:
        for i, field in enumerate(schema):
            column = batch.column(i)
            if not field.nullable and column.null_count:
                raise UnsupportedValueError(f"column {field.name!r} has nulls and may have none")
            if kinds.is_dictionary(field.type):
                if not column.dictionary.equals(labels.setdefault(i, column.dictionary)):
                    raise UnsupportedValueError(
                        f"column {field.name!r} has other categories than in the first piece: give "
                        "all pieces the same ones, or cast it to text"
                    )
            elif self.rows and _has_labels(field.type):
                raise UnsupportedValueError(
                    f"column {field.name!r} has categories inside of {field.type}, which pieces "
                    "cannot share: cast them to text"
                )
        return pa.RecordBatch.from_arrays(batch.columns, schema=schema)


def _columns_of(piece: Any) -> dict[Any, Any]:
    """Return the columns of a piece with their types, as the library says them."""
    name = type_name(type(piece))
    if name in _PANDAS:
        labels: Iterable[Any] = piece.columns
        types: Iterable[Any] = map(str, piece.dtypes)
    elif name == _POLARS:
        labels, types = piece.columns, piece.dtypes
    else:
        labels, types = piece.schema.names, piece.schema.types
    found: dict[Any, Any] = {}
    for label, kind in zip(labels, types, strict=True):
        if label in found:
            raise UnsupportedValueError(f"two columns of a piece are named {label!r}")
        found[label] = kind
    return found


def _arrow_types(piece: Any, wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of a piece as Arrow has them."""
    name = type_name(type(piece))
    if name in _PANDAS:
        some = pa.Schema.from_pandas(piece, preserve_index=False)
    elif name == _POLARS:
        some = piece.clear().to_arrow().schema
    else:
        some = piece.schema
    found = {}
    for field in some:
        kind, want = field.type, wanted.get(field.name)
        same = want is not None and want != kind and _is_text(kind) and _is_text(want)
        # Which of Arrow's types of text a frame becomes is the library's choice.
        found[field.name] = want if same and name not in _ARROW else kind
    return found


def _is_text(kind: pa.DataType) -> bool:
    wide = kinds.is_large_string(kind) or kinds.is_string_view(kind)
    return bool(wide or kinds.is_string(kind))


def _has_labels(kind: pa.DataType) -> bool:
    from runstore.codecs._arrow import _has_dictionary

    return _has_dictionary(kind)


def _pickled(piece: Any, encoded: Encoded) -> str:
    at = 0
    for kind, count in encoded.spec.get("columns", ()):
        if kind["k"] == "pickle":
            return f"column {encoded.schema.names[at]!r}"
        at += count
    return f"such a {type_name(type(piece))}"


def _other_kind(ours: Any, theirs: Any, names: list[str]) -> str:
    one = [kind for kind, count in ours for _ in range(count)]
    two = [kind for kind, count in theirs for _ in range(count)]
    at = next(i for i, (a, b) in enumerate(zip(one, two, strict=True)) if a != b)
    return (
        f"column {names[at]!r} is kept as {json.dumps(two[at])[:200]}, and in the first piece as "
        f"{json.dumps(one[at])[:200]}: give all pieces the same categories, and objects of one "
        "type and one missing value"
    )


# The index of pandas ---------------------------------------------------------------------------


def _index_of_all(spec: dict[str, Any], before: Any, rows: int) -> dict[str, Any]:
    """Return the spec of the index of all pieces up to this one.

    Raises:
        UnsupportedValueError: A range neither goes on nor begins anew.
    """
    spec = {key: value for key, value in spec.items() if key != "freq"}
    if not rows or spec["k"] != "range" or before is None or before["k"] != "range":
        return spec
    first, step = before["range"][0], before["range"][2]
    start, _, own = spec["range"]
    if own != step or start not in (first, first + step * rows):
        raise UnsupportedValueError(
            f"the index of a piece begins at {start}, and the first {rows:,} rows ended before "
            f"{first + step * rows}: call reset_index(drop=True) on each piece"
        )
    return spec | {"range": before["range"]}


def _index_told(spec: Any) -> Any:
    if not isinstance(spec, dict):
        return spec
    return {key: value for key, value in spec.items() if key != "range" or spec["k"] != "range"}


def _with_plain_index(piece: Any) -> Any:
    """Return a frame whose index is no range: its numbers, as those of pieces before it."""
    index = piece.index
    if type_name(type(index)).rpartition(".")[2] != "RangeIndex":
        return piece
    import pandas as pd

    return piece.set_axis(pd.Index(index.to_numpy(), name=index.name))


def _without_range(schema: pa.Schema) -> pa.Schema:
    """Return a schema that does not tell other readers of the rows of the first piece alone."""
    metadata = dict(schema.metadata or {})
    if b"pandas" in metadata:
        document = json.loads(metadata[b"pandas"])
        index = document.get("index_columns", [])
        document["index_columns"] = [one for one in index if not isinstance(one, dict)]
        metadata[b"pandas"] = json.dumps(document).encode()
    return schema.with_metadata(metadata or None)
