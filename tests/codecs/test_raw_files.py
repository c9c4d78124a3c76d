"""Text, bytes and pictures under a name with a file's extension are exactly that file."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from runstore import ObjectStore
from runstore.errors import (
    CorruptObjectError,
    InvalidNameError,
    InvalidRequestError,
    UnsupportedFormatError,
    UnsupportedValueError,
)
from runstore.file_types import BYTES_FILES, TEXT_FILES
from runstore.keys import FORMATS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def view(tmp_path):
    """Give an empty view on disk, whose folder is `tmp_path / "n" / "r"`."""
    return ObjectStore(tmp_path).at(namespace="n", run="r")


@pytest.fixture
def folder(tmp_path):
    """Give the folder of the view's objects."""
    return tmp_path / "n" / "r"


def test_the_list_is_fixed_and_documented():
    """Each extension of the list is in docs/format.md, and is text, bytes or a format, not two."""
    text = (ROOT / "docs" / "format.md").read_text()
    listed = text.split("### Text and bytes")[1].split("A figure of")[0]
    assert {f"`{name}`" for name in TEXT_FILES | BYTES_FILES} == {
        word
        for word in listed.split()
        if word.startswith("`") and word not in ("`str`:", "`bytes`:")
    }
    assert not TEXT_FILES & BYTES_FILES
    assert not (TEXT_FILES | BYTES_FILES) & (FORMATS | {"arrow", "feather"})


@pytest.mark.parametrize(
    ("name", "value", "data"),
    [
        ("report.html", "<h1>é</h1>\r\n", "<h1>é</h1>\r\n".encode()),
        ("a/notes.md", "", b""),
        ("x.YAML", "a: 1\n", b"a: 1\n"),
        ("plot.png", b"\x89PNG\r\n", b"\x89PNG\r\n"),
        ("model.onnx", b"", b""),
        ("x.bin", bytes(range(256)), bytes(range(256))),
    ],
)
def test_a_file_is_what_was_put(view, folder, name, value, data):
    """Text is stored as its UTF-8, bytes as they are, and both come back as they were."""
    info = view.put(name, value)
    assert data == (folder / name).read_bytes()
    back = view.get(name)
    assert (type(value), value) == (type(back), back)
    assert data == view.get(name, as_type=bytes)
    assert f"builtins.{type(value).__name__}" == info.python_type == view.stat(name).python_type
    assert (len(data), None) == (info.size, info.digest)
    assert (name.rpartition(".")[2].lower(), [name]) == (info.format, [i.name for i in view.list()])
    copy = view.copy(name, to_scope="namespace")
    assert (value, info.size) == (view.get(name, scope="namespace"), copy.size)
    view.delete(name)
    assert not view.exists(name)
    assert not [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("name", "value", "way_out"),
    [
        ("x.html", b"<h1>", r"comes back as text .*this is bytes: put value\.decode\(\)"),
        ("x.png", "text", r"comes back as bytes, and this is str: put value\.encode\(\)"),
        ("x.bin", bytearray(b"x"), r"put bytes\(value\)"),
        ("x.txt", "\ud800", "lone surrogate at position 0"),
        ("x.bin", b"ARROW1\0\0", "bytes of an Arrow file"),
        ("x.xlsx", pd.DataFrame({"a": [1]}), r"\.parquet or \.csv.*put_file"),
        ("x.orc", pl.DataFrame({"a": [1]}), r"\.parquet or \.csv"),
        ("x.html", pa.table({"a": [1]}), r"\.parquet or \.csv"),
        ("x.tsv", pd.Series([1]), r"\.parquet or \.csv"),
        ("x" * 300 + ".md", "text", "too long"),
    ],
)
def test_what_would_come_back_as_another_is_refused(view, name, value, way_out):
    """Nothing is stored that `get` would give back as another type; the error has the way out."""
    with pytest.raises((UnsupportedValueError, InvalidNameError), match=way_out):
        view.put(name, value)
    assert [] == view.list()


@pytest.mark.parametrize("name", ["x.yaml", "model.v2", "x" * 300 + ".v2", "x.feather"])
def test_any_other_value_is_an_arrow_object(view, folder, name):
    """What is no text, bytes or picture is an Arrow object at the same key, told by its content."""
    value = {"a": (1, np.arange(3))}
    view.put(name, value, metadata={"k": 1})
    (path,) = folder.iterdir()
    assert path.suffix == f".{name.rpartition('.')[2]}"
    assert path.read_bytes().startswith(b"ARROW1\0\0")
    assert 1 == view.get(name, verify=True)["a"][0]
    info = view.stat(name)
    assert ("arrow", "nested", {"k": 1}) == (info.format, info.codec, info.metadata)
    assert [name] == [info.name for info in view.list(details=True)]
    assert [name] == [info.name for info in view.list("x" if name[0] == "x" else "m")]
    view.copy(name, to_name="plain.v3" if "yaml" not in name else "y.yaml")


def test_a_value_of_an_unknown_extension_may_be_text(view):
    """Under an extension that is not in the list text and bytes are Arrow objects, as elsewhere."""
    for value in ("text", b"bytes", bytearray(b"x")):
        view.put("x.v2", value)
        assert (type(value), value) == (type(view.get("x.v2")), view.get("x.v2"))


def test_files_of_other_programs(view, folder):
    """Arrow under any extension is a table; a file of another kind says what it needs."""
    view.put("x", 1)
    table = pa.table({"a": [1, 2]})
    with pa.ipc.new_file(folder / "t.feather", table.schema) as writer:
        writer.write_table(table)
    (folder / "m.v2").write_bytes(b"anything")
    (folder / "latin.txt").write_bytes(b"\xe9")
    assert table.equals(view.get("t.feather"))
    assert "arrow" == view.stat("t.feather").format
    assert b"anything" == view.get("m.v2", as_type=bytes)
    with pytest.raises(UnsupportedFormatError, match=r"n/r/m\.v2.*install.*as_type=bytes"):
        view.get("m.v2")
    with pytest.raises(UnsupportedFormatError, match=r"n/r/latin\.txt is not text in UTF-8"):
        view.get("latin.txt")
    assert b"\xe9" == view.get("latin.txt", as_type=bytes)
    assert 1 == view.get_with_info("x.v2" if view.exists("x.v2") else "x")[0]


def test_damage_under_an_unknown_extension(view, folder):
    """An Arrow object that was cut is damaged, and no plain file."""
    view.put("m.v2", np.arange(100))
    path = folder / "m.v2"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(CorruptObjectError, match=r"n/r/m\.v2"):
        view.get("m.v2")
    path.write_bytes(b"\0" * 8 + path.read_bytes()[8:])
    assert path.exists()


def test_copies_keep_their_kind(view):
    """A copy is refused under a name by which it would be read as something else."""
    view.put("report.html", "text")
    view.put("m.v2", [1])
    view.put("x", [2])
    for name, to in [
        ("report.html", "r.txt"),
        ("report.html", "r"),
        ("x", "x.html"),
        ("x", "x.json"),
    ]:
        with pytest.raises(InvalidRequestError, match="stand for different formats"):
            view.copy(name, to_name=to)
    view.copy("m.v2", to_name="m")
    view.copy("x", to_name="x.v1")
    assert ([1], [2]) == (view.get("m"), view.get("x.v1"))


@pytest.mark.parametrize(
    ("extension", "magic"),
    [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF"), ("PNG", b"\x89PNG")],
)
def test_a_figure_is_saved_as_a_picture(view, extension, magic):
    """A figure of matplotlib is the picture that the extension says, and comes back as bytes."""
    figure_of = pytest.importorskip("matplotlib.figure").Figure
    figure = figure_of()
    figure.subplots().plot([1, 2])
    info = view.put(f"plot.{extension}", figure)
    data = view.get(f"plot.{extension}")
    assert data.startswith(magic)
    assert ("builtins.bytes", len(data)) == (info.python_type, info.size)
    with pytest.raises(UnsupportedValueError, match=r"\.png, \.svg or \.pdf"):
        view.put("plot.xlsx", figure)


def test_an_image_is_saved_as_a_picture(view):
    """An image of Pillow is saved likewise; a mode that the format lacks is refused."""
    image = pytest.importorskip("PIL.Image")
    picture = image.new("RGBA", (2, 3), (1, 2, 3, 4))
    view.put("x.png", picture)
    back = image.open(io.BytesIO(view.get("x.png")))
    assert ((2, 3), (1, 2, 3, 4)) == (back.size, back.getpixel((0, 0)))
    with pytest.raises(UnsupportedValueError, match=r"as \.jpg.*\.png"):
        view.put("x.jpg", picture)
    assert not view.exists("x.jpg")
