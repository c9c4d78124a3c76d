"""The values that are stored: made from a seed, compared exactly, and touched all over."""

import pickle
from typing import Any

import numpy as np
import pandas as pd

__all__ = [
    "array",
    "blob",
    "equal",
    "floats",
    "forest",
    "mixed",
    "payload",
    "size_of",
    "touch",
    "wide",
]

_SEED = 20130101
_ZONE = "America/New_York"


def floats(rows: int) -> pd.DataFrame:
    """Give 16 columns of float64, 128 bytes a row; each column lies in one piece."""
    random = np.random.default_rng(_SEED)
    return pd.DataFrame({f"x{i:02}": random.standard_normal(rows) for i in range(16)})


def mixed(rows: int) -> pd.DataFrame:
    """Give what a table of events has, about 139 bytes a row in 17 columns, some values missing."""
    random = np.random.default_rng(_SEED)
    frame = pd.DataFrame({f"x{i}": random.standard_normal(rows) for i in range(6)})
    frame.loc[random.random(rows) < 0.05, "x0"] = np.nan
    frame["count"] = random.integers(0, 1 << 40, rows)
    frame["code"] = random.integers(-1000, 1000, rows)
    frame["year"] = random.integers(2000, 2030, rows, dtype=np.int32)
    frame["month"] = random.integers(1, 13, rows, dtype=np.int8)
    frame["flag"] = random.random(rows) < 0.5
    seconds = random.integers(0, 10**9, rows)
    frame["at"] = pd.to_datetime(seconds, unit="s", utc=True).tz_convert(_ZONE)
    frame.loc[random.random(rows) < 0.01, "at"] = pd.NaT
    frame["day"] = pd.to_datetime(seconds // 86400, unit="D")
    frame["carrier"] = pd.Categorical.from_codes(
        random.integers(-1, 16, rows, dtype=np.int8), [f"carrier {i}" for i in range(16)]
    )
    frame["seats"] = pd.array(random.integers(1, 400, rows), dtype="Int64")
    frame.loc[random.random(rows) < 0.1, "seats"] = pd.NA
    frame["tail"] = _strings([f"N{i:05}" for i in range(50_000)], random, rows)
    remarks = [f"{'späte Ankunft ' * (i % 3)}Nr. {i}" for i in range(5_000)]
    frame["remark"] = _strings([*remarks, None], random, rows)
    return frame


def wide(columns: int) -> pd.DataFrame:
    """Give 1,000 rows of float64, 8 kB a column, in so many columns."""
    random = np.random.default_rng(_SEED)
    return pd.DataFrame({f"x{i:05}": random.standard_normal(1000) for i in range(columns)})


def array(length: int) -> np.ndarray[Any, Any]:
    """Give a matrix of float32 in C order, 1,024 columns wide, 4 kB a row."""
    return np.random.default_rng(_SEED).standard_normal((length, 1024), dtype=np.float32)


def forest(trees: int) -> Any:
    """Give a fitted random forest, about 0.5 MB a tree: many arrays in many Python objects."""
    from sklearn.ensemble import RandomForestRegressor

    random = np.random.default_rng(_SEED)
    features = random.standard_normal((4000, 8))
    target = features.sum(axis=1) + random.standard_normal(4000)
    return RandomForestRegressor(trees, random_state=_SEED).fit(features, target)


def blob(length: int) -> bytes:
    """Give *length* bytes that do not compress."""
    return np.random.default_rng(_SEED).bytes(length)


def payload(length: int) -> np.ndarray[Any, Any]:
    """Give *length* bytes as an array, for the peers that know only bytes.

    A block that does not compress, again and again: 4 GB of random bytes take long to make.
    """
    block = np.frombuffer(blob(min(length, 1 << 24)), np.uint8)
    return np.resize(block, length)


def size_of(value: Any) -> int:
    """Give the size of a value's data in memory, in bytes."""
    if isinstance(value, pd.DataFrame):
        return int(value.memory_usage(index=False, deep=True).sum())
    if _is_model(value):
        return len(pickle.dumps(value, protocol=5))
    return memoryview(value).nbytes


def equal(expected: Any, got: Any) -> None:
    """Raise AssertionError unless *got* is *expected*: values, dtypes, labels, index.

    A column may be mapped (`numpy.memmap`), which pandas' own assertion calls another class.
    """
    if isinstance(expected, pd.DataFrame):
        assert type(expected) is type(got), f"{type(got).__name__} came back"
        assert expected.columns.identical(got.columns), "other column labels came back"
        assert expected.index.identical(got.index), "another index came back"
        changed = [
            f"{name} ({expected[name].dtype}, came back as {got[name].dtype})"
            for name in expected.columns
            if expected[name].dtype != got[name].dtype or not expected[name].equals(got[name])
        ]
        assert not changed, f"columns differ: {', '.join(changed)}"
    elif _is_model(expected):
        assert type(expected) is type(got), f"{type(got).__name__} came back"
        probe = np.linspace(-2, 2, 80).reshape(10, 8)
        assert np.array_equal(expected.predict(probe), got.predict(probe)), "it predicts otherwise"
    elif isinstance(expected, np.ndarray):
        if not isinstance(got, np.ndarray):  # a peer that knows only bytes
            got = np.frombuffer(got, expected.dtype)
        assert expected.shape == got.shape, "another shape came back"
        assert np.array_equal(expected, got), "other bytes came back"
    else:
        assert type(expected) is type(got), f"{type(got).__name__} came back"
        assert expected == got, "another value came back"


def touch(value: Any) -> None:
    """Read every value once, as a first computation would; what is mapped is loaded by it."""
    if isinstance(value, pd.DataFrame):
        for _, column in value.items():  # noqa: PERF102 - a frame is no dict
            _touch_column(column)
    elif _is_model(value):
        value.predict(np.zeros((1, 8)))
    else:
        flat = value.reshape(-1).view(np.uint8) if isinstance(value, np.ndarray) else value
        data = np.frombuffer(flat, np.uint8)
        whole = data[: data.size // 8 * 8]
        np.add.reduce(whole.view(np.uint64))


def _is_model(value: Any) -> bool:
    return hasattr(value, "predict")


def _touch_column(column: Any) -> None:
    kind = column.dtype
    if isinstance(kind, pd.CategoricalDtype):
        column.array.codes.sum()
    elif isinstance(kind, pd.DatetimeTZDtype) or kind.kind == "M":
        column.array.asi8.sum()
    elif pd.api.types.is_string_dtype(kind):
        column.str.len().sum()  # in characters, so the text itself is read, not only the offsets
    elif isinstance(kind, np.dtype):
        column.to_numpy().sum()
    else:
        column.sum()


def _strings(pool: list[str | None], random: np.random.Generator, rows: int) -> Any:
    picked = random.integers(0, len(pool), rows)
    return pd.Series(pool, dtype="str").take(picked).array
