"""What an attempt reads and writes is noted by its store, without keeping what it need not."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from runstore import ObjectStore
from runstore.context import Trace
from runstore.keys import Place
from runstore.objects import traced

WIDE = pd.DataFrame(np.zeros((2, 1000)), columns=[f"column {n}" for n in range(1000)])


@pytest.fixture
def trace() -> Trace:
    """Give a trace, still empty."""
    return Trace()


def held(trace: Trace) -> int:
    """Return how many bytes of files a trace keeps."""
    makes = [*trace._reads.values(), *trace._writes.values()]
    return sum(len(arg) for make in makes for arg in make.args if isinstance(arg, bytes))  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["x", "x.parquet"])
def test_what_a_long_footer_says_is_kept_not_the_footer(
    store: ObjectStore, trace: Trace, name: str
) -> None:
    """Of a table of many columns: its digest, rows and type; short footers are read later."""
    objects = traced(store._objects, SimpleNamespace(trace=trace))
    views = [store.at(namespace="n", run=run) for run in ("r", "s")]
    for view in views:
        view.put(name, WIDE)
        objects.get(Place("n", view.run, name))
    objects.copy(Place("n", "r", name), Place("n", "t", name))
    assert 0 == held(trace)
    note = trace.note()
    assert note is not None
    refs = [store.at(namespace="n", run=run).ref(name) for run in ("r", "s", "t")]
    uses: list[Any] = [*note.reads, *note.writes]
    assert refs == [use.ref for use in uses]
    assert {(2, "pandas.DataFrame")} == {(use.rows, use.type) for use in uses}


def test_ends_that_were_looked_at_are_not_all_kept(store: ObjectStore, trace: Trace) -> None:
    """`stat` of many tables of many columns keeps about a megabyte of their footers."""
    objects = traced(store._objects, SimpleNamespace(trace=trace))
    view = store.at(namespace="n", run="r")
    view.put("x", WIDE)
    for number in range(30):
        view.copy("x", to_name=f"x{number}")
        objects.stat(Place("n", "r", f"x{number}"))
    tails = [end for _, end in objects.backend._tails.values()]  # type: ignore[attr-defined]
    assert 0 < sum(len(end or b"") for end in tails) < 2 << 20
    assert trace.note() is None
