"""Which version of a library is here."""

import sys
from importlib import metadata

from runstore._version import __version__

__all__ = ["version_of"]


def version_of(library: str) -> str:
    """Return the version of *library*, ``python`` or ``runstore``, or ``(not installed)``.

    A library may be installed as a package of another name, as ``polars-lts-cpu``, or as part of
    a program: then it is what the imported module says of itself.
    """
    if library == "runstore":
        return __version__
    if library == "python":
        return sys.version.partition(" ")[0]
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        module = sys.modules.get(library)
        return "(not installed)" if module is None else str(getattr(module, "__version__", "?"))
