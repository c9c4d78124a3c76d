"""Hooks that keep frames and arrays in files of an artifact, in parts.

An object store that is given the value itself keeps it exactly and faster; these are for files
that other programs read.
"""

import io
import itertools
from collections.abc import Callable
from typing import Any

from runstore.compat.flowdapt.compute.artifacts.interface import Artifact
from runstore.compat.flowdapt.compute.artifacts.misc import check_kind
from runstore.errors import InvalidRequestError, ObjectNotFoundError

__all__ = [
    "array_from_artifact",
    "array_to_artifact",
    "dataframe_from_artifact",
    "dataframe_to_artifact",
    "get_handler_func",
    "register_handler",
]

_FRAME, _ARRAY = "pandas.core.frame.DataFrame", "numpy.ndarray"


class _Handlers:
    """What saves and loads values, by executor, type and operation; of all that use this module."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], Callable[..., Any]] = {}

    def put(self, executor: str, data_type: str, operation: str, call: Callable[..., Any]) -> None:
        """Let *call* be used from now on."""
        self._known[executor, data_type, operation] = call

    def find(self, executor: str, data_type: str, operation: str) -> Callable[..., Any] | None:
        """Return that of the executor, else that of all; None if there is none."""
        own = self._known.get((executor, data_type, operation))
        return self._known.get(("*", data_type, operation)) if own is None else own


_handlers = _Handlers()


def register_handler(
    executor: str, data_type: str, operation: str, handler: Callable[..., Any]
) -> None:
    """Register what saves or loads values of a type.

    Args:
        executor: For which executor, or ``*``.
        data_type: The full name of the type.
        operation: ``to_artifact`` or ``from_artifact``.
        handler: Called with the artifact, for saving the value, ``format`` and other arguments.
    """
    _handlers.put(executor, data_type, operation, handler)


def get_handler_func(executor: str, data_type: str, operation: str) -> Callable[..., Any]:
    """Return what `register_handler` was given.

    Raises:
        ValueError: Nothing is registered for the type.
    """
    found = _handlers.find(executor, data_type, operation)
    if found is None:
        raise InvalidRequestError(
            f"there is no handler {operation!r} for values of type {data_type!r}"
        )
    return found


def dataframe_to_artifact(
    format: str = "parquet",  # noqa: A002 - Flowdapt's name
    *,
    executor: str = "",
    **how: Any,
) -> Callable[[Artifact, Any], None]:
    """Return a hook that saves a pandas frame as ``parquet`` or ``csv``, in ``num_parts`` files."""
    return _saver(format, executor, how)


def dataframe_from_artifact(
    format: str = "parquet",  # noqa: A002
    *,
    executor: str = "",
    **how: Any,
) -> Callable[[Artifact], Any]:
    """Return a hook that loads what `dataframe_to_artifact` has saved."""
    return _loader(format, executor, how)


def array_to_artifact(
    format: str = "npy",  # noqa: A002
    *,
    executor: str = "",
    **how: Any,
) -> Callable[[Artifact, Any], None]:
    """Return a hook that saves a NumPy array as ``npy``, in ``num_parts`` files."""
    return _saver(format, executor, how)


def array_from_artifact(
    format: str = "npy",  # noqa: A002
    *,
    executor: str = "",
    **how: Any,
) -> Callable[[Artifact], Any]:
    """Return a hook that loads what `array_to_artifact` has saved."""
    return _loader(format, executor, how)


def _saver(kind: str, executor: str, how: dict[str, Any]) -> Callable[[Artifact, Any], None]:
    def save(artifact: Artifact, value: Any) -> None:
        type_name = _type_name(value)
        handler = get_handler_func(executor or _executor(), type_name, "to_artifact")
        artifact.clear()
        artifact["value_type"] = type_name
        handler(artifact, value, format=kind, **how)

    return save


def _loader(kind: str, executor: str, how: dict[str, Any]) -> Callable[[Artifact], Any]:
    def load(artifact: Artifact) -> Any:
        name = str(artifact["value_type"])
        handler = get_handler_func(executor or _executor(), name, "from_artifact")
        return handler(artifact, format=kind, **how)

    return load


def _executor() -> str:
    from runstore.context import find_run_context

    ctx = find_run_context()
    return "*" if ctx is None else ctx.executor


def _type_name(value: Any) -> str:
    name = f"{type(value).__module__}.{type(value).__qualname__}"
    return _FRAME if name == "pandas.DataFrame" else name  # its path since pandas 3


def _frame_saved(artifact: Artifact, value: Any, *, format: str, num_parts: int = 1) -> None:  # noqa: A002
    write = _way(format, {"parquet": type(value).to_parquet, "csv": type(value).to_csv})
    for number, part in enumerate(_pieces(value, num_parts)):
        buffer = io.BytesIO()
        write(part, buffer)
        artifact.get_file(f"partition-{number}.{format}", create=True).write(buffer.getvalue())


def _frame_loaded(artifact: Artifact, *, format: str) -> Any:  # noqa: A002
    import pandas as pd

    check_kind(artifact, _FRAME)
    read = _way(format, {"parquet": pd.read_parquet, "csv": pd.read_csv, "orc": pd.read_orc})
    return pd.concat([read(io.BytesIO(part)) for part in _parts(artifact, format)])


def _array_saved(artifact: Artifact, value: Any, *, format: str, num_parts: int = 1) -> None:  # noqa: A002
    import numpy as np

    write = _way(format, {"npy": np.save})
    for number, part in enumerate(np.array_split(value, num_parts)):
        buffer = io.BytesIO()
        write(buffer, part, allow_pickle=False)
        artifact.get_file(f"partition-{number}.{format}", create=True).write(buffer.getvalue())


def _array_loaded(artifact: Artifact, *, format: str) -> Any:  # noqa: A002
    import numpy as np

    check_kind(artifact, _ARRAY)
    read = _way(format, {"npy": np.load})
    return np.concatenate(
        [read(io.BytesIO(part), allow_pickle=False) for part in _parts(artifact, format)]
    )


def _way(kind: str, ways: dict[str, Callable[..., Any]]) -> Callable[..., Any]:
    if kind not in ways:
        raise InvalidRequestError(f"format={kind!r}: there are {', '.join(map(repr, ways))}")
    return ways[kind]


def _pieces(frame: Any, count: int) -> list[Any]:
    """Divide the rows; the first pieces have one more if they do not divide evenly."""
    if count < 1:
        raise InvalidRequestError(f"num_parts={count}: a frame has at least one part")
    size, more = divmod(len(frame), count)
    ends = [number * size + min(number, more) for number in range(count + 1)]
    return [frame.iloc[start:end] for start, end in itertools.pairwise(ends)]


def _parts(artifact: Artifact, kind: str) -> list[bytes]:
    """Return the parts by their numbers, so that the tenth comes after the ninth."""
    names = [file.name for file in artifact.list_files() if file.name.endswith(f".{kind}")]
    if not names:
        raise ObjectNotFoundError(f"{artifact!r} has no file that ends in .{kind}", artifact.path)
    return [artifact.get_file(name).read() for name in sorted(names, key=lambda n: (len(n), n))]


for _type, _save, _load in (
    (_FRAME, _frame_saved, _frame_loaded),
    (_ARRAY, _array_saved, _array_loaded),
):
    register_handler("*", _type, "to_artifact", _save)
    register_handler("*", _type, "from_artifact", _load)
