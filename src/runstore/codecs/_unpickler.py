"""Unpickling: classes of a script are those of its next start, where it has them.

What NumPy 2 has written names ``numpy._core``, which is ``numpy.core`` before.

A class of ``__main__`` is pickled by value, so that it can be read where that script does
not run. Where it does, a second class of the same name would be equal to nothing: no member
of an Enum, no instance of a dataclass.
"""

import re
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np

from runstore import by_value
from runstore.buffers import Buffer, flat

__all__ = ["loads"]

_BY_VALUE = re.compile(rb"_make_skeleton_(class|enum)")
_CORE = "numpy.core" if np.lib.NumpyVersion(np.__version__) < "2.0.0" else None


def loads(stream: Buffer, buffers: Iterable[Any] | None = None) -> Any:
    """Return what *stream* holds; the arguments are those of `pickle.loads`."""
    if _CORE is None and not _BY_VALUE.search(flat(stream)):
        return by_value.loads(stream, buffers=buffers)
    return _Unpickler(by_value.Reader(stream), buffers=buffers).load()


class _Unpickler(by_value.Unpickler):
    """Gives the class in ``__main__`` instead of a pickled one of that name; finds old NumPy's."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._ours: set[type] = set()

    def find_class(self, module: str, name: str) -> Any:
        if _CORE is not None and (module + ".").startswith("numpy._core."):
            module = _CORE + module.removeprefix("numpy._core")
        elif _CORE is not None and module == "numpy.rec":
            module = f"{_CORE}.records"
        found = super().find_class(module, name)
        if module != "cloudpickle.cloudpickle":
            return found
        if name == "_make_skeleton_class":
            return lambda *args: self._class(found, *_named(args), args)
        if name == "_make_skeleton_enum":
            return lambda *args: self._class(found, args[2], args[4], args)
        if name == "_class_setstate":
            return lambda kind, state: kind if kind in self._ours else found(kind, state)
        return found

    def _class(self, make: Any, name: str, module: Any, args: tuple[Any, ...]) -> Any:
        here: Any = sys.modules.get("__main__") if module == "__main__" else None
        for part in name.split("."):
            here = getattr(here, part, None)
        if isinstance(here, type) and (here.__module__, here.__qualname__) == (module, name):
            self._ours.add(here)
            return here
        return make(*args)


def _named(args: tuple[Any, ...]) -> tuple[str, Any]:
    """Return the qualified name and the module of a class that is to be made."""
    name, namespace = args[1], args[3]
    return namespace.get("__qualname__", name), namespace.get("__module__")
