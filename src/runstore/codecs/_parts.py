"""Where in a value a part is, for messages: ``[1]['rows'].file``."""

from collections.abc import Iterator
from typing import Any

__all__ = ["unpicklable", "where"]

_MOST = 10_000  # parts that are looked at
_TRIED = 200  # parts that are pickled for the message
_DEEPEST = 20


def where(value: Any, part: Any) -> str:
    """Return the way from *value* to *part*, and "is"; empty if it is the value, or not found."""
    seen: set[int] = set()
    waiting: list[tuple[str, Any]] = [("", value)]
    for path, one in waiting:
        if one is part:
            return f"value{path} is " if path else "it is "
        if id(one) in seen or len(waiting) > _MOST:
            continue
        seen.add(id(one))
        waiting += [(path + step, child) for step, child in _children(one)]
    return "it holds "


def unpicklable(value: Any) -> str:
    """Return which part of *value* cannot be pickled, for the end of a message; or nothing."""
    from runstore import by_value

    path, tried = "", 0
    for _ in range(_DEEPEST):
        for step, child in _children(value):
            tried += 1
            if tried > _TRIED:
                return f"; it is in value{path}" if path else ""
            try:
                by_value.dumps(child, 5)
            except Exception:  # noqa: BLE001 - whatever a user's class raises, it is this one
                path, value = path + step, child
                break
        else:
            break
    return f"; it is value{path}" if path else ""


def _children(value: Any) -> Iterator[tuple[str, Any]]:
    """Return the parts that are seen without calling anything of the value's own."""
    kind = type(value)
    if issubclass(kind, dict) and kind.__iter__ is dict.__iter__:
        for key, item in dict.items(value):
            yield f"[{_shown(key)}]", item
    elif kind in (list, tuple, set, frozenset):
        for at, item in enumerate(value):
            yield (f"[{at}]" if kind in (list, tuple) else "{…}"), item
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return
    if type(attributes) is dict and not isinstance(value, type):
        for name, item in attributes.items():
            yield f".{name}", item


def _shown(key: Any) -> str:
    return repr(key)[:60] if type(key) in (str, int, float, bool, bytes) else type(key).__name__
