"""What to say of a call whose arguments do not fit: which one, and what may be meant."""

import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

__all__ = ["misfit"]


def misfit(
    function: Callable[..., Any], args: tuple[Any, ...], keywords: Mapping[str, Any]
) -> str | None:
    """Return what is wrong with the arguments of a call; None if they fit.

    Args:
        function: What was called.
        args, keywords: The arguments, with the object of a method.
    """
    known = dict(inspect.signature(function).parameters)
    call, count = function.__name__, len(args) - (known.pop("self", None) is not None)
    by_position = [one for one, how in known.items() if how.kind is how.POSITIONAL_OR_KEYWORD]
    by_name = [f"{one}=" for one, how in known.items() if how.kind is how.KEYWORD_ONLY]
    for name in keywords:
        if name not in known:
            begin_so = [f"{one}=" for one in known if one.startswith(f"{name}_")]
            close = [f"{one}=" for one in get_close_matches(name, known, 2)] or begin_so
            told = f"{call}: there is no argument {name!r}"
            if close:
                return f"{told}; did you mean {' or '.join(close)}?"
            return f"{told}; it takes {', '.join(known)}"
    if count > len(by_position):
        told = f"{call}: only {' and '.join(by_position) or 'nothing'} can be given by position"
        return f"{told}; name the others: {', '.join(by_name)}" if by_name else told
    if twice := [one for one in by_position[:count] if one in keywords]:
        return f"{call}: {twice[0]} is given by position and by name: omit one of them"
    lacking = [
        one
        for one, how in known.items()
        if how.default is how.empty and one not in (*by_position[:count], *keywords)
    ]
    return f"{call}: {' and '.join(lacking)} must be given" if lacking else None
