"""Section J.14: everyday values, exactly, in a store that denies pickle."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.cases._case import case


def _trips(here: Path, values: dict[str, Any]) -> None:
    """Put and get each value with pickle denied, on disk, and compare as closely as can be."""
    from runstore import ObjectStore
    from runstore.testing import assert_same

    view = ObjectStore(here / "store", pickle="deny").at(namespace="n", run="r")
    for name, value in values.items():
        try:
            assert not view.put("x", value).pickled
            assert_same(value, view.get("x", verify=True))
        except Exception as exc:
            exc.add_note(f"the value is {name!r}")
            raise


def _objects(*cells: Any) -> Any:
    import numpy as np
    import pandas as pd

    array = np.empty(len(cells), object)
    for at, cell in enumerate(cells):
        array[at] = cell
    return pd.DataFrame({"x": pd.Series(array, dtype=object)})


@case("J14", "Columns of dates, decimals, lists, dicts and text keep each kind of missing value.")
def columns_of_objects(here: Path) -> None:
    import datetime as dt
    from decimal import Decimal

    import numpy as np
    import pandas as pd

    day = dt.date(2024, 2, 29)
    _trips(
        here,
        {
            "dates": _objects(day, None, pd.NaT),
            "decimals": _objects(Decimal("1.50"), np.nan),
            "lists": _objects([1, None], [], None),
            "text and NaN": _objects("a", np.nan),
            "text and all that is missing": _objects("a", None, np.nan, pd.NA, pd.NaT),
            "mixed": _objects(1, "a", {"b": (1, {2})}, None),
            "no rows": _objects(),
            "no frame": pd.DataFrame(),
        },
    )


@case("J14", "What groupby, cut, to_datetime and period_range make is kept: labels, bins, offsets.")
def what_pandas_makes(here: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame({"k": ["a", "a", "b"], "v": [1, 2, 3.5]})
    months = pd.period_range("2024", periods=3, freq="M", name=("m", 1))
    _trips(
        here,
        {
            "agg": frame.groupby("k").agg({"v": ["sum", "mean"]}),
            "cut": frame.assign(bin=pd.cut(frame["v"], 2)),
            "bins as labels": pd.crosstab(frame["k"], pd.cut(frame["v"], 2)),
            "ISO text": frame.assign(t=pd.to_datetime(["2024-01-01T00:00:00+01:00"] * 3)),
            "months": frame.set_index(months),
            "months above": frame[:1].T.reindex(columns=months),
            "intervals": pd.interval_range(0, 3),
            "a row": frame.set_index(pd.date_range("2024", periods=3)).iloc[0],
        },
    )


@case("J14", "Enum, Categorical and Decimal of polars are kept as polars has them.")
def of_polars(here: Path) -> None:
    from decimal import Decimal

    import polars as pl

    _trips(
        here,
        {
            "enum": pl.DataFrame({"e": pl.Series(["b", None], dtype=pl.Enum(["a", "b"]))}),
            "categories": pl.Series("c", ["b", None, "a"], dtype=pl.Categorical),
            "decimals": pl.DataFrame({"d": [Decimal("1.5")]}, {"d": pl.Decimal(9, 1)}),
            "inside": pl.Series("l", [["a"], None, []], dtype=pl.List(pl.Enum(["a"]))),
        },
    )


@case("J14", "Timestamps, sets, ranges, members of Enums, masked and sparse arrays are kept.")
def small_values(here: Path) -> None:
    import http

    import numpy as np
    import pandas as pd
    import scipy.sparse

    _trips(
        here,
        {
            "pandas": [pd.Timestamp("2024", tz="UTC"), pd.Timedelta(1), pd.Period("2024"), pd.NaT],
            "sets": ({1, "a"}, frozenset(), range(3), slice(1)),
            "members": {"status": http.HTTPStatus.OK},
            "masked": np.ma.array([1.5, 2], mask=[True, False]),
            "sparse": scipy.sparse.csr_array(np.eye(3)),
            "objects": np.array([1, "a", None], object),
        },
    )


@case("J14", "Under deny a class of a module that is not imported is refused, not imported.")
def nothing_is_imported(here: Path) -> None:
    from runstore import ObjectStore

    (here / "kinds.py").write_text("import enum\nSide = enum.Enum('Side', 'BUY')\n")
    code = """
import sys
from runstore import ObjectStore
from runstore.errors import UnsafePickleError
view = ObjectStore("store", pickle="deny").at(namespace="n", run="r")
if "put" in sys.argv:
    import kinds
    view.put("x", {"side": kinds.Side.BUY})
else:
    try:
        view.get("x")
    except UnsafePickleError as exc:
        assert "'kinds'" in str(exc) and "kinds" not in sys.modules, exc
    else:
        raise AssertionError("it was read")
    import kinds
    assert view.get("x")["side"] is kinds.Side.BUY
"""
    for what in ("put", "get"):
        command = [sys.executable, "-c", code, what]
        ended = subprocess.run(command, capture_output=True, text=True, cwd=here, check=False)
        assert ended.returncode == 0, ended.stderr
    assert not ObjectStore(here / "store").at(namespace="n", run="r").stat("x").pickled
