"""Section J: files by extension take what their libraries' own writers take, and name what not."""

import collections
import datetime as dt
import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.cases._case import case


def _view(here: Path) -> Any:
    from runstore import ObjectStore

    return ObjectStore(here / "store", pickle="deny").at(namespace="n", run="r")


def _stored(here: Path, name: str) -> Path:
    return here / "store" / "n" / "r" / name


@case("J15", "A .parquet keeps what pandas writes, and pandas reads it as its own.")
def of_pandas(here: Path) -> None:
    import pandas as pd

    from runstore.testing import assert_same

    view = _view(here)
    levels = pd.MultiIndex.from_product([["b", "a"], [1, 2]], names=["k", None])
    days = pd.date_range("2024", periods=4)
    frame = pd.DataFrame(
        {
            "labels": pd.Categorical(["z", "a", None, "z"], ["z", "unused", "a"], ordered=True),
            "numbers": pd.Categorical([3, 1, 1, 3], [3, 2, 1]),
            "seconds": days.as_unit("s"),
            "offset": days.tz_localize(dt.timezone(dt.timedelta(hours=1))),
            "month": pd.period_range("2024", periods=4, freq="M"),
            "span": pd.interval_range(0, 4),
            "price": [Decimal("1.50"), None, Decimal("2.25"), Decimal("0.00")],
            "day": [dt.date(2024, 1, 1), None, dt.date(2024, 1, 2), dt.date(1, 1, 1)],
            "list": [[1], None, [], [2, 3]],
            "dict": [{"a": 1}, None, {"a": 2}, {"a": 3}],
        },
        index=levels,
    )
    for value in (frame, frame["labels"], frame.reset_index(), frame.set_index("month")):
        view.put("x.parquet", value)
        assert_same(value, view.get("x.parquet"))
        whole = value.to_frame() if isinstance(value, pd.Series) else value
        own = io.BytesIO()
        whole.to_parquet(own)
        expected, actual = pd.read_parquet(own), pd.read_parquet(_stored(here, "x.parquet"))
        pd.testing.assert_frame_equal(expected, actual)


@case("J15", "A .parquet keeps what polars writes, and polars reads it as its own.")
def of_polars(here: Path) -> None:
    import polars as pl

    view = _view(here)
    schema = {"e": pl.Enum(["z", "u", "a"]), "c": pl.Categorical, "d": pl.Decimal(10, 2)}
    data = {"e": ["z", None], "c": ["b", "a"], "d": [Decimal("1.5"), None]}
    frame = pl.DataFrame(data, schema=schema).with_columns(l=pl.concat_list("e"), s=pl.struct("c"))
    for value in (frame, frame["e"], frame["c"].rename(""), frame.clear()):
        view.put("x.parquet", value)
        back = view.get("x.parquet")
        assert type(value) is type(back)
        assert value.equals(back)
        whole = frame if isinstance(value, pl.DataFrame) else value.to_frame()
        read = pl.read_parquet(_stored(here, "x.parquet"))
        assert whole.dtypes == read.dtypes


@case("J15", "A .parquet keeps a GeoDataFrame, geopandas reads it, and columns= does.")
def of_geopandas(here: Path) -> None:
    try:
        import geopandas as gpd
    except ModuleNotFoundError:
        return
    from geopandas.testing import assert_geodataframe_equal
    from shapely.geometry import Point

    view = _view(here)
    frame = gpd.GeoDataFrame({"a": [1, 2]}, geometry=[Point(1, 2), None], crs=4326)
    for value in (frame, frame.set_index("a"), frame.iloc[:0], frame.to_crs(3857)):
        view.put("x.parquet", value)
        assert_geodataframe_equal(value, view.get("x.parquet"))
        assert_geodataframe_equal(value, gpd.read_parquet(_stored(here, "x.parquet")))
    view.put("x.parquet", frame)
    view.put("x", frame, pickle="allow")
    for name in ("x", "x.parquet"):
        part = view.get(name, columns=["geometry"], pickle="allow")
        assert type(part) is gpd.GeoDataFrame
        assert ["a"] == list(view.get(name, columns=["a"], pickle="allow").columns)


@case("J15", "A .safetensors keeps a state dict, and names tensors that share memory.")
def of_state_dicts(here: Path) -> None:
    import numpy as np

    from runstore.errors import UnsupportedValueError
    from runstore.testing import assert_same

    view = _view(here)
    ordered = collections.OrderedDict(b=np.arange(3), a=np.ones((2, 2), "f4"))
    view.put("x.safetensors", ordered)
    assert_same(ordered, view.get("x.safetensors"))
    try:
        import torch
    except ModuleNotFoundError:
        return
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    view.put("x.safetensors", net.state_dict())
    assert_same(net.state_dict(), view.get("x.safetensors"))
    net.load_state_dict(view.get("x.safetensors"))
    weights = torch.arange(6.0)
    for value, said in (
        ({"a": weights, "b": weights}, "'a' and 'b' share memory"),
        ({"a": weights[:4], "b": weights[2:]}, "'a' and 'b' share memory"),
        (net.state_dict(keep_vars=True), "'0.weight' is a torch.nn.parameter.Parameter"),
    ):
        with pytest.raises(UnsupportedValueError, match=said):
            view.put("x.safetensors", value)


@case("J15", "What a file cannot say exactly is refused with the column or key, and the way out.")
def named(here: Path) -> None:
    import numpy as np
    import pandas as pd
    import polars as pl

    from runstore.errors import UnsupportedValueError

    view = _view(here)
    noted = pd.DataFrame({"a": [1]})
    noted.attrs = {"unit": {1}}
    for name, value, said in (
        ("x.parquet", noted, r"attrs\['unit'\] is a set"),
        ("x.parquet", pd.DataFrame({"k": ["a", 1]}), "column 'k'.* mixes int and str"),
        ("x.parquet", pd.DataFrame({"k": [(1, 2)]}), "column 'k'.*row 0 .* a list"),
        ("x.parquet", pl.DataFrame({"k": [1]}, schema={"k": pl.Int128}), "column 'k' of Int128"),
        ("x.npy", np.zeros(1, [("k", "O")]), "object in the field 'k'"),
        ("x.csv", pd.DataFrame({"k": [{1}]}), r"column 'k'.*builtins\.set"),
        ("x.json", {"k": (1,)}, r"value\['k'\] is a tuple"),
        ("x.safetensors", {"k": np.zeros(1, "M8[s]")}, r"'k' is of '<M8\[s\]'"),
    ):
        extension = name.partition(".")[2]
        with pytest.raises(UnsupportedValueError, match=rf"{said}.* without \.{extension}"):
            view.put(name, value)
