"""Files of one small cell: the bytes that Arrow would write, without Arrow."""

from dataclasses import replace
from datetime import UTC, datetime
from statistics import NormalDist

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstore import ObjectStore, containers
from runstore.buffers import flat
from runstore.codecs._cells import encoded_cell
from runstore.containers import Header, _cell
from runstore.errors import CorruptObjectError

HEADER = Header(
    namespace="dev",
    run="r1",
    name="x",
    type="builtins.str",
    codec="str",
    codec_version=1,
    created_at=datetime(2026, 11, 23, tzinfo=UTC),
    write_id="0123456789abcdef",
)


def written(column, cell, header=HEADER, *, as_cell):
    encoded = encoded_cell(column, cell)
    file = containers.arrow_file(
        encoded.schema,
        encoded.batches,
        header,
        nbytes=encoded.nbytes,
        cell=encoded.cell if as_cell else None,
    )
    return b"".join(flat(part) for part in file), file.digest


@given(
    cell=st.binary(max_size=300),
    column=st.sampled_from(["text", "json", "data"]),
    name=st.text("ab", max_size=300),
)
def test_bytes_are_those_of_arrow(cell, column, name):
    """Whatever the cell and the length of the header, not one byte differs."""
    header = replace(HEADER, name=name)
    by_arrow = written(column, cell, header, as_cell=False)
    assert by_arrow == written(column, cell, header, as_cell=True)
    assert pa.ipc.open_file(by_arrow[0]).read_all().column_names == [column]


def test_large_cells_are_left_to_arrow():
    """Beyond 64 KiB the cell is not copied into one file."""
    encoded = encoded_cell("data", bytes(100_000))
    assert _cell.cell_file(encoded.schema, bytes(100_000), {}) is None


@pytest.fixture
def view():
    return ObjectStore("memory://cells").at(namespace="dev", run="r1")


VALUES = {"text": "a b c", "blob": b"abc", "json": {"a": [1, 2]}, "pickle": NormalDist()}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_the_second_needs_no_arrow(view, value, monkeypatch):
    """Arrow's writer and reader are needed for the first of a kind, not for the others."""
    view.put("x", value)
    assert value == view.get("x")
    monkeypatch.setattr(pa.ipc, "new_file", None)
    monkeypatch.setattr(pa.ipc, "RecordBatchFileReader", None)
    view.put("x", value)
    assert value == view.get("x")


def test_a_file_of_another_process_is_learned():
    """The first file that Arrow opened teaches how to open the next."""
    file, _ = written("text", b"some text", as_cell=False)
    schema = pa.schema([pa.field("text", pa.large_string(), nullable=False)])
    containers.open_arrow(bytearray(file), "x")
    found = _cell.open_cell(file)
    assert found is not None
    assert b"some text" == found[1]
    assert schema == containers.open_arrow(bytearray(file), "x").schema


def test_damage_is_not_taken_for_a_cell():
    """Any byte that differs sends a file to the checks that say what is wrong."""
    file = bytearray(written("text", b"some text", as_cell=True)[0])
    for at in range(len(file)):
        file[at] ^= 1
        assert _cell.open_cell(bytes(file)) is None
        with pytest.raises(CorruptObjectError):
            containers.open_arrow(file, "x")
        file[at] ^= 1
