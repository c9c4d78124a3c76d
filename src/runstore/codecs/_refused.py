"""Values that stand for something outside themselves, and what to store instead."""

from runstore.errors import UnsupportedValueError

__all__ = ["refuse"]

_PATH = (
    "a path says where something is, and another machine may have nothing there: store its "
    "contents, e.g. path.read_bytes(), or str(path) if the path itself is meant"
)

# By type name, like the codecs.
_REFUSED = {
    "pathlib.PosixPath": _PATH,
    "pathlib.WindowsPath": _PATH,
    "pathlib._local.PosixPath": _PATH,  # Python 3.13
    "pathlib._local.WindowsPath": _PATH,
    "polars.lazyframe.frame.LazyFrame": (
        "a LazyFrame is a query, not its result: call .collect() first"
    ),
}


def refuse(kind: str) -> None:
    """Raise if values of the type named *kind* are none to keep.

    Raises:
        UnsupportedValueError: The message says what to store instead.
    """
    if kind in _REFUSED:
        raise UnsupportedValueError(f"cannot store a {kind}: {_REFUSED[kind]}")
