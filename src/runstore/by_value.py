"""Pickles by value that keep the file name of the code in them.

cloudpickle pickles functions of ``__main__`` and of notebooks by value. Since 3.1.3 it omits the
file name of their code, so a traceback in the other process would show neither file nor line.
"""

import io
import operator
import pickle
from collections import ChainMap
from collections.abc import Callable, Iterable
from enum import Enum
from types import CodeType, FunctionType
from typing import Any, ClassVar

import cloudpickle

from runstore import beside

__all__ = ["Pickler", "Reader", "Unpickler", "dumps", "loads"]


class _Bare:
    """Stands for a code object that is pickled as cloudpickle does it, without its file."""

    __slots__ = ("code",)

    def __init__(self, code: CodeType) -> None:
        self.code = code

    def __reduce__(self) -> tuple[Any, ...]:
        reduced: tuple[Any, ...] = cloudpickle.Pickler.dispatch_table[CodeType](self.code)
        return reduced


def _with_file(code: CodeType) -> tuple[Any, ...]:
    """Reduce *code* to calls of the standard library, so that any reader can load it."""
    return operator.methodcaller("replace", co_filename=code.co_filename), (_Bare(code),)


class Pickler(cloudpickle.Pickler):  # type: ignore[misc] # cloudpickle has no types
    """A cloudpickle.Pickler whose code objects keep their file, nested ones too."""

    dispatch_table: ClassVar[Any] = ChainMap(
        {CodeType: _with_file}, *cloudpickle.Pickler.dispatch_table.maps
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        table: dict[type, Any] = {}  # of its own: a ChainMap takes Python's steps for each object
        for one in reversed(self.dispatch_table.maps):
            table.update(one)
        self.__dict__["dispatch_table"] = table
        super().__init__(*args, **options)

    def reducer_override(self, obj: Any) -> Any:
        """See `pickle.Pickler.reducer_override`.

        Classes and functions of a module beside a workflow file are pickled by name, also if
        another module of this process has that name. A class that is pickled by value keeps
        its qualified name, which cloudpickle drops.
        """
        if isinstance(obj, (type, FunctionType)) and (named := beside.reference(obj)):
            return beside.found, named
        reduced = super().reducer_override(obj)
        if isinstance(obj, type) and isinstance(reduced, tuple) and not issubclass(obj, Enum):
            namespace = reduced[1][_NAMESPACE:][:1]
            if namespace and type(namespace[0]) is dict:
                namespace[0].setdefault("__qualname__", obj.__qualname__)
        return reduced


_NAMESPACE = 3  # the argument that a class begins with; an Enum has its members there


class Unpickler(pickle.Unpickler):
    """Searches the modules beside the current workflow first."""

    def find_class(self, module: str, name: str) -> Any:
        """See `pickle.Unpickler.find_class`."""
        modules = beside.current()
        if modules is not None and modules.owns(module):
            return beside.found(module, name)
        return super().find_class(module, name)


class Reader:
    """Bytes as a file, without a copy."""

    def __init__(self, data: Any) -> None:
        self._view = memoryview(data).cast("B")

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes, all of them if *size* is negative."""
        size = self._view.nbytes if size < 0 else size
        taken, self._view = self._view[:size], self._view[size:]
        return bytes(taken)

    def readinto(self, into: Any) -> int:
        """Fill *into* with the next bytes, and return how many they are."""
        taken = self._view[: memoryview(into).nbytes]
        memoryview(into)[: taken.nbytes] = taken
        self._view = self._view[taken.nbytes :]
        return taken.nbytes

    def readline(self) -> bytes:
        """Return the bytes up to the end of a line."""
        end = 0
        while end < self._view.nbytes and self._view[end] != 10:  # only of protocol 0
            end += 1
        return self.read(end + 1)


def loads(data: Any, buffers: Iterable[Any] | None = None) -> Any:
    """Return what is pickled in *data*; the arguments are those of `pickle.loads`."""
    if beside.current() is None:
        return pickle.loads(data, buffers=buffers)  # noqa: S301 - whoever calls knows the bytes
    return Unpickler(Reader(data), buffers=buffers).load()


def dumps(
    value: object,
    protocol: int | None = None,
    buffer_callback: Callable[[pickle.PickleBuffer], object] | None = None,
) -> bytes:
    """Return *value* as a pickle that `pickle.loads` reads; the arguments are those of pickle."""
    with io.BytesIO() as file:
        Pickler(file, protocol, buffer_callback).dump(value)
        return file.getvalue()
