"""What a reader takes at most: files made to take more, each read in a child of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.store.test_damage import file_of, header

from runstore import ObjectStore, containers

ROOT = Path(__file__).parents[2]

MULTIPLE, FREE = 100, 64 << 20
"""A reader under deny takes at most so many times the file, or so many bytes besides it."""

# Reads each object in a forked child of its own, and tells what became of it and the peak.
_READ = """
import os, sys
import numpy, pandas, polars, pyarrow, xarray, networkx, pyproj, PIL.Image, scipy.sparse, shapely
from runstore import ObjectStore
from runstore.errors import RunStoreError

view = ObjectStore(sys.argv[1], pickle="deny").at(namespace="dev", run="r1")
view.put("warm", [{"a": (1,)}, pandas.DataFrame({"a": ["x"]})])
view.get("warm")


def peak(field):
    lines = open("/proc/self/status").read().split("\\n")
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) << 10


for name in sys.argv[2:]:
    before = os.fork()
    if before:
        _, status = os.waitpid(before, 0)
        if status:
            print(name, "ended with", status, 0, flush=True)
        continue
    first = peak("VmRSS")
    try:
        value = view.get(name)
        told = "read"
    except RunStoreError as exc:
        told = type(exc).__name__
    print(name, told, peak("VmHWM") - first, flush=True)
    os._exit(0)
"""


def _planted(
    view: Any, name: str, table: pa.Table, codec: str, spec: Any, compression: str | None = None
) -> None:
    path = file_of(view, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    about = header(name, codec, spec, codec_version=2 if codec == "pandas" else 1)
    if name.endswith(".parquet"):
        written = containers.parquet_file(table.schema, table.to_batches(), about)
    else:
        written = containers.arrow_file(
            table.schema, table.to_batches(), about, compression=compression
        )
    path.write_bytes(b"".join(map(bytes, written)))


def _tree(text: str, count: int, compression: str | None = None) -> Callable[[Any, str], None]:
    """Plant a list of many equal parts as a tree."""

    def plant(view: Any, name: str) -> None:
        whole = "[" + ",".join([text] * count) + "]"
        table = pa.table({"tree": pa.array([whole], pa.large_string())})
        _planted(view, name, table, "nested", {"leaves": []}, compression)

    return plant


def _with_leaf(value: Any, text: str, count: int) -> Callable[[Any, str], None]:
    """Plant a list of many parts that all refer to one leaf."""

    def plant(view: Any, name: str) -> None:
        info = view.put(name, {"a": (value,)})
        path = file_of(view, name)
        with pa.ipc.open_file(pa.BufferReader(path.read_bytes())) as file:
            table = file.read_all()
            spec = json.loads(file.metadata[b"runstore.object"])["spec"]
        whole = "[" + ",".join([text] * count) + "]"
        table = table.set_column(0, table.schema.field(0), pa.array([whole], pa.large_string()))
        assert info.codec == "nested"
        _planted(view, name, table, "nested", spec)

    return plant


def _cell(text: str, count: int, compression: str | None) -> Callable[[Any, str], None]:
    """Plant a document of JSON."""

    def plant(view: Any, name: str) -> None:
        whole = "[" + ",".join([text] * count) + "]"
        table = pa.table({"json": pa.array([whole], pa.large_string())})
        _planted(view, name, table, "json", {}, compression)

    return plant


def _packed(column: pa.Array, spec: Any, kind: str = "list") -> Callable[[Any, str], None]:
    def plant(view: Any, name: str) -> None:
        names = ["key", "value"][: 1 + (kind == "dict")]
        columns = [column] * len(names)
        what = {"type": kind, "columns": [spec] * len(names)}
        _planted(view, name, pa.table(dict(zip(names, columns, strict=True))), "packed", what)

    return plant


def _bits(count: int) -> pa.Array:
    return pa.Array.from_buffers(pa.bool_(), count, [None, pa.py_buffer(bytes(count // 8 + 1))])


def _struct(count: int, column: pa.Array) -> pa.Array:
    return pa.StructArray.from_arrays([column[:count]], ["0"])


def _frame(frame: Any, **how: Any) -> Callable[[Any, str], None]:
    """Store a frame where writers are trusted."""

    def plant(view: Any, name: str) -> None:
        ObjectStore(view.store.url).at(namespace="dev", run="r1").put(name, frame, **how)

    return plant


def _pages(table: pa.Table, **how: Any) -> Callable[[Any, str], None]:
    def plant(view: Any, name: str) -> None:
        path = file_of(view, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path, **how)

    return plant


_SOME = 1 << 17
_TEXTS = pd.Series(["", "x"] * (_SOME * 16), dtype=object)
_TRUE = {"k": "bool"}

ATTACKS: dict[str, Callable[[Any, str], None]] = {
    "lists": _tree("[[],[]]", _SOME),
    "dicts": _tree("{}", _SOME),
    "small-dicts": _tree('{"":0}', _SOME),
    "deep-lists": _tree("[" * 40 + "]" * 40, _SOME // 16),
    "tuples": _tree('{"$tuple":[]}', _SOME),
    "sets": _tree('{"$set":[]}', _SOME),
    "deques": _tree('{"$deque":[[],null]}', _SOME // 2),
    "counters": _tree('{"$counter":[]}', _SOME // 2),
    "namespaces": _tree('{"$namespace":{}}', _SOME // 2),
    "complex": _tree('{"$complex":[0.0,0.0]}', _SOME // 2),
    "generators": _tree('{"$random":[3,[],null]}', _SOME // 2),
    "crs": _tree('{"$crs":"EPSG:4326"}', _SOME // 4),
    "dtypes": _tree('{"$pandas_dtype":["Int8Dtype",null]}', _SOME // 4),
    "offsets": _tree('{"$offset":["Day",1,false,"D"]}', _SOME // 4),
    "patterns": _tree('{"$pattern":["str","[\\u0100-\\u8000a]x|y*",32]}', _SOME // 16),
    "points": _tree('{"$geometry":["Point","AQEAAAAAAAAAAADwPwAAAAAAAABA"]}', _SOME // 8),
    "graphs": _tree('{"$graph":["Graph",{},[],[],[[[],[],[]]],[]]}', _SOME // 8),
    "texts": _tree('"a"', _SOME * 4),
    "keys": _tree(",".join(f'{{"{at}":0}}' for at in range(_SOME)), 1),
    "wide-text": _tree('"' + "a" * 100 + '\U0001f600"', 1 << 13),
    "lists-compressed": _tree("[[],[]]", _SOME * 4, "zstd"),
    "document": _cell("[[],[]]", _SOME, None),
    "document-compressed": _cell("[[],[]]", _SOME * 4, "zstd"),
    "one-image-often": _with_leaf(
        np.zeros(1 << 20, "u1"), '{"$image":["L",[1024,1024],{},null,{"$leaf":0}]}', 2000
    ),
    "one-array-often": _with_leaf(np.zeros(1 << 17), '{"$array":["d",{"$leaf":0}]}', 2000),
    "one-polynomial-often": _with_leaf(
        np.ones(1 << 17), '{"$poly":["poly1d",{"$leaf":0},"x"]}', 2000
    ),
    "one-list-often": _with_leaf([True, False] * (1 << 18), '{"$leaf":0}', 2000),
    "one-tuple-of-lists": _with_leaf([True, False] * (1 << 18), '{"$tuple":{"$leaf":0}}', 2000),
    "truths": _packed(_bits(_SOME * 40), _TRUE),
    "truths-missing": _packed(_bits(_SOME * 40), _TRUE | {"nulls": True}),
    "tuples-of-a-bit": _packed(
        _struct(_SOME * 16, _bits(_SOME * 16)), {"k": "tuple", "of": [_TRUE]}
    ),
    "dicts-of-a-bit": _packed(
        _struct(_SOME * 16, _bits(_SOME * 16)), {"k": "dict", "keys": ["a"], "of": [_TRUE]}
    ),
    "bytes": _packed(pa.array(np.zeros(_SOME * 8, "i1")), {"k": "int"}),
    "empty-lists": _packed(
        pa.ListArray.from_arrays(pa.array(np.zeros(_SOME * 2, "i4")), _bits(8)),
        {"k": "list", "of": _TRUE},
    ),
    "codes": _packed(
        pa.DictionaryArray.from_arrays(pa.array(np.zeros(_SOME * 8, "i1")), pa.array(["x" * 1000])),
        {"k": "codes", "of": {"k": "str"}},
    ),
    "decimals": _packed(pa.array(["1"] * (_SOME * 2)), {"k": "decimal"}),
    "object-text": _frame(pd.DataFrame({"a": _TEXTS}), compression="zstd"),
    "object-dates": _frame(
        pd.DataFrame({"a": [pd.Timestamp("2024-01-01").date()] * (_SOME * 8)}, dtype=object),
        compression="zstd",
    ),
    "object-lists": _frame(
        pd.DataFrame({"a": pd.Series([[] for _ in range(_SOME * 2)], dtype=object)}),
        compression="zstd",
    ),
    "object-cells": _frame(
        pd.DataFrame({"a": pd.Series([{1, 2}, (), {}] * _SOME, dtype=object)}), compression="zstd"
    ),
    "truths-compressed": _frame(
        pd.DataFrame({"a": np.zeros(_SOME * 1024, bool)}), compression="zstd"
    ),
    "object-index": _frame(pd.DataFrame({"a": 1}, index=_TEXTS.to_numpy()), compression="zstd"),
    "object-text.parquet": _frame(pd.DataFrame({"a": _TEXTS})),
    "runs": lambda view, name: _planted(
        view,
        name,
        pa.table({"a": pa.RunEndEncodedArray.from_arrays([1 << 30], [1])}),
        "arrow",
        {"kind": "table"},
    ),
    "runs-of-polars": lambda view, name: _planted(
        view, name, pa.table({"a": pa.RunEndEncodedArray.from_arrays([1 << 28], [1])}), "polars", {}
    ),
    "dictionary-of-polars": lambda view, name: _planted(
        view,
        name,
        pa.table(
            {
                "a": pa.DictionaryArray.from_arrays(
                    pa.array(np.zeros(_SOME, "i1")), pa.array(["x" * 10_000], pa.large_string())
                )
            }
        ),
        "polars",
        {},
    ),
    "lists-in-a-dictionary-of-polars": lambda view, name: _planted(
        view,
        name,
        pa.table(
            {
                "a": pa.DictionaryArray.from_arrays(
                    pa.array(np.zeros(_SOME, "i1")), pa.array([[1.0] * 10_000])
                )
            }
        ),
        "polars",
        {},
    ),
    "runs-of-text-for-polars": lambda view, name: _planted(
        view,
        name,
        pa.table({"a": pa.RunEndEncodedArray.from_arrays([1 << 20], ["x" * 10_000])}),
        "polars",
        {},
    ),
    "other.parquet": _pages(
        pa.table({"a": pa.array(["x" * 10_000] * _SOME).dictionary_encode()}), compression="zstd"
    ),
    "delta.parquet": _pages(
        pa.table({"a": np.zeros(_SOME * 512, "i8")}),
        compression="zstd",
        use_dictionary=False,
        column_encoding={"a": "DELTA_BINARY_PACKED"},
    ),
}


@pytest.mark.extended
def test_a_reader_takes_no_more_than_is_said(tmp_path: Path) -> None:
    """Under deny: at most 100 times the file, or 64 MiB besides it, whatever the file says."""
    pytest.importorskip("pyproj")
    view = ObjectStore(tmp_path / "store", pickle="deny").at(namespace="dev", run="r1")
    for name, plant in ATTACKS.items():
        plant(view, name)
    command = [sys.executable, "-W", "ignore", "-c", _READ, str(tmp_path / "store"), *ATTACKS]
    variables = {name: text for name, text in os.environ.items() if "MAX_DECODED" not in name}
    done = subprocess.run(
        command, cwd=ROOT, env=variables, check=True, capture_output=True, text=True
    )
    found = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert found.keys() == ATTACKS.keys()
    over = {}
    for name, outcome in found.items():
        told, _, peak = outcome.rpartition(" ")
        size = file_of(view, name).stat().st_size
        print(f"{name:34} {size:>10,} {told:24} {int(peak):>13,} {int(peak) / size:8.1f}")
        if told.startswith("ended") or int(peak) > max(MULTIPLE * size, FREE) + size:
            over[name] = outcome
    assert {} == over
