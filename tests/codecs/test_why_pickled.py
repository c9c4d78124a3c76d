"""Which part of a value needs a pickle is named, by column, key, place or attribute."""

import collections
import dataclasses
import re
import types
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from runstore import ObjectStore
from runstore.codecs import by_fields
from runstore.errors import UnsafePickleError

ODD = NormalDist()  # which only a pickle keeps


@by_fields
@dataclasses.dataclass
class Fields:
    a: Any
    b: Any = None


@by_fields
@dataclasses.dataclass(slots=True)
class Slots:
    a: Any


class Pair(NamedTuple):
    a: Any
    b: Any


def _noted(**attrs: Any) -> Any:
    frame = pd.DataFrame({"a": [1]})
    frame.attrs = attrs
    return frame


def _grid() -> Any:
    data = np.arange(4).reshape(2, 2)
    return xr.DataArray(data, {"x": [1, 2], "y": ["a", "b"]}, ("x", "y"))


def _graph() -> Any:
    nx = pytest.importorskip("networkx")
    graph = nx.Graph()
    graph.add_edge(1, "b", w=ODD)
    return graph


REASONS: dict[str, tuple[Any, str]] = {
    "dict": ({"k": ODD}, "value['k'] is a statistics.NormalDist"),
    "deep": ({"a": [1, {"b": (1, ODD)}]}, "value['a'][1]['b'][1] is a statistics.NormalDist"),
    "set": ({ODD}, "value{…} is a statistics.NormalDist"),
    "key": ({ODD: 1}, "a key of value is of the type statistics.NormalDist"),
    "default": (
        collections.defaultdict(list, {"a": [ODD]}),
        "value['a'][0] is a statistics.NormalDist",
    ),
    "factory": (collections.defaultdict(re.compile), "value.default_factory is a function"),
    "deque": (collections.deque([1, ODD]), "value[1] is a statistics.NormalDist"),
    "counter": (
        collections.Counter({ODD: 1}),
        "a key of value is of the type statistics.NormalDist",
    ),
    "namespace": (types.SimpleNamespace(a=ODD), "value.a is a statistics.NormalDist"),
    "chain": (collections.ChainMap({"a": ODD}), "value.maps[0]['a'] is a statistics.NormalDist"),
    "user": (collections.UserDict(a=ODD), "value.data['a'] is a statistics.NormalDist"),
    "slice": (slice(ODD, 1), "value.start is a statistics.NormalDist"),
    "named tuple": ({"t": Pair(1, ODD)}, "value['t'].b is a statistics.NormalDist"),
    "fields": (Fields(1, {"x": ODD}), "value.b['x'] is a statistics.NormalDist"),
    "slots": ([Slots(ODD)], "value[0].a is a statistics.NormalDist"),
    "objects": (np.array([1, ODD], object), "value[1] is a statistics.NormalDist"),
    "masked": (np.ma.array([ODD], dtype=object), "value.data[0] is a statistics.NormalDist"),
    "column": (pd.DataFrame({"b": [ODD]}), r"column 'b'.*value[0] is a statistics.NormalDist"),
    "cell": (pd.DataFrame({"b": [[ODD]]}), r"column 'b'.*value[0][0] is a statistics.NormalDist"),
    "frame inside": (
        {"f": pd.DataFrame({"b": [ODD]})},
        "value['f']['b'].iloc[0] is a statistics.NormalDist",
    ),
    "attrs": (_noted(u=ODD), "value.attrs['u'] is a statistics.NormalDist"),
    "index": (pd.DataFrame({"a": [1]}, index=[ODD]), "value.index[0] is a statistics.NormalDist"),
    "labels": (pd.DataFrame([[1]], columns=[ODD]), "value.columns[0] is a statistics.NormalDist"),
    "name": (pd.Series([1], name=ODD), "value.name is of statistics.NormalDist"),
    "name of an index": (pd.Index([1], name=ODD).to_frame(), "statistics.NormalDist"),
    "categories": (
        pd.Series(pd.Categorical([ODD])),
        "value.categories[0] is a statistics.NormalDist",
    ),
    "a variable's attribute": (
        xr.Dataset({"a": ("x", [1], {"u": ODD})}),
        "value['a'].attrs['u'] is a statistics.NormalDist",
    ),
    "a variable's items": (
        xr.Dataset({"a": ("x", np.array([ODD], object))}),
        "value['a'].values[0] is a statistics.NormalDist",
    ),
    "an array's items": (
        xr.DataArray(np.array([ODD], object)),
        "value.values[0] is a statistics.NormalDist",
    ),
    "levels of xarray": (
        _grid().stack(z=("x", "y")).assign_attrs(u=ODD),
        "value.attrs['u'] is a statistics.NormalDist",
    ),
    "a second index": (
        _grid().to_dataset(name="q").assign_coords(w=("x", [5, 6])).set_xindex("w"),
        "value has an index of 'w', which is no dimension",
    ),
    "late": ([*range(150_000), ODD], "value[150000] is a statistics.NormalDist"),
    "half a letter": ({"a": "\ud800"}, "value['a'] is text with half of a surrogate pair"),
}


@pytest.fixture(scope="module")
def strict() -> Any:
    return ObjectStore("memory://why-pickled", pickle="deny").at(namespace="n", run="r")


def _told(view: Any, value: Any) -> str:
    with pytest.raises(UnsafePickleError) as told:
        view.put("x", value)
    return str(told.value)


@pytest.mark.parametrize("name", REASONS)
def test_the_reason_names_the_part(strict: Any, name: str) -> None:
    """The message leads to the part that only a pickle keeps."""
    value, expected = REASONS[name]
    pattern = ".*".join(map(re.escape, expected.split(".*")))
    assert re.search(pattern, _told(strict, value))


def test_the_reason_names_an_edge(strict: Any) -> None:
    """Of a graph: the edge, and its attribute."""
    assert "value['g'].edges[1, 'b']['w'] is a statistics.NormalDist" in _told(
        strict, {"g": _graph()}
    )


# A container around a part, and how the way to that part is written.
_AROUND: list[tuple[Any, str]] = [
    (lambda part: {"k": part, "l": 1}, "['k']"),
    (lambda part: {1: 2, "z": part}, "['z']"),
    (lambda part: [0, part], "[1]"),
    (lambda part: (part,), "[0]"),
    (lambda part: collections.deque([part]), "[0]"),
    (lambda part: collections.OrderedDict(o=part), "['o']"),
    (lambda part: types.SimpleNamespace(n=part), ".n"),
    (lambda part: Pair(1, part), ".b"),
    (lambda part: Fields(part), ".a"),
    (lambda part: np.array([None, part, None], object)[1:], "[0]"),
]


@given(way=st.lists(st.sampled_from(range(len(_AROUND))), min_size=1, max_size=6))
def test_the_way_through_any_containers(strict: Any, way: list[int]) -> None:
    """Containers within containers: the way to the part is spelled out."""
    value, path = ODD, ""
    for at in way:
        make, step = _AROUND[at]
        if at == len(_AROUND) - 1:  # NumPy would take a sequence apart
            array = np.empty(1, object)
            array[0] = value
            value = array
        else:
            value = make(value)
        path = step + path
    assert f"value{path} is a statistics.NormalDist" in _told(strict, value)
