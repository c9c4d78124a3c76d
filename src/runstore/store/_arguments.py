"""Checks of the verbs' arguments except names and scopes, before anything is touched."""

from collections.abc import Iterable, Mapping, Set
from typing import Any, Literal, TypedDict, get_args

from runstore.arguments import (
    check_choice,
    check_flag,
    check_seconds,
    check_text,
    shown,
    unfit,
)
from runstore.context import PicklePolicy
from runstore.errors import SettingsError
from runstore.keys import Scope
from runstore.objects import ObjectInfo
from runstore.parts import PartKey
from runstore.store._target import not_a_name

__all__ = [
    "Reading",
    "check_filesystem",
    "check_get",
    "check_policy",
    "check_put",
    "check_store",
    "check_table_type",
    "column_list",
]

_COMPRESSIONS = ("auto", "lz4", "zstd", None)
_POLICIES = (*get_args(PicklePolicy), None)


class Reading(TypedDict, total=False):
    """What `Verbs.get` takes besides; see there."""

    scope: Scope
    run: str | int | None
    workflow: str | None
    namespace: str | None
    columns: list[Any] | None
    filters: Any
    part: PartKey | ObjectInfo | None
    pickle: PicklePolicy | None
    verify: Literal["auto"] | bool


def check_put(
    name: object,
    value: object,
    if_absent: object,
    if_match: object,
    compression: object,
    pickle: object,
) -> None:
    """Check the arguments of `put`; fast for the defaults, since small objects are put often.

    Raises:
        InvalidNameError: *name* is no str.
        InvalidRequestError: Another argument is not what it must be.
    """
    if not isinstance(name, str):
        hint = "did you swap name and value?" if isinstance(value, str) else ""
        raise not_a_name("put", "name", name, hint)
    if if_absent is not False:
        check_flag("put", "if_absent", if_absent)
    if if_match is not None:
        check_text("put", "if_match", if_match, optional=True)
    if type(compression) is not str or compression != "auto":
        check_choice("put", "compression", compression, _COMPRESSIONS)
    if pickle is not None:
        check_policy("put", pickle)


def check_get(call: str, as_type: object, pickle: object, verify: object) -> None:
    """Check the arguments of `get` and of verbs that read in the same way.

    Raises:
        InvalidRequestError: An argument is not what it must be.
    """
    if as_type is not None and not isinstance(as_type, type):
        raise unfit(call, "as_type", "a class or None", as_type, _class_meant(as_type))
    if pickle is not None:
        check_policy(call, pickle)
    if type(verify) is not str or verify != "auto":
        check_choice(call, "verify", verify, ("auto", True, False))


_TABLE_LIBRARIES = ("pandas", "geopandas", "polars", "pyarrow", "numpy")


def check_table_type(call: str, as_type: object) -> None:
    """Raise InvalidRequestError if *as_type* is a class that is surely no table in memory."""
    if not isinstance(as_type, type) or as_type is object:
        return
    libraries = {kind.__module__.partition(".")[0] for kind in as_type.__mro__}
    if as_type.__name__ == "LazyFrame" or libraries.isdisjoint(_TABLE_LIBRARIES):
        meant = "a class of tables, as pandas.DataFrame, polars.DataFrame or pyarrow.RecordBatch"
        lazy = "scan(name) gives rows as they are needed" if "polars" in libraries else ""
        raise unfit(call, "as_type", meant, as_type, lazy)


def check_policy(call: str, pickle: object) -> None:
    """Raise InvalidRequestError unless *pickle* is a policy or None."""
    check_choice(call, "pickle", pickle, _POLICIES)


def check_store(engine: object, pickle: object, durable: object, timeout: object) -> None:
    """Check the arguments of `ObjectStore`; None stands for the setting or default.

    Raises:
        SettingsError: An argument is not what it must be.
    """
    call = "ObjectStore"
    check_text(call, "engine", engine, optional=True, error=SettingsError)
    check_choice(call, "pickle", pickle, _POLICIES, error=SettingsError)
    if durable is not None:
        check_flag(call, "durable", durable, error=SettingsError)
    if timeout is not None:
        check_seconds(call, "timeout", timeout, error=SettingsError)


def check_filesystem(
    url: object, fs: object, root: object, allow_torn: object, options: Mapping[str, Any]
) -> None:
    """Check what `ObjectStore` takes about filesystems of the user's own.

    Raises:
        SettingsError: An argument is not what it must be, or contradicts another.
    """
    call = "ObjectStore"
    check_text(call, "root", root, optional=True, error=SettingsError)
    if allow_torn is not None:
        check_flag(call, "allow_torn", allow_torn, error=SettingsError)
    if fs is None:
        if root is not None:
            raise SettingsError("ObjectStore: root= is a path in fs=; without it give a URL alone")
        return
    if url is not None:
        raise SettingsError("ObjectStore: give either a URL or fs=, not both")
    if options:
        raise SettingsError(
            f"ObjectStore: a filesystem has its options already, so fs= takes no "
            f"{', '.join(sorted(options))}"
        )


def column_list(call: str, columns: Any) -> list[Any] | None:
    """Return the labels of *columns* in order; None if that is what it is.

    Raises:
        InvalidRequestError: It is not a sequence of labels. A str would be taken letter by letter.
    """
    if columns is None:
        return None
    if isinstance(columns, str):
        hint = f"write columns=[{shown(columns)}]"
        raise unfit(call, "columns", "a list of column labels or None", columns, hint)
    if isinstance(columns, (bytes, bytearray, memoryview, Mapping, Set, type)) or not (
        isinstance(columns, Iterable) and hasattr(columns, "__len__")
    ):
        raise unfit(call, "columns", "a list of column labels or None", columns)
    labels = list(columns)
    for position, label in enumerate(labels):
        if getattr(label, "__hash__", None) is None:
            raise unfit(call, f"columns[{position}]", "a column label", label)
    return labels


def _class_meant(as_type: object) -> str:
    alias = type(as_type).__module__ in ("types", "typing")  # nothing else is asked: it may fail
    origin = getattr(as_type, "__origin__", None) if alias else None
    if isinstance(origin, type):
        return f"write as_type={origin.__name__}"
    if not isinstance(as_type, str):
        return ""
    if table := _TABLES.get(as_type.lower()):
        return f"for a table of it write as_type={table}"
    return "pass the class itself, as as_type=list"


_TABLES = {
    "arrow": "pyarrow.Table",
    "numpy": "numpy.ndarray",
    "pandas": "pandas.DataFrame",
    "polars": "polars.DataFrame",
    "pyarrow": "pyarrow.Table",
}
