"""What installed packages bring to runstore, by entry point: places, codecs, formats, contexts."""

from typing import TYPE_CHECKING, Any

from runstore.errors import MissingExtraError
from runstore.lifetime import Bounded, load_module

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["entries", "has_format", "load_plugin"]


def entries(group: str) -> "dict[str, EntryPoint]":
    """Return the entry points of a group by name, such as ``runstore.formats``.

    Nothing is imported. The installed packages are looked through once.
    """
    found = _entries.get(group)
    if found is None:
        metadata = load_module("importlib.metadata")  # slow to import
        found = {entry.name: entry for entry in metadata.entry_points(group=group)}
        _entries.put(group, found)
    return found


def has_format(extension: str) -> bool:
    """Return whether an installed package brings a format for this extension; imports nothing."""
    return extension in entries("runstore.formats")


def load_plugin(group: str, name: str) -> Any:
    """Return what the entry point *name* of *group* names; None if there is no such entry point.

    Raises:
        MissingExtraError: It cannot be imported.
    """
    entry = entries(group).get(name)
    if entry is None:
        return None
    try:
        return entry.load()
    except (ImportError, AttributeError) as exc:
        package = entry.dist.name if entry.dist is not None else entry.value
        raise MissingExtraError(
            f"the plug-in {name!r} ({group}) of {package} cannot be imported: {exc}. Repair or "
            "uninstall that package",
            name,
        ) from exc


_entries: "Bounded[str, dict[str, EntryPoint]]" = Bounded(8)  # groups; there are four
