"""Where settings are: variables of the environment, and tables in files."""

import os
import re
from copy import deepcopy
from typing import Any

from runstore.errors import SettingsError
from runstore.lifetime import Bounded

__all__ = ["PREFIX", "tables", "variables_set"]

PREFIX = "RUNSTORE_"

_URL = re.compile("[A-Za-z][A-Za-z0-9+.-]*(:|//)")

# A pyproject.toml of usual size takes milliseconds to parse, at each context that is entered.
_parsed: Bounded[str, tuple[bytes, dict[str, Any]]] = Bounded(4)


def variables_set() -> list[str]:
    """Return the names of all variables that are settings, or look like it."""
    return [name for name in os.environ if name.upper().startswith(PREFIX)]


def tables() -> list[tuple[str, dict[str, Any]]]:
    """Return the nearest files that have settings, and these, the one that counts more first.

    A relative path of the store is that from the folder of its file.

    Raises:
        SettingsError: A file cannot be read, or is not TOML, or has something else there.
    """
    found = (_table_in("runstore.toml"), _table_in("pyproject.toml", "tool", "runstore"))
    return [(path, _placed(path, table)) for path, table in found if table]


def _placed(path: str, table: dict[str, Any]) -> dict[str, Any]:
    """Return settings with the paths of stores taken from the folder of their file."""
    folder, placed = path.rpartition("/")[0], {}
    if "url" in table:
        placed["url"] = _from(folder, table["url"])
    stores = table.get("run_stores")
    if isinstance(stores, (str, list)):
        each = stores.split() if isinstance(stores, str) else stores
        placed["run_stores"] = [_from(folder, store) for store in each]
    return {**table, **placed} if placed else table


def _from(folder: str, store: Any) -> Any:
    """Return a store with its path taken from a folder.

    A path that is absolute or begins with ``~`` stays, and so does what is, or is meant as, a URL,
    and what is no text.
    """
    if not isinstance(store, str) or not store.strip() or store.startswith(("/", "~")):
        return store
    return store if _URL.match(store) else f"{folder}/{store}"


def _table_in(filename: str, *headers: str) -> tuple[str, dict[str, Any]]:
    """Return the nearest file of that name and the settings in it; nothing without one."""
    path = _nearest(filename)
    if path is None:
        return "", {}
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a Path takes longer to make
            data = file.read()
    except OSError as exc:
        raise SettingsError(f"{path} cannot be read: {exc.strerror or exc}", path) from exc
    known = _parsed.get(path)
    if known is None or known[0] != data:  # by all of it: a time stamp may be too coarse
        known = data, _parsed_table(path, data, headers)
        _parsed.put(path, known)
    return path, deepcopy(known[1]) if known[1] else {}


def _parsed_table(path: str, data: bytes, headers: tuple[str, ...]) -> dict[str, Any]:
    import tomllib

    try:
        found: Any = tomllib.loads(data.decode())
    except (ValueError, RecursionError) as exc:  # not TOML, or not UTF-8
        raise SettingsError(f"{path} is not valid TOML: {exc}", path) from exc
    for depth, header in enumerate(headers):
        found = found.get(header, {})
        if not isinstance(found, dict):
            raise SettingsError(
                f"{path}: {'.'.join(headers[: depth + 1])} must be a table, not "
                f"{type(found).__name__}",
                path,
            )
    table: dict[str, Any] = found
    return table


def _nearest(filename: str) -> str | None:
    try:
        folder = os.getcwd()  # noqa: PTH109 - pathlib takes ten times as long, here and below
    except FileNotFoundError:  # the working directory was removed: no file is near
        return None
    while True:
        path = f"{folder.rstrip('/')}/{filename}"
        if os.path.isfile(path):  # noqa: PTH113 - False where we may not look
            return path
        above = folder.rpartition("/")[0] or "/"
        if above == folder:
            return None
        folder = above
