"""How objects are shown."""

import numpy as np
import pandas as pd
import pytest

from runstore.queries import Shape, look_at


class Odd:
    """A class of a user's own, which only a pickle keeps."""


def look(store, view, name, shape=None):
    return look_at(store, view.stat(name), shape)


@pytest.mark.parametrize(
    ("name", "value", "kind", "text"),
    [
        ("d", {"a": [1, None]}, "text", '"a"'),
        ("s", "some text", "text", "some text"),
        ("b", b"\x00\x01bytes", "bytes", "bytes"),
        ("n.md", "# Title", "text", "# Title"),
        ("j.json", {"a": 1}, "text", '"a": 1'),
        ("p", Odd(), "pickled", ""),
        ("p.pkl", {1: 2}, "pickled", ""),
        ("r.html", "<p>", "html", ""),
        ("i.png", b"\x89PNG", "image", ""),
        ("a.npy", np.zeros((3, 4)), "bytes", "(3, 4)"),
        ("v.svg", b"<svg/>", "image", ""),
        ("x.bin", bytes(300), "bytes", "00 00"),
    ],
)
def test_each_kind_of_object_is_shown_in_its_way(store, view, name, value, kind, text):
    """Documents are text, pictures and pages are handed out, pickles are not loaded."""
    view.put(name, value)
    found = look(store, view, name)
    assert kind == found.kind
    assert text in found.text


def test_a_table_is_shown_by_rows_and_columns(store, view):
    """Any part of a table can be asked for."""
    view.put("t", pd.DataFrame({f"c{i}": np.arange(100) + i for i in range(50)}))
    rows = look(store, view, "t", Shape(start=90, rows=25, column=45, columns=30)).rows
    assert (100, 50, 45) == (rows.total, rows.all_columns, rows.first_column)
    assert [f"c{i}" for i in range(45, 50)] == [name for name, _ in rows.columns]
    assert ["135", "136", "137", "138", "139"] == [cell.text for cell in rows.cells[0]]
    assert 10 == len(rows.cells)
    assert [] == look(store, view, "t", Shape(start=1_000)).rows.cells


def test_pickled_columns_of_a_table_are_left_out(store, view):
    """The other columns are there; nothing is unpickled."""
    view.put("t", pd.DataFrame({"a": [1], "b": [Odd()]}))
    rows = look(store, view, "t").rows
    assert [("a", "int64"), ("b", "pickled")] == rows.columns
    assert "none" == rows.cells[0][1].kind
    assert "pickled" in rows.left_out["b"]


def test_text_files_of_tables_are_tables(store, view):
    """The beginning of a .csv file is shown by its columns."""
    view.put("t.csv", pd.DataFrame({"a": range(100), "b": "x"}))
    rows = look(store, view, "t.csv").rows
    assert ["a", "b"] == [name for name, _ in rows.columns]
    assert (None, 25) == (rows.total, len(rows.cells))


def test_a_folder_is_shown_by_its_files(store, view, tmp_path):
    """The files of a stored folder are listed."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "one.txt").write_text("x")
    view.put_dir("d", tmp_path / "d")
    found = look(store, view, "d")
    assert "folder" == found.kind
    assert "one.txt" in found.text


def test_long_texts_and_large_values_are_cut(store, view):
    """What is shown is bounded."""
    view.put("long.txt", "x" * 1_000_000)
    view.put("value", {"x": "y" * 5_000_000})
    found = look(store, view, "long.txt")
    assert found.cut
    assert len(found.text) <= 64 << 10
    assert "too large" in look(store, view, "value").note
