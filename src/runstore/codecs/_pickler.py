"""The pickler of values: of a view it takes what the view refers to, and no handles at all."""

import io
import pickle
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from runstore import by_value
from runstore.codecs._base import type_name
from runstore.codecs._numpy_dtypes import has_gaps, without_gaps
from runstore.codecs._refused import graph_of, is_handle
from runstore.codecs._tags import lost_of_masked
from runstore.referred import pickled_array

__all__ = ["Dumped", "HandleError", "dump"]

Reduce = Callable[[Any], Any]


class HandleError(Exception):
    """A part of the value refers to something outside of it.

    Args:
        value: That part.
        reason: What to store instead.
    """

    def __init__(self, value: Any, reason: str) -> None:
        super().__init__(reason)
        self.value = value
        self.reason = reason


class Dumped(NamedTuple):
    """A pickle, and what is known of it.

    Attributes:
        stream: The pickle.
        kinds: The types of what is in it, but for Python's plainest.
        commands: Whether loading it starts a program or executes text, as a class of its own
            asks for. To try that would be to do it.
    """

    stream: bytes
    kinds: set[type]
    commands: bool


def dump(value: Any, buffer_callback: Callable[[pickle.PickleBuffer], object]) -> Dumped:
    """Pickle *value* by protocol 5.

    Raises:
        HandleError: A part of it is a handle.
        Exception: Whatever its classes raise.
    """
    with io.BytesIO() as file:
        pickler = _Pickler(file, 5, buffer_callback)
        pickler.dump(value)
        return Dumped(file.getvalue(), set(pickler.met), pickler.commands)


class _Pickler(by_value.Pickler):
    """Looks at each type once, and at the objects of few."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.met: dict[type, Reduce | None] = {}
        self.commands = False

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        try:
            reduce = self.met[kind]
        except KeyError:
            reason = is_handle(kind)
            if reason is not None:
                raise HandleError(obj, reason) from None
            reduce = self.met[kind] = _reduce_for(kind)
            if reduce is _as_usual and _reduces_itself(kind):
                own = obj.__reduce_ex__(5)
                self.commands = self.commands or _is_command(own)
                return own
        reduced = None if reduce is None else reduce(obj)
        return super().reducer_override(obj) if reduced is None else reduced


def _reduce_for(kind: type) -> Reduce | None:
    """Return what reduces objects of a type, or gives None for those that cloudpickle reduces."""
    if issubclass(kind, pa.Array):
        return pickled_array
    if kind is np.ma.MaskedArray:
        return _reduced_masked
    if kind is np.bytes_:
        return _reduced_bytes
    if issubclass(kind, (np.ndarray, np.void)):
        return _reduced_array
    if hasattr(kind, "__dask_graph__"):
        return _no_graph
    if type_name(kind) in ("polars.dataframe.frame.DataFrame", "polars.series.series.Series"):
        from runstore.codecs._polars import reduced_polars

        return reduced_polars
    torch = sys.modules.get("torch")
    if torch is not None and issubclass(kind, getattr(torch, "Tensor", ())):
        from runstore.codecs._torch import reduced_tensor

        return reduced_tensor
    return None if issubclass(kind, (type, FunctionType)) else _as_usual


def _as_usual(value: Any) -> Any:
    """Leave an object to its class, without a look at it."""
    return NotImplemented


def _reduces_itself(kind: type) -> bool:
    """Return whether a class says in Python how its objects are reduced."""
    if issubclass(kind, type):
        return False
    own = (getattr(kind, "__reduce_ex__", None), getattr(kind, "__reduce__", None))
    return any(isinstance(reduce, FunctionType) for reduce in own)


_COMMANDS = ("os", "posix", "nt", "subprocess", "pty", "webbrowser")  # modules


def _is_command(reduced: Any) -> bool:
    """Return whether a reduction calls what starts a program or executes text."""
    if not isinstance(reduced, tuple) or not reduced:
        return False
    home = str(getattr(reduced[0], "__module__", None))
    return home in _COMMANDS or reduced[0] in (exec, eval)


def _reduced_array(array: Any) -> Any:
    if array.dtype.isbuiltin == 1 or not has_gaps(array.dtype):
        return NotImplemented
    if isinstance(array, np.void):
        return without_gaps(np.asarray(array))[()].__reduce__()
    return without_gaps(array).__reduce_ex__(5)


def _reduced_masked(array: Any) -> Any:
    reason = lost_of_masked(array)
    if reason is not None:
        raise HandleError(array, reason)
    return _reduced_array(array)


def _reduced_bytes(value: Any) -> Any:
    return np.bytes_, (bytes(value),)  # NumPy's own pickle loses zeros at the end


def _no_graph(value: Any) -> None:
    reason = graph_of(value)
    if reason is not None:
        raise HandleError(value, reason)
