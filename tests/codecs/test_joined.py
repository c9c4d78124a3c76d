"""The batches of a table become few: the same rows, and nothing large is copied for it."""

import datetime as dt
import random
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from runstore import ObjectStore
from runstore.containers import _write
from runstore.referred import _joined, joined

MIB = 1 << 20


@pytest.fixture
def view(tmp_path):
    return ObjectStore(tmp_path / "store").at(namespace="dev", run="r1")


@pytest.fixture
def tiny(monkeypatch):
    """What counts as small is tiny, so that small tables go all the ways of large ones."""
    for name, size in {"_COPIED": 2000, "_APART": 256, "_PIECE": 512, "_ROWS": 16}.items():
        monkeypatch.setattr(_joined, name, size)
    monkeypatch.setattr(_write, "_SMALL", 1000)
    monkeypatch.setattr(_write, "_NARROW", 1)
    return monkeypatch


def text(count, longest):
    return ["x" * random.Random(i).randint(0, longest) for i in range(count)]


COLUMNS = {
    "float64": lambda n: (np.arange(n) / 3, pa.float64()),
    "int8": lambda n: ((np.arange(n) % 100).astype("i1"), pa.int8()),
    "bool": lambda n: (np.arange(n) % 3 == 0, pa.bool_()),
    "text": lambda n: (text(n, 30), pa.string()),
    "large text": lambda n: (text(n, 30), pa.large_string()),
    "bytes": lambda n: ([b"abc"[: i % 4] for i in range(n)], pa.binary()),
    "bytes of 3": lambda n: ([b"abc"] * n, pa.binary(3)),
    "time": lambda n: ([dt.datetime(2026, 1, 1) + dt.timedelta(i) for i in range(n)], None),
    "decimal": lambda n: ([Decimal(i) for i in range(n)], pa.decimal128(20, 2)),
    "view": lambda n: (text(n, 30), pa.string_view()),
    "list": lambda n: ([list(range(i % 4)) for i in range(n)], pa.list_(pa.int64())),
    "struct": lambda n: ([{"a": i, "b": "x"} for i in range(n)], None),
    "null": lambda n: ([None] * n, pa.null()),
}


def chunked(names, lengths, nulls):
    """Give a table whose chunks are slices of larger arrays, some with nulls over values."""
    batches = []
    for number, length in enumerate(lengths):
        arrays = []
        for name in names:
            values, kind = COLUMNS[name](length + 9)
            hidden = np.arange(length + 9) % 5 == number % 5 if nulls and number % 2 else None
            arrays.append(pa.array(values, kind, mask=hidden).slice(number % 9, length))
        batches.append(pa.RecordBatch.from_arrays(arrays, names=names))
    return pa.Table.from_batches(batches)


@pytest.mark.extended
@pytest.mark.parametrize("nulls", [False, True])
@pytest.mark.parametrize("largest", [1 << 29, 20_000])
def test_rows_are_the_same(view, tiny, tmp_path, largest, nulls):
    """Tables of any types and chunks come back equal, and other readers see the same rows."""
    tiny.setattr(_joined, "_LARGEST", largest)
    for names in ([*COLUMNS], [*COLUMNS][:9], *([name] for name in COLUMNS)):
        for lengths in ([0, 5, 0], [400] * 6, [1] * 50, [3, 900, 0, 11, 200]):
            table = chunked(names, lengths, nulls)
            for compression in (None, "zstd"):
                view.put("x", table, compression=compression)
                assert view.get("x", verify=True).equals(table), (names, lengths)
            view.put("x", table)
            (path,) = tmp_path.rglob("x.arrow")
            assert pa.ipc.open_file(path).read_all().equals(table)


def test_a_table_is_one_batch(view):
    """100 batches of numbers and text are stored as one, and 10,000 small ones, too."""
    for batches, rows in ((100, 2000), (10_000, 2)):
        part = pa.table({"a": np.arange(float(rows)), "b": [f"t{i}" for i in range(rows)]})
        view.put("x", pa.concat_tables([part] * batches))
        assert 1 == view.get("x").column("a").num_chunks


def test_large_pieces_are_not_copied():
    """A table of large chunks is joined without memory for its numbers or its text."""
    part = pa.table(
        {"a": np.arange(float(MIB)), "b": pa.array(["x" * 15] * MIB, pa.large_string())}
    )
    table = pa.concat_tables([part] * 4)
    before = pa.total_allocated_bytes()
    (one,) = joined(table.to_batches(), table.nbytes)
    assert isinstance(one, _joined.Joined)
    assert 4 * MIB == one.shape.num_rows
    given = {address: size for address, (size, _) in one.pieces.items()}
    assert sorted([32 * MIB, 60 * MIB, 32 * MIB + 8]) == sorted(given.values())
    for size, pieces in one.pieces.values():
        assert size == sum(memoryview(piece).nbytes for piece in pieces())
    assert pa.total_allocated_bytes() - before <= MIB


def test_what_hides_under_nulls_is_not_written(view, tiny, tmp_path):
    """Joined columns hold nothing that they do not show, neither numbers nor text."""
    secret = b"5ecret-5ecret"
    number = int.from_bytes(secret[:8], "little")
    mask = np.array([True, False] * 200)
    part = pa.RecordBatch.from_arrays(
        [
            pa.Array.from_buffers(
                pa.int64(),
                400,
                [
                    pa.py_buffer(np.packbits(~mask, bitorder="little")),
                    pa.py_buffer(np.full(400, number)),
                ],
            ),
            pa.array([secret.decode()] * 400 + ["x"] * 400, pa.string()).slice(400),
        ],
        names=["n", "s"],
    )
    view.put("x", pa.Table.from_batches([part] * 5))
    (path,) = tmp_path.rglob("x.arrow")
    stored = path.read_bytes()
    assert 1000 == view.get("x")["n"].null_count
    assert secret[:8] * 2 not in stored
    assert secret not in stored
