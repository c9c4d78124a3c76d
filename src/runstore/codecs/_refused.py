"""Values that stand for something outside themselves, and what to store instead.

They are told by the names of their types, so that no library is imported for it, and by
signs: a graph of dask, the methods of an open file.
"""

from typing import Any

from runstore.codecs._base import type_name
from runstore.errors import UnsupportedValueError

__all__ = ["graph_of", "is_handle", "refuse", "refuse_handle"]

_PATH = (
    "a path says where something is, and another machine may have nothing there: store its "
    "contents, e.g. path.read_bytes(), or str(path) if the path itself is meant"
)
_FILE = "it reads from something open in this process: store its contents, e.g. file.read()"
_FOLDER = "the folder goes away with it: store the contents of its files"
_RUNNING = "it stands for something that runs: store its result"
_QUERY = "it is a query, not its result"
_ELSEWHERE = "it stands for data that is kept elsewhere"
_LAZY = f"{_ELSEWHERE}: load it first, e.g. by dataset.load()"
_CONNECTION = "it is a connection, which ends with this process: store what you fetched from it"
_WEAK = "it does not keep what it refers to: store a plain set or dict"
_LOCK = "it is of use in this process only: leave it out"
_ONCE = "it gives its items once: store list(value)"
_ENVIRONMENT = (
    "it is the environment of this process, often with passwords: store the variables that are "
    "needed, e.g. {'HOME': os.environ['HOME']}"
)
_MEMORY = "it shows memory of another object: store bytes(value), or numpy.asarray(value)"

# By type name, like the codecs. What has a codec need not be here.
_REFUSED = {
    "pathlib.PosixPath": _PATH,
    "pathlib.WindowsPath": _PATH,
    "pathlib._local.PosixPath": _PATH,  # Python 3.13
    "pathlib._local.WindowsPath": _PATH,
}

# Also where they are part of something else, and for what is derived from them.
_HANDLES = {
    "_io._IOBase": _FILE,
    "tempfile._TemporaryFileWrapper": _FILE,
    "tempfile.SpooledTemporaryFile": _FILE,
    "tempfile.TemporaryDirectory": _FOLDER,
    "zipfile.ZipFile": _FILE,
    "zipfile._path.Path": _FILE,
    "zipfile.Path": _FILE,
    "tarfile.TarFile": _FILE,
    "mmap.mmap": "it maps a file: store bytes(value)",
    "builtins.memoryview": _MEMORY,
    "multiprocessing.shared_memory.SharedMemory": (
        f"{_ELSEWHERE}, and goes by name: store bytes(value.buf)"
    ),
    "multiprocessing.managers.BaseProxy": f"{_ELSEWHERE}: store a copy of it",
    "fsspec.core.OpenFile": _FILE,
    "fsspec.spec.AbstractFileSystem": "it is a way to files, and can hold passwords: store its URL",
    "_socket.socket": _CONNECTION,
    "ssl.SSLContext": _CONNECTION,
    "sqlite3.Connection": _CONNECTION,
    "sqlite3.Cursor": _CONNECTION,
    "_duckdb.DuckDBPyConnection": _CONNECTION,
    "duckdb.duckdb.DuckDBPyConnection": _CONNECTION,
    "_duckdb.DuckDBPyRelation": f"{_QUERY}: call .arrow() first",
    "duckdb.duckdb.DuckDBPyRelation": f"{_QUERY}: call .arrow() first",
    "sqlalchemy.engine.base.Engine": _CONNECTION,
    "sqlalchemy.engine.base.Connection": _CONNECTION,
    "sqlalchemy.orm.session.Session": _CONNECTION,
    "os._Environ": _ENVIRONMENT,
    "builtins.generator": _ONCE,
    "builtins.coroutine": f"{_RUNNING}: await it first",
    "builtins.async_generator": _ONCE,
    "_asyncio.Future": f"{_RUNNING}: await it first",
    "concurrent.futures._base.Future": f"{_RUNNING}: call .result() first",
    "subprocess.Popen": _RUNNING,
    "threading.Thread": _RUNNING,
    "_thread.lock": _LOCK,
    "_thread.RLock": _LOCK,
    "threading.Condition": _LOCK,
    "threading.Event": _LOCK,
    "threading.Semaphore": _LOCK,
    "multiprocessing.synchronize.SemLock": _LOCK,
    "_queue.SimpleQueue": _LOCK,
    "queue.Queue": "it belongs to the threads of this process: store list(value.queue)",
    "_weakrefset.WeakSet": _WEAK,
    "weakref.WeakKeyDictionary": _WEAK,
    "weakref.WeakValueDictionary": _WEAK,
    "weakref.ReferenceType": _WEAK,
    "pyarrow._dataset.Dataset": f"{_ELSEWHERE}: call .to_table() first",
    "pyarrow._dataset.Scanner": f"{_QUERY}: call .to_table() first",
    "pyarrow._dataset.Fragment": f"{_ELSEWHERE}: call .to_table() first",
    "pyarrow.lib.RecordBatchReader": f"{_ONCE[: -len('store list(value)')]}call .read_all() first",
    "pyarrow.lib.NativeFile": _FILE,
    "pyarrow.parquet.core.ParquetFile": f"{_ELSEWHERE}: call .read() first",
    "pyarrow.parquet.core.ParquetDataset": f"{_ELSEWHERE}: call .read() first",
    "pandas.io.pytables.HDFStore": _FILE,
    "pandas.io.excel._base.ExcelFile": _FILE,
    "pandas.io.parsers.readers.TextFileReader": f"{_ONCE[: -len('store list(value)')]}concat them",
    "polars.lazyframe.frame.LazyFrame": f"{_QUERY}: call .collect() first",
    "distributed.client.Future": f"{_RUNNING}: call .result() first",
    "distributed.client.Client": _CONNECTION,
    "distributed.actor.BaseActorFuture": f"{_RUNNING}: call .result() first",
    "ray._raylet.BaseID": f"{_ELSEWHERE}: store ray.get(value)",
    "ray.actor.ActorHandle": _RUNNING,
    "ray.data.dataset.Dataset": f"{_ELSEWHERE}: call .to_pandas() first",
    "datasets.arrow_dataset.Dataset": f"{_ELSEWHERE}: call .to_pandas() first",
    "zarr.core.Array": f"{_ELSEWHERE}: store value[...]",
    "zarr.core.array.Array": f"{_ELSEWHERE}: store value[...]",
    "zarr.core.group.Group": f"{_ELSEWHERE}: store its arrays, value['name'][...]",
    "zarr.hierarchy.Group": f"{_ELSEWHERE}: store its arrays, value['name'][...]",
    "h5py._hl.base.HLObject": f"{_ELSEWHERE}: store value[...]",
    "netCDF4._netCDF4.Dataset": _FILE,
    "tables.file.File": _FILE,
    "numpy.memmap": "it maps a file: store numpy.array(value)",
    "pyspark.sql.dataframe.DataFrame": f"{_QUERY}: call .toPandas() first",
}
_ENDLESS = {"itertools.count", "itertools.cycle", "itertools.repeat"}  # counters of an object
_IN_MEMORY = {"_io.BytesIO", "_io.StringIO"}
_LAZY_ARRAYS = ("xarray.backends.",)


def refuse(kind: type) -> None:
    """Raise if values of this type are none to keep, nor what is derived from them.

    In the time of a look-up, for types that have a codec.

    Raises:
        UnsupportedValueError: The message says what to store instead.
    """
    name = type_name(kind)
    if name in _REFUSED:
        raise UnsupportedValueError(f"cannot store a {name}: {_REFUSED[name]}")


def is_handle(kind: type) -> str | None:
    """Return what to store instead of values of this type; None if they are values themselves."""
    names = [type_name(base) for base in kind.__mro__]
    if _IN_MEMORY.intersection(names):
        return None
    for name in names:
        if name in _HANDLES:
            return _HANDLES[name]
        if name.startswith(_LAZY_ARRAYS):
            return _LAZY
    return _ONCE if _is_iterator(kind) else None


def _is_iterator(kind: type) -> bool:
    """Return whether a type of Python's own gives the items of something else, and does end."""
    if kind.__module__ not in ("builtins", "itertools") or type_name(kind) in _ENDLESS:
        return False
    return hasattr(kind, "__next__") and hasattr(kind, "__iter__")


def graph_of(value: Any) -> str | None:
    """Return what to store instead of a dask collection; None for anything else."""
    graph = getattr(type(value), "__dask_graph__", None)
    try:
        if graph is None or graph(value) is None:
            return None
    except Exception:  # noqa: BLE001 - the class is the user's
        return None
    return "it is computed by dask when it is asked for: call .compute() first"


def refuse_handle(value: Any) -> None:
    """Raise if *value* itself stands for something outside itself.

    Raises:
        UnsupportedValueError: The message says what to store instead.
    """
    reason = is_handle(type(value)) or graph_of(value)
    if reason is not None:
        raise UnsupportedValueError(f"cannot store a {type_name(type(value))}: {reason}")
