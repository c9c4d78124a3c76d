"""Pickles by value that keep the file of the code they carry.

cloudpickle sends functions of ``__main__`` and of notebooks by value. From 3.1.3 on it leaves the
file out of their code, so a traceback on the other side would name neither file nor source line.
"""

import io
import operator
import pickle
from collections import ChainMap
from collections.abc import Callable
from types import CodeType
from typing import Any, ClassVar

import cloudpickle

__all__ = ["Pickler", "dumps"]


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
        {CodeType: _with_file}, cloudpickle.Pickler.dispatch_table
    )


def dumps(
    value: object,
    protocol: int | None = None,
    buffer_callback: Callable[[pickle.PickleBuffer], object] | None = None,
) -> bytes:
    """Return *value* as a pickle that `pickle.loads` reads; the arguments are those of pickle."""
    with io.BytesIO() as file:
        Pickler(file, protocol, buffer_callback).dump(value)
        return file.getvalue()
