"""Whether two values of some library are the same, as that library compares, or part by part."""

import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from runstore.testing import assert_same

__all__ = ["assert_alike"]

_DEEPEST = 60

# State that is another one with each object, or at each time: no value.
_VOLATILE = {
    *("_cid_gen", "_func_cid_map", "callbacks", "_callbacks"),  # of matplotlib
    *("uuid", "_stop_words_id", "_time_fit_was_called"),  # pandas' Styler, sklearn, lifelines
    *("_datetime_start", "datetime_complete"),  # of a trial of optuna
}


def assert_alike(expected: Any, actual: Any) -> None:
    """Assert that *actual* is what *expected* is.

    What its library has a comparison for is compared so; anything else by its parts, which are
    those that pickle would take, down to plain values.

    Raises:
        AssertionError: They differ; the message has the way to the part that does.
    """
    _Comparison().compare(expected, actual, "value")


class _Comparison:
    def __init__(self) -> None:
        self._seen: dict[tuple[int, int], tuple[Any, Any]] = {}  # kept: an id is used again
        self._depth = 0

    def compare(self, one: Any, other: Any, path: str) -> None:
        assert type(one) is type(other), f"{path}: {type(one)} became {type(other)}"
        if one is other or (id(one), id(other)) in self._seen:
            return
        self._seen[id(one), id(other)] = one, other
        self._depth += 1
        assert self._depth < _DEEPEST, f"{path[:80]}: too deep to be compared"
        try:
            self._compare(one, other, path)
        except AssertionError as exc:
            if str(exc).startswith("value"):
                raise
            raise AssertionError(f"{path}: {exc} ({one!r:.80} became {other!r:.80})") from exc
        finally:
            self._depth -= 1

    def _compare(self, one: Any, other: Any, path: str) -> None:
        objects = isinstance(one, np.ndarray) and one.dtype == object
        special = None if objects else _special(one)
        if special is not None:
            special(one, other)
        elif (
            isinstance(one, (str, bytes, int, float, complex))
            and type(one).__module__ == "builtins"
        ):
            assert_same(one, other)
        elif objects:
            assert one.shape == other.shape, path
            self._items(one.ravel().tolist(), other.ravel().tolist(), path)
        elif type(one) in (list, tuple):
            self._items(one, other, path)
        elif type(one) is dict:
            self._items(list(one), list(other), f"{path}.keys")
            for (key, a), b in zip(one.items(), other.values(), strict=True):
                if key in _VOLATILE:
                    continue
                self.compare(a, b, f"{path}[{key!r:.40}]")
        elif isinstance(one, (type, re.Pattern)) or hasattr(one, "__qualname__"):
            assert getattr(one, "__qualname__", one) == getattr(other, "__qualname__", other), path
        elif not self._equal(one, other):
            self._parts(one, other, path)

    def _items(self, one: Any, other: Any, path: str) -> None:
        assert len(one) == len(other), f"{path}: {len(one)} items became {len(other)}"
        for at, (a, b) in enumerate(zip(one, other, strict=True)):
            self.compare(a, b, f"{path}[{at}]")

    def _equal(self, one: Any, other: Any) -> bool:
        """Ask the class, if it compares at all; what it does not find equal is looked into."""
        if type(one).__eq__ is object.__eq__ or isinstance(one, tuple):
            return False
        try:
            return bool(np.all(one == other))
        except Exception:  # noqa: BLE001 - it compares with nothing, or with arrays in it
            return False

    def _parts(self, one: Any, other: Any, path: str) -> None:
        ours, theirs = (_reduced(value) for value in (one, other))
        if isinstance(ours, str):
            assert ours == theirs, path
            return
        assert len(ours) == len(theirs), path
        for at, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            if isinstance(a, Iterator):
                a, b = list(a), list(b)
            self.compare(a, b, f"{path}.<{at}>")


def _reduced(value: Any) -> Any:
    try:
        return value.__reduce_ex__(5)
    except TypeError as exc:
        raise AssertionError(f"{type(value)} cannot be compared: {exc}") from exc


# What libraries compare in their own way ---------------------------------------------------------


def _geometry(one: Any, other: Any) -> None:
    import shapely

    assert shapely.equals_identical(one, other)
    assert shapely.get_srid(one) == shapely.get_srid(other)


def _geo_frame(one: Any, other: Any) -> None:
    from geopandas.testing import assert_geodataframe_equal

    assert_geodataframe_equal(one, other)
    assert one.attrs == other.attrs
    assert one._geometry_column_name == other._geometry_column_name


def _geo_series(one: Any, other: Any) -> None:
    from geopandas.testing import assert_geoseries_equal

    assert_geoseries_equal(one, other)


def _image(one: Any, other: Any) -> None:
    told = [(v.mode, v.size, v.tobytes(), v.getpalette(), v.info, v.format) for v in (one, other)]
    assert told[0] == told[1]


def _figure(one: Any, other: Any) -> None:
    assert _drawn(one) == _drawn(other)


def _axes(one: Any, other: Any) -> None:
    assert _drawn(one.figure) == _drawn(other.figure)


def _drawn(figure: Any) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas, file = FigureCanvasAgg(figure), io.BytesIO()
    canvas.print_png(file)
    return file.getvalue()


def _graph(one: Any, other: Any) -> None:
    for name in ("graph", "_node", "_adj"):
        assert_same(_plain(getattr(one, name)), _plain(getattr(other, name)))


def _plain(value: Any) -> Any:
    return {k: _plain(v) for k, v in value.items()} if hasattr(value, "items") else value


def _tensor(one: Any, other: Any) -> None:
    import torch

    assert (one.layout, one.dtype, one.shape) == (other.layout, other.dtype, other.shape)
    assert (one.requires_grad, one.device) == (other.requires_grad, other.device)
    if one.device.type != "meta":
        ours, theirs = (
            v.detach().to_dense().contiguous().reshape(-1).view(torch.uint8) for v in (one, other)
        )
        assert torch.equal(ours, theirs)


def _module(one: Any, other: Any) -> None:
    assert repr(one) == repr(other)
    ours, theirs = one.state_dict(), other.state_dict()
    assert list(ours) == list(theirs)
    for key in ours:
        _tensor(ours[key], theirs[key])


def _generator(one: Any, other: Any) -> None:
    _tensor(one.get_state(), other.get_state())


def _storage(one: Any, other: Any) -> None:
    assert one.tolist() == other.tolist()


def _loader(one: Any, other: Any) -> None:
    for a, b in zip(one, other, strict=True):
        _tensor(a, b)


def _xarray(one: Any, other: Any) -> None:
    assert one.identical(other)


def _booster(one: Any, other: Any) -> None:
    assert one.model_to_string() == other.model_to_string()


def _by_repr(one: Any, other: Any) -> None:
    assert repr(one) == repr(other)


def _results(one: Any, other: Any) -> None:
    np.testing.assert_array_equal(one.params, other.params)
    assert _timeless(str(one.summary())) == _timeless(str(other.summary()))


def _same_text(one: str, other: str) -> None:
    assert _timeless(one) == _timeless(other)


def _timeless(text: str) -> str:
    return re.sub(r"(Date|Time):\s+\S+( \d+ \w+ \d+)?.*?(?=\s{3}|\n)", "", text)


def _sparse(one: Any, other: Any) -> None:
    assert (one.shape, one.dtype) == (other.shape, other.dtype)
    for name in ("data", "indices", "indptr", "row", "col", "offsets", "coords", "rows"):
        if hasattr(one, name) and not callable(getattr(one, name)):
            ours, theirs = getattr(one, name), getattr(other, name)
            assert_same(ours, theirs) if not isinstance(ours, tuple) else None
    assert_same(one.toarray(), other.toarray())


def _tree(one: Any, other: Any) -> None:
    assert_same(np.asarray(one.data), np.asarray(other.data))


def _awkward(one: Any, other: Any) -> None:
    assert (str(one.type), one.to_list()) == (str(other.type), other.to_list())


def _zarr(one: Any, other: Any) -> None:
    assert_same(one[...], other[...])


def _quantity(one: Any, other: Any) -> None:
    assert str(one.units) == str(other.units)
    assert_same(one.magnitude, other.magnitude)


def _units(one: Any, other: Any) -> None:
    assert str(getattr(one, "unit", getattr(one, "units", ""))) == str(
        getattr(other, "unit", getattr(other, "units", ""))
    )
    assert_same(np.asarray(one), np.asarray(other))


def _table(one: Any, other: Any) -> None:
    assert (one.colnames, one.meta) == (other.colnames, other.meta)
    for name in one.colnames:
        _units(one[name], other[name])


def _rustworkx(one: Any, other: Any) -> None:
    assert (one.nodes(), one.weighted_edge_list()) == (other.nodes(), other.weighted_edge_list())


def _response(one: Any, other: Any) -> None:
    assert (one.status_code, one.content, dict(one.headers)) == (
        other.status_code,
        other.content,
        dict(other.headers),
    )


def _mesh(one: Any, other: Any) -> None:
    np.testing.assert_array_equal(one.vertices, other.vertices)
    np.testing.assert_array_equal(one.faces, other.faces)


def _ufloat(one: Any, other: Any) -> None:
    assert (one.n, one.s) == (other.n, other.s)


def _polars_config(one: Any, other: Any) -> None:
    assert one is other


def _same_library(one: Any, other: Any) -> None:
    assert_same(one, other)


def _mapped(one: Any, other: Any) -> None:
    assert {k: v for k, v in vars(one).items() if k[0] != "_"} == {
        k: v for k, v in vars(other).items() if k[0] != "_"
    }


def _anndata(one: Any, other: Any) -> None:
    assert_same(one.X, other.X)
    assert_same(one.obs, other.obs)


def _soup(one: Any, other: Any) -> None:
    assert str(one) == str(other)


def _metadata(one: Any, other: Any) -> None:
    assert sorted(one.tables) == sorted(other.tables)
    for name in one.tables:
        assert repr(one.tables[name]) == repr(other.tables[name])


# By the name of a class among the value's own and those it is made of; the first one counts.
_SPECIAL: dict[str, Callable[[Any, Any], None]] = {
    "geopandas.geodataframe.GeoDataFrame": _geo_frame,
    "geopandas.geoseries.GeoSeries": _geo_series,
    "shapely.geometry.base.BaseGeometry": _geometry,
    "shapely.lib.Geometry": _geometry,
    "PIL.Image.Image": _image,
    "matplotlib.figure.Figure": _figure,
    "matplotlib.axes._axes.Axes": _axes,
    "networkx.classes.graph.Graph": _graph,
    "torch.Tensor": _tensor,
    "torch.nn.modules.module.Module": _module,
    "torch._C.Generator": _generator,
    "torch.storage.UntypedStorage": _storage,
    "torch.utils.data.dataloader.DataLoader": _loader,
    "torch.distributions.distribution.Distribution": _by_repr,
    "xarray.core.dataset.Dataset": _xarray,
    "xarray.core.dataarray.DataArray": _xarray,
    "xarray.core.variable.Variable": _xarray,
    "xarray.core.datatree.DataTree": _xarray,
    "lightgbm.basic.Booster": _booster,
    "statsmodels.base.wrapper.ResultsWrapper": _results,
    "statsmodels.iolib.table.SimpleTable": lambda one, other: _same_text(*map(str, (one, other))),
    "scipy.sparse._base._spbase": _sparse,
    "scipy.spatial._ckdtree.cKDTree": _tree,
    "sklearn.neighbors._kd_tree.KDTree64": _tree,
    "sklearn.neighbors._ball_tree.BallTree64": _tree,
    "sklearn.utils._bunch.Bunch": lambda one, other: assert_alike(dict(one), dict(other)),
    "pint.facets.measurement.objects.Measurement": _by_repr,
    "builtins.ExceptionGroup": lambda one, other: assert_alike(one.args, other.args),
    "builtins.BaseException": lambda one, other: assert_alike(one.args, other.args),
    "awkward.highlevel.Array": _awkward,
    "awkward.highlevel.Record": _awkward,
    "zarr.core.array.Array": _zarr,
    "pint.facets.plain.quantity.PlainQuantity": _quantity,
    "astropy.table.table.Table": _table,
    "astropy.units.quantity.Quantity": _units,
    "astropy.time.core.Time": _by_repr,
    "astropy.coordinates.sky_coordinate.SkyCoord": _by_repr,
    "unyt.array.unyt_array": _units,
    "rustworkx.PyDiGraph": _rustworkx,
    "httpx.Response": _response,
    "requests.models.Response": _response,
    "trimesh.base.Trimesh": _mesh,
    "uncertainties.core.AffineScalarFunc": _ufloat,
    "sqlalchemy.orm.decl_api.DeclarativeBase": _mapped,
    "sqlalchemy.sql.schema.MetaData": _metadata,
    "sqlalchemy.sql.selectable.Select": _soup,
    "anndata._core.anndata.AnnData": _anndata,
    "bs4.element.Tag": _soup,
    "Bio.Seq._SeqAbstractBaseClass": _by_repr,
    "Bio.SeqRecord.SeqRecord": _by_repr,
    "altair.vegalite.v6.schema.core.TopLevelMixin": _by_repr,
    "pandas.DataFrame": _same_library,
    "pandas.core.frame.DataFrame": _same_library,
    "pandas.core.series.Series": _same_library,
    "pandas.core.indexes.base.Index": _same_library,
    "numpy.ndarray": _same_library,
    "numpy.generic": _same_library,
    "polars.dataframe.frame.DataFrame": _same_library,
    "polars.series.series.Series": _same_library,
    "pyarrow.lib.Table": _same_library,
    "pyarrow.lib.RecordBatch": _same_library,
    "pyarrow.lib.Array": _same_library,
    "pyarrow.lib.Schema": _same_library,
    "pyarrow.lib.Tensor": _soup,
    "pyarrow.lib.Buffer": lambda one, other: assert_same(one.to_pybytes(), other.to_pybytes()),
}


def _special(value: Any) -> Callable[[Any, Any], None] | None:
    for kind in type(value).__mro__:
        found = _SPECIAL.get(f"{kind.__module__}.{kind.__qualname__}")
        if found is not None:
            return found
    return None
