"""Values and files that nest too deep or repeat too much: a plain answer, at once."""

import secrets
import zipfile
from collections import OrderedDict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.preprocessing import FunctionTransformer

from runstore import ObjectStore, containers
from runstore.containers import Header
from runstore.errors import (
    CorruptObjectError,
    InvalidRequestError,
    UnreadableWarning,
    UnsafePickleError,
    UnsupportedValueError,
)

_DEEP = 100_000  # levels; Python gives up at about 1,000


@pytest.fixture
def disk(tmp_path):
    """Give an empty view on disk."""
    return ObjectStore(tmp_path / "store").at(namespace="dev", run="r1")


@pytest.fixture
def strict(disk):
    """Give a view of the same place that takes no pickle."""
    return ObjectStore(disk.store.url, pickle="deny").at(namespace="dev", run="r1")


def file_of(view, name):
    folder = Path(view.store.url.removeprefix("file://")) / "dev" / "r1"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name


# Files that nest ---------------------------------------------------------------------------------


def sealed(codec, cell, spec=None, metadata=None):
    """Give the bytes of an object of one cell, whose digests fit."""
    header = Header(
        namespace="dev",
        run="r1",
        name="x",
        type="builtins.list",
        codec=codec,
        codec_version=1,
        created_at=datetime(2024, 1, 1, tzinfo=UTC),
        write_id=secrets.token_hex(8),
        spec=spec or {},
        metadata=metadata or {},
    )
    name = {"json": "json", "nested": "tree"}[codec]
    schema = pa.schema([pa.field(name, pa.large_string(), nullable=False)])
    batch = pa.record_batch([pa.array([cell], pa.large_string())], schema=schema)
    return b"".join(bytes(part) for part in containers.arrow_file(schema, [batch], header))


def brackets(levels):
    return "[" * levels + "]" * levels


def safetensors(levels):
    text = f'{{"a":{brackets(levels)}}}'.encode()
    return len(text).to_bytes(8, "little") + text


def skops(path, levels):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("schema.json", brackets(levels))


@pytest.mark.parametrize("codec", ["json", "nested"])
def test_cells_that_nest(disk, codec):
    """A cell that nests deeper than any value that is put is damage."""
    spec = {"leaves": []} if codec == "nested" else {}
    file_of(disk, "x.arrow").write_bytes(sealed(codec, brackets(_DEEP), spec))
    with pytest.raises(
        CorruptObjectError, match=r"dev/r1/x is damaged: it (is nested|holds no JSON).*"
    ):
        disk.get("x")


def test_files_that_nest(disk):
    """The same holds for files by extension."""
    file_of(disk, "x.json").write_text(brackets(_DEEP))
    file_of(disk, "x.safetensors").write_bytes(safetensors(_DEEP))
    skops(file_of(disk, "x.skops"), _DEEP)
    for name in ("x.json", "x.safetensors", "x.skops"):
        with pytest.raises(CorruptObjectError, match=f"dev/r1/{name}"):
            disk.get(name)


def test_headers_that_nest(disk):
    """A header that nests too deep is damage to all that read it."""
    marked = sealed("json", "1", metadata={"deep": "=" * 2 * _DEEP})
    file_of(disk, "x.arrow").write_bytes(marked)
    disk.get("x")
    path = file_of(disk, "x.arrow")
    path.write_bytes(_resealed(marked, b'"' + b"=" * 2 * _DEEP + b'"'))
    for read in (disk.get, disk.stat):
        with pytest.raises(CorruptObjectError, match="header that cannot be read"):
            read("x")
    with pytest.warns(UnreadableWarning, match="header that cannot be read"):
        assert ["x"] == [info.name for info in disk.list(details=True)]


def _resealed(stored, text):
    """Put brackets in the place of *text* in the footer, whose digest fits again."""
    from runstore.containers._seal import reseal

    start = containers.footer_start(stored[-10:], len(stored), "x")
    deep = brackets(len(text) // 2).encode()
    return stored[:start] + reseal(stored[start:], text, deep)


# Values that nest --------------------------------------------------------------------------------


def nested(levels, make=lambda value: [value], core=list):
    value = core()
    for _ in range(levels):
        value = make(value)
    return value


@pytest.mark.parametrize("name", ["x", "x.json", "x.pkl"])
def test_values_that_nest(disk, name):
    """A value too deep for pickle is refused, and the old object stays."""
    disk.put(name, [1])
    with pytest.raises(UnsupportedValueError, match=f"cannot store dev/r1/{name}"):
        disk.put(name, nested(_DEEP))
    assert [1] == disk.get(name)


@pytest.mark.extended
def test_parts_that_nest(disk, strict):
    """The same holds for cells of frames, for metadata, and for models."""
    deep = nested(_DEEP)
    frame = pd.DataFrame({"a": [deep]})
    for name, value in [
        ("x", frame),
        ("x.csv", frame),
        ("x", {"a": frame}),
        ("x.skops", FunctionTransformer(kw_args={"a": deep})),
    ]:
        with pytest.raises(UnsupportedValueError, match=f"cannot store dev/r1/{name}"):
            disk.put(name, value)
    with pytest.raises(InvalidRequestError, match="metadata must be"):
        disk.put("x", 1, metadata={"a": deep})
    with pytest.raises(UnsafePickleError, match="deny"):
        strict.put("x", deep)
    assert [] == disk.list()


# Values that repeat themselves -------------------------------------------------------------------

_REPEATING = {
    "list": lambda value: [value, value],
    "tuple": lambda value: (value, value),
    "dict": lambda value: {"a": value, "b": value},
    "dict with numbers": lambda value: {1: value, 2: value},
    "OrderedDict": lambda value: OrderedDict(a=value, b=value),
}


@pytest.mark.extended
@pytest.mark.parametrize("kind", _REPEATING)
def test_values_that_repeat(disk, strict, kind):
    """A value with 2**60 parts that are few is pickled, which writes each once; or refused."""
    value = nested(60, _REPEATING[kind])
    assert disk.put("x", value).pickled
    actual = disk.get("x")
    for _ in range(60):
        one, other = actual.values() if hasattr(actual, "values") else actual
        assert one is other
        actual = one
    assert [] == actual
    with pytest.raises(UnsupportedValueError, match="JSON does not hold this"):
        disk.put("x.json", value)
    with pytest.raises(InvalidRequestError, match="metadata must be"):
        disk.put("x", 1, metadata={"a": value})
    with pytest.raises(UnsupportedValueError, match="Python objects"):
        disk.put("x.csv", pd.DataFrame({"a": pd.Series([value], dtype=object)}))
    with pytest.raises(UnsafePickleError, match="deny"):
        strict.put("x", value)


def test_arrays_that_repeat(disk):
    """So is one with an array at the bottom."""
    value = nested(60, _REPEATING["tuple"], core=lambda: np.arange(3))
    assert disk.put("x", value).pickled
    actual = disk.get("x")
    for _ in range(60):
        actual = actual[0]
    assert [0, 1, 2] == actual.tolist()


def test_few_repeats_are_no_pickle(strict):
    """A list that stands in a value a thousand times is written a thousand times."""
    row = list(range(100))
    for value in ([row] * 1000, {"rows": ([row],) * 1000}):
        assert not strict.put("x", value).pickled
        assert value == strict.get("x")
