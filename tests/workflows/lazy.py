"""A module that imports what it has when it is asked for it."""

from typing import Any


def __getattr__(name: str) -> Any:
    if name == "f":
        raise ImportError("pip install it")
    raise AttributeError(name)
