"""Section J: nothing more than was put, what is taken can be read, handles are refused."""

import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from tests.cases._case import case

_MARKER = "FILTERED-OUT-"


def _view(here: Path) -> Any:
    from runstore import ObjectStore

    return ObjectStore(here / "store").at(namespace="n", run="r")


def _stored(here: Path, name: str) -> bytes:
    return (here / "store" / "n" / "r" / name).read_bytes()


def _peak(do: Any) -> int:
    """Return by how many bytes the resident memory of this process grows meanwhile."""

    def status(field: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])

    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    do()
    return status("VmHWM") - before


@case("J1", "The file of a filtered frame has its rows alone, and no text that was filtered out.")
def only_what_was_put(here: Path) -> None:
    import polars as pl

    view = _view(here)
    parent = pl.DataFrame({"text": [f"{_MARKER}{n:020}" for n in range(300_000)]})
    parent = parent.with_columns(n=pl.int_range(pl.len()))
    shown = {"text": ["kept, and longer than twelve bytes"] * 5}
    rest = pl.concat([parent.drop("n"), pl.DataFrame(shown)], rechunk=True)
    for name, value in {
        "filter": rest.filter(~pl.col("text").str.starts_with(_MARKER)),
        "tail": rest.tail(5),
        "series": rest["text"].slice(300_000),
        "arrow": rest.to_arrow(compat_level=pl.CompatLevel.newest()).slice(300_000),
        "dict": {"part": rest.tail(5)},
    }.items():
        info = view.put(name, value)
        data = _stored(here, f"{name}.arrow")
        assert _MARKER.encode() not in data, name
        assert info.size < 8_000, (name, info.size)
        back = view.get(name)
        if name == "dict":
            back, value = back["part"], value["part"]
        assert back.equals(value), name


@case("J1", "A column of a tensor and a field of a structured array leave their parents behind.")
def strides(here: Path) -> None:
    import numpy as np

    view = _view(here)
    records = np.zeros(1000, [("kept", "i8"), ("secret", "S20")])
    records["secret"] = _MARKER
    view.put("fields", records[["kept"]])
    assert _MARKER.encode() not in _stored(here, "fields.arrow")
    view.put("object", [{1}, records[["kept"]]])
    assert _MARKER.encode() not in _stored(here, "object.arrow")
    try:
        import torch
    except ModuleNotFoundError:
        return
    parent = torch.arange(1_000_000.0).reshape(1000, 1000)
    for value in (parent[:, 0], parent[::100, ::7], torch.ones(1).expand(1000, 1000)):
        assert view.put("tensor", value).size < 10_000
        assert torch.equal(view.get("tensor"), value)
        assert view.put("tensor", [{1}, value]).size < 20_000


@case("J2", "Putting 300 MB of polars text takes less than 64 MiB, filtered or not.", seconds=300)
def text_costs_no_copy(here: Path) -> None:
    import polars as pl

    view = _view(here)
    number = pl.int_range(5_000_000, eager=True)
    frame = pl.DataFrame({"text": number.cast(pl.String).str.pad_start(60, "x"), "n": number})
    view.put("first", frame.head(1000).filter(pl.col("n") % 10 != 3))
    filtered = frame.filter(pl.col("n") % 10 != 3)
    for value in (frame, filtered):
        grown = _peak(lambda value=value: view.put("text", value))  # type: ignore[misc]
        assert grown < 64 << 20, grown >> 20


@case("J3", "Arrays of bfloat16, float8 and int4 are exact, alone and as part of something.")
def ml_dtypes(here: Path) -> None:
    import ml_dtypes
    import numpy as np

    view = _view(here)
    for name in ("bfloat16", "float8_e4m3fn", "float8_e5m2", "int4"):
        array = np.array([[0, 1], [-2, 3]]).astype(getattr(ml_dtypes, name))
        for value in (array, np.asfortranarray(array), array[1:]):
            view.put("x", {"array": value, "alone": value[0, 1]})
            back = view.get("x")
            assert (value.dtype, value.shape) == (back["array"].dtype, back["array"].shape)
            assert value.tobytes() == back["array"].tobytes()
            assert (value[0, 1], type(value[0, 1])) == (back["alone"], type(back["alone"]))


@case("J4", "An array of 2^31 + 1 truth values is stored and read.", seconds=600)
def beyond_two_gib(here: Path) -> None:
    import numpy as np

    view = _view(here)
    value = np.zeros((1 << 31) + 1, bool)
    value[-1] = True
    view.put("bits", value)
    back = view.get("bits")
    assert value.shape == back.shape
    assert back[-1]
    assert not back[:1000].any()


_SCRIPT = """
import dataclasses, enum, sys
import pandas as pd, pydantic
from runstore import ObjectStore

class Side(enum.Enum):
    BUY = 1
    SELL = 2

@dataclasses.dataclass
class Point:
    x: int

class Model(pydantic.BaseModel):
    side: Side = Side.BUY

class Outer:
    class Inner(enum.Enum):
        A = 1

class OddError(Exception):
    pass

store = ObjectStore("store").at(namespace="n", run="r")
values = {"point": Point(1), "model": Model(), "nested": [Outer.Inner.A, Side.SELL]}
if sys.argv[1] == "put":
    store.put("frame", pd.DataFrame({"side": [Side.BUY, Side.SELL, Side.BUY]}))
    store.put("error", OddError("odd"))
    for name, value in values.items():
        store.put(name, value)
else:
    assert 2 == (store.get("frame").side == Side.BUY).sum()
    assert type(store.get("error")) is OddError
    for name, value in values.items():
        assert value == store.get(name), name
"""


@case("J5", "Classes of a script are those of its next start: members and instances are equal.")
def classes_of_main(here: Path) -> None:
    script = here / "script.py"
    script.write_text(_SCRIPT)
    for step in ("put", "get"):
        subprocess.run([sys.executable, str(script), step], check=True)
    elsewhere = "from runstore import ObjectStore as S; s = S('store').at(namespace='n', run='r')\n"
    elsewhere += "assert s.get('point').x == 1; assert s.get('frame').side[0].name == 'BUY'"
    subprocess.run([sys.executable, "-c", elsewhere], check=True)


@case("J6", "A view of a tensor whose last dimension has one item is stored.")
def one_item(here: Path) -> None:
    try:
        import torch
    except ModuleNotFoundError:
        return
    view = _view(here)
    logits = torch.arange(10.0).reshape(1, 10)
    for value in (logits[:, 0], logits[:, :1], logits[:1, 3]):
        view.put("x", {"logits": value})
        assert torch.equal(value, view.get("x")["logits"])
        view.put("x.safetensors", {"logits": value})
        assert torch.equal(value, view.get("x.safetensors")["logits"])


def _refused(view: Any, value: Any, said: str) -> None:
    """See that *value* is refused with this reason, and the old object still there."""
    from runstore.errors import UnsupportedValueError

    view.put("x", "old")
    with pytest.raises(UnsupportedValueError, match=said):
        view.put("x", value)
    assert view.get("x") == "old"


@case("J7", "Lazy data is refused or streamed; files, connections and futures are refused.")
def handles(here: Path) -> None:
    import concurrent.futures
    import sqlite3
    import threading

    import dask
    import pyarrow as pa
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq
    import xarray as xr

    view = _view(here)
    pq.write_table(pa.table({"a": [1]}), here / "a.parquet")
    xr.Dataset({"a": ("x", [1.0])}).to_netcdf(here / "a.nc", engine="scipy")
    lazy = xr.open_dataset(here / "a.nc", engine="scipy")
    _refused(view, lazy, r"load\(\)")
    _refused(view, {"k": [lazy["a"]]}, r"load\(\)")
    view.put("x", ds.dataset(here / "a.parquet"))
    assert view.get("x") == pa.table({"a": [1]})
    _refused(view, [ds.dataset(here / "a.parquet")], r"value\[0\]")
    _refused(view, dask.delayed(lambda: 1)(), r"compute\(\)")
    _refused(view, concurrent.futures.Future(), r"result\(\)")
    _refused(view, {"lock": threading.Lock()}, r"value\['lock'\]")
    _refused(view, sqlite3.connect(":memory:"), "connection")
    _refused(view, (n for n in range(3)), "list")
    with (here / "a.txt").open("w+") as file:
        _refused(view, file, r"read\(\)")
        _refused(view, {"log": file}, "log")


class _TwoArgumentsError(Exception):
    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


class _Cents(int):
    def __new__(cls, whole: int, part: int) -> "_Cents":
        return super().__new__(cls, 100 * whole + part)


class _Recursive:
    def __init__(self) -> None:
        self.inner = self.state = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@case("J8", "What can be pickled and not loaded again is refused when it is put.")
def pickled_for_ever(here: Path) -> None:
    import pandas as pd

    view = _view(here)
    _refused(view, _TwoArgumentsError("a", "b"), "missing 1 required positional argument")
    _refused(view, _Cents(1, 2), "cannot be loaded again")
    _refused(view, _Recursive(), "RecursionError")
    _refused(view, pd.DataFrame({"why": [_TwoArgumentsError("a", "b")]}), "column 'why'")


@case("J9", "A polars column with NUL in its name is refused, Parquet takes names that repeat.")
def odd_names(here: Path) -> None:
    import polars as pl
    import pyarrow as pa

    view = _view(here)
    _refused(view, pl.DataFrame({"a\0b": [1]}), r"'a\\x00b'.*Rename")
    _refused(view, pl.DataFrame({"s": [{"a\0b": 1}]}), "Rename")
    _refused(view, {"k": pl.DataFrame({"a\0b": ["x"]})}, r"value\['k'\]")
    table = pa.table([[1], ["x"], [2.0]], names=["a", "a", "b"])
    view.put("t.parquet", table)
    assert table.equals(view.get("t.parquet"))
    assert table.select([0, 1]).equals(view.get("t.parquet", columns=["a"]))


@case("J10", "Times beyond Python's are shown, and text that is not UTF-8 is refused at put.")
def beyond_python(here: Path) -> None:
    import numpy as np
    import pyarrow as pa

    view = _view(here)
    view.put("far", pa.table({"t": pa.array([-(10**17), 10**18], pa.timestamp("us"))}))
    view.put("span", pa.table({"t": pa.array([2**62], pa.duration("s"))}))
    for words, code in (
        (["show", "n/r/far"], 0),
        (["show", "--json", "n/r/span"], 0),
        (["get", "n/r/far", "-o", "x.json"], 7),
    ):
        ended = subprocess.run(
            [sys.executable, "-m", "runstore", "--store", "store", *words],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ended.returncode, "bug" in ended.stderr) == (code, False), ended.stderr
    offsets = pa.py_buffer(np.array([0, 2], "i4"))
    bad = pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(b"\xff\xfe")])
    _refused(view, pa.table({"name": bad}), "'name'.*UTF-8")
    _refused(view, bad, "UTF-8")


@case("J11", "What would come back as another type is refused: views, open and temporary files.")
def another_type(here: Path) -> None:
    import mmap
    import weakref

    import numpy as np

    view = _view(here)
    _refused(view, memoryview(b"abc"), r"bytes\(value\)")
    _refused(view, {"parts": [memoryview(b"abc")]}, "parts")
    with (here / "a.txt").open("w") as file, mmap.mmap(-1, 10) as mapped:
        _refused(view, file, "open in this process")
        _refused(view, mapped, "maps a file")
    with tempfile.NamedTemporaryFile() as named, tempfile.TemporaryDirectory() as folder:
        _refused(view, named, "open in this process")
        assert os.path.isdir(folder)  # noqa: PTH112 - as it was given
        view.put("folder", folder)  # text
    _refused(view, tempfile.TemporaryDirectory(), "goes away")
    _refused(view, weakref.WeakSet(), "does not keep")
    np.save(here / "a.npy", np.arange(3))
    _refused(view, np.load(here / "a.npy", mmap_mode="r"), "numpy.array")
    view.put("x", io.StringIO("text"))
    assert view.get("x").getvalue() == "text"


@case("J12", "A refusal says which column, key or attribute it is, and what is there.")
def reasons(here: Path) -> None:
    import numpy as np
    import pandas as pd

    from runstore.errors import UnsupportedValueError

    view = _view(here)
    frame = pd.DataFrame({"a": [1, 2]})
    noted = frame.copy()
    noted.attrs = {"units": {"a": {1}}}
    spans = frame.set_index(pd.IntervalIndex(pd.cut([1, 2], 2)).astype("category"))
    for name, value, said in (
        ("x.parquet", noted, r"attrs\['units'\]\['a'\] is a set"),
        ("x.parquet", spans, r"index, which is a CategoricalIndex.*interval"),
        ("x.parquet", frame.assign(kinds=[{1}, [2]]), "column 'kinds' of Python objects"),
        ("x.npy", np.array([1, "a"], object), "an array of object"),
        ("x.npy", np.ma.masked_array([1]), "MaskedArray"),
        ("x.json", {"a": [1, {"b": {1}}]}, r"value\['a'\]\[1\]\['b'\] is a set"),
        ("x.json", {"a": {1: 2}}, r"the key 1 of value\['a'\] is of the type int"),
        ("x.json", {"rate": float("nan")}, r"value\['rate'\] is nan"),
    ):
        with pytest.raises(UnsupportedValueError, match=said):
            view.put(name, value)
