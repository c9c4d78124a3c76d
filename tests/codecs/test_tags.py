"""Small values of Python and other libraries as tags: exact, and without pickle."""

import json
import re
import subprocess
import sys
import types
import warnings
from array import array
from collections import ChainMap, UserDict, UserList, UserString, namedtuple
from collections.abc import Callable
from datetime import UTC, timedelta, timezone
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from urllib.parse import urlparse, urlsplit
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from packaging.version import Version
from tests.breadth.compare import assert_alike

from runstore import ObjectStore
from runstore.codecs import by_fields
from runstore.codecs._classes import imported
from runstore.codecs._tags import BUILDERS, READERS
from runstore.codecs._tags_weight import weight_of
from runstore.errors import (
    CorruptObjectError,
    UnsafePickleError,
    UnsupportedFormatError,
    UnsupportedValueError,
)


class Base(NamedTuple):
    a: int
    b: Any = None


class Named(namedtuple("Named", "a b")):
    """A named tuple with a method."""

    def total(self) -> int:
        return self.a + self.b


class Own(namedtuple("Own", "a b")):
    __slots__ = ()

    def __reduce__(self) -> Any:
        return Own, (self.a, 0)


def _noted() -> Any:
    made = Named(1, 2)
    made.note = "x"
    return made


PYTHON: dict[str, Callable[[], Any]] = {
    "patterns": lambda: [
        re.compile("a+"),
        re.compile(rb"[\x00-\xff]{2,}", re.DOTALL),
        re.compile(r"(?P<day>\d+)[а-яё\u4e00-\u9fff]", re.IGNORECASE | re.VERBOSE),
        {re.compile("(?i)x"): re.compile("")},
    ],
    "single ones": lambda: [..., NotImplemented, (...,)],
    "zones": lambda: [ZoneInfo("Europe/Paris"), UTC, timezone(timedelta(seconds=61), "X")],
    "types": lambda: {"dtype": np.float32, "of": [int, str, list, object, np.int8]},
    "a namespace": lambda: types.SimpleNamespace(a=1, b=[np.arange(3)], class_={1}),
    "arrays": lambda: [array("d", [1.5, -0.0]), array("b"), array("Q", [1 << 63])],
    "of users": lambda: [UserDict({1: (2,)}), UserList([{3}]), UserString("a")],
    "a chain of maps": lambda: ChainMap({"a": 1}, {2: {3}}),
    "a version": lambda: [Version("1.2rc1"), Version("2!1.0+local.1")],
    "parts of an address": lambda: [urlparse("http://a:1/b?c#d"), urlsplit(b"http://a")],
    "a named tuple of its own class": lambda: [Named(1, 2), Base(1, Base(2))],
}


def _records() -> Any:
    return [
        np.rec.array([(1, "a"), (2, "b")], dtype=[("a", "i4"), ("b", "U1")]),
        np.zeros(3, [("a", "i1"), ("b", "f8")]).view(np.recarray)["a"],
        np.zeros((2, 2)).view(np.recarray),
    ]


def _used() -> Any:
    rng = np.random.default_rng(7)
    rng.random(5)
    rng.spawn(2)
    old = np.random.RandomState(3)
    old.normal()
    return [rng, old, np.random.Generator(np.random.Philox(5)), np.random.default_rng()]


def _random() -> Any:
    made = Random(1)
    made.gauss(0, 1)
    return made


NUMPY: dict[str, Callable[[], Any]] = {
    "matrix": lambda: [np.matrix([[1.5, 2]]), {"a": np.matrix([[1j]])[:, :0]}],
    "records": _records,
    "polynomials": lambda: [
        np.poly1d([1, 2.5], variable="z"),
        np.polynomial.Polynomial([1, 2, 3], domain=[0, 1], symbol="t"),
        np.polynomial.Chebyshev([1.0]),
        np.polynomial.HermiteE([1.0]),
    ],
}

PANDAS: dict[str, Callable[[], Any]] = {
    "offsets": lambda: [
        *(pd.offsets.MonthEnd(2), pd.offsets.Week(weekday=1), pd.offsets.Hour(-3)),
        *(pd.DateOffset(months=1, days=-2), pd.offsets.QuarterEnd(startingMonth=2)),
        *(pd.offsets.BDay(3), pd.offsets.MonthBegin(1, normalize=True)),
    ],
    "dtypes": lambda: [
        *(pd.Int64Dtype(), pd.BooleanDtype(), pd.DatetimeTZDtype("ms", "Europe/Paris")),
        *(pd.StringDtype("python"), pd.PeriodDtype("M"), pd.IntervalDtype("int64", "left")),
        *(pd.CategoricalDtype(["b", "a"], ordered=True), pd.CategoricalDtype()),
        pd.DataFrame({"a": [1], "b": ["x"]}).dtypes["b"],
    ],
    "the dtypes of a frame": lambda: pd.DataFrame({"a": [1], "b": ["x"], "c": [1.5]}).dtypes,
    "Arrow's types": lambda: [
        *(pa.int8(), pa.list_(pa.string()), pa.timestamp("us", "UTC"), pa.null()),
        pa.field("a", pa.decimal128(9, 2), nullable=False, metadata={"k": "v"}),
    ],
}


@pytest.fixture
def strict() -> Any:
    return ObjectStore("memory://tags", pickle="deny").at(namespace="tests", run="r")


def forged(view: Any, tree: Any) -> None:
    """Store a tree of tagged JSON that nobody has encoded, as ``x``."""
    import json

    from tests.store.test_damage import file_of, header, sealed

    table = pa.table({"tree": pa.array([json.dumps(tree)], pa.large_string())})
    file_of(view, "x").parent.mkdir(parents=True)
    file_of(view, "x").write_bytes(sealed(table, header("x", "nested", {"leaves": []})))


def _trip(view: Any, make: Callable[[], Any]) -> None:
    for wrap in (lambda value: value, lambda value: {"of": [value]}):
        expected = wrap(make())
        assert not view.put("x", expected).pickled
        assert_alike(wrap(make()), expected)
        assert_alike(expected, view.get("x", verify=True))


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("name", PYTHON | NUMPY | PANDAS)
def test_of_python_numpy_and_pandas(strict: Any, name: str) -> None:
    """They come back exactly under deny, by themselves and as parts."""
    if name in ("dtypes", "the dtypes of a frame") and not hasattr(pd.StringDtype, "na_value"):
        pytest.skip("this pandas has one kind of missing text only")
    _trip(strict, (PYTHON | NUMPY | PANDAS)[name])


def test_generators_go_on_where_they_were(strict: Any) -> None:
    """The next numbers are the same, and so are those of the generators that it spawns."""
    made = _used()
    strict.put("x", made)
    for one, other in zip(made, strict.get("x"), strict=True):
        assert type(one) is type(other)
        if isinstance(one, np.random.Generator):
            assert [g.integers(1 << 60) for g in one.spawn(2)] == [
                g.integers(1 << 60) for g in other.spawn(2)
            ]
            assert one.random(3).tolist() == other.random(3).tolist()
        assert np.random.Generator is type(one) or one.normal() == other.normal()
    mine = _random()
    strict.put("x", mine)
    back = strict.get("x")
    assert (mine.getstate(), mine.random()) == (back.getstate(), back.random())


def test_what_is_more_than_its_fields_is_pickled(strict: Any) -> None:
    """A named tuple with attributes, or a way of its own to be pickled, is no tuple of fields."""
    view = ObjectStore("memory://tags").at(namespace="tests", run="r2")
    assert view.put("x", _noted()).pickled
    assert "x" == view.get("x").note
    assert view.put("x", Own(1, 2)).pickled
    stats = pytest.importorskip("scipy.stats")
    fitted = stats.linregress([1, 2, 3], [1, 2, 3.5])
    view.put("x", fitted)
    assert fitted.intercept_stderr == view.get("x").intercept_stderr


# attrs -------------------------------------------------------------------------------------------

attrs = pytest.importorskip("attrs")


@by_fields
@attrs.define
class Box:
    size: int
    _parts: Any = attrs.field(factory=list, validator=lambda *_: None)


@by_fields
@attrs.frozen(cache_hash=True)
class Cold:
    at: int
    more: Any = None


@by_fields
@attrs.define(slots=False)
class Open:
    a: Any


def test_classes_of_attrs(strict: Any) -> None:
    """By their fields; a hash that was kept is found anew, and what is more is pickled."""
    cold = Cold(1, (2,))
    expected = hash(cold)
    values = [Box(1, [np.arange(2)]), cold, Open({1})]
    assert not strict.put("x", values).pickled
    back = strict.get("x")
    assert [type(v) for v in values] == [type(v) for v in back]
    assert (1, [0, 1]) == (back[0].size, back[0]._parts[0].tolist())
    assert (cold, expected) == (back[1], hash(back[1]))
    assert {1} == back[2].a
    noted = Open(1)
    noted.note = 2
    view = ObjectStore("memory://tags").at(namespace="tests", run="r3")
    assert view.put("x", noted).pickled
    assert 2 == view.get("x").note


# networkx ----------------------------------------------------------------------------------------


def _graph(kind: Any) -> Any:
    made = kind(name="g", at=pd.Timestamp("2024"))
    made.add_node((1, 2), colour={"red"}, place=np.arange(2))
    made.add_edge(1, "b", weight=0.5)
    made.add_edge("b", 1, note="back")
    made.add_edge("b", "b")
    made.add_edge((1, 2), 1, weight=1)
    made.remove_node(1)
    made.add_edge(1, (1, 2))
    return made


def _tables(graph: Any) -> Any:
    """Return all of a graph in its order, and which dictionaries are one."""
    ways = [graph._adj, *([graph._pred] if graph.is_directed() else [])]
    edges = [edge for way in ways for near in way.values() for edge in near.values()]
    first: dict[int, int] = {}
    same = [first.setdefault(id(edge), at) for at, edge in enumerate(edges)]
    order = [[(node, list(near)) for node, near in way.items()] for way in ways]
    return graph.graph, list(graph.nodes.items()), order, edges, same


@pytest.mark.parametrize("kind", ["Graph", "DiGraph", "MultiGraph", "MultiDiGraph"])
def test_graphs(strict: Any, kind: str) -> None:
    """Nodes, edges, attributes and their order; an edge of two ways is one dictionary."""
    nx = pytest.importorskip("networkx")
    for made in (_graph(getattr(nx, kind)), getattr(nx, kind)()):
        made.degree, made.edges  # noqa: B018 - which networkx keeps
        assert not strict.put("x", {"g": made}).pickled
        back = strict.get("x")["g"]
        assert type(made) is type(back)
        assert_alike(_tables(made), _tables(back))
        back.add_edge("new", 1)
        assert back.has_edge("new", 1)
        assert len(made.edges) + 1 == len(back.edges)
    large = nx.gnm_random_graph(500, 3000, seed=1)
    nx.set_edge_attributes(large, 1.5, "weight")
    info = strict.put("x", large)
    assert info.size < 200_000
    assert_alike(_tables(large), _tables(strict.get("x")))
    large.freeze = True
    with pytest.raises(Exception, match="pickle"):
        strict.put("x", large)


# shapely and pyproj ------------------------------------------------------------------------------


def test_geometries(strict: Any) -> None:
    """Every kind, empty or not, with heights, measures and an SRID."""
    shapely = pytest.importorskip("shapely")
    square = [(0, 0), (1, 0), (1, 1), (0, 0)]
    values = [
        *(shapely.Point(1, 2), shapely.Point(1, 2, 3), shapely.Point(), shapely.Point(1, np.nan)),
        *(shapely.LineString(square), shapely.LinearRing(square), shapely.Polygon(square)),
        *(shapely.MultiPoint(square), shapely.MultiPolygon([shapely.Polygon(square)])),
        *(shapely.GeometryCollection([shapely.Point(1, 2)]), shapely.MultiLineString([square])),
        *(shapely.LinearRing([(x, y, 5) for x, y in square]), shapely.Polygon()),
        shapely.set_srid(shapely.Point(1, 2), 4326),
        shapely.from_wkt("POINT ZM (1 2 3 4)"),
    ]
    cells = np.empty(len(values), object)
    cells[:] = values
    for value in (values, cells, pd.DataFrame({"g": pd.Series(cells), "n": 1}), {"a": values[5]}):
        assert not strict.put("x", value).pickled
        back = strict.get("x")
        items = [v["g"] if isinstance(v, pd.DataFrame) else v for v in (value, back)]
        for one, other in zip(
            *([i["a"]] if isinstance(i, dict) else i for i in items), strict=True
        ):
            assert type(one) is type(other)
            assert shapely.equals_identical(one, other)
            assert shapely.get_srid(one) == shapely.get_srid(other)


def test_systems_of_coordinates(strict: Any) -> None:
    """By authority, as PROJ's text, WKT and JSON; what would read a file is left to pickle."""
    pyproj = pytest.importorskip("pyproj")
    texts = [4326, "EPSG:3857", "+proj=laea +lat_0=45 +lon_0=10 +ellps=GRS80"]
    values = [pyproj.CRS(text) for text in texts]
    values += [pyproj.CRS(values[0].to_wkt()), pyproj.CRS(values[1].to_json())]
    assert not strict.put("x", values).pickled
    for one, other in zip(values, strict.get("x"), strict=True):
        assert (one, one.srs, type(one)) == (other, other.srs, type(other))


def test_images(strict: Any) -> None:
    """Pixels, palette and what an image says of itself."""
    pil = pytest.importorskip("PIL.Image")
    values = [pil.new(mode, (5, 3), 1) for mode in ("1", "L", "I", "F", "I;16", "LA")]
    values += [pil.new(mode, (5, 3), (1, 2, 3)) for mode in ("RGB", "HSV", "RGBA")]
    values.append(values[6].quantize(4))
    values[0].info["dpi"] = (72, 72)
    assert not strict.put("x", values).pickled
    for one, other in zip(values, strict.get("x"), strict=True):
        assert (type(one), one.mode, one.size, one.info) == (
            *(type(other), other.mode, other.size, other.info),
        )
        assert one.tobytes() == other.tobytes()
        assert one.convert("RGB").tobytes() == other.convert("RGB").tobytes()


def test_results_of_scipy(strict: Any) -> None:
    """A result of an optimisation is a dict with attributes."""
    optimize = pytest.importorskip("scipy.optimize")
    found = optimize.minimize(lambda x: float((x**2).sum()), [1.0, 2.0], method="Nelder-Mead")
    strict.put("x", {"fit": found})
    back = strict.get("x")["fit"]
    assert type(found) is type(back)
    assert (found.fun, found.x.tolist(), list(found)) == (back.fun, back.x.tolist(), list(back))


# Only one who tells a thing by its type, dtype and shape sees that it has changed.


def _untrimmed() -> Any:
    made = np.poly1d([1, 2, 3])
    made.coeffs[0] = 0
    return made


def _whole(name: str) -> Any:
    made = np.polynomial.Polynomial([1.0, 2.0])
    setattr(made, name, np.array([1, 2]))
    return made


def _joined(nodes: Any, *edges: Any) -> Any:
    made = pytest.importorskip("networkx").Graph()
    made.add_nodes_from(nodes)
    made.add_edges_from(edges)
    return made


CHANGED: dict[str, Callable[[], Any]] = {
    "an offset by a Timedelta": lambda: pd.offsets.BusinessDay(offset=pd.Timedelta("1h")),
    "a leading zero": _untrimmed,
    "whole coefficients": lambda: _whole("coef"),
    "a domain of whole numbers": lambda: _whole("domain"),
    "a neighbour 1.0": lambda: _joined([1, 2], (2, 1.0)),
    "a neighbour (True,)": lambda: _joined([(1,), 2], (2, (True,))),
    "an old generator of new bits": lambda: np.random.RandomState(np.random.PCG64(1)),
}


@pytest.mark.parametrize("name", CHANGED)
def test_what_a_tag_would_change_is_pickled(strict: Any, name: str) -> None:
    """One like it is put first, so that it is not only tried because its tag is a new one."""
    view = ObjectStore("memory://tags").at(namespace="tests", run="r3")
    alike = [pd.offsets.BusinessDay(), np.poly1d([1, 2]), np.polynomial.Polynomial([1.0])]
    assert not strict.put("x", [*alike, np.random.RandomState(1)]).pickled
    value = CHANGED[name]()
    with pytest.raises(UnsafePickleError):
        strict.put("x", value)
    assert view.put("x", value).pickled
    assert type(value) is type(view.get("x"))


def test_equal_nodes_need_not_be_one_object(strict: Any) -> None:
    """Edges name their nodes by text, numbers and tuples that are made again each time."""
    made = _joined(
        [("a", 1000), "n 1", 12345], (("a", int("1000")), "n " + str(1)), ("n 1", int("12345"))
    )
    assert not strict.put("x", made).pickled
    back = strict.get("x")
    assert list(made.edges) == list(back.edges)


def test_an_offset_without_a_code_is_refused(strict: Any) -> None:
    """pandas raises on the name of one; which is no error of the user's."""
    with pytest.raises(UnsafePickleError, match="Easter"):
        strict.put("x", pd.offsets.Easter())


def test_texts_of_proj(strict: Any) -> None:
    """They are looked at word by word, in a time that goes by their length."""
    pyproj = pytest.importorskip("pyproj")
    shifted = pyproj.CRS("+proj=tmerc +lat_0=0 +ellps=bessel +towgs84=598.1,73.7,418.2,0,0,0,1")
    assert not strict.put("x", shifted).pickled
    assert shifted.srs == strict.get("x").srs
    for text in ("+" + "a" * 1900 + "!", "+a" * 900 + "!", "+a " * 600 + "!", " " * 1900, ""):
        with pytest.raises(CorruptObjectError, match="no system of coordinates"):
            READERS["$crs"](text, "x", imported)  # type: ignore[arg-type]


# Generators --------------------------------------------------------------------------------------

_HALF = {"has_uint32": 0, "uinteger": 0}
_PCG64 = {"bit_generator": "PCG64", "state": {"state": 1, "inc": 3}, **_HALF}
_SEED = {"entropy": 1, "spawn_key": (), "pool_size": 4, "n_children_spawned": 0}
_SEEDS: list[dict[str, Any]] = [
    *({"pool_size": size} for size in (0, 3, 1025, 100_000, 4.0)),
    *({"entropy": entropy} for entropy in ("1", -1, [0] * 257, [True], [[1]])),
    *({"spawn_key": []}, {"n_children_spawned": -1}, {"n_children_spawned": 1 << 32}, {"more": 1}),
]
_PARTS: list[dict[str, Any]] = [
    *({"state": {"state": -1, "inc": 3}}, {"state": {"state": 1}}, {"state": 5}),
    *({"has_uint32": 2}, {"uinteger": 1 << 32}, {"uinteger": 1.0}, {"more": 1}),
]


def _rebuilt(state: Any, seed: Any) -> Any:
    return BUILDERS["$rng"](["Generator", state, seed], "x", imported)  # type: ignore[arg-type]


def test_a_seed_and_a_state_are_within_bounds() -> None:
    """The time that a seed takes goes by the square of its pool; nothing unknown is passed on."""
    made = _rebuilt(_PCG64, _SEED)
    assert 1 == made.bit_generator.state["state"]["state"]
    for seed in _SEEDS:
        with pytest.raises(CorruptObjectError, match="no random generator"):
            _rebuilt(_PCG64, _SEED | seed)
    for part in _PARTS:
        with pytest.raises(CorruptObjectError, match="no random generator"):
            _rebuilt(_PCG64 | part, _SEED)


def _states() -> dict[str, tuple[str, str, Any, Any]]:
    """Return generators with one part of their state that is not within bounds."""
    found: dict[str, tuple[str, str, Any, Any]] = {}
    for at in (-200, -1, 625, 1000, 700_000_000):
        found[f"MT19937 {at}"] = ("Generator", "MT19937", "pos", at)
        found[f"old {at}"] = ("RandomState", "MT19937", "pos", at)
    for at in (-(10**9), -3, 5, 10**9):
        found[f"Philox {at}"] = ("Generator", "Philox", "buffer_pos", at)
    for kind, part in (
        *(("MT19937", "key"), ("Philox", "buffer"), ("Philox", "key"), ("Philox", "counter")),
        ("SFC64", "state"),
    ):
        found[f"{kind} {part} short"] = ("Generator", kind, part, np.zeros(1, "u8"))
        found[f"{kind} {part} no array"] = ("Generator", kind, part, [0] * 624)
    return found


_FORGED = """
import sys
import numpy as np
from tests.codecs.test_tags import _states
from runstore.codecs._classes import imported
from runstore.codecs._tags import BUILDERS, parts_of
from runstore.errors import CorruptObjectError
for name, (kind, bits, part, value) in _states().items():
    made = np.random.RandomState(1)
    if kind == "Generator":
        made = np.random.Generator(getattr(np.random, bits)(1))
    tag, parts = parts_of(made)
    if part in parts[1]:
        parts[1][part] = value
    else:
        assert part in parts[1]["state"]
        parts[1]["state"][part] = value
    try:
        back = BUILDERS[tag](parts, "x", None)
    except CorruptObjectError:
        continue
    back.random(5000)
    print(name)
print("through")
"""


def test_no_generator_reads_past_its_state() -> None:
    """A position or an array out of bounds is refused, and ends no process."""
    ended = subprocess.run(
        [sys.executable, "-c", _FORGED],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert (0, "through\n", "") == (ended.returncode, ended.stdout, ended.stderr)


# Forged ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tree",
    [
        {"$type": ["os", "system"]},
        {"$pattern": ["str", "(", 32]},
        {"$pattern": ["str", "a", 128]},
        {"$pattern": ["str", "a", -1]},
        {"$pattern": ["str", "a", "x"]},
        {"$pattern": ["str", "a", 1 << 70]},
        {"$pattern": ["bytes", "a", 0]},
        {"$pattern": ["bytes", "YQ==", 32]},
        {"$pattern": ["str", "a" * 20_000, 32]},
        {"$pattern": ["str", "(" * 9000 + ")" * 7000, 32]},
        {"$pattern": ["str", "a{99999999999999999999}", 32]},
        {"$pattern": ["str", "[\x00-\U0010ffff]" * 3000, 34]},
        {"$pattern": ["list", [1], 0]},
        {"$type": ["numpy", "load"]},
        {"$type": ["numpy", "ndarray"]},
        {"$array": ["O", None]},
        {"$array": ["d", [1]]},
        {"$user": ["UserDict", [1]]},
        {"$random": [1, 2, 3]},
        {"$geometry": ["LinearRing", "AQEAAAAAAAAAAADwPwAAAAAAAABA"]},
        {"$geometry": ["Point", "AQEA"]},
        {"$crs": "+init=/etc/passwd:x"},
        {"$crs": "http://127.0.0.1/"},
        {"$offset": ["DateOffset", 1, False, {"nothing": 1}]},
        {"$pandas_dtype": ["DataFrame", None]},
        {"$version": "../x"},
        {"$version": "1" + ".0" * 5000},
        {"$offset": ["Day", 1, False, "1D" * 5000]},
        {"$pandas_dtype": ["PeriodDtype", "1D" * 5000]},
        {"$pandas_dtype": ["IntervalDtype", ["i8," * 5000, "left"]]},
        {"$crs": "+proj=longlat +datum=WGS84" + " +no_defs" * 1000},
        {"$crs": "GEOGCRS[" * 100_000},
        {"$view": ["matrix", [1]]},
        {"$poly": ["seterr", [], [], [], "x"]},
        {"$rng": ["Generator", {"bit_generator": "default_rng"}, {}]},
        {"$rng": ["Generator", _PCG64, None]},
        {"$rng": ["RandomState", _PCG64, None]},
        {"$image": ["RGB", [1 << 30, 1 << 30], {}, None, []]},
        {"$own_dict": ["os.environ", {}]},
        {"$arrow": ["type", 5]},
        {"$graph": ["freeze", {}, [], [], [[[], [], []]], []]},
        {"$graph": ["Graph", {}, [1, 1], [{}, {}], [[[0, 0], [], []]], []]},
        {"$graph": ["Graph", {}, [1], [{}], [[[1], [5], [0]]], [{}]]},
        {"$graph": ["Graph", {}, [1], [{}], [[[1], [0], [-1]]], [{}]]},
        {"$graph": ["Graph", {}, [1], [{}], [[[1 << 62], [0], [0]]], [{}]]},
        {"$graph": ["Graph", {}, [1], [7], [[[0], [], []]], []]},
        {"$image": ["P", [1, 1], {}, ["RGB", 1 << 40], []]},
        {"$fraction": ["1e30000000"]},
        {"$fraction": [1, 2.0]},
        {"$range": [0, 1, 2, 3]},
        {"$decimal": [0, [1], 2]},
    ],
    ids=lambda tree: next(iter(tree)),
)
def test_forged_tags_are_refused(tmp_path: Any, tree: Any) -> None:
    """Whatever a tag says: an error of ours, that names the object."""
    view = ObjectStore(tmp_path / "store", pickle="deny").at(namespace="dev", run="r1")
    forged(view, tree)
    with pytest.raises((CorruptObjectError, UnsupportedFormatError), match="dev/r1/x"):
        view.get("x")


_VAST = {"$range": [0, 1 << 60, 1]}  # nobody can make a list of it


@pytest.mark.parametrize(
    "tree",
    [
        {"$deque": [_VAST, None]},
        {"$frozenset": _VAST},
        {"$set": _VAST},
        {"$slice": _VAST},
        {"$chain": _VAST},
        {"$counter": _VAST},
        {"$counter": [_VAST]},
        {"$defaultdict": ["int", _VAST]},
        {"$defaultdict": ["int", [_VAST]]},
        {"$masked": [_VAST, None, None, False]},
        {"$objects": [[1 << 60], "C", _VAST]},
        {"$objects": [_VAST, "C", []]},
        {"$poly": ["poly1d", _VAST, "x"]},
        {"$poly": _VAST},
        {"$poly": ["Legendre", _VAST, _VAST, _VAST, "x"]},
        {"$sparse": ["csr_array", _VAST, 50, _VAST, _VAST, _VAST]},
        {"$sparse": ["dia_array", [1, 1], 50, _VAST, _VAST]},
        {"$sparse": _VAST},
        {"$graph": ["Graph", {}, _VAST, _VAST, [[[], [], []]], []]},
        {"$graph": ["Graph", {}, [], [], [[_VAST, _VAST, _VAST]], []]},
        {"$graph": ["Graph", {}, [], [], [[[_VAST], [], []]], []]},
        {"$image": ["P", [1, 1], {}, ["RGB", _VAST], _VAST]},
        {"$random": [2, _VAST, None]},
        {"$random": _VAST},
        {"$namespace": _VAST},
        {"$user": ["UserList", _VAST]},
        {"$categories": [_VAST, False]},
        {"$interval": [_VAST, _VAST, "left"]},
        {"$array": ["d", _VAST]},
        {"$view": ["matrix", _VAST]},
        {"$own_dict": ["sklearn.utils._bunch.Bunch", _VAST]},
        {"$namedtuple": [["statistics", "LinearRegression"], ["slope", "intercept"], _VAST]},
        {"$ordered": [[], _VAST]},
        {"$tuple": _VAST},
        {"$set": [{"$leaf": 0}]},
        {"$dict": [[{"$leaf": 0}, 1]]},
    ],
    ids=lambda tree: next(iter(tree)),
)
def test_a_range_stands_for_no_list(tmp_path: Any, tree: Any) -> None:
    """A builder takes the types that its encoder writes: a few bytes become no gigabytes."""
    view = ObjectStore(tmp_path / "store", pickle="deny").at(namespace="dev", run="r1")
    forged(view, tree)
    with pytest.raises(CorruptObjectError, match="dev/r1/x"):
        view.get("x")


def test_letters_of_a_tag_may_be_escaped() -> None:
    """JSON takes escapes for the letters of a tag, and its value weighs the same."""
    plain = json.dumps([{"$crs": "EPSG:4326"}] * 1000)
    for escaped in ("\\u0024crs", "$\\u0063rs", "$cr\\u0073", "\\u0024\\u0063\\u0072\\u0073"):
        text = plain.replace("$crs", escaped)
        assert json.loads(plain) == json.loads(text)
        assert weight_of(text) >= weight_of(plain) > 1000 << 16


def test_patterns_of_a_file_are_bounded_together(tmp_path: Any, strict: Any) -> None:
    """Thousands of patterns that each take milliseconds to compile are refused after some."""
    view = ObjectStore(tmp_path / "store", pickle="deny").at(namespace="dev", run="r1")
    forged(view, [{"$pattern": ["str", f"{at}[\u0001-\u7fff]", 34]} for at in range(5000)])
    with pytest.raises(CorruptObjectError, match="take too long to compile"):
        view.get("x")
    value = [re.compile(f"{at}[a-z]+", re.IGNORECASE) for at in range(2000)]
    strict.put("many", value)
    assert value == strict.get("many")
    again = [re.compile("[\u0001-\u7fff]", re.IGNORECASE)] * 5000
    strict.put("again", again)
    assert again == strict.get("again")


def test_patterns_that_warn(strict: Any) -> None:
    """A pattern that `re` warns of is stored and loaded without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = [
            re.compile("[[a]"),
            re.compile(b"[+--]"),
            re.compile("[^[b]"),
            re.compile("[&&]"),
        ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        re.purge()
        assert not strict.put("x", values).pickled
        re.purge()
        assert values == strict.get("x")


def test_types_that_stand_for_many_are_tried_with_each_value(
    strict: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That one dtype could be read says nothing of the next: each small one is read before."""
    values = {
        "$categories": pd.CategoricalDtype(["a"]),
        "$arrow": pa.int8(),
        "$version": Version("1"),
    }
    for tag, value in values.items():
        strict.put("x", {"a": value})
        with monkeypatch.context() as patch:

            def fail(*_: Any) -> Any:
                raise ValueError("not here")

            patch.setitem(BUILDERS if tag in BUILDERS else READERS, tag, fail)
            with pytest.raises(UnsupportedValueError, match=r"could not be read again.*not here"):
                strict.put("x", {"a": value})
        assert value == strict.get("x")["a"]
