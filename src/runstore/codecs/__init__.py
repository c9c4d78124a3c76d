"""Values to record batches and back: which codec keeps which type.

Codecs are found by the *name* of a value's type, and their modules imported when
such a value is met, so libraries that are not used cost nothing.
"""

import sys
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from runstore.codecs._base import (
    Codec,
    Encoded,
    Opened,
    PluginCodec,
    Projecting,
    is_a,
    type_name,
)
from runstore.codecs._fields import by_fields
from runstore.codecs._files import FileCodec, file_codec, stored_as_file
from runstore.codecs._pickle import PickleWarning, Pickling
from runstore.codecs._python import is_json
from runstore.codecs._reading import (
    columns_kept,
    converted,
    decode,
    is_table_as_stored,
    selected,
    stored_as,
)
from runstore.codecs._reasons import why_no_table
from runstore.codecs._refused import refuse, refuse_handle
from runstore.codecs._small import SmallKind, is_small_kind, small_kinds, value_in
from runstore.codecs._sources import pieces_of
from runstore.codecs._steps import of_one_file
from runstore.errors import MissingExtraError, UnsupportedFormatError, UnsupportedValueError
from runstore.lifetime import Bounded, load_module

if TYPE_CHECKING:
    from runstore.codecs._joined import Joined, is_table
    from runstore.codecs._joining import difference, joined, layout_of
    from runstore.codecs._some_rows import SomeRows, spec_of_rows

__all__ = [
    "PARQUET_CODECS",
    "Codec",
    "Encoded",
    "FileCodec",
    "Joined",
    "Opened",
    "PickleWarning",
    "Pickling",
    "PluginCodec",
    "Projecting",
    "SmallKind",
    "SomeRows",
    "by_fields",
    "codec_named",
    "columns_kept",
    "converted",
    "decode",
    "difference",
    "encode",
    "encode_table",
    "file_codec",
    "is_json",
    "is_small_kind",
    "is_table",
    "is_table_as_stored",
    "joined",
    "known_codecs",
    "layout_of",
    "pieces_of",
    "selected",
    "small_kinds",
    "spec_of_rows",
    "stored_as",
    "stored_as_file",
    "type_name",
    "value_in",
]

# Few stages need these: they are imported with the first use.
_LATER = {
    **dict.fromkeys(("Joined", "is_table"), "_joined"),
    **dict.fromkeys(("difference", "joined", "layout_of"), "_joining"),
    **dict.fromkeys(("SomeRows", "spec_of_rows"), "_some_rows"),
}

# Codec name to module, class, and the pip line for what it needs.
_CODECS = {
    "arrow": ("runstore.codecs._arrow", "ArrowCodec", "runstore"),
    "bytes": ("runstore.codecs._python", "BytesCodec", "runstore"),
    "geoarrow": ("runstore.codecs._geoarrow", "GeoarrowCodec", "geopandas"),
    "geopandas": ("runstore.codecs._geopandas", "GeopandasCodec", "geopandas"),
    "json": ("runstore.codecs._python", "JsonCodec", "runstore"),
    "nested": ("runstore.codecs._nested", "NestedCodec", "runstore"),
    "packed": ("runstore.codecs._packed", "PackedCodec", "runstore"),
    "numpy": ("runstore.codecs._numpy", "NumpyCodec", "runstore"),
    "pandas": ("runstore.codecs._pandas", "PandasCodec", "runstore[pandas]"),
    "pandas.parquet": ("runstore.codecs._parquet_pandas", "ParquetPandasCodec", "runstore[pandas]"),
    "pickle": ("runstore.codecs._pickle", "PickleCodec", "runstore"),
    "polars": ("runstore.codecs._polars", "PolarsCodec", "runstore[polars]"),
    "sealed": ("runstore.codecs._sealed", "SealedCodec", "runstore"),
    "polars.parquet": ("runstore.codecs._parquet_polars", "ParquetPolarsCodec", "runstore[polars]"),
    "str": ("runstore.codecs._python", "TextCodec", "runstore"),
    "torch": ("runstore.codecs._torch", "TorchCodec", "runstore[torch]"),
    "xarray": ("runstore.codecs._xarray", "XarrayCodec", "runstore[xarray]"),
}

# By the module they say they are of, which pandas 3 hides.
_PANDAS_INDEXES = {
    "base": "Index",
    "category": "CategoricalIndex",
    "datetimes": "DatetimeIndex",
    "interval": "IntervalIndex",
    "multi": "MultiIndex",
    "period": "PeriodIndex",
    "range": "RangeIndex",
    "timedeltas": "TimedeltaIndex",
}

# Exact types only: a subclass would come back as its base. Codecs in the order they are asked.
_BY_TYPE = {
    **dict.fromkeys(("datetime.date", "datetime.datetime", "datetime.time"), "nested"),
    **dict.fromkeys(("datetime.timedelta", "decimal.Decimal", "uuid.UUID"), "nested"),
    "builtins.NoneType": "json",
    "builtins.bool": "json",
    "builtins.bytearray": "bytes",
    "builtins.bytes": "bytes",
    "builtins.complex": "nested",
    "builtins.dict": "packed json nested",
    "builtins.float": "json",
    "builtins.int": "json nested",
    "builtins.frozenset": "packed nested",
    "builtins.list": "packed json nested",
    "builtins.set": "packed nested",
    "builtins.str": "str",
    "builtins.tuple": "packed nested",
    "collections.OrderedDict": "nested",
    "geopandas.geodataframe.GeoDataFrame": "geoarrow",
    "geopandas.geoseries.GeoSeries": "geoarrow",
    "numpy.ndarray": "numpy",
    "pandas.DataFrame": "pandas",
    "pandas.Series": "pandas",
    "pandas.core.frame.DataFrame": "pandas",  # pandas 2
    "pandas.core.series.Series": "pandas",
    "polars.dataframe.frame.DataFrame": "polars",
    "polars.series.series.Series": "polars",
    "pyarrow.lib.ChunkedArray": "arrow",
    "pyarrow.lib.RecordBatch": "arrow",
    "pyarrow.lib.Schema": "arrow",
    "pyarrow.lib.Table": "arrow",
    "torch.Tensor": "torch",
    "xarray.core.dataarray.DataArray": "xarray",
    "xarray.core.dataset.Dataset": "xarray",
    "xarray.core.datatree.DataTree": "xarray",
    **{f"pandas.{name}": "pandas" for name in _PANDAS_INDEXES.values()},
    **{f"pandas.core.indexes.{m}.{name}": "pandas" for m, name in _PANDAS_INDEXES.items()},
}

# Of files that end in .parquet: tables as their libraries' own writers lay them out.
_IN_PARQUET = {
    "geopandas.geodataframe.GeoDataFrame": "geopandas",
    "pandas.DataFrame": "pandas.parquet",
    "pandas.Series": "pandas.parquet",
    "pandas.core.frame.DataFrame": "pandas.parquet",  # pandas 2
    "pandas.core.series.Series": "pandas.parquet",
    "polars.dataframe.frame.DataFrame": "polars.parquet",
    "polars.series.series.Series": "polars.parquet",
}
PARQUET_CODECS = frozenset(_IN_PARQUET.values())
"""Those that know the labels of dictionaries, of which Parquet keeps only what occurs."""

_opened: Bounded[str, Codec] = Bounded(len(_CODECS))


@of_one_file
def encode(value: Any, pickling: Pickling) -> tuple[Codec, Encoded]:
    """Encode *value* with the first codec that keeps it exactly; the last resort is pickle.

    A kind of value that this process has not stored yet is decoded once, so that nothing is
    taken that cannot be read.

    Raises:
        UnsupportedValueError: Nothing can keep it.
        UnsafePickleError: Only pickle could, and the policy forbids it.
    """
    refuse(type(value))
    for codec in _codecs_for(value):
        encoded = codec.encode(value, pickling)
        if encoded is not None:
            _check_decodes(codec, value, encoded)
            return codec, encoded
    refuse_handle(value)
    codec = codec_named("pickle")
    try:
        encoded = codec.encode(value, pickling)
    except UnsupportedValueError as exc:
        if not hasattr(type(value), "__arrow_c_stream__"):
            raise
        raise UnsupportedValueError(
            f"{exc.message}: pyarrow.table(value) is a table of it", exc.ref
        ) from exc
    assert encoded is not None
    return codec, encoded


def _check_decodes(codec: Codec, value: Any, encoded: Encoded) -> None:
    if encoded.cell is None:  # text, bytes, JSON and small pickles need no such trial
        load_module("runstore.codecs._trial").check_decodes(codec, value, encoded)


@of_one_file
def encode_table(value: Any, pickling: Pickling) -> tuple[Codec, Encoded]:
    """Encode a table for a Parquet file, without pickle.

    Raises:
        UnsupportedValueError: It is none, or Parquet would change a part of it.
    """
    name = _IN_PARQUET.get(type_name(type(value)))
    if name is None:
        if type_name(type(value)) == "pyarrow.lib.Table":
            from runstore.codecs._arrow import with_same_labels

            value = with_same_labels(value)
        codec, encoded = encode(value, pickling)
        if encoded.columns is not None and not pickling.used:
            return codec, encoded
        raise UnsupportedValueError(
            f"Parquet holds plain tables, not {why_no_table(value, encoded)}"
        )
    codec = codec_named(name)
    encoding = codec.encode(value, pickling)
    assert encoding is not None
    _check_decodes(codec, value, encoding)
    return codec, encoding


_EXTENSION_ARRAY = (
    "pandas.api.extensions.ExtensionArray",
    "pandas.core.arrays.base.ExtensionArray",  # before pandas 3
)


def _codecs_for(value: Any) -> tuple[Codec, ...]:
    """Return the codecs for a type, in the order in which they are asked."""
    name = type_name(type(value))
    names = _BY_TYPE.get(name)
    if names is not None:
        if names == "numpy" and value.dtype.kind == "O":
            names = "nested"
        return _codecs_named(names)
    if name.startswith("pyarrow.lib.") and name.endswith(("Array", "Scalar")):
        return _codecs_named("arrow")  # each Arrow type has classes of its own
    if name.startswith("numpy.") and isinstance(value, sys.modules["numpy"].generic):
        return _codecs_named("nested")
    from runstore.codecs._plugins import plugin_for  # few types are of a plug-in

    plugin = plugin_for(name, frozenset(_CODECS))
    if plugin is not None:
        return (plugin,)
    from runstore.codecs._tags import is_tagged

    if is_tagged(value):
        return _codecs_named("nested")
    if is_a(type(value), *_EXTENSION_ARRAY):
        return _codecs_named("pandas")
    return ()


@cache
def _codecs_named(names: str) -> tuple[Codec, ...]:
    return tuple(map(codec_named, names.split()))


def codec_named(name: str) -> Codec:
    """Return a codec by its name in the objects that it wrote.

    Raises:
        UnsupportedFormatError: This runstore has no such codec.
        MissingExtraError: The library it is for is not installed.
    """
    codec = _opened.get(name)
    if codec is None:
        if name not in _CODECS:
            from runstore.codecs._plugins import plugin_codec

            if (plugin := plugin_codec(name)) is not None:
                return plugin
            raise UnsupportedFormatError(
                f"no codec {name!r} here, only {', '.join(sorted(_CODECS))}: upgrade runstore, or "
                "install the plug-in that wrote the object"
            )
        module, attribute, extra = _CODECS[name]
        try:
            codec = getattr(load_module(module), attribute)()
        except ModuleNotFoundError as exc:
            raise MissingExtraError(
                f"a value of the codec {name!r} needs {exc.name!r}: pip install '{extra}'", name
            ) from exc
        _opened.put(name, codec)
    return codec


def known_codecs() -> list[str]:
    """Return the names of all codecs, sorted."""
    return sorted(_CODECS)


if not TYPE_CHECKING:  # or mypy would take it for what has every name

    def __getattr__(name: str) -> Any:
        if name not in _LATER:
            raise AttributeError(f"module 'runstore.codecs' has no attribute {name!r}")
        return getattr(import_module(f"runstore.codecs.{_LATER[name]}"), name)
