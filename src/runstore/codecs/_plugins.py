"""Codecs and formats that other packages bring, found by entry point.

    [project.entry-points."runstore.codecs"]
    shapely = "my_package.runstore:ShapelyCodec"    # a `PluginCodec`, found by its `types`

    [project.entry-points."runstore.formats"]
    geojson = "my_package.runstore:GeoJsonFile"     # a `FileCodec`, found by the extension

Installed packages are looked through once, when a type, codec or extension is met
that runstore itself does not know. What runstore knows cannot be replaced.
"""

import warnings
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from runstore.codecs._base import Codec
from runstore.codecs._files import FileCodec
from runstore.errors import MissingExtraError
from runstore.lifetime import load_module

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["PluginCodec", "has_plugin", "plugin_codec", "plugin_file", "plugin_for"]


class PluginCodec(Codec, Protocol):
    """A codec that says which types it is for."""

    types: tuple[str, ...]
    """``module.QualName`` of each type, exact; its module should import them late."""


def plugin_for(type_name: str, taken: frozenset[str]) -> Codec | None:
    """Return the codec that a package brings for this type; None if there is none.

    Args:
        type_name: ``module.QualName`` of the type.
        taken: The names of runstore's own codecs, which no other can have.
    """
    return _by_type(taken).get(type_name)


def plugin_codec(name: str) -> Codec | None:
    """Return the codec of that name that a package brings; None if there is none.

    Raises:
        MissingExtraError: There is one and it cannot be imported.
    """
    codec: Codec | None = _load("runstore.codecs", name)
    return codec


def has_plugin(extension: str) -> bool:
    """Return whether an installed package brings a format for this extension; imports nothing."""
    return extension in _entries("runstore.formats")


def plugin_file(extension: str) -> FileCodec | None:
    """Return the format that a package brings for this extension; None if there is none.

    Raises:
        MissingExtraError: There is one and it cannot be imported.
    """
    codec: FileCodec | None = _load("runstore.formats", extension)
    return codec


@cache
def _by_type(taken: frozenset[str]) -> dict[str, Codec]:
    """Load all codecs that packages bring; one that fails is left out, and said to be."""
    found: dict[str, Codec] = {}
    for name in sorted(_entries("runstore.codecs")):
        try:
            codec: PluginCodec = _load("runstore.codecs", name)
            if name in taken or codec.name != name:
                raise MissingExtraError(
                    f"the plug-in {name!r} (runstore.codecs) is left out: its codec calls itself "
                    f"{codec.name!r}, and the name must be the same and not one of runstore's",
                    name,
                )
        except MissingExtraError as exc:
            warnings.warn(exc.message, RuntimeWarning, stacklevel=2)
            continue
        for kind in codec.types:
            found.setdefault(kind, codec)
    return found


@cache
def _load(group: str, name: str) -> Any:
    entry = _entries(group).get(name)
    if entry is None:
        return None
    try:
        plugin = entry.load()
    except (ImportError, AttributeError) as exc:
        package = entry.dist.name if entry.dist is not None else entry.value
        raise MissingExtraError(
            f"the plug-in {name!r} ({group}) of {package} cannot be imported: {exc}. Repair or "
            "uninstall that package",
            name,
        ) from exc
    return plugin() if isinstance(plugin, type) else plugin


@cache
def _entries(group: str) -> "dict[str, EntryPoint]":
    found = load_module("importlib.metadata").entry_points(group=group)
    return {entry.name: entry for entry in found}
