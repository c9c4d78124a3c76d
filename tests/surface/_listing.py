"""The names that docs/stability.md promises, each with its arguments."""

import inspect
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["FILE", "listing"]

FILE = Path(__file__).with_name("public.txt")

_MODULES = (
    *("runstore", "runstore.object_store", "runstore.aio", "runstore.errors", "runstore.context"),
    *("runstore.places", "runstore.filesystem", "runstore.testing", "runstore.workflows"),
    *("runstore.deprecation", "runstore.pytest_plugin"),
)


def listing() -> str:
    """Return a line for each public name, sorted."""
    lines = set[str]()
    for module in _MODULES:
        loaded = import_module(module)
        for name in loaded.__all__:
            value = getattr(loaded, name)
            lines.add(f"{module}.{name}{_arguments(value)}")
            if module == "runstore" and inspect.isclass(value):
                lines |= {f"runstore.{name}.{line}" for line in _members(value)}
    return "\n".join(sorted(lines)) + "\n"


def _members(kind: type) -> set[str]:
    found = set()
    for name, value in inspect.getmembers(kind):
        ours = (one for one in kind.__mro__ if one.__module__.startswith("runstore"))
        if any(name in vars(one) for one in ours) and not name.startswith(("_", "model_")):
            found.add(f"{name}{_arguments(value)}")
    return found | {f"{name}" for name in getattr(kind, "model_fields", ())}


def _arguments(value: Any) -> str:
    """Return the names of arguments and which of them may be left out; nothing for no function.

    Defaults and types are left out: they print differently with each Python.
    """
    if inspect.isclass(value) or not callable(value):
        return ""
    try:
        parameters = inspect.signature(value).parameters.values()
    except (ValueError, TypeError):
        return ""
    told, star = [], False
    for one in parameters:
        if one.name in ("self", "cls"):
            continue
        if one.kind is one.KEYWORD_ONLY and not star:
            told.append("*")
        star = star or one.kind in (one.KEYWORD_ONLY, one.VAR_POSITIONAL)
        mark = {one.VAR_POSITIONAL: "*", one.VAR_KEYWORD: "**"}.get(one.kind, "")
        told.append(f"{mark}{one.name}{'' if mark or one.default is one.empty else '='}")
    return f"({', '.join(told)})"
