"""geopandas frames and series as Arrow: geometries as GeoArrow's well-known binary."""

import json
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa

from runstore.buffers import flat
from runstore.codecs._base import Encoded, Opened
from runstore.codecs._geometries import from_wkb
from runstore.codecs._geopandas import crs_of, written
from runstore.codecs._pandas import PandasCodec
from runstore.codecs._pandas_index import decode_name, encode_name
from runstore.codecs._parquet_labels import InexactError
from runstore.codecs._pickle import Pickling

__all__ = ["GeoarrowCodec"]

Spec = dict[str, Any]

_NAME = b"ARROW:extension:name"
_WKB = b"geoarrow.wkb"
_GEOMETRY = 512  # bytes of one with few points, as an object


class GeoarrowCodec:
    """``geopandas.GeoDataFrame`` and ``GeoSeries``: what pandas' codec keeps, and geometries.

    Geometries that come back changed from well-known binary, as those with an SRID of their own,
    leave the frame to pickle.
    """

    name = "geoarrow"
    version = 1

    def encode(self, value: Any, pickling: Pickling) -> Encoded | None:
        """See `runstore.codecs.Codec.encode`."""
        if type(value) not in (gpd.GeoDataFrame, gpd.GeoSeries):
            return None  # a subclass would come back as its base
        try:
            active = _active(value)
            plain, geometry = _apart(value)
        except InexactError:
            return None
        encoded = PandasCodec().encode(plain, pickling)
        if encoded is None:
            return None
        # Frames of the same kind share what describes them, and the file of numbers.
        crs_of = {str(at): crs for at, crs in geometry.items()}
        encoded.spec = encoded.spec | {"geometry": crs_of, "active": active}
        encoded.version = encoded.alike = encoded.data = None
        encoded.objects += _GEOMETRY * len(value) * len(geometry)
        encoded.schema = _marked(encoded.schema, geometry)
        encoded.batches = [
            pa.RecordBatch.from_arrays(batch.columns, schema=encoded.schema)
            for batch in encoded.batches
        ]
        return encoded

    def decode(self, opened: Opened, spec: Spec, pickling: Pickling) -> Any:
        """See `runstore.codecs.Codec.decode`."""
        rows = opened.table().num_rows * len(spec["geometry"])
        pickling.spend(_GEOMETRY * rows, flat(opened.data).nbytes)
        plain = PandasCodec().decode(_Stored(opened), spec, pickling)
        geometry = {int(at): crs for at, crs in spec["geometry"].items()}
        if isinstance(plain, pd.Series):
            value = gpd.GeoSeries(
                _geometries(opened, plain, geometry[0]), index=plain.index, name=plain.name
            )
        else:
            active = spec["active"]
            if not geometry and isinstance(active, int):
                return plain  # as geopandas does, if it is asked for these columns
            value = plain
            for at, crs in geometry.items():
                value.isetitem(at, _geometries(opened, plain.iloc[:, at], crs))
            value.__class__ = gpd.GeoDataFrame  # which its constructor does, after a look at names
            if isinstance(active, dict):
                active = decode_name(active["name"], opened.ref)
            elif active is not None:
                active = value.columns[active] if active in geometry else None
            value._geometry_column_name = active
        value.attrs = plain.attrs
        return (
            value
            if plain.flags.allows_duplicate_labels
            else value.set_flags(allows_duplicate_labels=False)
        )

    def project(self, schema: Any, spec: Spec, columns: list[Any]) -> tuple[list[int], Spec]:
        """See `runstore.codecs.Projecting`."""
        kept, projected = PandasCodec().project(schema, spec, columns)
        geometry, active = {}, spec["active"]
        for new, old in enumerate(kept):
            if str(old) in spec["geometry"]:
                geometry[str(new)] = spec["geometry"][str(old)]
        if isinstance(active, int):
            active = kept.index(active) if active in kept else -1
        return kept, projected | {"geometry": geometry, "active": active}


def _active(value: Any) -> Any:
    """Return the place of the active geometry, or its name where no column has it.

    Raises:
        InexactError: Several columns have it, or it is no name.
    """
    if isinstance(value, gpd.GeoSeries) or value._geometry_column_name is None:
        return None
    found = [int(at) for at in value.columns.get_indexer_for([value._geometry_column_name])]
    if len(found) == 1 and found[0] >= 0:
        return found[0]
    name = encode_name(value._geometry_column_name)
    if len(found) > 1 or name is ...:
        raise InexactError
    return {"name": name}


def _apart(value: Any) -> tuple[Any, dict[int, Any]]:
    """Return a plain frame or series with geometries as bytes, and their systems of coordinates.

    Raises:
        InexactError: They come back different.
    """
    if isinstance(value, gpd.GeoSeries):
        plain, crs = written(value)
        plain.name = value.name
        geometry = {0: crs}
    else:
        plain, geometry = pd.DataFrame(value).copy(deep=False), {}
        for at, dtype in enumerate(value.dtypes):
            if dtype == "geometry":
                cells, geometry[at] = written(gpd.GeoSeries(value.iloc[:, at]))
                plain.isetitem(at, cells)
    plain.attrs = value.attrs
    if not value.flags.allows_duplicate_labels:
        plain = plain.set_flags(allows_duplicate_labels=False)
    return plain, geometry


def _marked(schema: pa.Schema, geometry: dict[int, Any]) -> pa.Schema:
    """Return *schema* with what GeoArrow's readers look for at the columns of geometries."""
    for at, crs in geometry.items():
        field = schema.field(at)
        if pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
            told = {} if crs is None else {"crs": crs, "crs_type": "projjson"}
            metadata = {_NAME: _WKB, b"ARROW:extension:metadata": json.dumps(told).encode()}
            schema = schema.set(at, field.with_metadata(metadata))
    return schema


def _geometries(opened: Opened, cells: Any, crs: Any) -> Any:
    items = from_wkb(cells.to_numpy(), opened.ref)
    return gpd.array.GeometryArray(np.asarray(items, object), crs=crs_of(crs))


class _Stored:
    """An object whose columns are what is stored, also where GeoArrow's types are registered."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    def __getattr__(self, name: str) -> Any:
        return getattr(self._opened, name)

    def table(self) -> pa.Table:
        table = self._opened.table()
        for at, field in enumerate(table.schema):
            if getattr(field.type, "extension_name", None) == _WKB.decode():
                kind = field.type.storage_type
                chunks = [chunk.storage for chunk in table.column(at).chunks]
                table = table.set_column(at, field.name, pa.chunked_array(chunks, kind))
        return table
