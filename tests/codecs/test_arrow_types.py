"""Arrow types of any nesting are exact, or refused at put with the reason."""

import random
from typing import Any

import pyarrow as pa
import pytest
from tests.codecs.arrow_types import any_type, array_of

from runstore import ObjectStore
from runstore.errors import RunStoreError

# Before pyarrow 26 the Python value of runs inside of a union is that of another row.
_MISTOLD = int(pa.__version__.partition(".")[0]) < 26


def _told(column: Any) -> str:
    kind = str(column.type)
    if "run_end_encoded" in kind and "extension" in kind:
        return str(len(column))  # Arrow ends the process when it makes Python values of these
    try:
        return repr(column.to_pylist())
    except (pa.ArrowException, ValueError, TypeError, NotImplementedError):
        return str(len(column))  # it has none


def _same(put: Any, got: Any) -> bool:
    if isinstance(put, list):
        return all(map(_same, put, got))
    if isinstance(put, pa.Table):
        return bool(put.schema.equals(got.schema)) and _same(put.column(0), got.column(0))
    if type(put) is not type(got) or put.type != got.type:
        return False
    if _MISTOLD and "union" in str(put.type) and "run_end_encoded" in str(put.type):
        return bool(put.equals(got))
    return _told(put) == _told(got)


def _trip(seeds: range, names: tuple[str, ...] = ("x", "x.parquet")) -> tuple[int, int]:
    """Return how many values came back and how many were refused; nothing else happens to any."""
    views = [
        ObjectStore(f"memory://types-{policy}", pickle=policy).at(namespace="n", run="r")  # type: ignore[arg-type]
        for policy in ("allow", "deny")
    ]
    kept = refused = 0
    for seed in seeds:
        chance = random.Random(seed)
        try:
            kind = any_type(chance)
            array = array_of(kind, chance.choice([0, 1, 5]), chance)
            array.validate(full=True)
        except (pa.ArrowException, NotImplementedError):
            continue  # Arrow does not make it
        table = pa.table({"a": array})
        forms = (array, table, pa.chunked_array([array, array]), [table, table.slice(0, 0)])
        for number, (name, value) in enumerate((n, v) for n in names for v in forms):
            view = views[(seed + number) % 2]
            try:
                view.put(name, value, compression="zstd" if seed % 5 == 0 else None)
            except RunStoreError:
                refused += 1
                continue
            assert _same(value, view.get(name)), (seed, kind)
            kept += 1
    return kept, refused


def test_any_nesting_of_types() -> None:
    """What is taken comes back equal and of its type, and nothing ends in Arrow's own error."""
    kept, _ = _trip(range(60))
    assert kept > 150


@pytest.mark.slow
def test_many_nestings_of_types() -> None:
    """So with many more."""
    kept, _ = _trip(range(1000, 2500))
    assert kept > 4000


@pytest.mark.parametrize("seed", range(2))
def test_sizes_of_any_type(seed: int) -> None:
    """What a value refers to is measured for each type, also where Arrow cannot say it."""
    from runstore.referred import nbytes_of

    chance = random.Random(seed)
    labels = pa.array([["a"], ["b"]], pa.list_(pa.string()))
    codes = pa.array([0, 1, 0, None], pa.int8())
    lists = pa.ListArray.from_arrays([0, 2, 4], pa.DictionaryArray.from_arrays(codes, labels))
    union = pa.UnionArray.from_sparse(pa.array([0, 0], pa.int8()), [pa.array([1, 2])], ["a"])
    struct = pa.StructArray.from_arrays([union], ["u"], mask=pa.array([True, False]))
    for array in (lists, struct, array_of(pa.list_(union.type), 3, chance)):
        batch = pa.record_batch([array], names=["a"])
        assert 0 < nbytes_of([batch]) <= batch.get_total_buffer_size() + 64
        assert nbytes_of([batch.slice(0, 0)]) <= nbytes_of([batch])
