"""Store every type, or read every type again: ``python -m tests.breadth.run write|read FOLDER``."""

import json
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.breadth import arrays, objects, tables
from tests.breadth.compare import assert_alike

from runstore import ObjectStore
from runstore.errors import UnsupportedValueError

__all__ = ["every_type", "main"]

_SECONDS = 120  # for one type; a hang is a failure


def every_type(wanted: list[str]) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Return name and factory of each type, of the libraries that are *wanted*; of all if none."""
    for library, types in (tables.LIBRARIES | arrays.LIBRARIES | objects.LIBRARIES).items():
        if wanted and library not in wanted:
            continue
        for name, make in types().items():
            yield f"{library} {name}", make


def _stored_as(name: str) -> str:
    return name.replace(" ", "-")


def write(view: Any, outcomes: dict[str, str], wanted: list[str]) -> None:
    """Put and get each type; *outcomes* tells of each what became of it."""
    for name, make in every_type(wanted):
        outcomes[name] = _limited(_put, view, name, make)


def _put(view: Any, name: str, make: Callable[[], Any]) -> str:
    value = make()
    if (table := _collected(value)) is not None:
        view.put(_stored_as(name), value)
        assert_alike(table, view.get(_stored_as(name)))
        return "streamed"
    try:
        info = view.put(_stored_as(name), value)
    except UnsupportedValueError as exc:
        return f"refused: {str(exc).partition(': ')[2] or exc}"
    assert_alike(make(), value)  # putting has not changed it, and the comparison can tell
    assert_alike(value, view.get(_stored_as(name)))
    return "pickled" if info.pickled else "exact"


def _collected(value: Any) -> Any:
    """Return the table that a source is stored as, piece by piece; None if it is no source."""
    collect = _SOURCES.get(f"{type(value).__module__}.{type(value).__qualname__}")
    return None if collect is None else collect(value)


_SOURCES: dict[str, Callable[[Any], Any]] = {
    "polars.lazyframe.frame.LazyFrame": lambda source: source.collect(),
    "pyarrow._dataset.InMemoryDataset": lambda source: source.to_table(),
    "dask.dataframe.dask_expr._collection.DataFrame": lambda source: source.compute(),
    **dict.fromkeys(
        ("_duckdb.DuckDBPyRelation", "duckdb._relation.DuckDBPyRelation"),
        lambda source: source.to_arrow_table(),
    ),
    **dict.fromkeys(
        ("pandas.api.typing.DataFrameGroupBy", "pandas.core.groupby.generic.DataFrameGroupBy"),
        lambda groups: type(groups.obj)(groups.obj).loc[
            [label for _, group in groups for label in group.index]
        ],
    ),
}


def read(view: Any, outcomes: dict[str, str], wanted: list[str]) -> None:
    """Get each type that was put, in a process that has not made it."""
    for name, make in every_type(wanted):
        if outcomes[name] in ("exact", "pickled"):
            failed = _limited(_get, view, name, make)
            outcomes[name] = failed or outcomes[name]


def _get(view: Any, name: str, make: Callable[[], Any]) -> str:
    back = view.get(_stored_as(name))
    assert_alike(make(), back)
    return ""


def _limited(do: Callable[..., str], *arguments: Any) -> str:
    signal.alarm(_SECONDS)
    try:
        return do(*arguments)
    except Exception as exc:  # noqa: BLE001 - whatever goes wrong is told, and the next is tried
        return f"FAILED in {do.__name__[1:]}: {type(exc).__name__}: {str(exc)[:600]}"
    finally:
        signal.alarm(0)


def _expired(*_: Any) -> None:
    raise TimeoutError(f"no end within {_SECONDS} s")


def main(step: str, folder: str, *wanted: str) -> None:
    """Do one of the two steps; outcomes are in ``outcomes.json`` in *folder*."""
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, _expired)
    told = Path(folder, "outcomes.json")
    outcomes = json.loads(told.read_text()) if told.exists() else {}
    view = ObjectStore(Path(folder, "store")).at(namespace="breadth", run="r")
    (write if step == "write" else read)(view, outcomes, list(wanted))
    told.write_text(json.dumps(outcomes))


if __name__ == "__main__":
    main(*sys.argv[1:])
