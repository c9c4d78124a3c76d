"""How a value is told from others."""

import sys
from dataclasses import dataclass
from datetime import datetime, tzinfo
from types import ModuleType

import pyarrow as pa
import pytest

from runstore import ObjectStore
from runstore.codecs import by_fields


class Zone(tzinfo):
    """A zone of nobody's."""

    def utcoffset(self, when):
        return None


@dataclass
class Point:
    """A class that no codec knows."""

    x: int


@by_fields
@dataclass
class Marked:
    """A class that is kept by its fields."""

    x: int


@pytest.mark.parametrize("library", ["pandas", "pydantic", "pytz", "torch", "polars", "xarray"])
def test_a_library_that_another_thread_imports_is_not_looked_into(library, monkeypatch):
    """While a module has no contents yet, values that are not its own are stored as ever."""
    store = ObjectStore("memory://").at(namespace="n", run="r")
    if library == "pandas":
        pytest.importorskip("pandas")
        pa.array(["x"])  # Arrow looks for it once, and would wait for its import
    zoned = datetime(2026, 1, 1, tzinfo=Zone())
    monkeypatch.setitem(sys.modules, library, ModuleType(library))
    store.put("point", Point(1))
    store.put("fields", Marked(1))
    store.put("zoned", [zoned])
    assert [1, 1] == [store.get(name).x for name in ("point", "fields")]
    assert [zoned.replace(tzinfo=None)] == [one.replace(tzinfo=None) for one in store.get("zoned")]
