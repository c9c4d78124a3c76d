"""``.parquet``: geopandas frames as GeoParquet, and back exactly."""

import io
import json
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import shapely

from runstore.codecs._base import Encoded, Opened
from runstore.codecs._geometries import from_wkb
from runstore.codecs._parquet_labels import InexactError
from runstore.codecs._parquet_pandas import ParquetPandasCodec
from runstore.codecs._pickle import Pickling
from runstore.codecs._reasons import shown
from runstore.errors import UnsupportedValueError

__all__ = ["GeopandasCodec", "crs_of", "written"]

Spec = dict[str, Any]


class GeopandasCodec(ParquetPandasCodec):
    """``geopandas.GeoDataFrame`` in a Parquet file that geopandas and GDAL read as their own.

    Geometries are well-known binary; what they are is in the metadata ``geo``.
    """

    name = "geopandas"
    version = 1

    def encode(self, value: Any, pickling: Pickling) -> Encoded:
        """See `runstore.codecs.Codec.encode`.

        Raises:
            UnsupportedValueError: Parquet would change a part of it, which is named.
        """
        if not value.columns.is_unique:
            raise UnsupportedValueError("Parquet would change a GeoDataFrame with a label twice")
        plain, geometry = pd.DataFrame(value).copy(deep=False), {}
        try:
            for label in value.columns[value.dtypes == "geometry"]:
                plain[label], geometry[label] = written(value[label])
        except InexactError as exc:
            raise UnsupportedValueError(f"Parquet would change {exc}") from exc
        if not all(type(label) is str for label in geometry):
            raise UnsupportedValueError("Parquet would change geometry columns not named by text")
        plain.attrs = value.attrs
        if not value.flags.allows_duplicate_labels:
            plain = plain.set_flags(allows_duplicate_labels=False)
        encoded = super().encode(plain, pickling)
        encoded.spec["geometry"] = geometry
        encoded.spec["active"] = value._geometry_column_name
        metadata = encoded.schema.metadata | {b"geo": json.dumps(_geo(value)).encode()}
        encoded.schema = encoded.schema.with_metadata(metadata)
        encoded.batches = [batch.replace_schema_metadata(metadata) for batch in encoded.batches]
        return encoded

    def decode(self, opened: Opened, spec: Spec, pickling: Pickling) -> Any:
        """See `runstore.codecs.Codec.decode`."""
        plain, columns = super().decode(opened, spec, pickling), {}
        geometry = {k: v for k, v in spec["geometry"].items() if k in plain.columns}
        if not geometry and spec["active"] is not None:
            return plain  # as geopandas does, if it is asked for these columns
        for label, crs in geometry.items():
            items = from_wkb(plain[label].to_numpy(), opened.ref)
            columns[label] = gpd.array.GeometryArray(items, crs=crs_of(crs))
        attrs = plain.attrs
        duplicates = plain.flags.allows_duplicate_labels
        frame = gpd.GeoDataFrame(plain.assign(**columns))
        active = spec["active"] if spec["active"] in geometry else None
        frame._geometry_column_name = active
        frame.attrs = attrs
        return frame if duplicates else frame.set_flags(allows_duplicate_labels=False)


def written(series: Any) -> tuple[Any, Any]:
    """Return a column of geometries as binary, and its system of coordinates as JSON.

    Raises:
        InexactError: They come back different.
    """
    items, told = np.asarray(series.array), f"column {shown(series.name)} of geometries"
    if (shapely.get_srid(items) > 0).any():
        raise InexactError(f"{told} with an SRID of their own: set it by crs")
    data = shapely.to_wkb(items)
    back = shapely.from_wkb(data)
    same = shapely.equals_identical(items, back) | shapely.is_missing(items)
    if not same.all() or (shapely.is_missing(items) != shapely.is_missing(back)).any():
        row = int(np.argmin(same))
        raise InexactError(f"{told}: row {row} would come back as {str(back[row])[:60]}")
    crs = None if series.crs is None else series.crs.to_json_dict()
    if crs is not None and crs_of(crs) != series.crs:
        raise InexactError(f"{told}: their crs {series.crs.name!r} has no JSON")
    cells = np.empty(len(data), object)
    cells[:] = data
    return pd.Series(cells, index=series.index, dtype=object), crs


def crs_of(told: Any) -> Any:
    """Return the system of coordinates that `written` describes."""
    return None if told is None else pyproj.CRS.from_json_dict(told)


def _geo(value: Any) -> dict[str, Any]:
    """Return what geopandas' own writer says of the geometries."""
    if value._geometry_column_name not in value.columns:
        raise UnsupportedValueError(
            "a GeoDataFrame without an active geometry is no GeoParquet: call set_geometry()"
        )
    file = io.BytesIO()
    gpd.GeoDataFrame(
        {c: value[c].iloc[:0] for c in value.columns[value.dtypes == "geometry"]},
        geometry=value._geometry_column_name,
    ).to_parquet(file)
    told: dict[str, Any] = json.loads(
        pq.read_metadata(pa.BufferReader(file.getvalue())).metadata[b"geo"]
    )
    for label, entry in told["columns"].items():
        series = value[label]
        entry["geometry_types"] = sorted(
            {
                f"{kind}{' Z' if z else ''}"
                for kind, z in zip(series.geom_type, series.has_z, strict=True)
                if kind is not None
            }
        )
        entry.pop("bbox", None)
        if len(series) and not np.isnan(series.total_bounds).any():
            entry["bbox"] = series.total_bounds.tolist()
    return told
