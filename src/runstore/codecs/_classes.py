"""Classes that a value names: members of an Enum, named tuples, and what goes by its fields.

A file says module and name. To find a class by them never executes code: it has to be in a module
that this process has imported, and is looked up in dictionaries, past every ``__getattr__``. Only a
reader that would load pickles, too, imports the module: to import one is to execute it.
"""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from runstore import beside
from runstore.errors import UnsupportedValueError

__all__ = ["Finder", "class_named", "imported", "named"]

Finder = Callable[[str, str], type]
"""Returns the class of that module and qualified name, or raises what says why there is none."""


def named(kind: type) -> list[str] | None:
    """Return the module and qualified name of a class; None if they do not lead back to it.

    Classes of ``__main__`` are another program's in another process.
    """
    if kind.__module__ == "__main__" or imported(kind.__module__, kind.__qualname__) is not kind:
        return None
    return [kind.__module__, kind.__qualname__]


def imported(module: str, qualname: str) -> type | None:
    """Return the class of that name in a module that is imported; None if there is none.

    Nothing is imported or executed.
    """
    found: Any = _module(module)
    if not isinstance(found, ModuleType):
        return None
    names: Any = vars(found)
    for part in qualname.split("."):
        found = names.get(part)
        if not isinstance(found, type):
            return None
        names = type.__dict__["__dict__"].__get__(found)
    return found if isinstance(found, type) else None


def _module(name: str) -> Any:
    modules = beside.current()
    if modules is not None and modules.owns(name):
        return modules.loaded.get(name)
    return sys.modules.get(name)


def class_named(module: str, qualname: str, ref: str, may_import: Callable[[str], None]) -> type:
    """Return a class by its name.

    Args:
        module, qualname: What the object says.
        ref: The object, for messages.
        may_import: Called with what is needed before a module is imported; raises where the
            policy forbids it.

    Raises:
        UnsupportedValueError: There is no such class here.
        Exception: What *may_import* raises.
    """
    found = imported(module, qualname)
    if found is None and _module(module) is None:
        may_import(f"needs the class {qualname} of the module {module!r}, which is not imported")
        try:
            beside.import_module(module)  # as a pickle would
        except ImportError as exc:
            raise UnsupportedValueError(
                f"cannot load {ref}: it needs the class {qualname} of the module {module!r}, which "
                f"cannot be imported here ({exc}). Install or import the package that defines it",
                ref,
            ) from exc
        found = imported(module, qualname)
    if found is None:
        raise UnsupportedValueError(
            f"cannot load {ref}: the module {module!r} has no class {qualname} here. Install the "
            "version that it was stored with, or define the class again",
            ref,
        )
    return found
