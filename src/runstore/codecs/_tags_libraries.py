"""Small values of other libraries as tags: shapely, pyproj, networkx, NumPy, Arrow.

See `runstore.codecs._tags`, which has these as its own. A library is imported by whoever reads
such a value; none of their code runs that a file could name.
"""

import base64
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from runstore.codecs._classes import Finder
from runstore.codecs._exactly import all_exactly, exactly
from runstore.codecs._generators import generator_of, generator_parts
from runstore.codecs._networkx import GRAPHS, graph_of, graph_parts
from runstore.codecs._python import LONGEST, short_text
from runstore.errors import CorruptObjectError

__all__ = ["BUILDERS", "CONTAINERS", "READERS", "SCALARS"]

Tag = tuple[str, Any]


# shapely and pyproj ------------------------------------------------------------------------------


def _geometry(value: Any) -> Tag | None:
    """Well-known binary; a ring is a line there."""
    import shapely

    data = shapely.to_wkb(value, output_dimension=4, include_srid=True)
    content = [type(value).__name__, base64.b64encode(data).decode()]
    try:
        back = _geometry_of(content, "the value")
    except CorruptObjectError:
        return None
    same = type(back) is type(value) and shapely.get_srid(back) == shapely.get_srid(value)
    return ("$geometry", content) if same and shapely.equals_identical(value, back) else None


def _geometry_of(content: Any, ref: str) -> Any:
    import shapely

    from runstore.codecs._geometries import from_wkb

    name, text = content
    made = from_wkb([base64.b64decode(text)], ref)[0]
    if name != "LinearRing":
        return made
    if type(made) is not shapely.LineString:
        raise CorruptObjectError(f"{ref} is damaged: a ring is no line", ref)
    ring = shapely.linearrings(shapely.get_coordinates(made, include_z=bool(made.has_z)))
    return shapely.set_srid(ring, shapely.get_srid(made)) if shapely.get_srid(made) else ring


# What PROJ takes for more than a description: names of files and of grids.
_AUTHORITY = re.compile(r"[A-Za-z]+:\w+")
_WORD = re.compile(r"\+[a-zA-Z0-9_]+(=[\w.,+-]+)?")
_FILES = re.compile(r"init|grids|file|pipeline|step", re.IGNORECASE)


def _crs(value: Any) -> Tag | None:
    text = value.srs
    if type(text) is not str or not _is_description(text):
        return None
    return ("$crs", text) if _crs_of(text, "the value").srs == text else None


def _is_description(text: str) -> bool:
    if text.startswith(("{", *_WKT)):
        return len(text) <= _LONGEST_WKT
    if len(text) > _LONGEST_PROJ or _FILES.search(text):
        return False
    words = text.split()
    return bool(_AUTHORITY.fullmatch(text)) or (bool(words) and all(map(_WORD.fullmatch, words)))


_LONGEST_WKT, _LONGEST_PROJ = 1 << 16, 2000  # characters; what is longer is pickled
_WKT = ("GEOGCRS[", "PROJCRS[", "GEOGCS[", "PROJCS[", "COMPOUNDCRS[", "BOUNDCRS[", "VERTCRS[")


def _crs_of(text: Any, ref: str) -> Any:
    import pyproj

    if type(text) is not str or not _is_description(text):
        raise CorruptObjectError(f"{ref} is damaged: no system of coordinates", ref)
    return pyproj.CRS(text)


# packaging ---------------------------------------------------------------------------------------


def _version_of(content: Any) -> Any:
    from packaging.version import Version

    return Version(short_text(content))


def _version(value: Any) -> Tag | None:
    return ("$version", str(value)) if len(str(value)) <= LONGEST else None


_SHAPES = {
    "point": "Point",
    "linestring": "LineString",
    "polygon": "Polygon",
    "multipoint": "MultiPoint",
    "multilinestring": "MultiLineString",
    "multipolygon": "MultiPolygon",
    "collection": "GeometryCollection",
}

SCALARS: dict[str, Callable[[Any], Tag | None]] = {
    **{f"shapely.geometry.{module}.{name}": _geometry for module, name in _SHAPES.items()},
    "shapely.geometry.polygon.LinearRing": _geometry,
    "pyproj.crs.crs.CRS": _crs,
    "packaging.version.Version": _version,
}

READERS: dict[str, Callable[[Any, str, Finder], Any]] = {
    "$crs": lambda c, ref, find: _crs_of(c, ref),
    "$geometry": lambda c, ref, find: _geometry_of(c, ref),
    "$version": lambda c, ref, find: _version_of(c),
}


# NumPy: subclasses of arrays, polynomials ---------------------------------------------------------


def _matrix(value: Any) -> Tag | None:
    known = value.ndim == 2 and vars(value).keys() <= {"_getitem"}  # which is NumPy's own
    return ("$view", ["matrix", value.view(np.ndarray)]) if known else None


def _records(value: Any) -> Tag | None:
    if vars(value):
        return None
    plain = value.view(np.ndarray)
    if value.dtype.type is np.record:
        told = value.dtype
        parts = [told.fields[name] for name in told.names]
        if any(len(part) > 2 for part in parts) or told.metadata:
            return None  # with titles
        kind: Any = {
            "names": list(told.names),
            "formats": [part[0] for part in parts],
            "offsets": [part[1] for part in parts],
            "itemsize": told.itemsize,
        }
        plain = plain.view(np.dtype(kind, align=told.isalignedstruct))
    back = plain.view(np.recarray)
    same = back.dtype == value.dtype and back.dtype.type is value.dtype.type
    return ("$view", ["recarray", plain]) if same else None


def _view_of(parts: Any, ref: str, find: Finder) -> Any:
    name, array = parts
    kinds: dict[str, Any] = {"matrix": np.matrix, "recarray": np.recarray}
    if type(array) is not np.ndarray or (name == "matrix" and array.ndim != 2):
        raise CorruptObjectError(f"{ref} is damaged: no array for a {name}", ref)
    return array.view(kinds[name])


_POLYNOMIALS = ("Chebyshev", "Hermite", "HermiteE", "Laguerre", "Legendre", "Polynomial")


def _polynomial(value: Any) -> Tag | None:
    """Its coefficients; None if it is not made of them again as they are."""
    name = type(value).__name__
    known, arrays, text = {"coef", "domain", "window", "_symbol"}, _ARRAYS, "symbol"
    if name == "poly1d":
        known, arrays, text = {"_coeffs", "_variable", "coeffs"}, ("coeffs",), "variable"
    if not vars(value).keys() <= known:
        return None
    parts = [name, *(getattr(value, array) for array in arrays), getattr(value, text)]
    if any(type(part) is not np.ndarray for part in parts[1:-1]):
        return None
    try:
        back = _polynomial_of(parts, "the value", None)
    except (CorruptObjectError, ValueError, TypeError):
        return None
    made = [getattr(back, array) for array in arrays]  # leading zeros go, integers become floats
    same = all(map(_is_same, made, parts[1:-1])) and getattr(back, text) == parts[-1]
    return ("$poly", parts) if same else None


_ARRAYS: tuple[str, ...] = ("coef", "domain", "window")


def _is_same(one: Any, other: Any) -> bool:
    alike = one.dtype == other.dtype and one.shape == other.shape
    return alike and bool(one.tobytes() == other.tobytes())


def _polynomial_of(parts: Any, ref: str, find: Finder | None) -> Any:
    name, *arrays, symbol = parts
    exactly(symbol, ref, str)
    all_exactly(arrays, ref, np.ndarray, count=1 if name == "poly1d" else 3)
    if name == "poly1d":
        return np.poly1d(arrays[0], variable=symbol)
    if name not in _POLYNOMIALS:
        raise CorruptObjectError(f"{ref} is damaged: {name!r} is no polynomial", ref)
    return getattr(np.polynomial, name)(*arrays, symbol)


# Pictures ----------------------------------------------------------------------------------------

_BYTES = {"1": 0, "L": 1, "P": 1, "LA": 2, "RGB": 3, "HSV": 3, "YCbCr": 3, "LAB": 3}
_BYTES |= {"RGBA": 4, "CMYK": 4, "I": 4, "F": 4, "I;16": 2}


def _image(value: Any) -> Tag | None:
    """Pixels as they are in memory; images that were read from a file are other types."""
    if value.mode not in _BYTES or not min(value.size):
        return None
    palette = value.palette
    colours = None
    if palette is not None:
        if palette.mode not in ("RGB", "RGBA") or palette.rawmode or value.mode != "P":
            return None
        colours = [palette.mode, bytes(palette.getdata()[1])]
        value.getpalette()
    pixels = np.frombuffer(value.tobytes(), np.uint8)
    content = [value.mode, list(value.size), dict(value.info), colours, pixels]
    try:
        _image_of(content, "the value", None)
    except (CorruptObjectError, ValueError):
        return None
    return "$image", content


def _image_of(parts: Any, ref: str, find: Finder | None) -> Any:
    from PIL import Image

    mode, size, info, colours, pixels = parts
    width, height = all_exactly(size, ref, int, count=2)
    exactly(info, ref, dict)
    if colours is not None:
        all_exactly(colours, ref, str, bytes, count=2)
        exactly(colours[1], ref, bytes)  # Pillow would make as many of them as a number says
    row = -(-width // 8) if mode == "1" else width * _BYTES[mode]
    whole = type(pixels) is np.ndarray and pixels.dtype == np.uint8
    if not whole or min(width, height) < 1 or row * height != pixels.size:
        raise CorruptObjectError(f"{ref} is damaged: an image and its pixels differ", ref)
    made = Image.frombytes(mode, (width, height), pixels.tobytes())
    if colours is not None:
        made.putpalette(colours[1], colours[0])
    made.info = info
    return made


# Dictionaries of other libraries' own -------------------------------------------------------------

_DICTS = {
    "scipy.optimize._optimize.OptimizeResult": ("scipy.optimize", "OptimizeResult"),
    "sklearn.utils._bunch.Bunch": ("sklearn.utils", "Bunch"),
}


def _own_dict(value: Any) -> Tag | None:
    own = vars(value)
    if own and own is not value and not own.keys() <= {"_deprecated_key_to_warnings"}:
        return None
    return "$own_dict", [f"{type(value).__module__}.{type(value).__qualname__}", dict(value)]


def _own_dict_of(parts: Any, ref: str, find: Finder) -> Any:
    from importlib import import_module

    name, items = parts
    module, kind = _DICTS[name]
    made = getattr(import_module(module), kind)()
    made.update(exactly(items, ref, dict))
    return made


# Arrow -------------------------------------------------------------------------------------------


_ARROW_TYPES = (
    *("Data", "List", "LargeList", "FixedSizeList", "ListView", "LargeListView", "Map", "Struct"),
    *("SparseUnion", "DenseUnion", "Timestamp", "Time32", "Time64", "Duration", "Dictionary"),
    *("FixedSizeBinary", "Decimal32", "Decimal64", "Decimal128", "Decimal256", "RunEndEncoded"),
)


def _arrow(value: Any) -> Tag:
    import pyarrow as pa

    field = value if isinstance(value, pa.Field) else pa.field("", value)
    return "$arrow", ["field" if field is value else "type", pa.schema([field])]


def _arrow_of(parts: Any, ref: str, find: Finder) -> Any:
    import pyarrow as pa

    kind, schema = parts
    field = exactly(schema, ref, pa.Schema).field(0)
    return field if kind == "field" else field.type


CONTAINERS: dict[str, Callable[[Any], Tag | None]] = {
    "PIL.Image.Image": _image,
    **dict.fromkeys(_DICTS, _own_dict),
    "numpy.matrix": _matrix,
    **dict.fromkeys(("numpy.rec.recarray", "numpy.recarray"), _records),
    **dict.fromkeys(("numpy.poly1d", "numpy.lib._polynomial_impl.poly1d"), _polynomial),
    **{
        f"numpy.polynomial.{name.lower().replace('hermitee', 'hermite_e')}.{name}": _polynomial
        for name in _POLYNOMIALS
    },
    "numpy.random._generator.Generator": generator_parts,
    "numpy.random.mtrand.RandomState": generator_parts,
    **{f"pyarrow.lib.{name}Type": _arrow for name in _ARROW_TYPES},
    "pyarrow.lib.Field": _arrow,
    **dict.fromkeys(GRAPHS, lambda value: graph_parts(value)),
}

BUILDERS: dict[str, Callable[[Any, str, Finder], Any]] = {
    "$arrow": _arrow_of,
    "$image": _image_of,
    "$own_dict": _own_dict_of,
    "$graph": lambda parts, ref, find: graph_of(parts, ref),
    "$poly": _polynomial_of,
    "$rng": lambda parts, ref, find: generator_of(parts, ref),
    "$view": _view_of,
}
