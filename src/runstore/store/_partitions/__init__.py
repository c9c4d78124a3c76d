"""Values of many partitions: each is put as a part, where it is, and read as one again.

A module for each library, which is imported when such a value or type is met. None of them brings a
partition to the process that calls, except where that is where it is computed.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from runstore.codecs import type_name
from runstore.keys import Place
from runstore.lifetime import load_module
from runstore.objects import ObjectInfo
from runstore.store._sealing import check_takes_parts, seal_parts
from runstore.store._target import Target

if TYPE_CHECKING:
    from runstore.store._partitions._crossing import PartReader, PartWriter

__all__ = ["put_partitions", "read_partitions", "reader_of", "splitter_of"]

_DASK = "dask.dataframe.dask_expr._collection."

# By type name: the module, and the function in it.
_SPLIT = {
    **dict.fromkeys((f"{_DASK}DataFrame", f"{_DASK}Series"), ("_dask", "put")),
    **dict.fromkeys(
        ("ray.data.dataset.Dataset", "ray.data.dataset.MaterializedDataset"), ("_ray", "put")
    ),
    "pandas.api.typing.DataFrameGroupBy": ("_groups", "put"),
    "pandas.core.groupby.generic.DataFrameGroupBy": ("_groups", "put"),  # pandas 2
    "polars.dataframe.group_by.GroupBy": ("_groups", "put"),
}
_READ = {
    **dict.fromkeys((f"{_DASK}DataFrame", f"{_DASK}Series"), ("_dask", "read")),
    "ray.data.dataset.Dataset": ("_ray", "read"),
}

Splitter = Callable[[Any, "PartWriter"], Sequence[ObjectInfo]]


class Reader(Protocol):
    """Builds a value of partitions, each of which is read where it is needed."""

    def __call__(self, reader: "PartReader", kind: type) -> Any:
        """Return a *kind* of the parts that *reader* reads."""
        ...


def splitter_of(value: Any) -> Splitter | None:
    """Return what puts the partitions of *value*; None if it is put whole."""
    found = _SPLIT.get(type_name(type(value)))
    return None if found is None else _loaded(*found)


def reader_of(kind: type | None) -> Reader | None:
    """Return what builds a *kind* from parts; None if it is a type that is read whole."""
    found = None if kind is None else _READ.get(type_name(kind))
    return None if found is None else _loaded(*found)


def _loaded(module: str, function: str) -> Any:
    return getattr(load_module(f"{__name__}.{module}"), function)


def put_partitions(
    target: Target,
    place: Place,
    value: Any,
    split: Splitter,
    *,
    metadata: dict[str, Any] | None,
    if_absent: bool,
    if_match: str | None,
    compression: str | None,
    pickle: Any,
) -> ObjectInfo:
    """Put each partition as a part, and seal exactly these; see `Verbs.put`.

    Raises:
        InvalidRequestError: The name is one of a file.
        UnsupportedValueError: A partition cannot be kept exactly, or they do not join.
    """
    from runstore.store._partitions._crossing import PartWriter  # few values have partitions

    check_takes_parts("put", place)
    objects = target.writable()
    writer = PartWriter.of(target, place, compression=compression, pickle=pickle)
    return seal_parts(
        objects,
        place,
        split(value, writer),
        metadata=metadata,
        if_absent=if_absent,
        if_match=if_match,
        workflow=target.workflow,
        stage=target.stage,
    )


def read_partitions(
    target: Target,
    place: Place,
    kind: type,
    read: Reader,
    *,
    columns: list[Any] | None,
    pickle: Any,
    verify: Any,
) -> Any:
    """Return a *kind* of the parts of an object; each is read where it is needed.

    Raises:
        ObjectNotFoundError: Nothing is stored there.
        InvalidRequestError: What is stored there is not made of parts.
    """
    from runstore.store._partitions._crossing import PartReader

    reader = PartReader.of(target, place, columns=columns, pickle=pickle, verify=verify)
    return read(reader, kind)
