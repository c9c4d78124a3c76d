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
from typing import Any

from runstore.codecs._base import Codec, PluginCodec
from runstore.codecs._files import FileCodec
from runstore.errors import MissingExtraError
from runstore.lifetime import Bounded
from runstore.plugins import entries, load_plugin

__all__ = ["plugin_codec", "plugin_file", "plugin_for"]


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
    for name in sorted(entries("runstore.codecs")):
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


def _load(group: str, name: str) -> Any:
    loaded = _loaded.get((group, name))
    if loaded is None:
        plugin = load_plugin(group, name)
        loaded = plugin() if isinstance(plugin, type) else plugin
        if loaded is not None:
            _loaded.put((group, name), loaded)
    return loaded


_loaded: Bounded[tuple[str, str], Any] = Bounded(1000)  # codecs and formats of other packages
