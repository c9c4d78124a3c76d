"""Which versions wrote an object and which are here: for messages about what cannot be rebuilt."""

import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from runstore._version import __version__
from runstore.lifetime import load_module

__all__ = ["version_of", "wrote_and_here"]


def wrote_and_here(versions: dict[str, str], named: Iterable[str] = ()) -> str:
    """Return the two halves of a sentence: what wrote an object, and what is installed here.

    Args:
        versions: Those that the object was written with; empty if it does not say.
        named: The packages that it needs, if it does not say its versions.
    """
    here = {name: version_of(name) for name in versions or named or ("runstore", "python")}
    if versions == here:
        return f"{_listed(versions)}, the same as here"
    return f"{_listed(versions) or 'unknown versions'}, and here are {_listed(here)}"


def version_of(library: str) -> str:
    """Return the version of *library*, ``python`` or ``runstore``, or ``(not installed)``.

    A library may be installed as a package of another name, as ``polars-lts-cpu``, or as part of
    a program: then it is what the imported module says of itself, or that package.
    """
    if library == "runstore":
        return __version__
    if library == "python":
        return sys.version.partition(" ")[0]
    metadata = load_module("importlib.metadata")  # slow to import
    try:
        return str(metadata.version(library))
    except metadata.PackageNotFoundError:
        module = sys.modules.get(library)
        if module is not None:
            return str(getattr(module, "__version__", "?"))
        packages = _packages(tuple(map(_state, sys.path))).get(library)
        return metadata.version(packages[0]) if packages else "(not installed)"


@lru_cache(maxsize=1)
def _packages(_path: tuple[tuple[str, int], ...]) -> Mapping[str, list[str]]:
    """Return the packages of each module. That reads a file of each package, so it is kept.

    Args:
        _path: Where modules are looked for, and as of when: what is installed later is found.
    """
    found: Mapping[str, list[str]] = load_module("importlib.metadata").packages_distributions()
    return found


def _state(folder: str) -> tuple[str, int]:
    """Return *folder* and when something was last added to it or taken away."""
    try:
        return folder, Path(folder).stat().st_mtime_ns
    except OSError:
        return folder, 0


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
